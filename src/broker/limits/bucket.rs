//! One counter: how far ahead of its rate it is, as time, so that it needs no tick.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::policy::{Limit, Measure};

/// What a limit allows, without its words.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    measure: Measure,
    most: u64,
    window: Duration,
}

/// A bucket that empties with time. It is full when its level is a whole window ahead of now.
#[derive(Debug, Default)]
pub(super) struct Bucket(Mutex<Level>);

/// What a bucket holds.
#[derive(Debug, Default)]
pub(super) struct Level {
    /// When it will be empty, on the boot clock.
    empty_at: Duration,
    /// How many exchanges run.
    running: u64,
}

impl Terms {
    pub(super) fn of(limit: &Limit) -> Self {
        Self { measure: limit.measure().clone(), most: limit.most(), window: limit.window() }
    }

    pub(super) const fn measure(&self) -> &Measure {
        &self.measure
    }

    /// How much that is of what leaks in this time; rounded up, so that what was counted is shown until all of it has
    /// leaked.
    fn amount_in(&self, time: Duration) -> u64 {
        let amount = time.as_nanos().saturating_mul(u128::from(self.most)).div_ceil(self.window.as_nanos().max(1));
        u64::try_from(amount).unwrap_or(u64::MAX)
    }

    /// How long it takes until this much has leaked; rounded down, so that a whole window always holds `most`.
    fn time_of(&self, amount: u64) -> Duration {
        let nanos = self.window.as_nanos().saturating_mul(u128::from(amount)) / u128::from(self.most.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX / 4))
    }

    /// What a request takes when it is let in; bodies and what answers say are charged when they have passed.
    fn entry(&self) -> Duration {
        match self.measure {
            Measure::Requests | Measure::Capability(_) | Measure::Risk(_) => self.time_of(1),
            Measure::Bytes | Measure::AtOnce | Measure::Money | Measure::Meter(_) => Duration::ZERO,
        }
    }
}

impl Bucket {
    /// Nothing is left half changed: each change is one assignment.
    pub(super) fn level(&self) -> MutexGuard<'_, Level> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long until it is empty.
    pub(super) fn left(&self, now: Duration) -> Duration {
        self.level().ahead(now)
    }

    /// Makes it as full as it was.
    pub(super) fn fill_until(&self, empty_at: Duration) {
        let mut level = self.level();
        level.empty_at = level.empty_at.max(empty_at);
    }

    /// As good as a new one.
    pub(super) fn is_idle(&self, now: Duration) -> bool {
        let level = self.level();
        level.running == 0 && level.empty_at <= now
    }
}

impl Level {
    /// How much time's worth is in it.
    fn ahead(&self, now: Duration) -> Duration {
        self.empty_at.saturating_sub(now)
    }

    /// Whether one more request may pass; else how long until it may, `None` when that hangs on what runs.
    pub(super) fn admits(&self, terms: &Terms, now: Duration) -> Result<(), Option<Duration>> {
        if terms.measure == Measure::AtOnce {
            return if self.running < terms.most { Ok(()) } else { Err(None) };
        }
        // What is charged afterwards needs only something to be left.
        let entry = terms.entry().max(Duration::from_nanos(1));
        let wait = (self.ahead(now) + entry).saturating_sub(terms.window);
        if wait.is_zero() { Ok(()) } else { Err(Some(wait)) }
    }

    /// How much of the limit is used; may be more than it allows.
    pub(super) fn used(&self, terms: &Terms, now: Duration) -> u64 {
        if terms.measure == Measure::AtOnce { self.running } else { terms.amount_in(self.ahead(now)) }
    }

    pub(super) fn enter(&mut self, terms: &Terms, now: Duration) {
        if terms.measure == Measure::AtOnce {
            self.running += 1;
        }
        self.empty_at = now + self.ahead(now) + terms.entry();
    }

    pub(super) const fn leave(&mut self, terms: &Terms) {
        if matches!(terms.measure, Measure::AtOnce) {
            self.running = self.running.saturating_sub(1);
        }
    }

    pub(super) fn charge(&mut self, terms: &Terms, amount: u64, now: Duration) {
        self.empty_at = (now + self.ahead(now)).saturating_add(terms.time_of(amount));
    }

    /// Fills it so far that the next request must wait this long.
    pub(super) fn hold(&mut self, terms: &Terms, wait: Duration, now: Duration) {
        let full = now + terms.window.saturating_sub(terms.entry()) + wait;
        self.empty_at = self.empty_at.max(full);
    }
}
