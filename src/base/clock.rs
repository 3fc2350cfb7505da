//! Time as the program sees it: wall clock and a monotonic clock that counts suspend, read together.
//!
//! Invariant: only this file asks the system for the time; expiry is judged by both clocks and the earlier wins.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A wall-clock instant in milliseconds since the Unix epoch; written as RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// This instant moved forward; saturates at the end of time.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long from `earlier` to `self`; zero when `self` is not later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The same instant for interfaces that take a `SystemTime`; never before the epoch.
    pub fn to_system_time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(u64::try_from(self.0).unwrap_or(0))
    }

    /// Reads RFC 3339, with or without fractions, with any offset (agent-secrets writes local offsets).
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|t| Self(t.as_millisecond()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom(format!("`{text}` is not an RFC 3339 time")))
    }
}

/// A cheap handle on the time; clones of a manual clock share their hands.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual { wall: Arc<AtomicI64>, boot: Arc<AtomicU64>, awake: Arc<AtomicU64> },
}

impl Clock {
    /// The machine's clocks.
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until told; for tests.
    pub fn manual(wall: Timestamp) -> Self {
        Self(Source::Manual { wall: Arc::new(AtomicI64::new(wall.0)), boot: Arc::default(), awake: Arc::default() })
    }

    /// Wall-clock time.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
            }
            Source::Manual { wall, .. } => Timestamp(wall.load(Ordering::Relaxed)),
        }
    }

    /// Time since the machine started, suspend included (`CLOCK_BOOTTIME`); never goes back.
    pub fn boot(&self) -> Duration {
        match &self.0 {
            Source::System => boot_time(),
            Source::Manual { boot, .. } => Duration::from_millis(boot.load(Ordering::Relaxed)),
        }
    }

    /// Time since the machine started without the time that it was suspended (`CLOCK_MONOTONIC`); never goes back.
    /// Where it falls behind [`Clock::boot`], the machine has slept.
    pub fn awake(&self) -> Duration {
        match &self.0 {
            Source::System => awake_time(),
            Source::Manual { awake, .. } => Duration::from_millis(awake.load(Ordering::Relaxed)),
        }
    }

    /// Moves a manual clock's hands; a system clock ignores it.
    pub fn advance(&self, by: Duration) {
        self.suspend(by);
        if let Source::Manual { awake, .. } = &self.0 {
            awake.fetch_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }

    /// Moves the hands of a manual clock that go on while a machine sleeps; a system clock ignores it.
    pub fn suspend(&self, by: Duration) {
        self.set_wall(self.now().plus(by));
        if let Source::Manual { boot, .. } = &self.0 {
            boot.fetch_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }

    /// Sets only a manual clock's wall hand, as a person or NTP would; a system clock ignores it.
    pub fn set_wall(&self, to: Timestamp) {
        if let Source::Manual { wall, .. } = &self.0 {
            wall.store(to.0, Ordering::Relaxed);
        }
    }

    /// The end of a period of this length that begins now, on both clocks.
    pub fn deadline(&self, after: Duration) -> Deadline {
        self.deadline_from(self.now(), after)
    }

    /// The same for whoever keeps the beginning too: on the wall clock the period is exactly `after` long, which with
    /// two looks at the clock is now and then a millisecond less or more.
    pub fn deadline_from(&self, now: Timestamp, after: Duration) -> Deadline {
        Deadline { wall: now.plus(after), boot: self.boot() + after }
    }

    /// The end of a period whose wall-clock end is known, as after a restart; never later than `ends`.
    pub fn deadline_at(&self, ends: Timestamp) -> Deadline {
        Deadline { wall: ends, boot: self.boot() + ends.since(self.now()) }
    }
}

#[cfg(target_os = "linux")]
fn boot_time() -> Duration {
    system_time(rustix::time::ClockId::Boottime)
}

#[cfg(not(target_os = "linux"))]
fn boot_time() -> Duration {
    awake_time()
}

fn awake_time() -> Duration {
    system_time(rustix::time::ClockId::Monotonic)
}

fn system_time(id: rustix::time::ClockId) -> Duration {
    let spec = rustix::time::clock_gettime(id);
    Duration::new(u64::try_from(spec.tv_sec).unwrap_or(0), u32::try_from(spec.tv_nsec).unwrap_or(0))
}

/// The end of a period on the wall clock and on the monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    wall: Timestamp,
    boot: Duration,
}

impl Deadline {
    /// The wall-clock end, for people and for files.
    pub const fn wall(self) -> Timestamp {
        self.wall
    }

    /// What is left by the clock that says less; zero when the end has passed on either.
    pub fn remaining(self, clock: &Clock) -> Duration {
        self.wall.since(clock.now()).min(self.boot.saturating_sub(clock.boot()))
    }

    /// Whether either clock has reached its end.
    pub fn is_past(self, clock: &Clock) -> bool {
        self.remaining(clock).is_zero()
    }

    /// The earlier of two ends, on each clock.
    #[must_use]
    pub fn earlier(self, other: Self) -> Self {
        Self { wall: self.wall.min(other.wall), boot: self.boot.min(other.boot) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_and_read_as_rfc_3339() {
        let time = Timestamp::from_millis(1_764_000_000_123);
        assert_eq!(time.to_string(), "2025-11-24T16:00:00.123Z");
        assert_eq!(Timestamp::parse("2025-11-24T17:00:00.123+01:00"), Some(time));
        assert_eq!(Timestamp::parse("yesterday"), None);
    }

    #[test]
    fn the_earlier_clock_ends_a_period() {
        let clock = Clock::manual(Timestamp::from_millis(1_000_000));
        let end = clock.deadline(Duration::from_mins(1));
        assert!(!end.is_past(&clock));
        clock.set_wall(Timestamp::from_millis(0)); // wall clock set back: the monotonic end holds
        assert_eq!(end.remaining(&clock), Duration::from_mins(1));
        clock.advance(Duration::from_mins(1));
        assert!(end.is_past(&clock));

        let end = clock.deadline(Duration::from_mins(1));
        clock.set_wall(clock.now().plus(Duration::from_secs(61))); // set forward: the wall end wins
        assert!(end.is_past(&clock));

        let system = Clock::system();
        let began = system.now();
        assert_eq!(system.deadline_from(began, Duration::from_mins(1)).wall().since(began), Duration::from_mins(1));
    }

    #[test]
    fn a_sleeping_machine_falls_behind_on_one_clock_only() {
        let clock = Clock::manual(Timestamp::from_millis(0));
        clock.advance(Duration::from_secs(5));
        clock.suspend(Duration::from_hours(8));
        assert_eq!(clock.boot().checked_sub(clock.awake()), Some(Duration::from_hours(8)));
        let system = Clock::system();
        let awake = system.awake();
        assert!(awake > Duration::ZERO && system.awake() >= awake && system.boot() >= awake);
    }

    #[test]
    fn a_restart_never_lengthens_a_period() {
        let clock = Clock::manual(Timestamp::from_millis(5_000));
        let end = clock.deadline_at(Timestamp::from_millis(4_000));
        assert!(end.is_past(&clock));
        assert_eq!(clock.deadline_at(Timestamp::from_millis(9_000)).remaining(&clock), Duration::from_secs(4));
    }
}
