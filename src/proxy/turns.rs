//! Whose turn it is on an HTTP/1.1 connection: its service and its stream tell each other what hyper tells neither.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{
    Request, Response, StatusCode,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
};
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::{answer::AnswerBody, error::BodyError};

/// The most of a head that is kept to be looked at again.
const KEPT: usize = 256 * 1024;

/// The exchanges of one connection.
#[derive(Clone, Default)]
pub(super) struct Turns(Arc<Shared>);

#[derive(Default)]
struct Shared {
    begun: AtomicU64,
    ended: AtomicU64,
    /// What was read since the last answer: the next head, and what came with it.
    heard: Mutex<Vec<u8>>,
}

/// Marks a request that announced its body in both ways; hyper drops the `Content-Length` of some (attack 1).
#[derive(Clone, Copy, Debug)]
pub(super) struct FramedTwice;

impl Turns {
    /// The service is called with this request.
    pub(super) fn begin(&self, request: &mut Request<Incoming>) -> Turn {
        let mut heard = self.heard();
        let headers = request.headers();
        let is_chunked = headers.contains_key(TRANSFER_ENCODING) && !headers.contains_key(CONTENT_LENGTH);
        if is_chunked && announces_length(&heard) {
            request.extensions_mut().insert(FramedTwice);
        }
        heard.clear();
        drop(heard);
        self.0.begun.fetch_add(1, Ordering::Relaxed);
        Turn(self.clone())
    }

    /// The connection is handed over to another protocol: HTTP has nothing more to say on it.
    pub(super) fn hand_over(&self) {
        self.0.begun.fetch_add(1, Ordering::Relaxed);
    }

    /// How often the service was called.
    pub(super) fn begun(&self) -> u64 {
        self.0.begun.load(Ordering::Relaxed)
    }

    /// Whether every answer was encoded whole.
    pub(super) fn are_over(&self) -> bool {
        self.0.ended.load(Ordering::Relaxed) == self.begun()
    }

    /// Keeps what was read between exchanges.
    pub(super) fn hear(&self, bytes: &[u8]) {
        let mut heard = self.heard();
        let room = KEPT.saturating_sub(heard.len());
        heard.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    fn heard(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the first head in these bytes has a `Content-Length`.
fn announces_length(bytes: &[u8]) -> bool {
    let name = CONTENT_LENGTH.as_str().as_bytes();
    let lines = bytes.split(|&b| b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let mut head = lines.skip_while(|line| line.is_empty()).take_while(|line| !line.is_empty());
    head.any(|line| {
        line.split_at_checked(name.len())
            .is_some_and(|(start, rest)| start.eq_ignore_ascii_case(name) && rest.starts_with(b":"))
    })
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

#[cfg(test)]
mod tests {
    use super::announces_length;

    #[test]
    fn a_length_counts_in_the_first_head_only() {
        for (bytes, announces) in [
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", true),
            ("\r\nPOST / HTTP/1.1\r\ncontent-LENGTH:5\r\n\r\n", true),
            ("POST / HTTP/1.1\nContent-Length: 5\n\n", true),
            ("POST / HTTP/1.1\r\nX-Content-Length: 5\r\nContent-Lengthy: 5\r\n\r\n", false),
            ("POST / HTTP/1.1\r\nHost: a\r\n\r\nContent-Length: 5\r\n\r\n", false),
            ("", false),
        ] {
            assert_eq!(announces_length(bytes.as_bytes()), announces, "{bytes}");
        }
    }
}
