//! What people are shown and what they may write: nothing here judges a request; all of it asks the one engine.

mod describe;
mod draft;
mod dump;
mod explain;
mod lack;
mod leave;
mod lint;
mod openapi;
mod propose;
mod prove;
mod replay;
mod views;
mod write;

pub use describe::{CapabilityText, CredentialView, HostView, ServiceView};
pub use draft::{Draft, Written};
pub use dump::Taken;
pub use explain::{CapabilityView, Explanation, LayerView};
pub use lack::{Lack, NoLack, Remedy};
pub use leave::{Left, leave};
pub use lint::Finding;
pub use openapi::{Described, DescriptionError, MAX_DESCRIPTION, Wish, describe};
pub use propose::{Proposal, Standing, proposals};
pub use prove::{Claim, Counter, Proof};
pub use replay::{Past, Replayed, Told, Unjudged};
#[cfg(test)]
pub(super) use write::grant_text;
pub use write::{EasyPlace, EasyService, NewGrant};
