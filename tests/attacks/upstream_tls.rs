//! E: the upstream's TLS (61, 62, 64, 65): what cannot be verified gets not one byte of HTTP, and no blind tunnel.

use crate::{
    bait::Bait,
    house::{HOST, House, Plan, SECRET},
    seen::{assert_refused, bearer},
    support::{Flaw, Origin, RawOrigin, Speaks, Step, TestCa},
    yard::Yard,
};

#[tokio::test]
async fn attack_61_flawed_certificates_get_not_one_byte_of_http() {
    for flaw in Flaw::ALL {
        let house = House::build(Plan { flaw: Some(flaw), ..Plan::default() }).await;
        let lease = house.lease();
        let answer = house.http1().await.get(HOST, "/echo", &[("Authorization", &bearer(&lease))]).await;
        assert_eq!(answer.status, 502, "{flaw:?}: {answer:?}");
        assert_refused(&answer, 502, "upstream_tls");
        house.assert_recorded("request_ended", "upstream_tls");
        assert!(house.origin.connections().iter().all(|c| c.received_length == 0), "{flaw:?}: bytes of HTTP were sent");
        house.assert_no_request(&lease);
    }
}

/// A TLS record.
fn record(kind: u8, version: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [&[kind, 3, version], &length[..], payload].concat()
}

/// A handshake message cut into records.
fn message(version: u8, kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let whole = [&[kind], &length[1..], body].concat();
    whole.chunks(1 << 14).flat_map(|piece| record(22, version, piece)).collect()
}

/// A server's hello of this version that chose this suite.
fn server_hello(version: u8, suite: [u8; 2]) -> Vec<u8> {
    let body = [&[3, version][..], &[9; 32], &[0], &suite, &[0]].concat();
    message(version, 2, &body)
}

#[tokio::test]
async fn attack_62_handshake_trouble_never_becomes_a_blind_tunnel() {
    for script in [
        vec![Step::AwaitHead],
        vec![Step::Await(5), Step::Break],
        vec![Step::Await(5), Step::Reset],
        vec![Step::Await(5), Step::send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nbanana"), Step::ReadOn],
        vec![Step::Await(5), Step::Send(record(21, 3, &[2, 40])), Step::ReadOn],
        vec![Step::Await(5), Step::Send(vec![0; 4_096]), Step::ReadOn],
    ] {
        let waits_for_ever = matches!(script[..], [Step::AwaitHead]);
        let ca = TestCa::new();
        let raw = RawOrigin::clear(script);
        let yard = Yard::at(&ca, raw.address()).await;
        let lease = yard.lease("acme_key");
        let answer = yard.http1().await.get(HOST, "/echo", &[("Authorization", &bearer(&lease))]).await;
        // A handshake that never ends is a time-out; any other trouble is one of TLS.
        let expected = if waits_for_ever { (504, "upstream_timeout") } else { (502, "upstream_tls") };
        assert_refused(&answer, expected.0, expected.1);
        assert_eq!(answer.count(b"banana"), 0);
        let ended = yard.last_refusal();
        assert_eq!((ended.action.as_str(), ended.code.as_deref()), ("request_ended", Some(expected.1)));
        assert_eq!(raw.count(SECRET.as_bytes()) + raw.count(lease.as_bytes()) + raw.count(b"/echo"), 0);
    }
}

#[tokio::test]
async fn attack_64_old_versions_and_weak_suites_are_refused() {
    for (version, suite) in [
        (2, [0x00, 0x2f]), // TLS 1.1
        (1, [0x00, 0x2f]), // TLS 1.0
        (0, [0x00, 0x2f]), // SSL 3
        (3, [0x00, 0x00]), // NULL
        (3, [0x00, 0x05]), // RC4
        (3, [0x00, 0x2f]), // RSA key exchange, CBC
    ] {
        let ca = TestCa::new();
        let raw = RawOrigin::clear(vec![Step::Await(5), Step::Send(server_hello(version, suite)), Step::ReadOn]);
        let yard = Yard::at(&ca, raw.address()).await;
        let lease = yard.lease("acme_key");
        let answer = yard.http1().await.get(HOST, "/echo", &[("Authorization", &bearer(&lease))]).await;
        assert_refused(&answer, 502, "upstream_tls");
        assert_eq!(yard.last_refusal().code.as_deref(), Some("upstream_tls"));
        assert_eq!(raw.count(SECRET.as_bytes()) + raw.count(b"/echo"), 0);
    }
}

#[tokio::test]
async fn attack_65_a_chain_of_a_mebibyte_is_bounded() {
    let ca = TestCa::new();
    let certificate = vec![0x30; 1 << 20];
    let length = |n: usize| u32::try_from(n).unwrap().to_be_bytes()[1..].to_vec();
    let chain = [length(certificate.len() + 3), length(certificate.len()), certificate].concat();
    let flood = [server_hello(3, [0xc0, 0x2f]), message(3, 11, &chain)].concat();
    let raw = RawOrigin::clear(vec![Step::Await(5), Step::Send(flood), Step::ReadOn]);
    let yard = Yard::at(&ca, raw.address()).await;
    let lease = yard.lease("acme_key");
    let answer = yard.http1().await.get(HOST, "/echo", &[("Authorization", &bearer(&lease))]).await;
    assert_refused(&answer, 502, "upstream_tls");
    assert_eq!(raw.count(SECRET.as_bytes()) + raw.count(b"/echo"), 0);
}

#[tokio::test]
async fn attack_60_what_a_certificate_names_is_not_fetched() {
    for (flaw, status) in [(None, 200), (Some(Flaw::MissingIntermediate), 502)] {
        let (ca, bait) = (TestCa::new(), Bait::everywhere());
        let url = format!("http://127.0.0.1:{}/issuer.der", bait.port());
        let origin = Origin::builder(ca.naming(HOST, &url, flaw)).speaks(Speaks::Both).start();
        // Not even where the address itself may be dialled.
        let hosts =
            format!("allow_addresses = [\"127.0.0.1\"]\n[upstream.hosts]\n\"{HOST}\" = \"{}\"\n", origin.address());
        let yard = Yard::with(&ca, &hosts).await;
        let lease = yard.lease("acme_key");
        let answer = yard.http1().await.get(HOST, "/echo", &[("Authorization", &bearer(&lease))]).await;
        assert_eq!(answer.status, status, "{flaw:?}: {answer:?}");
        if flaw.is_some() {
            assert_refused(&answer, 502, "upstream_tls");
            assert_eq!(yard.last_refusal().code.as_deref(), Some("upstream_tls"));
        }
        assert!(!bait.is_touched(), "{flaw:?}: somebody went to {url}");
    }
}
