//! An origin that sends exactly the bytes it is told, over TLS or in clear; for upstreams that break the rules.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    thread,
};

use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{ca::Leaf, wait::within};

/// One thing that the origin does on each connection.
#[derive(Clone, Debug)]
pub enum Step {
    /// Read until this many bytes have come in all.
    Await(usize),
    /// Read until the empty line after a head, the first or the next.
    AwaitHead,
    /// Close without a TLS `close_notify`.
    Break,
    /// End the sending side well and go on.
    Finish,
    /// Wait until the test calls [`RawOrigin::release`] once more.
    Hold,
    /// Read to the end of the stream.
    ReadOn,
    /// Close with a TCP reset.
    Reset,
    /// Send these bytes and flush.
    Send(Vec<u8>),
}

impl Step {
    /// Sends a text.
    pub fn send(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Send(bytes.into())
    }
}

/// The running origin; stops when dropped.
#[derive(Debug)]
pub struct RawOrigin {
    address: SocketAddr,
    shared: Shared,
    thread: Option<thread::JoinHandle<()>>,
}

#[derive(Clone, Debug)]
struct Shared {
    received: Arc<Mutex<Vec<Vec<u8>>>>,
    changes: watch::Sender<u64>,
    releases: watch::Sender<u64>,
    stop: CancellationToken,
}

impl RawOrigin {
    /// Plays the script on each TLS connection, with HTTP/1.1 agreed by ALPN.
    pub fn tls(leaf: &Leaf, script: Vec<Step>) -> Self {
        Self::start(Some(leaf.server_config(&[b"http/1.1"])), script)
    }

    /// Plays the script on each TLS connection with this protocol, such as `h2`.
    pub fn tls_with(leaf: &Leaf, alpn: &[u8], script: Vec<Step>) -> Self {
        Self::start(Some(leaf.server_config(&[alpn])), script)
    }

    /// Plays the script on each connection, in clear; also the way to answer a ClientHello with anything.
    pub fn clear(script: Vec<Step>) -> Self {
        Self::start(None, script)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `host:port`, for CONNECT and Host.
    pub fn authority(&self, host: &str) -> String {
        format!("{host}:{}", self.address.port())
    }

    /// What each connection has sent so far (inside TLS), in the order of their acceptance.
    pub fn received(&self) -> Vec<Vec<u8>> {
        self.shared.received.lock().unwrap().clone()
    }

    /// How often these bytes came, over all connections.
    pub fn count(&self, needle: &[u8]) -> usize {
        self.received().iter().map(|bytes| super::origin::count(bytes, needle)).sum()
    }

    /// Lets each connection that is in [`Step::Hold`], or comes to its first, go on.
    pub fn release(&self) {
        self.shared.releases.send_modify(|releases| *releases += 1);
    }

    /// Waits until the connections' bytes look as wanted.
    pub async fn wait(&self, what: &str, wanted: impl Fn(&[Vec<u8>]) -> bool) {
        let mut changes = self.shared.changes.subscribe();
        within(what, async {
            while !wanted(&self.received()) {
                changes.changed().await.unwrap();
            }
        })
        .await;
    }

    fn start(tls: Option<Arc<ServerConfig>>, script: Vec<Step>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Shared {
            received: Arc::default(),
            changes: watch::Sender::new(0),
            releases: watch::Sender::new(0),
            stop: CancellationToken::new(),
        };
        let served = shared.clone();
        let thread = thread::Builder::new().name("raw-origin".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(served.serve(listener, tls, script));
            runtime.shutdown_background();
        });
        Self { address, shared, thread: Some(thread.unwrap()) }
    }
}

impl Drop for RawOrigin {
    fn drop(&mut self) {
        self.shared.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    async fn serve(self, listener: std::net::TcpListener, tls: Option<Arc<ServerConfig>>, script: Vec<Step>) {
        let listener = TcpListener::from_std(listener).unwrap();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.stop.cancelled() => return,
            };
            let Ok((stream, _)) = accepted else { continue };
            let _ = stream.set_nodelay(true);
            let (shared, tls, script) = (self.clone(), tls.clone(), script.clone());
            tokio::spawn(async move {
                let number = shared.open();
                if script.iter().any(|step| matches!(step, Step::Reset)) {
                    let _ = stream.set_zero_linger(); // closing is then a reset
                }
                match tls {
                    None => shared.play(stream, number, &script).await,
                    Some(tls) => {
                        if let Ok(stream) = TlsAcceptor::from(tls).accept(stream).await {
                            shared.play(stream, number, &script).await;
                        }
                    }
                }
            });
        }
    }

    fn open(&self) -> usize {
        let mut received = self.received.lock().unwrap();
        received.push(Vec::new());
        received.len() - 1
    }
    async fn play(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin, number: usize, script: &[Step]) {
        let mut releases = self.releases.subscribe();
        let (mut holds, mut heads) = (0, 0);
        for step in script {
            let went_well = match step {
                Step::Await(n) => self.read_until(&mut stream, number, |bytes| bytes.len() >= *n).await,
                Step::AwaitHead => {
                    heads += 1;
                    let is_there = |bytes: &[u8]| super::origin::count(bytes, b"\r\n\r\n") >= heads;
                    self.read_until(&mut stream, number, is_there).await
                }
                Step::Break | Step::Reset => return,
                Step::Finish => stream.shutdown().await.is_ok(),
                Step::Hold => {
                    holds += 1;
                    tokio::select! {
                        done = releases.wait_for(|releases| *releases >= holds) => done.is_ok(),
                        // A client that goes away while we hold is a fact that the test may wait for.
                        () = self.read_on(&mut stream, number) => false,
                    }
                }
                Step::ReadOn => {
                    self.read_on(&mut stream, number).await;
                    true
                }
                Step::Send(bytes) => stream.write_all(bytes).await.is_ok() && stream.flush().await.is_ok(),
            };
            if !went_well {
                break;
            }
        }
        let _ = stream.shutdown().await; // well-behaved unless the script says otherwise
    }

    async fn read_on(&self, stream: &mut (impl AsyncRead + Unpin), number: usize) {
        self.read_until(stream, number, |_| false).await;
    }

    /// Whether the condition came true before the stream ended.
    async fn read_until(
        &self,
        stream: &mut (impl AsyncRead + Unpin),
        number: usize,
        is_enough: impl Fn(&[u8]) -> bool,
    ) -> bool {
        let mut piece = vec![0; 16 << 10];
        while !is_enough(&self.received.lock().unwrap()[number]) {
            let Ok(n @ 1..) = stream.read(&mut piece).await else { return false };
            self.received.lock().unwrap()[number].extend_from_slice(&piece[..n]);
            self.changes.send_modify(|version| *version += 1);
        }
        true
    }
}
