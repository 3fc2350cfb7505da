//! The request body on its way upstream: streamed, counted, searched for lease tokens, cut when the lease ends.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderMap;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use zeroize::Zeroizing;

use super::{again::Kept, error::BodyError, flow::Flow, hop, sieve::Sieve};
use crate::{
    base::CutReason,
    inject::{self, Filling},
    lease::Found,
};

type Wait<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A client's body, with what was read of it ahead.
pub(super) struct Coming {
    front: Bytes,
    trailers: Option<HeaderMap>,
    /// Nothing comes after what was read.
    over: bool,
    incoming: Incoming,
    /// The room that the front takes.
    room: Option<OwnedSemaphorePermit>,
}

/// What was read ahead of a body.
pub(super) struct Ahead {
    pub(super) front: Bytes,
    pub(super) trailers: Option<HeaderMap>,
    /// Whether that is all of it.
    pub(super) over: bool,
    pub(super) room: OwnedSemaphorePermit,
}

impl Coming {
    pub(super) const fn new(incoming: Incoming) -> Self {
        Self { front: Bytes::new(), trailers: None, over: false, incoming, room: None }
    }

    /// What was read ahead.
    pub(super) fn front(&self) -> Bytes {
        self.front.clone()
    }

    /// Whether it has trailers, which are read with the rest of it.
    pub(super) const fn has_trailers(&self) -> bool {
        self.trailers.is_some()
    }

    /// The trailers that were read ahead.
    pub(super) const fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_ref()
    }

    /// Whether all of it was read.
    pub(super) const fn is_whole(&self) -> bool {
        self.over
    }

    /// Puts back what had been taken out.
    pub(super) fn put_back(&mut self, ahead: Ahead) {
        let Ahead { front, trailers, over, room } = ahead;
        (self.front, self.trailers, self.over, self.room) = (front, trailers, over, Some(room));
    }
}

impl Body for Coming {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        if !this.front.is_empty() {
            if !this.over {
                this.room = None; // what follows is not kept
            }
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut this.front)))));
        }
        if let Some(trailers) = this.trailers.take() {
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        if this.over { Poll::Ready(None) } else { Pin::new(&mut this.incoming).poll_frame(cx) }
    }

    fn is_end_stream(&self) -> bool {
        self.front.is_empty() && self.trailers.is_none() && (self.over || self.incoming.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let front = self.front.len() as u64;
        match (self.over, &self.trailers) {
            (true, None) => SizeHint::with_exact(front),
            (true, Some(_)) => SizeHint::default(), // a length would leave no room for trailers (RFC 9112, 6.1)
            (false, _) => {
                let rest = self.incoming.size_hint();
                let mut hint = SizeHint::new();
                hint.set_lower(rest.lower().saturating_add(front));
                if let Some(upper) = rest.upper() {
                    hint.set_upper(upper.saturating_add(front));
                }
                hint
            }
        }
    }
}

/// Where a request's body comes from.
pub(super) enum Source {
    /// From the client, and kept on the way if there is something to keep it in.
    Client(Coming, Option<Kept>),
    /// From what was kept of the client's, or was read of it and searched.
    Kept(Bytes),
}

/// A request body as the upstream's connection reads it.
pub(super) enum RequestBody {
    Empty,
    Kept { body: Bytes, flow: Arc<Flow> },
    Stream(Box<Upload>),
}

pub(super) struct Upload {
    incoming: Coming,
    /// The most bytes that may pass.
    most: Option<u64>,
    flow: Arc<Flow>,
    cut: Option<Wait<CutReason>>,
    /// Holds the body back until the upstream wants it (RFC 9110, 10.1.1).
    gate: Option<Wait<()>>,
    sieve: Sieve,
    kept: Option<Kept>,
    trailers: Option<HeaderMap>,
    ended: bool,
}

impl RequestBody {
    /// A body that streams from the client, or that was kept when it did.
    pub(super) fn new(
        source: Source,
        most: Option<u64>,
        flow: Arc<Flow>,
        sieve: Sieve,
        gate: Option<Wait<()>>,
    ) -> Self {
        let (incoming, kept) = match source {
            Source::Client(incoming, kept) => (incoming, kept),
            Source::Kept(body) if body.is_empty() => return Self::Empty,
            Source::Kept(body) => return Self::Kept { body, flow },
        };
        if incoming.is_end_stream() {
            flow.finish_request();
            if let Some(kept) = &kept {
                kept.finish();
            }
            return Self::Empty;
        }
        let (cut, trailers, ended) = (None, None, false);
        Self::Stream(Box::new(Upload { incoming, most, flow, cut, gate, sieve, kept, trailers, ended }))
    }
}

impl RequestBody {
    /// Writes credentials into a body that is at hand whole.
    pub(super) fn fill(self, fillings: &[Filling]) -> Result<Self, inject::Error> {
        let Self::Kept { body, flow } = self else {
            return Err(inject::Error::Unwritable { place: "the body", why: "it was not read whole" });
        };
        let mut armed = Zeroizing::new(Vec::with_capacity(body.len() + 256));
        let mut at = 0;
        for (range, text) in fillings {
            armed.extend_from_slice(body.get(at..range.start).unwrap_or_default());
            armed.extend_from_slice(text);
            at = range.end;
        }
        armed.extend_from_slice(body.get(at..).unwrap_or_default());
        Ok(Self::Kept { body: Bytes::from_owner(armed), flow })
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Kept { body, .. } if body.is_empty() => Poll::Ready(None),
            Self::Kept { body, flow } => {
                flow.add_sent(body.len());
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(body)))))
            }
            Self::Stream(upload) => upload.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Kept { body, .. } => body.is_empty(),
            Self::Stream(upload) => upload.ended && upload.trailers.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Kept { body, .. } => SizeHint::with_exact(body.len() as u64),
            // The scanner delays bytes but changes none.
            Self::Stream(upload) => upload.incoming.size_hint(),
        }
    }
}

impl Upload {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(reason) = self.poll_cut(cx) {
            return Poll::Ready(Some(Err(BodyError::Cut(reason))));
        }
        if let Some(gate) = &mut self.gate {
            ready!(gate.as_mut().poll(cx));
            self.gate = None;
        }
        loop {
            if let Some(trailers) = self.trailers.take() {
                return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            let frame = ready!(Pin::new(&mut self.incoming).poll_frame(cx)).transpose();
            let frame = frame.inspect_err(|_| self.flow.note_broken())?;
            let data = match frame.map(Frame::into_data) {
                Some(Ok(data)) => self.sieve.feed(data),
                Some(Err(frame)) => {
                    self.trailers = frame.into_trailers().ok().map(hop::clean_trailers);
                    self.search_trailers().map(|()| self.end())
                }
                None => Ok(self.end()),
            };
            if let Ok(data) = &data {
                self.keep(data);
            }
            match data {
                Ok(data) if data.is_empty() => {}
                Ok(data) => {
                    if self.most.is_some_and(|most| self.flow.sent() + data.len() as u64 > most) {
                        self.flow.note_too_long();
                        return Poll::Ready(Some(Err(BodyError::TooLong)));
                    }
                    self.flow.add_sent(data.len());
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Err(found) => {
                    self.flow.note_stray(found);
                    return Poll::Ready(Some(Err(BodyError::Stray)));
                }
            }
        }
    }

    /// What passes is kept too, as far as there is room; trailers are not made again, nor is what they end.
    fn keep(&self, data: &[u8]) {
        let Some(kept) = &self.kept else { return };
        kept.push(data);
        match (&self.trailers, self.ended) {
            (None, true) => kept.finish(),
            (None, false) => {}
            (Some(_), _) => kept.lose(),
        }
    }

    /// Trailers come after the head was searched, and are searched too.
    fn search_trailers(&self) -> Result<(), Found> {
        let values = self.trailers.iter().flat_map(HeaderMap::values);
        match values.map(http::HeaderValue::as_bytes).find_map(|value| self.sieve.find(value)) {
            Some(stray) => Err(stray.found),
            None => Ok(()),
        }
    }

    /// What was held back did not become a token.
    fn end(&mut self) -> Bytes {
        self.ended = true;
        self.flow.finish_request();
        self.sieve.finish()
    }

    fn poll_cut(&mut self, cx: &mut Context<'_>) -> Option<CutReason> {
        let flow = &self.flow;
        let cut = self.cut.get_or_insert_with(|| Box::pin(flow.wait()));
        match cut.as_mut().poll(cx) {
            Poll::Ready(reason) => Some(reason),
            Poll::Pending => None,
        }
    }
}
