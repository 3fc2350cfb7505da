//! Requests of our own, such as the check of a rotated value: no body, and nothing of the answer but its status.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::Empty;
use hyper::Request;
use tokio::time::timeout;

use super::{Checkout, Dialer, Error, Offer, Pool, PoolSettings, TlsClient};
use crate::base::{Authority, Scheme};

/// Sends requests of our own, each on a connection of its own.
#[derive(Clone)]
pub struct Errands(std::sync::Arc<Pool<Empty<Bytes>>>);

impl Errands {
    /// How long one may take from connecting to the answer's head: 15 s.
    pub const TIME: Duration = Duration::from_secs(15);

    /// Errands by way of this dialer, with these roots.
    pub fn new(dialer: Dialer, tls: TlsClient) -> Self {
        Self(Pool::new(dialer, tls, PoolSettings::default()))
    }

    /// What such a request has for a body.
    pub const fn no_body() -> Empty<Bytes> {
        Empty::new()
    }

    /// A verified connection to this authority, for one HTTP/1.1 request.
    pub async fn connect(&self, authority: &Authority) -> Result<Checkout<Empty<Bytes>>, Error> {
        let connecting = self.0.fresh(Scheme::Https, authority, Offer::Http1);
        timeout(Self::TIME, connecting).await.unwrap_or_else(|_| Err(late(authority)))
    }

    /// Sends the request; the answer's status. The rest of the answer is not read.
    pub async fn send(
        checkout: Checkout<Empty<Bytes>>,
        authority: &Authority,
        request: Request<Empty<Bytes>>,
    ) -> Result<StatusCode, Error> {
        match timeout(Self::TIME, checkout.send(request)).await {
            Ok(Ok((answer, _seat))) => Ok(answer.status()),
            Ok(Err(unsent)) => Err(unsent.error),
            Err(_) => Err(late(authority)),
        }
    }
}

fn late(authority: &Authority) -> Error {
    Error::Timeout { host: authority.host.clone(), phase: "answer" }
}
