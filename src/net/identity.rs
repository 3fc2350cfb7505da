//! A client certificate with its key: as whom we come to an upstream that asks for one (RFC 8446, 4.3.2 and 4.4.2).
//!
//! Invariant: like an armed request it is blind. It has no getters, and `Debug` says nothing of it.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use rustls::{
    client::ResolvesClientCert,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::{CertifiedKey, SingleCertAndKey},
};
use zeroize::Zeroizing;

use crate::base::sha256;

/// Made of one text in PEM (RFC 7468): the certificate, those that lead to its authority, and the one private key.
///
/// Two of the same text are equal, so that a connection on which one was shown counts for the other.
#[derive(Clone)]
pub struct Identity(Arc<Shown>);

struct Shown {
    digest: Zeroizing<[u8; 32]>,
    key: Arc<SingleCertAndKey>,
}

/// Why a text is no certificate with its key; the fault of whoever stored it. Says nothing of what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Nothing in PEM, or another thing than certificates.
    #[error("it holds no certificate in PEM")]
    Certificate,
    /// No key, or one with a passphrase.
    #[error("it holds no private key in PEM, or one with a passphrase")]
    Key,
    /// More than one key.
    #[error("it holds more than one private key")]
    Keys,
    /// They do not belong together, or are of a kind that TLS has no use for.
    #[error("its private key does not belong to its first certificate, or is of a kind that TLS does not use")]
    Pair,
}

impl Identity {
    /// Reads a certificate and its key, in any order; the first certificate is the one that the key belongs to.
    ///
    /// # Errors
    /// What is missing, or does not fit.
    pub fn parse(pem: &[u8]) -> Result<Self, IdentityError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or(IdentityError::Certificate)?;
        let mut keys = PrivateKeyDer::pem_slice_iter(pem);
        let key = keys.next().and_then(Result::ok).ok_or(IdentityError::Key)?;
        if keys.next().is_some() {
            return Err(IdentityError::Keys);
        }
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let key = CertifiedKey::from_der(chain, key, &provider).map_err(|_| IdentityError::Pair)?;
        Ok(Self(Arc::new(Shown { digest: Zeroizing::new(sha256(pem)), key: Arc::new(SingleCertAndKey::from(key)) })))
    }

    /// What answers an upstream's request for a certificate.
    pub(super) fn resolver(&self) -> Arc<dyn ResolvesClientCert> {
        Arc::clone(&self.0.key) as _
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.0.digest == other.0.digest
    }
}

impl Eq for Identity {}

impl Hash for Identity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.digest.hash(state);
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}
