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
    connect::{Mode, Tunnel},
    exchange::{Site, exchange},
    front::{Front, Next},
    guard::{GuardingExecutor, guarded},
    limits::Limits,
    passthrough, tls,
};
use crate::{
    audit::{Action, AuditLog, Event, Outcome},
    base::RefusalCode,
};

/// Serves a connection to the proxy's port until it ends.
pub(super) async fn serve(front: Front, stream: TcpStream) {
    let _ = stream.set_nodelay(true); // slower without, not wrong
    let front = Arc::new(front);
    let tunnel: Arc<Mutex<Option<Tunnel>>> = Arc::default();
    let answer = service_fn(|request: Request<Incoming>| {
        let (front, slot) = (Arc::clone(&front), Arc::clone(&tunnel));
        async move {
            let (answer, next) = front.answer(request).await;
            if let Next::Tunnel(tunnel) = next {
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(*tunnel);
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let delivery = http1(&front.shared.limits).serve_connection(TokioIo::new(stream), answer).with_upgrades();
    if let Some(Err(error)) = guarded(delivery).await {
        note_broken(front.shared.broker.audit(), &error);
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
                let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let served = if http2 { serve_http2(&site, stream).await } else { serve_http1(&site, stream).await };
                if let Err(error) = served {
                    note_broken(site.broker.audit(), &error);
                }
            }
        }
    }
}

async fn serve_http1<S>(site: &Arc<Site>, stream: S) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let answer = service_fn(|request| {
        let site = Arc::clone(site);
        async move { Ok::<_, Infallible>(exchange(site, request).await) }
    });
    let delivery = http1(&site.limits).serve_connection(TokioIo::new(stream), answer).with_upgrades();
    guarded(delivery).await.unwrap_or(Ok(()))
}

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
        .max_header_list_size(u32::try_from(site.limits.head).unwrap_or(u32::MAX))
        .serve_connection(TokioIo::new(stream), answer)
        .await
}

fn http1(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.idle).max_buf_size(limits.head.max(8 * 1024) * 2);
    builder
}

/// What never became a request is recorded too, where it was the client's fault.
fn note_broken(audit: &AuditLog, error: &hyper::Error) {
    let code = if error.is_parse_too_large() {
        RefusalCode::TooLarge
    } else if error.is_parse() {
        RefusalCode::BadRequest
    } else {
        return; // hanging up is no offence
    };
    let text = error.to_string();
    let event = Event::new(Action::ConnectionRefused).outcome(Outcome::Refused).code(code).error(&text);
    if let Err(error) = audit.append(&event) {
        tracing::error!(%error, "a refused connection could not be recorded");
    }
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
        match upgraded.downcast::<TokioIo<TcpStream>>() {
            Ok(parts) => Self { early: parts.read_buf, socket: Socket::Tcp(parts.io.into_inner()) },
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
