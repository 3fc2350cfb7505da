//! Buckets on a clock that stands still until told.

use std::sync::Barrier;

use super::*;
use crate::{base::Timestamp, policy::Limit};

fn applied(scope: &str, measure: &str, amount: &str) -> Applied {
    let limit = Limit::parse_alone(measure, amount).unwrap();
    Applied {
        limit: Arc::new(limit),
        owner: format!("the test {scope}"),
        scope: scope.to_owned(),
        reads: Vec::new(),
        tariff: None,
    }
}

fn limiter() -> (Limiter, Clock) {
    let clock = Clock::manual(Timestamp::from_millis(0));
    (Limiter::new(clock.clone()), clock)
}

#[test]
fn a_bucket_gives_its_number_and_then_one_at_a_time() {
    for (amount, most, step) in [("3/min", 3, 20), ("7/min", 7, 9), ("1/day", 1, 86_400)] {
        let (limiter, clock) = limiter();
        let limit = [applied("a", "requests", amount)];
        for _ in 0..most {
            limiter.take(&limit).unwrap();
        }
        let over = limiter.take(&limit).unwrap_err();
        assert_eq!(over.limit, format!("requests = {amount} of the test a"));
        assert!(over.wait.unwrap() <= Duration::from_secs(step), "{over:?}");
        clock.advance(over.wait.unwrap() + Duration::from_millis(1));
        limiter.take(&limit).unwrap();
        assert!(limiter.take(&limit).is_err(), "{amount}: only one has come back");
    }
}

#[test]
fn a_request_that_one_limit_refuses_takes_from_none() {
    let (limiter, _) = limiter();
    let (wide, narrow) = (applied("a", "requests", "2/min"), applied("b", "requests", "1/min"));
    limiter.take(&[wide.clone(), narrow.clone()]).unwrap();
    for _ in 0..5 {
        let over = limiter.take(&[wide.clone(), narrow.clone()]).unwrap_err();
        assert!(over.limit.ends_with("the test b"), "{over:?}");
    }
    limiter.take(std::slice::from_ref(&wide)).unwrap();
    assert!(limiter.take(&[wide]).is_err());
}

#[test]
fn of_two_limits_on_one_counter_the_smaller_binds_and_a_request_counts_once() {
    let (limiter, _) = limiter();
    let both = [applied("a", "requests", "9/min"), applied("a", "requests", "2/min")];
    limiter.take(&both).unwrap();
    limiter.take(&both).unwrap();
    assert_eq!(limiter.take(&both).unwrap_err().limit, "requests = 2/min of the test a");
}

#[test]
fn what_runs_at_once_comes_back_when_it_ends_or_is_dropped() {
    let (limiter, _) = limiter();
    let limit = [applied("a", "at_once", "2")];
    let (one, two) = (limiter.take(&limit).unwrap(), limiter.take(&limit).unwrap());
    assert_eq!(limiter.take(&limit).unwrap_err().wait, None);
    one.end(9);
    let three = limiter.take(&limit).unwrap();
    assert!(limiter.take(&limit).is_err(), "ended once, given back once");
    drop((two, three));
    drop((limiter.take(&limit).unwrap(), limiter.take(&limit).unwrap()));
}

#[test]
fn bytes_are_charged_afterwards_and_the_next_request_waits() {
    let (limiter, clock) = limiter();
    let limit = [applied("a", "bytes", "100B/min")];
    limiter.take(&limit).unwrap().end(99);
    limiter.take(&limit).unwrap().end(51);
    let wait = limiter.take(&limit).unwrap_err().wait.unwrap();
    assert!(wait > Duration::from_secs(29) && wait <= Duration::from_secs(31), "{wait:?}");
    clock.advance(wait + Duration::from_millis(1));
    limiter.take(&limit).unwrap().end(u64::MAX);
    assert!(limiter.take(&limit).is_err(), "a number that is too large stays a number");
}

#[test]
fn a_vendor_that_says_too_many_holds_requests_back_for_ten_minutes_at_most() {
    let (limiter, clock) = limiter();
    let limit = [applied("a", "requests", "60/min"), applied("a", "at_once", "9")];
    limiter.take(&limit).unwrap().slow_down(Duration::from_secs(30));
    let wait = limiter.take(&limit).unwrap_err().wait.unwrap();
    assert_eq!(wait, Duration::from_secs(30));
    clock.advance(wait);
    limiter.take(&limit).unwrap().slow_down(Duration::from_hours(48));
    assert_eq!(limiter.take(&limit).unwrap_err().wait, Some(SLOWED));
}

#[test]
fn what_was_used_is_used_after_a_restart_too() {
    let folder = crate::base::short_folder();
    let file = folder.path().join("limits.json");
    let limit = [applied("a", "requests", "2/day"), applied("a", "bytes", "10B/day"), applied("a", "at_once", "1")];
    let (before, clock) = limiter();
    before.take(&limit).unwrap().end(4);
    before.take(&limit[..1]).unwrap();
    before.save(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    before.save(&file).unwrap();
    assert!(!file.exists(), "nothing has changed since");
    before.take(&limit[2..]).unwrap().end(0);
    before.save(&file).unwrap();

    // The machine was started anew, and an hour has passed.
    let later = Clock::manual(clock.now().plus(Duration::from_hours(1)));
    let after = Limiter::new(later.clone());
    after.load(&file).unwrap();
    let wait = after.take(&limit).unwrap_err().wait.unwrap();
    assert_eq!(wait, Duration::from_hours(11));
    later.advance(wait);
    after.take(&limit).unwrap();

    // A clock that was set back makes nobody wait longer.
    let back = Limiter::new(Clock::manual(Timestamp::from_millis(-9_000_000_000)));
    back.load(&file).unwrap();
    assert_eq!(back.take(&limit).unwrap_err().wait, Some(Duration::from_hours(12)));

    for broken in ["", "{", "[]", "{\"written_at\":1}"] {
        std::fs::write(&file, broken).unwrap();
        assert!(back.load(&file).is_err(), "{broken}");
    }
    std::fs::remove_file(&file).unwrap();
    back.load(&file).unwrap();
}

#[test]
fn many_at_the_same_time_get_no_more_than_there_is() {
    let (limiter, _) = limiter();
    let limits =
        [applied("b", "requests", "40/day"), applied("a", "requests", "30/day"), applied("c", "at_once", "99")];
    let start = Barrier::new(4);
    let given: usize = std::thread::scope(|scope| {
        let each = |from: usize| {
            let (limiter, limits, start) = (&limiter, &limits, &start);
            scope.spawn(move || {
                let mut turned = limits.clone();
                turned.rotate_left(from % 3);
                start.wait();
                (0..50).filter(|_| limiter.take(&turned).is_ok()).count()
            })
        };
        let all: Vec<_> = (0..4).map(each).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(given, 30);
}

#[test]
fn what_an_answer_says_was_used_may_be_more_than_is_left() {
    let (limiter, clock) = limiter();
    let meter = Arc::new(Meter::new("tokens", &["/n"], false).unwrap());
    let limit = [
        Applied { reads: vec![Arc::clone(&meter)], ..applied("a", "tokens", "100/min") },
        applied("a", "requests", "9/min"),
    ];
    let taken = limiter.take(&limit).unwrap();
    assert_eq!(taken.meters(), [Arc::clone(&meter)]);
    let usage = |name: &str, amount| {
        let meter = Arc::new(Meter::new(name, &["/n"], false).unwrap());
        Usage { model: None, amounts: vec![(meter, Some(amount))] }
    };
    assert!(taken.used(&usage("other", 1000), false).is_empty());
    assert_eq!(taken.used(&usage("tokens", 99), false), ["tokens 99"]);
    taken.end(0);
    let taken = limiter.take(&limit).unwrap();
    taken.used(&usage("tokens", 101), true);
    taken.end(0);
    let wait = limiter.take(&limit).unwrap_err().wait.unwrap();
    assert!(wait > Duration::from_secs(59) && wait <= Duration::from_secs(61), "{wait:?}");
    clock.advance(wait + Duration::from_millis(1));
    let taken = limiter.take(&limit).unwrap();
    taken.used(&usage("tokens", u64::MAX), false);
    taken.used(&usage("tokens", u64::MAX), false);
    assert!(limiter.take(&limit).is_err(), "a number that is too large stays a number");
}
