//! What can go wrong between us and an upstream.

use std::{io, net::IpAddr};

use super::Denied;
use crate::base::{Host, RefusalCode};

/// Why an upstream cannot be reached. The fault is the upstream's, the network's or, for addresses, the operator's policy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name resolved to an address that may not be dialled.
    #[error("`{host}` leads to `{address}`, which is {kind}; no connection was made")]
    AddressDenied {
        /// The host asked for.
        host: Host,
        /// The first address that is not allowed.
        address: IpAddr,
        /// Why not.
        kind: Denied,
    },
    /// TCP said no.
    #[error("cannot connect to `{host}`: {source}")]
    Connect {
        /// The host asked for.
        host: Host,
        /// What the system said.
        source: io::Error,
    },
    /// The address is one of our own listeners.
    #[error("`{host}` leads back to this proxy; no connection was made")]
    Loop {
        /// The host asked for.
        host: Host,
    },
    /// The name does not resolve.
    #[error("cannot resolve `{host}`: {source}")]
    Resolve {
        /// The host asked for.
        host: Host,
        /// What the resolver said.
        source: io::Error,
    },
    /// A file of root certificates cannot be used.
    #[error("cannot use `{path}` as root certificates: {why}")]
    Roots {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// HTTP broke off.
    #[error("`{host}` broke off: {source}")]
    Http {
        /// The host asked for.
        host: Host,
        /// What hyper said.
        source: hyper::Error,
    },
    /// A phase took longer than its deadline.
    #[error("`{host}` did not {phase} in time")]
    Timeout {
        /// The host asked for.
        host: Host,
        /// `answer`, `connect`, …
        phase: &'static str,
    },
    /// The handshake failed; not one byte of HTTP was sent.
    #[error("the certificate or handshake of `{host}` is not acceptable: {source}")]
    Tls {
        /// The host asked for.
        host: Host,
        /// What rustls said.
        source: io::Error,
    },
}

impl Error {
    /// What mends it: a command to run, or one step for the operator.
    pub fn fix(&self) -> String {
        match self {
            Self::AddressDenied { kind: Denied::Localhost, .. } => {
                "give the host an address under `[upstream.hosts]` in config.toml, if it is meant".to_owned()
            }
            Self::AddressDenied { kind: Denied::Metadata, .. } => {
                "use a secret of this store instead; no setting opens the way to a metadata service".to_owned()
            }
            Self::AddressDenied { kind: Denied::Special(_), address, .. } => {
                format!("add \"{address}\" to `upstream.allow_addresses` in config.toml, if it is meant")
            }
            Self::Connect { host, .. } | Self::Http { host, .. } | Self::Timeout { host, .. } => {
                format!("try again; if it stays so, see whether `{host}` answers without the proxy")
            }
            Self::Loop { .. } => {
                "leave the proxy's own address to HTTPS_PROXY, and name the host that is meant".to_owned()
            }
            Self::Resolve { host, .. } => {
                format!("mend the name, or give `{host}` an address under `[upstream.hosts]` in config.toml")
            }
            Self::Roots { .. } => "secrets doctor".to_owned(),
            Self::Tls { .. } => {
                "if the host has a private certificate authority, add its file to `upstream.extra_roots` in config.toml"
                    .to_owned()
            }
        }
    }

    /// The stable code for refusals.
    pub const fn code(&self) -> RefusalCode {
        match self {
            Self::AddressDenied { .. } => RefusalCode::AddressDenied,
            Self::Connect { .. } | Self::Http { .. } | Self::Resolve { .. } | Self::Roots { .. } => {
                RefusalCode::UpstreamFailed
            }
            Self::Loop { .. } => RefusalCode::Loop,
            Self::Timeout { .. } => RefusalCode::UpstreamTimeout,
            Self::Tls { .. } => RefusalCode::UpstreamTls,
        }
    }
}
