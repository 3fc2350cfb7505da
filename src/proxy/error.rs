//! Why a body broke off, and why the proxy could not start.

use std::io;

use crate::base::CutReason;

/// What can go wrong in the data plane itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The listener cannot be had; the operator's fault or another program's.
    #[error("cannot listen on `{address}`: {source}")]
    Listen {
        /// The address asked for.
        address: std::net::SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    /// The sender broke off or framed wrongly.
    #[error("the sender broke off: {0}")]
    Broken(#[from] hyper::Error),
    /// Decoding failed or grew out of bounds.
    #[error("the answer's coding cannot be read: {0}")]
    Coding(io::Error),
    /// The lease was cut.
    #[error("the lease was cut: {}", .0.as_str())]
    Cut(CutReason),
    /// Fields of the answer are withheld, and it is no JSON.
    #[error("fields of the answer are withheld, and it cannot be read as JSON")]
    NoJson,
    /// The answer must be read whole first, and is too long for that.
    #[error("fields of the answer are withheld, and it has more than {0} bytes")]
    TooMuch(usize),
    /// The request body holds a lease token.
    #[error("the request body holds a lease token")]
    Stray,
    /// The request body is longer than its rule allows.
    #[error("the request body is longer than its rule allows")]
    TooLong,
}
