//! The one map from refusal to HTTP answer: problem+json (RFC 9457) with a stable code and the step that mends it.
//!
//! Invariant: nothing but this file decides which status a refusal has and how much its client is told.

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, PROXY_AUTHENTICATE, RETRY_AFTER},
};
use serde_json::json;

use super::{answer::AnswerBody, tongue::Tongue};
use crate::{
    base::{RefusalCode, RequestId},
    broker::Refusal,
};

/// The field that repeats the code, for clients that do not read bodies.
pub(super) const CODE_FIELD: &str = "x-leasehold-code";

/// When to try again after a limit that does not know, in seconds.
const SOON: u64 = 1;

const GIT_REPORT: &str = "application/x-git-receive-pack-result";

const PROBLEM: &str = "application/problem+json";

/// The status of a refusal. Never 401 for a lease: clients answer that with credentials.
pub(super) const fn status(code: RefusalCode) -> StatusCode {
    match code {
        RefusalCode::BadRequest => StatusCode::BAD_REQUEST,
        RefusalCode::MethodDenied => StatusCode::METHOD_NOT_ALLOWED,
        RefusalCode::NotFound | RefusalCode::NeedUnknown => StatusCode::NOT_FOUND,
        RefusalCode::NeedMet => StatusCode::CONFLICT,
        RefusalCode::ProxyAuthRequired => StatusCode::PROXY_AUTHENTICATION_REQUIRED,
        RefusalCode::AuthorityMismatch => StatusCode::MISDIRECTED_REQUEST,
        RefusalCode::Limit => StatusCode::TOO_MANY_REQUESTS,
        RefusalCode::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        RefusalCode::TooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        RefusalCode::AuditUnavailable
        | RefusalCode::CredentialUnavailable
        | RefusalCode::Draining
        | RefusalCode::Killed => StatusCode::SERVICE_UNAVAILABLE,
        RefusalCode::UpstreamFailed | RefusalCode::UpstreamTls => StatusCode::BAD_GATEWAY,
        RefusalCode::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
        RefusalCode::Loop => StatusCode::LOOP_DETECTED,
        _ => StatusCode::FORBIDDEN,
    }
}

/// The answer for a refused exchange, in the words of its client; with the command that asks a person for more, where
/// that is of use.
pub(super) fn answer(refusal: &Refusal, id: RequestId, tongue: &Tongue, ask: Option<&str>) -> Response<AnswerBody> {
    let (status, kind, body) = match tongue {
        Tongue::Http => (status(refusal.code), PROBLEM, problem(refusal, id, ask).into()),
        Tongue::GitRefs => (status(refusal.code), "text/plain", Tongue::plain(refusal, ask).into()),
        // The request was for a report, and the report says that nothing was done.
        Tongue::GitPush(refs) => (StatusCode::OK, GIT_REPORT, Tongue::push_report(refusal, refs, ask)),
    };
    let mut response = Response::new(AnswerBody::from(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CODE_FIELD, HeaderValue::from_static(refusal.code.as_str()));
    match refusal.code {
        // The connection stays usable: git and cargo send credentials only after this (RFC 9110, 11.7.1).
        RefusalCode::ProxyAuthRequired => {
            headers.insert(PROXY_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"leasehold\""));
        }
        RefusalCode::Limit => {
            headers.insert(RETRY_AFTER, HeaderValue::from(retry_after(refusal)));
        }
        // What is ambiguous may be followed by a smuggled request.
        RefusalCode::BadRequest | RefusalCode::BodyTooLarge | RefusalCode::TooLarge => {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        _ => {}
    }
    response
}

/// When to try again, in whole seconds, rounded up: who waits as long is not refused again for the same reason.
fn retry_after(refusal: &Refusal) -> u64 {
    let whole = |wait: Duration| wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    refusal.retry_after.map_or(SOON, whole).max(SOON)
}

/// The same with its framing, for where no HTTP is served: the last words on a connection.
pub(super) fn in_clear(refusal: &Refusal, id: RequestId) -> Vec<u8> {
    let (status, code, body) = (status(refusal.code), refusal.code, problem(refusal, id, None));
    let length = body.len();
    let later =
        if code == RefusalCode::Limit { format!("{RETRY_AFTER}: {}\r\n", retry_after(refusal)) } else { String::new() };
    format!(
        "HTTP/1.1 {status}\r\n{CONTENT_TYPE}: {PROBLEM}\r\n{CODE_FIELD}: {code}\r\n{CONTENT_LENGTH}: {length}\r\n\
         {later}{CONNECTION}: close\r\n\r\n{body}"
    )
    .into_bytes()
}

fn problem(refusal: &Refusal, id: RequestId, ask: Option<&str>) -> String {
    let status = status(refusal.code);
    let mut problem = json!({
        "type": "about:blank",
        "title": title(refusal.code),
        "status": status.as_u16(),
        "code": refusal.code,
        "detail": refusal.detail,
        "fix": refusal.fix,
        "request_id": id,
    });
    if let (Some(map), Some(nearest)) = (problem.as_object_mut(), &refusal.nearest) {
        map.insert("nearest".into(), nearest.as_str().into());
    }
    if let (Some(map), Some(capability)) = (problem.as_object_mut(), &refusal.capability) {
        map.insert("capability".into(), (**capability).into());
    }
    if let (Some(map), Some(ask)) = (problem.as_object_mut(), ask) {
        map.insert("ask".into(), ask.into());
    }
    let mut body = problem.to_string();
    body.push('\n'); // git and curl print it to a terminal
    body
}

const fn title(code: RefusalCode) -> &'static str {
    match code {
        RefusalCode::AddressDenied => "The address may not be dialled",
        RefusalCode::ApprovalDenied => "A person denied the request",
        RefusalCode::AuditUnavailable => "The audit log is not writable",
        RefusalCode::AuthorityMismatch => "The request names more than one authority",
        RefusalCode::BadRequest => "The request is malformed",
        RefusalCode::BodyTooLarge => "The body is too large",
        RefusalCode::CapDenied => "No capability allows the request",
        RefusalCode::CredentialUnavailable => "The credential is not available",
        RefusalCode::Draining => "The daemon is stopping",
        RefusalCode::Expired => "The lease has expired",
        RefusalCode::ForeignCredential => "A credential that is no lease was sent",
        RefusalCode::HostDenied => "The host is denied",
        RefusalCode::IssueRefused => "The answer would carry a credential",
        RefusalCode::Killed => "The kill switch is tripped",
        RefusalCode::Limit => "A limit is reached",
        RefusalCode::Loop => "The request came back",
        RefusalCode::MethodDenied => "The method is never forwarded",
        RefusalCode::NeedMet => "The session has what it asks for",
        RefusalCode::NeedUnknown => "There is no such capability",
        RefusalCode::NeedsApproval => "A person must approve the request",
        RefusalCode::NoGrant => "No grant covers the request",
        RefusalCode::NotFound => "There is nothing here",
        RefusalCode::NoLease => "The request carries no lease",
        RefusalCode::NotYet => "The service needs what is not built yet",
        RefusalCode::OutOfScope => "The request lies outside the grant",
        RefusalCode::ProxyAuthRequired => "The proxy wants credentials",
        RefusalCode::Revoked => "The lease was revoked",
        RefusalCode::StrayLease => "A lease token is out of place",
        RefusalCode::TokenForeignSession => "The lease belongs to another session",
        RefusalCode::TokenUnknown => "The lease token is unknown",
        RefusalCode::TooLarge => "The head is too large",
        RefusalCode::UpstreamFailed => "The upstream failed",
        RefusalCode::UpstreamTimeout => "The upstream did not answer in time",
        RefusalCode::UpstreamTls => "The upstream could not be verified",
    }
}
