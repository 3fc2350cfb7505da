//! One client connection from its first byte to its last: the front, then perhaps a tunnel, then perhaps TLS inside.

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::{Buf as _, Bytes, BytesMut};
use http::Request;
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
    upgrade::Upgraded,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::{
    broken::Broken,
    connect::{Mode, Tunnel},
    exchange::{Site, exchange},
    front::{Front, Next},
    guard::{GuardingExecutor, guarded},
    limits::Limits,
    passthrough, tls,
    turns::Turns,
    wording::Worded,
};

/// Serves a connection to the proxy's port until it ends.
pub(super) async fn serve(front: Front, stream: TcpStream) {
    let _ = stream.set_nodelay(true); // slower without, not wrong
    let broken = Arc::new(Broken::of_front(&front));
    let front = Arc::new(front);
    let tunnel: Arc<Mutex<Option<Tunnel>>> = Arc::default();
    let turns = Turns::default();
    let answer = service_fn(|mut request: Request<Incoming>| {
        let (front, slot, turns) = (Arc::clone(&front), Arc::clone(&tunnel), turns.clone());
        async move {
            let turn = turns.begin(&mut request);
            let (answer, next) = Box::pin(front.answer(request)).await;
            if let Next::Tunnel(tunnel) = next {
                turns.hand_over();
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(*tunnel);
            }
            Ok::<_, Infallible>(turn.answer(answer))
        }
    });
    let stream = Worded::new(stream, turns.clone(), Arc::clone(&broken));
    let delivery = http1(&front.shared.limits).serve_connection(TokioIo::new(stream), answer).with_upgrades();
    if let Some(Err(error)) = guarded(delivery).await {
        broken.note_end(&error);
    }
    let opened = tunnel.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(tunnel) = opened
        && let Ok(client) = tunnel.client.await
    {
        enter(tunnel.mode, Client::of(client)).await;
    }
}

async fn enter(mode: Mode, client: Client) {
    match mode {
        Mode::PassThrough(tunnel) => passthrough::run(client, *tunnel).await,
        Mode::Intercept { site, tls } => {
            let Some(client) = tls::expect(&site, client).await else { return };
            if let Some(stream) = tls::accept(&site, tls, client).await {
                let broken = Arc::new(Broken::of_site(&site));
                let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let served = if http2 {
                    serve_http2(&site, stream).await
                } else {
                    serve_http1(&site, stream, Arc::clone(&broken)).await
                };
                if let Err(error) = served {
                    broken.note_end(&error);
                }
            }
        }
    }
}

async fn serve_http1<S>(site: &Arc<Site>, stream: S, broken: Arc<Broken>) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let turns = Turns::default();
    let answer = service_fn(|mut request| {
        let (site, turn) = (Arc::clone(site), turns.begin(&mut request));
        async move { Ok::<_, Infallible>(turn.answer(exchange(site, request).await)) }
    });
    let stream = Worded::new(stream, turns.clone(), broken);
    let delivery = http1(&site.limits).serve_connection(TokioIo::new(stream), answer).with_upgrades();
    guarded(delivery).await.unwrap_or(Ok(()))
}

/// `request.rs` refuses heads that are too large; the bounds here only keep memory finite. Beyond them the protocol's
/// own answers are bare and unseen by us: a 431 or a reset of the stream; where it ends the connection, that is recorded.
async fn serve_http2<S>(site: &Arc<Site>, stream: S) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let answer = service_fn(|request| {
        let site = Arc::clone(site);
        async move { Ok::<_, Infallible>(exchange(site, request).await) }
    });
    http2::Builder::new(GuardingExecutor)
        .timer(TokioTimer::new())
        .initial_stream_window_size(1024 * 1024)
        .initial_connection_window_size(8 * 1024 * 1024)
        .max_concurrent_streams(250)
        .max_header_list_size(u32::try_from(site.limits.head.saturating_mul(4)).unwrap_or(u32::MAX))
        .serve_connection(TokioIo::new(stream), answer)
        .await
}

/// The same for HTTP/1.1; beyond these bounds `wording.rs` gives hyper's answers our words.
fn http1(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.idle)
        .max_buf_size(limits.head.max(8 * 1024).saturating_mul(2))
        .max_headers(limits.fields.saturating_mul(2));
    builder
}

/// A client's stream after CONNECT: what it had already sent, then the socket itself.
pub(super) struct Client {
    early: Bytes,
    socket: Socket,
}

enum Socket {
    Tcp(TcpStream),
    Wrapped(Box<TokioIo<Upgraded>>),
}

impl Client {
    /// Takes the socket out of hyper's wrapping, which costs a virtual call per read.
    fn of(upgraded: Upgraded) -> Self {
        match upgraded.downcast::<TokioIo<Worded<TcpStream>>>() {
            Ok(parts) => Self { early: parts.read_buf, socket: Socket::Tcp(parts.io.into_inner().into_inner()) },
            Err(upgraded) => Self { early: Bytes::new(), socket: Socket::Wrapped(Box::new(TokioIo::new(upgraded))) },
        }
    }
}

impl Client {
    /// The first byte, which stays to be read again; `None` at the end.
    pub(super) async fn peek(&mut self) -> io::Result<Option<u8>> {
        if self.early.is_empty() {
            let mut space = BytesMut::with_capacity(4096);
            self.read_buf(&mut space).await?;
            self.early = space.freeze();
        }
        Ok(self.early.first().copied())
    }
}

impl AsyncRead for Client {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.early.is_empty() {
            let count = self.early.len().min(buffer.remaining());
            buffer.put_slice(self.early.get(..count).unwrap_or_default());
            self.early.advance(count);
            return Poll::Ready(Ok(()));
        }
        match &mut self.socket {
            Socket::Tcp(socket) => Pin::new(socket).poll_read(cx, buffer),
            Socket::Wrapped(socket) => Pin::new(socket).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Client {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.socket {
            Socket::Tcp(socket) => Pin::new(socket).poll_write(cx, data),
            Socket::Wrapped(socket) => Pin::new(socket).poll_write(cx, data),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Tcp(socket) => Pin::new(socket).poll_flush(cx),
            Socket::Wrapped(socket) => Pin::new(socket).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Tcp(socket) => Pin::new(socket).poll_shutdown(cx),
            Socket::Wrapped(socket) => Pin::new(socket).poll_shutdown(cx),
        }
    }
}
