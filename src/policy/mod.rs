//! The policy language: which requests may use which secret, and how.
//!
//! Floor 2. Invariants: nothing is granted but by the user's own files; a narrowing only narrows; one `decide`
//! serves the proxy and every explanation; a file with a fault never becomes part of a set.

mod asked;
mod breadth;
mod catalogue;
mod check_file;
mod credential;
mod decide;
mod describe;
mod draft;
mod error;
mod explain;
mod glob;
mod grant;
mod hosts;
mod leave;
mod lint;
mod live;
mod matchers;
mod meet;
mod openapi;
mod path;
mod path_pattern;
mod place_file;
mod policy_file;
mod prove;
mod reach;
mod read;
mod recognise;
mod refuse;
mod replay;
mod rule;
mod service;
mod service_file;
mod set;
#[cfg(test)]
mod tests;
mod vector;
mod vector_file;
mod views;
mod words;
mod write;

pub use asked::Asked;
pub use breadth::BroadGrant;
pub use credential::{Accept, Check, Credential, OnUnauthorized};
pub use decide::{Decision, LeaseFacts, RequestFacts};
pub use describe::{CapabilityText, CredentialView, HostView, ServiceView};
pub use draft::{Draft, Written};
pub use error::{Error, Fault, LoadErrors, PathError};
pub use explain::{CapabilityView, Explanation, LayerView};
pub use grant::{Grant, Layer, Narrow, Verdict};
pub use hosts::{GrantedHost, ListedPlace};
pub use leave::{Left, leave};
pub use lint::Finding;
pub use live::{Changed, Fingerprint, Live, LiveStatus, fingerprint};
pub use matchers::{Body, Command, Content, FlushFinder, Peek, Push, Until};
pub use openapi::{Described, DescriptionError, MAX_DESCRIPTION, Wish, describe};
pub use path::{EncodedSlash, NormalPath};
pub use policy_file::{Need, Project, UnknownHost};
pub use prove::{Claim, Counter, Proof};
pub use reach::{HANDSHAKE_FIX, Never, Reach, never_forwarded};
pub use replay::{Past, Replayed};
pub use rule::Protocol;
pub use service::{Capability, Inject, Missing, Risk, Service};
pub use set::PolicySet;
pub use vector::Failed as FailedVector;
pub use write::{EasyPlace, EasyService, NewGrant};
