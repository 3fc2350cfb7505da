//! B: the client's TLS inside a tunnel (23, 30, 31): what is no honest hello is cut off, and others do not notice.

use crate::{
    hello::{self, Sni},
    house::{AUTHORITY, HOST, House, SECRET},
    seen::bearer,
    support::RawClient,
};

/// An open tunnel to the stand-in service.
async fn tunnel(house: &House) -> RawClient {
    let mut client = RawClient::connect(house.proxy()).await;
    assert_eq!(client.ask_connect(AUTHORITY).await.status, 200);
    client
}

fn record(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [&[kind, 3, 1], &length[..], payload].concat()
}

/// A TLS 1.2 hello without a single extension.
fn bare_hello() -> Vec<u8> {
    let body = [&[3, 3][..], &[7; 32], &[0, 0, 4, 0xc0, 0x2f, 0xc0, 0x2b, 1, 0]].concat();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    record(22, &[&[1], &length[1..], &body].concat())
}

#[tokio::test]
async fn attack_23_malformed_hellos_are_closed_and_recorded() {
    let house = House::new().await;
    let lease = house.lease();
    for hello in [
        record(22, &[1, 0, 0, 4, 3, 3, 0, 0]),                // cut short
        record(22, &[2, 0, 0, 2, 3, 3]),                      // a server's hello
        record(23, b"application data before any handshake"), // data
        record(21, &[2, 40]),                                 // an alert
        record(22, &[]),                                      // nothing
        vec![22, 9, 9, 0, 4, 1, 0, 0, 0],                     // TLS 9.9
        vec![0; 64],
        vec![255; 64],
        bare_hello(),
    ] {
        let before = house.records_of("connection_refused").len();
        let mut client = tunnel(&house).await;
        client.write(&hello).await;
        client.finish().await;
        let rest = client.read_to_end().await;
        assert!(rest.first().is_none_or(|kind| *kind == 21 || rest.starts_with(b"HTTP/1.1 400 ")), "{rest:?}");
        crate::support::until("it is recorded", || house.records_of("connection_refused").len() > before).await;
        let last = house.last_refusal();
        assert_eq!((last.action.as_str(), last.host.as_deref()), ("connection_refused", Some(HOST)));
        assert_eq!(last.code.as_deref(), Some("bad_request"));
    }
    house.assert_nothing_left(&lease);
    house.assert_still_works().await;
}

#[tokio::test]
async fn attack_23_a_client_that_never_says_hello_is_closed() {
    let house = House::new().await;
    let mut silent = tunnel(&house).await;
    let mut half = tunnel(&house).await;
    half.write(&bare_hello()[..9]).await;
    assert!(silent.read_to_end().await.is_empty(), "closed without a word");
    let rest = half.read_to_end().await;
    assert!(rest.is_empty(), "{rest:?}");
    let refused = || house.records_of("connection_refused").len() == 2;
    crate::support::until("both are recorded", refused).await;
    assert!(house.origin.connections().is_empty());
}

#[tokio::test]
async fn attack_23_a_hello_without_a_name_is_for_the_host_of_the_connect() {
    let house = House::new().await;
    let lease = house.lease();
    let mut client = hello::start_tls(tunnel(&house).await.into_io(), Sni::Silent).await.unwrap();
    let answer = client.get("evil.test", "/echo", &[("Authorization", &bearer(&lease))]).await;
    assert_eq!(answer.status, 421, "{answer:?}");
    house.assert_recorded("request_refused", "authority_mismatch");
    house.assert_nothing_left(&lease);
    let answer = client.get(HOST, "/echo", &[("Authorization", &bearer(&lease))]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(house.origin.only_request().values("authorization"), [bearer(SECRET)]);
}

#[tokio::test]
async fn attack_30_a_hello_in_many_small_records_is_read_whole() {
    let house = House::new().await;
    let lease = house.lease();
    for size in [1, 2, 17, 100] {
        let io = hello::in_small_records(tunnel(&house).await.into_io(), size);
        let mut client = hello::start_tls(io, Sni::Named(HOST)).await.unwrap();
        let answer = client.get(HOST, "/echo", &[("Authorization", &bearer(&lease))]).await;
        assert_eq!(answer.status, 200, "records of {size}: {answer:?}");
        let io = hello::in_small_records(tunnel(&house).await.into_io(), size);
        assert!(hello::start_tls(io, Sni::Named("evil.test")).await.is_err(), "records of {size}");
        house.recorded("connection_refused", "authority_mismatch").await;
    }
    house.assert_token_stayed(&lease);
}

#[tokio::test]
async fn attack_30_a_hello_of_64_kib_and_one_without_end_are_bounded() {
    let house = House::new().await;
    for claimed in [0x01_0000_u32, 0xff_ffff] {
        let mut client = tunnel(&house).await;
        let handshake = [&[1], &claimed.to_be_bytes()[1..], &vec![0; 1 << 20]].concat();
        for piece in handshake.chunks(1 << 14) {
            if client.try_write(record(22, piece)).await.is_err() {
                break; // cut off, as it should be
            }
        }
        let rest = client.read_to_end().await;
        assert!(rest.first().is_none_or(|kind| *kind == 21 || rest.starts_with(b"HTTP/1.1 400 ")), "{rest:?}");
    }
    crate::support::until("both are recorded", || house.records_of("connection_refused").len() == 2).await;
    assert!(house.origin.connections().is_empty());
    house.assert_still_works().await;
}

#[tokio::test]
async fn attack_31_clear_text_in_an_intercepted_tunnel_is_answered_in_clear_and_goes_nowhere() {
    let house = House::new().await;
    let lease = house.lease();
    let mut client = tunnel(&house).await;
    client.write(format!("GET /echo HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {lease}\r\n\r\n")).await;
    let answer = client.read_answer().await;
    crate::seen::assert_refused(&answer, 400, "bad_request");
    assert!(client.read_to_end().await.is_empty(), "nothing after the answer's length");
    let record = house.recorded("connection_refused", "bad_request").await;
    assert_eq!(record.host.as_deref(), Some(HOST));
    house.assert_nothing_left(&lease);
}
