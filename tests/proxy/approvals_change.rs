//! What changes while a person is asked: policy, the kill switch, and how many others are asked about.

use leasehold::{
    broker::{Answer, Ask, Waiting},
    killswitch::{Plan, Tripper},
    policy::Remember,
};

use crate::{
    approvals::{BODY, bank, grant, lease_of_another, me, regrant, send, waiting},
    house::House,
    kit::{H1, H2, assert_paired, assert_problem, records},
    support::{self, Answer as Reply, Speaks},
};

const USUAL: &str = "allow = [\"read\"]\nask = [\"transfer\", \"note\"]\n";

/// Holds a transfer, changes the grants, and allows it.
async fn allowed_after(house: &House, alpn: &[&[u8]], lease: &str, grants: &str) -> Reply {
    let person = async {
        let entry = waiting(house).await;
        regrant(house, grants);
        house.broker().answer_approval(&entry.id, Answer::Allow(Remember::Never), &me()).unwrap();
    };
    tokio::join!(send(house, alpn, "POST", "/echo", lease, BODY), person).0
}

#[tokio::test]
async fn what_policy_denies_by_the_time_of_the_answer_is_denied() {
    let denied = grant("allow = [\"read\"]\nask = [\"note\"]");
    for (grants, code) in [(denied.as_str(), "cap_denied"), ("", "no_grant")] {
        for alpn in [H1, H2] {
            let (house, lease) = bank(Speaks::Both, "", "").await;
            let answer = allowed_after(&house, alpn, &lease, grants).await;
            assert_problem(&answer, 403, code);
            assert!(house.origin.requests().is_empty(), "nothing left");
            let refused = house.records_of("request_refused");
            assert_eq!((refused.len(), refused[0].code.as_deref()), (1, Some(code)), "{refused:?}");
            assert!(refused[0].details.as_deref().unwrap().starts_with("approval "), "{refused:?}");
            assert_eq!(house.records_of("approval_allowed").len(), 1);
            assert_paired(&records(house.broker(), &house.home));
        }
    }
}

#[tokio::test]
async fn what_would_ask_otherwise_than_was_shown_is_asked_again_and_what_asks_less_passes() {
    let (house, lease) = bank(Speaks::Both, "", "").await;
    let two = grant(&format!("{USUAL}approve = {{ quorum = 2 }}"));
    let answer = allowed_after(&house, H1, &lease, &two).await;
    assert_problem(&answer, 403, "needs_approval");
    assert_eq!(answer.json()["fix"], "send the request again");
    assert_eq!(answer.json()["capability"], "transfer");
    assert!(house.origin.requests().is_empty());

    regrant(&house, &grant(USUAL));
    let answer = allowed_after(&house, H1, &lease, &grant("allow = [\"read\", \"transfer\"]")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(house.origin.only_request().body, BODY.as_bytes());
    house.ended(1).await;
    assert_paired(&records(house.broker(), &house.home));
}

#[tokio::test]
async fn limits_of_the_time_of_the_answer_count_what_was_held() {
    let (house, lease) = bank(Speaks::Both, "", "limit = { requests = \"5/hour\" }").await;
    assert_eq!(send(&house, H1, "GET", "/echo", &lease, "").await.status, 200);
    let lower = grant(&format!("{USUAL}limit = {{ requests = \"1/hour\" }}"));
    let answer = allowed_after(&house, H1, &lease, &lower).await;
    assert_problem(&answer, 429, "limit");
    assert_eq!(house.origin.requests().len(), 1);

    // A limit that is new counts it, and the next one is refused before anybody is asked.
    let (house, lease) = bank(Speaks::Both, "", "").await;
    let new = grant(&format!("{USUAL}limit = {{ \"cap:transfer\" = \"1/day\" }}"));
    assert_eq!(allowed_after(&house, H1, &lease, &new).await.status, 200);
    assert_problem(&send(&house, H1, "POST", "/echo", &lease, BODY).await, 429, "limit");
    assert_eq!(house.records_of("approval_asked").len(), 1);
    assert_eq!(house.origin.requests().len(), 1);
}

#[tokio::test]
async fn a_kill_refuses_everything_that_is_held_at_once_and_forgets_every_answer() {
    for by in [Tripper::Operator, Tripper::Heartbeat] {
        let (house, lease) = bank(Speaks::Both, "", "").await;
        let remember = async {
            let entry = waiting(&house).await;
            let time = Remember::For("10m".parse().unwrap());
            house.broker().answer_approval(&entry.id, Answer::Allow(time), &me()).unwrap();
        };
        let (answer, ()) = tokio::join!(send(&house, H1, "GET", "/status/200", &lease, ""), remember);
        assert_eq!(answer.status, 200, "{answer:?}");
        house.ended(1).await;

        let other = lease_of_another(&house);
        let kill = async {
            support::until("three wait", || house.broker().approvals().1.len() == 3).await;
            let held = house.broker().approvals().1;
            let report = house.broker().kill(Plan::default(), by, "a test told it to").await;
            assert!(report.steps.iter().all(|done| done.result.is_ok()), "{report:?}");
            assert!(house.broker().approvals().1.is_empty());
            let late = house.broker().answer_approval(&held[0].id, Answer::Allow(Remember::Never), &me());
            assert!(late.unwrap_err().to_string().ends_with("the kill switch was tripped"));
        };
        let (first, second, third, ()) = tokio::join!(
            send(&house, H1, "POST", "/echo", &lease, BODY),
            send(&house, H2, "POST", "/echo", &lease, BODY),
            send(&house, H1, "POST", "/echo", &other, BODY),
            kill
        );
        for answer in [first, second, third] {
            assert_problem(&answer, 503, "killed");
        }
        let withdrawn = house.records_of("approval_withdrawn");
        assert_eq!(withdrawn.len(), 3);
        assert!(withdrawn.iter().all(|one| one.details.as_deref().unwrap().ends_with("the kill switch was tripped")));
        assert_eq!(house.records_of("request_refused").len(), 3);
        assert_eq!(house.origin.requests().len(), 1, "only what was allowed before");
        assert_paired(&records(house.broker(), &house.home));

        house.broker().reset_kill().unwrap().unwrap();
        let lease = house.lease();
        let deny = async {
            let entry = waiting(&house).await;
            house.broker().answer_approval(&entry.id, Answer::Deny, &me()).unwrap();
        };
        let (answer, ()) = tokio::join!(send(&house, H1, "GET", "/status/200", &lease, ""), deny);
        assert_problem(&answer, 403, "approval_denied");
        assert_eq!(house.origin.requests().len(), 1);
    }
}

/// As many questions as this, like the one that is asked, of a client of this name.
fn more(house: &House, ask: &Ask, client: &str, count: usize) -> Vec<Waiting> {
    let ask = Ask { client: client.parse().unwrap(), ..ask.clone() };
    (0..count).map(|_| house.broker().hold(ask.clone()).unwrap()).collect()
}

#[tokio::test]
async fn all_clients_together_have_a_bounded_number_of_questions_and_one_cannot_have_them_all() {
    let (house, lease) = bank(Speaks::Both, "", "").await;
    let person = async {
        let ask = waiting(&house).await.ask.clone();
        let mut held = more(&house, &ask, "test-agent", 7);
        let refused = house.broker().hold(ask.clone()).err().unwrap();
        assert!(refused.detail.starts_with("8 requests of `test-agent` wait"), "{refused:?}");
        for other in 0..7 {
            held.extend(more(&house, &ask, &format!("other-{other}"), 8));
        }
        assert_eq!(house.broker().approvals().1.len(), 64);

        let another = lease_of_another(&house);
        let answer = send(&house, H1, "POST", "/echo", &another, BODY).await;
        assert_problem(&answer, 403, "needs_approval");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.starts_with("64 requests wait for approval already"), "{detail}");

        drop(held.pop()); // whoever goes frees its place
        let deny = async {
            support::until("it waits", || house.broker().approvals().1.len() == 64).await;
            let last = house.broker().approvals().1.pop().unwrap();
            house.broker().answer_approval(&last.id, Answer::Deny, &me()).unwrap();
        };
        let (answer, ()) = tokio::join!(send(&house, H1, "POST", "/echo", &another, BODY), deny);
        assert_problem(&answer, 403, "approval_denied");
        drop(held);
        let entry = waiting(&house).await;
        house.broker().answer_approval(&entry.id, Answer::Deny, &me()).unwrap();
    };
    let (answer, ()) = tokio::join!(send(&house, H1, "POST", "/echo", &lease, BODY), person);
    assert_problem(&answer, 403, "approval_denied");
    assert!(house.origin.requests().is_empty());
}
