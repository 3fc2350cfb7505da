//! The one map from refusal to HTTP answer: problem+json (RFC 9457) with a stable code and the step that mends it.
//!
//! Invariant: nothing but this file decides which status a refusal has and how much its client is told.

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CONNECTION, CONTENT_TYPE, PROXY_AUTHENTICATE},
};
use serde_json::json;

use super::answer::AnswerBody;
use crate::{
    base::{RefusalCode, RequestId},
    broker::Refusal,
};

/// The field that repeats the code, for clients that do not read bodies.
pub(super) const CODE_FIELD: &str = "x-leasehold-code";

/// The status of a refusal. Never 401 for a lease: clients answer that with credentials.
pub(super) const fn status(code: RefusalCode) -> StatusCode {
    match code {
        RefusalCode::BadRequest => StatusCode::BAD_REQUEST,
        RefusalCode::MethodDenied => StatusCode::METHOD_NOT_ALLOWED,
        RefusalCode::ProxyAuthRequired => StatusCode::PROXY_AUTHENTICATION_REQUIRED,
        RefusalCode::AuthorityMismatch => StatusCode::MISDIRECTED_REQUEST,
        RefusalCode::Limit => StatusCode::TOO_MANY_REQUESTS,
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

/// The answer for a refused exchange.
pub(super) fn answer(refusal: &Refusal, id: RequestId) -> Response<AnswerBody> {
    let status = status(refusal.code);
    let mut problem = json!({
        "type": "about:blank",
        "title": title(refusal.code),
        "status": status.as_u16(),
        "code": refusal.code,
        "detail": refusal.detail,
        "request_id": id,
    });
    if let Some(map) = problem.as_object_mut() {
        if let Some(fix) = &refusal.fix {
            map.insert("fix".into(), fix.as_str().into());
        }
        if let Some(nearest) = &refusal.nearest {
            map.insert("nearest".into(), nearest.as_str().into());
        }
    }
    let mut body = problem.to_string();
    body.push('\n'); // git and curl print it to a terminal
    let mut response = Response::new(AnswerBody::from(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(CODE_FIELD, HeaderValue::from_static(refusal.code.as_str()));
    match refusal.code {
        // The connection stays usable: git and cargo send credentials only after this (RFC 9110, 11.7.1).
        RefusalCode::ProxyAuthRequired => {
            headers.insert(PROXY_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"leasehold\""));
        }
        // What is ambiguous may be followed by a smuggled request.
        RefusalCode::BadRequest | RefusalCode::TooLarge => {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        _ => {}
    }
    response
}

const fn title(code: RefusalCode) -> &'static str {
    match code {
        RefusalCode::AddressDenied => "The address may not be dialled",
        RefusalCode::AuditUnavailable => "The audit log is not writable",
        RefusalCode::AuthorityMismatch => "The request names more than one authority",
        RefusalCode::BadRequest => "The request is malformed",
        RefusalCode::CapDenied => "No capability allows the request",
        RefusalCode::CredentialUnavailable => "The credential is not available",
        RefusalCode::Draining => "The daemon is stopping",
        RefusalCode::Expired => "The lease has expired",
        RefusalCode::ForeignCredential => "A credential that is no lease was sent",
        RefusalCode::HostDenied => "The host is denied",
        RefusalCode::Killed => "The kill switch is tripped",
        RefusalCode::Limit => "A limit is reached",
        RefusalCode::Loop => "The request came back",
        RefusalCode::MethodDenied => "The method is never forwarded",
        RefusalCode::NeedsApproval => "A person must approve the request",
        RefusalCode::NoGrant => "No grant covers the request",
        RefusalCode::NoLease => "The request carries no lease",
        RefusalCode::OutOfScope => "The request lies outside the grant",
        RefusalCode::ProxyAuthRequired => "The proxy wants credentials",
        RefusalCode::Revoked => "The lease was revoked",
        RefusalCode::StrayLease => "A lease token is out of place",
        RefusalCode::TokenForeignSession => "The lease belongs to another session",
        RefusalCode::TokenUnknown => "The lease token is unknown",
        RefusalCode::TooLarge => "The request is too large",
        RefusalCode::UpstreamFailed => "The upstream failed",
        RefusalCode::UpstreamTimeout => "The upstream did not answer in time",
        RefusalCode::UpstreamTls => "The upstream could not be verified",
    }
}
