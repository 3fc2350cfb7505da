//! How each limit in force stands: what is used of it, what is left, and when the next request may pass.

use std::{collections::HashSet, sync::Arc, time::Duration};

use super::{Limiter, Terms, key};
use crate::{
    base::{Environment, SecretName},
    broker::{Broker, Session},
    lease::Lease,
    policy::{Applied, LeaseFacts, Narrow},
};

/// How a limit stands at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How much is used, of money in millionths; may be more than the limit.
    pub used: u64,
    /// How much is left.
    pub left: u64,
    /// When the next request may pass.
    pub next: Next,
}

/// When a request may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// When one of those that run has ended.
    AtAnEnd,
    /// After this time.
    In(Duration),
    /// At once.
    Now,
}

/// A limit in force.
#[derive(Clone, Debug)]
pub struct LimitInForce {
    /// The secret whose requests it counts.
    pub secret: SecretName,
    /// The limit and whose it is.
    pub applied: Applied,
    /// How it stands.
    pub standing: Standing,
}

impl Next {
    /// In whole seconds, rounded up; `None` when it hangs on what runs.
    pub fn seconds(self) -> Option<u64> {
        match self {
            Self::AtAnEnd => None,
            Self::In(wait) => Some(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)),
            Self::Now => Some(0),
        }
    }
}

impl Limiter {
    /// Nothing is made or changed by looking.
    pub(super) fn standing(&self, applied: &Applied) -> Standing {
        let (terms, key) = (Terms::of(&applied.limit), key(applied));
        let most = applied.limit.most();
        let Some(bucket) = self.shard(&key).get(&key).cloned() else {
            return Standing { used: 0, left: most, next: Next::Now };
        };
        let now = self.clock.boot();
        let level = bucket.level();
        let used = level.used(&terms, now);
        let next = match level.admits(&terms, now) {
            Ok(()) => Next::Now,
            Err(Some(wait)) => Next::In(wait),
            Err(None) => Next::AtAnEnd,
        };
        Standing { used, left: most.saturating_sub(used), next }
    }
}

impl Broker {
    /// Every limit that the user's files set, by grant and budget, and every one that narrows a live lease.
    pub fn limits_in_force(&self) -> Vec<LimitInForce> {
        let policy = self.policy();
        let mut all = policy.all_limits();
        for lease in self.parts.leases.list() {
            let session = lease.session.and_then(|id| self.session(id));
            let narrowed = with_facts(&lease, session.as_deref(), |facts| policy.limits_of(facts));
            all.extend(narrowed.into_iter().flatten().map(|applied| (lease.secret.clone(), applied)));
        }
        let mut seen = HashSet::new();
        all.retain(|(_, applied)| seen.insert((key(applied), applied.limit.most())));
        let in_force = |(secret, applied)| LimitInForce { standing: self.limits.standing(&applied), secret, applied };
        all.into_iter().map(in_force).collect()
    }

    /// How a limit stands.
    pub(in crate::broker) fn standing(&self, applied: &Applied) -> Standing {
        self.limits.standing(applied)
    }
}

/// Looks at what a live lease says about requests; `None` for a bare value, and for a lease whose own terms cannot be
/// read, which is of no use.
pub(in crate::broker) fn with_facts<T>(
    lease: &Arc<Lease>,
    session: Option<&Session>,
    look: impl FnOnce(&LeaseFacts<'_>) -> T,
) -> Option<T> {
    let scope = lease.scope()?;
    let own = Narrow::of_terms(&scope.service, &lease.terms).ok()?;
    let narrow: Vec<Narrow> = session.map_or(&[][..], Session::narrow).iter().cloned().chain(own).collect();
    Some(look(&LeaseFacts {
        service: &scope.service,
        credential: &scope.credential,
        secret: &lease.secret,
        client: &lease.client,
        project: session.and_then(Session::project),
        environment: lease.terms.environment.as_ref().map(Environment::as_str),
        narrow: &narrow,
    }))
}
