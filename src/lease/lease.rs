//! One lease: who may have which secret used for what, and until when.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::LeaseToken;
use crate::{
    base::{
        ClientId, CutReason, CutSwitch, CutWatch, Deadline, Environment, KeyedHash, LeaseId, SecretName, ServiceId,
        SessionId, TimeToLive, Timestamp,
    },
    recipe::TokenShape,
};

/// What to lease.
#[derive(Clone, Debug)]
pub struct NewLease {
    /// The secret.
    pub secret: SecretName,
    /// What the lease gives.
    pub right: Right,
    /// Under which name the holder is recorded.
    pub client: ClientId,
    /// The session that the lease lives and dies with, if it is one's.
    pub session: Option<SessionId>,
    /// Who asked for it; a holder keeps one of each.
    pub asked_by: AskedBy,
    /// How long; checked by [`super::LeaseBounds`] before.
    pub ttl: TimeToLive,
    /// What it was narrowed to.
    pub terms: Terms,
    /// What the token looks like; unused for [`Right::Raw`].
    pub shape: TokenShape,
}

/// Who asked for a lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AskedBy {
    /// A process inside the session that the lease belongs to.
    Agent,
    /// Whoever opened the session, or anybody outside of one.
    #[default]
    Opener,
}

/// What a lease gives.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// The value itself was revealed; there is no token, and the lease is a record of it.
    Raw,
    /// A token stands for the secret in requests to one service.
    Token(Scope),
}

/// What a lease token may stand for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// The service.
    pub service: ServiceId,
    /// The name of the credential within the service file.
    pub credential: Box<str>,
}

/// What a lease was narrowed to when it was made, beyond its grant: kept with it, so that a restart does not widen it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// What it works on; grants may be for some environments only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    /// The capabilities that stay usable; all of the grant's without a list, none with an empty one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caps: Option<Vec<Box<str>>>,
    /// The globs that values of parameters must match, each of these lists on its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<(Box<str>, Vec<Box<str>>)>,
    /// How much may be used: what is counted, and how much of it, each with a counter of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<(Box<str>, Box<str>)>,
}

impl Terms {
    /// Whether they take something away from what the grant gives.
    pub const fn narrows(&self) -> bool {
        self.caps.is_some() || !self.only.is_empty() || !self.limits.is_empty()
    }

    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A lease that was issued. Whether it still lives is for [`super::LeaseTable`] and its watch to say.
#[derive(Debug)]
pub struct Lease {
    /// The public identifier.
    pub id: LeaseId,
    /// The secret.
    pub secret: SecretName,
    /// What it gives.
    pub right: Right,
    /// Who holds it.
    pub client: ClientId,
    /// The session it belongs to.
    pub session: Option<SessionId>,
    /// Who asked for it.
    pub asked_by: AskedBy,
    /// What it was narrowed to.
    pub terms: Terms,
    /// When it was issued.
    pub created_at: Timestamp,
    /// When it ends.
    pub deadline: Deadline,
    pub(super) hash: Option<KeyedHash>,
    /// The deadline on the monotonic clock, as the table sorts it.
    pub(super) boot_end: Duration,
    pub(super) cut: CutSwitch,
}

impl Lease {
    /// What its token stands for; `None` when the value itself was revealed.
    pub const fn scope(&self) -> Option<&Scope> {
        match &self.right {
            Right::Raw => None,
            Right::Token(scope) => Some(scope),
        }
    }

    /// A watch that sees the end of the lease. Make it before looking whether the lease lives, so that no end is missed.
    pub fn watch(&self) -> CutWatch {
        self.cut.watch()
    }
}

/// What issuing a lease gave.
#[derive(Debug)]
pub struct Issued {
    /// The lease.
    pub lease: Arc<Lease>,
    /// Its token, for a lease that has one; this is the only time that it is seen.
    pub token: Option<LeaseToken>,
    /// The earlier lease of the same client, session, secret and right that this one replaced.
    pub replaced: Option<Arc<Lease>>,
}

/// What a text that claims to be a lease token is.
#[derive(Clone, Debug)]
pub enum Found {
    /// A token whose lease has ended, within the last day.
    Ended(CutReason),
    /// The token of this lease, which lived when we looked.
    Live(Arc<Lease>),
    /// No token of ours, or one forgotten.
    Unknown,
}
