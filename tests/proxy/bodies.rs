//! Rules that look into bodies: what was looked at is what is sent, and nothing is sent before the verdict.

use http_body_util::{Full, StreamBody};
use hyper::body::Frame;

use crate::{
    house::{HOST, House, SECRET},
    kit::{H1, H2, assert_paired, assert_problem, records, with_service},
    support::{self, Answer, Speaks},
};

const SERVICE: &str = r#"
schema = 1
kind   = "service"
id     = "acme"
name   = "Chat"
[host.api]
origin = "https://api.acme.test"
[credential.key]
type = "token"
env  = ["CHAT_KEY"]
[[inject]]
host = "api"
use  = "key"
at   = [{ header = "x-api-key" }]
[cap.small]
about = "Run small models"
risk  = "read"
allow = [{ method = "POST", path = "/echo", json = { "/model" = "small-*" }, body_max = "16KiB" }]
[cap.ask]
about = "Ask"
risk  = "read"
allow = [{ method = "POST", path = "/status/200", graphql = { operation = "query", batch = true } }]
[cap.upload]
about = "Upload little files"
risk  = "write"
allow = [{ method = "PUT", path = "/upload", body_max = "1KiB" }]
"#;

async fn chat(speaks: Speaks, settings: &str) -> (House, String) {
    with_service(SERVICE, speaks, settings).await
}

async fn post(house: &House, alpn: &[&[u8]], lease: &str, body: &str) -> Answer {
    post_to(house, alpn, "/echo", lease, body).await
}

async fn post_to(house: &House, alpn: &[&[u8]], path: &str, lease: &str, body: &str) -> Answer {
    let headers = [("x-api-key", lease), ("content-type", "application/json")];
    let client = house.client(alpn).await;
    if alpn == H2 {
        let body = Full::new(bytes::Bytes::from(body.to_owned()));
        return client.h2(HOST).await.send("POST", path, &headers, body).await;
    }
    let mut client = client;
    client.send("POST", HOST, path, &headers, body.as_bytes()).await
}

const PAIRS: [(&[&[u8]], Speaks); 4] =
    [(H1, Speaks::Http1), (H1, Speaks::Http2), (H2, Speaks::Http1), (H2, Speaks::Http2)];

#[tokio::test]
async fn a_body_that_fits_is_sent_as_it_came_and_one_that_does_not_never_leaves() {
    for (alpn, speaks) in PAIRS {
        let (house, lease) = chat(speaks, "").await;
        let body = "{ \"model\" : \"small-1\",\n \"input\": \"\\u00e9\" }";
        let answer = post(&house, alpn, &lease, body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let request = house.origin.only_request();
        assert_eq!(request.body, body.as_bytes(), "byte for byte");
        assert_eq!(request.values("x-api-key"), [SECRET]);

        for wrong in ["{\"model\":\"large\"}", "{\"model\":\"small-1\",\"model\":\"large\"}", "{", ""] {
            assert_problem(&post(&house, alpn, &lease, wrong).await, 403, "cap_denied");
        }
        assert_eq!(house.origin.requests().len(), 1, "nothing that was refused left");
        assert_eq!(house.records_of("request_refused").len(), 4);
        assert_paired(&records(house.broker(), &house.home));
    }
}

#[tokio::test]
async fn attack_84_a_mutation_behind_an_alias_in_a_batch_never_leaves_and_is_recorded() {
    for (alpn, speaks) in PAIRS {
        let (house, lease) = chat(speaks, "").await;
        let asked = r#"[{"query":"{ viewer { id } }"},{"query":" # mutation\nquery A { deleteIssue: node }"}]"#;
        assert_eq!(post_to(&house, alpn, "/status/200", &lease, asked).await.status, 200);
        assert_eq!(house.origin.only_request().body, asked.as_bytes());

        let hidden = r#"[{"query":"{ viewer { id } }"},{"query":"mutation A { viewer: deleteIssue(id: 7) { id } }"}]"#;
        let answer = post_to(&house, alpn, "/status/200", &lease, hidden).await;
        assert_problem(&answer, 403, "cap_denied");
        assert_eq!(house.origin.requests().len(), 1, "the mutation stays here");
        assert_eq!(house.origin.count(b"deleteIssue(id"), 0);
        let refused = house.records_of("request_refused");
        assert_eq!((refused.len(), refused[0].code.as_deref()), (1, Some("cap_denied")));
        assert_paired(&records(house.broker(), &house.home));
    }
}

#[tokio::test]
async fn a_body_that_is_too_long_to_be_looked_at_is_refused_unread() {
    let (house, lease) = chat(Speaks::Both, "").await;
    let long = format!("{{\"model\":\"small-1\",\"input\":\"{}\"}}", "x".repeat(20 << 10));
    let answer = post(&house, H1, &lease, &long).await;
    assert_problem(&answer, 413, "body_too_large");
    assert!(answer.json()["detail"].as_str().unwrap().contains("more than 16384 bytes"), "{answer:?}");
    assert_problem(&post(&house, H2, &lease, &long).await, 413, "body_too_large");

    // One whose length nobody announced is refused as soon as it is too long.
    let mut client = house.client(H1).await;
    let head = format!(
        "POST /echo HTTP/1.1\r\nHost: {HOST}\r\nx-api-key: {lease}\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n4e20\r\n"
    );
    client.write([head.as_bytes(), &vec![b' '; 20_000], b"\r\n"].concat()).await;
    assert_problem(&client.read_answer_to("POST").await, 413, "body_too_large");
    assert_eq!(house.origin.requests().len(), 0);
    assert_eq!(house.records_of("request_refused").len(), 3);
}

#[tokio::test]
async fn a_lease_token_in_a_body_that_was_looked_at_stops_the_request() {
    let (house, lease) = chat(Speaks::Both, "").await;
    let body = format!("{{\"model\":\"small-1\",\"input\":\"{lease}\"}}");
    for alpn in [H1, H2] {
        let answer = post(&house, alpn, &lease, &body).await;
        assert_problem(&answer, 403, "stray_lease");
    }
    assert_eq!(house.origin.count(lease.as_bytes()), 0, "the token stays here");
    assert_eq!(house.origin.count(b"small-1"), 0, "nor does the body leave");
}

#[tokio::test]
async fn a_lease_that_ends_while_its_body_is_read_sends_nothing() {
    let (house, lease) = chat(Speaks::Both, "").await;
    let mut client = house.client(H1).await;
    let head = format!(
        "POST /echo HTTP/1.1\r\nHost: {HOST}\r\nx-api-key: {lease}\r\nContent-Type: application/json\r\n\
         Expect: 100-continue\r\nContent-Length: 100\r\n\r\n"
    );
    client.write(head).await;
    // The proxy asks for the body, so it has begun to read.
    assert_eq!(client.read_interim().await.status, 100);
    client.write("{\"model\":\"sm").await;
    house.broker().revoke_all().unwrap();
    assert_problem(&client.read_answer_to("POST").await, 403, "revoked");
    assert_eq!(house.origin.requests().len(), 0);
    assert_eq!(house.records_of("request_refused")[0].code.as_deref(), Some("revoked"));
}

#[tokio::test]
async fn a_body_that_does_not_come_in_time_is_refused() {
    let (house, lease) = chat(Speaks::Both, "[proxy]\nbody_time = \"1s\"\n").await;
    let mut client = house.client(H1).await;
    let headers = [("x-api-key", &*lease), ("content-type", "application/json")];
    client.write(support::head("POST", HOST, "/echo", &headers, 100)).await;
    client.write("{").await;
    assert_problem(&client.read_answer_to("POST").await, 400, "bad_request");
    assert_eq!(house.origin.requests().len(), 0);
}

#[tokio::test]
async fn a_client_that_waits_for_100_continue_gets_it_and_its_body_arrives() {
    let (house, lease) = chat(Speaks::Http1, "").await;
    let body = "{\"model\":\"small-2\"}";
    let mut client = house.client(H1).await;
    let head = format!(
        "POST /echo HTTP/1.1\r\nHost: {HOST}\r\nx-api-key: {lease}\r\nContent-Type: application/json\r\n\
         Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    client.write(head).await;
    assert_eq!(client.read_interim().await.status, 100);
    client.write(body).await;
    assert_eq!(client.read_answer_to("POST").await.status, 200);
    let request = house.origin.only_request();
    assert_eq!((request.body.as_slice(), request.values("expect").len()), (body.as_bytes(), 0));
}

#[tokio::test]
async fn trailers_of_a_body_that_was_looked_at_arrive_too() {
    for speaks in [Speaks::Http1, Speaks::Http2] {
        let (house, lease) = chat(speaks, "").await;
        let client = house.client(H2).await.h2(HOST).await;
        let mut trailers = http::HeaderMap::new();
        trailers.insert("x-checksum", "abc".parse().unwrap());
        let data = bytes::Bytes::from_static(b"{\"model\":\"small-3\"}");
        let frames = [Frame::data(data), Frame::trailers(trailers)].map(Ok::<_, std::io::Error>);
        let body = StreamBody::new(futures_util::stream::iter(frames)); // of unknown length, or h1 could not carry them
        let headers = [("x-api-key", &*lease), ("content-type", "application/json"), ("trailer", "x-checksum")];
        let answer = client.send("POST", "/echo", &headers, body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let request = house.origin.only_request();
        assert_eq!(request.body, b"{\"model\":\"small-3\"}");
        assert_eq!(request.trailers, [("x-checksum".to_owned(), b"abc".to_vec())], "{speaks:?}");
    }
}

#[tokio::test]
async fn a_body_goes_no_further_than_its_rule_lets_it() {
    let (house, lease) = chat(Speaks::Both, "").await;
    let headers = [("x-api-key", &*lease)];
    let mut client = house.client(H1).await;
    assert_eq!(client.send("PUT", HOST, "/upload", &headers, &[b'x'; 1024]).await.status, 200);
    let mut client = house.client(H1).await;
    assert_problem(&client.send("PUT", HOST, "/upload", &headers, &[b'x'; 1025]).await, 413, "body_too_large");
    assert_eq!(house.origin.requests().len(), 1);

    // Without an announced length it streams until it is too long.
    let mut client = house.client(H1).await;
    let head =
        format!("PUT /upload HTTP/1.1\r\nHost: {HOST}\r\nx-api-key: {lease}\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.write([head.as_bytes(), b"400\r\n", &[b'x'; 1024], b"\r\n", b"1\r\nx\r\n0\r\n\r\n"].concat()).await;
    assert_problem(&client.read_answer_to("PUT").await, 413, "body_too_large");
    let whole = house.origin.requests().into_iter().filter(|request| request.body.len() > 1024).count();
    assert_eq!(whole, 0, "the byte too many never leaves");
    assert_paired(&records(house.broker(), &house.home));
}
