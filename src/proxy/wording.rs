//! Our words for hyper's: the bare answer that it writes to a head it cannot read becomes a problem that is recorded.
//!
//! hyper 1 answers such a head itself, with a status, no body, and no hook. But it writes only when the service gave it
//! an answer, and flushes each answer before it reads the next head: what it writes after a flush and before the service
//! was called again is its own. Only where the broken head was pipelined behind an answer that its client does not take
//! does the bare answer leave as it is.
//!
//! Invariant: bytes of an answer of ours are never touched.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf as _, Bytes};
use http::StatusCode;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use super::{broken::Broken, turns::Turns};

/// How much, and for how long, a client that was refused may go on talking before it is cut off: closing at once would
/// reset the connection and take the answer back.
const LINGER: (u64, Duration) = (1024 * 1024, Duration::from_secs(2));

/// A client's stream whose HTTP/1.1 is served by hyper.
pub(super) struct Worded<S> {
    inner: S,
    turns: Turns,
    broken: Arc<Broken>,
    /// How many exchanges had begun when everything was last flushed.
    settled: u64,
    /// What we say instead.
    instead: Bytes,
    lingering: Option<(u64, Pin<Box<Sleep>>)>,
    /// Runs from the first byte of a head until the service has it (attack 112).
    head: Option<Pin<Box<Sleep>>>,
}

impl<S> Worded<S> {
    pub(super) fn new(inner: S, turns: Turns, broken: Arc<Broken>) -> Self {
        Self { inner, turns, broken, settled: 0, instead: Bytes::new(), lingering: None, head: None }
    }

    /// The stream itself, for another protocol.
    pub(super) fn into_inner(self) -> S {
        self.inner
    }

    /// Whether no exchange is under way and none of its bytes are left.
    fn is_settled(&self) -> bool {
        self.settled == self.turns.begun()
    }

    /// Takes the place of an answer that is none of ours.
    fn reword(&mut self, data: &[u8]) -> bool {
        let bare = self.is_settled().then(|| data.strip_prefix(b"HTTP/1.1 ")).flatten();
        let Some(status) = bare.and_then(|rest| StatusCode::from_bytes(rest.get(..3)?).ok()) else { return false };
        self.instead = self.broken.answer(status).into();
        self.lingering = Some((LINGER.0, Box::pin(sleep(LINGER.1))));
        true
    }
}

impl<S: AsyncWrite + Unpin> Worded<S> {
    fn poll_say(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.instead.is_empty() {
            match ready!(Pin::new(&mut self.inner).poll_write(cx, &self.instead))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.instead.advance(written),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> Worded<S> {
    /// Hears a refused client out, within bounds.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some((left, limit)) = &mut self.lingering else { return Poll::Ready(()) };
        while limit.as_mut().poll(cx).is_pending() {
            let mut space = [0; 4096];
            let mut chunk = ReadBuf::new(&mut space);
            let read = ready!(Pin::new(&mut self.inner).poll_read(cx, &mut chunk));
            *left = left.saturating_sub(chunk.filled().len() as u64);
            if read.is_err() || chunk.filled().is_empty() || *left == 0 {
                break;
            }
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Worded<S> {
    /// Whether the head that has begun takes too long; then its client is told, as far as it listens.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let Some(head) = &mut self.head else { return Poll::Pending };
        ready!(head.as_mut().poll(cx));
        self.instead = self.broken.answer(StatusCode::REQUEST_TIMEOUT).into();
        let _ = self.poll_say(cx).is_ready() && Pin::new(&mut self.inner).poll_flush(cx).is_ready();
        Poll::Ready(io::ErrorKind::TimedOut.into())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Worded<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, buffer);
        if !self.is_settled() {
            self.head = None;
            return read;
        }
        let bytes = buffer.filled().get(before..).unwrap_or_default();
        if !bytes.is_empty() {
            self.turns.hear(bytes);
            let time = self.broken.head_time();
            self.head.get_or_insert_with(|| Box::pin(sleep(time)));
        }
        match read {
            Poll::Pending => self.poll_late(cx).map(Err),
            read @ Poll::Ready(_) => read,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Worded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        if self.reword(data) {
            return Poll::Ready(Ok(data.len()));
        }
        Pin::new(&mut self.inner).poll_write(cx, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.reword(data.iter().find(|part| !part.is_empty()).map_or(&[], |part| part)) {
            return Poll::Ready(Ok(data.iter().map(|part| part.len()).sum()));
        }
        Pin::new(&mut self.inner).poll_write_vectored(cx, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_say(cx))?;
        ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
        if self.turns.are_over() {
            self.settled = self.turns.begun();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_say(cx))?;
        ready!(Pin::new(&mut self.inner).poll_shutdown(cx))?;
        ready!(self.poll_linger(cx));
        Poll::Ready(Ok(()))
    }
}
