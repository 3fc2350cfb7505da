//! Live exchanges of every kind are cut, with their upstream side, and their record says why.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use leasehold::{audit::Record, broker::Around, killswitch::Plan};

use crate::{
    failed,
    house::{AUTHORITY, HOST, House},
    kill,
    kit::{H1, H2, allow_websockets, assert_paired, assert_problem, bearer},
    steps,
    support::{self, AnswerState, Frame, Life, RawClient, until, within},
};

fn assert_killed(ended: &Record) {
    assert_eq!((ended.outcome.as_deref(), ended.reason.as_deref()), (Some("cut"), Some("killed")), "{ended:?}");
}

/// The record says of the cut how long it took from the command to the last switch that was thrown.
fn assert_recorded(house: &House) {
    let records = house.records();
    assert_eq!(steps(&records), ["latch", "revoke_all", "cut", "keep"], "{records:?}");
    let cut =
        records.iter().find(|record| record.details.as_deref().is_some_and(|text| text.starts_with("cut"))).unwrap();
    assert!(cut.duration_us.is_some() && cut.success, "{cut:?}");
    assert_paired(&records);
}

#[tokio::test]
async fn attack_120_a_streaming_answer_over_http1_is_cut() {
    let house = House::new().await;
    let lease = bearer(&house.lease());
    let mut live = house.http1().await;
    live.write(support::head("GET", HOST, "/hang/body?gate=live", &[("Authorization", &lease)], 0)).await;
    assert_eq!(live.read_head().await.status, 200);
    assert_eq!(live.read_piece().await.unwrap(), b"begun\n");
    let report = kill(&house, Plan::default()).await;
    assert_eq!((report.leases, failed(&report)), (1, vec![]));
    assert!(live.try_read_piece().await.is_err(), "the answer broke off");
    house.origin.wait_for_answer(0, AnswerState::Cut).await;
    assert_killed(&house.ended(1).await[0]);
    assert_recorded(&house);
}

#[tokio::test]
async fn attack_120_a_stream_over_http2_is_cut_and_the_connection_says_why() {
    let house = House::new().await;
    let lease = bearer(&house.lease());
    let client = house.client(H2).await.h2(HOST).await;
    let request = Request::get(format!("https://{HOST}/hang/body?gate=live")).header("authorization", &lease);
    let mut live = client.request(request.body(Full::<Bytes>::default()).unwrap()).await.unwrap();
    assert_eq!(within("the first frame", live.frame()).await.unwrap().unwrap().into_data().unwrap(), "begun\n");
    kill(&house, Plan::default()).await;
    assert!(within("the end", live.frame()).await.unwrap().is_err(), "the stream was reset");
    assert_killed(&house.ended(1).await[0]);
    // The same connection, which outlives its streams.
    assert_problem(&client.get("/echo", &[("authorization", &lease)]).await, 503, "killed");
    assert_eq!(house.origin.requests().len(), 1);
    assert_recorded(&house);
}

#[tokio::test]
async fn attack_120_a_websocket_is_cut() {
    let house = House::new().await;
    allow_websockets(&house.home, house.broker());
    let lease = bearer(&house.lease());
    let mut socket = house.http1().await.websocket(HOST, "/ws", &[("Authorization", &lease)]).await.unwrap();
    socket.send(&Frame::text("hello")).await;
    assert_eq!(socket.receive().await, Some(Frame::text("hello")));
    kill(&house, Plan::default()).await;
    assert_eq!(socket.receive().await, None);
    house.origin.wait_connections("the upstream side to end", |all| all.iter().all(|c| c.life == Life::Closed)).await;
    assert_killed(&house.ended(1).await[0]);
    assert_recorded(&house);
}

#[tokio::test]
async fn attack_120_an_untouched_tunnel_is_cut() {
    let house = House::new().await;
    let mut client = RawClient::connect(house.proxy()).await;
    assert_eq!(client.ask_connect("tunnel.test:443").await.status, 200);
    let mut inside = client.start_tls("tunnel.test", &house.ca.roots(), H1).await.unwrap();
    assert_eq!(inside.get("tunnel.test", "/status/200", &[]).await.status, 200);
    kill(&house, Plan::default()).await;
    assert!(inside.read_to_end().await.is_empty());
    until("the tunnel's end is recorded", || !house.records_of("tunnel_ended").is_empty()).await;
    assert_killed(&house.records_of("tunnel_ended")[0]);
    assert_recorded(&house);
}

#[tokio::test]
async fn attack_120_a_request_without_an_answer_yet_is_told_why() {
    let house = House::new().await;
    let lease = bearer(&house.lease());
    let mut waiting = house.http1().await;
    waiting.write(support::head("GET", HOST, "/hang/head?gate=never", &[("Authorization", &lease)], 0)).await;
    house.origin.wait_for_heads(1).await;
    kill(&house, Plan::default()).await;
    assert_problem(&waiting.read_answer().await, 503, "killed");
    assert_killed(&house.ended(1).await[0]);
    assert_recorded(&house);
}

#[tokio::test]
async fn attack_120_an_upload_under_way_is_cut() {
    let house = House::new().await;
    let lease = bearer(&house.lease());
    let mut client = house.http1().await;
    client.write(support::head("POST", HOST, "/upload", &[("Authorization", &lease)], 1_000_000)).await;
    client.write(vec![b'a'; 100_000]).await;
    house.origin.wait("the first part", |requests| requests.first().is_some_and(|r| r.body_length >= 100_000)).await;
    kill(&house, Plan::default()).await;
    assert_problem(&client.read_answer().await, 503, "killed");
    assert_killed(&house.ended(1).await[0]);
    let is_whole = |r: &support::Recorded| r.body_length == 1_000_000;
    assert!(!house.origin.requests().iter().any(is_whole), "the rest did not leave");
}

#[tokio::test]
async fn a_session_is_cut_and_its_own_way_in_goes_on_saying_why() {
    let house = House::new().await;
    let around = Around::default();
    let session = house.broker().open_session("agent".parse().unwrap(), around).unwrap();
    let lease = bearer(&house.lease_of("acme_key", Some(&session)));
    let (user, password) = session.proxy_credentials();
    let basic = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("{user}:{password}"));
    let connect =
        format!("CONNECT {AUTHORITY} HTTP/1.1\r\nHost: {AUTHORITY}\r\nProxy-Authorization: Basic {basic}\r\n\r\n");
    let mut client = RawClient::connect(house.proxy()).await;
    client.write(&connect).await;
    assert_eq!(client.read_answer_to("CONNECT").await.status, 200);
    let mut inside = client.start_tls(HOST, &house.roots, H1).await.unwrap();
    inside.write(support::head("GET", HOST, "/hang/body?gate=live", &[("Authorization", &lease)], 0)).await;
    assert_eq!(inside.read_head().await.status, 200);
    inside.read_piece().await.unwrap();
    let report = kill(&house, Plan::default()).await;
    assert_eq!(report.leases, 1);
    while let Ok(Some(_)) = inside.try_read_piece().await {}
    assert_killed(&house.ended(1).await[0]);
    assert!(house.broker().session(session.id()).is_some(), "its processes are still an agent's, and may not reset");
    let mut again = RawClient::connect(house.proxy()).await;
    again.write(&connect).await;
    assert_problem(&again.read_answer_to("CONNECT").await, 503, "killed");
}
