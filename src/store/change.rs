//! A change to a secret: what is named is set, what is not stays.

use super::{
    record::{Binding, RawReveal, SecretRecord},
    rotation::{Former, HookFormat, OnLeaseExpiry, RotationHealth},
};
use crate::base::{SecretBytes, TimeToLive, Timestamp};

/// What a change does to one field.
#[derive(Clone, Debug, Default)]
enum To<T> {
    #[default]
    Keep,
    Set(T),
}

/// A change to a secret; whatever is not named stays.
#[derive(Clone, Debug, Default)]
pub struct SecretChange {
    value: To<NewValue>,
    rotate_via: To<Option<String>>,
    binding: To<Option<Binding>>,
    raw: To<RawReveal>,
    format: To<HookFormat>,
    every: To<Option<TimeToLive>>,
    on_lease_expiry: To<OnLeaseExpiry>,
    health: To<RotationHealth>,
    of: Option<u64>,
}

/// Where a value comes from.
#[derive(Clone, Debug)]
enum NewValue {
    /// The one before it, which the new one was no better than.
    Former,
    /// A person or a program gave it; whatever was known of the old one is void.
    Given(SecretBytes),
    /// A hook gave it; the old one is kept until it is known to work.
    Rotated(SecretBytes, Option<Timestamp>),
    /// The one that is there; the one before it is of no use any more.
    Settled,
    /// The one that is there; its hook gave it again.
    Unchanged(Option<Timestamp>),
}

impl SecretChange {
    /// A change that names nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A new value, given by a person or a program; ends what was known of the old one's rotation.
    #[must_use]
    pub fn value(mut self, value: SecretBytes) -> Self {
        self.value = To::Set(NewValue::Given(value));
        self
    }

    /// Only if the secret still has this generation; else the store refuses with [`super::Error::Changed`].
    #[must_use]
    pub const fn of_generation(mut self, generation: u64) -> Self {
        self.of = Some(generation);
        self
    }

    /// A new value that a rotation obtained, and when it ends, if that is known. Sets `last_rotated`; keeps the last
    /// value that was known to work.
    #[must_use]
    pub fn rotated(mut self, value: SecretBytes, expires_at: Option<Timestamp>) -> Self {
        self.value = To::Set(NewValue::Rotated(value, expires_at));
        self
    }

    /// A rotation that succeeded and left the value as it is. Sets `last_rotated`.
    #[must_use]
    pub fn rotated_elsewhere(mut self, expires_at: Option<Timestamp>) -> Self {
        self.value = To::Set(NewValue::Unchanged(expires_at));
        self
    }

    /// The value is known to work: the one before it goes.
    #[must_use]
    pub fn settled(mut self) -> Self {
        self.value = To::Set(NewValue::Settled);
        self
    }

    /// The value is known not to work: the one before it comes back, as a generation of its own. Nothing happens when
    /// there is none.
    #[must_use]
    pub fn undone(mut self) -> Self {
        self.value = To::Set(NewValue::Former);
        self
    }

    /// How rotations go from now on.
    #[must_use]
    pub fn health(mut self, health: RotationHealth) -> Self {
        self.health = To::Set(health);
        self
    }

    /// What the hook prints from now on.
    #[must_use]
    pub fn format(mut self, format: HookFormat) -> Self {
        self.format = To::Set(format);
        self
    }

    /// How often the hook runs from now on; `None` is never by the clock.
    #[must_use]
    pub fn every(mut self, every: Option<TimeToLive>) -> Self {
        self.every = To::Set(every);
        self
    }

    /// What the end of a lease means from now on.
    #[must_use]
    pub fn on_lease_expiry(mut self, what: OnLeaseExpiry) -> Self {
        self.on_lease_expiry = To::Set(what);
        self
    }

    /// Another rotation command; `None` or an empty one means none. How the old one went is forgotten, but not that a
    /// rotation is owed.
    #[must_use]
    pub fn rotate_via(mut self, command: Option<String>) -> Self {
        self.rotate_via = To::Set(command.filter(|text| !text.is_empty()));
        self
    }

    /// Another binding, or none.
    #[must_use]
    pub fn binding(mut self, binding: Option<Binding>) -> Self {
        self.binding = To::Set(binding);
        self
    }

    /// Another rule for handing out the raw value.
    #[must_use]
    pub fn raw(mut self, raw: RawReveal) -> Self {
        self.raw = To::Set(raw);
        self
    }

    /// Whether it brings a value that a person or a program gave.
    pub fn is_giving_value(&self) -> bool {
        matches!(self.value, To::Set(NewValue::Given(_)))
    }

    /// Whether it brings another rotation command, or takes it away.
    pub const fn is_setting_hook(&self) -> bool {
        matches!(self.rotate_via, To::Set(_))
    }

    /// Whether it says when or how a hook is run.
    pub const fn is_setting_plan(&self) -> bool {
        matches!(self.format, To::Set(_))
            || matches!(self.every, To::Set(_))
            || matches!(self.on_lease_expiry, To::Set(_))
    }

    /// Whether the secret has a hook after it.
    pub const fn leaves_hook(&self, record: &SecretRecord) -> bool {
        match &self.rotate_via {
            To::Keep => record.rotate_via.is_some(),
            To::Set(hook) => hook.is_some(),
        }
    }

    /// The schedule that it sets, if it sets one.
    pub const fn new_schedule(&self) -> Option<TimeToLive> {
        match self.every {
            To::Set(every) => every,
            To::Keep => None,
        }
    }

    pub(super) fn is_for(&self, record: &SecretRecord) -> bool {
        self.of.is_none_or(|generation| generation == record.generation)
    }

    /// The value that it sets, if it sets a new one.
    pub const fn new_value(&self) -> Option<&SecretBytes> {
        match &self.value {
            To::Set(NewValue::Given(value) | NewValue::Rotated(value, _)) => Some(value),
            _ => None,
        }
    }

    /// The record after this change.
    pub(super) fn apply(self, record: &SecretRecord, now: Timestamp) -> SecretRecord {
        let mut next = SecretRecord { updated_at: now, ..record.clone() };
        if let To::Set(value) = self.value {
            value.apply(&mut next, now);
        }
        if let To::Set(command) = self.rotate_via {
            next.health = RotationHealth { owed: next.health.owed && command.is_some(), ..RotationHealth::default() };
            next.rotate_via = command;
        }
        self.binding.apply(&mut next.binding);
        self.raw.apply(&mut next.raw);
        self.format.apply(&mut next.plan.format);
        self.every.apply(&mut next.plan.every);
        self.on_lease_expiry.apply(&mut next.plan.on_lease_expiry);
        self.health.apply(&mut next.health);
        next
    }
}

impl<T> To<T> {
    fn apply(self, field: &mut T) {
        if let Self::Set(value) = self {
            *field = value;
        }
    }
}

impl NewValue {
    fn apply(self, record: &mut SecretRecord, now: Timestamp) {
        match self {
            Self::Former => {
                let Some(former) = record.former.take() else { return };
                (record.value, record.expires_at) = (former.value, former.expires_at);
                record.generation = record.generation.saturating_add(1);
            }
            Self::Given(value) => {
                (record.value, record.expires_at, record.former) = (value, None, None);
                record.health = RotationHealth::default();
                record.generation = record.generation.saturating_add(1);
            }
            Self::Rotated(value, expires_at) => {
                let replaced = std::mem::replace(&mut record.value, value);
                let replaced_expires = std::mem::replace(&mut record.expires_at, expires_at);
                let kept = record.former.take().map_or((replaced, replaced_expires), |f| (f.value, f.expires_at));
                record.former = Some(Former { value: kept.0, replaced_at: now, expires_at: kept.1 });
                record.last_rotated = Some(now);
                record.generation = record.generation.saturating_add(1);
            }
            Self::Settled => record.former = None,
            Self::Unchanged(expires_at) => {
                record.last_rotated = Some(now);
                record.expires_at = expires_at;
            }
        }
    }
}
