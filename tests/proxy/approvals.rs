//! Requests that a person is asked about: held, shown, bound to what is sent, and refused without an answer.

use std::sync::Arc;

use http_body_util::Full;
use leasehold::{
    base::CutReason,
    broker::{Answer, Answerer, Around, Entry},
    policy::Remember,
};

use crate::{
    house::{AUTHORITY, HOST, House, SECRET},
    kit::{H1, H2, assert_paired, assert_problem, records, with_service},
    support::{self, Answer as Reply, Speaks},
};

const SERVICE: &str = r#"
schema = 1
kind   = "service"
id     = "acme"
name   = "Bank"
[host.api]
origin = "https://api.acme.test"
[param.account]
about = "Which"
[credential.key]
type = "token"
env  = ["BANK_KEY"]
[[inject]]
host = "api"
use  = "key"
at   = [{ header = "x-api-key" }]
[cap.read]
about = "Look"
risk  = "read"
allow = [{ method = "GET", path = "/echo" }]
[cap.transfer]
about = "Move money"
risk  = "spend"
allow = [{ method = "POST", path = "/echo" }]
show  = ["/amount", "/to", "/nothing"]
[cap.note]
about = "Write a note"
risk  = "write"
allow = [{ method = "PUT", path = "/upload" }, { method = "GET", path = "/status/{account}" }]
[cap.log]
about = "Keep a log"
risk  = "write"
allow = [{ method = "PUT", path = "/upload" }, { method = "POST", path = "/upload" }]
[cap.socket]
about = "Talk"
risk  = "write"
allow = [{ method = "GET", path = "/ws", upgrade = "websocket" }]
"#;

/// A house with the bank, whose grant allows to look and asks about transfers and notes; with `approve`, as TOML.
pub async fn bank(speaks: Speaks, settings: &str, approve: &str) -> (House, String) {
    let (house, _) = with_service(SERVICE, speaks, settings).await;
    for entry in std::fs::read_dir(house.home.policies()).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with("grant-") {
            std::fs::remove_file(path).unwrap();
        }
    }
    regrant(&house, &grant(&format!("allow = [\"read\"]\nask = [\"transfer\", \"note\"]\n{approve}")));
    let lease = house.lease();
    (house, lease)
}

/// A grant of the bank's key with these lines.
pub fn grant(lines: &str) -> String {
    format!("[[grant]]\nservice = \"acme\"\nitem = {{ key = \"acme_key\" }}\n{lines}\n")
}

/// Puts other grants in force.
pub fn regrant(house: &House, grants: &str) {
    let policy = format!("schema = 1\nkind = \"policy\"\n{grants}");
    std::fs::write(house.home.policies().join("mine.toml"), policy).unwrap();
    house.broker().live_policy().reload().unwrap();
}

pub fn me() -> Answerer {
    Answerer { uid: 1000, user: None, pid: Some(7), client: Some("person".parse().unwrap()) }
}

pub async fn waiting(house: &House) -> Arc<Entry> {
    support::until("a request waits", || !house.broker().approvals().1.is_empty()).await;
    Arc::clone(&house.broker().approvals().1[0])
}

pub async fn send(house: &House, alpn: &[&[u8]], method: &str, path: &str, lease: &str, body: &str) -> Reply {
    let headers = [("x-api-key", lease), ("content-type", "application/json")];
    let mut client = house.client(alpn).await;
    if alpn == H2 {
        let body = Full::new(bytes::Bytes::from(body.to_owned()));
        return client.h2(HOST).await.send(method, path, &headers, body).await;
    }
    client.send(method, HOST, path, &headers, body.as_bytes()).await
}

/// A lease of a client of its own.
pub fn lease_of_another(house: &House) -> String {
    crate::kit::lease(house.broker(), None, None).0
}

pub const BODY: &str = "{\"amount\": 12, \"to\": \"x\\u001b[31m\u{202e}\"}";

#[tokio::test]
async fn a_held_request_is_shown_and_sent_as_it_was_shown_when_a_person_allows_it() {
    for (alpn, speaks) in [(H1, Speaks::Http1), (H2, Speaks::Http2)] {
        let (house, lease) = bank(speaks, "", "").await;
        let answer = send(&house, alpn, "POST", "/echo?a=b", &lease, BODY);
        let person = async {
            let entry = waiting(&house).await;
            assert!(house.origin.requests().is_empty(), "nothing leaves before the answer");
            let ask = &entry.ask;
            assert_eq!((ask.method.as_str(), ask.target.as_str()), ("POST", "/echo?a=b"));
            assert_eq!((ask.origin.as_str(), ask.body_len), ("https://api.acme.test:443", BODY.len()));
            assert_eq!(ask.capabilities(), "transfer");
            let all = format!("{entry:?}");
            assert!(!all.contains(SECRET) && !all.contains(&lease), "{all}");
            assert!(!all.contains('\u{202e}') && !ask.preview.contains('\u{1b}'), "{all}");
            let shown: Vec<_> = ask.shown.iter().map(|(at, value)| (at.as_str(), value.as_str())).collect();
            assert_eq!(shown[0], ("/amount", "12"));
            assert_eq!((shown[2], ask.hash.len()), (("/nothing", "(not in the body)"), 64));
            house.broker().answer_approval(&entry.id, Answer::Allow(Remember::Never), &me()).unwrap();
            entry
        };
        let (answer, entry) = tokio::join!(answer, person);
        assert_eq!(answer.status, 200, "{answer:?}");
        let request = house.origin.only_request();
        assert_eq!((request.body.as_slice(), request.values("x-api-key")), (BODY.as_bytes(), vec![SECRET.to_owned()]));
        house.ended(1).await;
        let all = records(house.broker(), &house.home);
        let of = |action: &str| all.iter().find(|record| record.action == action).unwrap();
        let allowed = of("approval_allowed").details.clone().unwrap();
        assert!(allowed.contains("by uid 1000, pid 7, as `person`") && allowed.starts_with(&entry.id), "{allowed}");
        assert!(of("approval_asked").details.as_ref().unwrap().contains(&entry.ask.hash));
        assert_eq!(of("request_begun").details.as_deref(), Some(&*format!("approval {}", entry.id)));
        assert_eq!(of("approval_asked").request_id, of("request_begun").request_id);
        assert_eq!(of("request_begun").capability.as_deref(), Some("transfer"));
        assert_paired(&all);

        // Nothing was remembered, and an answer is given once.
        let again = house.broker().answer_approval(&entry.id, Answer::Deny, &me()).unwrap_err().to_string();
        assert_eq!(again, format!("`{}` does not wait any more: it was allowed by uid 1000", entry.id));
    }
}

#[tokio::test]
async fn what_a_person_denies_or_nobody_answers_never_leaves() {
    let (house, lease) = bank(Speaks::Both, "", "").await;
    let person = async {
        let entry = waiting(&house).await;
        house.broker().answer_approval(&entry.id, Answer::Deny, &me()).unwrap();
    };
    let (answer, ()) = tokio::join!(send(&house, H1, "POST", "/echo", &lease, BODY), person);
    assert_problem(&answer, 403, "approval_denied");
    assert_eq!(answer.json()["capability"], "transfer");
    assert_eq!(house.records_of("approval_denied").len(), 1);

    let (late, lease) = bank(Speaks::Both, "", "approve = { within = \"50ms\", quorum = 1 }").await;
    let answer = send(&late, H1, "POST", "/echo", &lease, BODY).await;
    assert_problem(&answer, 403, "needs_approval");
    assert_eq!(answer.json()["fix"], "secrets approvals list");
    assert_eq!(late.records_of("approval_expired").len(), 1);
    assert!(late.broker().approvals().1.is_empty());
    for house in [&house, &late] {
        assert!(house.origin.requests().is_empty());
        assert_eq!(house.records_of("request_refused").len(), 1);
        assert_paired(&records(house.broker(), &house.home));
    }
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_question_along() {
    for alpn in [H1, H2] {
        let (house, lease) = bank(Speaks::Both, "", "").await;
        let entry = tokio::select! {
            answer = send(&house, alpn, "POST", "/echo", &lease, BODY) => panic!("{answer:?}"),
            entry = waiting(&house) => entry,
        };
        support::until("it is withdrawn", || house.broker().approvals().1.is_empty()).await;
        support::until("it is recorded", || !house.records_of("request_refused").is_empty()).await;
        let withdrawn = house.records_of("approval_withdrawn");
        assert_eq!(withdrawn[0].details.as_deref(), Some(&*format!("{}, its client went away", entry.id)));
        let late = house.broker().answer_approval(&entry.id, Answer::Allow(Remember::Never), &me());
        assert!(late.unwrap_err().to_string().contains("its client went away"));
        assert!(house.origin.requests().is_empty());
        assert_paired(&records(house.broker(), &house.home));
    }
}

#[tokio::test]
async fn a_lease_that_ends_and_a_daemon_that_stops_withdraw_what_waits() {
    let (house, lease) = bank(Speaks::Both, "", "").await;
    let revoke = async {
        waiting(&house).await;
        house.broker().revoke_all().unwrap();
    };
    let (answer, ()) = tokio::join!(send(&house, H1, "POST", "/echo", &lease, BODY), revoke);
    assert_problem(&answer, 403, "revoked");
    let details = house.records_of("approval_withdrawn")[0].details.clone().unwrap();
    assert!(details.ends_with("its lease has ended"), "{details}");

    let lease = house.lease();
    let stop = async {
        waiting(&house).await;
        house.broker().close_approvals();
    };
    let (answer, ()) = tokio::join!(send(&house, H1, "POST", "/echo", &lease, BODY), stop);
    assert_problem(&answer, 503, "draining");
    assert_eq!(house.records_of("approval_withdrawn").len(), 2);
    assert!(house.origin.requests().is_empty());
    assert_paired(&records(house.broker(), &house.home));
}

#[tokio::test]
async fn an_answer_is_remembered_for_the_same_client_capability_and_parameters_only() {
    let (house, lease) = bank(Speaks::Both, "", "").await;
    let allow = async {
        let entry = waiting(&house).await;
        let session = house.broker().answer_approval(&entry.id, Answer::Allow(Remember::Session), &me());
        assert!(session.unwrap_err().to_string().contains("came without a session"));
        let time = Remember::For("10m".parse().unwrap());
        house.broker().answer_approval(&entry.id, Answer::Allow(time), &me()).unwrap();
    };
    let (answer, ()) = tokio::join!(send(&house, H1, "GET", "/status/200", &lease, ""), allow);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(send(&house, H1, "GET", "/status/200", &lease, "").await.status, 200, "it is not asked again");
    assert_eq!(house.records_of("approval_allowed").len(), 2);
    assert_eq!(house.records_of("approval_asked").len(), 1);

    // Other parameters are another question.
    let deny = async {
        let entry = waiting(&house).await;
        assert_eq!(entry.ask.asks[0].1.params, [("account".into(), "201".into())]);
        house.broker().answer_approval(&entry.id, Answer::Deny, &me()).unwrap();
    };
    let (answer, ()) = tokio::join!(send(&house, H1, "GET", "/status/201", &lease, ""), deny);
    assert_problem(&answer, 403, "approval_denied");

    // So is another client's.
    let other = lease_of_another(&house);
    let deny = async {
        let entry = waiting(&house).await;
        house.broker().answer_approval(&entry.id, Answer::Deny, &me()).unwrap();
    };
    let (answer, ()) = tokio::join!(send(&house, H1, "GET", "/status/200", &other, ""), deny);
    assert_problem(&answer, 403, "approval_denied");
    assert_eq!(house.origin.requests().len(), 2);
}

#[tokio::test]
async fn money_is_asked_for_each_time_unless_its_grant_says_otherwise() {
    let (house, lease) = bank(Speaks::Both, "", "").await;
    let person = async {
        let entry = waiting(&house).await;
        let time = Answer::Allow(Remember::For("10m".parse().unwrap()));
        let error = house.broker().answer_approval(&entry.id, time, &me()).unwrap_err().to_string();
        assert!(error.contains("may be remembered never"), "{error}");
        house.broker().answer_approval(&entry.id, Answer::Deny, &me()).unwrap();
    };
    tokio::join!(send(&house, H1, "POST", "/echo", &lease, BODY), person);

    let (house, lease) = bank(Speaks::Both, "", "approve = { remember = \"10m\" }").await;
    let person = async {
        let entry = waiting(&house).await;
        let longer = Answer::Allow(Remember::For("11m".parse().unwrap()));
        assert!(house.broker().answer_approval(&entry.id, longer, &me()).is_err());
        let time = Answer::Allow(Remember::For("10m".parse().unwrap()));
        house.broker().answer_approval(&entry.id, time, &me()).unwrap();
    };
    let (answer, ()) = tokio::join!(send(&house, H1, "POST", "/echo", &lease, BODY), person);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(send(&house, H1, "POST", "/echo", &lease, BODY).await.status, 200);
}

#[tokio::test]
async fn a_session_s_answer_ends_with_the_session() {
    let (house, _) = bank(Speaks::Both, "", "").await;
    let open = || house.broker().open_session("agent".parse().unwrap(), Around::default()).unwrap();
    let first = open();
    let lease = house.lease_of("acme_key", Some(&first));
    let through = async |session: &leasehold::broker::Session, lease: &str| {
        let credentials = crate::kit::proxy_credentials(session);
        let mut client = support::RawClient::connect(house.proxy()).await;
        let connect =
            format!("CONNECT {AUTHORITY} HTTP/1.1\r\nHost: {AUTHORITY}\r\nProxy-Authorization: {credentials}\r\n\r\n");
        client.write(connect).await;
        assert_eq!(client.read_answer_to("CONNECT").await.status, 200);
        let mut client = client.start_tls(HOST, &house.roots, H1).await.unwrap();
        client.send("PUT", HOST, "/upload", &[("x-api-key", lease)], b"x").await
    };
    let allow = async {
        let entry = waiting(&house).await;
        assert_eq!(entry.ask.session, Some(first.id()));
        house.broker().answer_approval(&entry.id, Answer::Allow(Remember::Session), &me()).unwrap();
    };
    let (answer, ()) = tokio::join!(through(&first, &lease), allow);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(through(&first, &lease).await.status, 200);
    house.broker().end_session(first.id(), CutReason::SessionEnded);

    let second = open();
    let lease = house.lease_of("acme_key", Some(&second));
    let deny = async {
        let entry = waiting(&house).await;
        house.broker().answer_approval(&entry.id, Answer::Deny, &me()).unwrap();
    };
    let (answer, ()) = tokio::join!(through(&second, &lease), deny);
    assert_problem(&answer, 403, "approval_denied");
}

#[tokio::test]
async fn a_body_that_is_too_long_to_be_kept_is_refused_and_asks_nobody() {
    let (house, lease) = bank(Speaks::Both, "[proxy]\napproval_body = \"64B\"\n", "").await;
    for alpn in [H1, H2] {
        let answer = send(&house, alpn, "POST", "/echo", &lease, &"x".repeat(65)).await;
        assert_problem(&answer, 413, "body_too_large");
        assert!(answer.json()["detail"].as_str().unwrap().contains("`proxy.approval_body`"), "{answer:?}");
    }
    assert!(house.records_of("approval_asked").is_empty() && house.origin.requests().is_empty());
}

#[tokio::test]
async fn a_lease_token_in_a_body_is_refused_before_anybody_is_asked() {
    let (house, lease) = bank(Speaks::Both, "", "").await;
    let answer = send(&house, H1, "POST", "/echo", &lease, &format!("{{\"to\":\"{lease}\"}}")).await;
    assert_problem(&answer, 403, "stray_lease");
    assert!(house.records_of("approval_asked").is_empty() && house.origin.requests().is_empty());
}

#[tokio::test]
async fn one_client_has_a_bounded_number_of_questions() {
    let (house, lease) = bank(Speaks::Both, "", "").await;
    let all = futures_util::future::join_all((0..8).map(|_| send(&house, H1, "POST", "/echo", &lease, BODY)));
    let person = async {
        support::until("eight wait", || house.broker().approvals().1.len() == 8).await;
        let answer = send(&house, H1, "POST", "/echo", &lease, BODY).await;
        assert_problem(&answer, 403, "needs_approval");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.starts_with("8 requests of `test-agent` wait"), "{detail}");
        for entry in house.broker().approvals().1 {
            house.broker().answer_approval(&entry.id, Answer::Deny, &me()).unwrap();
        }
    };
    let (answers, ()) = tokio::join!(all, person);
    assert!(answers.iter().all(|answer| answer.status == 403));
    assert!(house.origin.requests().is_empty());
    assert_paired(&records(house.broker(), &house.home));
}
