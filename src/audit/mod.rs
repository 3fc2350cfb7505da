//! The audit log: typed events, one JSON line each, hash-chained.
//!
//! Floor 1: imports `base`. Invariant: no record holds a credential, a lease token, a query string, a header or a body;
//! there is no field that would take one.

mod action;
mod breaks;
mod checkpoint;
mod continuity;
mod error;
mod event;
mod file;
mod files;
mod follower;
mod format;
mod leave;
mod lines;
mod missing;
mod note;
mod recent;
mod record;
mod recover;
mod roll;
mod row;
mod state;
mod usage;
mod verify;
mod walk;
mod writer;

#[cfg(test)]
mod tests;

pub use action::{Action, Outcome};
pub use breaks::{Break, BreakKind};
pub use error::Error;
pub use event::Event;
pub use file::Torn;
pub use follower::Follower;
pub use format::is_cut;
pub use lines::{Content, Line, Lines, tail};
pub use missing::Missing;
pub use note::{KeyOrigin, NoteFault, Witness};
pub use recent::{Recent, recent};
pub use record::{Filter, Record};
pub use recover::Recovery;
pub use roll::RollOver;
pub use row::{Row, RowState, Rows};
pub use usage::last_uses;
pub use verify::{Head, NoteFinding, Trust, Verified, verify, verify_with, verify_with_head};
pub use writer::{AuditLog, Durability, Settings};
