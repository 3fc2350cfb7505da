//! How often one way in may present lease tokens that are none: a bucket that fills by one guess a second.
//!
//! Invariant: only misses empty it and only misses meet it, so nobody who guesses can lock out a valid token; and each
//! session has its own, so nobody can slow another's mistakes.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::base::Clock;

/// Misses at once, after a minute of rest.
const MOST: u64 = 60;

/// The misses of one way in.
#[derive(Debug, Default)]
pub(super) struct Guesses(Mutex<Spent>);

/// How many misses are not forgiven yet, and when one was last forgiven.
#[derive(Debug, Default)]
struct Spent {
    misses: u64,
    forgiven: Duration,
}

impl Guesses {
    /// Counts a miss; whether it was one too many.
    pub(super) fn miss(&self, clock: &Clock) -> bool {
        let mut spent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = clock.boot().saturating_sub(spent.forgiven).as_secs();
        spent.misses = spent.misses.saturating_sub(seconds);
        spent.forgiven += Duration::from_secs(seconds);
        let is_too_many = spent.misses >= MOST;
        spent.misses += u64::from(!is_too_many);
        is_too_many
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Timestamp;

    #[test]
    fn sixty_misses_pass_and_then_one_a_second() {
        let clock = Clock::manual(Timestamp::from_millis(0));
        clock.advance(Duration::from_hours(30));
        let guesses = Guesses::default();
        for guess in 0..MOST {
            assert!(!guesses.miss(&clock), "{guess}");
        }
        assert!(guesses.miss(&clock));
        clock.advance(Duration::from_millis(2500));
        assert_eq!([guesses.miss(&clock), guesses.miss(&clock), guesses.miss(&clock)], [false, false, true]);
        clock.advance(Duration::from_millis(500)); // the half second counts
        assert_eq!([guesses.miss(&clock), guesses.miss(&clock)], [false, true]);
        clock.advance(Duration::from_hours(1));
        assert_eq!((0..=MOST).filter(|_| !guesses.miss(&clock)).count() as u64, MOST, "no more than a minute's");
    }
}
