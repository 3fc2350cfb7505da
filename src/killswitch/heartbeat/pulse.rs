//! What a row of beats means: alive, missed, forgiven, or enough.
//!
//! Invariant: only misses in a row count; time that the machine slept is nobody's miss; it fires once, and again only
//! after it was armed again.

use std::time::Duration;

use crate::base::{Clock, Timestamp};

/// What a beat meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It beats.
    Alive,
    /// The threshold is reached; what is to be done is done now and not again.
    Failed,
    /// Missed, and not counted: start, sleep or reset are not long ago. Whether to record it.
    Forgiven(Record),
    /// Missed. Whether to record it.
    Missed(Record),
    /// It beats again after so many misses.
    Recovered(u64),
}

/// Of a long row of misses the first ones are recorded, then each time that their number has doubled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// It goes into the log.
    Yes,
    /// The log has enough of them.
    No,
}

/// The state of a heartbeat.
#[derive(Clone, Debug)]
pub struct Pulse {
    /// Misses in a row that count.
    pub misses: u32,
    /// Whether enough misses would trip the switch.
    pub is_armed: bool,
    /// The last beat that was one.
    pub last_beat: Option<Timestamp>,
    /// The last miss, with its reason.
    pub last_miss: Option<(Timestamp, String)>,
    threshold: u32,
    grace: Duration,
    /// On the clock that stands still while the machine sleeps.
    grace_ends: Duration,
    /// How long the machine had slept when we last looked.
    slept: Duration,
    /// All misses in a row, forgiven ones too.
    unbroken: u64,
}

/// Reading two clocks takes time, and a clock may be corrected a little; a sleep is longer.
const SHORTEST_SLEEP: Duration = Duration::from_secs(1);

impl Pulse {
    /// A pulse that begins now, with its grace.
    pub(super) fn new(threshold: u32, grace: Duration, clock: &Clock) -> Self {
        Self {
            misses: 0,
            is_armed: true,
            last_beat: None,
            last_miss: None,
            threshold,
            grace,
            grace_ends: clock.awake().saturating_add(grace),
            slept: slept(clock),
            unbroken: 0,
        }
    }

    /// Begins anew: armed, no misses, a fresh grace.
    pub(super) fn rearm(&mut self, clock: &Clock) {
        self.is_armed = true;
        self.forgive(clock);
    }

    /// Takes in one beat; a miss is its reason.
    pub(super) fn note(&mut self, beat: Result<(), String>, clock: &Clock) -> Verdict {
        let slept = slept(clock);
        if slept > self.slept.saturating_add(SHORTEST_SLEEP) {
            self.forgive(clock);
        }
        self.slept = slept;
        match beat {
            Ok(()) => self.beaten(clock.now()),
            Err(why) => self.missed(why, clock),
        }
    }

    fn forgive(&mut self, clock: &Clock) {
        self.misses = 0;
        self.grace_ends = clock.awake().saturating_add(self.grace);
    }

    fn beaten(&mut self, now: Timestamp) -> Verdict {
        let before = std::mem::take(&mut self.unbroken);
        self.misses = 0;
        self.last_beat = Some(now);
        if before > 0 { Verdict::Recovered(before) } else { Verdict::Alive }
    }

    fn missed(&mut self, why: String, clock: &Clock) -> Verdict {
        self.last_miss = Some((clock.now(), why));
        self.unbroken = self.unbroken.saturating_add(1);
        let is_news = self.unbroken <= u64::from(self.threshold) || self.unbroken.is_power_of_two();
        let record = if is_news { Record::Yes } else { Record::No };
        if clock.awake() < self.grace_ends {
            return Verdict::Forgiven(record);
        }
        self.misses = self.misses.saturating_add(1);
        if self.misses >= self.threshold && std::mem::take(&mut self.is_armed) {
            return Verdict::Failed;
        }
        Verdict::Missed(record)
    }
}

fn slept(clock: &Clock) -> Duration {
    clock.boot().saturating_sub(clock.awake())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(30);

    struct Bed {
        pulse: Pulse,
        clock: Clock,
    }

    impl Bed {
        /// A pulse of three misses whose grace is over.
        fn new() -> Self {
            let clock = Clock::manual(Timestamp::from_millis(1_764_000_000_000));
            let pulse = Pulse::new(3, GRACE, &clock);
            clock.advance(GRACE);
            Self { pulse, clock }
        }

        fn miss(&mut self) -> Verdict {
            self.clock.advance(Duration::from_secs(1));
            self.pulse.note(Err("no answer".into()), &self.clock)
        }

        fn beat(&mut self) -> Verdict {
            self.clock.advance(Duration::from_secs(1));
            self.pulse.note(Ok(()), &self.clock)
        }
    }

    #[test]
    fn attack_121_misses_in_a_row_fail_and_a_flapping_server_does_not() {
        let mut bed = Bed::new();
        assert_eq!(bed.beat(), Verdict::Alive);
        for _ in 0..5 {
            assert_eq!((bed.miss(), bed.miss()), (Verdict::Missed(Record::Yes), Verdict::Missed(Record::Yes)));
            assert_eq!(bed.beat(), Verdict::Recovered(2));
        }
        assert_eq!((bed.miss(), bed.miss()), (Verdict::Missed(Record::Yes), Verdict::Missed(Record::Yes)));
        assert_eq!(bed.miss(), Verdict::Failed);
    }

    #[test]
    fn attack_121_it_fires_once_goes_on_and_is_armed_again() {
        let mut bed = Bed::new();
        let fired = (0..100).filter(|_| bed.miss() == Verdict::Failed).count();
        assert_eq!((fired, bed.pulse.is_armed), (1, false));
        assert_eq!(bed.beat(), Verdict::Recovered(100));
        assert!((0..100).all(|_| bed.miss() != Verdict::Failed), "not before it is armed");
        bed.pulse.rearm(&bed.clock);
        assert!((0..29).all(|_| matches!(bed.miss(), Verdict::Forgiven(_))), "a reset has its grace");
        assert_eq!((0..100).filter(|_| bed.miss() == Verdict::Failed).count(), 1);
    }

    #[test]
    fn misses_at_the_start_are_forgiven() {
        let clock = Clock::manual(Timestamp::from_millis(0));
        let mut pulse = Pulse::new(1, GRACE, &clock);
        assert_eq!(pulse.note(Err("x".into()), &clock), Verdict::Forgiven(Record::Yes));
        clock.advance(GRACE);
        assert_eq!(pulse.note(Err("x".into()), &clock), Verdict::Failed);
    }

    #[test]
    fn attack_107_a_sleep_is_no_miss_and_a_clock_that_is_set_is_no_sleep() {
        let mut bed = Bed::new();
        assert_eq!((bed.miss(), bed.miss()), (Verdict::Missed(Record::Yes), Verdict::Missed(Record::Yes)));
        bed.clock.suspend(Duration::from_hours(8));
        assert!(matches!(bed.miss(), Verdict::Forgiven(_)), "the first miss after a sleep");
        assert_eq!(bed.pulse.misses, 0);
        bed.clock.advance(GRACE);
        assert!(matches!(bed.miss(), Verdict::Missed(_)));
        bed.clock.set_wall(Timestamp::from_millis(0)); // attack 106
        assert!(matches!(bed.miss(), Verdict::Missed(_)));
        bed.clock.set_wall(Timestamp::from_millis(9_999_999_999_999));
        assert_eq!(bed.miss(), Verdict::Failed);
    }

    #[test]
    fn a_long_row_of_misses_takes_little_room_in_the_log() {
        let mut bed = Bed::new();
        let recorded = (0..100_000).filter(|_| matches!(bed.miss(), Verdict::Missed(Record::Yes))).count();
        assert!(recorded < 25, "{recorded}");
    }
}
