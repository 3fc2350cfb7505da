//! How rotations went: counted, waited after, and kept where `health` looks; in memory when the store takes nothing.

use super::{Broker, lock};
use crate::{
    base::SecretName,
    rotation::{self, Trigger},
    store::{RotationHealth, SecretChange, SecretRecord},
};

impl Broker {
    /// How the rotations of a secret went.
    pub fn rotation_health(&self, record: &SecretRecord) -> RotationHealth {
        lock(&self.rotations.health).get(&record.name).cloned().unwrap_or_else(|| record.health.clone())
    }

    /// One more failure: the next attempt by itself is later.
    pub(super) fn note_failure(&self, name: &SecretName, trigger: Trigger, why: &str) {
        let Some(record) = self.parts.store.get(name) else { return };
        let before = self.rotation_health(&record);
        let (now, failures) = (self.parts.clock.now(), before.failures.saturating_add(1));
        self.keep_health(
            name,
            RotationHealth {
                last_attempt: Some(now),
                failures,
                error: Some(why.to_owned()),
                next_attempt: Some(now.plus(rotation::backoff(failures))),
                owed: before.owed || trigger.is_owed(),
            },
        );
    }

    /// A rotation is owed that nobody has tried yet.
    pub(super) fn note_debt(&self, record: &SecretRecord) {
        let health = self.rotation_health(record);
        if !health.owed {
            self.keep_health(&record.name, RotationHealth { owed: true, ..health });
        }
    }

    fn keep_health(&self, name: &SecretName, health: RotationHealth) {
        match self.parts.store.update(name, SecretChange::new().health(health.clone())) {
            Ok(_) => drop(lock(&self.rotations.health).remove(name)),
            Err(error) => {
                tracing::error!(secret = %name, %error, "how a rotation went cannot be saved");
                lock(&self.rotations.health).insert(name.clone(), health);
            }
        }
    }
}
