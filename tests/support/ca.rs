//! A certificate authority of a test's own, and leaves with every flaw that an upstream can have.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CrlDistributionPoint, CustomExtension, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};

/// What is wrong with a leaf (attack 61).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The leaf is itself a certificate authority.
    Authority,
    /// The host stands in the subject's common name and nowhere else.
    CommonNameOnly,
    /// It ended in 2021.
    Expired,
    /// Signed by an intermediate that the server does not send.
    MissingIntermediate,
    /// It begins in 2100.
    NotYetValid,
    /// Signed by its own key.
    SelfSigned,
    /// Signed by a root with the same name as the trusted one, but another key.
    UnknownRoot,
    /// Made for `other.<host>`.
    WrongName,
}

impl Flaw {
    /// All of them, for table tests.
    pub const ALL: [Self; 8] = [
        Self::Authority,
        Self::CommonNameOnly,
        Self::Expired,
        Self::MissingIntermediate,
        Self::NotYetValid,
        Self::SelfSigned,
        Self::UnknownRoot,
        Self::WrongName,
    ];
}

/// A chain and its key, as a server presents them.
#[derive(Debug)]
pub struct Leaf {
    chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
}

impl Clone for Leaf {
    fn clone(&self) -> Self {
        Self { chain: self.chain.clone(), key: self.key.clone() }
    }
}

impl Leaf {
    /// A server's configuration with this leaf and these protocols, the most wanted first; none: no ALPN at all.
    pub fn server_config(&self, alpn: &[&[u8]]) -> Arc<ServerConfig> {
        self.server_config_for(alpn, None)
    }

    /// The same for clients with a certificate that these roots vouch for.
    pub fn server_config_for(&self, alpn: &[&[u8]], clients: Option<&RootCertStore>) -> Arc<ServerConfig> {
        let key = PrivateKeyDer::try_from(self.key.clone()).unwrap();
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(roots) => {
                let roots = Arc::new(roots.clone());
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider()).build().unwrap();
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_single_cert(self.chain.clone(), key).unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Arc::new(config)
    }

    /// The certificates, leaf first.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }
}

/// A root that lives as long as the test.
pub struct TestCa {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Default for TestCa {
    fn default() -> Self {
        Self::new()
    }
}

impl TestCa {
    /// A fresh root.
    pub fn new() -> Self {
        Self { issuer: CertifiedIssuer::self_signed(authority("Test Root"), key()).unwrap() }
    }

    /// A good leaf for one host name or address.
    pub fn leaf(&self, host: &str) -> Leaf {
        self.leaf_for(&[host])
    }

    /// A good leaf for several hosts.
    pub fn leaf_for(&self, hosts: &[&str]) -> Leaf {
        signed(&leaf_params(hosts), &self.issuer)
    }

    /// A leaf for this host, good or without its intermediate, that names this URL for its issuer, for OCSP, and for
    /// its list of revocations.
    pub fn naming(&self, host: &str, url: &str, flaw: Option<Flaw>) -> Leaf {
        let mut params = leaf_params(&[host]);
        params.crl_distribution_points = vec![CrlDistributionPoint { uris: vec![url.to_owned()] }];
        params.custom_extensions = vec![CustomExtension::from_oid_content(&AUTHORITY_INFO_ACCESS, access(url))];
        match flaw {
            Some(Flaw::MissingIntermediate) => {
                let middle = CertifiedIssuer::signed_by(authority("Test Intermediate"), key(), &self.issuer).unwrap();
                signed(&params, &middle)
            }
            _ => signed(&params, &self.issuer),
        }
    }

    /// A leaf for this host that no careful client accepts.
    pub fn flawed(&self, host: &str, flaw: Flaw) -> Leaf {
        let mut params = leaf_params(&[host]);
        match flaw {
            Flaw::Authority => params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
            Flaw::CommonNameOnly => params.subject_alt_names.clear(),
            Flaw::Expired => {
                params.not_before = date_time_ymd(2020, 1, 1);
                params.not_after = date_time_ymd(2021, 1, 1);
            }
            Flaw::MissingIntermediate => {
                let middle = CertifiedIssuer::signed_by(authority("Test Intermediate"), key(), &self.issuer).unwrap();
                return signed(&params, &middle);
            }
            Flaw::NotYetValid => {
                params.not_before = date_time_ymd(2100, 1, 1);
                params.not_after = date_time_ymd(2101, 1, 1);
            }
            Flaw::SelfSigned => {
                let key = key();
                let certificate = params.self_signed(&key).unwrap();
                return Leaf { chain: vec![certificate.der().clone()], key: key.serialize_der() };
            }
            Flaw::UnknownRoot => return Self::new().leaf(host),
            Flaw::WrongName => return self.leaf(&format!("other.{host}")),
        }
        signed(&params, &self.issuer)
    }

    /// A client's certificate, and the text of it and its key in PEM.
    pub fn client(&self, name: &str) -> (CertificateDer<'static>, String) {
        let mut params = leaf_params(&[name]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = key();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.der().clone(), certificate.pem() + &key.serialize_pem())
    }

    /// The root as a file's text.
    pub fn root_pem(&self) -> String {
        self.issuer.pem()
    }

    /// The root.
    pub fn root_der(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    /// Writes `root.pem` into a folder, for settings such as `extra_roots`.
    pub fn write_root(&self, folder: &Path) -> PathBuf {
        let path = folder.join("root.pem");
        std::fs::write(&path, self.root_pem()).unwrap();
        path
    }

    /// A trust store with this root only.
    pub fn roots(&self) -> RootCertStore {
        roots_of_pem(&self.root_pem())
    }
}

/// A trust store with the certificates of a PEM text, such as the proxy's own root.
pub fn roots_of_pem(pem: &str) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    roots
}

/// A client's configuration that trusts these roots and offers these protocols; none: no ALPN at all.
pub fn client_config(roots: &RootCertStore, alpn: &[&[u8]]) -> Arc<ClientConfig> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots.clone())
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

/// Named, so that another provider in the dependency tree cannot make the choice ambiguous.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

const AUTHORITY_INFO_ACCESS: [u64; 9] = [1, 3, 6, 1, 5, 5, 7, 1, 1];

/// The URL as `ocsp` and as `caIssuers` (RFC 5280, 4.2.2.1), in DER.
fn access(url: &str) -> Vec<u8> {
    let sequence = |content: Vec<u8>| [&[0x30, u8::try_from(content.len()).unwrap()][..], &content].concat();
    let name = [&[0x86, u8::try_from(url.len()).unwrap()][..], url.as_bytes()].concat();
    let description = |method| sequence([&[6, 8, 0x2b, 6, 1, 5, 5, 7, 0x30, method][..], &name].concat());
    sequence([description(1), description(2)].concat())
}

fn key() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap()
}

fn signed(params: &CertificateParams, issuer: &CertifiedIssuer<'static, KeyPair>) -> Leaf {
    let key = key();
    let certificate = params.signed_by(&key, issuer).unwrap();
    Leaf { chain: vec![certificate.der().clone()], key: key.serialize_der() }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    in_force(params)
}

fn leaf_params(hosts: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::new(hosts.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
    params.distinguished_name.push(DnType::CommonName, *hosts.first().unwrap());
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    in_force(params)
}

/// Valid for as long as anyone will run these tests, and with the identifiers that strict clients ask for.
fn in_force(mut params: CertificateParams) -> CertificateParams {
    params.not_before = date_time_ymd(2024, 1, 1);
    params.not_after = date_time_ymd(2090, 1, 1);
    params.use_authority_key_identifier_extension = true;
    params
}
