//! Which of two generations stays: the new one once it is known to work, the old one when it is known not to.

use std::{sync::Arc, time::Duration};

use super::{Broker, Replaced, RotationFault, SecretVersion, check::Checked, lock};
use crate::{
    audit::{Action, Outcome},
    base::SecretName,
    rotation::Trigger,
    store::{SecretChange, SecretRecord},
};

/// Between the tries of a new value that is refused: issuers take a moment to make one known everywhere.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(1)];
/// Between two checks of a value that nothing was decided about.
const AGAIN: Duration = Duration::from_mins(1);
/// How long the old value is kept when the service names no check and nobody uses the new one: 1 h.
const KEPT: Duration = Duration::from_hours(1);
/// The same when the service names a check, and none of its answers decided anything: 24 h.
const KEPT_FOR_CHECK: Duration = Duration::from_hours(24);

impl Broker {
    /// An upstream accepted a request that carried these values.
    pub fn accepted(&self, unproven: &[SecretVersion]) {
        if unproven.is_empty() {
            return;
        }
        lock(&self.rotations.accepted).extend(unproven.iter().cloned());
        self.rotations.wake.notify_one();
    }

    /// Tries a value that was just installed, and acts on what its service says.
    pub(super) async fn prove(&self, name: &SecretName, trigger: Trigger) -> Result<Replaced, RotationFault> {
        self.note_check(name);
        let mut pauses = PAUSES.iter();
        loop {
            let Some(record) = self.unproven(name) else { return Ok(Replaced::Works) }; // by use, meanwhile
            match self.check(&record).await {
                Some(Checked::Works) => {
                    self.settle(&record, "the check of its service passed");
                    return Ok(Replaced::Works);
                }
                Some(Checked::Refused(status)) => match pauses.next() {
                    Some(pause) => tokio::time::sleep(*pause).await,
                    None => return self.undo(&record, trigger, status),
                },
                Some(Checked::Open) | None => return Ok(Replaced::Unproven),
            }
        }
    }

    /// Drops the old value.
    fn settle(&self, record: &SecretRecord, why: &str) {
        let change = SecretChange::new().of_generation(record.generation).settled();
        match self.parts.store.update(&record.name, change) {
            Ok(_) => {
                self.echoes.forget(&record.name);
                let event = Self::rotation_event(Action::RotationSettled, record);
                self.append_rotation(&event.outcome(Outcome::Ok).details(why));
            }
            // The old value is still there, and so the next look tries again.
            Err(error) => tracing::warn!(secret = %record.name, %error, "a replaced value cannot be dropped yet"),
        }
    }

    /// Puts the old value back.
    fn undo(&self, record: &SecretRecord, trigger: Trigger, status: u16) -> Result<Replaced, RotationFault> {
        let name = &record.name;
        let fault = RotationFault::Refused { name: name.clone(), status };
        let why = fault.to_string();
        let change = SecretChange::new().of_generation(record.generation).undone();
        self.parts.store.update(name, change).map_err(|error| {
            tracing::error!(secret = %name, %error, "a refused value cannot be taken back yet");
            RotationFault::NotSaved { name: name.clone(), why: error.to_string() }
        })?;
        self.echoes.forget(name);
        tracing::error!(secret = %name, error = %why, "a rotation was undone");
        let event = Self::rotation_event(Action::RotationUndone, record).status(status);
        self.append_rotation(&event.outcome(Outcome::Failed).error(&why).details(trigger.as_str()));
        self.note_failure(name, trigger, &why);
        Err(fault)
    }

    /// Settles what upstreams have accepted since the last look.
    pub(super) fn settle_accepted(&self) {
        let accepted = std::mem::take(&mut *lock(&self.rotations.accepted));
        for SecretVersion { name, generation } in accepted {
            if let Some(record) = self.unproven(&name).filter(|record| record.generation == generation) {
                self.settle(&record, "an upstream took it");
            }
        }
    }

    /// Looks at the values that nothing was decided about: checks again, or lets the old one go when its time is up.
    pub(super) fn look_at_unproven(self: &Arc<Self>) {
        for record in self.parts.store.list() {
            let Some(former) = &record.former else { continue };
            let kept = if self.has_check(&record) { KEPT_FOR_CHECK } else { KEPT };
            if self.parts.clock.now().since(former.replaced_at) >= kept {
                self.settle(&record, "its time to prove itself is up");
            } else if kept == KEPT_FOR_CHECK && self.is_check_due(&record.name) && !self.is_rotating(&record.name) {
                self.note_check(&record.name);
                self.begin_proof(record.name.clone());
            }
        }
    }

    fn note_check(&self, name: &SecretName) {
        lock(&self.rotations.checked).insert(name.clone(), self.parts.clock.boot());
    }

    fn is_check_due(&self, name: &SecretName) -> bool {
        let last = lock(&self.rotations.checked).get(name).copied();
        last.is_none_or(|last| self.parts.clock.boot().saturating_sub(last) >= AGAIN)
    }
}
