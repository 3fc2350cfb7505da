//! WebSocket: the upgrade is armed like any request, frames pass untouched both ways, and its end is recorded.

use crate::{
    house::{HOST, House, Plan, SECRET},
    kit::{H1, allow_websockets, assert_paired, assert_problem, bearer},
    support::{self, Frame, Life, Opcode, RawClient, Speaks, WebSocketClient},
};

/// A house whose service may be asked for WebSockets.
async fn talking(speaks: Speaks) -> House {
    let house = House::build(Plan { speaks, ..Plan::default() }).await;
    allow_websockets(&house.home, house.broker());
    house
}

async fn upgraded(house: &House, headers: &[(&str, &str)]) -> WebSocketClient {
    let lease = bearer(&house.lease());
    let headers = [&[("Authorization", &*lease)], headers].concat();
    house.http1().await.websocket(HOST, "/ws", &headers).await.unwrap()
}

#[tokio::test]
async fn frames_pass_both_ways_and_the_exchange_is_recorded_once() {
    for speaks in [Speaks::Both, Speaks::Http1, Speaks::Http1NoAlpn] {
        let house = talking(speaks).await;
        let mut socket = upgraded(&house, &[("Sec-WebSocket-Protocol", "chat, other")]).await;
        assert_eq!(socket.answer.header("sec-websocket-protocol").as_deref(), Some("chat"));
        let handshake = house.origin.only_request();
        assert_eq!(
            (handshake.values("authorization"), handshake.version),
            (vec![bearer(SECRET)], http::Version::HTTP_11)
        );
        assert_eq!(house.records_of("request_begun").len(), 1);
        assert!(house.records_of("request_ended").is_empty(), "it is still open");

        let large: Vec<u8> = (0..200_000_u32).map(|i| (i % 251) as u8).collect();
        let fragment = Frame { fin: false, ..Frame::text("in two ") };
        let rest = Frame::new(Opcode::Continuation, "parts");
        let deflated = Frame { reserved: 4, ..Frame::new(Opcode::Binary, [1, 2, 3]) };
        for frame in
            [Frame::text("hello"), Frame::text(""), Frame::new(Opcode::Binary, large), fragment, rest, deflated]
        {
            socket.send(&frame).await;
            assert_eq!(socket.receive().await, Some(frame), "{speaks:?}");
        }
        socket.send(&Frame::new(Opcode::Ping, "are you there")).await;
        assert_eq!(socket.receive().await, Some(Frame::new(Opcode::Pong, "are you there")));
        socket.send(&Frame::close(1000)).await;
        assert_eq!(socket.receive().await, Some(Frame::close(1000)));
        assert_eq!(socket.receive().await, None, "then the connection ends");

        let ended = house.ended(1).await;
        assert_eq!((ended[0].outcome.as_deref(), ended[0].status), (Some("ok"), Some(101)), "{speaks:?}: {ended:?}");
        assert!(ended[0].bytes_sent > Some(200_000) && ended[0].bytes_received > Some(200_000));
        assert_paired(&house.records());
    }
}

/// A message is whole for its sender; nothing of it may wait for the next one (attack 70).
#[tokio::test]
async fn a_message_that_ends_like_the_beginning_of_an_echo_arrives_whole_at_once() {
    let house = talking(Speaks::Both).await;
    let mut socket = upgraded(&house, &[]).await;
    for end in ["a", "acme", "acme-REAL-0", "YWNtZS1", "61636d65", "\\u0061", "%61"] {
        let frame = Frame::text(&format!("the end is {end}"));
        socket.send(&frame).await;
        assert_eq!(socket.receive().await, Some(frame));
    }
}

#[tokio::test]
async fn attack_75_an_echo_ends_the_connection_before_it_passes() {
    let house = talking(Speaks::Both).await;
    let mut socket = upgraded(&house, &[]).await;
    socket.send(&Frame::text("before")).await;
    assert_eq!(socket.receive().await, Some(Frame::text("before")));
    socket.send(&Frame::text("credential")).await;
    assert_eq!(socket.receive().await, None);
    let ended = house.ended(1).await;
    assert_eq!(ended[0].outcome.as_deref(), Some("failed"), "{ended:?}");
    assert!(ended[0].error.as_deref().is_some_and(|error| error.contains("came back") && !error.contains(SECRET)));
    house.origin.wait_connections("the upstream side to end", |all| all.iter().all(|c| c.life == Life::Closed)).await;
}

#[tokio::test]
async fn attack_75_compression_is_not_negotiated() {
    let house = talking(Speaks::Both).await;
    let socket = upgraded(&house, &[("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")]).await;
    assert_eq!(socket.answer.header("sec-websocket-extensions"), None);
    assert_eq!(house.origin.only_request().header("sec-websocket-extensions"), None);
}

#[tokio::test]
async fn an_upgrade_that_the_origin_declines_is_an_answer_like_any_other() {
    let house = talking(Speaks::Both).await;
    let lease = bearer(&house.lease());
    let client = house.http1().await;
    let answer = client.websocket(HOST, "/status/404", &[("Authorization", &lease)]).await.err().unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (404, "404"));
    assert_eq!(house.ended(1).await[0].status, Some(404));
}

#[tokio::test]
async fn an_upgrade_without_a_lease_goes_nowhere() {
    let house = talking(Speaks::Both).await;
    let answer = house.http1().await.websocket(HOST, "/ws", &[]).await.err().unwrap();
    assert_problem(&answer, 403, "no_lease");
    let answer =
        house.http1().await.websocket(HOST, "/ws", &[("Authorization", "Bearer my-own-key")]).await.err().unwrap();
    assert_problem(&answer, 403, "foreign_credential");
    assert!(house.origin.connections().is_empty());
    assert_eq!(house.records_of("request_refused").len(), 2);
}

#[tokio::test]
async fn an_upgrade_is_a_right_of_its_own() {
    let house = House::new().await;
    let lease = bearer(&house.lease());
    let answer = house.http1().await.websocket(HOST, "/ws", &[("Authorization", &lease)]).await.err().unwrap();
    assert_problem(&answer, 403, "cap_denied");
    assert!(house.origin.connections().is_empty());
}

#[tokio::test]
async fn either_side_that_goes_away_ends_the_other() {
    let house = talking(Speaks::Both).await;
    let mut socket = upgraded(&house, &[]).await;
    socket.send(&Frame::text("x")).await;
    socket.receive().await.unwrap();
    drop(socket);
    house.origin.wait_connections("the upstream side to end", |all| all[0].life == Life::Closed).await;
    let mut socket = upgraded(&house, &[]).await;
    house.origin.drop_connections();
    assert_eq!(socket.receive().await, None);
    assert_eq!(house.ended(2).await.len(), 2);
    assert_paired(&house.records());
}

#[tokio::test]
async fn a_websocket_through_an_untouched_tunnel_is_relayed_as_it_is() {
    let house = talking(Speaks::Both).await;
    let mut client = RawClient::connect(house.proxy()).await;
    assert_eq!(client.ask_connect("tunnel.test:443").await.status, 200);
    let client = client.start_tls("tunnel.test", &house.ca.roots(), H1).await.unwrap();
    let headers = [("Sec-WebSocket-Extensions", "permessage-deflate")];
    let mut socket = client.websocket("tunnel.test", "/ws", &headers).await.unwrap();
    assert_eq!(house.origin.only_request().header("sec-websocket-extensions").as_deref(), Some("permessage-deflate"));
    socket.send(&Frame::text("hello")).await;
    assert_eq!(socket.receive().await, Some(Frame::text("hello")));
    drop(socket);
    support::until("the tunnel's end is recorded", || house.records_of("tunnel_ended").len() == 1).await;
    assert_paired(&house.records());
}
