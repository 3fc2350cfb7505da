//! Limits of grants, secrets and projects: what is over one is answered with 429, never forwarded, and recorded.

use std::{os::unix::fs::PermissionsExt as _, path::PathBuf};

use http_body_util::Full;
use leasehold::{
    base::{Clock, Home},
    daemon::{self, Options, Settings},
};

use crate::{
    house::{HOST, House},
    kit::{H1, H2, Yard, assert_paired, assert_problem, bearer, records, with_service},
    support::{self, Answer, Frame, Origin, Speaks, TestCa},
};

const SERVICE: &str = r#"
schema = 1
kind   = "service"
id     = "acme"
name   = "Counted"
[host.api]
origin = "https://api.acme.test"
[credential.key]
type   = "token"
on_401 = "rotate"
[[inject]]
host = "api"
use  = "key"
at   = [{ header = "x-api-key" }]
[cap.read]
about = "Look"
risk  = "read"
allow = [{ method = "GET", path = "/**" }]
[cap.push]
about = "Send"
risk  = "write"
allow = [{ method = ["POST", "PUT"], path = "/**" }]
[cap.socket]
about = "Talk"
risk  = "write"
allow = [{ method = "GET", upgrade = "websocket" }]
"#;

/// The file of the only grant.
pub fn grant_file(home: &Home) -> PathBuf {
    let mut files = std::fs::read_dir(home.policies()).unwrap().map(|entry| entry.unwrap().path());
    files.find(|path| path.file_name().unwrap().to_str().unwrap().starts_with("grant-")).unwrap()
}

/// A house whose only grant has this `limit`, and a lease of it.
async fn limited(limit: &str, speaks: Speaks) -> (House, String) {
    let (house, lease) = with_service(SERVICE, speaks, "").await;
    let grant = grant_file(&house.home);
    let text = std::fs::read_to_string(&grant).unwrap() + "\n" + limit + "\n";
    std::fs::write(&grant, &text).unwrap();
    house.broker().live_policy().reload().unwrap_or_else(|errors| panic!("{errors}\n{text}"));
    (house, lease)
}

async fn call(house: &House, alpn: &[&[u8]], lease: &str, method: &str, path: &str, body: &str) -> Answer {
    let headers = [("x-api-key", lease)];
    let mut client = house.client(alpn).await;
    if alpn == H2 {
        let body = Full::new(bytes::Bytes::from(body.to_owned()));
        return client.h2(HOST).await.send(method, path, &headers, body).await;
    }
    if method == "GET" {
        client.get(HOST, path, &headers).await
    } else {
        client.send(method, HOST, path, &headers, body.as_bytes()).await
    }
}

async fn get(house: &House, lease: &str, path: &str) -> Answer {
    call(house, H1, lease, "GET", path, "").await
}

/// The answer says which limit, when, and how to look at it; the number of seconds comes back.
pub fn assert_over(answer: &Answer, limit: &str) -> u64 {
    assert_problem(answer, 429, "limit");
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.starts_with(&format!("limit {limit} of the ")) && detail.contains("is reached"), "{detail}");
    let fix = answer.json()["fix"].as_str().unwrap().to_owned();
    assert!(fix.starts_with("secrets policy explain '"), "{fix}");
    answer.header("retry-after").unwrap().parse().unwrap()
}

#[tokio::test]
async fn what_is_over_the_limit_is_refused_recorded_and_never_leaves() {
    for (alpn, speaks) in [(H1, Speaks::Http1), (H1, Speaks::Http2), (H2, Speaks::Http1), (H2, Speaks::Http2)] {
        let (house, lease) = limited("limit = { requests = \"3/day\" }", speaks).await;
        for _ in 0..3 {
            assert_eq!(call(&house, alpn, &lease, "GET", "/echo", "").await.status, 200);
        }
        for _ in 0..2 {
            let answer = call(&house, alpn, &lease, "GET", "/echo", "").await;
            let seconds = assert_over(&answer, "requests = 3/day");
            assert!((1..=28_800).contains(&seconds), "a third of a day at most: {seconds}");
        }
        assert_eq!(house.origin.requests().len(), 3, "nothing that was refused left");
        let refused = house.records_of("request_refused");
        let codes: Vec<_> = refused.iter().map(|record| (record.code.as_deref(), record.status)).collect();
        assert_eq!(codes, [(Some("limit"), Some(429)), (Some("limit"), Some(429))]);
        assert!(refused.iter().all(|record| record.lease_id.is_some() && record.secret_name.is_some()), "{refused:?}");
        assert_paired(&records(house.broker(), &house.home));
    }
}

#[tokio::test]
async fn a_capability_and_a_risk_have_counters_of_their_own() {
    let (house, lease) = limited("limit = { \"cap:push\" = \"2/day\", \"risk:read\" = \"1/day\" }", Speaks::Both).await;
    for _ in 0..2 {
        assert_eq!(call(&house, H1, &lease, "POST", "/echo", "x").await.status, 200);
    }
    assert_over(&call(&house, H1, &lease, "POST", "/echo", "x").await, "cap:push = 2/day");
    assert_eq!(get(&house, &lease, "/echo").await.status, 200, "a full counter stops only what it counts");
    assert_over(&get(&house, &lease, "/echo").await, "risk:read = 1/day");
    assert_eq!(house.origin.requests().len(), 3);
}

#[tokio::test]
async fn what_runs_at_once_is_given_back_at_its_end_on_a_broken_connection_and_on_a_cut() {
    let (house, lease) = limited("limit = { at_once = 1 }", Speaks::Http1).await;
    let headers = [("x-api-key", &*lease)];
    let gate = house.origin.gate("one");
    let mut first = house.http1().await;
    first.write(support::head("GET", HOST, "/hang/body?gate=one", &headers, 0)).await;
    assert_eq!(first.read_head().await.status, 200);
    assert_eq!(assert_over(&get(&house, &lease, "/echo").await, "at_once = 1"), 1);
    assert_eq!(house.origin.requests().len(), 1);
    gate.next();
    gate.finish();
    house.ended(1).await;
    assert_eq!(get(&house, &lease, "/echo").await.status, 200, "it has ended");

    let mut second = house.http1().await;
    second.write(support::head("GET", HOST, "/hang/body?gate=two", &headers, 0)).await;
    assert_eq!(second.read_head().await.status, 200);
    assert_over(&get(&house, &lease, "/echo").await, "at_once = 1");
    drop(second);
    house.ended(3).await;
    assert_eq!(get(&house, &lease, "/echo").await.status, 200, "its client has gone");

    let mut third = house.http1().await;
    third.write(support::head("GET", HOST, "/hang/body?gate=three", &headers, 0)).await;
    assert_eq!(third.read_head().await.status, 200);
    let other = house.broker();
    let id = house.records_of("request_begun").pop().unwrap().lease_id.unwrap().parse().unwrap();
    other.revoke_lease(&id).unwrap();
    house.ended(5).await;
    let again = house.lease();
    assert_eq!(get(&house, &again, "/echo").await.status, 200, "it was cut");
    assert_paired(&house.records());
}

#[tokio::test]
async fn a_websocket_runs_until_it_ends() {
    let (house, lease) = limited("limit = { at_once = 1 }", Speaks::Http1).await;
    let headers = [("x-api-key", &*lease)];
    let mut socket = house.http1().await.websocket(HOST, "/ws", &headers).await.unwrap();
    assert_over(&get(&house, &lease, "/echo").await, "at_once = 1");
    socket.send(&Frame::close(1000)).await;
    assert_eq!(socket.receive().await, Some(Frame::close(1000)));
    house.ended(1).await;
    assert_eq!(get(&house, &lease, "/echo").await.status, 200);
}

#[tokio::test]
async fn bytes_are_counted_both_ways_when_an_exchange_ends() {
    let (house, lease) = limited("limit = { bytes = \"3000B/day\" }", Speaks::Both).await;
    assert_eq!(get(&house, &lease, "/bytes/2000").await.status, 200);
    house.ended(1).await;
    let answer = call(&house, H1, &lease, "POST", "/upload", &"x".repeat(1500)).await;
    assert_eq!(answer.status, 200, "it began while something was left");
    house.ended(2).await;
    assert_over(&get(&house, &lease, "/bytes/1").await, "bytes = 3000B/day");
    assert_eq!(house.origin.requests().len(), 2);
}

#[tokio::test]
async fn all_agents_of_a_grant_share_its_limit_and_all_grants_of_a_secret_its_budget() {
    let (house, lease) = limited("limit = { requests = \"2/day\" }", Speaks::Both).await;
    let (other, _) = crate::kit::lease(house.broker(), None, None);
    assert_eq!(get(&house, &lease, "/echo").await.status, 200);
    assert_eq!(get(&house, &other, "/echo").await.status, 200);
    assert_over(&get(&house, &other, "/echo").await, "requests = 2/day");

    let budget = "[[budget]]\nsecret = \"acme_key\"\nlimit  = { requests = \"1/day\" }";
    let (house, lease) = limited(budget, Speaks::Both).await;
    assert_eq!(get(&house, &lease, "/echo").await.status, 200);
    let answer = get(&house, &lease, "/echo").await;
    assert_over(&answer, "requests = 1/day");
    assert!(answer.json()["detail"].as_str().unwrap().contains("of the budget at "), "{answer:?}");
}

#[tokio::test]
async fn an_edit_of_the_files_forgives_nothing() {
    let (house, lease) = limited("limit = { requests = \"1/day\" }", Speaks::Both).await;
    assert_eq!(get(&house, &lease, "/echo").await.status, 200);
    let grant = grant_file(&house.home);
    let text = std::fs::read_to_string(&grant).unwrap();
    std::fs::write(&grant, format!("\n\n# A remark.\n{text}")).unwrap();
    house.broker().live_policy().reload().unwrap();
    assert_over(&get(&house, &lease, "/echo").await, "requests = 1/day");
}

#[tokio::test]
async fn a_vendor_s_429_passes_unchanged_and_holds_back_what_comes_next() {
    let (house, lease) = limited("limit = { requests = \"1000/min\" }", Speaks::Both).await;
    let busy = get(&house, &lease, "/answer?status=429&header=Retry-After:600&header=X-Own:yes&body=later").await;
    assert_eq!((busy.status, busy.text()), (429, "later".to_owned()));
    assert_eq!((busy.header("retry-after"), busy.header("x-own")), (Some("600".to_owned()), Some("yes".to_owned())));
    assert_eq!(busy.header("x-leasehold-code"), None, "it is the vendor's");
    let seconds = assert_over(&get(&house, &lease, "/echo").await, "requests = 1000/min");
    assert!((100..=600).contains(&seconds), "{seconds}");
    assert_eq!(house.origin.requests().len(), 1);

    let (house, lease) = with_service(SERVICE, Speaks::Both, "").await;
    let busy = get(&house, &lease, "/answer?status=429&header=Retry-After:120").await;
    assert_eq!(busy.status, 429);
    assert_eq!(get(&house, &lease, "/echo").await.status, 200, "no limit, nothing to slow down");
}

#[tokio::test]
async fn a_day_s_budget_is_still_used_after_a_restart() {
    let ca = TestCa::new();
    let origin = Origin::builder(ca.leaf_for(&[HOST])).speaks(Speaks::Http1).start();
    let yard = Yard::at(&ca, origin.address()).await;
    let grant = grant_file(&yard.home);
    let text = std::fs::read_to_string(&grant).unwrap() + "\nlimit = { requests = \"2/day\" }\n";
    std::fs::write(&grant, text).unwrap();
    yard.broker().live_policy().reload().unwrap();
    let (token, _) = crate::kit::lease(yard.broker(), None, None);
    let token = bearer(&token);
    let headers = [("Authorization", &*token)];
    for _ in 0..2 {
        assert_eq!(yard.client(H1).await.get(HOST, "/echo", &headers).await.status, 200);
    }
    let yard = yard.restarted(Clock::system()).await;
    assert_over(&yard.client(H1).await.get(HOST, "/echo", &headers).await, "requests = 2/day");
    assert_eq!(origin.requests().len(), 2);
    assert_eq!(std::fs::metadata(yard.home.limits()).unwrap().permissions().mode() & 0o777, 0o600);

    // What cannot be read is not taken for unused.
    let home = yard.home.clone();
    yard.running.stop().await;
    std::fs::write(home.limits(), "{").unwrap();
    let settings = Settings::load(&home, None).unwrap();
    let Err(error) = daemon::build(&Options::new(&home, settings), Clock::system()).await else {
        panic!("it started with counters that cannot be read");
    };
    assert!(error.to_string().contains("limits.json"), "{error}");
}
