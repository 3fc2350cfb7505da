//! The ways into the proxy: CONNECT in every dress, proxy credentials, ports of sessions, and plain HTTP.

use std::{net::SocketAddr, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use leasehold::{
    base::Clock,
    broker::Around,
    control::{Client, OpenSession, SessionSecret},
};
use tokio::net::TcpStream;

use crate::{
    house::{AUTHORITY, HOST, House, Plan, SECRET},
    kit::{H1, Yard, assert_paired, assert_problem, bearer, lease, proxy_credentials, records},
    support::{self, Origin, RawClient, RawOrigin, Step, TestCa},
};

async fn connect(client: &mut RawClient, credentials: &str) -> support::Answer {
    client
        .write(format!(
            "CONNECT {AUTHORITY} HTTP/1.1\r\nHost: {AUTHORITY}\r\nProxy-Authorization: {credentials}\r\n\r\n"
        ))
        .await;
    client.read_answer_to("CONNECT").await
}

#[tokio::test]
async fn a_connect_of_http_1_0_without_host_opens_a_tunnel() {
    let house = House::new().await;
    let mut client = RawClient::connect(house.proxy()).await;
    client.write(format!("CONNECT {AUTHORITY} HTTP/1.0\r\n\r\n")).await;
    assert_eq!(client.read_answer_to("CONNECT").await.status, 200);
    let mut client = client.start_tls(HOST, &house.roots, H1).await.unwrap();
    let answer = client.get(HOST, "/echo", &[("Authorization", &bearer(&house.lease()))]).await;
    assert_eq!((answer.status, house.origin.count(SECRET.as_bytes())), (200, 1));
}

#[tokio::test]
async fn a_connect_with_the_fields_of_java_yarn_and_node_opens_a_tunnel() {
    let house = House::new().await;
    let mut client = RawClient::connect(house.proxy()).await;
    client
        .write(format!(
            "CONNECT {AUTHORITY} HTTP/1.1\r\nuser-agent: Java/17\r\nhost: {HOST}\r\naccept: */*\r\nte: trailers\r\n\
             proxy-connection: keep-alive\r\nconnection: close, upgrade\r\n\r\n"
        ))
        .await;
    assert_eq!(client.read_answer_to("CONNECT").await.status, 200);
    let mut client = client.start_tls(HOST, &house.roots, &[]).await.unwrap();
    assert_eq!(client.get(HOST, "/echo", &[("Authorization", &bearer(&house.lease()))]).await.status, 200);
}

#[tokio::test]
async fn the_first_bytes_of_tls_may_come_with_the_connect() {
    let house = House::new().await;
    let inner = TcpStream::connect(house.proxy()).await.unwrap();
    let connect = format!("CONNECT {AUTHORITY} HTTP/1.1\r\nHost: {AUTHORITY}\r\n\r\n");
    let eager = Eager { inner, first: Some(connect.into_bytes()), answered: Vec::new() };
    let mut client = RawClient::over(eager).start_tls(HOST, &house.roots, H1).await.unwrap();
    assert_eq!(client.get(HOST, "/echo", &[("Authorization", &bearer(&house.lease()))]).await.status, 200);
}

/// Sends its first bytes in one write with what comes first, and swallows the head that answers them.
struct Eager {
    inner: TcpStream,
    first: Option<Vec<u8>>,
    answered: Vec<u8>,
}

mod eager {
    use std::{
        io,
        pin::Pin,
        task::{Context, Poll, ready},
    };

    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    use super::Eager;

    impl AsyncRead for Eager {
        fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            while !self.answered.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                let mut one = ReadBuf::new(&mut byte);
                ready!(Pin::new(&mut self.inner).poll_read(cx, &mut one))?;
                let Some(&byte) = one.filled().first() else { return Poll::Ready(Ok(())) };
                self.answered.push(byte);
            }
            assert!(self.answered.starts_with(b"HTTP/1.1 200"), "{:?}", String::from_utf8_lossy(&self.answered));
            Pin::new(&mut self.inner).poll_read(cx, out)
        }
    }

    impl AsyncWrite for Eager {
        fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
            let Some(first) = self.first.take() else { return Pin::new(&mut self.inner).poll_write(cx, data) };
            let both = [&first[..], data].concat();
            let written = ready!(Pin::new(&mut self.inner).poll_write(cx, &both))?;
            assert_eq!(written, both.len(), "an empty socket takes a small write whole");
            Poll::Ready(Ok(data.len()))
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.inner).poll_flush(cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.inner).poll_shutdown(cx)
        }
    }
}

#[tokio::test]
async fn a_407_keeps_the_connection_usable_for_the_credentials_that_follow() {
    let plan = Plan { settings: "[proxy]\nrequire_auth = true\n".into(), ..Plan::default() };
    let house = House::build(plan).await;
    let session = house.broker().open_session("cli".parse().unwrap(), Around::default()).unwrap();
    let mut client = RawClient::connect(house.proxy()).await;

    let first = client.ask_connect(AUTHORITY).await;
    assert_problem(&first, 407, "proxy_auth_required");
    assert_eq!(first.header("proxy-authenticate").as_deref(), Some("Basic realm=\"leasehold\""));
    assert_eq!(first.header("connection"), None, "it stays open");

    let (user, _) = session.proxy_credentials();
    for wrong in [format!("{user}:guess"), "nobody:x".into(), "no-colon".into()] {
        assert_eq!(connect(&mut client, &format!("Basic {}", STANDARD.encode(wrong))).await.status, 407);
    }

    let (token, _) = lease(house.broker(), Some(&session), None);
    assert_eq!(connect(&mut client, &proxy_credentials(&session)).await.status, 200);
    let mut client = client.start_tls(HOST, &house.roots, H1).await.unwrap();
    assert_eq!(client.get(HOST, "/echo", &[("Authorization", &bearer(&token))]).await.status, 200);
    let request = house.origin.only_request();
    assert_eq!((request.header("proxy-authorization"), request.values("authorization")), (None, vec![bearer(SECRET)]));

    let begun = house.records_of("request_begun");
    assert_eq!(begun[0].session_id, Some(session.id().to_string()));
    let refused = house.records_of("tunnel_refused");
    assert_eq!(refused.len(), 4);
    assert!(refused.iter().all(|record| record.code.as_deref() == Some("proxy_auth_required")));
}

#[tokio::test]
async fn a_lease_of_a_session_works_by_its_credentials_and_nowhere_else() {
    let house = House::new().await;
    let session = house.broker().open_session("cli".parse().unwrap(), Around::default()).unwrap();
    let (token, _) = lease(house.broker(), Some(&session), None);
    let headers = [("Authorization", &*bearer(&token))];
    assert_problem(&house.http1().await.get(HOST, "/echo", &headers).await, 403, "token_foreign_session");
    let other = house.broker().open_session("other".parse().unwrap(), Around::default()).unwrap();
    for (session, status) in [(&other, 403), (&session, 200)] {
        let mut client = RawClient::connect(house.proxy()).await;
        assert_eq!(connect(&mut client, &proxy_credentials(session)).await.status, 200);
        let mut client = client.start_tls(HOST, &house.roots, H1).await.unwrap();
        assert_eq!(client.get(HOST, "/echo", &headers).await.status, status);
    }
    assert_eq!(house.origin.requests().len(), 1);
}

#[tokio::test]
async fn a_session_has_a_port_of_its_own_that_closes_with_it() {
    let house = House::new().await;
    let mut control = Client::connect(&house.home.socket(), Duration::from_mins(1)).await.unwrap();
    let opened = control
        .call(OpenSession {
            client_id: Some("exec".parse().unwrap()),
            secrets: vec![SessionSecret { name: "acme_key".parse().unwrap(), env_var: None, ttl: None }],
            project_dir: "/".into(),
            ..OpenSession::default()
        })
        .await
        .unwrap();
    let port = SocketAddr::from(([127, 0, 0, 1], opened.proxy_port));
    let token = bearer(opened.leases[0].token.reveal());
    let headers = [("Authorization", &*token)];

    let mut inside = support::connect_tls(port, AUTHORITY, &house.roots, H1).await;
    assert_eq!(inside.get(HOST, "/echo", &headers).await.status, 200);
    assert_problem(&house.http1().await.get(HOST, "/echo", &headers).await, 403, "token_foreign_session");
    assert_eq!(house.records_of("request_begun")[0].session_id, Some(opened.session_id.to_string()));

    let mut live = support::connect_tls(port, AUTHORITY, &house.roots, H1).await;
    live.write(support::head("GET", HOST, "/hang/body?gate=live", &headers, 0)).await;
    assert_eq!(live.read_head().await.status, 200);
    assert_eq!(live.read_piece().await.unwrap(), b"begun\n");
    drop(control); // as when the command is killed
    assert!(live.try_read_piece().await.is_err(), "the live answer is cut");
    assert_problem(&inside.get(HOST, "/echo", &headers).await, 403, "token_foreign_session");
    support::until("the port is closed", || std::net::TcpStream::connect(port).is_err()).await;
    let ended = house.ended(2).await;
    assert_eq!((ended[1].outcome.as_deref(), ended[1].reason.as_deref()), (Some("cut"), Some("session_ended")));
}

async fn plain_yard(settings: &str) -> (Origin, Yard) {
    let origin = Origin::clear();
    let hosts = [("plain.test", origin.address()), (HOST, origin.address())];
    (origin, Yard::new(&TestCa::new(), &hosts, settings, Clock::system()).await)
}

async fn plain(yard: &Yard, host: &str, headers: &str) -> support::Answer {
    let mut client = RawClient::connect(yard.proxy()).await;
    client.write(format!("GET http://{host}/echo?q=1 HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n")).await;
    client.read_answer().await
}

#[tokio::test]
async fn plain_http_is_forwarded_without_a_credential() {
    let (origin, yard) = plain_yard("").await;
    let answer = plain(&yard, "plain.test", "Proxy-Connection: keep-alive\r\nProxy-Authorization: Digest x\r\n").await;
    assert_eq!(answer.status, 407, "credentials that are no session's are refused: {answer:?}");
    let answer = plain(&yard, "plain.test", "Proxy-Connection: keep-alive\r\nX-Own: kept\r\n").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let request = origin.only_request();
    assert_eq!((&*request.target, request.values("host")), ("/echo?q=1", vec!["plain.test".to_owned()]));
    assert_eq!((request.header("x-own").as_deref(), request.header("proxy-connection")), (Some("kept"), None));
    assert_eq!((request.header("authorization"), origin.count(SECRET.as_bytes())), (None, 0));
    yard.ended(1).await;
    assert_paired(&records(yard.broker(), &yard.home));
}

#[tokio::test]
async fn plain_http_with_a_lease_goes_nowhere() {
    let (origin, yard) = plain_yard("").await;
    let (token, _) = lease(yard.broker(), None, None);
    for host in ["plain.test", HOST] {
        let answer = plain(&yard, host, &format!("Authorization: Bearer {token}\r\n")).await;
        assert_problem(&answer, 403, "stray_lease");
    }
    assert!(origin.connections().is_empty());
    assert_eq!(yard.records_of("request_refused").len(), 2);
}

#[tokio::test]
async fn plain_http_to_a_host_that_no_grant_names_obeys_the_policy_for_unknown_hosts() {
    let (origin, yard) = plain_yard("").await;
    let file = yard.home.policies().join("defaults.toml");
    std::fs::write(file, "schema = 1\nkind = \"policy\"\n[defaults]\nunknown_host = \"deny\"\n").unwrap();
    yard.broker().live_policy().reload().unwrap();
    assert_problem(&plain(&yard, "plain.test", "").await, 403, "host_denied");
    assert!(origin.connections().is_empty(), "nothing is forwarded");
    assert_eq!(yard.records_of("request_refused").len(), 1);
}

#[tokio::test]
async fn the_upload_waits_for_the_upstreams_100_continue() {
    let ca = TestCa::new();
    let script = vec![
        Step::AwaitHead,
        Step::send("HTTP/1.1 100 Continue\r\n\r\n"),
        Step::AwaitHead, // the body ends like a head
        Step::send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"),
        Step::ReadOn,
    ];
    let origin = RawOrigin::tls(&ca.leaf(HOST), script);
    let yard = Yard::at(&ca, origin.address()).await;
    let (token, _) = lease(yard.broker(), None, None);
    let mut client = yard.client(H1).await;
    let headers = [("Authorization", &*bearer(&token)), ("Expect", "100-continue")];
    client.write(support::head("PUT", HOST, "/x", &headers, 8)).await;
    let interim = client.read_exactly(b"HTTP/1.1 100 Continue\r\n\r\n".len()).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&interim), "HTTP/1.1 100 Continue\r\n\r\n");
    let received = String::from_utf8(origin.received().remove(0)).unwrap();
    assert!(received.to_lowercase().contains("\r\nexpect: 100-continue\r\n"), "the upstream was asked: {received}");
    client.write(b"body\r\n\r\n").await;
    assert_eq!(client.read_answer().await.text(), "ok");
    assert!(origin.received()[0].ends_with(b"\r\n\r\nbody\r\n\r\n"));
}

#[tokio::test]
async fn a_final_answer_comes_without_a_100_before_it() {
    let house = House::build(Plan { speaks: support::Speaks::Http1, ..Plan::default() }).await;
    let mut client = house.http1().await;
    let headers = [("Authorization", &*bearer(&house.lease())), ("Expect", "100-continue")];
    client.write(support::head("PUT", HOST, "/early/401", &headers, 1_000_000)).await;
    let answer = client.read_answer_to("PUT").await;
    assert_eq!((answer.status, answer.interim.len(), answer.text().as_str()), (401, 0, "early"));
    assert_eq!(house.origin.only_request().body_length, 0);
    assert_eq!(house.ended(1).await[0].status, Some(401));
    // The body that was announced never came: this upstream connection carries nothing else.
    let again = house.http1().await.get(HOST, "/echo", &headers[..1]).await;
    assert_eq!((again.status, house.origin.handshakes()), (200, 2));
}
