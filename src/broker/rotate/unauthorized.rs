//! A 401 from an upstream: whether it means that the value has ended, and then a new one.

use std::{sync::Arc, time::Duration};

use super::{Broker, Replaced, check::Checked, lock};
use crate::{
    broker::{Permit, SecretVersion},
    policy::OnUnauthorized,
    rotation::{self, Trigger},
    store::SecretRecord,
};

/// How long a 401 rotates nothing after the hook ran, however that went: 10 min. An agent may cause as many as it likes.
const GAP: Duration = Duration::from_mins(10);
/// How long what a check said holds, for the same reason: 10 s.
const CHECKED: Duration = Duration::from_secs(10);

impl Broker {
    /// Whether a 401 may mean that the value of this permit's secret has ended: its service says so, and there is a hook.
    pub fn may_renew(&self, permit: &Permit) -> bool {
        let Some(scope) = permit.lease().scope() else { return false };
        let policy = self.policy();
        let service = policy.service(&scope.service);
        let credential = service.and_then(|service| service.credential(&scope.credential));
        let rotates = credential.is_some_and(|one| one.on_unauthorized() == OnUnauthorized::Rotate);
        rotates && self.parts.store.get(&permit.lease().secret).is_some_and(|record| record.rotate_via.is_some())
    }

    /// An upstream answered this value with 401: whether there is another one now.
    pub async fn renew(self: &Arc<Self>, refused: &SecretVersion) -> bool {
        let Some(record) = self.parts.store.get(&refused.name) else { return false };
        let is_free = !self.is_rotating(&refused.name);
        if is_free && self.is_current(refused) && (self.rests_from_refusals(&record) || self.takes_it(&record).await) {
            return false;
        }
        if !self.is_current(refused) {
            return true; // somebody else has seen to it
        }
        let rotated = self.rotate(&refused.name, Trigger::Unauthorized).await;
        matches!(rotated.outcome, Ok(Replaced::Unproven | Replaced::Works))
    }

    /// The same for whoever does not wait for it.
    pub fn renew_later(self: &Arc<Self>, refused: &SecretVersion) {
        let (broker, refused) = (Arc::clone(self), refused.clone());
        self.rotations.flights.spawn(async move {
            broker.renew(&refused).await;
        });
    }

    fn is_current(&self, version: &SecretVersion) -> bool {
        let record = self.parts.store.get(&version.name);
        record.is_some_and(|record| self.current(&record).generation == version.generation)
    }

    fn rests_from_refusals(&self, record: &SecretRecord) -> bool {
        let (now, health) = (self.parts.clock.now(), self.rotation_health(record));
        let is_fresh = health.last_attempt.is_some_and(|last| last <= now && now.since(last) < GAP);
        is_fresh || rotation::rests(record, &health, now)
    }

    /// Whether the value works all the same, as far as its service's check can tell: the 401 was about something else
    /// then. A check that was just made is not made again, and nothing is rotated on a guess.
    async fn takes_it(&self, record: &SecretRecord) -> bool {
        if !self.has_check(record) {
            return false;
        }
        let now = self.parts.clock.boot();
        let last = lock(&self.rotations.checked).get(&record.name).copied();
        if last.is_some_and(|last| now.saturating_sub(last) < CHECKED) {
            return true;
        }
        lock(&self.rotations.checked).insert(record.name.clone(), now);
        !matches!(self.check(record).await, Some(Checked::Refused(_)))
    }
}
