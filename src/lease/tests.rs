//! The table as its users see it: who finds what, until when, and what is left after a restart.

mod strays;

use std::{
    collections::BTreeSet,
    sync::{Arc, Barrier},
    time::Duration,
};

use super::{book::MAX_ENDED, *};
use crate::{
    base::{Clock, CutReason, HashKey, LeaseId, SessionId, TimeToLive, Timestamp},
    recipe::{Alphabet, TokenShape},
};

const HOUR: Duration = Duration::from_hours(1);

fn clock() -> Clock {
    Clock::manual(Timestamp::from_millis(1_764_000_000_000))
}

fn table() -> (Clock, LeaseTable) {
    let clock = clock();
    (clock.clone(), LeaseTable::new(clock, HashKey::generate()))
}

fn new(secret: &str, client: &str) -> NewLease {
    let scope = Scope { service: "github".parse().unwrap(), credential: "token".into() };
    NewLease {
        secret: secret.parse().unwrap(),
        right: Right::Token(scope),
        client: client.parse().unwrap(),
        session: None,
        asked_by: AskedBy::default(),
        ttl: TimeToLive::HOUR,
        terms: Terms::default(),
        shape: TokenShape::new("ghp_", Alphabet::Base62, 31).unwrap(),
    }
}

fn issue(table: &LeaseTable, new: NewLease) -> (Arc<Lease>, String) {
    let issued = table.issue(new).unwrap();
    (issued.lease, issued.token.unwrap().expose().to_owned())
}

/// What `find` says, in a word.
fn find(table: &LeaseTable, token: &str) -> String {
    match table.find(token.as_bytes()) {
        Found::Live(lease) => format!("live {}", lease.id),
        Found::Ended(reason) => reason.as_str().to_owned(),
        Found::Unknown => "unknown".to_owned(),
    }
}

#[test]
fn a_lease_is_found_by_its_token_until_it_is_revoked() {
    let (_, table) = table();
    let (lease, token) = issue(&table, new("gh", "agent"));
    let watch = lease.watch();
    assert_eq!(find(&table, &token), format!("live {}", lease.id));
    assert_eq!(table.get(&lease.id).unwrap().secret.as_str(), "gh");
    assert_eq!(watch.reason(), None);
    assert!(table.revoke(&lease.id, CutReason::Killed).is_some());
    assert_eq!((find(&table, &token).as_str(), watch.reason()), ("killed", Some(CutReason::Killed)));
    assert!(table.get(&lease.id).is_none() && table.list().is_empty());
    assert!(table.revoke(&lease.id, CutReason::Revoked).is_none(), "it ends once");
    assert!(table.revoke(&LeaseId::generate(), CutReason::Revoked).is_none());
}

#[test]
fn a_lease_lives_exactly_as_long_as_was_asked() {
    let table = LeaseTable::new(Clock::system(), HashKey::generate());
    let raw = NewLease { right: Right::Raw, ..new("gh", "agent") };
    let began = Clock::system().now();
    while Clock::system().now().since(began) < Duration::from_millis(250) {
        // a system clock that ticks between two looks at it was told as `59m59s999ms`
        let lease = table.issue(raw.clone()).unwrap().lease;
        assert_eq!(lease.deadline.wall().since(lease.created_at), HOUR);
    }
}

#[test]
fn attack_43_only_the_whole_token_is_one() {
    let (_, table) = table();
    let (_, token) = issue(&table, new("gh", "agent"));
    let mut swapped = token.clone().into_bytes();
    swapped.swap(4, 30);
    let longer = format!("{token}{token}");
    let variants = [
        &token[1..],
        &token[..30],
        &format!("{token}a"),
        &format!(" {token}"),
        &format!("G{}", &token[1..]),
        &longer,
        "",
    ];
    for text in variants {
        assert_eq!(find(&table, text), "unknown", "{text}");
    }
    assert!(swapped == token.as_bytes() || matches!(table.find(&swapped), Found::Unknown));
}

#[test]
fn attack_48_a_saved_table_holds_no_token_and_keys_differ() {
    let (_, table) = table();
    let (_, token) = issue(&table, new("gh", "agent"));
    let bytes = table.snapshot().to_bytes().unwrap();
    let saved = String::from_utf8(bytes.to_vec()).unwrap();
    assert!(!saved.contains(&token) && !saved.contains(&token[4..14]));
    let other = LeaseTable::new(clock(), HashKey::generate());
    assert_eq!(find(&other, &token), "unknown");
    assert!(!format!("{:?} {table:?}", table.snapshot()).contains(&crate::base::hex(table.0.key.expose())));
}

#[test]
fn attack_106_the_earlier_of_two_clocks_ends_a_lease() {
    let (clock, table) = table();
    let (lease, token) = issue(&table, new("gh", "agent"));
    clock.set_wall(Timestamp::from_millis(0)); // set back: the monotonic end holds
    clock.advance(Duration::from_millis(3_599_999));
    assert_eq!(find(&table, &token), format!("live {}", lease.id));
    assert_eq!(table.until_next_end(), Some(Duration::from_millis(1)));
    clock.advance(Duration::from_millis(1));
    assert_eq!(find(&table, &token), "expired", "before it is swept");
    assert!(table.get(&lease.id).is_none() && table.list().is_empty());

    let (second, other) = issue(&table, new("gl", "agent"));
    clock.set_wall(clock.now().plus(HOUR)); // set forward: the wall end holds
    assert_eq!((find(&table, &other).as_str(), table.until_next_end()), ("expired", Some(Duration::ZERO)));
    let swept: BTreeSet<_> = table.sweep().iter().map(|lease| lease.id).collect();
    assert_eq!(swept, BTreeSet::from([lease.id, second.id]));
    assert_eq!(lease.watch().reason(), Some(CutReason::Expired));
    assert_eq!((table.sweep().len(), table.until_next_end()), (0, None));
    assert_eq!((find(&table, &token).as_str(), find(&table, &other).as_str()), ("expired", "expired"));
}

#[test]
fn a_lease_that_ran_out_is_cut_by_a_revocation_and_reported_by_the_sweep() {
    let (clock, table) = table();
    let (lease, token) = issue(&table, new("gh", "agent"));
    clock.advance(HOUR);
    assert!(table.revoke_where(|_| true, CutReason::Killed).is_empty());
    assert_eq!(lease.watch().reason(), Some(CutReason::Expired), "no exchange goes on until the sweep");
    assert_eq!(table.sweep().len(), 1);
    assert_eq!(find(&table, &token), "expired");
}

#[test]
fn leasing_again_replaces_the_earlier_lease_of_the_same_thing_only() {
    let (_, table) = table();
    let session = SessionId::generate();
    let raw = || NewLease { right: Right::Raw, ..new("gh", "agent") };
    let other_scope = || {
        let scope = Scope { service: "github".parse().unwrap(), credential: "app".into() };
        NewLease { right: Right::Token(scope), ..new("gh", "agent") }
    };
    let in_session = || NewLease { session: Some(session), ..new("gh", "agent") };
    let kinds: [&dyn Fn() -> NewLease; 6] =
        [&|| new("gh", "agent"), &|| new("gh", "other"), &|| new("gl", "agent"), &raw, &other_scope, &in_session];
    let first: Vec<_> = kinds.iter().map(|kind| table.issue(kind()).unwrap()).collect();
    assert!(first.iter().all(|issued| issued.replaced.is_none()));
    assert_eq!(first.iter().filter(|issued| issued.token.is_none()).count(), 1, "only the raw one has no token");
    for (kind, before) in kinds.iter().zip(&first) {
        let again = table.issue(kind()).unwrap();
        assert_eq!(again.replaced.unwrap().id, before.lease.id);
        assert_eq!(before.lease.watch().reason(), Some(CutReason::Revoked));
        if let Some(token) = &before.token {
            assert_eq!(find(&table, token.expose()), "revoked");
        }
    }
    assert_eq!(table.list().len(), kinds.len());
}

#[test]
fn an_expired_lease_is_not_replaced_but_swept() {
    let (clock, table) = table();
    let (lease, _) = issue(&table, new("gh", "agent"));
    clock.advance(HOUR);
    assert!(table.issue(new("gh", "agent")).unwrap().replaced.is_none());
    assert_eq!(table.sweep().iter().map(|l| l.id).collect::<Vec<_>>(), [lease.id]);
    assert!(table.issue(new("gh", "agent")).unwrap().replaced.is_some(), "the holder is still known");
}

#[test]
fn a_session_ends_with_all_its_leases_and_no_others() {
    let (_, table) = table();
    let session = SessionId::generate();
    let mine: Vec<_> = ["a", "b", "c"]
        .map(|secret| issue(&table, NewLease { session: Some(session), ..new(secret, "agent") }))
        .into_iter()
        .collect();
    let (other, _) = issue(&table, new("a", "agent"));
    let ended = table.revoke_where(|lease| lease.session == Some(session), CutReason::SessionEnded);
    assert_eq!(ended.len(), 3);
    for (lease, token) in mine {
        assert_eq!(lease.watch().reason(), Some(CutReason::SessionEnded));
        assert_eq!(find(&table, &token), "session_ended");
    }
    assert_eq!(table.list().iter().map(|l| l.id).collect::<Vec<_>>(), [other.id]);
}

#[test]
fn the_memory_of_ended_leases_is_bounded() {
    let (clock, table) = table();
    let (_, early) = issue(&table, new("first", "agent"));
    let (_, token) = issue(&table, new("gh", "agent"));
    let mut last = token.clone();
    table.revoke_where(|lease| lease.secret.as_str() == "first", CutReason::Revoked);
    for _ in 0..MAX_ENDED {
        last = issue(&table, new("gh", "agent")).1; // ends the one before
    }
    assert_eq!((find(&table, &early).as_str(), find(&table, &token).as_str()), ("unknown", "revoked"));
    clock.advance(HOUR * 24);
    assert_eq!(table.sweep().len(), 1);
    assert_eq!((find(&table, &token).as_str(), find(&table, &last).as_str()), ("unknown", "expired"));
}

#[test]
fn the_number_of_live_leases_is_bounded() {
    let (_, table) = table();
    let raw = |count: usize| NewLease { right: Right::Raw, ..new(&format!("s{count}"), "agent") };
    let refused = (0..).find_map(|count| table.issue(raw(count)).err().map(|error| (count, error))).unwrap();
    assert_eq!(refused, (65_536, Error::Full { max: 65_536 }));
    assert_eq!(table.list().len(), 65_536);
    assert!(table.issue(raw(7)).unwrap().replaced.is_some(), "replacing needs no room");
}

#[test]
fn attack_108_a_restart_never_lengthens_a_lease() {
    let (clock, table) = table();
    let (lease, token) = issue(&table, new("gh", "agent"));
    let (_, ended) = issue(&table, new("gl", "agent"));
    table.revoke_where(|lease| lease.secret.as_str() == "gl", CutReason::Revoked);
    let (_, session) = issue(&table, NewLease { session: Some(SessionId::generate()), ..new("gh", "agent") });
    table.issue(NewLease { right: Right::Raw, ..new("gh", "agent") }).unwrap();
    clock.advance(HOUR / 4);
    let saved = table.snapshot().to_bytes().unwrap();
    let restore = |clock: &Clock| LeaseTable::restore(clock.clone(), Snapshot::from_bytes(&saved).unwrap());

    // the machine was off for another quarter of an hour; its monotonic clock began anew
    let later = Clock::manual(clock.now().plus(HOUR / 4));
    let back = restore(&later);
    let restored = back.get(&lease.id).unwrap();
    assert_eq!((find(&back, &token), restored.created_at), (format!("live {}", lease.id), lease.created_at));
    assert_eq!(restored.deadline.remaining(&later), HOUR / 2);
    assert_eq!((find(&back, &ended).as_str(), find(&back, &session).as_str()), ("revoked", "session_ended"));
    assert_eq!(back.list().len(), 2, "the lease and the record of the raw value");
    assert_eq!(back.issue(new("gh", "agent")).unwrap().replaced.unwrap().id, lease.id, "its holder is known");

    // set back by ten years while it was off: what was left stays the bound
    let earlier = Clock::manual(Timestamp::from_millis(1_400_000_000_000));
    let back = restore(&earlier);
    assert_eq!(back.get(&lease.id).unwrap().deadline.remaining(&earlier), HOUR * 3 / 4);
    assert_eq!(back.until_next_end(), Some(HOUR * 3 / 4));
    earlier.advance(HOUR * 3 / 4);
    assert_eq!(find(&back, &token), "expired");

    let back = restore(&Clock::manual(clock.now().plus(HOUR * 3 / 4)));
    assert_eq!((back.list().len(), find(&back, &token).as_str()), (0, "expired"));
}

#[test]
fn what_a_lease_gave_up_is_saved_with_it() {
    let (clock, table) = table();
    let terms = Terms {
        environment: Some("dev".parse().unwrap()),
        caps: Some(Vec::new()),
        only: vec![("repo".into(), vec!["acme/*".into()]), ("repo".into(), Vec::new())],
        limits: vec![("requests".into(), "5/min".into())],
    };
    let (lease, _) = issue(&table, NewLease { terms: terms.clone(), ..new("gh", "agent") });
    let (plain, _) = issue(&table, new("gl", "agent"));
    let saved = table.snapshot().to_bytes().unwrap();
    let back = LeaseTable::restore(clock, Snapshot::from_bytes(&saved).unwrap());
    assert_eq!(back.get(&lease.id).unwrap().terms, terms);
    assert_eq!(back.get(&plain.id).unwrap().terms, Terms::default());
    let text = String::from_utf8(saved.to_vec()).unwrap();
    assert_eq!(text.matches("\"terms\"").count(), 1, "a lease that gave up nothing is saved as ever: {text}");
    let wider = text.replacen("\"caps\"", "\"cap\"", 1);
    assert!(Snapshot::from_bytes(wider.as_bytes()).is_err(), "what is not understood is not left out");
}

#[test]
fn saved_leases_that_make_no_sense_are_refused() {
    let (_, table) = table();
    issue(&table, new("gh", "agent"));
    let saved = String::from_utf8(table.snapshot().to_bytes().unwrap().to_vec()).unwrap();
    let newer = saved.replacen("\"version\":1", "\"version\":2", 1);
    assert_eq!(Snapshot::from_bytes(newer.as_bytes()).unwrap_err(), Error::SnapshotVersion(2));
    let unknown = saved.replacen("\"leases\"", "\"more\":1,\"leases\"", 1);
    for text in ["", "[]", "{}", &saved[..saved.len() - 1], &unknown] {
        assert!(matches!(Snapshot::from_bytes(text.as_bytes()), Err(Error::Snapshot(_))), "{text}");
    }
}

#[tokio::test]
async fn an_earlier_end_wakes_the_sweeper_and_none_is_missed() {
    let (_, table) = table();
    issue(&table, new("gh", "agent")); // before the wait: it must not be lost
    table.changed().await;
    assert_eq!(table.until_next_end(), Some(HOUR));
    let waiter = tokio::spawn({
        let table = table.clone();
        async move { table.changed().await }
    });
    issue(&table, NewLease { ttl: "1s".parse().unwrap(), ..new("gl", "agent") });
    waiter.await.unwrap();
    assert_eq!(table.until_next_end(), Some(Duration::from_secs(1)));

    let seen = table.revision();
    assert!(table.revoke_where(|_| false, CutReason::Revoked).is_empty());
    assert_eq!(table.revision(), seen, "nothing changed");
    table.revoke_where(|_| true, CutReason::Revoked);
    assert!(table.changed_since(seen).await > seen);
}

#[test]
fn two_hundred_clients_lose_and_double_nothing() {
    const CLIENTS: usize = 200;
    const THREADS: usize = 8;
    let (_, table) = table();
    let start = Barrier::new(THREADS);
    let left: Vec<(LeaseId, String)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|worker| {
                let (table, start) = (&table, &start);
                scope.spawn(move || {
                    start.wait();
                    let mine = (worker..CLIENTS).step_by(THREADS);
                    mine.filter_map(|client| work(table, &format!("client-{client}"))).collect::<Vec<_>>()
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    let expected: BTreeSet<_> = left.iter().map(|(id, _)| *id).collect();
    let listed: Vec<_> = table.list().iter().map(|lease| lease.id).collect();
    assert_eq!((listed.len(), listed.into_iter().collect::<BTreeSet<_>>()), (CLIENTS / 2, expected));
    for (id, token) in left {
        assert_eq!(find(&table, &token), format!("live {id}"));
    }
}

/// One client leases one secret over and over, checks every answer, and ends every other time with nothing.
fn work(table: &LeaseTable, client: &str) -> Option<(LeaseId, String)> {
    let mut before: Option<(LeaseId, String)> = None;
    for _ in 0..5 {
        let issued = table.issue(new("shared", client)).unwrap();
        let token = issued.token.unwrap().expose().to_owned();
        assert_eq!(issued.replaced.map(|lease| lease.id), before.as_ref().map(|(id, _)| *id));
        assert_eq!(find(table, &token), format!("live {}", issued.lease.id));
        if let Some((_, old)) = before {
            assert_eq!(find(table, &old), "revoked");
        }
        before = Some((issued.lease.id, token));
    }
    let number: usize = client.rsplit('-').next().unwrap().parse().unwrap();
    if number.is_multiple_of(2) {
        return before;
    }
    assert_eq!(table.revoke_where(|lease| lease.client.as_str() == client, CutReason::Revoked).len(), 1);
    None
}

#[test]
fn one_holder_leasing_from_many_threads_has_one_lease() {
    let (_, table) = table();
    let issued: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| (0..50).map(|_| table.issue(new("gh", "agent")).unwrap()).collect::<Vec<_>>()))
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    let live = table.list();
    assert_eq!(live.len(), 1);
    let mut ended: BTreeSet<_> = issued.iter().filter_map(|issued| issued.replaced.as_ref()).map(|l| l.id).collect();
    assert_eq!(ended.len(), 399, "each but the last was replaced, and reported, once");
    ended.insert(live[0].id);
    assert_eq!(ended, issued.iter().map(|issued| issued.lease.id).collect());
}
