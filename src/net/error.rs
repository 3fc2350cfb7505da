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
    /// It wants a client certificate, or does not take the one that was shown (RFC 8446, 6.2).
    #[error("`{host}` does not take the client certificate that it was shown, or wants one: {alert}")]
    Identity {
        /// The host asked for.
        host: Host,
        /// The alert that it sent.
        alert: &'static str,
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
    /// A handshake that failed.
    pub(super) fn of_tls(host: &Host, source: io::Error) -> Self {
        match about_identity(&source) {
            Some(alert) => Self::Identity { host: host.clone(), alert },
            None => Self::Tls { host: host.clone(), source },
        }
    }

    /// HTTP that broke off, on a connection that was told this.
    pub(super) fn of_http(host: Host, source: hyper::Error, alert: Option<&'static str>) -> Self {
        match alert {
            Some(alert) => Self::Identity { host, alert },
            None => Self::Http { host, source },
        }
    }

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
            Self::Identity { .. } => {
                "replace the secret of its client certificate with one that it takes (`secrets update`), or, if its service \
                 has none, give it a credential of the type `certificate`"
                    .to_owned()
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
            Self::Identity { .. } | Self::Tls { .. } => RefusalCode::UpstreamTls,
        }
    }
}

/// The alert by which a peer says no to us, if that is why.
pub(super) fn about_identity(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    use rustls::AlertDescription as Alert;
    let mut next = Some(error);
    while let Some(error) = next {
        // An I/O error hides the one that it was made of, and `source` skips it.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let tls = inner.and_then(|inner| inner.downcast_ref()).or_else(|| error.downcast_ref::<rustls::Error>());
        if let Some(rustls::Error::AlertReceived(alert)) = tls {
            let known = [
                (Alert::AccessDenied, "access denied"),
                (Alert::BadCertificate, "bad certificate"),
                (Alert::CertificateExpired, "certificate expired"),
                (Alert::CertificateRequired, "certificate required"),
                (Alert::CertificateRevoked, "certificate revoked"),
                (Alert::CertificateUnknown, "certificate unknown"),
                (Alert::DecryptError, "signature not verified"),
                (Alert::UnknownCA, "unknown authority"),
                (Alert::UnsupportedCertificate, "unsupported certificate"),
            ];
            return known.iter().find(|(one, _)| one == alert).map(|(_, words)| *words);
        }
        next = error.source();
    }
    None
}
