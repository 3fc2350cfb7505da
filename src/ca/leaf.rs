//! One leaf: a fresh key and a certificate for exactly one host, ready to serve TLS with.

use std::{net::IpAddr, sync::Arc};

use rcgen::{CertificateParams, DistinguishedName, DnType, IsCa, KeyPair, SanType};
use rustls::{
    ServerConfig,
    crypto::CryptoProvider,
    pki_types::PrivateKeyDer,
    server::{NoServerSessionStorage, ProducesTickets},
    version::{TLS12, TLS13},
};

use super::{
    Error,
    profile::PROFILE,
    root::{Root, minus, set_period},
};
use crate::base::{Host, Timestamp};

/// What all leaves share: cryptography and the keys of session tickets, so that a renewed leaf forgets no session.
pub(super) struct Shared {
    pub(super) provider: Arc<CryptoProvider>,
    pub(super) ticketer: Arc<dyn ProducesTickets>,
}

impl Shared {
    pub(super) fn new() -> Result<Self, Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        Ok(Self { provider, ticketer: rustls::crypto::aws_lc_rs::Ticketer::new()? })
    }
}

/// A leaf with the two ways to serve it, and the time within which it may be served.
pub(super) struct Leaf {
    /// Offers what the profile offers: HTTP/2 and HTTP/1.1.
    pub(super) every_protocol: Arc<ServerConfig>,
    /// Offers HTTP/1.1 alone.
    pub(super) http1: Arc<ServerConfig>,
    begins: Timestamp,
    renew_at: Timestamp,
}

impl Leaf {
    /// Makes a leaf; about 60 microseconds.
    pub(super) fn mint(root: &Root, host: &Host, now: Timestamp, shared: &Shared) -> Result<Self, Error> {
        let profile = &PROFILE.leaf;
        if now < root.public.begins || root.public.ends <= now {
            return Err(Error::Expired);
        }
        let begins = minus(now, profile.backdated()).max(root.public.begins);
        let ends = now.plus(profile.lifetime()).min(root.public.ends);
        let (certificate, key) = sign(root, host, begins, ends)
            .map_err(|source| Error::Certificate { what: "a host certificate", source })?;

        let mut config = ServerConfig::builder_with_provider(Arc::clone(&shared.provider))
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)?;
        config.alpn_protocols = PROFILE.tls.alpn();
        config.send_tls13_tickets = PROFILE.tls.session_tickets;
        config.ticketer = Arc::clone(&shared.ticketer);
        // Tickets carry their session; the default would reserve a table for 256 more beside every host.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.max_early_data_size = 0; // early data can be replayed

        let mut http1 = config.clone();
        http1.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Near the root's end the margin would lie in the past; half of what is left keeps a leaf usable.
        let half = now.plus(ends.since(now) / 2);
        let renew_at = minus(ends, profile.renew_before_end()).max(half);
        Ok(Self { every_protocol: Arc::new(config), http1: Arc::new(http1), begins, renew_at })
    }

    /// Whether it may still be served, by the wall clock alone: that is what clients judge it by (attack 107).
    pub(super) fn is_fresh(&self, now: Timestamp) -> bool {
        self.begins <= now && now < self.renew_at
    }
}

type Signed = (rustls::pki_types::CertificateDer<'static>, PrivateKeyDer<'static>);

fn sign(root: &Root, host: &Host, begins: Timestamp, ends: Timestamp) -> Result<Signed, rcgen::Error> {
    let profile = &PROFILE.leaf;
    // An address needs an address entry; written as a name it is refused by every client (attack 29).
    let (name, text) = match host {
        Host::Address(IpAddr::V4(address)) => (SanType::IpAddress((*address).into()), address.to_string()),
        Host::Address(IpAddr::V6(address)) => (SanType::IpAddress((*address).into()), address.to_string()),
        Host::Name(name) => (SanType::DnsName(name.as_ref().try_into()?), name.to_string()),
    };
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    if text.len() <= profile.longest_common_name {
        params.distinguished_name.push(DnType::CommonName, text);
    }
    params.subject_alt_names = vec![name]; // critical when the subject is empty
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = profile.usages();
    params.extended_key_usages = profile.extended_usages();
    params.use_authority_key_identifier_extension = true;
    set_period(&mut params, begins, ends);
    let key = KeyPair::generate_for(profile.key.algorithm())?;
    let certificate = params.signed_by(&key, &root.issuer)?;
    Ok((certificate.into(), key.into()))
}
