//! A, I: bodies announced twice or framed wrongly (1, 4), and heads that never end (112): 400, closed, nothing whole upstream.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{
    house::{AUTHORITY, HOST, House, Plan},
    seen::{assert_refused, bearer},
    support::{self, Answer, BodyState, RawClient, Speaks},
};

/// Both announcements, in both orders.
const TWICE: [&str; 4] = [
    "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    "Transfer-Encoding: chunked\r\nX: 1\r\ncontent-length:60\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length: 4\r\nContent-Length: 5\r\n",
];

#[tokio::test]
async fn attack_1_a_body_that_is_announced_twice_goes_nowhere() {
    let house = House::new().await;
    let lease = house.lease();
    let smuggled = format!("GET /smuggled HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {lease}\r\n\r\n");
    for (at, twice) in TWICE.iter().enumerate() {
        let head = |target: &str, host: &str| {
            format!("POST {target} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {lease}\r\n{twice}\r\n0\r\n\r\n")
        };
        let mut inside = house.http1().await;
        inside.write(head("/upload", HOST) + &smuggled).await;
        assert_refused(&inside.read_answer().await, 400, "bad_request");
        assert_eq!(inside.read_to_end().await, b"", "{twice}: what follows is not looked at");
        house.assert_recorded("request_refused", "bad_request");
        let mut outside = RawClient::connect(house.proxy()).await;
        let anonymous = head("http://tunnel.test/upload", "tunnel.test").replace(&format!("Bearer {lease}"), "x");
        outside.write(anonymous).await;
        assert_refused(&outside.read_answer().await, 400, "bad_request");
        assert_eq!(house.records_of("request_refused").len(), 2 * (at + 1));
    }
    house.assert_nothing_left(&lease);
}

#[tokio::test]
async fn attack_1_it_goes_nowhere_on_a_connection_in_use_either_and_honest_framing_does() {
    let house = House::new().await;
    let lease = bearer(&house.lease());
    for twice in TWICE {
        let mut client = house.http1().await;
        let chunked = format!(
            "POST /upload HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: {lease}\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        client.write(format!("{chunked}1c\r\n\r\n\r\nContent-Length: 5\r\n\r\nxxx\r\n0\r\n\r\n")).await;
        assert_eq!(client.read_answer().await.json()["length"], 28, "a body may say anything");
        let answer = client.send("POST", HOST, "/upload", &[("Authorization", &lease)], b"hello").await;
        assert_eq!(answer.json()["length"], 5);
        client
            .write(format!("POST /upload HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: {lease}\r\n{twice}\r\n0\r\n\r\n"))
            .await;
        assert_refused(&client.read_answer().await, 400, "bad_request");
    }
    assert_eq!(house.origin.requests().len(), 2 * TWICE.len());
}

#[tokio::test]
async fn attack_4_a_malformed_chunk_is_the_clients_fault_and_no_truncated_body_is_whole() {
    for speaks in [Speaks::Http1, Speaks::Http2] {
        let house = House::build(Plan { speaks, ..Plan::default() }).await;
        let lease = bearer(&house.lease());
        let bodies = [
            "0x10\r\n",
            "1_0\r\n",
            "-1\r\n",
            "11111111111111111\r\n",
            "fffffffffffffffff\r\n",
            "g\r\n",
            "5\r\nhelloX\r\n",
            "\r\n",
        ];
        for (at, body) in bodies.into_iter().enumerate() {
            let mut client = house.http1().await;
            let head = format!(
                "POST /upload HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: {lease}\r\nTransfer-Encoding: chunked\r\n\r\n"
            );
            client.write(format!("{head}4\r\ngood\r\n{body}0123456789abcdef\r\n0\r\n\r\n")).await;
            assert_refused(&client.read_answer().await, 400, "bad_request");
            assert_eq!(client.read_to_end().await, b"", "{body:?}");
            let ended = house.ended(at + 1).await;
            let last = ended.last().unwrap();
            assert_eq!((last.code.as_deref(), last.status), (Some("bad_request"), Some(400)), "{body:?}: {last:?}");
        }
        let is_whole = |request: &support::Recorded| request.body_state == BodyState::Complete;
        house
            .origin
            .wait("the uploads to break off", |all| all.iter().all(|r| matches!(r.body_state, BodyState::Broken(_))))
            .await;
        assert!(!house.origin.requests().iter().any(is_whole), "{:?}", house.origin.requests());
    }
}

/// Everything up to the end of a stream, in the time of a clock that jumps whenever nobody works.
async fn read_on(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Vec<u8> {
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all).await; // a reset ends it as well
    all
}

#[tokio::test]
async fn attack_112_a_head_that_does_not_end_is_given_up_after_half_a_minute() {
    let house = House::new().await;
    let mut outside = tokio::net::TcpStream::connect(house.proxy()).await.unwrap();
    let mut inside = house.http1().await;
    assert_eq!(inside.get(HOST, "/status/200", &[("Authorization", &bearer(&house.lease()))]).await.status, 200);
    let mut inside = inside.into_io();
    let begun = house.records_of("request_begun").len();
    tokio::time::pause();
    let started = tokio::time::Instant::now();
    outside.write_all(format!("CONNECT {AUTHORITY} HTTP/1.1\r\nHo").as_bytes()).await.unwrap();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(9)).await;
        outside.write_all(b"o").await.unwrap(); // a word now and then is no progress
    }
    let said = read_on(&mut outside).await;
    let answer = Answer::parse(&said);
    assert_eq!((answer.status, answer.header("x-leasehold-code").as_deref()), (400, Some("bad_request")));
    assert!(started.elapsed() < Duration::from_mins(1), "{:?}", started.elapsed());

    let started = tokio::time::Instant::now();
    inside.write_all(b"GET / HTTP/1.1\r\nHo").await.unwrap();
    inside.flush().await.unwrap();
    assert!(read_on(&mut inside).await.starts_with(b"HTTP/1.1 400 "));
    assert!(started.elapsed() < Duration::from_mins(1), "{:?}", started.elapsed());
    tokio::time::resume();
    let refused = house.records_of("connection_refused");
    assert_eq!(refused.len(), 2);
    assert!(refused.iter().all(|record| record.error.as_deref().is_some_and(|error| error.contains("too long"))));
    assert_eq!(house.records_of("request_begun").len(), begun);
}

#[tokio::test]
async fn a_connection_that_rests_between_requests_is_kept() {
    let house = House::new().await;
    let lease = bearer(&house.lease());
    let mut client = house.http1().await;
    assert_eq!(client.get(HOST, "/status/200", &[("Authorization", &lease)]).await.status, 200);
    tokio::time::pause();
    tokio::time::sleep(Duration::from_mins(5)).await;
    tokio::time::resume();
    assert_eq!(client.get(HOST, "/status/200", &[("Authorization", &lease)]).await.status, 200);
}
