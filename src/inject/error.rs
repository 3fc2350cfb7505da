//! Why a credential cannot be found or written at its place.

use http::HeaderName;

use crate::net::IdentityError;

/// What is wrong with the request, the secret or the upstream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The connection was verified for another authority; ours.
    #[error("the connection was verified for `{verified}`, the request is for `{wanted}`")]
    Authority {
        /// Whose certificate was seen.
        verified: String,
        /// Whom the request is for.
        wanted: String,
    },
    /// The cookie stands there twice; the client's fault.
    #[error("cookie `{0}` appears more than once; a credential has one place")]
    DuplicateCookie(String),
    /// The field or key stands there twice; the client's fault.
    #[error("`{0}` appears more than once in the body; a credential has one place")]
    DuplicateField(String),
    /// The field stands there twice; the client's fault.
    #[error("header `{0}` appears more than once; a credential has one place")]
    DuplicateHeader(HeaderName),
    /// The parameter stands there twice; the client's fault.
    #[error("query parameter `{0}` appears more than once; a credential has one place")]
    DuplicateQuery(String),
    /// The value is no client certificate; the secret's owner's fault.
    #[error("the secret cannot be shown as a client certificate: {0}")]
    Identity(IdentityError),
    /// The value holds bytes that its place cannot carry; the secret's owner's fault.
    #[error("the secret cannot be written into {place}: {why}")]
    Unwritable {
        /// Which place.
        place: &'static str,
        /// What it cannot carry.
        why: &'static str,
    },
}
