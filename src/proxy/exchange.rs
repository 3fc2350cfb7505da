//! The walk of one request: a table of contents, one call per station.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response};
use hyper::body::Incoming;

use super::{
    admit::{self, Opened},
    again::{self, Next, Room},
    answer::AnswerBody,
    count,
    entrance::Entrance,
    forward::{self, Sent},
    hold,
    limits::Limits,
    need,
    outcome::{Notes, Outcome},
    peek, reject, request, scrub, stray, upgrade,
    upload::RequestBody,
    way,
};
use crate::{
    base::{Authority, Scheme},
    broker::{Broker, Refusal},
    net::Pool,
};

/// Where requests of one client connection go, and what they share.
pub(super) struct Site {
    pub(super) broker: Arc<Broker>,
    pub(super) pool: Arc<Pool<RequestBody>>,
    pub(super) limits: Arc<Limits>,
    pub(super) room: Room,
    pub(super) peeking: Room,
    pub(super) entrance: Arc<Entrance>,
    pub(super) scheme: Scheme,
    pub(super) authority: Authority,
}

/// A request that was refused: before its record was opened, or after.
pub(super) enum Refused {
    Before(Box<Notes>, Refusal),
    After(Box<Outcome>, Refusal),
}

/// Answers one request, whatever becomes of it.
pub(super) async fn exchange(site: Arc<Site>, request: Request<Incoming>) -> Response<AnswerBody> {
    let is_head = *request.method() == Method::HEAD;
    match walk(&site, request).await {
        Ok(answer) => answer,
        Err(refused) if is_head => refused.answer(&site.broker).map(|_| AnswerBody::from(Bytes::new())), // RFC 9110, 9.3.2
        Err(refused) => refused.answer(&site.broker),
    }
}

async fn walk(site: &Site, mut request: Request<Incoming>) -> Result<Response<AnswerBody>, Refused> {
    let upgrade = upgrade::take(&mut request);
    let policy = site.broker.policy();
    let granted = policy.host(site.scheme, &site.authority);
    let places = granted.as_ref().map_or(&[][..], |granted| granted.places());

    let received = request::receive(site, places, request)?;
    let received = way::open(site, &policy, granted.as_ref(), received).await?;
    let received = peek::find(site, places, received).await?;
    let admitted = admit::authorize(site, granted.as_ref(), received)?;
    let admitted = peek::look(&policy, site, admitted).await?;
    let decided = admit::decide(&policy, site, admitted)?;
    let (decided, counted) = count::charge(site, decided)?;
    let (decided, counted) = hold::hold(site, decided, counted).await?;
    let opened = admit::open_record(site, decided, counted)?;
    let (opened, again) = again::keep(site, opened);
    let sent = go(site, opened).await?;
    let sent = match again::after(site, again, sent).await? {
        Next::Answer(sent) => sent,
        Next::Again(opened) => Box::pin(go(site, opened)).await?, // seldom, and large
    };
    count::heed(&sent);
    match sent.upgraded(upgrade) {
        forward::Answered::Switched(switching) => Ok(upgrade::splice(switching)),
        forward::Answered::Plainly(sent) => scrub::clean(sent.arrived, sent.scrub, &site.limits).await,
    }
}

/// Stations 8 to 10.
async fn go(site: &Site, opened: Opened) -> Result<Sent, Refused> {
    let connected = forward::connect(site, opened).await?;
    let loaded = forward::load(site, connected)?;
    let armed = forward::arm(loaded)?;
    forward::send(site, armed).await
}

impl Refused {
    /// Records the refusal and answers it.
    pub(super) fn answer(self, broker: &Broker) -> Response<AnswerBody> {
        match self {
            Self::Before(mut notes, refusal) => {
                stray::conceal(&mut notes, broker.leases());
                let ask = need::how_to_ask(&refusal, &notes);
                let answer = reject::answer(&refusal, notes.id, &notes.tongue, ask.as_deref());
                notes.refused(broker.audit(), refusal.code, answer.status().as_u16());
                answer
            }
            Self::After(mut outcome, refusal) => {
                let answer = reject::answer(&refusal, outcome.id(), outcome.tongue(), None);
                outcome.refused(&refusal, answer.status().as_u16());
                answer
            }
        }
    }
}
