//! Station 11: an answer without echoes of the credential, in head, body and trailers.

use std::sync::Arc;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG},
    response::Parts,
};
use hyper::body::{Body as _, Incoming};

use super::{
    answer::{AnswerBody, Download},
    decode::{Decoded, codings},
    error::BodyError,
    exchange::Refused,
    fields::{Documents, FieldScrubber},
    flow::Flow,
    hop::{self, Upgrading},
    limits::Limits,
    outcome::Outcome,
    upload::RequestBody,
};
use crate::{
    base::RefusalCode,
    broker::Refusal,
    inject::{Echoes, Scrubber},
    net::Seat,
    policy::Withhold,
};

/// What an exchange's answer is freed of.
pub(super) struct Scrub {
    echoes: Arc<Echoes>,
    tokens: Vec<Bytes>,
    body: Scrubber,
    withhold: Withhold,
    fields: Option<Box<FieldScrubber>>,
}

impl Scrub {
    /// Echoes, the lease tokens to put in their place, and fields.
    pub(super) fn new(echoes: Arc<Echoes>, tokens: Vec<Bytes>, withhold: Withhold) -> Self {
        Self { body: Scrubber::new(Arc::clone(&echoes), tokens.clone()), echoes, tokens, withhold, fields: None }
    }

    /// Withholds fields from here on, if those of this answer are to be. An answer that is a part of another is none
    /// that can be read.
    fn begin_fields(&mut self, parts: &Parts) -> Result<(), Refusal> {
        if self.withhold.is_nothing() || !(self.withhold.whole || is_json(&parts.headers)) {
            return Ok(());
        }
        if parts.status == StatusCode::PARTIAL_CONTENT || parts.headers.contains_key(CONTENT_RANGE) {
            let detail = "fields of the answer are withheld, and it is only a part of it";
            return Err(Refusal::new(RefusalCode::UpstreamFailed, detail, "send the request without `Range`"));
        }
        let documents = if self.withhold.whole { Documents::One } else { Documents::Lines };
        self.fields = Some(Box::new(FieldScrubber::new(Arc::clone(&self.withhold.fields), documents)));
        Ok(())
    }

    /// Whether the answer must be read whole before anything of it leaves.
    pub(super) fn is_whole(&self) -> bool {
        self.fields.is_some() && self.withhold.whole
    }

    /// How many fields were withheld.
    pub(super) fn withheld(&self) -> u64 {
        self.fields.as_deref().map_or(0, FieldScrubber::found)
    }

    fn pass(&mut self, clean: Bytes) -> Result<Bytes, BodyError> {
        let Some(fields) = &mut self.fields else { return Ok(clean) };
        fields.feed(clean).map_err(|_| BodyError::NoJson)
    }

    /// Replaces echoes in header values; a name that holds one is dropped (attacks 68, 74).
    pub(super) fn head(&self, headers: &mut HeaderMap) {
        let tokens: Vec<&[u8]> = self.tokens.iter().map(|token| &token[..]).collect();
        for value in headers.values_mut() {
            if let Some(clean) = self.echoes.replace(value.as_bytes(), &tokens) {
                *value = HeaderValue::from_bytes(&clean).unwrap_or(HeaderValue::from_static("[scrubbed]"));
            }
        }
        let telling: Vec<HeaderName> =
            headers.keys().filter(|name| self.echoes.is_in(name.as_str().as_bytes())).cloned().collect();
        for name in telling {
            headers.remove(name);
        }
    }

    pub(super) fn feed(&mut self, data: Bytes) -> Result<Bytes, BodyError> {
        let clean = self.body.feed(data);
        self.pass(clean)
    }

    /// What may be passed on after these bytes, and whether an echo was among them.
    pub(super) fn watch(&mut self, data: &[u8]) -> (Bytes, bool) {
        let before = self.body.found();
        let clean = self.body.feed(Bytes::copy_from_slice(data));
        let clean = Bytes::from([clean, self.body.flush()].concat());
        (clean, self.body.found() > before)
    }

    /// What need not wait for data that is not there yet.
    pub(super) fn flush(&mut self) -> Result<Bytes, BodyError> {
        let clean = self.body.flush();
        self.pass(clean)
    }

    pub(super) fn finish(&mut self) -> Result<Bytes, BodyError> {
        let clean = self.body.finish();
        let clean = self.pass(clean)?;
        self.fields.as_deref().map_or(Ok(()), FieldScrubber::finish).map_err(|_| BodyError::NoJson)?;
        Ok(clean)
    }
}

/// An answer from the upstream with everything that its delivery needs.
pub(super) struct Arrived {
    pub(super) response: Response<Incoming>,
    pub(super) seat: Seat<RequestBody>,
    pub(super) flow: Arc<Flow>,
    pub(super) outcome: Outcome,
}

/// The answer for the client. Refuses, with the outcome to close, what cannot be searched.
pub(super) async fn clean(
    arrived: Arrived,
    scrub: Option<Scrub>,
    limits: &Limits,
) -> Result<Response<AnswerBody>, Refused> {
    let Arrived { response, seat, flow, mut outcome } = arrived;
    let (mut parts, incoming) = response.into_parts();
    if parts.status == http::StatusCode::SWITCHING_PROTOCOLS {
        let detail = "the upstream switched protocols without being asked";
        let refusal = Refusal::new(RefusalCode::UpstreamFailed, detail, "try again; the upstream's answer is at fault");
        return Err(Refused::After(Box::new(outcome), refusal));
    }
    parts.extensions = http::Extensions::new(); // a reason phrase travels in them, unsearched
    parts.version = http::Version::default();
    hop::clean_answer(&mut parts.headers, Upgrading::No);
    outcome.status(parts.status.as_u16());
    outcome.meters(&parts.headers);
    let Some(mut scrub) = scrub else {
        let body = Download::plain(incoming, None, flow, outcome, seat).begin().await?;
        return Ok(Response::from_parts(parts, body));
    };
    scrub.head(&mut parts.headers);
    let Some(codings) = codings(&parts.headers) else {
        let detail = "the answer has a content coding that cannot be searched for the credential";
        let refusal =
            Refusal::new(RefusalCode::UpstreamFailed, detail, "send the request with `Accept-Encoding: identity`");
        return Err(Refused::After(Box::new(outcome), refusal));
    };
    if incoming.is_end_stream() {
        // HEAD, 204, 304: the fields describe a body that is not there.
        let body = Download::plain(incoming, None, flow, outcome, seat).begin().await?;
        return Ok(Response::from_parts(parts, body));
    }
    if let Err(refusal) = scrub.begin_fields(&parts) {
        return Err(Refused::After(Box::new(outcome), refusal));
    }
    parts.headers.remove(ACCEPT_RANGES);
    let download = if codings.is_empty() {
        Download::plain(incoming, Some(scrub), flow, outcome, seat)
    } else {
        for name in [CONTENT_ENCODING, ETAG] {
            parts.headers.remove(name); // a strong tag is of the coded bytes
        }
        let decoded = Decoded::new(incoming, &codings, limits.growth);
        Download::coded(decoded, Some(scrub), flow, outcome, seat)
    };
    parts.headers.remove(CONTENT_LENGTH); // a replaced echo changes it; hyper writes the new one where it is known
    let body = download.begin().await?;
    Ok(Response::from_parts(parts, body))
}

/// Whether an answer says that it is JSON, in any of the ways in which it is said.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    headers.get_all(CONTENT_TYPE).iter().filter_map(|kind| kind.to_str().ok()).any(|kind| {
        let kind = kind.split([';', ',']).next().unwrap_or("").trim().to_ascii_lowercase();
        kind.ends_with("/json") || kind.ends_with("+json") || kind.ends_with("-json") || kind.ends_with("/x-ndjson")
    })
}
