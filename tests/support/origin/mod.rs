//! A real TLS origin on loopback that records what reaches it and answers by path (see `answers.rs` for the paths).
//!
//! It runs on a thread and a runtime of its own, so that a test may block, and so that a proxy under test in the test's
//! runtime cannot lend it time.

mod answers;
mod body;
mod coding;
mod echoes;
mod place;
mod query;
mod record;
mod tap;
mod websocket;

use std::{io, net::SocketAddr, sync::Arc, thread};

use http::Request;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::{HandshakeKind, RootCertStore, ServerConfig};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_rustls::LazyConfigAcceptor;
use tokio_util::sync::CancellationToken;

pub use self::{
    body::Gate,
    coding::{SPELLINGS, decode, encode, spell},
    record::{AnswerState, BodyState, Connection, Handshake, Life, Recorded, count, values},
    tap::head_fields,
};
use self::{
    body::Gates,
    place::{Place, Upgraded},
    record::Log,
    tap::{Syntax, Tap},
};
use super::{
    ca::{Leaf, TestCa},
    frames::Frame,
    git::GitRepos,
};

/// What an origin speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// h2 and HTTP/1.1 by ALPN; HTTP/1.1 when the client offers nothing.
    Both,
    /// HTTP/1.1 without TLS.
    Clear,
    /// HTTP/1.1, agreed by ALPN.
    Http1,
    /// HTTP/1.1 from a server that has never heard of ALPN.
    Http1NoAlpn,
    /// h2 only.
    Http2,
}

impl Speaks {
    fn alpn(self) -> &'static [&'static [u8]] {
        match self {
            Self::Both => &[b"h2", b"http/1.1"],
            Self::Clear | Self::Http1NoAlpn => &[],
            Self::Http1 => &[b"http/1.1"],
            Self::Http2 => &[b"h2"],
        }
    }
}

/// How an origin is to be.
#[derive(Debug)]
pub struct OriginBuilder {
    leaf: Option<Leaf>,
    speaks: Speaks,
    git: Option<GitRepos>,
    clients: Option<RootCertStore>,
}

impl OriginBuilder {
    /// Takes only clients with a certificate that these roots vouch for.
    #[must_use]
    pub fn clients(mut self, roots: RootCertStore) -> Self {
        self.clients = Some(roots);
        self
    }

    /// What it speaks; [`Speaks::Both`] unless told.
    #[must_use]
    pub fn speaks(mut self, speaks: Speaks) -> Self {
        self.speaks = speaks;
        self
    }

    /// Serves repositories under `/git/`.
    #[must_use]
    pub fn git(mut self, repositories: &GitRepos) -> Self {
        self.git = Some(repositories.clone());
        self
    }

    /// Starts it on a free port of 127.0.0.1.
    pub fn start(self) -> Origin {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let config = |leaf: Leaf| leaf.server_config_for(self.speaks.alpn(), self.clients.as_ref());
        let house = House {
            tls: self.leaf.filter(|_| self.speaks != Speaks::Clear).map(config),
            speaks: self.speaks,
            log: Log::default(),
            gates: Gates::default(),
            git: self.git,
            stop: CancellationToken::new(),
            kicks: watch::Sender::new(0),
        };
        let served = house.clone();
        let thread = thread::Builder::new().name("origin".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(served.serve(listener));
            runtime.shutdown_background();
        });
        Origin { address, house, thread: Some(thread.unwrap()) }
    }
}

/// A running origin; stops when dropped.
#[derive(Debug)]
pub struct Origin {
    address: SocketAddr,
    house: House,
    thread: Option<thread::JoinHandle<()>>,
}

impl Origin {
    /// An origin to be, with this leaf.
    pub fn builder(leaf: Leaf) -> OriginBuilder {
        OriginBuilder { leaf: Some(leaf), speaks: Speaks::Both, git: None, clients: None }
    }

    /// An h2 and HTTP/1.1 origin with a good leaf for these hosts.
    pub fn https(ca: &TestCa, hosts: &[&str]) -> Self {
        Self::builder(ca.leaf_for(hosts)).start()
    }

    /// An HTTP/1.1 origin without TLS.
    pub fn clear() -> Self {
        OriginBuilder { leaf: None, speaks: Speaks::Clear, git: None, clients: None }.start()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// `host:port`, for CONNECT and Host.
    pub fn authority(&self, host: &str) -> String {
        format!("{host}:{}", self.port())
    }

    /// The test's end of a gate; the answer's end is named in the query: `/sse?gate=NAME`.
    pub fn gate(&self, name: &str) -> Gate {
        self.house.gates.gate(name)
    }

    /// Every request so far, in the order of their heads.
    pub fn requests(&self) -> Vec<Recorded> {
        self.house.log.read().requests.clone()
    }

    /// The one request that came.
    ///
    /// # Panics
    /// When none or several came.
    pub fn only_request(&self) -> Recorded {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "requests: {requests:?}");
        requests.into_iter().next().unwrap()
    }

    /// Every accepted TCP connection so far.
    pub fn connections(&self) -> Vec<Connection> {
        self.house.log.read().connections.clone()
    }

    /// How many TLS handshakes were finished, in full or by resuming.
    pub fn handshakes(&self) -> usize {
        let is_finished = |c: &&Connection| matches!(c.handshake, Handshake::Full | Handshake::Resumed);
        self.house.log.read().connections.iter().filter(is_finished).count()
    }

    /// Every WebSocket frame from clients, in order.
    pub fn frames(&self) -> Vec<Frame> {
        self.house.log.read().frames.clone()
    }

    /// How often these bytes reached the origin in any request; for HTTP/1 in the connection's very bytes (so also in
    /// what was no request), for h2 in what the frames meant.
    pub fn count(&self, needle: &[u8]) -> usize {
        let pages = self.house.log.read();
        let h2 = pages.connections.iter().filter(|c| c.alpn.as_deref() == Some("h2")).map(|c| c.id).collect::<Vec<_>>();
        let meant = pages.requests.iter().filter(|r| h2.contains(&r.connection)).map(|r| r.count(needle));
        let bytes = pages.connections.iter().filter(|c| !h2.contains(&c.id)).map(|c| count(&c.received, needle));
        let framed = pages.frames.iter().map(|frame| count(&frame.payload, needle)); // masked in the bytes
        meant.chain(bytes).chain(framed).sum()
    }

    /// Waits until `n` requests have come whole.
    pub async fn wait_for(&self, n: usize) {
        self.wait(&format!("{n} whole requests"), move |requests| whole(requests) >= n).await;
    }

    /// Waits until the heads of `n` requests have come.
    pub async fn wait_for_heads(&self, n: usize) {
        self.wait(&format!("{n} heads"), |requests| requests.len() >= n).await;
    }

    /// Waits until the answer to a request is in this state.
    pub async fn wait_for_answer(&self, number: usize, state: AnswerState) {
        let what = format!("answer {number} to be {state:?}");
        self.wait(&what, |requests| requests.get(number).is_some_and(|r| r.answer == state)).await;
    }

    /// Waits until the requests look as wanted.
    pub async fn wait(&self, what: &str, wanted: impl Fn(&[Recorded]) -> bool) {
        self.house.log.wait(what, |pages| wanted(&pages.requests)).await;
    }

    /// Waits until the connections look as wanted.
    pub async fn wait_connections(&self, what: &str, wanted: impl Fn(&[Connection]) -> bool) {
        self.house.log.wait(what, |pages| wanted(&pages.connections)).await;
    }

    /// Waits until the WebSocket frames look as wanted.
    pub async fn wait_frames(&self, what: &str, wanted: impl Fn(&[Frame]) -> bool) {
        self.house.log.wait(what, |pages| wanted(&pages.frames)).await;
    }

    /// [`Origin::wait_for`] for tests without a runtime.
    pub fn wait_for_blocking(&self, n: usize) {
        let what = format!("{n} whole requests");
        self.house.log.wait_blocking(&what, |pages| whole(&pages.requests) >= n);
    }

    /// Drops every connection that is open now, without a word, as a restarted server does.
    pub fn drop_connections(&self) {
        self.house.kicks.send_modify(|kicks| *kicks += 1);
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.house.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            // A second panic while a test fails would hide the first.
            assert!(ended.is_ok() || thread::panicking(), "the origin's thread panicked");
        }
    }
}

fn whole(requests: &[Recorded]) -> usize {
    requests.iter().filter(|request| request.body_state == BodyState::Complete).count()
}

/// What all connections of an origin share.
#[derive(Clone, Debug)]
struct House {
    tls: Option<Arc<ServerConfig>>,
    speaks: Speaks,
    log: Log,
    gates: Gates,
    git: Option<GitRepos>,
    stop: CancellationToken,
    kicks: watch::Sender<u64>,
}

impl House {
    async fn serve(self, listener: std::net::TcpListener) {
        let listener = TcpListener::from_std(listener).unwrap();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.stop.cancelled() => return,
            };
            let Ok((stream, _)) = accepted else { continue };
            let _ = stream.set_nodelay(true);
            let (house, id, mut kicks) = (self.clone(), self.log.accept(), self.kicks.subscribe());
            tokio::spawn(async move {
                tokio::select! {
                    () = house.connection(stream, id) => {}
                    _ = kicks.changed() => {}
                }
                house.log.on_connection(id, |connection| connection.life = Life::Closed);
            });
        }
    }

    async fn connection(&self, stream: TcpStream, id: usize) {
        let Some(tls) = self.tls.clone() else {
            self.log.on_connection(id, |connection| connection.handshake = Handshake::Clear);
            return self.speak(stream, id, Syntax::Http1).await;
        };
        match self.handshake(stream, id, tls).await {
            Ok(stream) => {
                let agreed = stream.get_ref().1.alpn_protocol();
                let is_h2 = agreed == Some(b"h2") || (agreed.is_none() && self.speaks == Speaks::Http2);
                self.speak(stream, id, if is_h2 { Syntax::Http2 } else { Syntax::Http1 }).await;
            }
            Err(error) => self.log.on_connection(id, |c| c.handshake = Handshake::Failed(error.to_string())),
        }
    }

    async fn handshake(
        &self,
        stream: TcpStream,
        id: usize,
        tls: Arc<ServerConfig>,
    ) -> io::Result<tokio_rustls::server::TlsStream<TcpStream>> {
        let start = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await?;
        let hello = start.client_hello();
        let sni = hello.server_name().map(str::to_owned);
        let offered = hello.alpn().into_iter().flatten();
        let offered = offered.map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        self.log.on_connection(id, |connection| {
            connection.sni = sni;
            connection.offered_alpn = offered;
        });
        let stream = start.into_stream(tls).await?;
        let session = stream.get_ref().1;
        let handshake = match session.handshake_kind() {
            Some(HandshakeKind::Resumed) => Handshake::Resumed,
            _ => Handshake::Full,
        };
        let client = session.peer_certificates().and_then(<[_]>::first).map(|certificate| certificate.to_vec());
        let alpn = session.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
        self.log.on_connection(id, |connection| {
            connection.handshake = handshake;
            connection.client = client;
            connection.alpn = alpn;
        });
        Ok(stream)
    }

    async fn speak(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, id: usize, syntax: Syntax) {
        let (tap, heads) = Tap::new(stream, self.log.clone(), id, syntax);
        let upgraded = Upgraded::default();
        let place = Arc::new(Place {
            log: self.log.clone(),
            gates: self.gates.clone(),
            git: self.git.clone(),
            connection: id,
            heads,
            upgraded: upgraded.clone(),
        });
        let service = service_fn(move |request: Request<Incoming>| answers::answer(place.clone(), request));
        // How a connection ends is the client's affair and shows in the log.
        let _ = match syntax {
            Syntax::Http1 => {
                let mut http1 = hyper::server::conn::http1::Builder::new();
                http1.timer(TokioTimer::new()).max_headers(1_000).max_buf_size(1 << 21);
                http1.serve_connection(TokioIo::new(tap), service).with_upgrades().await
            }
            Syntax::Http2 => {
                let mut http2 = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                http2.timer(TokioTimer::new()).max_header_list_size(1 << 20);
                http2.serve_connection(TokioIo::new(tap), service).await
            }
        };
        let upgraded = upgraded.lock().unwrap().take();
        if let Some(task) = upgraded {
            let _ = task.await;
        }
    }
}
