//! When it is time for a hook to run by itself.

use std::time::Duration;

use super::Trigger;
use crate::{
    base::Timestamp,
    store::{RotationHealth, SecretRecord},
};

/// How long a value is left alone after it was replaced, whatever asks by itself: 10 s.
pub const MIN_GAP: Duration = Duration::from_secs(10);
/// The longest that a value is replaced before its end; else a tenth of its life.
const MAX_LEAD: Duration = Duration::from_mins(5);
const FIRST_BACKOFF: Duration = Duration::from_secs(30);
const MAX_BACKOFF: Duration = Duration::from_hours(1);

/// Whether this secret is not to be rotated by itself now: it just was, or it failed and waits.
pub fn rests(record: &SecretRecord, health: &RotationHealth, now: Timestamp) -> bool {
    // A wait that is longer than any that we set comes from a clock that was set back since.
    let waits = health.next_attempt.is_some_and(|next| next > now && next.since(now) <= MAX_BACKOFF);
    let is_fresh = record.last_rotated.is_some_and(|last| last <= now && now.since(last) < MIN_GAP);
    waits || is_fresh
}

/// Why this secret is to be rotated now without anybody asking, if it is.
pub fn due(record: &SecretRecord, health: &RotationHealth, now: Timestamp) -> Option<Trigger> {
    record.rotate_via.as_ref()?;
    if rests(record, health, now) {
        return None;
    }
    if health.owed {
        return Some(Trigger::Retry);
    }
    let since = record.last_rotated.unwrap_or(record.created_at);
    if record.expires_at.is_some_and(|ends| now.plus(lead(ends.since(since))) >= ends) {
        return Some(Trigger::ValueExpiry);
    }
    record.plan.every.is_some_and(|every| now >= since.plus(every.get())).then_some(Trigger::Schedule)
}

fn lead(life: Duration) -> Duration {
    (life / 10).min(MAX_LEAD)
}

/// How long to wait after so many failures in a row: 30 s, doubled each time, at most an hour.
pub fn backoff(failures: u32) -> Duration {
    let doubled = FIRST_BACKOFF.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
    doubled.min(MAX_BACKOFF)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        base::{Clock, Home, SecretBytes},
        store::{NewSecret, RotationPlan, SecretChange, Store},
    };

    /// A record as the store makes it; `created_at` is the epoch plus 1000 s.
    fn record(hook: &str, every: Option<&str>, change: SecretChange) -> Arc<SecretRecord> {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(at(1_000));
        let (store, _) = Store::create(&Home::at(folder.path().join("h")), clock).unwrap();
        let name: crate::base::SecretName = "k".parse().unwrap();
        let plan = RotationPlan { every: every.map(|text| text.parse().unwrap()), ..RotationPlan::default() };
        store.insert(NewSecret::new(name.clone(), value()).rotate_via(hook).plan(plan)).unwrap();
        store.update(&name, change).unwrap()
    }

    fn value() -> SecretBytes {
        SecretBytes::new(b"v".to_vec())
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_millis(secs * 1_000)
    }

    fn failed(next: i64, owed: bool) -> SecretChange {
        SecretChange::new().health(RotationHealth {
            failures: 1,
            next_attempt: Some(at(next)),
            owed,
            ..RotationHealth::default()
        })
    }

    #[test]
    fn schedules_ends_and_debts_are_due_in_their_time() {
        let keep = SecretChange::new;
        let ending = |secs| SecretChange::new().rotated(value(), Some(at(secs)));
        for (what, record, now, expected) in [
            ("no hook", record("", Some("1m"), keep()), 9_999_999, None),
            ("no plan", record("h", None, keep()), 9_999_999, None),
            ("early", record("h", Some("1m"), keep()), 1_059, None),
            ("schedule", record("h", Some("1m"), keep()), 1_060, Some(Trigger::Schedule)),
            ("a tenth before", record("h", None, ending(2_000)), 1_899, None),
            ("a tenth before", record("h", None, ending(2_000)), 1_900, Some(Trigger::ValueExpiry)),
            ("five minutes before", record("h", None, ending(1_000_000)), 999_699, None),
            ("five minutes before", record("h", None, ending(1_000_000)), 999_700, Some(Trigger::ValueExpiry)),
            ("just rotated", record("h", Some("1s"), ending(1_001)), 1_009, None),
            ("ended long ago", record("h", None, ending(1_001)), 5_000, Some(Trigger::ValueExpiry)),
            ("backs off", record("h", Some("1m"), failed(2_000, false)), 1_999, None),
            ("after it", record("h", Some("1m"), failed(2_000, false)), 2_000, Some(Trigger::Schedule)),
            ("nothing owed", record("h", None, failed(2_000, false)), 2_000, None),
            ("owed", record("h", None, failed(2_000, true)), 2_000, Some(Trigger::Retry)),
            ("owed, waits", record("h", None, failed(2_000, true)), 1_999, None),
            ("the clock was set back", record("h", None, failed(20_000, true)), 1_500, Some(Trigger::Retry)),
        ] {
            assert_eq!(due(&record, &record.health, at(now)), expected, "{what} at {now}");
        }
    }

    #[test]
    fn waiting_doubles_up_to_an_hour() {
        let waits: Vec<u64> = [0, 1, 2, 3, 7, 8, 40, u32::MAX].map(|n| backoff(n).as_secs()).to_vec();
        assert_eq!(waits, [30, 30, 60, 120, 1_920, 3_600, 3_600, 3_600]);
    }
}
