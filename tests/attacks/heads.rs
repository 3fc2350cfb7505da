//! A, I: heads that are too large or that are none. Whoever answers, hyper or we, says it as a problem, and it is recorded.

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use leasehold::{
    audit::Record,
    control::{Client, OpenSession},
};

use crate::{
    h2_frames::{Fate, H2Frames},
    house::{AUTHORITY, HOST, House, SECRET},
    seen::{assert_refused, bearer},
    support::{self, RawClient},
};

const TOO_LARGE: (u16, &str) = (431, "too_large");
const MALFORMED: (u16, &str) = (400, "bad_request");

/// A head with so many fields, and one field of this length more.
fn head(lease: &str, fields: usize, length: usize) -> String {
    let many = (0..fields).map(|field| format!("X-{field}: v\r\n")).collect::<Vec<_>>().concat();
    let long = "l".repeat(length);
    format!("GET /echo HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {lease}\r\n{many}X-Long: {long}\r\n\r\n")
}

/// Heads that are no HTTP/1.1.
fn malformed() -> Vec<Vec<u8>> {
    let heads = [
        "GET /\r\n\r\n",
        "GET / HTTP/9.9\r\nHost: api.acme.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : api.acme.test\r\n\r\n",
        "GET / HTTP/1.1\r\n: empty\r\n\r\n",
        "GET / HTTP/1.1\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: api.acme.test\r\nX: a\0b\r\n\r\n",
        "G\u{fc}T / HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: api.acme.test\r\nContent-Length: +5\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: api.acme.test\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "POST / HTTP/1.1\r\nHost: api.acme.test\r\nTransfer-Encoding: cow\r\n\r\nhello",
        "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n",
    ];
    heads.iter().map(|head| head.as_bytes().to_vec()).collect()
}

fn assert_known(record: &Record, said: (u16, &str), action: &str) {
    assert_eq!((record.action.as_str(), record.status), (action, Some(said.0)), "{record:?}");
    assert_eq!((record.host.as_deref(), record.port), (Some(HOST), Some(443)), "{record:?}");
    assert!(record.request_id.is_some(), "{record:?}");
}

#[tokio::test]
async fn attack_113_a_head_that_is_too_large_is_a_problem_on_http_1_whoever_refuses_it() {
    let house = House::new().await;
    let lease = house.lease();
    // The first of each kind reaches us, the second is beyond what hyper reads.
    for (fields, length, action) in [
        (0, 70_000, "request_refused"),
        (0, 900_000, "connection_refused"),
        (250, 1, "request_refused"),
        (1000, 1, "connection_refused"),
    ] {
        let mut client = house.http1().await;
        let _ = client.try_write(head(&lease, fields, length)).await;
        let answer = client.read_answer().await;
        assert_refused(&answer, TOO_LARGE.0, TOO_LARGE.1);
        assert_eq!(client.read_to_end().await, b"", "{action}: the connection ends");
        assert_known(&house.last_refusal(), TOO_LARGE, action);
    }
    let mut client = house.http1().await;
    client.write(format!("GET /{} HTTP/1.1\r\nHost: {HOST}\r\n\r\n", "p".repeat(66_000))).await;
    assert_refused(&client.read_answer().await, TOO_LARGE.0, TOO_LARGE.1);
    assert_known(&house.last_refusal(), TOO_LARGE, "connection_refused");
    house.assert_nothing_left(&lease);
    let mut client = house.http1().await;
    client.write(head(&lease, 190, 50_000)).await;
    assert_eq!(client.read_answer().await.status, 200, "what is large but within the limits passes");
}

#[tokio::test]
async fn attack_113_a_head_that_is_too_large_is_a_problem_on_http_2_and_ends_its_stream_alone() {
    let house = House::new().await;
    let lease = bearer(&house.lease());
    let client = house.client(&[b"h2"]).await.h2(HOST).await;
    let live = Request::get(format!("https://{HOST}/hang/body?gate=live")).header("authorization", &lease);
    let live = client.request(live.body(Full::<Bytes>::default()).unwrap()).await.unwrap();
    let (long, many) = ("l".repeat(100_000), (0..250).map(|field| format!("x-{field}")).collect::<Vec<_>>());
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), "v")).chain([("authorization", &*lease)]).collect();
    for headers in [&[("authorization", &*lease), ("x-long", &long)][..], &many] {
        assert_refused(&client.get("/echo", headers).await, TOO_LARGE.0, TOO_LARGE.1);
        assert_known(&house.last_refusal(), TOO_LARGE, "request_refused");
    }
    assert_eq!(client.get("/status/200", &[("authorization", &lease)]).await.status, 200);
    house.origin.gate("live").finish();
    assert_eq!(support::collect(live).await.text(), "begun\nreleased\n");
    assert_eq!(house.origin.requests().len(), 2);
}

#[tokio::test]
async fn attack_113_a_connection_of_http_2_that_is_given_up_is_recorded() {
    let house = House::new().await;
    let client = house.client(&[b"h2"]).await;
    let mut frames = H2Frames::start(client).await;
    frames.endless_head(1).await;
    assert!(matches!(frames.fate(1).await, Fate::GoAway(_) | Fate::Closed));
    let record = house.recorded("connection_refused", "too_large").await;
    assert_eq!((record.host.as_deref(), record.port), (Some(HOST), Some(443)), "{record:?}");
    let mut client = house.client(&[b"h2"]).await;
    client.write(b"GET / HTTP/1.1\r\nHost: api.acme.test\r\n\r\n").await;
    house.recorded("connection_refused", "bad_request").await;
    assert!(house.origin.connections().is_empty());
}

#[tokio::test]
async fn attack_6_7_8_13_a_malformed_head_is_a_problem_inside_a_tunnel_and_at_the_proxys_port() {
    let house = House::new().await;
    for bytes in malformed() {
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        let mut inside = house.http1().await;
        inside.write(&bytes).await;
        assert_refused(&inside.read_answer().await, MALFORMED.0, MALFORMED.1);
        assert_eq!(inside.read_to_end().await, b"", "{shown}");
        assert_known(&house.last_refusal(), MALFORMED, "connection_refused");
        let mut outside = RawClient::connect(house.proxy()).await;
        outside.write(&bytes).await;
        assert_refused(&outside.read_answer().await, MALFORMED.0, MALFORMED.1);
        let record = house.last_refusal();
        assert_eq!((record.action.as_str(), record.host), ("connection_refused", None), "{shown}");
    }
    assert!(house.origin.connections().is_empty());
    house.assert_still_works().await;
}

#[tokio::test]
async fn a_malformed_head_after_good_requests_is_a_problem_and_their_answers_are_untouched() {
    let house = House::new().await;
    let lease = bearer(&house.lease());
    let mut client = house.http1().await;
    // An answer that looks like hyper's own is an answer all the same.
    let bare = "HTTP/1.1%20400%20Bad%20Request%0D%0Aconnection:%20close%0D%0Acontent-length:%200%0D%0A%0D%0A";
    for target in [&*format!("/answer?status=200&body={bare}"), "/bytes/300000", "/stream?n=3", "/status/204"] {
        let answer = client.get(HOST, target, &[("Authorization", &lease)]).await;
        assert!(matches!(answer.status, 200 | 204), "{answer:?}");
        assert!(!answer.text().contains("problem"), "{answer:?}");
    }
    client.write(b"GET / HTTP/1.1\r\nno colon\r\n\r\n").await;
    assert_refused(&client.read_answer().await, MALFORMED.0, MALFORMED.1);
    assert_eq!(house.records_of("connection_refused").len(), 1);
    assert_eq!(house.origin.requests().len(), 4);
    assert_eq!(house.origin.count(SECRET.as_bytes()), 4);
}

#[tokio::test]
async fn what_never_became_a_request_is_recorded_for_the_session_whose_port_it_came_to() {
    let house = House::new().await;
    let mut control = Client::connect(&house.home.socket(), support::LIMIT).await.unwrap();
    let open = OpenSession {
        client_id: Some("exec".parse().unwrap()),
        secrets: Vec::new(),
        project_dir: "/".into(),
        ..OpenSession::default()
    };
    let opened = control.call(open).await.unwrap();
    let port = std::net::SocketAddr::from(([127, 0, 0, 1], opened.proxy_port));
    let of_session = |record: &Record| {
        assert_eq!(record.session_id, Some(opened.session_id.to_string()), "{record:?}");
        assert_eq!(record.client_id.as_deref(), Some("exec"), "{record:?}");
    };
    let mut outside = RawClient::connect(port).await;
    outside.write(b"CONNECT api.acme.test:443\r\n\r\n").await;
    assert_refused(&outside.read_answer().await, MALFORMED.0, MALFORMED.1);
    of_session(&house.last_refusal());
    let mut inside = support::connect_tls(port, AUTHORITY, &house.roots, &[b"http/1.1"]).await;
    inside.write(b"GET /\r\n\r\n").await;
    assert_refused(&inside.read_answer().await, MALFORMED.0, MALFORMED.1);
    of_session(&house.last_refusal());
    assert_known(&house.last_refusal(), MALFORMED, "connection_refused");
}
