//! Bodies of answers: made piece by piece, released by the test, and watched to their end.

use std::{
    collections::HashMap,
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::mpsc;

use super::record::{AnswerState, Log};

/// Any body.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A body of known bytes.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A body of pieces, each sent off before the next is made.
pub fn pieces(pieces: Vec<Bytes>) -> Body {
    produced(None, move |out| async move {
        for piece in pieces {
            out.data(piece).await?;
            tokio::task::yield_now().await; // lets the connection flush the piece
        }
        Ok(())
    })
}

/// A body that a task of its own makes; the task ends when nobody wants the body any more.
pub fn produced<F>(length: Option<u64>, produce: impl FnOnce(Out) -> F) -> Body
where
    F: Future<Output = Result<(), Gone>> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(produce(Out(sender)));
    Produced { receiver, left: length }.boxed_unsync()
}

/// Where a producing task puts its pieces; waits while the connection does not take them.
pub struct Out(mpsc::Sender<io::Result<Frame<Bytes>>>);

/// Nobody wants the body any more.
pub struct Gone;

impl Out {
    /// One piece.
    pub async fn data(&self, bytes: impl Into<Bytes>) -> Result<(), Gone> {
        self.0.send(Ok(Frame::data(bytes.into()))).await.map_err(|_| Gone)
    }

    /// The trailers, which end the body.
    pub async fn trailers(&self, trailers: HeaderMap) -> Result<(), Gone> {
        self.0.send(Ok(Frame::trailers(trailers))).await.map_err(|_| Gone)
    }

    /// Breaks the body off: an HTTP/1 connection is closed, an h2 stream is reset.
    pub async fn abort(&self) -> Result<(), Gone> {
        self.0.send(Err(io::Error::other("broken off by the test"))).await.map_err(|_| Gone)
    }
}

struct Produced {
    receiver: mpsc::Receiver<io::Result<Frame<Bytes>>>,
    left: Option<u64>,
}

impl HttpBody for Produced {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let frame = ready!(self.receiver.poll_recv(cx));
        if let (Some(left), Some(Ok(frame))) = (&mut self.left, &frame) {
            *left -= frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        Poll::Ready(frame)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// Watches an answer from the promise of one to the end of its body, or to its being dropped.
pub struct Watched {
    body: Body,
    log: Log,
    number: usize,
}

impl Watched {
    /// Around the body of a request's answer.
    pub fn new(body: Body, log: Log, number: usize) -> Self {
        log.on_request(number, |request| request.answer = AnswerState::Streaming);
        Self { body, log, number }
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.log.on_request(self.number, |request| match &frame {
            None => request.answer = AnswerState::Sent,
            Some(Ok(frame)) if frame.is_trailers() => request.answer = AnswerState::Sent,
            Some(Ok(frame)) => request.answer_bytes += frame.data_ref().map_or(0, |data| data.len() as u64),
            Some(Err(_)) => request.answer = AnswerState::Cut,
        });
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // A body of known length is not asked for its end once it has given its bytes.
        let whole = self.body.is_end_stream() || self.body.size_hint().exact() == Some(0);
        self.log.on_request(self.number, |request| {
            if request.answer == AnswerState::Streaming {
                request.answer = if whole { AnswerState::Sent } else { AnswerState::Cut };
            }
        });
    }
}

/// What a test lets through a gate.
#[derive(Debug)]
pub enum Item {
    /// Break the answer off.
    Abort,
    /// These bytes.
    Bytes(Bytes),
    /// End the answer well.
    Finish,
    /// The next piece of what the path makes by itself.
    Next,
}

/// The test's hand on an answer that waits for it; named in the query as `gate=`.
#[derive(Clone, Debug)]
pub struct Gate(mpsc::UnboundedSender<Item>);

impl Gate {
    /// Lets the next piece go.
    pub fn next(&self) {
        self.put(Item::Next);
    }

    /// Lets these bytes go, as one piece.
    pub fn send(&self, bytes: impl Into<Bytes>) {
        self.put(Item::Bytes(bytes.into()));
    }

    /// Ends the answer well.
    pub fn finish(&self) {
        self.put(Item::Finish);
    }

    /// Breaks the answer off.
    pub fn abort(&self) {
        self.put(Item::Abort);
    }

    /// An answer that is gone needs no gate: the test looks at the answer's state instead.
    fn put(&self, item: Item) {
        let _ = self.0.send(item);
    }
}

/// The gates of an origin, by name; test and request may come first in either order.
#[derive(Clone, Debug, Default)]
pub struct Gates(Arc<Mutex<HashMap<String, Ends>>>);

#[derive(Debug)]
struct Ends {
    gate: Gate,
    items: Option<mpsc::UnboundedReceiver<Item>>,
}

impl Gates {
    /// The test's end of a gate.
    pub fn gate(&self, name: &str) -> Gate {
        self.with(name, |ends| ends.gate.clone())
    }

    /// The answer's end of a gate.
    ///
    /// # Panics
    /// When an earlier request took it: each answer needs a gate of its own.
    pub fn take(&self, name: &str) -> mpsc::UnboundedReceiver<Item> {
        self.with(name, |ends| ends.items.take()).unwrap_or_else(|| panic!("gate `{name}` is taken"))
    }

    fn with<T>(&self, name: &str, act: impl FnOnce(&mut Ends) -> T) -> T {
        let mut gates = self.0.lock().unwrap();
        act(gates.entry(name.to_owned()).or_insert_with(|| {
            let (sender, receiver) = mpsc::unbounded_channel();
            Ends { gate: Gate(sender), items: Some(receiver) }
        }))
    }
}
