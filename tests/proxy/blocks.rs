//! Blocks of a service beyond hosts and rules: answers that carry credentials, fields that are withheld, what is not
//! built yet, and credentials that are set where a request has none.

use std::{net::SocketAddr, time::Duration};

use leasehold::{
    base::hex,
    broker::Around,
    control::{Client, OpenSession, SessionSecret},
};

use crate::{
    house::{AUTHORITY, HOST, House, SECRET},
    kit::{H1, H2, assert_paired, assert_problem, bearer, connect, get, proxy_credentials, records, with_service},
    support::{Answer, RawClient, Speaks},
};

fn service(inject: &str, rest: &str) -> String {
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
host = "api"
use  = "key"
{inject}
[cap.all]
about = "All"
risk  = "write"
allow = [{{ path = "/**" }}]
{rest}
"#
    )
}

const BEARER: &str = "at = [{ header = \"authorization\", as = \"Bearer {}\" }]";

const PAIRS: [(&[&[u8]], Speaks); 4] =
    [(H1, Speaks::Http1), (H1, Speaks::Http2), (H2, Speaks::Http1), (H2, Speaks::Http2)];

/// A request for an answer with this type and body.
fn given(kind: &str, body: &str) -> String {
    let coded = |text: &str| text.bytes().map(|byte| ["%", &hex(&[byte])].concat()).collect::<String>();
    format!("/answer?status=200&header=content-type:{}&body={}", coded(kind), coded(body))
}

async fn ask(house: &House, alpn: &[&[u8]], lease: &str, path: &str) -> Answer {
    get(house, alpn, path, &[("authorization", &bearer(lease))]).await
}

#[tokio::test]
async fn what_hands_out_a_credential_is_refused_before_anything_is_sent() {
    let issues = "[[issue]]\non = { host = \"api\", path = \"/v1/keys/**\" }\nthen = \"refuse\"\n\
        [[issue]]\non = { host = \"api\", path = \"/oauth/token\" }\nthen = \"capture\"\ntake = [{ json = \"/access_token\" }]\n\
        [[issue]]\non = { host = \"api\", method = \"POST\", path = \"/session\", json = { \"/kind\" = \"key\" } }\nthen = \"refuse\"\n";
    for (alpn, speaks) in [(H1, Speaks::Http1), (H2, Speaks::Http2)] {
        let (house, lease) = with_service(&service(BEARER, issues), speaks, "").await;
        for path in ["/v1/keys", "/v1/keys/7", "/V1/Keys/", "/v1/%6beys", "/v1;a=b/keys"] {
            let answer = ask(&house, alpn, &lease, path).await;
            assert_problem(&answer, 403, "issue_refused");
            assert_eq!(answer.json()["title"], "The answer would carry a credential");
            assert!(answer.json()["fix"].as_str().unwrap().starts_with("secrets policy explain"), "{answer:?}");
        }
        let answer = ask(&house, alpn, &lease, "/oauth/token").await;
        assert_problem(&answer, 403, "issue_refused");
        assert!(
            answer.json()["detail"].as_str().unwrap().contains("`then = \"capture\"` is not built yet"),
            "{answer:?}"
        );
        assert_eq!(house.origin.requests().len(), 0, "nothing was forwarded");
        let refused = house.records_of("request_refused");
        assert!(refused.len() == 6 && refused.iter().all(|r| r.code.as_deref() == Some("issue_refused")));

        // A rule that looks into bodies has them read, and lets others pass.
        for (body, status) in [("{\"kind\":\"key\"}", 403), ("{\"kind\":\"note\"}", 404), ("{\"kind\":", 403)] {
            let mut client = house.client(H1).await;
            let headers = [("authorization", &*bearer(&lease)), ("content-type", "application/json")];
            let answer = client.send("POST", HOST, "/session", &headers, body.as_bytes()).await;
            assert_eq!(answer.status, status, "{body}: {answer:?}");
        }
        assert_eq!(house.origin.requests().len(), 1);
        assert_paired(&records(house.broker(), &house.home));
    }
}

#[tokio::test]
async fn a_request_without_a_lease_is_refused_too_where_its_answer_would_carry_a_credential() {
    let issue = "[[issue]]\non = { path = \"/login/**\" }\nthen = \"refuse\"\n";
    let (house, _) = with_service(&service(&format!("missing = \"pass\"\n{BEARER}"), issue), Speaks::Both, "").await;
    assert_problem(&get(&house, H1, "/login/oauth", &[]).await, 403, "issue_refused");
    assert_eq!(house.origin.requests().len(), 0);
    assert_eq!(get(&house, H1, "/echo", &[]).await.status, 200);
    assert_paired(&records(house.broker(), &house.home));
}

const KEYS: &str = r#"{"name":"a","items":[{"api_key":"top-1","n":1},{"x":{"api_key":{"id":2}}}],"api_key":null}"#;
const CLEAN: &str =
    r#"{"name":"a","items":[{"api_key":"[withheld]","n":1},{"x":{"api_key":"[withheld]"}}],"api_key":null}"#;

#[tokio::test]
async fn listed_fields_of_every_json_answer_are_withheld() {
    let scrub = "[scrub]\njson = [\"/**/api_key\", \"/target\"]\n";
    for (alpn, speaks) in PAIRS {
        let (house, lease) = with_service(&service(BEARER, scrub), speaks, "").await;
        for kind in ["application/json", "application/vnd.acme+json; charset=utf-8"] {
            let answer = ask(&house, alpn, &lease, &given(kind, KEYS)).await;
            assert_eq!((answer.status, &*answer.text()), (200, CLEAN), "{answer:?}");
            if let Some(length) = answer.header("content-length") {
                assert_eq!(length, CLEAN.len().to_string(), "mended");
            }
        }
        let text = ask(&house, alpn, &lease, &given("text/plain", KEYS)).await;
        assert_eq!(text.text(), KEYS, "only JSON");
        // Through every coding, and beside echoes.
        for path in ["/echo", "/gzip", "/br", "/zstd", "/coded?codings=deflate,gzip&size=1"] {
            let answer = ask(&house, alpn, &lease, path).await;
            let json = answer.json();
            assert_eq!((&json["target"], answer.count(SECRET.as_bytes())), (&"[withheld]".into(), 0), "{path}");
            assert_eq!(answer.header("content-encoding"), None);
        }
        let ended = house.ended(8).await;
        assert_eq!(
            ended.iter().filter(|r| r.details.as_deref() == Some("fields of the answer were withheld")).count(),
            7
        );
        assert_paired(&records(house.broker(), &house.home));
    }
}

#[tokio::test]
async fn an_answer_that_says_json_and_is_none_breaks_off_and_a_part_of_one_is_refused() {
    let (house, lease) = with_service(&service(BEARER, "[scrub]\njson = [\"/**/api_key\"]\n"), Speaks::Http1, "").await;
    for body in ["{\"api_key\":\"top-1\"", "{'api_key':'top-1'}", "\u{0}{\u{0}\"\u{0}"] {
        let answer = ask(&house, H1, &lease, &given("application/json", body)).await;
        assert_problem(&answer, 502, "upstream_failed");
        assert_eq!(answer.count(b"top-1"), 0);
    }
    let part = format!("{}&header=content-range:bytes%201-8/9", given("application/json", "pi_key\":\"top-1\"}"));
    let answer = ask(&house, H1, &lease, &part.replace("status=200", "status=206")).await;
    assert_problem(&answer, 502, "upstream_failed");
    assert_eq!(answer.count(b"top-1"), 0);
}

#[tokio::test]
async fn an_answer_with_a_fresh_credential_leaves_only_when_it_could_be_read_whole() {
    let issue = "[[issue]]\non = { path = [\"/answer\", \"/bytes/*\", \"/gzip\"] }\nthen = \"scrub\"\n\
        take = [{ json = \"/**/api_key\" }, { json = \"/target\" }]\n";
    for (alpn, speaks) in PAIRS {
        let (house, lease) = with_service(&service(BEARER, issue), speaks, "").await;
        for kind in ["application/json", "text/plain"] {
            let answer = ask(&house, alpn, &lease, &given(kind, KEYS)).await;
            assert_eq!((answer.status, &*answer.text()), (200, CLEAN), "whatever it says that it is");
        }
        assert_eq!(ask(&house, alpn, &lease, "/gzip").await.json()["target"], "[withheld]");
        assert_eq!(ask(&house, alpn, &lease, "/echo").await.json()["target"], "/echo", "another request");
        assert_eq!(ask(&house, alpn, &lease, &given("text/plain", "")).await.text(), "", "nothing is nothing");
        let long = format!("[{{\"api_key\":\"top-1\"}}{}]", ",1".repeat(200));
        for path in
            ["/bytes/2000000", &given("application/json", "key=top-1"), &given("application/json", &long[..100])]
        {
            let answer = ask(&house, alpn, &lease, path).await;
            assert_problem(&answer, 502, "upstream_failed");
            assert_eq!(answer.count(b"top-1"), 0, "{path}");
        }
        assert_paired(&records(house.broker(), &house.home));
    }
}

#[tokio::test]
async fn a_missing_credential_is_set_for_the_session_s_own_way_in_and_for_nobody_else() {
    let inject = "missing = \"inject\"\nat = [{ header = \"authorization\", as = \"Bearer {}\" }, { query = \"key\" }]";
    let (house, token) = with_service(&service(inject, ""), Speaks::Both, "").await;
    let open = |client: &str| house.broker().open_session(client.parse().unwrap(), Around::default()).unwrap();
    let (session, empty) = (open("test-agent"), open("empty"));
    house.lease_of("acme_key", Some(&session));

    // Nobody's connection, a session without a lease, and a token outside of a session.
    assert_problem(&connect(&house, None).await.get(HOST, "/echo", &[]).await, 403, "no_lease");
    let mut client = connect(&house, Some(&proxy_credentials(&empty))).await;
    assert_problem(&client.get(HOST, "/echo", &[]).await, 403, "no_lease");
    assert_eq!(house.origin.requests().len(), 0);

    let mut client = connect(&house, Some(&proxy_credentials(&session))).await;
    let answer = client.get(HOST, "/echo", &[]).await;
    assert_eq!((answer.status, answer.count(SECRET.as_bytes())), (200, 0), "{answer:?}");
    assert_eq!(house.origin.only_request().values("authorization"), [bearer(SECRET)]);
    let ended = house.ended(1).await;
    assert_eq!(ended[0].details.as_deref(), Some("it carried no lease token; the session's own lease was used"));
    assert!(ended[0].lease_id.is_some() && ended[0].secret_name.as_deref() == Some("acme_key"), "{:?}", ended[0]);

    // What the request carries itself is judged as ever.
    assert_problem(&client.get(HOST, "/echo", &[("authorization", "Bearer abc")]).await, 403, "foreign_credential");
    assert_eq!(client.get(HOST, "/echo", &[("authorization", &bearer(&token))]).await.status, 200);

    // Over a session's port, which anybody on the machine can open, nothing is set.
    let mut control = Client::connect(&house.home.socket(), Duration::from_mins(1)).await.unwrap();
    let secrets = vec![SessionSecret { name: "acme_key".parse().unwrap(), env_var: None, ttl: None }];
    let client_id = Some("exec".parse().unwrap());
    let open = OpenSession {
        client_id,
        secrets,
        project_dir: "/".into(),
        narrow: None,
        raw: Vec::new(),
        environment: None,
        narrow_to: Vec::new(),
        granted_only: false,
    };
    let opened = control.call(open).await.unwrap();
    let mut client = RawClient::connect(SocketAddr::from(([127, 0, 0, 1], opened.proxy_port))).await;
    assert_eq!(client.ask_connect(AUTHORITY).await.status, 200);
    let mut client = client.start_tls(HOST, &house.roots, H1).await.unwrap();
    assert_problem(&client.get(HOST, "/echo", &[]).await, 403, "no_lease");
    assert_paired(&records(house.broker(), &house.home));
}

/// The proxy wrote the lease at the first place of the host, whatever the path, and then took it for a stray one.
#[tokio::test]
async fn a_missing_credential_is_set_where_the_injection_that_counts_for_the_path_has_it() {
    let of = |place: &str, more: &str| format!("at = [{{ header = \"{place}\" }}]\n{more}");
    let also = |place: &str, more: &str| format!("\n[[inject]]\nhost = \"api\"\nuse = \"key\"\n{}", of(place, more));
    let (set, below) = ("missing = \"inject\"\n", "when = { path = \"/echo-header/**\" }\n");
    let here = format!("{set}{below}");
    for (inject, elsewhere) in [
        (of("x-key", set) + &also("y-key", &here), Some("x-key")),
        (of("y-key", &here) + &also("x-key", set), Some("x-key")),
        (of("y-key", &here) + &also("x-key", ""), None),
        (of("y-key", &here), None),
    ] {
        let (house, _) = with_service(&service(&inject, ""), Speaks::Both, "on_stray = \"revoke\"\n").await;
        let session = house.broker().open_session("test-agent".parse().unwrap(), Around::default()).unwrap();
        house.lease_of("acme_key", Some(&session));
        let mut client = connect(&house, Some(&proxy_credentials(&session))).await;
        let answer = client.get(HOST, "/echo", &[]).await;
        match elsewhere {
            Some(_) => assert_eq!(answer.status, 200, "{inject}: {answer:?}"),
            None => assert_problem(&answer, 403, "no_lease"),
        }
        let mut client = connect(&house, Some(&proxy_credentials(&session))).await;
        assert_ne!(client.get(HOST, "/echo-header/x", &[]).await.status, 403, "{inject}");
        let at = |name: &str| {
            house.origin.requests().iter().filter(|one| one.header(name).as_deref() == Some(SECRET)).count()
        };
        assert_eq!((at("x-key"), at("y-key")), (usize::from(elsewhere.is_some()), 1), "{inject}");
        assert!(house.records_of("lease_revoke").is_empty(), "nothing strayed");
    }
}

#[tokio::test]
async fn two_leases_of_a_session_are_no_answer_to_a_missing_one() {
    let inject = format!("missing = \"inject\"\n{BEARER}");
    let (house, _) = with_service(&service(&inject, ""), Speaks::Both, "").await;
    let other =
        "schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"acme\"\nitem = \"second_key\"\nallow = [\"all\"]\n";
    std::fs::write(house.home.policies().join("second.toml"), other).unwrap();
    house.broker().live_policy().reload().unwrap();
    let new = leasehold::broker::NewValue {
        name: "second_key".parse().unwrap(),
        value: leasehold::base::SecretBytes::new(b"second-REAL-0123456789".to_vec()),
        rotate_via: None,
        binding: Some(leasehold::store::Binding { service: "acme".parse().unwrap(), credential: "key".into() }),
        raw: leasehold::store::RawReveal::Allow,
        plan: leasehold::store::RotationPlan::default(),
    };
    house.broker().add(new).unwrap();
    let session = house.broker().open_session("test-agent".parse().unwrap(), Around::default()).unwrap();
    house.lease_of("acme_key", Some(&session));
    let mut client = connect(&house, Some(&proxy_credentials(&session))).await;
    assert_eq!(client.get(HOST, "/echo", &[]).await.status, 200);
    house.lease_of("second_key", Some(&session));
    assert_problem(&client.get(HOST, "/echo", &[]).await, 403, "no_lease");
    assert_eq!(house.origin.requests().len(), 1);
}

#[tokio::test]
async fn a_lease_that_gave_something_up_is_no_wider_where_it_is_set_for_a_request() {
    let inject = format!("missing = \"inject\"\n{BEARER}");
    let (house, _) = with_service(&service(&inject, ""), Speaks::Both, "").await;
    let session = house.broker().open_session("test-agent".parse().unwrap(), Around::default()).unwrap();
    let less = leasehold::policy::Less {
        limit: [("requests".to_owned(), vec!["1/day".to_owned()])].into(),
        ..leasehold::policy::Less::default()
    };
    let asked = leasehold::broker::Asked { less: &[less], ..leasehold::broker::Asked::default() };
    house.broker().issue_agent_token(&"acme_key".parse().unwrap(), &session, &asked).unwrap();
    let mut client = connect(&house, Some(&proxy_credentials(&session))).await;
    assert_eq!(client.get(HOST, "/echo", &[]).await.status, 200);
    let mut client = connect(&house, Some(&proxy_credentials(&session))).await;
    assert_problem(&client.get(HOST, "/echo", &[]).await, 429, "limit");
    assert_eq!(house.origin.requests().len(), 1);
    let refused = house.records_of("request_refused");
    assert_eq!((refused.len(), refused[0].code.as_deref()), (1, Some("limit")));
}

#[tokio::test]
async fn nothing_is_sent_where_what_a_service_needs_is_not_built_yet() {
    for (from, to, what) in [
        (
            BEARER,
            &*format!("{BEARER}\n[inject.mint]\ngrant = \"refresh_token\"\nurl = \"https://api.acme.test/t\""),
            "mint",
        ),
        (BEARER, "[inject.sign]\nscheme = \"sigv4\"", "sign"),
        ("type = \"token\"", "type = \"oauth2\"", "type"),
        ("type = \"token\"", "type = \"fields\"\nfields = { a = \"secret\", b = \"secret\" }", "fields"),
        (
            "origin = \"https://api.acme.test\"",
            "origin = \"https://api.acme.test\"\ntls = { client_cert = \"cred.cert\" }",
            "client_cert",
        ),
    ] {
        let text = service(BEARER, "").replacen(from, to, 1);
        let (house, lease) = with_service(&service(BEARER, ""), Speaks::Both, "").await;
        std::fs::write(house.home.policies().join("acme.toml"), text).unwrap();
        house.broker().live_policy().reload().unwrap();

        let mut client = RawClient::connect(house.proxy()).await;
        let answer = client.ask_connect(AUTHORITY).await;
        if what == "client_cert" {
            assert_problem(&answer, 403, "host_denied");
        } else {
            let mut client = client.start_tls(HOST, &house.roots, H1).await.unwrap();
            for headers in [&[][..], &[("authorization", &*bearer(&lease))]] {
                let answer = client.get(HOST, "/echo", headers).await;
                assert_eq!(answer.status, 403, "{what} {answer:?}");
                assert_eq!(answer.json()["code"], if headers.is_empty() { "not_yet" } else { "stray_lease" });
            }
            let (name, client) = ("acme_key".parse().unwrap(), "a".parse().unwrap());
            let error = house.broker().issue_token(&name, &client, None, &leasehold::broker::Asked::default());
            let error = error.err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains("no lease of `acme_key` can be used yet"), "{what}: {error}");
        }
        assert_eq!(house.origin.requests().len(), 0, "{what}");
    }
}
