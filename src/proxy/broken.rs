//! What never became a request: it is answered where HTTP/1.1 still can, and recorded with what is known of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::StatusCode;

use super::{entrance::Entrance, exchange::Site, front::Front, limits::Limits, reject};
use crate::{
    audit::{Action, Event, Outcome},
    base::{Authority, RefusalCode, RequestId},
    broker::{Broker, Refusal},
};

/// One client connection, as far as it is known while no request is.
pub(super) struct Broken {
    broker: Arc<Broker>,
    entrance: Arc<Entrance>,
    authority: Option<Authority>,
    limits: Arc<Limits>,
    answered: AtomicBool,
}

impl Broken {
    /// A connection to the proxy's port; where it wants to go is not known yet.
    pub(super) fn of_front(front: &Front) -> Self {
        let shared = &front.shared;
        Self::new(&shared.broker, &front.entrance, None, &shared.limits)
    }

    /// A connection inside a tunnel.
    pub(super) fn of_site(site: &Site) -> Self {
        Self::new(&site.broker, &site.entrance, Some(site.authority.clone()), &site.limits)
    }

    fn new(broker: &Arc<Broker>, entrance: &Arc<Entrance>, authority: Option<Authority>, limits: &Arc<Limits>) -> Self {
        Self {
            broker: Arc::clone(broker),
            entrance: Arc::clone(entrance),
            authority,
            limits: Arc::clone(limits),
            answered: AtomicBool::new(false),
        }
    }

    /// How long a head may take.
    pub(super) fn head_time(&self) -> Duration {
        self.limits.head_time
    }

    /// The answer to a head that cannot be read, with its framing; it is recorded first.
    pub(super) fn answer(&self, status: StatusCode) -> Vec<u8> {
        let (head, fields) = (self.limits.head, self.limits.fields);
        let (code, detail, fix) = match status {
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE | StatusCode::URI_TOO_LONG => (
                RefusalCode::TooLarge,
                format!("the head has more than {head} bytes or {fields} fields"),
                "send fewer or shorter header fields, or a shorter path",
            ),
            StatusCode::REQUEST_TIMEOUT => (
                RefusalCode::BadRequest,
                "the request's head took too long".to_owned(),
                "send the whole head of a request at once",
            ),
            _ => (
                RefusalCode::BadRequest,
                "the request's head is not well-formed HTTP/1.1".to_owned(),
                "send a request as RFC 9112 frames it, with one `Host`, each line ended by CR LF",
            ),
        };
        let refusal = Refusal::new(code, detail, fix);
        self.refuse(&refusal)
    }

    /// The same for any refusal.
    pub(super) fn refuse(&self, refusal: &Refusal) -> Vec<u8> {
        self.answered.store(true, Ordering::Relaxed);
        let id = RequestId::next();
        let event = self.event(refusal.code, &refusal.detail).request(id);
        self.append(&event.status(reject::status(refusal.code).as_u16()));
        reject::in_clear(refusal, id)
    }

    /// Records how a connection ended, where that was the client's fault and it was not answered.
    pub(super) fn note_end(&self, error: &hyper::Error) {
        if let Some(code) = offence(error)
            && !self.answered.load(Ordering::Relaxed)
        {
            self.note(code, &told(error));
        }
    }

    /// Records a connection that is closed without a word of HTTP.
    pub(super) fn note(&self, code: RefusalCode, error: &str) {
        self.append(&self.event(code, error));
    }

    fn event<'a>(&'a self, code: RefusalCode, error: &'a str) -> Event<'a> {
        let mut event = Event::new(Action::ConnectionRefused).outcome(Outcome::Refused).code(code).error(error);
        if let Some(authority) = &self.authority {
            event = event.authority(authority);
        }
        if let Some(session) = self.entrance.session() {
            event = event.session(session.id()).client(session.client());
        }
        event
    }

    fn append(&self, event: &Event<'_>) {
        if let Err(error) = self.broker.audit().append(event) {
            tracing::error!(%error, "a refused connection could not be recorded");
        }
    }
}

/// Hanging up is no offence.
fn offence(error: &hyper::Error) -> Option<RefusalCode> {
    if error.is_parse_too_large() {
        return Some(RefusalCode::TooLarge);
    }
    if error.is_parse() {
        return Some(RefusalCode::BadRequest);
    }
    let found = std::error::Error::source(error)?.downcast_ref::<h2::Error>()?;
    match found.reason() {
        Some(h2::Reason::ENHANCE_YOUR_CALM) if found.is_library() => Some(RefusalCode::TooLarge),
        Some(_) if found.is_library() => Some(RefusalCode::BadRequest),
        _ => None,
    }
}

fn told(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
