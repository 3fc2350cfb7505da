//! B: what an upstream may lead to (33 to 35): redirects, shared connections, pushes and alternative services.

use crate::{
    house::{AUTHORITY, HOST, House, SECRET},
    seen::{assert_refused, bearer, code},
    support::{RawClient, RawOrigin, Step, TestCa, connect_tls},
    yard::Yard,
};
use leasehold::policy::EasyPlace;

const OTHER: &str = "other.acme.test";
const OTHER_SECRET: &str = "other-REAL-zyxwvutsrqponmlk-KEY";

fn grant_other(house: &House) -> String {
    let place = EasyPlace::Header(http::header::AUTHORIZATION, "Bearer {}".parse().unwrap());
    house.add("other_key", OTHER_SECRET, OTHER, place);
    house.lease_of("other_key", None)
}

#[tokio::test]
async fn attack_33_a_redirect_is_handed_back_and_the_token_is_stray_where_it_leads() {
    let house = House::new().await;
    grant_other(&house);
    let lease = house.lease();
    let authorization = bearer(&lease);
    let target = format!("/redirect?to=https://{OTHER}/echo");
    let answer = house.http1().await.get(HOST, &target, &[("Authorization", &authorization)]).await;
    assert_eq!(answer.status, 302, "{answer:?}");
    assert_eq!(answer.header("location").as_deref(), Some("https://other.acme.test/echo"));
    assert_eq!(house.origin.requests().len(), 1, "the proxy does not follow");

    // The client follows, as careless ones do, with everything it had.
    let mut client = connect_tls(house.proxy(), &format!("{OTHER}:443"), &house.roots, &[b"http/1.1"]).await;
    let answer = client.get(OTHER, "/echo", &[("Authorization", &authorization)]).await;
    assert_refused(&answer, 403, "stray_lease");
    house.assert_recorded_for("request_refused", "stray_lease", OTHER);

    let mut client = RawClient::connect(house.proxy()).await;
    let clear = "http://tunnel.test/echo";
    let answer = client.get("tunnel.test", clear, &[("Authorization", &authorization)]).await;
    assert_refused(&answer, 403, "stray_lease");
    house.assert_recorded_for("request_refused", "stray_lease", "tunnel.test");
    assert_eq!(house.origin.requests().len(), 1);
    assert_eq!(house.origin.count(SECRET.as_bytes()), 1);
    house.assert_token_stayed(&lease);
}

#[tokio::test]
async fn attack_34_hosts_that_share_address_and_certificate_share_no_connection() {
    let house = House::new().await;
    let (lease, other) = (house.lease(), grant_other(&house));
    for alpn in [&b"h2"[..], b"http/1.1"] {
        for (host, token, secret) in [(HOST, &lease, SECRET), (OTHER, &other, OTHER_SECRET), (HOST, &lease, SECRET)] {
            let client = connect_tls(house.proxy(), &format!("{host}:443"), &house.roots, &[alpn]).await;
            let headers = [("authorization", &*bearer(token))];
            let answer = if alpn == b"h2" {
                client.h2(host).await.get("/echo", &headers).await
            } else {
                let mut client = client;
                client.get(host, "/echo", &headers).await
            };
            assert_eq!(answer.status, 200, "{answer:?}");
            let request = house.origin.requests().pop().unwrap();
            assert_eq!(request.values("authorization"), [bearer(secret)]);
            let connection = &house.origin.connections()[request.connection];
            assert_eq!(connection.sni.as_deref(), Some(host), "the connection was verified for the request's host");
        }
    }
    for connection in house.origin.connections() {
        let requests = house.origin.requests();
        let mut hosts: Vec<_> = requests.iter().filter(|r| r.connection == connection.id).map(host_of).collect();
        hosts.dedup();
        assert!(hosts.len() <= 1, "connection {} carried {hosts:?}", connection.id);
    }
    house.assert_token_stayed(&lease);
}

fn host_of(request: &crate::support::Recorded) -> String {
    [request.values(":authority"), request.values("host")].concat().remove(0)
}

#[tokio::test]
async fn attack_35_alternative_services_are_not_passed_on() {
    let house = House::new().await;
    let lease = house.lease();
    let target = "/answer?header=alt-svc:h3%3D%22evil.test:443%22&header=x-kept:1";
    for alpn in [&b"http/1.1"[..], b"h2"] {
        let client = house.client(&[alpn]).await;
        let headers = [("authorization", &*bearer(&lease))];
        let answer = if alpn == b"h2" {
            client.h2(AUTHORITY).await.get(target, &headers).await
        } else {
            let mut client = client;
            client.get(HOST, target, &headers).await
        };
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("x-kept").as_deref(), Some("1"));
        assert_eq!(answer.header("alt-svc"), None);
    }
}

/// An h2 frame.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes()[..], payload].concat()
}

#[tokio::test]
async fn attack_35_an_upstream_that_pushes_pushes_nothing_to_the_client() {
    let ca = TestCa::new();
    // :method GET, :scheme https, :path /, :authority evil.test
    let promised = [&[0, 0, 0, 2, 0x82, 0x87, 0x84, 0x01, 9][..], b"evil.test"].concat();
    let script = [
        frame(4, 0, 0, &[]),
        frame(12, 0, 0, &[&[0, 17][..], b"https://evil.test"].concat()), // ORIGIN
        frame(5, 4, 1, &promised),
        frame(1, 4, 2, &[0x88]),
        frame(0, 1, 2, b"pushed"),
        frame(1, 5, 1, &[0x88]),
    ]
    .concat();
    // Preface and settings have less than 110 bytes; more means that the request has come.
    let steps =
        vec![Step::Await(24 + 9), Step::send(frame(4, 0, 0, &[])), Step::Await(110), Step::send(script), Step::ReadOn];
    let raw = RawOrigin::tls_with(&ca.leaf(HOST), b"h2", steps);
    let yard = Yard::at(&ca, raw.address()).await;
    let lease = yard.lease("acme_key");
    let answer = yard.http1().await.get(HOST, "/echo", &[("Authorization", &bearer(&lease))]).await;
    assert_eq!((answer.status, code(&answer).as_str()), (502, "upstream_failed"), "{answer:?}");
    assert_eq!(yard.last_refusal().action, "request_ended");
    assert_eq!(answer.count(b"pushed"), 0);
    let received = raw.received().concat();
    assert!(memchr::memmem::find(&received, &[0, 2, 0, 0, 0, 0]).is_some(), "SETTINGS_ENABLE_PUSH is off");
}
