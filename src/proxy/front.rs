//! What comes to the proxy's own port: CONNECT, absolute-form requests, and questions to the proxy itself.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, Method, Request, Response, header::PROXY_AUTHORIZATION};
use hyper::body::Incoming;

use super::{
    answer::AnswerBody,
    connect::{self, Tunnel},
    discover,
    entrance::{Demand, Entrance},
    exchange::{Refused, Site, exchange},
    outcome::{Kind, Notes},
    shared::Shared,
    stray,
};
use crate::{
    base::{Authority, RefusalCode, Scheme},
    broker::Refusal,
};

/// One connection to the proxy's port.
pub(super) struct Front {
    pub(super) shared: Arc<Shared>,
    pub(super) entrance: Arc<Entrance>,
}

/// What an answered request leaves to do on the connection.
pub(super) enum Next {
    /// More requests.
    Requests,
    /// The connection becomes a tunnel.
    Tunnel(Box<Tunnel>),
}

impl Front {
    /// Answers one request.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> (Response<AnswerBody>, Next) {
        let kind = if request.method() == Method::CONNECT { Kind::Tunnel } else { Kind::Request };
        let entrance = match self.shared.broker.ready().and_then(|()| self.admit(request.headers())) {
            Ok(entrance) => entrance,
            Err(refusal) => {
                let mut notes = Notes::new(kind, request.method().clone(), request.uri().clone(), None);
                self.entrance.note(&mut notes);
                let refused = Refused::Before(Box::new(notes), refusal);
                return (refused.answer(&self.shared.broker), Next::Requests);
            }
        };
        if kind == Kind::Tunnel {
            return match connect::open(&self.shared, entrance, request).await {
                Ok((answer, tunnel)) => (answer, Next::Tunnel(Box::new(tunnel))),
                Err(refused) => (refused.answer(&self.shared.broker), Next::Requests),
            };
        }
        (Box::pin(self.plain(entrance, request)).await, Next::Requests)
    }

    /// Which way in this request came by; proxy credentials name a session wherever they are sent (RFC 9110, 11.7).
    fn admit(&self, headers: &HeaderMap) -> Result<Arc<Entrance>, Refusal> {
        let wanted = |detail: &str| Refusal::new(RefusalCode::ProxyAuthRequired, detail, "secrets exec -- sh");
        match headers.get(PROXY_AUTHORIZATION) {
            None if self.entrance.demand() == Demand::Credentials => {
                Err(wanted("the proxy wants the credentials of a session"))
            }
            None => Ok(Arc::clone(&self.entrance)),
            Some(value) => {
                let session = decode(value.as_bytes()).and_then(|decoded| {
                    let colon = decoded.iter().position(|&b| b == b':')?;
                    let (user, password) = decoded.split_at(colon);
                    self.shared.broker.session_by_credentials(user, password.get(1..)?)
                });
                match (session, self.entrance.session()) {
                    (Some(session), None) => Ok(Entrance::proven(session)),
                    (Some(session), Some(own)) if session.id() == own.id() => Ok(Entrance::proven(session)),
                    _ => Err(wanted("the proxy credentials belong to no session that lives here")),
                }
            }
        }
    }

    /// An absolute-form request in clear text; it goes through the same walk.
    async fn plain(&self, entrance: Arc<Entrance>, request: Request<Incoming>) -> Response<AnswerBody> {
        let notes = || {
            let mut notes = Notes::new(Kind::Request, request.method().clone(), request.uri().clone(), None);
            entrance.note(&mut notes);
            Box::new(notes)
        };
        let authority = match plain_authority(&request) {
            Ok(authority) => authority,
            Err(refusal) => return Refused::Before(notes(), refusal).answer(&self.shared.broker),
        };
        if discover::is_for_us(&authority) {
            return discover::answer(&self.shared, &entrance, request).await;
        }
        let site = Site {
            broker: Arc::clone(&self.shared.broker),
            pool: Arc::clone(&self.shared.pool),
            limits: Arc::clone(&self.shared.limits),
            room: self.shared.room.clone(),
            peeking: self.shared.peeking.clone(),
            entrance: Arc::clone(&entrance),
            scheme: Scheme::Http,
            authority,
        };
        let written = request.uri().authority().map_or("", http::uri::Authority::as_str);
        if self.shared.broker.leases().find_stray(written.as_bytes()).is_some() {
            return Refused::Before(notes(), stray::refusal("another host", "the host name"))
                .answer(&self.shared.broker);
        }
        exchange(Arc::new(site), request).await
    }
}

fn decode(value: &[u8]) -> Option<Vec<u8>> {
    let (scheme, encoded) = value.split_at_checked(6)?;
    scheme.eq_ignore_ascii_case(b"basic ").then(|| STANDARD.decode(encoded.trim_ascii()).ok()).flatten()
}

fn plain_authority(request: &Request<Incoming>) -> Result<Authority, Refusal> {
    let bad = |detail: String| {
        Refusal::new(RefusalCode::BadRequest, detail, "use this address as a proxy: HTTPS_PROXY=http://ADDRESS")
    };
    match (request.uri().scheme_str(), request.uri().authority()) {
        (Some("http"), Some(authority)) => {
            Authority::parse(authority.as_str(), Some(80)).map_err(|error| bad(error.to_string()))
        }
        (Some(scheme), Some(_)) => {
            Err(bad(format!("`{scheme}://` is not forwarded in clear text; open a tunnel with CONNECT")))
        }
        _ => Err(bad("this is a forward proxy; it answers no requests of its own".to_owned())),
    }
}
