//! TLS as an attacker speaks it: it verifies nobody, names whom it wants, and cuts its hello into pieces.

use std::{io, sync::Arc};

use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;

use crate::support::{RawClient, within};

/// Accepts every certificate.
#[derive(Debug)]
struct Gullible;

impl ServerCertVerifier for Gullible {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// Which server name a hello carries.
#[derive(Clone, Copy)]
pub enum Sni<'a> {
    /// This one.
    Named(&'a str),
    /// None at all.
    Silent,
}

/// TLS over a stream with any server name, whatever certificate comes; HTTP/1.1 by ALPN.
pub async fn start_tls(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    sni: Sni<'_>,
) -> io::Result<RawClient> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Gullible))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.enable_sni = matches!(sni, Sni::Named(_));
    let name = match sni {
        Sni::Named(name) => name.to_owned(),
        Sni::Silent => "nobody.test".to_owned(),
    };
    let connector = TlsConnector::from(Arc::new(config));
    let stream = within("a TLS handshake", connector.connect(ServerName::try_from(name).unwrap(), io)).await?;
    Ok(RawClient::over(stream))
}

/// A stream whose first TLS record goes out as many records of `size` bytes each.
pub fn in_small_records(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    size: usize,
) -> impl AsyncRead + AsyncWrite + Unpin + Send + 'static {
    let (near, mut far) = tokio::io::duplex(1 << 16);
    tokio::spawn(async move {
        let mut io = io;
        let mut head = [0; 5];
        far.read_exact(&mut head).await.unwrap();
        let mut payload = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
        far.read_exact(&mut payload).await.unwrap();
        for piece in payload.chunks(size) {
            let length = u16::try_from(piece.len()).unwrap().to_be_bytes();
            io.write_all(&[&head[..3], &length, piece].concat()).await.unwrap();
            io.flush().await.unwrap();
        }
        let _ = tokio::io::copy_bidirectional(&mut far, &mut io).await; // ends with either side
    });
    near
}
