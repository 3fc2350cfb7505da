//! HTTP/1.1 and HTTP/2 on both legs, bridged: the same exchange whatever the two sides speak.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::{
    Request,
    body::{Body, Frame},
};
use leasehold::base::{hex, sha256};

use crate::{
    house::{HOST, House, Plan, SECRET},
    kit::{H1, H2, assert_paired, assert_problem, bearer, get, h2},
    support::{self, Answer, Life, Speaks},
};

/// Every pair of what a client offers and what an origin speaks.
const PAIRS: [(&[&[u8]], Speaks); 7] = [
    (H1, Speaks::Http1),
    (&[], Speaks::Http1NoAlpn),
    (H1, Speaks::Http2),
    (&[], Speaks::Http2),
    (H2, Speaks::Http1),
    (H2, Speaks::Http1NoAlpn),
    (H2, Speaks::Http2),
];

async fn speaking(speaks: Speaks) -> House {
    House::build(Plan { speaks, ..Plan::default() }).await
}

/// A body whose length nobody knows before its end.
fn unmeasured(pieces: &'static [&'static str]) -> impl Body<Data = Bytes, Error = std::io::Error> + Send + 'static {
    StreamBody::new(futures_util::stream::iter(
        pieces.iter().map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes())))),
    ))
}

async fn post(house: &House, alpn: &[&[u8]], path: &str, headers: &[(&str, &str)], body: &'static [u8]) -> Answer {
    let mut client = house.client(alpn).await;
    if client.alpn() == Some("h2") {
        client.h2(HOST).await.send("POST", path, headers, Full::new(Bytes::from_static(body))).await
    } else {
        client.send("POST", HOST, path, headers, body).await
    }
}

#[tokio::test]
async fn the_credential_arrives_once_over_every_pair_of_protocols() {
    for (alpn, speaks) in PAIRS {
        let house = speaking(speaks).await;
        let lease = house.lease();
        let headers = [("authorization", &*bearer(&lease)), ("x-twice", "1"), ("x-twice", "2")];
        let answer = post(&house, alpn, "/echo?a=b", &headers, b"the body").await;
        assert_eq!(answer.status, 200, "{alpn:?} {speaks:?}: {}", answer.text());

        let request = house.origin.only_request();
        let is_h2 = request.version == http::Version::HTTP_2;
        assert_eq!(is_h2, speaks == Speaks::Http2);
        assert_eq!((&*request.method, &*request.target, &*request.body), ("POST", "/echo?a=b", &b"the body"[..]));
        assert_eq!(request.values(if is_h2 { ":authority" } else { "host" }), [HOST]);
        assert_eq!(request.values("authorization"), [bearer(SECRET)]);
        assert_eq!(request.values("x-twice"), ["1", "2"]);
        assert_eq!((request.count(SECRET.as_bytes()), request.count(lease.as_bytes())), (1, 0));
        for hidden in ["connection", "proxy-connection", "via", "forwarded", "x-forwarded-for"] {
            assert_eq!(request.header(hidden), None, "{alpn:?} {speaks:?}");
        }
        assert_eq!(answer.count(SECRET.as_bytes()), 0, "{alpn:?} {speaks:?}");

        let ended = house.ended(1).await;
        assert_eq!(
            (ended[0].outcome.as_deref(), ended[0].status, ended[0].bytes_sent),
            (Some("ok"), Some(200), Some(8))
        );
        assert_paired(&house.records());
    }
}

#[tokio::test]
async fn an_http_1_upstream_connection_is_kept_for_other_clients() {
    let house = speaking(Speaks::Http1).await;
    let lease = bearer(&house.lease());
    let mut first = house.http1().await;
    for _ in 0..5 {
        assert_eq!(first.get(HOST, "/echo", &[("Authorization", &lease)]).await.status, 200);
    }
    assert_eq!(get(&house, H1, "/echo", &[("Authorization", &lease)]).await.status, 200);
    assert_eq!(get(&house, H2, "/echo", &[("authorization", &lease)]).await.status, 200);
    assert_eq!((house.origin.requests().len(), house.origin.handshakes()), (7, 1));
}

#[tokio::test]
async fn streams_of_one_client_run_at_once_and_share_one_upstream_connection() {
    let house = speaking(Speaks::Http2).await;
    let (lease, client) = (bearer(&house.lease()), h2(&house).await);
    let ask = |name: String| {
        let (client, lease) = (client.clone(), lease.clone());
        tokio::spawn(async move { client.get(&format!("/hang/head?gate={name}"), &[("authorization", &lease)]).await })
    };
    let asked: Vec<_> = (0..16).map(|i| ask(format!("gate-{i}"))).collect();
    house.origin.wait_for(16).await; // all of them wait, so all of them are under way
    for (i, asked) in asked.into_iter().enumerate().rev() {
        house.origin.gate(&format!("gate-{i}")).next();
        assert_eq!(asked.await.unwrap().text(), "released");
    }
    assert_eq!(house.origin.handshakes(), 1);
}

#[tokio::test]
async fn streams_of_one_client_run_at_once_over_http_1_too() {
    let house = speaking(Speaks::Http1).await;
    let (lease, client) = (bearer(&house.lease()), h2(&house).await);
    let headers = [("authorization", &*lease)];
    let first = client.get("/hang/head?gate=first", &headers);
    let second = async {
        house.origin.wait_for_heads(1).await;
        let answer = client.get("/echo", &headers).await;
        house.origin.gate("first").next();
        answer
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!((first.status, second.status), (200, 200));
}

#[tokio::test]
async fn a_kept_connection_that_has_died_is_replaced_unseen() {
    for speaks in [Speaks::Http1, Speaks::Http2] {
        let house = speaking(speaks).await;
        let lease = bearer(&house.lease());
        let mut client = house.http1().await;
        assert_eq!(client.get(HOST, "/echo", &[("Authorization", &lease)]).await.status, 200);
        house.origin.drop_connections();
        house.origin.wait_connections("the connection to end", |all| all.iter().all(|c| c.life == Life::Closed)).await;
        let answer = client.get(HOST, "/echo", &[("Authorization", &lease)]).await;
        assert_eq!((answer.status, house.origin.handshakes()), (200, 2), "{speaks:?}: {}", answer.text());
    }
}

#[tokio::test]
async fn request_trailers_cross_every_bridge() {
    for (alpn, speaks) in PAIRS {
        let house = speaking(speaks).await;
        let lease = bearer(&house.lease());
        let mut client = house.client(alpn).await;
        if client.alpn() == Some("h2") {
            let trailers = [("x-sum", "6"), ("authorization", "smuggled")];
            let trailers = trailers.into_iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect();
            let body = unmeasured(&["sum ", "me"]).with_trailers(std::future::ready(Some(Ok(trailers))));
            let headers = [("authorization", &*lease), ("trailer", "x-sum")];
            assert_eq!(client.h2(HOST).await.send("POST", "/echo", &headers, body).await.status, 200);
        } else {
            let head = format!(
                "POST /echo HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: {lease}\r\nTransfer-Encoding: chunked\r\n\
                 Trailer: X-Sum\r\n\r\n6\r\nsum me\r\n0\r\nX-Sum: 6\r\nAuthorization: smuggled\r\n\r\n"
            );
            client.write(head).await;
            assert_eq!(client.read_answer().await.status, 200);
        }
        let request = house.origin.only_request();
        assert_eq!(request.body, b"sum me");
        assert_eq!(request.trailers, [("x-sum".to_owned(), b"6".to_vec())], "{alpn:?} {speaks:?}");
        assert_eq!(request.values("authorization"), [bearer(SECRET)], "{alpn:?} {speaks:?}");
    }
}

#[tokio::test]
async fn attack_74_answer_trailers_cross_every_bridge_without_echoes() {
    for (alpn, speaks) in PAIRS {
        let house = speaking(speaks).await;
        let lease = house.lease();
        let headers = [("authorization", &*bearer(&lease)), ("te", "trailers")];
        let headers = if alpn == H2 { headers.to_vec() } else { [&headers[..], &[("connection", "te")]].concat() };
        let answer = get(&house, alpn, "/trailers", &headers).await;
        assert_eq!(answer.text(), "before the trailers");
        let trailer = |name: &str| answer.trailers.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone());
        assert_eq!(trailer("x-end"), Some(b"done".to_vec()), "{alpn:?} {speaks:?}: {:?}", answer.trailers);
        assert_eq!(trailer("x-echo"), Some(lease.into_bytes()), "{alpn:?} {speaks:?}");
        assert_eq!(answer.count(SECRET.as_bytes()), 0);
    }
}

#[tokio::test]
async fn answers_without_a_body_leave_the_connection_in_step() {
    for speaks in [Speaks::Http1, Speaks::Http2] {
        let house = speaking(speaks).await;
        let lease = bearer(&house.lease());
        let auth = [("authorization", &*lease)];
        let mut client = house.http1().await;
        for status in [204, 304] {
            let answer = client.get(HOST, &format!("/status/{status}"), &auth).await;
            assert_eq!((answer.status, answer.body.len()), (status, 0), "{speaks:?}");
            assert_eq!(answer.header("transfer-encoding"), None, "{speaks:?}: {answer:?}");
        }
        let answer = client.send("HEAD", HOST, "/answer?header=content-length:5", &auth, b"").await;
        assert_eq!((answer.status, answer.header("content-length").as_deref()), (200, Some("5")), "{speaks:?}");
        assert_eq!(client.get(HOST, "/status/200", &auth).await.text(), "200", "{speaks:?}");

        let client = h2(&house).await;
        for status in [204, 304] {
            let answer = client.get(&format!("/status/{status}"), &auth).await;
            assert_eq!((answer.status, answer.body.len()), (status, 0), "{speaks:?}");
        }
        let head = client.send("HEAD", "/answer?header=content-length:5", &auth, Full::default()).await;
        assert_eq!((head.status, head.header("content-length").as_deref(), head.body.len()), (200, Some("5"), 0));
        assert!(house.ended(7).await.iter().all(|record| record.outcome.as_deref() == Some("ok")));
    }
}

#[tokio::test]
async fn a_known_length_stays_known_and_a_chunked_upload_stays_chunked() {
    static BODY: [u8; 100_000] = [7; 100_000];
    for (alpn, speaks) in PAIRS {
        let house = speaking(speaks).await;
        let lease = bearer(&house.lease());
        let headers = [("authorization", &*lease), ("content-length", "100000")];
        let headers = if alpn == H2 { &headers[..] } else { &headers[..1] };
        assert_eq!(post(&house, alpn, "/upload", headers, &BODY).await.status, 200);
        let request = house.origin.only_request();
        assert_eq!(request.header("content-length").as_deref(), Some("100000"), "{alpn:?} {speaks:?}");
        assert_eq!(request.header("transfer-encoding"), None, "{alpn:?} {speaks:?}");
        assert_eq!(request.body_sha256, hex(&sha256(&BODY)));

        let mut client = house.client(alpn).await;
        if client.alpn() == Some("h2") {
            let client = client.h2(HOST).await;
            let body = unmeasured(&["he", "llo"]);
            assert_eq!(client.send("POST", "/upload", &[("authorization", &lease)], body).await.status, 200);
        } else {
            let head = format!("POST /upload HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: {lease}\r\n");
            client.write(format!("{head}Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n")).await;
            assert_eq!(client.read_answer().await.status, 200);
        }
        let request = house.origin.requests().remove(1);
        assert_eq!(request.body, b"hello", "{alpn:?} {speaks:?}");
        assert_eq!(request.header("content-length"), None, "{alpn:?} {speaks:?}");
        let chunked = (speaks != Speaks::Http2).then(|| "chunked".to_owned());
        assert_eq!(request.header("transfer-encoding"), chunked, "{alpn:?} {speaks:?}");
    }
}

/// Search services take such requests; hyper's client sends a GET without a length as one without a body.
#[tokio::test]
async fn a_get_with_a_body_of_unknown_length_keeps_its_body() {
    for speaks in [Speaks::Http1, Speaks::Http2] {
        let house = speaking(speaks).await;
        let lease = bearer(&house.lease());
        let mut client = house.http1().await;
        let head = format!("GET /echo HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: {lease}\r\n");
        client.write(format!("{head}Transfer-Encoding: chunked\r\n\r\n5\r\nquery\r\n0\r\n\r\n")).await;
        assert_eq!(client.read_answer().await.status, 200);
        assert_eq!(house.origin.only_request().body, b"query", "{speaks:?}");
    }
}

#[tokio::test]
async fn cookie_crumbs_of_http_2_become_one_field_of_http_1() {
    let house = speaking(Speaks::Http1).await;
    let headers = [("authorization", &*bearer(&house.lease())), ("cookie", "a=1"), ("cookie", "b=2; c=3")];
    let answer = h2(&house).await.get("/answer?header=set-cookie:x=1&header=set-cookie:y=2", &headers).await;
    assert_eq!(house.origin.only_request().values("cookie"), ["a=1; b=2; c=3"]);
    assert_eq!(answer.values("set-cookie"), ["x=1", "y=2"], "set-cookie is never joined");
}

#[tokio::test]
async fn path_and_query_arrive_byte_for_byte() {
    let targets = [
        "/echo?a=1&&b;c+d=%2B&e=%2f%2F&=&f",
        "/echo?",
        "/a;v=1/b,c/~u/%7Eu/%C3%A9/x%3agenerate?q='`{}|~^",
        "/v1/100%25/(x)/!$&'*=:@",
        "/v1/files/",
    ];
    for (alpn, speaks) in PAIRS {
        let house = speaking(speaks).await;
        let lease = bearer(&house.lease());
        for (at, target) in targets.into_iter().enumerate() {
            let answer = get(&house, alpn, target, &[("authorization", &lease)]).await;
            assert!([200, 404].contains(&answer.status), "{alpn:?} {speaks:?} {target}: {answer:?}");
            assert_eq!(house.origin.requests()[at].target, target, "{alpn:?} {speaks:?}");
        }
        let ended = house.ended(targets.len()).await;
        assert!(ended.iter().all(|record| record.path.as_deref().is_some_and(|path| !path.contains('?'))));
    }
}

#[tokio::test]
async fn a_path_of_two_readings_goes_nowhere() {
    let house = House::new().await;
    let lease = bearer(&house.lease());
    for path in ["/a%2Fb", "//a", "/a/../b", "/%2e%2e/b"] {
        for alpn in [H1, H2] {
            assert_problem(&get(&house, alpn, path, &[("authorization", &lease)]).await, 400, "bad_request");
        }
    }
    assert!(house.origin.requests().is_empty() && house.origin.connections().is_empty());
    assert_eq!(house.records_of("request_refused").len(), 8);
    assert_paired(&house.records());
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_other_streams_alone() {
    let house = speaking(Speaks::Http2).await;
    let (lease, client) = (bearer(&house.lease()), h2(&house).await);
    let request = Request::get(format!("https://{HOST}/hang/body?gate=left")).header("authorization", &lease);
    let left = client.request(request.body(Full::<Bytes>::default()).unwrap()).await.unwrap();
    drop(left);
    house.origin.wait_for_answer(0, support::AnswerState::Cut).await; // the reset reached the origin
    assert_eq!(client.get("/echo", &[("authorization", &lease)]).await.status, 200);
    assert_eq!(house.origin.handshakes(), 1);
    let ended = house.ended(2).await;
    assert_eq!(ended.iter().filter(|record| record.outcome.as_deref() == Some("aborted")).count(), 1, "{ended:?}");
}
