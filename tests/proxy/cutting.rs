//! Cutting: whatever an exchange is doing, it ends with its lease, on both sides, and the record says so.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming};
use leasehold::{
    audit::Record,
    base::{Clock, CutReason, LeaseId},
    broker::{Around, Session},
};
use std::sync::Arc;

use crate::{
    house::{AUTHORITY, HOST},
    kit::{H1, H2, Yard, allow_websockets, assert_paired, assert_problem, bearer, lease, proxy_credentials, records},
    support::{
        self, AnswerState, BodyState, Frame, H2Client, Life, Origin, RawClient, Speaks, TestCa, WebSocketClient, within,
    },
};

/// What ends the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Expiry,
    Revoke,
    RevokeAll,
    SessionEnd,
}

impl By {
    const ALL: [Self; 4] = [Self::Expiry, Self::Revoke, Self::RevokeAll, Self::SessionEnd];

    fn reason(self) -> &'static str {
        match self {
            Self::Expiry => "expired",
            Self::Revoke | Self::RevokeAll => "revoked",
            Self::SessionEnd => "session_ended",
        }
    }

    /// The code of an answer whose head had not left yet.
    fn code(self) -> &'static str {
        match self {
            Self::SessionEnd => "token_foreign_session",
            other => other.reason(),
        }
    }

    /// Whether another lease of the session dies too.
    fn takes_all(self) -> bool {
        matches!(self, Self::RevokeAll | Self::SessionEnd)
    }
}

/// A session with one lease that ends after ten minutes and one that lives on, in front of an origin.
struct Scene {
    by: By,
    yard: Yard,
    origin: Origin,
    ca: TestCa,
    clock: Clock,
    session: Arc<Session>,
    token: String,
    id: LeaseId,
    other: String,
}

impl Scene {
    async fn new(by: By, speaks: Speaks) -> Self {
        let ca = TestCa::new();
        let origin = Origin::builder(ca.leaf_for(&[HOST, "tunnel.test"])).speaks(speaks).start();
        let hosts = [(HOST, origin.address()), ("tunnel.test", origin.address())];
        let clock = match by {
            By::Expiry => Clock::manual(Clock::system().now()), // certificates are judged by the real one
            _ => Clock::system(),
        };
        let yard = Yard::new(&ca, &hosts, "", clock.clone()).await;
        let session = yard.broker().open_session("exec".parse().unwrap(), Around::default()).unwrap();
        let (token, id) = lease(yard.broker(), Some(&session), Some("10m"));
        let (other, _) = lease(yard.broker(), Some(&session), Some("1h"));
        Self { by, yard, origin, ca, clock, session, token, id, other }
    }

    /// A tunnel of the session.
    async fn tunnel(&self, authority: &str) -> RawClient {
        let mut client = RawClient::connect(self.yard.proxy()).await;
        let credentials = proxy_credentials(&self.session);
        client.write(format!("CONNECT {authority} HTTP/1.1\r\nProxy-Authorization: {credentials}\r\n\r\n")).await;
        assert_eq!(client.read_answer_to("CONNECT").await.status, 200);
        client
    }

    async fn client(&self, alpn: &[&[u8]]) -> RawClient {
        self.tunnel(AUTHORITY).await.start_tls(HOST, &self.yard.roots, alpn).await.unwrap()
    }

    /// An HTTP/1.1 client that has sent this head with the lease.
    async fn asking(&self, method: &str, target: &str, length: usize) -> RawClient {
        let mut client = self.client(H1).await;
        client.write(support::head(method, HOST, target, &[("Authorization", &bearer(&self.token))], length)).await;
        client
    }

    /// Ends the lease.
    fn cut(&self) {
        let broker = self.yard.broker();
        match self.by {
            By::Expiry => self.clock.advance(Duration::from_mins(11)),
            By::Revoke => drop(broker.revoke_lease(&self.id).unwrap()),
            By::RevokeAll => assert_eq!(broker.revoke_all().unwrap(), 2),
            By::SessionEnd => broker.end_session(self.session.id(), CutReason::SessionEnded),
        }
    }

    /// The exchange's record says *cut*, why, and when: soon after what ended the lease.
    async fn assert_recorded(&self, action: &str) -> Record {
        support::until("the end is recorded", || !self.yard.records_of(action).is_empty()).await;
        let ended = self.yard.records_of(action).remove(0);
        let said = (ended.outcome.as_deref(), ended.reason.as_deref());
        assert_eq!(said, (Some("cut"), Some(self.by.reason())), "{:?}: {ended:?}", self.by);
        let all = records(self.yard.broker(), &self.yard.home);
        let cause = match self.by {
            By::Expiry => "lease_expire",
            By::Revoke | By::RevokeAll => "lease_revoke",
            By::SessionEnd => "session_end",
        };
        let cause = all.iter().find(|record| record.action == cause).unwrap();
        eprintln!("{action} {:?}: recorded {:?} after its cause", self.by, ended.timestamp.since(cause.timestamp));
        ended
    }

    async fn assert_upstream_ended(&self) {
        let is_closed = |all: &[support::Connection]| all.iter().all(|connection| connection.life == Life::Closed);
        self.origin.wait_connections("the upstream's connection to end", is_closed).await;
    }
}

/// For each way in which a lease ends: begins something, ends the lease, and waits for the end that the client sees.
async fn each<H>(
    speaks: Speaks,
    action: &str,
    begin: impl AsyncFn(&Scene) -> H,
    see_the_end: impl AsyncFn(&Scene, H),
) -> Vec<(Scene, Record)> {
    let mut scenes = Vec::new();
    for by in By::ALL {
        let scene = Scene::new(by, speaks).await;
        let held = begin(&scene).await;
        assert!(scene.yard.records_of(action).is_empty(), "{by:?}: it is still open");
        let cut = Instant::now();
        scene.cut();
        see_the_end(&scene, held).await;
        let took = cut.elapsed();
        eprintln!("{action} {by:?}: seen by the client after {took:?}");
        let record = scene.assert_recorded(action).await;
        scenes.push((scene, record));
    }
    for (scene, _) in &scenes {
        if action == "request_ended" {
            assert_paired(&records(scene.yard.broker(), &scene.yard.home));
        }
    }
    scenes
}

#[tokio::test]
async fn a_streaming_answer_is_cut() {
    let begin = async |scene: &Scene| {
        let mut client = scene.asking("GET", "/hang/body?gate=never", 0).await;
        assert_eq!(client.read_head().await.status, 200);
        assert_eq!(client.read_piece().await.unwrap(), b"begun\n");
        client
    };
    let end = async |_: &Scene, mut client: RawClient| {
        assert!(client.try_read_piece().await.is_err(), "an answer that was cut must not look whole");
    };
    for (scene, record) in each(Speaks::Http1, "request_ended", begin, end).await {
        assert_eq!((record.status, record.lease_id), (Some(200), Some(scene.id.to_string())));
        scene.assert_upstream_ended().await;
    }
}

#[tokio::test]
async fn an_answer_that_nobody_reads_is_cut() {
    let begin = async |scene: &Scene| {
        let mut client = scene.asking("GET", "/flood", 0).await;
        assert_eq!(client.read_head().await.status, 200);
        let sent = || scene.origin.requests()[0].answer_bytes;
        let seen = std::cell::Cell::new((0, Instant::now()));
        support::until("every buffer on the way is full", || {
            let (bytes, since) = seen.get();
            if sent() != bytes {
                seen.set((sent(), Instant::now()));
            }
            bytes > 0 && since.elapsed() > Duration::from_millis(100)
        })
        .await;
        client
    };
    let end = async |scene: &Scene, mut client: RawClient| {
        scene.assert_upstream_ended().await; // although the client has not read a byte more
        while let Ok(Some(_)) = client.try_read_piece().await {}
    };
    each(Speaks::Http1, "request_ended", begin, end).await;
}

#[tokio::test]
async fn a_stream_is_cut_and_the_streams_of_other_leases_beside_it_live_on() {
    let begin = async |scene: &Scene| {
        let client = scene.client(H2).await.h2(HOST).await;
        let mut answers = Vec::new();
        for (token, gate) in [(&scene.token, "cut"), (&scene.other, "lives")] {
            let uri = format!("https://{HOST}/hang/body?gate={gate}");
            let request = Request::get(uri).header("authorization", bearer(token));
            let mut answer = client.request(request.body(Full::<Bytes>::default()).unwrap()).await.unwrap();
            assert_eq!(piece(&mut answer).await.unwrap(), "begun\n");
            answers.push(answer);
        }
        let [cut, lives] = <[_; 2]>::try_from(answers).unwrap();
        (client, cut, lives)
    };
    let end = async |scene: &Scene,
                     (client, mut cut, mut lives): (H2Client, Response<Incoming>, Response<Incoming>)| {
        assert!(piece(&mut cut).await.is_err(), "an answer that was cut must not look whole");
        scene.origin.wait_for_answer(0, AnswerState::Cut).await;
        if scene.by.takes_all() {
            assert!(piece(&mut lives).await.is_err());
            scene.origin.wait_for_answer(1, AnswerState::Cut).await;
            return;
        }
        let gate = scene.origin.gate("lives");
        gate.send("more");
        assert_eq!(piece(&mut lives).await.unwrap(), "more");
        gate.finish();
        assert_eq!(client.get("/status/200", &[("authorization", &bearer(&scene.other))]).await.status, 200);
        assert_eq!(scene.origin.connections().len(), 1, "the upstream's connection lives on as well");
    };
    each(Speaks::Http2, "request_ended", begin, end).await;
}

/// The next data of an h2 answer; its end is an error here.
async fn piece(answer: &mut Response<Incoming>) -> Result<Bytes, String> {
    let frame = within("a frame", answer.frame()).await.ok_or("the end")?;
    frame.map_err(|error| error.to_string())?.into_data().map_err(|_| "trailers".to_owned())
}

#[tokio::test]
async fn a_websocket_is_cut() {
    let begin = async |scene: &Scene| {
        allow_websockets(&scene.yard.home, scene.yard.broker());
        let client = scene.client(H1).await;
        let headers = [("Authorization", &*bearer(&scene.token))];
        let mut socket = client.websocket(HOST, "/ws", &headers).await.unwrap();
        socket.send(&Frame::text("hello")).await;
        assert_eq!(socket.receive().await, Some(Frame::text("hello")));
        socket
    };
    let end = async |_: &Scene, mut socket: WebSocketClient| assert_eq!(socket.receive().await, None);
    for (scene, record) in each(Speaks::Both, "request_ended", begin, end).await {
        assert_eq!(record.status, Some(101));
        scene.assert_upstream_ended().await;
    }
}

#[tokio::test]
async fn an_untouched_tunnel_of_the_session_is_cut() {
    let begin = async |scene: &Scene| {
        let client = scene.tunnel("tunnel.test:443").await;
        let mut client = client.start_tls("tunnel.test", &scene.ca.roots(), H1).await.unwrap();
        assert_eq!(client.get("tunnel.test", "/status/200", &[]).await.status, 200);
        client
    };
    let end = async |_: &Scene, mut client: RawClient| assert_eq!(client.read_to_end().await, b"");
    for (scene, record) in each(Speaks::Http1, "tunnel_ended", begin, end).await {
        assert_eq!(record.session_id, Some(scene.session.id().to_string()));
        assert!(record.bytes_sent > Some(0) && record.bytes_received > Some(0), "{record:?}");
        scene.assert_upstream_ended().await;
        if scene.by != By::SessionEnd {
            let again = scene.tunnel("tunnel.test:443").await; // the session itself lives
            drop(again.start_tls("tunnel.test", &scene.ca.roots(), H1).await.unwrap());
        }
    }
}

#[tokio::test]
async fn the_tunnels_of_other_sessions_live_on() {
    let scene = Scene::new(By::Revoke, Speaks::Http1).await;
    let other = scene.yard.broker().open_session("other".parse().unwrap(), Around::default()).unwrap();
    let (_, theirs) = lease(scene.yard.broker(), Some(&other), None);
    let (_, nobodys) = lease(scene.yard.broker(), None, None);
    let client = scene.tunnel("tunnel.test:443").await;
    let mut client = client.start_tls("tunnel.test", &scene.ca.roots(), H1).await.unwrap();
    for id in [theirs, nobodys] {
        scene.yard.broker().revoke_lease(&id).unwrap();
        assert_eq!(client.get("tunnel.test", "/status/200", &[]).await.status, 200);
    }
    let client_id = "exec".parse().unwrap(); // the session's own, but none of its leases is for it
    assert_eq!(scene.yard.broker().revoke_client(&client_id).unwrap(), 0);
    assert_eq!(client.get("tunnel.test", "/status/200", &[]).await.status, 200);
    assert_eq!(scene.yard.broker().revoke_secret(&"acme_key".parse().unwrap()).unwrap(), 2);
    assert_eq!(client.read_to_end().await, b"");
}

#[tokio::test]
async fn an_upload_under_way_is_cut() {
    let begin = async |scene: &Scene| {
        let mut client = scene.asking("POST", "/upload", 1_000_000).await;
        client.write(vec![b'x'; 1000]).await;
        let is_there = |requests: &[support::Recorded]| requests.first().is_some_and(|r| r.body_length == 1000);
        scene.origin.wait("the first part", is_there).await;
        client
    };
    let end = async |scene: &Scene, mut client: RawClient| {
        assert_problem(&client.read_answer().await, 403, scene.by.code());
    };
    for (scene, record) in each(Speaks::Http1, "request_ended", begin, end).await {
        assert_eq!((record.code.as_deref(), record.bytes_sent), (Some(scene.by.code()), Some(1000)));
        let is_broken = |requests: &[support::Recorded]| matches!(requests[0].body_state, BodyState::Broken(_));
        scene.origin.wait("the upload to break off", is_broken).await;
        scene.assert_upstream_ended().await;
    }
}

#[tokio::test]
async fn a_request_that_waits_for_its_answer_is_cut() {
    let begin = async |scene: &Scene| {
        let client = scene.asking("GET", "/hang/head?gate=never", 0).await;
        scene.origin.wait_for_heads(1).await;
        client
    };
    let end = async |scene: &Scene, mut client: RawClient| {
        assert_problem(&client.read_answer().await, 403, scene.by.code());
    };
    for (scene, record) in each(Speaks::Http1, "request_ended", begin, end).await {
        assert_eq!(record.code.as_deref(), Some(scene.by.code()));
        scene.assert_upstream_ended().await;
    }
}
