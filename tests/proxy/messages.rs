//! Credentials in a message of a WebSocket: what the first message that has the place is turned into, and what is not sent.

use std::sync::Arc;

use leasehold::broker::{Around, Session};

use crate::{
    house::{HOST, House, SECRET},
    kit::{H1, assert_paired, assert_problem, bearer, connect, get, proxy_credentials, with_service},
    support::{Frame, Life, Opcode, Speaks, WebSocketClient},
};

const SERVICE: &str = r#"
schema = 1
kind   = "service"
id     = "acme"
name   = "Acme"
[host.api]
origin = "https://api.acme.test"
[credential.key]
type = "token"
[[inject]]
host = "api"
use  = "key"
at   = [{ ws_json = "/d/token" }]
[cap.stream]
about = "Events"
risk  = "write"
allow = [{ method = "GET", path = "/ws", upgrade = "websocket" }]
[cap.rest]
about = "The rest"
risk  = "write"
allow = [{ method = "GET", path = "/echo" }]
"#;

/// A house, a session of it, and the session's lease token.
async fn talking() -> (House, Arc<Session>, String) {
    let (house, _) = with_service(SERVICE, Speaks::Both, "").await;
    let session = house.broker().open_session("test-agent".parse().unwrap(), Around::default()).unwrap();
    let token = house.lease_of("acme_key", Some(&session));
    (house, session, token)
}

async fn opened(house: &House, session: &Session) -> WebSocketClient {
    connect(house, Some(&proxy_credentials(session))).await.websocket(HOST, "/ws", &[]).await.unwrap()
}

fn identify(token: &str) -> Frame {
    Frame::text(&format!("{{\"op\": 2, \"d\": {{\"token\": \"{token}\", \"intents\": 513}}}}"))
}

/// Sends a frame and waits until the connection has ended for it; what the record says.
async fn ended_by(house: &House, mut socket: WebSocketClient, frame: &Frame) -> String {
    socket.send(frame).await;
    assert_eq!(socket.receive().await, None, "{frame:?}");
    let ended = house.ended(house.records_of("request_begun").len()).await.pop().unwrap();
    assert_eq!(ended.outcome.as_deref(), Some("failed"));
    ended.error.unwrap()
}

#[tokio::test]
async fn the_first_message_that_has_the_place_gets_the_credential_and_no_other_byte_changes() {
    let (house, session, token) = talking().await;
    let mut socket = opened(&house, &session).await;
    assert_eq!(house.origin.only_request().count(SECRET.as_bytes()), 0, "nothing stands in the handshake");
    let before = [
        Frame::text("{\"op\":1,\"d\":null}"),
        Frame::new(Opcode::Binary, vec![7; 300]),
        Frame::new(Opcode::Ping, "are you there"),
    ];
    for frame in &before {
        socket.send(frame).await;
        socket.receive().await.unwrap();
    }
    socket.send(&identify(&token)).await;
    assert_eq!(socket.receive().await, None, "the origin answers with what it got, and an echo never passes");
    let seen = house.origin.frames();
    assert_eq!(seen[..3], before);
    assert_eq!(seen[3], identify(SECRET));
    assert_eq!(seen.len(), 4);

    let begun = house.records_of("request_begun").pop().unwrap();
    assert!(begun.lease_id.is_some() && begun.secret_name.as_deref() == Some("acme_key"), "{begun:?}");
    let ended = house.ended(1).await.pop().unwrap();
    assert!(ended.error.unwrap().contains("came back over the WebSocket"));
    assert_paired(&house.records());
}

#[tokio::test]
async fn after_the_credential_frames_pass_as_they_are() {
    let (house, session, token) = talking().await;
    let mut socket = opened(&house, &session).await;
    let second = identify(&token);
    // In one write, as the origin's answer to the first ends the connection.
    let both = [identify(&token).encode(Some([9, 8, 7, 6])), second.encode(Some([1, 2, 3, 4]))].concat();
    socket.write(&both).await;
    house.origin.wait_frames("both messages", |frames| frames.len() == 2).await;
    assert_eq!(house.origin.frames()[0], identify(SECRET));
    assert_eq!(house.origin.frames()[1], second, "a token is worth nothing to the origin, and is written once");
}

#[tokio::test]
async fn a_long_message_may_come_in_pieces() {
    let (house, session, token) = talking().await;
    let long = format!("{{\"d\":{{\"token\":\"{token}\",\"noise\":\"{}\"}}}}", "x".repeat(40_000));
    let mut socket = opened(&house, &session).await;
    for piece in Frame::text(&long).encode(Some([9, 8, 7, 6])).chunks(1_000) {
        socket.write(piece).await;
    }
    house.origin.wait_frames("the long message", |frames| frames.len() == 1).await;
    assert_eq!(house.origin.frames()[0].as_text(), long.replace(&token, SECRET));
}

#[tokio::test]
async fn what_is_not_the_lease_token_is_not_sent() {
    let (house, session, token) = talking().await;
    let other = house.lease();
    for (frame, part) in [
        (identify("somebody-else-s-key"), "something else than the lease token"),
        (identify(&other), "something else than the lease token"),
        (Frame::text(&format!("{{\"d\":{{\"token\":\"{token}\",\"token\":\"{token}\"}}}}")), "two credentials"),
        (Frame { fin: false, ..identify(&token) }, "in parts"),
        (Frame { reserved: 4, ..identify(&token) }, "no frame of a WebSocket"),
        (Frame::new(Opcode::Continuation, "x"), "no frame of a WebSocket"),
        (Frame::text(&"x".repeat(70_000)), "longer than 64 KiB"),
    ] {
        let socket = opened(&house, &session).await;
        let why = ended_by(&house, socket, &frame).await;
        assert!(why.contains(part) && !why.contains(&token), "{why}");
    }
    let mut socket = opened(&house, &session).await;
    for _ in 0..32 {
        socket.send(&Frame::text("{}")).await;
    }
    assert!(ended_by_last(&house, socket).await.contains("none of the first 32 messages"));
    assert_eq!(house.origin.count(SECRET.as_bytes()), 0);
    assert!(house.origin.frames().iter().all(|frame| frame.as_text() == "{}"), "nothing else was forwarded");
    house.origin.wait_connections("the upstream sides to end", |all| all.iter().all(|c| c.life == Life::Closed)).await;
    assert_paired(&house.records());
}

async fn ended_by_last(house: &House, mut socket: WebSocketClient) -> String {
    for _ in 0..32 {
        socket.receive().await.unwrap();
    }
    ended_by(house, socket, &Frame::text("{}")).await
}

#[tokio::test]
async fn only_a_session_s_own_upgrade_begins_so() {
    let (house, session, token) = talking().await;
    let refused = connect(&house, None).await.websocket(HOST, "/ws", &[]).await.err().unwrap();
    assert_problem(&refused, 403, "no_lease");
    let mut client = connect(&house, Some(&proxy_credentials(&session))).await;
    assert_problem(&client.get(HOST, "/echo", &[]).await, 403, "no_lease");
    assert_problem(&get(&house, H1, "/echo", &[("authorization", &bearer(&token))]).await, 403, "stray_lease");
    assert_eq!(house.origin.requests().len(), 0);
    assert_eq!(house.records_of("request_refused").len(), 3);
}

#[tokio::test]
async fn a_lease_that_ends_takes_the_connection_along() {
    let (house, session, token) = talking().await;
    let mut socket = opened(&house, &session).await;
    house.broker().revoke_all().unwrap();
    socket.send(&identify(&token)).await;
    assert_eq!(socket.receive().await, None);
    assert_eq!(house.ended(1).await.pop().unwrap().outcome.as_deref(), Some("cut"));
    assert_eq!(house.origin.count(SECRET.as_bytes()), 0);
}
