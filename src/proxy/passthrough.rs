//! A tunnel without interception: bytes both ways, recorded, cut with its session, and stopped at a lease token in clear.

use std::{
    io,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::{flow::Flow, outcome::Outcome, reject, sieve::Sieve, stray};
use crate::net::{Passed, RelayEnd, relay};

/// A tunnel that is open.
pub(super) struct PassThrough {
    pub(super) upstream: TcpStream,
    pub(super) sieve: Sieve,
    pub(super) flow: Arc<Flow>,
    pub(super) outcome: Outcome,
    pub(super) authority: String,
}

/// Relays until it ends, and closes its record.
pub(super) async fn run<S>(client: S, tunnel: PassThrough)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let PassThrough { upstream, sieve, flow, mut outcome, authority } = tunnel;
    let passed = Passed::default();
    let client = Searched { inner: client, sieve, flow: Arc::clone(&flow), ready: Bytes::new() };
    let end = tokio::select! {
        biased;
        _ = flow.wait() => None,
        end = relay(client, upstream, &passed) => Some(end),
    };
    flow.add_sent(usize::try_from(passed.forth.load(Ordering::Relaxed)).unwrap_or(usize::MAX));
    flow.add_received(usize::try_from(passed.back.load(Ordering::Relaxed)).unwrap_or(usize::MAX));
    match end {
        None => outcome.failed("cut"), // recorded as *cut* with its reason: the flow knows
        Some(_) if flow.stray().is_some() => {
            let refusal = stray::refusal(&authority, "the clear text of a tunnel");
            outcome.refused(&refusal, reject::status(refusal.code).as_u16());
        }
        Some(RelayEnd::Finished) => outcome.done(),
        // A reset is how many programs hang up.
        Some(RelayEnd::Broken(error)) if error.kind() == io::ErrorKind::ConnectionReset => outcome.done(),
        Some(RelayEnd::Broken(error)) => outcome.failed(&error.to_string()),
    }
}

/// What the client says, searched: some clients send `http://` through CONNECT (attack 39).
struct Searched<S> {
    inner: S,
    sieve: Sieve,
    flow: Arc<Flow>,
    ready: Bytes,
}

impl<S: AsyncRead + Unpin> AsyncRead for Searched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.ready.is_empty() {
            let mut space = [0; 16 * 1024];
            let mut chunk = ReadBuf::new(&mut space);
            ready!(Pin::new(&mut self.inner).poll_read(cx, &mut chunk))?;
            if chunk.filled().is_empty() {
                self.ready = self.sieve.finish();
                if self.ready.is_empty() {
                    return Poll::Ready(Ok(()));
                }
                break;
            }
            match self.sieve.feed(Bytes::copy_from_slice(chunk.filled())) {
                Ok(clean) => self.ready = clean,
                Err(found) => {
                    self.flow.note_stray(found);
                    return Poll::Ready(Err(io::Error::other("a lease token in a tunnel")));
                }
            }
        }
        let count = self.ready.len().min(buffer.remaining());
        buffer.put_slice(self.ready.get(..count).unwrap_or_default());
        self.ready.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Searched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
