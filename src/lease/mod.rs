//! Leases: time-bounded, revocable rights of one client to have one secret used for it.
//!
//! Floor 1. A token is shown once and kept as a keyed hash; a lease ends on the earlier of two clocks, by decision, or
//! with its session, and its end reaches every exchange that watches it.

mod book;
mod bounds;
mod candidates;
mod error;
mod finder;
#[expect(clippy::module_inception, reason = "the lease itself")]
mod lease;
mod scanner;
mod snapshot;
mod table;
#[cfg(test)]
mod tests;
mod token;

pub use self::{
    bounds::LeaseBounds,
    candidates::{looks_like_lease, token_candidates},
    error::Error,
    finder::TokenFinder,
    lease::{AskedBy, Found, Issued, Lease, NewLease, Right, Scope, Terms},
    scanner::{Scan, StrayScanner},
    snapshot::Snapshot,
    table::{LeaseTable, Stray},
    token::LeaseToken,
};
