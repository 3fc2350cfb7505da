//! One beat: a request with a fresh nonce, and whether what came back is a heartbeat.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Method, Request,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT},
    response::Parts,
};

use super::section::{Heartbeat, HeartbeatMethod};
use crate::{
    base::{Ed25519Key, SecretName, hex, random},
    net::{self, Errands},
};

/// The field that carries the nonce of a beat: 64 hexadecimal digits, fresh for each.
const NONCE: HeaderName = HeaderName::from_static("x-heartbeat-nonce");
/// The field that carries the signature of an answer, in base64.
const SIGNATURE: HeaderName = HeaderName::from_static("x-heartbeat-signature");
/// Keeps what is signed here from meaning anything elsewhere.
const DOMAIN: &str = "leasehold heartbeat 1";

/// Why a beat was none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Miss {
    /// The answer is signed by somebody else, for another address, or for another beat.
    #[error("the answer's `x-heartbeat-signature` is not the key's signature of this beat")]
    Forged,
    /// The secret for the bearer field cannot be had.
    #[error("secret `{0}`, which `heartbeat.bearer` names, is not in the store or cannot be a header field")]
    NoBearer(SecretName),
    /// There was no answer.
    #[error(transparent)]
    NoAnswer(#[from] net::Error),
    /// A redirect, which is not followed.
    #[error("the answer is a redirect (status {0}), and a heartbeat follows none")]
    Redirect(u16),
    /// Any other answer that is no success.
    #[error("the answer has status {0} and not 2xx")]
    Status(u16),
    /// It took longer than the timeout.
    #[error("there was no answer within {} ms", .0.as_millis())]
    TooLate(Duration),
    /// There is no signature where the settings want one: a captive portal, or a server without the key.
    #[error("the answer is not signed: it has no `x-heartbeat-signature`")]
    Unsigned,
}

/// Beats once.
pub(super) async fn beat(beat: &Heartbeat, errands: &Errands, bearer: Option<HeaderValue>) -> Result<(), Miss> {
    if let (Some(name), None) = (&beat.bearer, &bearer) {
        return Err(Miss::NoBearer(name.clone()));
    }
    let nonce = hex(&random::<32>());
    let request = request(beat, &nonce, bearer);
    let answered = errands.ask(&beat.target.origin, request);
    let head = tokio::time::timeout(beat.timeout, answered).await.map_err(|_| Miss::TooLate(beat.timeout))??;
    if head.status.is_redirection() {
        return Err(Miss::Redirect(head.status.as_u16()));
    }
    if !head.status.is_success() {
        return Err(Miss::Status(head.status.as_u16()));
    }
    beat.key.map_or(Ok(()), |key| check_signature(&key, &head, &signed_text(&nonce, &beat.target.written)))
}

fn request(beat: &Heartbeat, nonce: &str, bearer: Option<HeaderValue>) -> Request<Bytes> {
    let (method, body) = match beat.method {
        HeartbeatMethod::Get => (Method::GET, String::new()),
        HeartbeatMethod::Post => (Method::POST, format!("{{\"nonce\":\"{nonce}\"}}")),
    };
    let has_body = !body.is_empty();
    let mut request = Request::new(Bytes::from(body));
    *request.method_mut() = method;
    *request.uri_mut() = http::Uri::from(beat.target.path.clone());
    let headers = request.headers_mut();
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("leasehold/", env!("CARGO_PKG_VERSION"))));
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    if has_body {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if let Ok(nonce) = HeaderValue::from_str(nonce) {
        headers.insert(NONCE, nonce);
    }
    if let Some(bearer) = bearer {
        headers.insert(AUTHORIZATION, bearer);
    }
    request
}

/// What the server signs: domain, nonce and address as the settings have it, a newline after each.
fn signed_text(nonce: &str, url: &str) -> String {
    format!("{DOMAIN}\n{nonce}\n{url}\n")
}

fn check_signature(key: &Ed25519Key, head: &Parts, text: &str) -> Result<(), Miss> {
    let written = head.headers.get(SIGNATURE).ok_or(Miss::Unsigned)?;
    let signature = STANDARD.decode(written.as_bytes().trim_ascii()).map_err(|_| Miss::Forged)?;
    if key.verifies(text.as_bytes(), &signature) { Ok(()) } else { Err(Miss::Forged) }
}
