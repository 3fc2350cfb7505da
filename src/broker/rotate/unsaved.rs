//! Values that upstreams have issued and the disk would not take: used from memory, saved as soon as it can be.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use arc_swap::ArcSwap;

use super::{Broker, Replaced, RotationFault};
use crate::{
    audit::{Action, Outcome},
    base::{SecretBytes, SecretName, Timestamp},
    store::{self, RotationHealth, SecretChange, SecretRecord},
};

/// A value that is in use and not on disk.
pub(super) struct Unsaved {
    pub(super) value: SecretBytes,
    expires_at: Option<Timestamp>,
    /// The generation that it replaces.
    replaces: u64,
    /// How often saving it has failed.
    tries: AtomicU32,
}

/// All of them; looked at by every exchange, so reading takes no lock.
#[derive(Default)]
pub(super) struct UnsavedValues(ArcSwap<HashMap<SecretName, Arc<Unsaved>>>);

impl UnsavedValues {
    /// What is to be used in place of this record's value.
    pub(super) fn of(&self, record: &SecretRecord) -> Option<Arc<Unsaved>> {
        self.0.load().get(&record.name).filter(|unsaved| unsaved.replaces == record.generation).cloned()
    }

    pub(super) fn keep(&self, record: &SecretRecord, value: SecretBytes, expires_at: Option<Timestamp>) {
        let unsaved = Arc::new(Unsaved { value, expires_at, replaces: record.generation, tries: AtomicU32::new(0) });
        self.0.rcu(|known| {
            let mut next = HashMap::clone(known);
            next.insert(record.name.clone(), Arc::clone(&unsaved));
            next
        });
    }

    pub(super) fn clear(&self) {
        self.0.store(Arc::default());
    }

    pub(super) fn remove(&self, name: &SecretName) {
        if self.0.load().contains_key(name) {
            self.0.rcu(|known| {
                let mut next = HashMap::clone(known);
                next.remove(name);
                next
            });
        }
    }

    fn get(&self, name: &SecretName) -> Option<Arc<Unsaved>> {
        self.0.load().get(name).cloned()
    }

    fn names(&self) -> Vec<SecretName> {
        self.0.load().keys().cloned().collect()
    }
}

impl Broker {
    /// Saves the value of this secret that is not on disk, if there is one.
    pub(super) fn save(&self, name: &SecretName) -> Result<(), RotationFault> {
        let Some(unsaved) = self.rotations.unsaved.get(name) else { return Ok(()) };
        let health = RotationHealth { last_attempt: Some(self.parts.clock.now()), ..RotationHealth::default() };
        let change = SecretChange::new().rotated(unsaved.value.clone(), unsaved.expires_at).health(health);
        match self.parts.store.update(name, change.of_generation(unsaved.replaces)) {
            Ok(record) => {
                self.rotations.forget(name);
                self.echoes.forget(name);
                let details = format!("saved after all; {}", Replaced::Unproven.sentence());
                let event = Self::rotation_event(Action::SecretRotate, &record);
                self.append_rotation(&event.outcome(Outcome::Ok).details(&details));
                Ok(())
            }
            // Somebody gave another value, or took the secret away.
            Err(store::Error::Changed(_) | store::Error::UnknownSecret(_)) => {
                self.rotations.forget(name);
                self.echoes.forget(name);
                Ok(())
            }
            Err(error) => {
                // Loud, and not once a second for ever.
                if unsaved.tries.fetch_add(1, Ordering::Relaxed).wrapping_add(1).is_power_of_two() {
                    tracing::error!(secret = %name, %error, "a rotated value is in memory only");
                }
                Err(RotationFault::NotSaved { name: name.clone(), why: error.to_string() })
            }
        }
    }

    /// Saves whatever is not on disk and can be.
    pub(super) fn save_all(&self) {
        for name in self.rotations.unsaved.names() {
            let _ = self.save(&name); // it has said so itself, and is asked again
        }
    }
}
