//! Stations 8 to 10: the verified upstream, the credential, the armed request, and its answer.
//!
//! Invariant: the only caller of `Armed::open` for requests of others; what is opened here goes to the upstream that it was armed for.

use std::{pin::Pin, sync::Arc};

use bytes::Bytes;
use http::{
    HeaderValue, Request, Response, StatusCode, Uri, Version,
    header::{CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING},
    request::Parts,
};
use hyper::body::{Body as _, Incoming};
use tokio::{sync::Notify, time::timeout};

use super::{
    admit::{self, Opened},
    exchange::{Refused, Site},
    flow::Flow,
    hop::{self, Upgrading},
    letter::Letter,
    outcome::Outcome,
    request,
    scrub::{Arrived, Scrub},
    sieve::{Sieve, Stops},
    stray,
    upgrade::Switching,
    upload::RequestBody,
};
use crate::{
    base::{LeaseId, RefusalCode, shell_word},
    broker::{Credentials, Permit, Refusal, SecretVersion},
    inject::{self, Armed, Draft, Echoes, Slot},
    lease::Found,
    net::{self, Checkout, Identity, Offer, Seat, Terms, Unsent},
};

/// A request and the upstream it will go to.
pub(super) struct Connected {
    opened: Opened,
    checkout: Checkout<RequestBody>,
    /// Its credentials, where one of them was needed for the connection.
    credentials: Option<Credentials>,
}

/// The same with its credentials.
pub(super) struct Loaded {
    connected: Connected,
    credentials: Option<Credentials>,
    sieve: Sieve,
    expect: std::time::Duration,
    authority: crate::base::Authority,
}

/// A request that carries its credentials, or that goes without.
pub(super) struct Ready {
    request: Outgoing,
    checkout: Checkout<RequestBody>,
    flow: Arc<Flow>,
    outcome: Outcome,
    scrub: Option<Scrub>,
    versions: Vec<SecretVersion>,
    unproven: Vec<SecretVersion>,
    upgrading: Upgrading,
    /// Whose token a message to come may have in its credential's place.
    lease: Option<LeaseId>,
}

enum Outgoing {
    Anonymous(Request<RequestBody>),
    Armed(Armed<RequestBody>),
}

/// An answer, and what it is freed of.
pub(super) struct Sent {
    pub(super) arrived: Arrived,
    pub(super) scrub: Option<Scrub>,
    /// Which values it answers.
    pub(super) versions: Vec<SecretVersion>,
    upgrading: Upgrading,
    letter: Option<Letter>,
}

/// An answer by its kind.
pub(super) enum Answered {
    /// The connection now speaks another protocol.
    Switched(Switching),
    /// An answer like any other.
    Plainly(Sent),
}

/// A connection whose certificate was verified for the request's own host.
pub(super) async fn connect(site: &Site, opened: Opened) -> Result<Connected, Refused> {
    let offer = if opened.upgrading == Upgrading::WebSocket { Offer::Http1 } else { Offer::Any };
    let flow = Arc::clone(&opened.flow);
    let (credentials, identity) = match identify(site, &opened) {
        Ok(identified) => identified.unzip(),
        Err(refusal) => return Err(Refused::After(Box::new(opened.outcome), refusal)),
    };
    let terms = Terms { roots: opened.roots.as_ref(), identity: identity.as_ref() };
    let dialled = tokio::select! {
        dialled = site.pool.checkout(site.scheme, &site.authority, offer, terms) => dialled.map_err(|error| refusal(&error)),
        reason = flow.wait() => Err(Refusal::of_cut(reason)),
    };
    match dialled {
        Ok(checkout) => Ok(Connected { opened, checkout, credentials }),
        Err(refusal) => Err(Refused::After(Box::new(opened.outcome), refusal)),
    }
}

/// The client certificate among the credentials: wanted before there is a connection, and shown only once its upstream
/// was verified.
fn identify(site: &Site, opened: &Opened) -> Result<Option<(Credentials, Identity)>, Refusal> {
    let Some(at) = opened.slots.iter().position(Slot::presents) else { return Ok(None) };
    let credentials = site.broker.credentials(&opened.permits)?;
    let identity = credentials.identity(at).map_err(|error| {
        let (detail, fix) = unwritten(&inject::Error::Identity(error), opened.permits.get(at..=at).unwrap_or_default());
        Refusal::new(RefusalCode::CredentialUnavailable, detail, fix)
    })?;
    Ok(Some((credentials, identity)))
}

/// Station 8: the credentials, fetched after the record was accepted and the upstream verified; with a client certificate
/// among them, after the record alone.
pub(super) fn load(site: &Site, mut connected: Connected) -> Result<Loaded, Refused> {
    let credentials = match (connected.credentials.take(), &*connected.opened.permits) {
        (Some(fetched), _) => Ok(Some(fetched)),
        (None, []) => Ok(None),
        (None, permits) => site.broker.credentials(permits).map(Some),
    };
    let (sieve, expect) = (Sieve::new(site.broker.leases(), Stops::Unknown), site.limits.expect);
    match credentials {
        Ok(credentials) => Ok(Loaded { connected, credentials, sieve, expect, authority: site.authority.clone() }),
        Err(refusal) => Err(Refused::After(Box::new(connected.opened.outcome), refusal)),
    }
}

/// Station 9: the credentials at their places.
pub(super) fn arm(loaded: Loaded) -> Result<Ready, Refused> {
    let Loaded { connected, mut credentials, sieve, expect, authority } = loaded;
    let Connected { opened, checkout, .. } = connected;
    let Opened {
        mut parts,
        body,
        body_max,
        upgrading,
        expects_continue,
        permits,
        slots,
        withhold,
        roots: _,
        flow,
        outcome,
    } = opened;
    let waits = expects_continue && !checkout.is_http2();
    if !waits {
        parts.headers.remove(EXPECT);
    }
    shape(&mut parts, checkout.is_http2(), &authority);
    let mut wait = None;
    if waits {
        let gate = Arc::<Notify>::default();
        parts = on_continue(parts, Arc::clone(&gate));
        let opens: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
            let _ = timeout(expect, gate.notified()).await; // an upstream that says nothing gets the body anyway
        });
        wait = Some(opens);
    }
    let body = RequestBody::new(body, body_max, Arc::clone(&flow), sieve, wait);
    if !checkout.is_http2() {
        announce(&mut parts, &body);
    }
    let draft = Draft::new(authority, parts, body, slots);
    let (versions, unproven) = credentials.as_mut().map(Credentials::take_versions).unwrap_or_default();
    let (request, scrub) = match (credentials, checkout.verified()) {
        (None, _) => {
            // There is no echo of a credential, and still there are fields that no answer of the service shows.
            let scrub = |withhold| Scrub::new(Arc::new(Echoes::of(&[])), Vec::new(), withhold);
            let scrub = Some(withhold).filter(|withhold| !withhold.is_nothing()).map(scrub);
            (Ok(Outgoing::Anonymous(draft.without_credential())), scrub)
        }
        (Some(credentials), Some(proof)) => {
            let tokens = permits.iter().map(|permit| Bytes::copy_from_slice(permit.token())).collect();
            let armed = draft.arm(credentials.values(), proof, RequestBody::fill).map(Outgoing::Armed);
            let armed = armed.map_err(|error| unwritten(&error, &permits));
            (armed, Some(Scrub::new(credentials.echoes(), tokens, withhold)))
        }
        (Some(_), None) => (Err(("the connection is not encrypted".to_owned(), "secrets doctor".to_owned())), None),
    };
    match request {
        Ok(request) => {
            let lease = permits.first().map(|permit| permit.lease().id);
            Ok(Ready { request, checkout, flow, outcome, scrub, versions, unproven, upgrading, lease })
        }
        Err(why) => {
            let refusal = Refusal::new(RefusalCode::CredentialUnavailable, why.0, why.1);
            Err(Refused::After(Box::new(outcome), refusal))
        }
    }
}

/// Why no credential was written, and what mends it: mostly the stored value is at fault.
fn unwritten(error: &inject::Error, permits: &[Permit]) -> (String, String) {
    let names: Vec<&str> = permits.iter().map(|permit| permit.lease().secret.as_str()).collect();
    let fix = match error {
        inject::Error::Identity(_) | inject::Error::Unwritable { .. } => {
            format!("secrets update {}", shell_word(names.first().unwrap_or(&"")))
        }
        _ => "secrets doctor".to_owned(),
    };
    (format!("secret `{}`: {error}", names.join("` or `")), fix)
}

/// Lets a body that waits for `100 Continue` go when it comes.
fn on_continue(parts: Parts, gate: Arc<Notify>) -> Parts {
    let mut head = Request::from_parts(parts, ());
    hyper::ext::on_informational(&mut head, move |response| {
        if response.status() == StatusCode::CONTINUE {
            gate.notify_one();
        }
    });
    head.into_parts().0
}

/// Announces a body of unknown length, which a GET would otherwise leave behind (RFC 9112, 6.3).
fn announce(parts: &mut Parts, body: &RequestBody) {
    if !body.is_end_stream() && body.size_hint().exact().is_none() && !parts.headers.contains_key(CONTENT_LENGTH) {
        parts.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

/// The form that the upstream's protocol wants: origin form and `Host`, or a whole URI (RFC 9112, 3.2; RFC 9113, 8.3.1).
fn shape(parts: &mut Parts, http2: bool, authority: &crate::base::Authority) {
    let named = match authority.port {
        443 => authority.host.to_string(),
        _ => authority.to_string(),
    };
    let mut uri = std::mem::take(&mut parts.uri).into_parts();
    if http2 {
        parts.version = Version::HTTP_2;
        parts.headers.remove(HOST);
        uri.scheme = Some(http::uri::Scheme::HTTPS);
        uri.authority = named.parse().ok();
    } else {
        if !parts.headers.contains_key(HOST)
            && let Ok(host) = HeaderValue::try_from(named)
        {
            parts.headers.insert(HOST, host);
        }
        if parts.version == Version::HTTP_2 {
            hop::join_cookies(&mut parts.headers);
        }
        parts.version = Version::HTTP_11;
        (uri.scheme, uri.authority) = (None, None);
    }
    parts.uri = Uri::from_parts(uri).unwrap_or_default();
    parts.extensions = http::Extensions::new();
}

/// Station 10: out it goes; an old connection that turns out dead before a byte was sent is replaced once.
pub(super) async fn send(site: &Site, ready: Ready) -> Result<Sent, Refused> {
    let Ready { request, checkout, flow, outcome, scrub, versions, unproven, upgrading, lease } = ready;
    if let Some(reason) = flow.cut() {
        return Err(Refused::After(Box::new(outcome), Refusal::of_cut(reason)));
    }
    let (request, message) = match request {
        Outgoing::Anonymous(request) => (request, None),
        Outgoing::Armed(armed) => armed.open(),
    };
    let letter = message.zip(lease).map(|(message, lease)| Letter::new(message, Arc::clone(&site.broker), lease));
    let answered = tokio::select! {
        biased;
        answered = send_in_time(site, checkout, request, &flow) => answered.map_err(|error| refusal(&error)),
        reason = flow.wait() => Err(Refusal::of_cut(reason)),
    };
    match answered {
        Ok((response, seat)) => {
            if response.status().is_success() {
                site.broker.accepted(&unproven);
            }
            Ok(Sent { arrived: Arrived { response, seat, flow, outcome }, scrub, versions, upgrading, letter })
        }
        Err(refusal) => {
            let refusal = match (flow.stray(), flow.cut()) {
                (Some(found), _) => {
                    if let Found::Live(lease) = found {
                        site.broker.on_stray(lease);
                    }
                    stray::refusal(&site.authority.to_string(), "the body")
                }
                (None, Some(reason)) => Refusal::of_cut(reason),
                (None, None) if flow.is_request_too_long() => admit::too_long("secrets policy list"),
                (None, None) if flow.is_request_broken() => request::broken_body(),
                (None, None) => refusal,
            };
            Err(Refused::After(Box::new(outcome), refusal))
        }
    }
}

/// The deadline counts from the last byte of the request, so that a long upload is no silence.
async fn send_in_time(
    site: &Site,
    checkout: Checkout<RequestBody>,
    request: Request<RequestBody>,
    flow: &Flow,
) -> Result<(Response<Incoming>, Seat<RequestBody>), net::Error> {
    let mut sending = std::pin::pin!(send_twice(checkout, request));
    loop {
        let before = flow.sent();
        match timeout(site.limits.answer, sending.as_mut()).await {
            Ok(answered) => return answered,
            Err(_) if flow.sent() != before => {}
            Err(_) => return Err(net::Error::Timeout { host: site.authority.host.clone(), phase: "answer" }),
        }
    }
}

async fn send_twice(
    checkout: Checkout<RequestBody>,
    request: Request<RequestBody>,
) -> Result<(Response<Incoming>, Seat<RequestBody>), net::Error> {
    match checkout.send(request).await {
        Ok(answered) => Ok(answered),
        Err(Unsent { again: Some(again), error }) => again.send().await.unwrap_or(Err(error)),
        Err(Unsent { again: None, error }) => Err(error),
    }
}

impl Sent {
    /// Splits off an answer that switches protocols; an unasked one is an upstream's fault (attack 16).
    pub(super) fn upgraded(self, client: Option<hyper::upgrade::OnUpgrade>) -> Answered {
        match client {
            Some(client)
                if self.arrived.response.status() == StatusCode::SWITCHING_PROTOCOLS
                    && self.upgrading == Upgrading::WebSocket =>
            {
                let Self { arrived, scrub, letter, .. } = self;
                Answered::Switched(Switching { client, arrived, scrub, letter })
            }
            _ => Answered::Plainly(self),
        }
    }
}

/// A network failure as the client is told of it.
pub(super) fn refusal(error: &net::Error) -> Refusal {
    Refusal::new(error.code(), error.to_string(), error.fix())
}
