//! Requests of our own to addresses that the operator wrote down: one connection each, and no more read than the head.
//!
//! Invariant: redirects are answers like any other, the proxy variables of our environment are not looked at, and a body
//! is never read, so that nobody can make us wait for its end or fill our memory with it.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Request, header::HOST, response::Parts};
use http_body_util::Full;

use super::{Dialer, Error, Offer, Pool, PoolSettings, TlsClient};
use crate::base::Origin;

/// Asks over HTTP/1.1. Clones share their roots.
#[derive(Clone)]
pub struct Caller(Arc<Pool<Full<Bytes>>>);

impl Caller {
    /// A caller that dials and trusts as these do.
    pub fn new(dialer: Dialer, tls: TlsClient) -> Self {
        Self(Pool::new(dialer, tls, PoolSettings::default()))
    }

    /// Sends a request in origin form over a connection of its own and gives the head of the answer. The caller bounds
    /// the time.
    pub async fn call(&self, origin: &Origin, request: Request<Bytes>) -> Result<Parts, Error> {
        let mut request = request.map(Full::new);
        if let Ok(host) = HeaderValue::try_from(origin.host_field()) {
            request.headers_mut().insert(HOST, host);
        }
        let connection = self.0.fresh(origin.scheme, &origin.authority, Offer::Http1).await?;
        let (response, _) = connection.send(request).await.map_err(|unsent| unsent.error)?;
        Ok(response.into_parts().0)
    }
}
