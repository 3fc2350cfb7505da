//! While it is latched nothing is leased and nothing is forwarded, each answer says why, and no restart changes that.

use std::{
    sync::{Arc, Barrier},
    time::Duration,
};

use leasehold::{
    audit,
    base::{Clock, FileLock, Home, SecretName},
    control::{Client, Error, FailureCode, LeaseSecret, LeaseToken, OpenSession, ResetKill, SessionSecret, TripKill},
    daemon::{self, Options, Running, Settings},
    killswitch::{KillSwitch, Plan, Step, Tripper},
};

use crate::{
    failed,
    house::{AUTHORITY, HOST, House},
    kill,
    kit::{H1, H2, assert_paired, assert_problem, bearer, get},
    steps,
    support::{Answer, RawClient, until},
};

async fn control(house: &House) -> Client {
    Client::connect(&house.home.socket(), Duration::from_mins(1)).await.unwrap()
}

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(answered: Result<T, Error>) {
    let Err(Error::Failed(failure)) = answered else { panic!("{answered:?}") };
    assert_eq!(
        (failure.code, failure.fix.as_deref()),
        (FailureCode::Killed, Some("secrets kill --reset")),
        "{failure}"
    );
    assert!(failure.message.contains("by the operator"), "it says why: {failure}");
}

#[tokio::test]
async fn attack_120_while_latched_no_lease_is_issued_and_no_session_opened() {
    let house = House::new().await;
    kill(&house, Plan::default()).await;
    let mut control = control(&house).await;
    let (name, client) = ("acme_key".parse().unwrap(), "agent".parse().unwrap());
    let raw = LeaseSecret { secret_name: name, client_id: client, ttl: None };
    let (name, client) = (raw.secret_name.clone(), raw.client_id.clone());
    assert_refused(control.call(raw).await);
    assert_refused(control.call(LeaseToken::of(name.clone(), client)).await);
    let secrets = vec![SessionSecret { name, env_var: None, ttl: None }];
    let open = OpenSession { client_id: None, secrets, project_dir: "/".into(), ..OpenSession::default() };
    assert_refused(control.call(open).await);
    assert!(house.broker().leases().list().is_empty());
    assert_eq!(house.broker().session_count(), 0);
    for (action, attempts) in [("lease_acquire", 1), ("secret_reveal", 1), ("session_open", 0)] {
        let records = house.records_of(action);
        assert!(records.len() == attempts && records.iter().all(|record| !record.success), "{action}: {records:?}");
    }
}

#[tokio::test]
async fn attack_120_while_latched_no_request_is_forwarded_and_every_answer_says_why() {
    let house = House::new().await;
    let lease = bearer(&house.lease());
    assert_eq!(get(&house, H1, "/echo", &[("Authorization", &lease)]).await.status, 200);
    let mut before = house.http1().await; // a tunnel that was open
    kill(&house, Plan::default()).await;

    let mut answers: Vec<(&str, Answer)> = Vec::new();
    for (what, headers) in [
        ("a lease", &[("Authorization", lease.as_str())][..]),
        ("nothing", &[]),
        ("a key of its own", &[("Authorization", "Bearer my-own-key")]),
        ("an unknown lease", &[("Authorization", "Bearer lse_00000000000000000000000000000000000000000000")]),
    ] {
        answers.push((what, before.get(HOST, "/echo", headers).await));
    }
    for (what, line) in [
        ("a tunnel to its host", format!("CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n\r\n")),
        ("a tunnel to any host", "CONNECT tunnel.test:443 HTTP/1.1\r\nHost: tunnel.test:443\r\n\r\n".to_owned()),
        ("clear text", "GET http://tunnel.test/ HTTP/1.1\r\nHost: tunnel.test\r\n\r\n".to_owned()),
        ("the proxy itself", "GET / HTTP/1.1\r\nHost: proxy\r\n\r\n".to_owned()),
        ("foreign credentials", "CONNECT x.test:443 HTTP/1.1\r\nProxy-Authorization: Basic YTpi\r\n\r\n".to_owned()),
    ] {
        let mut client = RawClient::connect(house.proxy()).await;
        client.write(line).await;
        answers.push((what, client.read_answer().await));
    }
    for (what, answer) in &answers {
        assert_problem(answer, 503, "killed");
        let problem = answer.json();
        let (detail, fix) = (problem["detail"].as_str().unwrap(), problem["fix"].as_str());
        assert!(detail.contains("by the operator: a test told it to"), "{what}: {detail}");
        assert_eq!(fix, Some("secrets kill --reset"), "{what}");
    }
    assert_eq!(house.origin.requests().len(), 1, "what came before the latch, and nothing more");
    let records = house.records();
    let refused = records.iter().filter(|record| record.action.ends_with("_refused"));
    let refused: Vec<_> = refused.map(|record| (record.code.as_deref(), record.status)).collect();
    assert_eq!(refused, vec![(Some("killed"), Some(503)); answers.len()]);
    assert_paired(&records);
}

#[tokio::test]
async fn a_reset_lets_new_leases_work_and_old_ones_stay_ended() {
    let house = House::new().await;
    let old = bearer(&house.lease());
    let mut control = control(&house).await;
    let killed = control.call(TripKill::default()).await.unwrap();
    assert!(killed.success && killed.leases_revoked == 1, "{killed:?}");
    let done = control.call(ResetKill {}).await.unwrap();
    assert!(done.message.contains("ready again") && done.message.contains("by the operator"), "{}", done.message);
    let answer = get(&house, H2, "/echo", &[("authorization", &old)]).await;
    assert_problem(&answer, 503, "killed");
    assert!(answer.json()["fix"].as_str().unwrap().contains("secrets exec"), "{answer:?}");
    let new = bearer(&house.lease());
    assert_eq!(get(&house, H2, "/echo", &[("authorization", &new)]).await.status, 200);
    let records = house.records();
    assert_eq!(steps(&records), ["latch", "revoke_all", "cut", "keep", "reset"]);
    assert_eq!(house.origin.requests().len(), 1);
    assert!(control.call(ResetKill {}).await.unwrap().message.contains("already"));
}

#[tokio::test]
async fn attack_120_twice_is_the_same() {
    let house = House::new().await;
    house.lease();
    let first = kill(&house, Plan::default()).await;
    let second = kill(&house, Plan::default()).await;
    assert_eq!((first.leases, second.leases), (1, 0));
    assert_eq!(first.trip, second.trip, "it is tripped since the first time");
    assert_eq!((failed(&first), failed(&second)), (vec![], vec![]));
}

#[tokio::test]
async fn the_latch_alone_refuses_whatever_lives() {
    let house = House::new().await;
    let lease = bearer(&house.lease());
    let mut before = house.http1().await;
    house.broker().kill_switch().pull(Tripper::Operator, "a test told it to"); // and nothing is revoked or cut yet
    assert_eq!(house.broker().leases().list().len(), 1);
    assert_problem(&before.get(HOST, "/echo", &[("Authorization", &lease)]).await, 503, "killed");
    let permit = house.broker().authorize(lease.trim_start_matches("Bearer ").as_bytes(), None);
    assert_eq!(permit.err().unwrap().code.as_str(), "killed");
    let issued = house.broker().issue_token(
        &"acme_key".parse().unwrap(),
        &"b".parse().unwrap(),
        None,
        &leasehold::broker::Asked::default(),
    );
    assert!(issued.err().unwrap().to_string().contains("kill switch"));
    assert!(house.origin.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn attack_120_whoever_races_the_latch_holds_nothing_afterwards() {
    let house = House::new().await;
    let (name, go) = ("acme_key".parse::<SecretName>().unwrap(), Arc::new(Barrier::new(9)));
    let racer = |at: usize| {
        let (broker, name, go) = (Arc::clone(house.broker()), name.clone(), Arc::clone(&go));
        move || {
            let mut held = Vec::new();
            go.wait();
            for turn in 0.. {
                let client = format!("agent-{at}-{turn}").parse().unwrap();
                match broker.issue_token(&name, &client, None, &leasehold::broker::Asked::default()) {
                    Ok(issued) => held.extend(broker.authorize(issued.token.expose().as_bytes(), None).ok()),
                    Err(error) => return (held, error.to_string()),
                }
            }
            unreachable!("it ends with the first refusal")
        }
    };
    let racers: Vec<_> = (0..8).map(|at| std::thread::spawn(racer(at))).collect();
    go.wait();
    until("some have leases", || house.broker().leases().list().len() > 8).await;
    assert_eq!(failed(&kill(&house, Plan::default()).await), []);
    for racer in racers {
        let (held, why) = racer.join().unwrap();
        assert!(why.contains("kill switch"), "{why}");
        assert!(held.iter().all(|permit| permit.watch().reason().is_some()), "whoever got a permit was cut");
    }
    assert!(house.broker().leases().list().is_empty());
}

#[tokio::test]
async fn a_step_that_fails_does_not_stop_the_next_and_is_recorded() {
    let house = House::new().await;
    house.lease();
    std::fs::create_dir(house.home.kill_state()).unwrap(); // the latch cannot be written
    let report = kill(&house, Plan { rotate: false, wipe: true }).await;
    assert_eq!(failed(&report), [Step::Keep]);
    assert!(report.tried(Step::WipeStore) && !house.home.identity().exists());
    assert!(house.broker().kill_switch().is_tripped());
    let records = house.records_of("killswitch");
    let keep = records.iter().find(|record| record.details.as_deref() == Some("keep")).unwrap();
    assert_eq!((keep.success, keep.outcome.as_deref()), (false, Some("failed")));
    assert!(keep.error.as_deref().unwrap().contains("kill.json"), "{keep:?}");
}

/// The next daemon of a home whose last one ended without its drain.
async fn after_crash(home: &Home) -> Running {
    let is_gone = || std::os::unix::net::UnixStream::connect(home.socket()).is_err();
    until("the last one is gone", || is_gone() && FileLock::try_acquire(&home.daemon_lock()).is_ok()).await;
    let settings = Settings::load(home, None).unwrap();
    daemon::build(&Options::new(home, settings), Clock::system()).await.unwrap()
}

#[tokio::test]
async fn attack_120_it_is_still_latched_after_a_crash_and_no_lease_comes_back() {
    let mut house = House::new().await;
    let lease = bearer(&house.lease());
    // Somebody latches the file, and the daemon crashes before it looks: its leases are still on disk.
    let switch = KillSwitch::open(house.home.kill_state(), Clock::system());
    switch.pull(Tripper::Operator, "a test told it to");
    switch.keep().unwrap();
    drop(house.running);
    house.running = after_crash(&house.home).await;
    assert!(house.broker().kill_switch().is_tripped());
    assert!(house.broker().leases().list().is_empty());
    assert_problem(&RawClient::connect(house.proxy()).await.ask_connect(AUTHORITY).await, 503, "killed");
    assert_eq!(house.records_of("lease_revoke").last().unwrap().reason.as_deref(), Some("killed"));

    house.broker().reset_kill().unwrap();
    drop(house.running);
    house.running = after_crash(&house.home).await;
    assert!(!house.broker().kill_switch().is_tripped(), "a reset survives too");
    let answer = get(&house, H1, "/echo", &[("Authorization", &lease)]).await;
    assert!(answer.status == 403 || answer.status == 503, "nor does it come back then: {answer:?}");
    assert!(house.origin.requests().is_empty());
    assert!(audit::verify(&house.home.audit()).unwrap().is_whole());
}

#[tokio::test]
async fn a_damaged_state_means_tripped_and_says_so() {
    let mut house = House::new().await;
    std::fs::write(house.home.kill_state(), "{\"version\":1,").unwrap();
    drop(house.running);
    house.running = after_crash(&house.home).await;
    let answer = RawClient::connect(house.proxy()).await.ask_connect(AUTHORITY).await;
    assert_problem(&answer, 503, "killed");
    assert!(answer.json()["detail"].as_str().unwrap().contains("kill.json"), "{answer:?}");
    let mut control = control(&house).await;
    control.call(ResetKill {}).await.unwrap();
    let lease = bearer(&house.lease());
    assert_eq!(get(&house, H1, "/echo", &[("Authorization", &lease)]).await.status, 200);
}
