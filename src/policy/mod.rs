//! The policy language: which requests may use which secret, and how.
//!
//! Floor 2. Invariants: nothing is granted but by the user's own files; a narrowing only narrows; one `decide`
//! serves the proxy and every explanation; a file with a fault never becomes part of a set.
//!
//! Its rooms: `files` reads text into what `services` and `grants` hold; `rules` and `matchers` say what a rule sees of
//! a request; `decide` judges; `tools` is what people are shown, and judges nothing on its own.

mod asked;
mod begins;
mod catalogue;
mod decide;
mod decision;
mod error;
mod files;
mod grants;
mod live;
mod load;
mod matchers;
mod reach;
mod refuse;
mod rules;
mod services;
mod set;
#[cfg(test)]
mod tests;
mod tools;

pub use asked::{Asked, BodySeen};
pub use decide::{LeaseFacts, RequestFacts};
pub use decision::Decision;
pub use error::{Error, Fault, LoadErrors, PathError};
pub use files::{Need, Project, UnknownHost};
pub use grants::{
    Applied, Approve, Asking, BroadGrant, Budget, Cost, Grant, Layer, Less, Limit, May, MayUse, Measure, Money,
    MoneyError, Narrow, NotLess, Price, Remember, Tariff, Usage, Verdict,
};
pub use live::{Changed, Fingerprint, Live, LiveStatus, fingerprint};
pub use load::ignored_files;
pub use matchers::{Body, Command, Content, FlushFinder, Peek, Push, Until};
pub use reach::{CHECK_FIX, HANDSHAKE_FIX, Never, Reach, never_forwarded};
pub use rules::{EncodedSlash, NormalPath, Protocol};
pub use services::{
    Accept, Capability, Check, Credential, Failed as FailedVector, Fields, GrantedHost, Inject, ListedPlace, Meter,
    MeterPlace, Missing, OnUnauthorized, Onward, Risk, Service, Steps, WITHHELD, Way, Withhold,
};
pub use set::PolicySet;
pub use tools::{
    CapabilityText, CapabilityView, Claim, Counter, CredentialView, Described, DescriptionError, Draft, EasyPlace,
    EasyService, Explanation, Finding, HostView, Lack, LayerView, Left, MAX_DESCRIPTION, NewGrant, NoLack, Past, Proof,
    Proposal, Remedy, Replayed, ServiceView, Standing, Taken, Told, Unjudged, Wish, Written, describe, leave,
    proposals,
};
