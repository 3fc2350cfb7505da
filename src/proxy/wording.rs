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
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf as _, Bytes};
use http::{Response, StatusCode};
use hyper::body::{Body, Frame, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use super::{answer::AnswerBody, broken::Broken, error::BodyError};

/// How much, and for how long, a client that was refused may go on talking before it is cut off: closing at once would
/// reset the connection and take the answer back.
const LINGER: (u64, Duration) = (1024 * 1024, Duration::from_secs(2));

/// The exchanges of one connection, as its service sees them.
#[derive(Clone, Default)]
pub(super) struct Turns(Arc<Counts>);

#[derive(Default)]
struct Counts {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Turns {
    /// The service is called.
    pub(super) fn begin(&self) -> Turn {
        self.0.begun.fetch_add(1, Ordering::Relaxed);
        Turn(self.clone())
    }

    /// The connection is handed over to another protocol: HTTP has nothing more to say on it.
    pub(super) fn hand_over(&self) {
        self.0.begun.fetch_add(1, Ordering::Relaxed);
    }

    fn begun(&self) -> u64 {
        self.0.begun.load(Ordering::Relaxed)
    }

    /// Whether every answer was encoded whole.
    fn are_over(&self) -> bool {
        self.0.ended.load(Ordering::Relaxed) == self.begun()
    }
}

/// One exchange; over when hyper drops its answer's body.
pub(super) struct Turn(Turns);

impl Turn {
    /// The service's answer.
    pub(super) fn answer(self, answer: Response<AnswerBody>) -> Response<OwnBody> {
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            self.0.hand_over();
        }
        answer.map(|body| OwnBody { body, _turn: self })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

/// The body of an answer of ours.
pub(super) struct OwnBody {
    body: AnswerBody,
    _turn: Turn,
}

impl Body for OwnBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

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
}

impl<S> Worded<S> {
    pub(super) fn new(inner: S, turns: Turns, broken: Arc<Broken>) -> Self {
        Self { inner, turns, broken, settled: 0, instead: Bytes::new(), lingering: None }
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

impl<S: AsyncRead + Unpin> AsyncRead for Worded<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
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
