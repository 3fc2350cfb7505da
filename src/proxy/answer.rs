//! The answer's body on its way to the client: streamed, scrubbed, counted, cut when the lease ends, and the end of
//! the exchange's record.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::{
    decode::Decoded,
    error::BodyError,
    exchange::Refused,
    flow::Flow,
    guard::{self, Streaming},
    hop,
    outcome::Outcome,
    scrub::Scrub,
    upload::RequestBody,
};
use crate::{
    base::{CutReason, RefusalCode},
    broker::Refusal,
    net::Seat,
};

/// How many pieces of a coded answer are read ahead before its head leaves.
const AHEAD: usize = 4;

/// The most bytes of an answer that is read whole: credentials come in short ones.
const MOST_WHOLE: usize = 1024 * 1024;

type Polled = Poll<Option<Result<Frame<Bytes>, BodyError>>>;

/// A body as a client's connection reads it.
pub(super) enum AnswerBody {
    /// Known whole.
    Full(Bytes),
    /// Streaming from the upstream.
    Stream(Box<Download>),
}

/// A streaming answer.
pub(super) struct Download {
    source: Source,
    scrub: Option<Scrub>,
    flow: Arc<Flow>,
    outcome: Outcome,
    seat: Option<Seat<RequestBody>>,
    cut: Option<Pin<Box<dyn Future<Output = CutReason> + Send>>>,
    ready: VecDeque<Frame<Bytes>>,
    state: State,
    /// Marks the delivering task while the body streams.
    streaming: Option<Streaming>,
}

enum Source {
    Coded(Box<Decoded>),
    Plain(Incoming),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The upstream's body has not ended.
    Open,
    /// It has; frames may be left.
    Ended,
}

impl From<Bytes> for AnswerBody {
    fn from(bytes: Bytes) -> Self {
        Self::Full(bytes)
    }
}

impl Download {
    /// A body that passes unread.
    pub(super) fn plain(
        incoming: Incoming,
        scrub: Option<Scrub>,
        flow: Arc<Flow>,
        outcome: Outcome,
        seat: Seat<RequestBody>,
    ) -> Self {
        Self::new(Source::Plain(incoming), scrub, flow, outcome, seat)
    }

    /// A body that is decoded and leaves without its coding.
    pub(super) fn coded(
        decoded: Decoded,
        scrub: Option<Scrub>,
        flow: Arc<Flow>,
        outcome: Outcome,
        seat: Seat<RequestBody>,
    ) -> Self {
        Self::new(Source::Coded(Box::new(decoded)), scrub, flow, outcome, seat)
    }

    fn new(source: Source, scrub: Option<Scrub>, flow: Arc<Flow>, outcome: Outcome, seat: Seat<RequestBody>) -> Self {
        let (cut, ready, state) = (None, VecDeque::new(), State::Open);
        Self { source, scrub, flow, outcome, seat: Some(seat), cut, ready, state, streaming: None }
    }

    /// The body for the client. What has already arrived is taken along, so that a short answer leaves whole, with
    /// its length, in one write. Only a coded answer is waited for: its head says success, and must not leave before
    /// the first bytes could be read (attack 71). What breaks off this early is refused, since nothing was sent.
    pub(super) async fn begin(mut self) -> Result<AnswerBody, Refused> {
        if let Source::Plain(incoming) = &self.source
            && incoming.is_end_stream()
        {
            self.end();
            return Ok(AnswerBody::Full(Bytes::new()));
        }
        if self.scrub.as_ref().is_some_and(Scrub::is_whole) {
            return self.begin_whole().await;
        }
        let mut first = match &self.source {
            Source::Coded(_) => Poll::Ready(std::future::poll_fn(|cx| self.poll(cx)).await),
            Source::Plain(_) => self.poll_now(),
        };
        let mut taken = VecDeque::new();
        loop {
            match first {
                Poll::Ready(Some(Ok(frame))) => taken.push_back(frame),
                Poll::Ready(Some(Err(error))) => return Err(self.refuse(&error)),
                Poll::Ready(None) | Poll::Pending => break,
            }
            if self.is_over() || matches!(self.source, Source::Plain(_)) || taken.len() > AHEAD {
                break;
            }
            first = self.poll_now();
        }
        if !self.is_over() {
            return Ok(self.stream(taken));
        }
        if taken.len() > 1 || taken.front().is_some_and(Frame::is_trailers) {
            return Ok(self.stream(taken));
        }
        let whole = taken.pop_front().and_then(|frame| frame.into_data().ok());
        Ok(AnswerBody::Full(whole.unwrap_or_default()))
    }

    /// The body, read to its end before anything of it leaves: what cannot be read is not passed on in part.
    async fn begin_whole(mut self) -> Result<AnswerBody, Refused> {
        let mut whole = BytesMut::new();
        while let Some(frame) = std::future::poll_fn(|cx| self.poll(cx)).await {
            match frame {
                Ok(frame) => whole.extend_from_slice(&frame.into_data().unwrap_or_default()),
                Err(error) => return Err(self.refuse(&error)),
            }
        }
        Ok(AnswerBody::Full(whole.freeze()))
    }

    /// What is there without waiting; whoever polls next registers to be woken.
    fn poll_now(&mut self) -> Polled {
        self.poll(&mut Context::from_waker(Waker::noop()))
    }

    fn refuse(self, error: &BodyError) -> Refused {
        let refusal = match error {
            BodyError::Cut(reason) => Refusal::of_cut(*reason),
            error => {
                let detail = format!("the answer cannot be read: {error}");
                Refusal::new(RefusalCode::UpstreamFailed, detail, "try again; the upstream's answer is at fault")
            }
        };
        Refused::After(Box::new(self.outcome), refusal)
    }

    fn stream(mut self, taken: VecDeque<Frame<Bytes>>) -> AnswerBody {
        for frame in taken.into_iter().rev() {
            self.ready.push_front(frame);
        }
        self.streaming = guard::streaming(&self.flow);
        AnswerBody::Stream(Box::new(self))
    }

    fn is_over(&self) -> bool {
        self.state == State::Ended && self.ready.is_empty()
    }

    /// To a client of HTTP/1 an answer ends with its length, and nobody asks for the end that HTTP/2 sends by itself.
    fn is_whole_without_its_end(&self) -> bool {
        let Source::Plain(incoming) = &self.source else { return false };
        let has_come = self.scrub.is_none() && incoming.size_hint().exact() == Some(0);
        has_come && self.state == State::Open && self.ready.is_empty() && self.flow.cut().is_none()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Polled {
        if let Some(reason) = self.poll_cut(cx) {
            return Poll::Ready(Some(Err(BodyError::Cut(reason))));
        }
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(frame)));
            }
            if self.state == State::Ended {
                return Poll::Ready(None);
            }
            match self.poll_source(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(error))),
                Poll::Pending => match self.scrub.as_mut().map(Scrub::flush).transpose() {
                    Err(error) => return Poll::Ready(Some(Err(error))),
                    Ok(Some(short)) if !short.is_empty() => return Poll::Ready(Some(Ok(Frame::data(short)))),
                    _ => return self.pending(cx),
                },
            }
        }
    }

    /// Only a body that must wait pays for a registered watch.
    fn pending(&mut self, cx: &mut Context<'_>) -> Polled {
        if self.cut.is_none() {
            self.cut = Some(Box::pin(self.flow.wait()));
        }
        match self.poll_cut(cx) {
            Some(reason) => Poll::Ready(Some(Err(BodyError::Cut(reason)))),
            None => Poll::Pending,
        }
    }

    fn poll_cut(&mut self, cx: &mut Context<'_>) -> Option<CutReason> {
        match &mut self.cut {
            None => self.flow.cut(),
            Some(cut) => match cut.as_mut().poll(cx) {
                Poll::Ready(reason) => Some(reason),
                Poll::Pending => None,
            },
        }
    }

    /// Moves what the source has into the frames that are ready.
    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        match &mut self.source {
            Source::Plain(incoming) => {
                let frame = ready!(Pin::new(&mut *incoming).poll_frame(cx)).transpose()?;
                let over = incoming.is_end_stream();
                match frame.map(Frame::into_data) {
                    Some(Ok(data)) => self.data(data, over)?,
                    Some(Err(frame)) => self.trailers(frame.into_trailers().ok())?,
                    None => self.trailers(None)?,
                }
            }
            Source::Coded(decoded) => match ready!(decoded.poll_data(cx)) {
                Some(Ok(data)) => self.data(data, false)?,
                Some(Err(error)) => return Poll::Ready(Err(BodyError::Coding(error))),
                None => {
                    let trailers = decoded.take_trailers();
                    self.trailers(trailers)?;
                }
            },
        }
        Poll::Ready(Ok(()))
    }

    fn data(&mut self, data: Bytes, over: bool) -> Result<(), BodyError> {
        self.flow.add_received(data.len());
        self.outcome.meter(&data);
        let is_long = self.flow.received() > MOST_WHOLE as u64;
        let clean = match &mut self.scrub {
            Some(scrub) if is_long && scrub.is_whole() => return Err(BodyError::TooMuch(MOST_WHOLE)),
            Some(scrub) => scrub.feed(data)?,
            None => data,
        };
        if !clean.is_empty() {
            self.ready.push_back(Frame::data(clean));
        }
        if over { self.trailers(None) } else { Ok(()) }
    }

    fn trailers(&mut self, trailers: Option<HeaderMap>) -> Result<(), BodyError> {
        if let Some(scrub) = &mut self.scrub {
            let held = scrub.finish()?;
            if scrub.withheld() > 0 {
                self.outcome.withheld();
            }
            if !held.is_empty() {
                self.ready.push_back(Frame::data(held));
            }
        }
        if let Some(trailers) = trailers {
            let mut trailers = hop::clean_trailers(trailers);
            if let Some(scrub) = &mut self.scrub {
                scrub.head(&mut trailers);
            }
            self.ready.push_back(Frame::trailers(trailers));
        }
        self.end();
        Ok(())
    }

    fn end(&mut self) {
        self.state = State::Ended;
        self.streaming = None;
        self.outcome.done();
        if let Some(mut seat) = self.seat.take()
            && self.flow.is_request_done()
        {
            seat.give_back();
        }
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        if let Self::Stream(download) = self
            && download.is_whole_without_its_end()
        {
            download.end();
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Stream(download) => {
                let polled = download.poll(cx);
                if let Poll::Ready(Some(Err(error))) = &polled {
                    download.outcome.failed(&error.to_string());
                }
                polled
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.is_empty(),
            Self::Stream(download) => download.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(download) => match (&download.source, &download.scrub) {
                (Source::Plain(incoming), None) => {
                    let waiting =
                        download.ready.iter().filter_map(Frame::data_ref).map(|d| d.len() as u64).sum::<u64>();
                    incoming.size_hint().exact().map_or_else(SizeHint::new, |left| SizeHint::with_exact(left + waiting))
                }
                _ => SizeHint::new(),
            },
        }
    }
}
