//! Requests that carry no lease, where a service lets those pass: they get no credential, and what its answers must not show
//! is withheld from them too.

use leasehold::{
    base::{CutReason, hex},
    broker::Around,
};

use crate::{
    house::{AUTHORITY, HOST, House},
    kit::{H1, H2, assert_paired, assert_problem, get, proxy_credentials, records, with_service},
    support::{self, RawClient, Speaks},
};

fn service(rest: &str) -> String {
    format!(
        r#"
schema = 1
kind   = "service"
id     = "acme"
name   = "Acme"
[host.api]
origin = "https://api.acme.test"
[credential.key]
type = "token"
env  = ["ACME_KEY"]
[[inject]]
host    = "api"
use     = "key"
missing = "pass"
at      = [{{ header = "authorization", as = "Bearer {{}}" }}]
[cap.all]
about = "All"
risk  = "write"
allow = [{{ path = "/**" }}]
{rest}
"#
    )
}

/// A request for an answer of JSON.
fn given(body: &str) -> String {
    let coded = |text: &str| text.bytes().map(|byte| ["%", &hex(&[byte])].concat()).collect::<String>();
    format!("/answer?status=200&header=content-type:{}&body={}", coded("application/json"), coded(body))
}

async fn house_of(rest: &str, speaks: Speaks) -> House {
    with_service(&service(rest), speaks, "").await.0
}

const KEYS: &str = r#"{"name":"a","api_key":"top-1","items":[{"api_key":{"id":2}}]}"#;
const CLEAN: &str = r#"{"name":"a","api_key":"[withheld]","items":[{"api_key":"[withheld]"}]}"#;

#[tokio::test]
async fn fields_that_no_answer_shows_are_withheld_from_requests_without_a_lease() {
    for (alpn, speaks) in [(H1, Speaks::Http1), (H2, Speaks::Http2)] {
        let house = house_of("[scrub]\njson = [\"/**/api_key\", \"/target\"]\n", speaks).await;
        let answer = get(&house, alpn, &given(KEYS), &[]).await;
        assert_eq!((answer.status, &*answer.text()), (200, CLEAN), "{answer:?}");
        let coded = get(&house, alpn, "/gzip", &[("accept-encoding", "gzip, compress")]).await;
        assert_eq!(coded.json()["target"], "[withheld]", "{coded:?}");
        let asked = house.origin.requests().remove(1).header("accept-encoding");
        assert_eq!(asked.as_deref(), Some("gzip"), "only what can be read is asked for");
        let broken = get(&house, alpn, &given("{\"api_key\":\"top-1\""), &[]).await;
        assert_eq!((broken.status, broken.count(b"top-1")), (502, 0), "{broken:?}");
        let ended = house.ended(3).await;
        assert_eq!(ended[0].details.as_deref(), Some("fields of the answer were withheld"));
        assert!(ended.iter().all(|record| record.lease_id.is_none()));
        assert_paired(&records(house.broker(), &house.home));
    }
}

#[tokio::test]
async fn an_answer_with_a_fresh_credential_is_freed_of_it_for_requests_without_a_lease() {
    let issue = "[[issue]]\non = { path = \"/answer\" }\nthen = \"scrub\"\ntake = [{ json = \"/**/api_key\" }]\n";
    let house = house_of(issue, Speaks::Http1).await;
    assert_eq!(get(&house, H1, &given(KEYS), &[]).await.text(), CLEAN);
    assert_problem(&get(&house, H1, &given("api_key=top-1"), &[]).await, 502, "upstream_failed");
    assert_eq!(get(&house, H1, "/echo", &[]).await.status, 200, "another request");
    assert_paired(&records(house.broker(), &house.home));
}

#[tokio::test]
async fn what_says_json_and_is_none_breaks_off_before_it_shows_anything() {
    let issue = "[[issue]]\non = { path = \"/answer\" }\nthen = \"scrub\"\ntake = [{ json = \"/**/api_key\" }]\n";
    for rest in ["[scrub]\njson = [\"/**/api_key\"]\n", issue] {
        let house = house_of(rest, Speaks::Http1).await;
        for body in [
            "top-1",
            "top-1 world",
            "{\"api_key\":top-1}",
            "{\"api_key\":true-top-1}",
            "{\"a\":01,\"b\":\"top-1\"}",
            "{\"api_key\":\"s\"} top-1",
            "{\"api_key\":\"s\"}{\"top-1\":1}",
            "{\"a\":\"\\top-1 \\q\"}",
        ] {
            let broken = get(&house, H1, &given(body), &[]).await;
            assert_eq!((broken.status, broken.count(b"top-1")), (502, 0), "{body}: {broken:?}");
        }
        for body in ["", "{\"a\":-0.1e+7} \r\n", "null"] {
            let whole = get(&house, H1, &given(body), &[]).await;
            assert_eq!((whole.status, &*whole.text()), (200, body));
        }
        let lines = get(&house, H1, &given("{\"api_key\":1}\n{\"api_key\":2}\n"), &[]).await;
        let clean = "{\"api_key\":\"[withheld]\"}\n{\"api_key\":\"[withheld]\"}\n";
        let wanted = if rest == issue { (502, 0) } else { (200, clean.len()) };
        assert_eq!((lines.status, lines.count(clean.as_bytes()) * clean.len()), wanted, "{lines:?}");
        assert_paired(&records(house.broker(), &house.home));
    }
}

#[tokio::test]
async fn a_path_of_two_readings_is_no_way_round_what_hands_out_a_credential() {
    let issue = "[[issue]]\non = { path = \"/login/**\" }\nthen = \"refuse\"\n";
    let house = house_of(issue, Speaks::Http1).await;
    for path in ["/login/oauth", "/LOGIN/oauth;x=1"] {
        assert_problem(&get(&house, H1, path, &[]).await, 403, "issue_refused");
    }
    for path in ["//login/oauth", "/x/..;/login/oauth", "/login%2foauth", "/x%5c..%5clogin/oauth"] {
        assert_problem(&get(&house, H1, path, &[]).await, 400, "bad_request");
    }
    assert_eq!(house.origin.requests().len(), 0, "nothing was forwarded");
    let refused = house.records_of("request_refused");
    let codes: Vec<_> = refused.iter().filter_map(|record| record.code.as_deref()).collect();
    assert_eq!(codes, [["issue_refused"; 2].as_slice(), ["bad_request"; 4].as_slice()].concat());
    assert_eq!(get(&house, H1, "/echo", &[]).await.status, 200);

    // Where nothing of the kind is handed out, such a path is the upstream's to read.
    let house = house_of("", Speaks::Http1).await;
    assert_eq!(get(&house, H1, "/a//b", &[]).await.status, 404);
    assert_eq!(house.origin.requests().len(), 1);
}

/// Connections live on when their session has ended.
#[tokio::test]
async fn a_connection_of_a_session_that_has_ended_carries_nothing_without_a_lease_either() {
    for alpn in [H1, H2] {
        let house = house_of("", Speaks::Both).await;
        let session = house.broker().open_session("agent".parse().unwrap(), Around::default()).unwrap();
        let mut client = RawClient::connect(house.proxy()).await;
        let credentials = proxy_credentials(&session);
        let connect = format!("CONNECT {AUTHORITY} HTTP/1.1\r\nProxy-Authorization: {credentials}\r\n\r\n");
        client.write(connect).await;
        assert_eq!(client.read_answer_to("CONNECT").await.status, 200);
        let mut client = client.start_tls(HOST, &house.roots, alpn).await.unwrap();
        let end = || house.broker().end_session(session.id(), CutReason::SessionEnded);
        let refused = if alpn == H2 {
            let client = client.h2(HOST).await;
            assert_eq!(client.get("/echo", &[]).await.status, 200);
            end();
            client.get("/echo", &[]).await
        } else {
            assert_eq!(client.get(HOST, "/echo", &[]).await.status, 200);
            end();
            client.get(HOST, "/echo", &[]).await
        };
        assert_problem(&refused, 403, "token_foreign_session");
        assert_eq!(house.origin.requests().len(), 1, "nothing more was forwarded");
        support::until("it is recorded", || !house.records_of("request_refused").is_empty()).await;
        assert_eq!(house.records_of("request_refused")[0].code.as_deref(), Some("token_foreign_session"));
        assert_paired(&records(house.broker(), &house.home));
    }
}

/// A client of HTTP/1 has all of it once its length is there, and the body is not asked for its end.
#[tokio::test]
async fn an_answer_that_is_whole_before_its_end_is_there_is_recorded_as_whole() {
    for (alpn, speaks) in [(H1, Speaks::Http1), (H1, Speaks::Http2), (H2, Speaks::Http2)] {
        let house = house_of("", speaks).await;
        let gate = house.origin.gate("end");
        let all_but_the_end = || house.origin.requests().iter().any(|one| one.answer_bytes == 5);
        let client = house.client(alpn).await;
        let answer = if alpn == H2 {
            let client = client.h2(HOST).await;
            let end = async {
                support::until("all but the end is sent", all_but_the_end).await;
                gate.finish();
            };
            tokio::join!(client.get("/late-end?gate=end", &[]), end).0
        } else {
            let mut client = client;
            client.get(HOST, "/late-end?gate=end", &[]).await
        };
        assert_eq!(
            (answer.status, &*answer.text(), answer.header("content-length").as_deref()),
            (200, "whole", Some("5"))
        );
        let ended = house.ended(1).await;
        assert!(ended[0].success && ended[0].bytes_received == Some(5), "{speaks:?}: {ended:?}");
        gate.finish();
    }
}
