//! Questions with more than one capability, lease or person, and questions about WebSockets.

use leasehold::{
    base::{Clock, SecretBytes},
    broker::{Answer, Answerer, NewValue},
    policy::Remember,
    store::{Binding, RawReveal, RotationPlan},
};

use crate::{
    approvals::{BODY, bank, grant, me, regrant, send, waiting},
    house::{HOST, House, SECRET},
    kit::{H1, H2, Yard, assert_paired, assert_problem, records},
    support::{self, Frame, Origin, Speaks, TestCa},
};

fn minutes(time: &str) -> Answer {
    Answer::Allow(Remember::For(time.parse().unwrap()))
}

fn person(uid: u32, user: &str) -> Answerer {
    Answerer { uid, user: Some(user.to_owned()), pid: None, client: None }
}

/// Answers the next request that waits, with `deny`, and says that somebody was asked.
async fn deny_next(house: &House) {
    let entry = waiting(house).await;
    house.broker().answer_approval(&entry.id, Answer::Deny, &me()).unwrap();
}

#[tokio::test]
async fn one_answer_covers_all_capabilities_that_ask_together_and_none_of_them_alone() {
    let (house, lease) = bank(Speaks::Both, "", "").await;
    regrant(&house, &grant("ask = [\"note\", \"log\"]"));
    let allow = async {
        let entry = waiting(&house).await;
        assert_eq!(entry.ask.capabilities(), "note,log");
        house.broker().answer_approval(&entry.id, minutes("10m"), &me()).unwrap();
    };
    let (answer, ()) = tokio::join!(send(&house, H1, "PUT", "/upload", &lease, "x"), allow);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(send(&house, H1, "PUT", "/upload", &lease, "x").await.status, 200, "it is not asked again");
    assert_eq!(house.records_of("approval_asked").len(), 1);

    let (answer, ()) = tokio::join!(send(&house, H1, "POST", "/upload", &lease, "x"), deny_next(&house));
    assert_problem(&answer, 403, "approval_denied");
    assert_eq!(house.origin.requests().len(), 2);
}

#[tokio::test]
async fn two_leases_that_ask_are_one_question_with_the_stricter_answer() {
    let (house, lease) = bank(Speaks::Both, "", "").await;
    let service = house.home.policies().join("acme.toml");
    let text = std::fs::read_to_string(&service).unwrap();
    let second = "[credential.token]\ntype = \"token\"\nenv = [\"BANK_TOKEN\"]\n[[inject]]\nhost = \"api\"\nuse = \"token\"\n\
                  at = [{ header = \"x-token\" }]\n[cap.read]";
    std::fs::write(&service, text.replacen("[cap.read]", second, 1)).unwrap();
    let of_token = "[[grant]]\nservice = \"acme\"\nitem = { token = \"acme_token\" }\nask = [\"transfer\"]\n\
                    approve = { remember = \"5m\" }\n";
    let of_key = grant("ask = [\"transfer\"]\napprove = { remember = \"10m\" }");
    regrant(&house, &format!("{of_key}{of_token}"));
    let new = NewValue {
        name: "acme_token".parse().unwrap(),
        value: SecretBytes::new(b"the-REAL-second-TOKEN-0123456789".to_vec()),
        rotate_via: None,
        binding: Some(Binding { service: "acme".parse().unwrap(), credential: "token".into() }),
        raw: RawReveal::Allow,
        plan: RotationPlan::default(),
    };
    house.broker().add(new).unwrap();
    let token = house.lease_of("acme_token", None);
    let headers = [("x-api-key", lease.as_str()), ("x-token", token.as_str())];
    let both = async || house.client(H1).await.send("POST", HOST, "/echo", &headers, BODY.as_bytes()).await;
    let allow = async {
        let entry = waiting(&house).await;
        assert_eq!(entry.ask.capabilities(), "transfer,transfer", "both are shown");
        assert!(!format!("{entry:?}").contains(&token));
        let longer = house.broker().answer_approval(&entry.id, minutes("10m"), &me()).unwrap_err().to_string();
        assert!(longer.contains("for 5m at most"), "{longer}");
        house.broker().answer_approval(&entry.id, minutes("5m"), &me()).unwrap();
    };
    let (answer, ()) = tokio::join!(both(), allow);
    assert_eq!(answer.status, 200, "{answer:?}");
    let request = house.origin.only_request();
    assert_eq!(request.values("x-api-key"), [SECRET]);
    assert_eq!(request.values("x-token"), ["the-REAL-second-TOKEN-0123456789"]);
    assert_eq!(both().await.status, 200, "the same is not asked again");
    let (answer, ()) = tokio::join!(send(&house, H1, "POST", "/echo", &lease, BODY), deny_next(&house));
    assert_problem(&answer, 403, "approval_denied");
    assert_eq!(house.origin.requests().len(), 2);
}

#[tokio::test]
async fn a_websocket_is_held_before_anything_is_dialled() {
    let (house, lease) = bank(Speaks::Both, "", "").await;
    regrant(&house, &grant("ask = [\"socket\"]"));
    let headers = [("x-api-key", lease.as_str())];
    let open = async || house.http1().await.websocket(HOST, "/ws", &headers).await;
    let deny = async {
        let entry = waiting(&house).await;
        let ask = &entry.ask;
        assert_eq!((ask.origin.as_str(), ask.target.as_str()), ("wss://api.acme.test:443", "/ws"));
        assert!(ask.preview.contains("WebSocket") && ask.body_len == 0, "{ask:?}");
        house.broker().answer_approval(&entry.id, Answer::Deny, &me()).unwrap();
    };
    let (answer, ()) = tokio::join!(open(), deny);
    assert_problem(&answer.err().unwrap(), 403, "approval_denied");
    assert!(house.origin.connections().is_empty(), "nothing was dialled");

    let allow = async {
        let entry = waiting(&house).await;
        assert!(house.origin.connections().is_empty());
        house.broker().answer_approval(&entry.id, Answer::Allow(Remember::Never), &me()).unwrap();
    };
    let (socket, ()) = tokio::join!(open(), allow);
    let mut socket = socket.ok().unwrap();
    socket.send(&Frame::text("hello")).await;
    assert_eq!(socket.receive().await, Some(Frame::text("hello")));
    assert_eq!(house.origin.only_request().values("x-api-key"), [SECRET]);
    drop(socket);
    house.ended(1).await;
    assert_paired(&records(house.broker(), &house.home));
}

#[tokio::test]
async fn as_many_different_people_as_the_grant_says_must_allow_it() {
    for alpn in [H1, H2] {
        let (house, lease) = bank(Speaks::Both, "", "approve = { quorum = 2, remember = \"10m\" }").await;
        let people = async {
            let entry = waiting(&house).await;
            let first = house.broker().answer_approval(&entry.id, minutes("10m"), &person(1000, "alice")).unwrap();
            assert_eq!((first.missing(), first.tally().as_str()), (1, "1 of 2"));
            // Whatever the same user calls itself, it is one person.
            let twice = Answerer { client: Some("somebody-else".parse().unwrap()), ..person(1000, "alice") };
            let twice = house.broker().answer_approval(&entry.id, minutes("10m"), &twice).unwrap_err().to_string();
            assert!(twice.contains("by alice (uid 1000) already") && twice.contains("counts once"), "{twice}");
            assert_eq!(waiting(&house).await.tally(), "1 of 2");
            assert!(house.origin.requests().is_empty());
            let once = Answer::Allow(Remember::Never);
            let second = house.broker().answer_approval(&entry.id, once, &person(1001, "bob")).unwrap();
            assert_eq!((second.missing(), second.names().as_str()), (0, "alice (uid 1000) and bob (uid 1001)"));
        };
        let (answer, ()) = tokio::join!(send(&house, alpn, "POST", "/echo", &lease, BODY), people);
        assert_eq!(answer.status, 200, "{answer:?}");
        let counted = house.records_of("approval_counted");
        assert_eq!(counted.len(), 1);
        assert!(
            counted[0].details.as_deref().unwrap().ends_with("1 of 2, for 10m, by alice (uid 1000)"),
            "{counted:?}"
        );
        let allowed = house.records_of("approval_allowed")[0].details.clone().unwrap();
        assert!(allowed.ends_with("2 of 2, once, by alice (uid 1000); by bob (uid 1001)"), "{allowed}");

        // One of them wanted it once, so it is asked again; one who denies is enough.
        let people = async {
            let entry = waiting(&house).await;
            house.broker().answer_approval(&entry.id, minutes("10m"), &person(1000, "alice")).unwrap();
            house.broker().answer_approval(&entry.id, Answer::Deny, &person(1000, "alice")).unwrap();
            let late = house.broker().answer_approval(&entry.id, minutes("10m"), &person(1001, "bob"));
            assert!(late.unwrap_err().to_string().ends_with("it was denied by alice (uid 1000)"));
        };
        let (answer, ()) = tokio::join!(send(&house, alpn, "POST", "/echo", &lease, BODY), people);
        assert_problem(&answer, 403, "approval_denied");
        assert_eq!(house.origin.requests().len(), 1);
        house.ended(1).await;
        assert_paired(&records(house.broker(), &house.home));
    }
}

#[tokio::test]
async fn what_one_person_let_be_remembered_is_asked_again_where_two_must_allow_it_now() {
    let (house, lease) = bank(Speaks::Both, "", "").await;
    let allow = async {
        let entry = waiting(&house).await;
        house.broker().answer_approval(&entry.id, minutes("10m"), &me()).unwrap();
    };
    let (answer, ()) = tokio::join!(send(&house, H1, "GET", "/status/200", &lease, ""), allow);
    assert_eq!(answer.status, 200, "{answer:?}");
    for stricter in ["quorum = 2", "remember = \"5m\"", "remember = \"never\""] {
        regrant(&house, &grant(&format!("ask = [\"note\"]\napprove = {{ {stricter} }}")));
        let (answer, ()) = tokio::join!(send(&house, H1, "GET", "/status/200", &lease, ""), deny_next(&house));
        assert_problem(&answer, 403, "approval_denied");
    }
    assert_eq!(house.origin.requests().len(), 1);
    support::until("all ended", || house.broker().approvals().1.is_empty()).await;
}

#[tokio::test]
async fn a_quorum_is_a_number_from_one_to_sixteen() {
    let (house, _) = bank(Speaks::Both, "", "").await;
    for quorum in ["0", "17", "\"all\""] {
        let text = grant(&format!("ask = [\"note\"]\napprove = {{ quorum = {quorum} }}"));
        let policy = format!("schema = 1\nkind = \"policy\"\n{text}");
        std::fs::write(house.home.policies().join("mine.toml"), policy).unwrap();
        let errors = house.broker().live_policy().reload().unwrap_err().to_string();
        assert!(errors.contains("`quorum` is not usable"), "{errors}");
    }
}

/// The first who allows it does so within the time; on a slow machine that takes more of it.
#[tokio::test]
async fn a_quorum_that_is_half_full_when_its_time_is_over_lets_nothing_pass() {
    for within in ["500ms", "5s", "1m"] {
        let (house, lease) =
            bank(Speaks::Both, "", &format!("approve = {{ quorum = 2, within = \"{within}\" }}")).await;
        let first = async {
            let entry = waiting(&house).await;
            (house.broker().answer_approval(&entry.id, minutes("10m"), &person(1000, "alice")).ok(), entry)
        };
        let (answer, (first, entry)) = tokio::join!(send(&house, H1, "PUT", "/upload", &lease, "x"), first);
        assert_problem(&answer, 403, "needs_approval");
        assert!(house.origin.requests().is_empty(), "nothing leaves");
        if first.is_none() {
            continue; // it came too late
        }
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("1 of 2 people allowed it within"), "{detail}");
        let expired = house.records_of("approval_expired");
        assert_eq!(expired.len(), 1);
        assert_eq!(expired[0].details.as_deref(), Some(&*format!("{}, 1 of 2 people allowed it in time", entry.id)));
        assert_eq!((house.records_of("approval_counted").len(), house.records_of("approval_allowed").len()), (1, 0));
        assert_eq!((house.records_of("request_refused").len(), house.records_of("request_begun").len()), (1, 0));
        let late = house.broker().answer_approval(&entry.id, minutes("10m"), &person(1001, "bob")).unwrap_err();
        assert!(late.to_string().ends_with("its time was over"), "{late}");
        assert_paired(&records(house.broker(), &house.home));
        // What the one allowed is not remembered either.
        regrant(&house, &grant("ask = [\"note\"]\napprove = { quorum = 2, within = \"1m\" }"));
        let (answer, ()) = tokio::join!(send(&house, H1, "PUT", "/upload", &lease, "x"), deny_next(&house));
        assert_problem(&answer, 403, "approval_denied");
        return;
    }
    panic!("nobody answered in time, however long that was");
}

/// Servers differ in which of two members of one name they take, and in whether letters matter.
#[tokio::test]
async fn a_field_that_stands_twice_or_in_other_letters_is_not_shown_as_its_first_or_last() {
    let (house, lease) = bank(Speaks::Both, "", "").await;
    for (body, shown) in [
        (r#"{"amount": 1000000, "x": 1, "amount": 1}"#, "(not clear: a key stands twice in the body)"),
        (r#"{"Amount": 1000000, "amount": 1}"#, "(not clear: the body has `Amount`, in other letters)"),
        (r#"{"AMOUNT": 1000000}"#, "(not clear: the body has `AMOUNT`, in other letters)"),
        (r#"{"amount": 1} {"amount": 2}"#, "(the body is no JSON)"),
        (r#"{"amount": {"of": 12}}"#, r#"{"of":12}"#),
        ("[]", "(not in the body)"),
    ] {
        let person = async {
            let entry = waiting(&house).await;
            assert_eq!(entry.ask.shown[0], ("/amount".to_owned(), shown.to_owned()), "{body}");
            house.broker().answer_approval(&entry.id, Answer::Deny, &me()).unwrap();
        };
        let (answer, ()) = tokio::join!(send(&house, H1, "POST", "/echo", &lease, body), person);
        assert_problem(&answer, 403, "approval_denied");
    }
    assert_eq!(house.records_of("approval_denied").len(), 6);
    assert!(house.origin.requests().is_empty());
}

/// Timers stand while a machine sleeps; the time that a grant gives does not.
#[tokio::test]
async fn what_waited_while_the_machine_slept_cannot_be_allowed_after_its_time() {
    let clock = Clock::manual(Clock::system().now()); // certificates are judged by the real one
    let ca = TestCa::new();
    let origin = Origin::builder(ca.leaf_for(&[HOST])).speaks(Speaks::Both).start();
    let yard = Yard::new(&ca, &[(HOST, origin.address())], "", clock.clone()).await;
    let mut files = std::fs::read_dir(yard.home.policies()).unwrap().map(|entry| entry.unwrap().path());
    let file = files.find(|path| path.file_name().unwrap().to_str().unwrap().starts_with("grant-")).unwrap();
    let text = std::fs::read_to_string(&file).unwrap().replace("\"write\", ", "").replace(", \"write\"", "");
    std::fs::write(&file, text.replace("[\"delete\"]", "[\"delete\", \"write\"]")).unwrap();
    yard.broker().live_policy().reload().unwrap();
    let (lease, _) = crate::kit::lease(yard.broker(), None, None);
    let headers = [("authorization", crate::kit::bearer(&lease))];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    let send = async { yard.client(H1).await.send("POST", HOST, "/echo", &headers, b"x").await };
    let person = async {
        support::until("a request waits", || !yard.broker().approvals().1.is_empty()).await;
        let entry = std::sync::Arc::clone(&yard.broker().approvals().1[0]);
        clock.suspend(std::time::Duration::from_mins(3));
        let late = yard.broker().answer_approval(&entry.id, Answer::Allow(Remember::Never), &me()).unwrap_err();
        assert!(late.to_string().ends_with("does not wait any more: its time was over"), "{late}");
    };
    let (answer, ()) = tokio::join!(send, person);
    assert_problem(&answer, 403, "needs_approval");
    assert_eq!((yard.records_of("approval_expired").len(), yard.records_of("approval_allowed").len()), (1, 0));
    assert!(origin.requests().is_empty());
}
