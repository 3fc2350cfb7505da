//! Rotation: from a reason to a new value in use, and either generation known to be good until the other one is.
//!
//! Invariants: one hook of a secret runs at a time, whoever asks; the old value stays until a new one is usable, and
//! lives on until that is known to work; what cannot be saved is kept in memory and used from there.

mod check;
mod flights;
mod health;
mod on_time;
mod settle;
mod unauthorized;
mod unsaved;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use flights::Flights;
use futures_util::future::join_all;
use tokio::sync::Notify;
use unsaved::UnsavedValues;

use super::{Broker, RotationFault, SecretVersion};
use crate::{
    audit::{Action, Event, Outcome},
    base::{SecretBytes, SecretName, Timestamp},
    rotation::{self, Facts, Given, Hook, Shape, Trigger},
    store::{self, RotationHealth, SecretChange, SecretRecord},
};

/// What rotations share beside the store.
#[derive(Default)]
pub(super) struct Rotations {
    flights: Flights,
    unsaved: UnsavedValues,
    /// Values that an upstream has accepted since the last look.
    accepted: Mutex<HashSet<SecretVersion>>,
    /// Rotations that were asked for and must wait.
    wanted: Mutex<HashMap<SecretName, Trigger>>,
    /// What the store could not take of how rotations went.
    health: Mutex<HashMap<SecretName, RotationHealth>>,
    /// When a value was last tried at its service, on the clock that never goes back.
    checked: Mutex<HashMap<SecretName, Duration>>,
    wake: Notify,
}

impl Rotations {
    /// The store was wiped: no value lives on in memory.
    pub(super) fn forget_all(&self) {
        self.unsaved.clear();
        lock(&self.wanted).clear();
        lock(&self.health).clear();
    }

    /// The secret has another value now, or is gone.
    pub(super) fn forget(&self, name: &SecretName) {
        self.unsaved.remove(name);
        lock(&self.checked).remove(name);
        self.forget_health(name);
    }

    /// The secret has another hook now.
    pub(super) fn forget_health(&self, name: &SecretName) {
        lock(&self.health).remove(name);
    }
}

/// Nothing under these locks can be left half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How one rotation went.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// Of which secret.
    pub name: SecretName,
    /// When it began.
    pub executed_at: Timestamp,
    /// What it did.
    pub outcome: Result<Replaced, RotationFault>,
}

/// What a rotation that succeeded did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// The hook refreshed something elsewhere.
    Elsewhere,
    /// The hook gave the value that is in use.
    Unchanged,
    /// The new value is in use, and the old one is kept until it is known to work.
    Unproven,
    /// The new value is in use, and its service takes it.
    Works,
}

impl Replaced {
    /// A sentence about it, without a final stop.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Elsewhere => "hook ran; the stored value stays",
            Self::Unchanged => "hook ran; it gave the value that is in use",
            Self::Unproven => "value replaced; the old one is kept until an upstream takes the new one",
            Self::Works => "value replaced; the service takes it",
        }
    }
}

/// The value to use now, the one that it replaced while that lives, and which generation it is.
pub(super) struct Current {
    pub(super) value: SecretBytes,
    pub(super) former: Option<SecretBytes>,
    pub(super) generation: u64,
}

impl Broker {
    /// Runs the hook of one secret, whatever a schedule or an earlier failure says; joins a run that is under way. It
    /// runs to its end even when nobody waits for it any more.
    pub async fn rotate(self: &Arc<Self>, name: &SecretName, trigger: Trigger) -> Rotation {
        self.begin_rotation(name, trigger).landed().await
    }

    /// Runs the hook of every secret that has one.
    pub async fn rotate_all(self: &Arc<Self>, trigger: Trigger) -> Vec<Rotation> {
        let records = self.parts.store.list();
        let hooked = records.iter().filter(|record| record.rotate_via.is_some());
        join_all(hooked.map(|record| self.rotate(&record.name, trigger))).await
    }

    /// Runs the hook of every secret that is due by its schedule, its value's end, or a debt.
    pub async fn rotate_due(self: &Arc<Self>) -> Vec<Rotation> {
        join_all(self.due_rotations().iter().map(|(name, trigger)| self.rotate(name, *trigger))).await
    }

    pub(super) fn current(&self, record: &SecretRecord) -> Current {
        if let Some(unsaved) = self.rotations.unsaved.of(record) {
            let former = record.former.as_ref().map_or(&record.value, |former| &former.value);
            let generation = record.generation.saturating_add(1);
            return Current { value: unsaved.value.clone(), former: Some(former.clone()), generation };
        }
        let former = record.former.as_ref().map(|former| former.value.clone());
        Current { value: record.value.clone(), former, generation: record.generation }
    }

    /// One rotation, alone.
    async fn rotate_now(&self, name: &SecretName, trigger: Trigger) -> Result<Replaced, RotationFault> {
        let record = self.parts.store.get(name).ok_or_else(|| RotationFault::Unknown(name.clone()))?;
        let Some(command) = &record.rotate_via else { return Err(RotationFault::NoHook(name.clone())) };
        // Another value would be lost with this one when the daemon ends.
        self.save(name)?;
        let record = self.parts.store.get(name).ok_or_else(|| RotationFault::Unknown(name.clone()))?;
        let begun = Self::rotation_event(Action::RotationBegun, &record).details(trigger.as_str());
        let recorded = self.parts.audit.append(&begun);
        recorded.map_err(|error| RotationFault::NotRecorded { name: name.clone(), why: error.to_string() })?;
        let hook = Hook {
            command,
            format: &record.plan.format,
            shape: shape_of(&record),
            timeout: self.parts.rotation_timeout,
        };
        let facts = Facts { name, binding: record.binding.as_ref(), trigger, now: self.parts.clock.now() };
        let given = rotation::run(hook, facts).await.and_then(|given| self.judge_looks(&record, given));
        let installed = match given {
            Ok(given) => self.install(&record, given),
            Err(fault) => Err(RotationFault::Hook { name: name.clone(), fault }),
        };
        self.record_rotation(&record, trigger, &installed);
        match installed {
            Ok(Replaced::Unproven) => self.prove(name, trigger).await,
            installed => installed,
        }
    }

    /// A value that looks like the service's credential makes way only for one that does, too, and any only for one that
    /// its places can carry.
    fn judge_looks(&self, record: &SecretRecord, given: Given) -> Result<Given, rotation::Error> {
        let (Given::Value { value, .. }, Some(binding)) = (&given, &record.binding) else { return Ok(given) };
        if self.check_fits(&record.name, binding, value).is_err() {
            return Err(rotation::Error::Unfit(binding.service.clone()));
        }
        let policy = self.policy();
        let service = policy.service(&binding.service);
        let Some(credential) = service.and_then(|service| service.credential(&binding.credential)) else {
            return Ok(given);
        };
        if credential.accept().fits(record.value.expose()) && !credential.accept().fits(value.expose()) {
            return Err(rotation::Error::Unlike(binding.service.clone()));
        }
        Ok(given)
    }

    /// Puts what the hook gave in use.
    fn install(&self, record: &SecretRecord, given: Given) -> Result<Replaced, RotationFault> {
        let name = &record.name;
        let health = RotationHealth { last_attempt: Some(self.parts.clock.now()), ..RotationHealth::default() };
        let change = SecretChange::new().of_generation(record.generation).health(health);
        let (change, replaced, value) = match given {
            Given::Elsewhere => (change.rotated_elsewhere(None), Replaced::Elsewhere, None),
            Given::Value { value, expires_at } if value == record.value => {
                (change.rotated_elsewhere(expires_at), Replaced::Unchanged, None)
            }
            Given::Value { value, expires_at } => {
                (change.rotated(value.clone(), expires_at), Replaced::Unproven, Some((value, expires_at)))
            }
        };
        let saved = self.parts.store.update(name, change);
        self.echoes.forget(name);
        match saved {
            Ok(_) => {
                lock(&self.rotations.health).remove(name);
                Ok(replaced)
            }
            Err(store::Error::Changed(_)) => Err(RotationFault::Changed(name.clone())),
            Err(store::Error::UnknownSecret(_)) => Err(RotationFault::Unknown(name.clone())),
            Err(error) => {
                let (name, why) = (name.clone(), error.to_string());
                let Some((value, expires_at)) = value else { return Err(RotationFault::Store { name, why }) };
                self.rotations.unsaved.keep(record, value, expires_at);
                Err(RotationFault::NotSaved { name, why })
            }
        }
    }

    fn record_rotation(&self, record: &SecretRecord, trigger: Trigger, installed: &Result<Replaced, RotationFault>) {
        let status = match installed {
            Err(RotationFault::Hook { fault, .. }) => fault.exit_status(),
            _ => Some(0),
        };
        let status = status.map_or_else(|| "no exit status".to_owned(), |status| format!("exit status {status}"));
        let event = Self::rotation_event(Action::SecretRotate, record);
        match installed {
            Ok(replaced) => {
                let details = format!("{trigger}; {status}; {}", replaced.sentence());
                self.append_rotation(&event.outcome(Outcome::Ok).details(&details));
            }
            Err(fault) => {
                let (details, why) = (format!("{trigger}; {status}"), fault.to_string());
                tracing::error!(secret = %record.name, error = %why, "a rotation failed");
                self.append_rotation(&event.outcome(Outcome::Failed).error(&why).details(&details));
                self.note_failure(&record.name, trigger, &why);
            }
        }
    }

    /// What has happened has happened, whether it can be recorded or not.
    fn append_rotation(&self, event: &Event<'_>) {
        if let Err(error) = self.parts.audit.append(event) {
            tracing::error!(%error, "a rotation could not be recorded");
        }
    }

    fn rotation_event(action: Action, record: &SecretRecord) -> Event<'_> {
        let event = Event::new(action).secret(&record.name);
        match &record.binding {
            Some(binding) => event.service(&binding.service),
            None => event,
        }
    }
}

/// A value that goes into requests, or that was one line before, is one line again.
fn shape_of(record: &SecretRecord) -> Shape {
    let is_text = !record.value.expose().iter().any(u8::is_ascii_control);
    if is_text || record.binding.is_some() { Shape::OneLine } else { Shape::Any }
}
