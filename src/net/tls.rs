//! TLS towards upstreams: system roots plus the operator's own, or the one authority that a host has to itself; never
//! without verification.
//!
//! Invariant: [`VerifiedUpstream`] is made here and nowhere else, after rustls has verified that the peer holds
//! a certificate for exactly this host; the swap takes it as an argument.

use std::{
    fmt,
    hash::{Hash, Hasher},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{Error, Identity};
use crate::base::{Authority, Host, hex, read_bounded, sha256};

/// Proof that a TLS connection ends at a verified holder of this authority's name.
#[derive(Clone, Debug)]
pub struct VerifiedUpstream {
    authority: Authority,
    http2: bool,
}

impl VerifiedUpstream {
    /// The authority whose name was verified.
    pub const fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Whether ALPN chose HTTP/2.
    pub const fn is_http2(&self) -> bool {
        self.http2
    }

    /// For tests of what needs a proof but no network.
    #[cfg(test)]
    pub(crate) const fn pretend(authority: Authority) -> Self {
        Self { authority, http2: false }
    }
}

/// Which protocols to offer by ALPN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Offer {
    /// `h2` and `http/1.1`.
    Any,
    /// `http/1.1` only, as upgrades need.
    Http1,
}

/// The TLS client: one configuration per offer, each with its own resumption store, keyed by server name.
#[derive(Clone)]
pub struct TlsClient {
    roots: Arc<RootCertStore>,
    any: TlsConnector,
    http1: TlsConnector,
}

impl TlsClient {
    /// A client that trusts the system's roots and these PEM files.
    ///
    /// # Errors
    /// An extra file that cannot be read or holds no certificate; the operator's fault.
    pub fn new(extra_roots: &[PathBuf]) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        let (_, _) = roots.add_parsable_certificates(system_roots());
        for path in extra_roots {
            let certificates = read_pem(path)?;
            let (added, _) = roots.add_parsable_certificates(certificates);
            if added == 0 {
                return Err(Error::Roots { path: path.display().to_string(), why: "no usable certificate".into() });
            }
        }
        Self::of(roots)
    }

    /// A client that trusts these certificates and no others.
    fn of(roots: RootCertStore) -> Result<Self, Error> {
        let roots = Arc::new(roots);
        let connector = |offer| connector(&roots, offer, None);
        Ok(Self { any: connector(Offer::Any)?, http1: connector(Offer::Http1)?, roots })
    }

    /// Completes a handshake and gives the proof of it. An `identity` is shown where the upstream asks for one, after it
    /// was verified itself.
    pub async fn connect(
        &self,
        authority: &Authority,
        stream: TcpStream,
        offer: Offer,
        identity: Option<&Identity>,
    ) -> Result<(TlsStream<TcpStream>, VerifiedUpstream), Error> {
        let shows; // its own sessions too: what one identity began, another does not resume
        let connector = match (identity, offer) {
            (Some(_), _) => {
                shows = connector(&self.roots, offer, identity)?;
                &shows
            }
            (None, Offer::Any) => &self.any,
            (None, Offer::Http1) => &self.http1,
        };
        let connecting = connector.connect(server_name(&authority.host)?, stream);
        let stream = connecting.await.map_err(|source| Error::of_tls(&authority.host, source))?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok((stream, VerifiedUpstream { authority: authority.clone(), http2 }))
    }
}

fn connector(roots: &Arc<RootCertStore>, offer: Offer, identity: Option<&Identity>) -> Result<TlsConnector, Error> {
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Roots { path: "TLS versions".into(), why: error.to_string() })?
        .with_root_certificates(Arc::clone(roots));
    let mut config = match identity {
        Some(identity) => builder.with_client_cert_resolver(identity.resolver()),
        None => builder.with_no_client_auth(),
    };
    let protocols: &[&[u8]] = match offer {
        Offer::Any => &[b"h2", b"http/1.1"],
        Offer::Http1 => &[b"http/1.1"],
    };
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    config.enable_early_data = false; // RFC 8470: a credential is never replayable
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The only certificates that a host may be vouched for by, in the place of the system's: a private authority.
///
/// Two with the same certificates are equal, so that what was verified by one counts for the other.
#[derive(Clone)]
pub struct Roots(Arc<Bundle>);

struct Bundle {
    digest: [u8; 32],
    client: TlsClient,
}

impl Roots {
    /// The largest file of certificates: 1 MiB.
    const MAX_FILE: u64 = 1024 * 1024;

    /// Reads a file of certificates in PEM (RFC 7468). Links are not followed: it stands among the files of policy.
    ///
    /// # Errors
    /// A file that cannot be read or holds no certificate; the fault of whoever named it.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let roots = |why: String| Error::Roots { path: path.display().to_string(), why };
        let (pem, _) = read_bounded(path, Self::MAX_FILE).map_err(|e| roots(e.to_string()))?;
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        let certificates = read.map_err(|e| roots(e.to_string()))?;
        let mut all = Vec::new();
        let mut store = RootCertStore::empty();
        for certificate in certificates {
            all.extend_from_slice(&sha256(&certificate));
            store.add(certificate).map_err(|e| roots(e.to_string()))?;
        }
        if store.is_empty() {
            return Err(roots("no certificate is in it".into()));
        }
        Ok(Self(Arc::new(Bundle { digest: sha256(&all), client: TlsClient::of(store)? })))
    }

    /// The client that trusts them alone.
    pub(super) fn client(&self) -> &TlsClient {
        &self.0.client
    }
}

impl PartialEq for Roots {
    fn eq(&self, other: &Self) -> bool {
        self.0.digest == other.0.digest
    }
}

impl Eq for Roots {}

impl Hash for Roots {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.digest.hash(state);
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Roots").field(&hex(&self.0.digest)).finish()
    }
}

fn server_name(host: &Host) -> Result<ServerName<'static>, Error> {
    match host {
        Host::Address(address) => Ok(ServerName::IpAddress((*address).into())),
        Host::Name(name) => ServerName::try_from(name.to_string()).map_err(|_| Error::Tls {
            host: host.clone(),
            source: std::io::Error::new(std::io::ErrorKind::InvalidInput, "no certificate can hold this name"),
        }),
    }
}

fn read_pem(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let roots = |why: String| Error::Roots { path: path.display().to_string(), why };
    // A link is fine here: distributions link their bundles, and the operator named the file.
    let path = path.canonicalize().map_err(|e| roots(e.to_string()))?;
    let (pem, _) = read_bounded(&path, 16 * 1024 * 1024).map_err(|e| roots(e.to_string()))?;
    CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(|e| roots(e.to_string()))
}

/// The system's bundle. `SSL_CERT_FILE` and `SSL_CERT_DIR` of the daemon's environment are ignored on purpose:
/// whoever starts the daemon must not choose whom it trusts (attack 67).
fn system_roots() -> Vec<CertificateDer<'static>> {
    const FILES: [&str; 6] = [
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
        "/etc/ssl/cert.pem",
        "/opt/homebrew/etc/ca-certificates/cert.pem",
    ];
    let file = FILES.iter().map(Path::new).find(|path| path.exists());
    match file {
        Some(file) => rustls_native_certs::load_certs_from_paths(Some(file), None).certs,
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_roots_that_are_none_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty.pem");
        std::fs::write(&empty, "no certificate here").unwrap();
        let error = TlsClient::new(&[empty]).err().unwrap().to_string();
        assert!(error.contains("empty.pem") && error.contains("no usable certificate"), "{error}");
        assert!(TlsClient::new(&[folder.path().join("missing.pem")]).is_err());
    }
}
