//! C: tokens in bodies (38, 39, 40): found in any framing, across its borders, in trailers; never passed on.

use async_compression::tokio::bufread::GzipEncoder;
use leasehold::policy::EasyPlace;
use tokio::io::AsyncReadExt as _;

use crate::{
    h2_frames::H2Frames,
    house::{AUTHORITY, HOST, House, Plan, SECRET},
    seen::{assert_refused, bearer, code, count},
    support::{Answer, Frame, Origin, RawClient, Speaks, TestCa, connect_tls},
    yard::Yard,
};

/// The head of a chunked POST with an honest lease.
fn chunked(target: &str, lease: &str, more: &str) -> String {
    format!(
        "POST {target} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {lease}\r\nTransfer-Encoding: chunked\r\n{more}\r\n"
    )
}

fn chunk(data: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat()
}

/// The answer and the record say stray; the token stayed.
async fn assert_stray(house: &House, answer: &Answer, token: &str) {
    assert_refused(answer, 403, "stray_lease");
    house.assert_recorded("request_ended", "stray_lease");
    assert_token_stayed(house, token).await;
}

/// Not even over the borders of what the origin read.
async fn assert_token_stayed(house: &House, token: &str) {
    house.ended(house.records_of("request_begun").len()).await;
    for request in house.origin.requests() {
        assert_eq!(count(&request.body, token), 0, "the origin received the token in a body");
    }
    house.assert_token_stayed(token);
}

async fn houses() -> [House; 2] {
    let plan = |speaks| Plan { speaks, ..Plan::default() };
    [House::build(plan(Speaks::Http1)).await, House::build(plan(Speaks::Http2)).await]
}

#[tokio::test]
async fn attack_38_a_token_in_a_body_of_known_length_is_stray() {
    for house in houses().await {
        let lease = house.lease();
        let multipart = format!(
            "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"{lease}.txt\"\r\n\r\ndata\r\n--b--\r\n"
        );
        for (kind, body) in [
            ("application/json", format!("{{\"key\":\"{lease}\"}}")),
            ("application/x-www-form-urlencoded", format!("a=1&token={lease}&b=2")),
            ("multipart/form-data; boundary=b", multipart),
            ("application/octet-stream", format!("\0\u{1}{lease}")),
            ("text/plain", lease.clone()),
            ("text/plain", format!("000000000000{lease}")),
            ("text/plain", format!("lse_lse_{lease}lse_")),
            ("text/plain", format!("{}{lease}", "x".repeat(100_000))),
        ] {
            let headers = [("Authorization", &*bearer(&lease)), ("Content-Type", kind)];
            let mut client = house.http1().await;
            let answer = client.send("POST", HOST, "/upload", &headers, body.as_bytes()).await;
            assert_stray(&house, &answer, &lease).await;
        }
    }
}

#[tokio::test]
async fn attack_38_a_token_in_a_body_is_stray_on_http_2_too() {
    for house in houses().await {
        let lease = house.lease();
        let body = format!("{{\"key\":\"{lease}\"}}");
        let client = house.client(&[b"h2"]).await.h2(AUTHORITY).await;
        let headers = [("authorization", &*bearer(&lease))];
        let answer = client.send("POST", "/upload", &headers, http_body_util::Full::from(body)).await;
        assert_stray(&house, &answer, &lease).await;
    }
}

#[tokio::test]
async fn attack_38_a_token_cut_in_two_chunks_at_any_byte_is_stray() {
    let house = House::new().await;
    let lease = house.lease();
    for cut in 1..lease.len() {
        let (front, back) = lease.as_bytes().split_at(cut);
        let mut client = house.http1().await;
        let body =
            [chunk(&[b"key=", front].concat()), chunk(&[back, b"&x=1"].concat()), b"0\r\n\r\n".to_vec()].concat();
        client.write([chunked("/upload", &lease, "").into_bytes(), body].concat()).await;
        let answer = client.read_answer().await;
        assert_eq!((answer.status, &*code(&answer)), (403, "stray_lease"), "cut at {cut}: {answer:?}");
        assert_stray(&house, &answer, &lease).await;
    }
}

#[tokio::test]
async fn attack_38_a_token_in_chunks_of_one_byte_is_stray() {
    let house = House::new().await;
    let lease = house.lease();
    let mut client = house.http1().await;
    let pieces: Vec<u8> = lease.bytes().flat_map(|byte| chunk(&[byte])).collect();
    client.write([chunked("/upload", &lease, "").as_bytes(), &pieces, b"0\r\n\r\n"].concat()).await;
    let answer = client.read_answer().await;
    assert_stray(&house, &answer, &lease).await;
}

#[tokio::test]
async fn attack_38_a_token_that_comes_after_the_upstream_has_begun_does_not_leave() {
    let house = House::new().await;
    let lease = house.lease();
    let mut client = house.http1().await;
    client.write([chunked("/duplex", &lease, "").into_bytes(), chunk(b"first")].concat()).await;
    assert_eq!(client.read_head().await.status, 200);
    assert_eq!(client.read_piece().await.as_deref(), Some(&b"first"[..]));
    let _ = client.try_write(chunk(lease.as_bytes())).await;
    while let Ok(Some(_)) = client.try_read_piece().await {} // it breaks off
    assert_token_stayed(&house, &lease).await;
    let ended = house.ended(1).await;
    assert_ne!(ended[0].outcome.as_deref(), Some("ok"), "{:?}", ended[0]);
}

#[tokio::test]
async fn attack_38_a_token_in_a_chunk_extension_does_not_leave() {
    let house = House::build(Plan { speaks: Speaks::Http1, ..Plan::default() }).await;
    let lease = house.lease();
    let mut client = house.http1().await;
    let body = format!("4;x={lease}\r\ndata\r\n0;{lease}\r\n\r\n");
    client.write([chunked("/upload", &lease, ""), body].concat()).await;
    let answer = client.read_answer().await;
    assert!(matches!(answer.status, 200 | 400 | 403), "{answer:?}");
    assert_token_stayed(&house, &lease).await;
}

#[tokio::test]
async fn attack_38_a_token_in_trailers_does_not_leave() {
    for house in houses().await {
        let lease = house.lease();
        for (name, value) in [
            ("Authorization", bearer(&lease)),
            ("X-Note", lease.clone()),
            ("X-Api-Key", format!("Bearer {lease}")),
            ("Grpc-Status", lease.clone()),
        ] {
            let mut client = house.http1().await;
            let head = chunked("/upload", &lease, &format!("Trailer: {name}\r\nTE: trailers\r\n"));
            client.write(format!("{head}4\r\ndata\r\n0\r\n{name}: {value}\r\n\r\n")).await;
            let answer = client.read_answer().await;
            assert!(matches!(answer.status, 200 | 400 | 403), "{answer:?}");
            assert_token_stayed(&house, &lease).await;
        }
    }
}

#[tokio::test]
async fn attack_38_a_token_in_trailers_of_http_2_does_not_leave() {
    for house in houses().await {
        let lease = house.lease();
        let authorization = bearer(&lease);
        let head = [
            (":method", "POST"),
            (":scheme", "https"),
            (":authority", HOST),
            (":path", "/upload"),
            ("authorization", &*authorization),
            ("te", "trailers"),
            ("trailer", "x-note"),
        ];
        for trailer in [("x-note", &*lease), ("authorization", &*authorization), ("x-api-key", &*lease)] {
            let mut client = H2Frames::start(house.client(&[b"h2"]).await).await;
            client.request_with(1, &head, b"data", &[trailer]).await;
            let fate = client.fate(1).await;
            assert!(fate.is_refusal(&[200, 400, 403]), "{fate:?}");
            assert_token_stayed(&house, &lease).await;
        }
    }
}

#[tokio::test]
async fn attack_39_a_token_in_a_body_to_another_granted_host_is_stray() {
    const OTHER: &str = "other.acme.test";
    let house = House::new().await;
    let place = EasyPlace::Header(http::header::AUTHORIZATION, "Bearer {}".parse().unwrap());
    house.add("other_key", "other-REAL-zyxwvutsrqponmlk-KEY", OTHER, place);
    let (lease, other) = (house.lease(), house.lease_of("other_key", None));
    let mut client = connect_tls(house.proxy(), &format!("{OTHER}:443"), &house.roots, &[b"http/1.1"]).await;
    let headers = [("Authorization", &*bearer(&other))];
    let answer = client.send("POST", OTHER, "/upload", &headers, format!("k={lease}").as_bytes()).await;
    assert_refused(&answer, 403, "stray_lease");
    house.assert_recorded_for("request_ended", "stray_lease", OTHER);
    assert_token_stayed(&house, &lease).await;
    assert_eq!(house.origin.count(SECRET.as_bytes()), 0);
}

#[tokio::test]
async fn attack_39_a_token_in_a_body_to_a_foreign_host_in_clear_is_stray() {
    let ca = TestCa::new();
    let origin = Origin::clear();
    let yard = Yard::with(&ca, &format!("[upstream.hosts]\n\"plain.test\" = \"{}\"\n", origin.address())).await;
    let lease = yard.lease("acme_key");
    let known = format!(
        "POST http://plain.test/upload HTTP/1.1\r\nHost: plain.test\r\nContent-Length: {}\r\n\r\nk={lease}",
        lease.len() + 2
    );
    let head = "POST http://plain.test/upload HTTP/1.1\r\nHost: plain.test\r\nTransfer-Encoding: chunked\r\n\r\n";
    let whole = [head.as_bytes(), &chunk(lease.as_bytes()), b"0\r\n\r\n"].concat();
    let (front, back) = lease.as_bytes().split_at(20);
    let cut = [head.as_bytes(), &chunk(front), &chunk(back), b"0\r\n\r\n"].concat();
    for request in [known.into_bytes(), whole, cut] {
        let mut client = RawClient::connect(yard.proxy()).await;
        client.write(request).await;
        let answer = client.read_answer().await;
        assert_refused(&answer, 403, "stray_lease");
        let record = yard.last_refusal();
        assert_eq!((record.action.as_str(), record.host.as_deref()), ("request_ended", Some("plain.test")));
    }
    assert_eq!(origin.count(lease.as_bytes()), 0);
    assert!(origin.requests().iter().all(|request| count(&request.body, &lease) == 0));
}

#[tokio::test]
async fn attack_40_a_disguised_token_in_a_body_is_never_swapped() {
    let house = House::new().await;
    let lease = house.lease();
    let mut gzip = Vec::new();
    GzipEncoder::new(lease.as_bytes()).read_to_end(&mut gzip).await.unwrap();
    let escaped = lease.bytes().map(|byte| format!("\\u{byte:04x}")).collect::<Vec<_>>().concat();
    for (coding, body) in [("gzip", gzip), ("identity", escaped.into_bytes())] {
        let headers = [("Authorization", &*bearer(&lease)), ("Content-Encoding", coding)];
        let answer = house.http1().await.send("POST", HOST, "/upload", &headers, &body).await;
        // What is not recognised may pass (attack 40), but as it came.
        if answer.status == 200 {
            let request = house.origin.requests().pop().unwrap();
            assert_eq!(request.body, body);
            assert_eq!(request.count(SECRET.as_bytes()), 1, "at its place, and only there");
        } else {
            assert_refused(&answer, 403, "stray_lease");
        }
    }
    house.assert_token_stayed(&lease);
}

const TALK: &str = "schema = 1\nkind = \"service\"\nid = \"talk\"\nname = \"Talk\"\n[host.api]\n\
    origin = \"https://other.acme.test\"\n[credential.key]\ntype = \"token\"\n[[inject]]\nhost = \"api\"\nuse = \"key\"\n\
    at = [{ header = \"authorization\", as = \"Bearer {}\" }]\n[cap.talk]\nabout = \"Talk\"\nrisk = \"read\"\n\
    allow = [{ method = \"GET\", path = \"/ws\", upgrade = \"websocket\" }]\n";

#[tokio::test]
async fn attack_38_a_token_in_a_websocket_frame_is_not_swapped() {
    use leasehold::{
        base::SecretBytes,
        broker::NewValue,
        store::{Binding, RawReveal, RotationPlan},
    };
    let house = House::new().await;
    std::fs::write(house.home.policies().join("talk.toml"), TALK).unwrap();
    house.broker().live_policy().reload().unwrap();
    let new = NewValue {
        name: "talk_key".parse().unwrap(),
        value: SecretBytes::new(b"talk-REAL-0123456789abcdef".to_vec()),
        rotate_via: None,
        binding: Some(Binding { service: "talk".parse().unwrap(), credential: "key".into() }),
        raw: RawReveal::Allow,
        plan: RotationPlan::default(),
    };
    house.broker().add(new).unwrap();
    let lease = house.lease_of("talk_key", None);
    let client = connect_tls(house.proxy(), "other.acme.test:443", &house.roots, &[b"http/1.1"]).await;
    let opened = client.websocket("other.acme.test", "/ws", &[("Authorization", &bearer(&lease))]).await;
    let mut socket = opened.unwrap_or_else(|answer| panic!("{answer:?}"));
    assert_eq!(house.origin.count(b"talk-REAL-"), 1);
    socket.send(&Frame::text(&format!("{{\"d\":{{\"token\":\"{lease}\"}}}}"))).await;
    let _ = socket.receive().await; // an echo, or the end
    assert_eq!(house.origin.count(b"talk-REAL-"), 1, "frames are not rewritten");
}
