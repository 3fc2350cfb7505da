//! Requests of our own, such as the check of a rotated value and the heartbeat: one connection each.
//!
//! Invariant: redirects are answers like any other, the proxy variables of our environment are not looked at, and the body
//! of an answer is not read, so that nobody can make us wait for its end or fill our memory with it.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header::HOST, response::Parts};
use http_body_util::Full;
use hyper::Request;
use tokio::time::timeout;

use super::{Checkout, Dialer, Error, Offer, Pool, PoolSettings, Terms, TlsClient};
use crate::base::{Authority, Origin, Scheme};

/// Sends requests of our own, each on a connection of its own.
#[derive(Clone)]
pub struct Errands(std::sync::Arc<Pool<Full<Bytes>>>);

impl Errands {
    /// How long one may take from connecting to the answer's head: 15 s.
    pub const TIME: Duration = Duration::from_secs(15);

    /// Errands by way of this dialer, with these roots.
    pub fn new(dialer: Dialer, tls: TlsClient) -> Self {
        Self(Pool::new(dialer, tls, PoolSettings::default()))
    }

    /// What such a request has for a body.
    pub fn no_body() -> Full<Bytes> {
        Full::default()
    }

    /// A verified connection to this authority on these terms, for one HTTP/1.1 request.
    pub async fn connect(&self, authority: &Authority, terms: Terms<'_>) -> Result<Checkout<Full<Bytes>>, Error> {
        let connecting = self.0.fresh(Scheme::Https, authority, Offer::Http1, terms);
        timeout(Self::TIME, connecting).await.unwrap_or_else(|_| Err(late(authority)))
    }

    /// Sends the request; the answer's status. The rest of the answer is not read.
    pub async fn send(
        checkout: Checkout<Full<Bytes>>,
        authority: &Authority,
        request: Request<Full<Bytes>>,
    ) -> Result<StatusCode, Error> {
        match timeout(Self::TIME, checkout.send(request)).await {
            Ok(Ok((answer, _seat))) => Ok(answer.status()),
            Ok(Err(unsent)) => Err(unsent.error),
            Err(_) => Err(late(authority)),
        }
    }

    /// Sends a request in origin form to where it may also go in clear, and gives the head of the answer. The caller bounds
    /// the time.
    pub async fn ask(&self, origin: &Origin, request: Request<Bytes>) -> Result<Parts, Error> {
        let mut request = request.map(Full::new);
        if let Ok(host) = HeaderValue::try_from(origin.host_field()) {
            request.headers_mut().insert(HOST, host);
        }
        let connection = self.0.fresh(origin.scheme, &origin.authority, Offer::Http1, Terms::default()).await?;
        let (answer, _seat) = connection.send(request).await.map_err(|unsent| unsent.error)?;
        Ok(answer.into_parts().0)
    }
}

fn late(authority: &Authority) -> Error {
    Error::Timeout { host: authority.host.clone(), phase: "answer" }
}
