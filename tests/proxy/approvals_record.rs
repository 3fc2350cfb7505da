//! Answers of people while the record cannot be written: nothing passes, nothing is remembered, and whoever answered knows.

use leasehold::{
    broker::{Answer, ApprovalError, Entry, Error},
    policy::Remember,
};

use crate::{
    approvals::{bank, grant, me, regrant, send, waiting},
    house::House,
    kit::{H1, assert_paired, assert_problem, records},
    support::{self, Speaks},
};

/// Takes the log away, so that no new one can be made.
fn stop_recording(house: &House) {
    let log = house.home.audit();
    std::fs::rename(&log, house.home.folder().join("moved.log")).unwrap();
    std::fs::create_dir(&log).unwrap();
    assert!(house.broker().audit().flush().is_err());
}

fn record_again(house: &House) {
    let (log, moved) = (house.home.audit(), house.home.folder().join("moved.log"));
    std::fs::remove_dir(&log).unwrap();
    std::fs::rename(moved, log).unwrap();
    house.broker().audit().flush().unwrap();
}

/// What is told when the answer to it cannot be recorded, and when somebody tries again.
fn answer_in_vain(house: &House, entry: &Entry, answer: Answer) -> String {
    let told = house.broker().answer_approval(&entry.id, answer, &me()).unwrap_err();
    assert!(matches!(told, Error::Approval(ApprovalError::Audit(_))), "{told}");
    let again = house.broker().answer_approval(&entry.id, answer, &me()).unwrap_err();
    assert!(matches!(again, Error::Approval(ApprovalError::Over { .. })), "{again}");
    again.to_string()
}

#[tokio::test]
async fn a_yes_that_cannot_be_recorded_lets_nothing_pass_and_is_not_remembered() {
    let (house, lease) = bank(Speaks::Both, "", "").await;
    let put = || send(&house, H1, "PUT", "/upload", &lease, "x");
    let person = async {
        support::until("both wait", || house.broker().approvals().1.len() == 2).await;
        stop_recording(&house);
        let [first, second] = &house.broker().approvals().1[..] else { panic!("two wait") };
        let again = answer_in_vain(&house, first, Answer::Allow(Remember::For("10m".parse().unwrap())));
        assert!(again.contains("an answer to it could not be recorded"), "{again}");
        record_again(&house);
        assert_eq!(house.broker().approvals().1.len(), 1, "the other waits on");
        house.broker().answer_approval(&second.id, Answer::Allow(Remember::Never), &me()).unwrap();
    };
    let (one, other, ()) = tokio::join!(put(), put(), person);
    let (refused, passed) = if one.status == 200 { (other, one) } else { (one, other) };
    assert_problem(&refused, 503, "audit_unavailable");
    assert_eq!((passed.status, house.origin.requests().len()), (200, 1), "{passed:?}");
    house.ended(1).await;
    let of = |action: &str| house.records_of(action).len();
    assert_eq!((of("approval_asked"), of("approval_allowed"), of("approval_denied")), (2, 1, 0));
    assert_eq!(house.records_of("request_refused")[0].code.as_deref(), Some("audit_unavailable"));
    assert_paired(&records(house.broker(), &house.home));
}

#[tokio::test]
async fn one_yes_of_two_and_a_no_that_cannot_be_recorded_end_the_question() {
    let (house, lease) = bank(Speaks::Both, "", "").await;
    regrant(&house, &grant("ask = [\"note\"]\napprove = { quorum = 2 }"));
    for (answer, status, code, told) in [
        (Answer::Allow(Remember::Never), 503, "audit_unavailable", "an answer to it could not be recorded"),
        (Answer::Deny, 403, "approval_denied", "it was denied by"),
    ] {
        let person = async {
            let entry = waiting(&house).await;
            stop_recording(&house);
            let again = answer_in_vain(&house, &entry, answer);
            assert!(again.contains(told), "{again}");
            record_again(&house);
        };
        let (refused, ()) = tokio::join!(send(&house, H1, "PUT", "/upload", &lease, "x"), person);
        assert_problem(&refused, status, code);
    }
    assert!(house.origin.connections().is_empty(), "nothing was dialled");
    let refused = || house.records_of("request_refused");
    support::until("both are recorded", || refused().len() == 2).await;
    assert!(house.records_of("approval_counted").is_empty() && house.records_of("approval_denied").is_empty());
}
