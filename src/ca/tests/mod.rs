//! What the tests of the authority share: a stand-in sealer, a set clock, a client that verifies.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConnection,
    pki_types::{CertificateDer, ServerName, UnixTime},
    time_provider::TimeProvider,
};

use super::*;
use crate::base::Timestamp;

mod certificates;
mod files;
mod leaves;

/// Turns the bytes over, so that the sealed file holds none of the clear ones.
#[derive(Default)]
struct Mirror(AtomicUsize);

impl Sealer for Mirror {
    fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, String> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(plain.iter().rev().map(|byte| !byte).collect())
    }

    fn unseal(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, String> {
        Ok(Zeroizing::new(sealed.iter().rev().map(|byte| !byte).collect()))
    }
}

struct Stranger;

impl Sealer for Stranger {
    fn seal(&self, _: &[u8]) -> Result<Vec<u8>, String> {
        Err("the identity cannot seal".into())
    }

    fn unseal(&self, _: &[u8]) -> Result<Zeroizing<Vec<u8>>, String> {
        Err("it was sealed for somebody else".into())
    }
}

const DAY: Duration = Duration::from_hours(24);
const SECOND: Duration = Duration::from_secs(1);

fn clock() -> Clock {
    Clock::manual(Timestamp::parse("2026-11-05T10:00:00Z").unwrap())
}

fn authority(folder: &Path, clock: &Clock) -> CertificateAuthority {
    CertificateAuthority::create_or_open(folder, &Mirror::default(), clock.clone(), &NameScope::Any).unwrap()
}

fn root_der(ca: &CertificateAuthority) -> Vec<u8> {
    crate::base::read_pem_certificates(ca.certificate_pem().as_bytes()).certificates.remove(0)
}

/// Judges certificates by the manual clock.
#[derive(Debug)]
struct At(Clock);

impl TimeProvider for At {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_millis(self.0.now().as_millis().cast_unsigned())))
    }
}

fn client(ca: &CertificateAuthority) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(root_der(ca))).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_details(provider, Arc::new(At(ca.0.clock.clone())));
    let mut config =
        builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

/// What a client that believes the root saw, or why it refused.
struct Seen {
    chain: Vec<CertificateDer<'static>>,
    alpn: Option<Vec<u8>>,
    resumed: bool,
}

fn connect(config: &Arc<ServerConfig>, client: &Arc<ClientConfig>, host: &str) -> Result<Seen, rustls::Error> {
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::clone(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::clone(config)).unwrap();
    let mut wire = Vec::new();
    for _ in 0..8 {
        wire.clear();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut &*wire).unwrap();
        server.process_new_packets()?;
        wire.clear();
        server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut &*wire).unwrap();
        client.process_new_packets()?;
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok(Seen {
        chain: client.peer_certificates().unwrap().iter().map(|c| c.clone().into_owned()).collect(),
        alpn: client.alpn_protocol().map(<[u8]>::to_vec),
        resumed: client.handshake_kind() == Some(rustls::HandshakeKind::Resumed),
    })
}

async fn seen(ca: &CertificateAuthority, host: &str) -> Seen {
    let config = ca.server_config(&host.parse().unwrap()).await.unwrap();
    connect(&config, &client(ca), host.trim_matches(['[', ']'])).unwrap()
}
