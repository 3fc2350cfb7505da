//! Credentials in cookies, paths, JSON bodies and forms: swapped there, once, and nowhere else.

use http_body_util::Full;

use crate::{
    house::{HOST, House, SECRET},
    kit::{H1, H2, assert_paired, assert_problem, records, with_service},
    support::{Answer, Speaks},
};

fn service(places: &str) -> String {
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
at   = [{places}]
[cap.all]
about = "All"
risk  = "write"
allow = [{{ path = ["/echo", "/bot-/**", "/upload"] }}]
"#
    )
}

const PAIRS: [(&[&[u8]], Speaks); 4] =
    [(H1, Speaks::Http1), (H1, Speaks::Http2), (H2, Speaks::Http1), (H2, Speaks::Http2)];

async fn send(house: &House, alpn: &[&[u8]], call: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let (method, path) = call.split_once(' ').unwrap();
    let mut client = house.client(alpn).await;
    if alpn == H2 {
        let body = Full::new(bytes::Bytes::from(body.to_owned()));
        return client.h2(HOST).await.send(method, path, headers, body).await;
    }
    client.send(method, HOST, path, headers, body.as_bytes()).await
}

/// The token stays here, the credential left once, and neither is recorded.
fn assert_swapped(house: &House, answer: &Answer, lease: &str) {
    assert_eq!(answer.status, 200, "{answer:?}");
    let request = house.origin.requests().pop().unwrap();
    assert_eq!((request.count(SECRET.as_bytes()), request.count(lease.as_bytes())), (1, 0), "{request:?}");
    assert_eq!(answer.count(SECRET.as_bytes()), 0, "the echo is scrubbed");
    for (path, content) in house.public_files() {
        let holds = |text: &str| content.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(!holds(SECRET) && !holds(lease), "{} holds what it must not", path.display());
    }
}

#[tokio::test]
async fn a_cookie_is_swapped_among_others() {
    for (alpn, speaks) in PAIRS {
        let (house, lease) = with_service(&service("{ cookie = \"session\" }"), speaks, "").await;
        let cookies = format!("theme=dark; session={lease}; lang=de");
        let answer = send(&house, alpn, "GET /echo", &[("cookie", &cookies)], "").await;
        assert_swapped(&house, &answer, &lease);
        let request = house.origin.only_request();
        assert_eq!(request.values("cookie"), [format!("theme=dark; session={SECRET}; lang=de")]);

        // A second token beside the first is astray, and so is one in another cookie.
        for cookies in [format!("session={lease}; other={lease}"), format!("other={lease}")] {
            let answer = send(&house, alpn, "GET /echo", &[("cookie", &cookies)], "").await;
            assert_problem(&answer, 403, "stray_lease");
        }
        let twice = format!("session={lease}; session={lease}");
        assert_problem(&send(&house, alpn, "GET /echo", &[("cookie", &twice)], "").await, 400, "bad_request");
        let foreign = send(&house, alpn, "GET /echo", &[("cookie", "session=abc")], "").await;
        assert_problem(&foreign, 403, "foreign_credential");
        assert_eq!(house.origin.requests().len(), 1);
        assert_paired(&records(house.broker(), &house.home));
    }
}

#[tokio::test]
async fn crumbs_of_http2_are_one_cookie_field() {
    let (house, lease) = with_service(&service("{ cookie = \"session\" }"), Speaks::Http2, "").await;
    let session = format!("session={lease}");
    let answer = send(&house, H2, "GET /echo", &[("cookie", "a=b"), ("cookie", &session)], "").await;
    assert_swapped(&house, &answer, &lease);
}

#[tokio::test]
async fn a_part_of_the_path_is_swapped_and_the_record_does_not_show_it() {
    for (alpn, speaks) in PAIRS {
        let (house, lease) = with_service(&service("{ path = \"/bot{}/**\" }"), speaks, "").await;
        let call = format!("GET /bot{lease}/echo?x=%20y");
        let answer = send(&house, alpn, &call, &[], "").await;
        assert_eq!(answer.status, 404, "the stand-in knows no such path: {answer:?}");
        assert_eq!(house.origin.only_request().target, format!("/bot{SECRET}/echo?x=%20y"));
        assert_eq!(answer.count(SECRET.as_bytes()), 0);
        assert_eq!(house.ended(1).await[0].path.as_deref(), Some("/bot-/echo"));
        for path in [format!("/bot{lease}/{lease}"), format!("/echo/{lease}"), format!("/bot{lease}/x?q={lease}")] {
            assert_problem(&send(&house, alpn, &format!("GET {path}"), &[], "").await, 403, "stray_lease");
        }
        let denied = send(&house, alpn, &format!("TRICK /bot{lease}/x"), &[], "").await;
        assert_problem(&denied, 403, "cap_denied");
        assert_eq!(denied.count(lease.as_bytes()), 0, "the refusal does not repeat the token: {denied:?}");
        assert_eq!(house.origin.requests().len(), 1);
        for (path, content) in house.public_files() {
            assert!(!content.windows(lease.len()).any(|w| w == lease.as_bytes()), "{} holds it", path.display());
        }
    }
}

#[tokio::test]
async fn a_string_of_a_json_body_is_swapped_and_every_other_byte_stays() {
    for (alpn, speaks) in PAIRS {
        let places = "{ header = \"authorization\", as = \"Bearer {}\" }, { json = \"/api_key\" }";
        let (house, lease) = with_service(&service(places), speaks, "").await;
        let json = [("content-type", "application/json")];
        let body = format!("{{ \"q\" : \"\\u00fc\",\n\"api_key\" : \"{lease}\", \"n\": 1.0 }}");
        let answer = send(&house, alpn, "POST /echo", &json, &body).await;
        assert_swapped(&house, &answer, &lease);
        let request = house.origin.only_request();
        assert_eq!(String::from_utf8_lossy(&request.body), body.replace(&lease, SECRET));

        // The other listed place works too, without a look into the body.
        let bearer = format!("Bearer {lease}");
        let head = [("authorization", bearer.as_str()), json[0]];
        assert_swapped(&house, &send(&house, alpn, "POST /echo", &head, "{\"q\":1}").await, &lease);

        for (body, code) in [
            (format!("{{\"api_key\":\"{lease}\",\"x\":\"{lease}\"}}"), "stray_lease"),
            (format!("{{\"api_key\":\"{lease}\",\"api_key\":\"{lease}\"}}"), "bad_request"),
            (format!("{{\"key\":\"{lease}\"}}"), "no_lease"),
            ("{\"api_key\":\"tvly-real-key\"}".to_owned(), "foreign_credential"),
            ("{\"q\":1}".to_owned(), "no_lease"),
        ] {
            let answer = send(&house, alpn, "POST /echo", &json, &body).await;
            let status = if code == "bad_request" { 400 } else { 403 };
            assert_problem(&answer, status, code);
        }
        let both = send(&house, alpn, "POST /echo", &head, &format!("{{\"api_key\":\"{lease}\"}}")).await;
        assert_problem(&both, 403, "stray_lease");
        let sent: usize = house.origin.requests().iter().map(|request| request.count(lease.as_bytes())).sum();
        assert_eq!((sent, house.origin.count(b"tvly-real-key")), (0, 0));
    }
}

#[tokio::test]
async fn a_field_of_a_form_is_swapped() {
    for (alpn, speaks) in PAIRS {
        let (house, lease) = with_service(&service("{ form = \"token\" }"), speaks, "").await;
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let answer = send(&house, alpn, "POST /echo", &form, &format!("a=%20&token={lease}&b=+")).await;
        assert_swapped(&house, &answer, &lease);
        assert_eq!(house.origin.only_request().body, format!("a=%20&token={SECRET}&b=+").into_bytes());
    }
}

#[tokio::test]
async fn a_credential_in_a_body_is_announced_with_its_new_length_and_a_long_body_is_refused() {
    let (house, lease) = with_service(&service("{ json = \"/k\" }"), Speaks::Http1, "").await;
    let json = [("content-type", "application/json")];
    assert_eq!(send(&house, H1, "POST /echo", &json, &format!("{{\"k\":\"{lease}\"}}")).await.status, 200);
    let request = house.origin.only_request();
    assert_eq!(request.values("content-length"), [request.body.len().to_string()]);
    let long = format!("{{\"k\":\"{lease}\",\"x\":\"{}\"}}", "x".repeat(1 << 20));
    assert_problem(&send(&house, H1, "POST /echo", &json, &long).await, 413, "body_too_large");
    assert_eq!(house.origin.requests().len(), 1);
}
