//! What an origin saw: every connection, every request exactly as it arrived, and what became of the answers.

use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::watch;

use super::super::{
    frames::Frame,
    wait::{LIMIT, until_blocking},
};

/// How much of a request's body and of a connection's bytes is kept; lengths and hashes cover the whole.
pub const KEPT: usize = 4 << 20;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Its place in the log.
    pub number: usize,
    /// The [`Connection::id`] that brought it.
    pub connection: usize,
    /// The method.
    pub method: String,
    /// The request target exactly as sent; on h2 the `:path`.
    pub target: String,
    /// The version of HTTP.
    pub version: http::Version,
    /// Names as spelled and values as sent, in order; on h2 the pseudo headers come first.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The head's bytes from the request line to the empty line; empty on h2.
    pub head: Vec<u8>,
    /// The first [`KEPT`] bytes of the body, without framing.
    pub body: Vec<u8>,
    /// The whole body's length so far.
    pub body_length: u64,
    /// SHA-256 of the whole body in hexadecimal, once it is complete.
    pub body_sha256: String,
    /// How far the body has come.
    pub body_state: BodyState,
    /// Trailers.
    pub trailers: Vec<(String, Vec<u8>)>,
    /// What became of the answer.
    pub answer: AnswerState,
    /// Bytes of the answer's body that the connection has taken from us.
    pub answer_bytes: u64,
}

/// How far a request's body has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyState {
    /// Not all of it, or not asked for.
    Arriving,
    /// It ended without an end, for this reason.
    Broken(String),
    /// All of it.
    Complete,
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerState {
    /// The other side went away, or the origin broke it off, before its end.
    Cut,
    /// The head is not sent yet.
    Pending,
    /// Sent whole.
    Sent,
    /// The head is sent, the body is under way.
    Streaming,
}

impl Recorded {
    /// The values of a header, whatever its spelling.
    pub fn values(&self, name: &str) -> Vec<String> {
        values(&self.headers, name)
    }

    /// The one value of a header; `None` when it is missing.
    ///
    /// # Panics
    /// When it came more than once: then the test must say which it means.
    pub fn header(&self, name: &str) -> Option<String> {
        let mut values = self.values(name);
        assert!(values.len() < 2, "`{name}` came {} times", values.len());
        values.pop()
    }

    /// How often these bytes stand in the request: target, header names, header values, kept body, trailers.
    pub fn count(&self, needle: &[u8]) -> usize {
        let fields = self.headers.iter().chain(&self.trailers);
        // The `:path` of h2 is the target; counting it twice would spoil "exactly once".
        let fields = fields.filter(|(name, _)| name != ":path");
        fields.map(|(name, value)| count(name.as_bytes(), needle) + count(value, needle)).sum::<usize>()
            + count(self.target.as_bytes(), needle)
            + count(&self.body, needle)
    }
}

/// A TCP connection as the origin saw it.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Its place in the log.
    pub id: usize,
    /// The server name of the ClientHello.
    pub sni: Option<String>,
    /// The protocols of the ClientHello, in its order.
    pub offered_alpn: Vec<String>,
    /// The protocol agreed on.
    pub alpn: Option<String>,
    /// How the handshake stands.
    pub handshake: Handshake,
    /// The certificate that the client showed, in DER.
    pub client: Option<Vec<u8>>,
    /// Bytes received inside TLS (or in clear where there is none).
    pub received_length: u64,
    /// The first [`KEPT`] of those bytes.
    pub received: Vec<u8>,
    /// Whether the origin is done with it.
    pub life: Life,
}

/// How a handshake stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// The connection is in clear.
    Clear,
    /// Finished, in full.
    Full,
    /// It failed, for this reason.
    Failed(String),
    /// Not finished.
    Pending,
    /// Finished by resuming an earlier session.
    Resumed,
}

/// Whether a connection is still served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// No more.
    Closed,
    /// Still.
    Open,
}

/// The log; clones share it.
#[derive(Clone, Debug)]
pub struct Log(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    pages: Mutex<Pages>,
    changes: watch::Sender<u64>,
}

/// Everything seen so far.
#[derive(Debug, Default)]
pub struct Pages {
    /// Requests in the order of their heads.
    pub requests: Vec<Recorded>,
    /// Connections in the order of their acceptance.
    pub connections: Vec<Connection>,
    /// WebSocket frames from the client, in order.
    pub frames: Vec<Frame>,
}

impl Default for Log {
    fn default() -> Self {
        Self(Arc::new(Shared { pages: Mutex::default(), changes: watch::Sender::new(0) }))
    }
}

impl Log {
    /// Reads the log.
    pub fn read(&self) -> MutexGuard<'_, Pages> {
        self.0.pages.lock().unwrap()
    }

    /// Writes in the log and wakes whoever waits for a change.
    pub fn write<T>(&self, change: impl FnOnce(&mut Pages) -> T) -> T {
        let result = change(&mut self.read());
        self.0.changes.send_modify(|version| *version += 1);
        result
    }

    /// Changes one request's record.
    pub fn on_request(&self, number: usize, change: impl FnOnce(&mut Recorded)) {
        self.write(|pages| change(&mut pages.requests[number]));
    }

    /// Changes one connection's record.
    pub fn on_connection(&self, id: usize, change: impl FnOnce(&mut Connection)) {
        self.write(|pages| change(&mut pages.connections[id]));
    }

    /// Opens a connection's record.
    pub fn accept(&self) -> usize {
        self.write(|pages| {
            let id = pages.connections.len();
            pages.connections.push(Connection {
                id,
                sni: None,
                offered_alpn: Vec::new(),
                alpn: None,
                handshake: Handshake::Pending,
                client: None,
                received_length: 0,
                received: Vec::new(),
                life: Life::Open,
            });
            id
        })
    }

    /// Waits until the log looks as wanted.
    ///
    /// # Panics
    /// After the limit, with the log as it is then.
    pub async fn wait(&self, what: &str, wanted: impl Fn(&Pages) -> bool) {
        let mut changes = self.0.changes.subscribe();
        let watch = tokio::time::timeout(LIMIT, async {
            while !wanted(&self.read()) {
                changes.changed().await.unwrap();
            }
        });
        assert!(watch.await.is_ok(), "waited {LIMIT:?} in vain for {what}; seen: {}", self.summary());
    }

    /// [`Log::wait`] for tests without a runtime.
    pub fn wait_blocking(&self, what: &str, wanted: impl Fn(&Pages) -> bool) {
        until_blocking(what, || wanted(&self.read()));
    }

    fn summary(&self) -> String {
        let pages = self.read();
        let requests: Vec<_> =
            pages.requests.iter().map(|r| format!("{} {} {:?}", r.method, r.target, r.answer)).collect();
        format!("{} connections, requests {requests:?}", pages.connections.len())
    }
}

/// The values of a header in a list, whatever its spelling.
pub fn values(headers: &[(String, Vec<u8>)], name: &str) -> Vec<String> {
    let named = headers.iter().filter(|(candidate, _)| candidate.eq_ignore_ascii_case(name));
    named.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()
}

/// How often a needle stands in a text, overlaps not counted.
pub fn count(text: &[u8], needle: &[u8]) -> usize {
    assert!(!needle.is_empty(), "looking for nothing finds it everywhere");
    memchr::memmem::find_iter(text, needle).count()
}
