//! B: one authority for each stream of HTTP/2 (26, 27, 36).

use http::Request;
use http_body_util::Empty;

use crate::{
    h2_frames::{Fate, H2Frames},
    house::{AUTHORITY, HOST, House, SECRET},
    seen::{assert_refused, bearer},
    support::{Answer, collect},
};

/// Pseudo fields of an honest GET, one of them replaced or left out.
fn pseudo<'a>(changed: &'a str, value: Option<&'a str>) -> Vec<(&'a str, &'a str)> {
    [(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", "/echo")]
        .into_iter()
        .filter_map(|(name, usual)| if name == changed { Some((name, value?)) } else { Some((name, usual)) })
        .collect()
}

async fn frames(house: &House) -> H2Frames {
    H2Frames::start(house.client(&[b"h2"]).await).await
}

#[tokio::test]
async fn attack_26_a_stream_for_another_authority_is_misdirected_and_the_others_go_on() {
    let house = House::new().await;
    let lease = house.lease();
    let client = house.client(&[b"h2"]).await.h2(AUTHORITY).await;
    let authorization = bearer(&lease);
    let ask = async |authority: &str| -> Answer {
        let request = Request::get(format!("https://{authority}/echo")).header("authorization", &authorization);
        collect(client.request(request.body(Empty::new()).unwrap()).await.unwrap()).await
    };
    assert_eq!(ask(HOST).await.status, 200);
    for other in ["other.acme.test", "evil.test", "api.acme.test:8443", "127.0.0.1", "api.acme.test.evil.test"] {
        assert_refused(&ask(other).await, 421, "authority_mismatch");
        house.assert_recorded("request_refused", "authority_mismatch");
    }
    assert_eq!(ask(AUTHORITY).await.status, 200, "the connection lives on");
    assert!(!client.is_closed());
    assert_eq!(house.origin.requests().len(), 2);
    assert_eq!(house.origin.count(SECRET.as_bytes()), 2);
    house.assert_token_stayed(&lease);
}

#[tokio::test]
async fn attack_26_the_leaf_is_for_the_one_name() {
    let house = House::new().await;
    let client = house.client(&[b"h2"]).await;
    let leaf = client.certificates().first().unwrap().clone();
    // A browser that found another name here would send that host's requests on this connection.
    for other in ["other.acme.test", "tunnel.test", "*.acme.test"] {
        assert_eq!(memchr::memmem::find_iter(&leaf, other).count(), 0, "the leaf names {other}");
    }
    assert!(memchr::memmem::find(&leaf, HOST.as_bytes()).is_some());
}

#[tokio::test]
async fn attack_27_authority_and_host_that_differ_are_refused() {
    let house = House::new().await;
    let lease = house.lease();
    let authorization = bearer(&lease);
    for hosts in [&["evil.test"][..], &["api.acme.test:8443"], &["api.acme.test", "evil.test"], &["a, b"], &[""]] {
        let mut fields = pseudo("", None);
        fields.extend(hosts.iter().map(|host| ("host", *host)));
        fields.push(("authorization", &authorization));
        let mut client = frames(&house).await;
        client.request(1, &fields).await;
        let fate = client.fate(1).await;
        assert!(fate.is_refusal(&[400, 421]), "{hosts:?}: {fate:?}");
        if let Fate::Answered(_, code) = fate {
            house.assert_recorded("request_refused", &code);
        }
    }
    house.assert_nothing_left(&lease);
}

#[tokio::test]
async fn attack_27_pseudo_fields_that_name_no_place_or_another_are_refused() {
    let house = House::new().await;
    let lease = house.lease();
    let authorization = bearer(&lease);
    for (name, value) in [
        (":authority", None),
        (":authority", Some("")),
        (":authority", Some("evil.test")),
        (":authority", Some("user@api.acme.test")),
        (":authority", Some("api.acme.test@evil.test")),
        (":authority", Some("api.acme.test, evil.test")),
        (":authority", Some("[api.acme.test]")),
        (":authority", Some("api.acme.test/evil")),
        (":scheme", Some("http")),
        (":scheme", Some("ftp")),
        (":scheme", Some("https://evil.test/")),
        (":scheme", None),
        (":path", Some("https://evil.test/echo")),
        (":path", Some("//evil.test/../echo x")),
        (":path", Some("echo")),
        (":path", Some("*")),
        (":path", Some("")),
        (":path", None),
        (":method", None),
        (":method", Some("")),
    ] {
        let mut fields = pseudo(name, value);
        fields.push(("authorization", &authorization));
        let mut client = frames(&house).await;
        client.request(1, &fields).await;
        let fate = client.fate(1).await;
        assert!(fate.is_refusal(&[400, 421]), "{name} {value:?}: {fate:?}");
        if let Fate::Answered(_, code) = fate {
            house.assert_recorded("request_refused", &code);
        }
        house.assert_nothing_left(&lease);
    }
}

#[tokio::test]
async fn attack_27_a_host_field_alone_is_held_to_the_connect() {
    let house = House::new().await;
    let lease = house.lease();
    let authorization = bearer(&lease);
    let mut fields = pseudo(":authority", None);
    fields.extend([("host", "evil.test"), ("authorization", &authorization)]);
    let mut client = frames(&house).await;
    client.request(1, &fields).await;
    assert_eq!(client.fate(1).await, Fate::Answered(421, "authority_mismatch".to_owned()));
    house.assert_recorded("request_refused", "authority_mismatch");
    house.assert_nothing_left(&lease);
}

#[tokio::test]
async fn attack_27_pseudo_fields_twice_or_late_are_refused() {
    let house = House::new().await;
    let lease = house.lease();
    let authorization = bearer(&lease);
    let twice = [pseudo("", None), vec![(":authority", "evil.test")]].concat();
    let late = [pseudo(":authority", None), vec![("x-first", "1"), (":authority", HOST)]].concat();
    for mut fields in [twice, late] {
        fields.push(("authorization", &authorization));
        let mut client = frames(&house).await;
        client.request(1, &fields).await;
        let fate = client.fate(1).await;
        assert!(fate.is_refusal(&[400, 421]), "{fields:?}: {fate:?}");
    }
    house.assert_nothing_left(&lease);
}

#[tokio::test]
async fn attack_36_connect_and_extended_connect_on_a_stream_are_refused() {
    let house = House::new().await;
    let lease = house.lease();
    let authorization = bearer(&lease);
    let plain = vec![(":method", "CONNECT"), (":authority", "evil.test:443")];
    let own = vec![(":method", "CONNECT"), (":authority", AUTHORITY)];
    let extended = [pseudo(":method", Some("CONNECT")), vec![(":protocol", "websocket")]].concat();
    let masque = [pseudo(":method", Some("CONNECT")), vec![(":protocol", "connect-udp")]].concat();
    for mut fields in [plain, own, extended, masque] {
        fields.push(("authorization", &authorization));
        let mut client = frames(&house).await;
        client.request(1, &fields).await;
        let fate = client.fate(1).await;
        assert!(fate.is_refusal(&[403, 508]), "{fields:?}: {fate:?}");
        house.assert_nothing_left(&lease);
    }
}
