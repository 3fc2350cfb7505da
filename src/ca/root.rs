//! The root: made once a year, its key sealed on disk, its certificate public.
//!
//! Invariant: the private key is never on disk in clear. Key and certificate are sealed together in one file, so no
//! crash can leave a key beside another root's certificate; `root.pem` is a copy for people and is put right at start.

use std::{
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PublicKeyData, SigningKey};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use zeroize::{Zeroize as _, Zeroizing};

use super::{Error, NameScope, Sealer, profile::PROFILE};
use crate::base::{
    AtomicFileError, Clock, Timestamp, hex, random, read_bounded, replace, sha256, write_pem_certificate,
};

const MAGIC: &[u8] = b"leasehold root 1\n";
const LARGEST_FILE: u64 = 64 * 1024;

/// The parts of a root that everyone may know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicRoot {
    /// The certificate as PEM text.
    pub pem: String,
    /// SHA-256 over the certificate, in capital hexadecimal pairs with colons, as browsers and `openssl` show it.
    pub fingerprint: String,
    /// The unique name of this root.
    pub common_name: String,
    /// When it begins to be valid.
    pub begins: Timestamp,
    /// When it ends.
    pub ends: Timestamp,
    /// Which names it may vouch for.
    pub scope: NameScope,
}

impl PublicRoot {
    /// Reads `root.pem` of the authority's folder, without any key; `None` when there is no root yet.
    pub fn read(folder: &Path) -> Result<Option<Self>, Error> {
        let path = certificate_path(folder);
        let text = match read_bounded(&path, LARGEST_FILE) {
            Err(error) if error.is_missing() => return Ok(None),
            other => other?.0,
        };
        let der = crate::base::read_pem_certificates(&text).certificates.into_iter().next();
        der.and_then(|der| Self::parse(&der)).map(Some).ok_or(Error::KeyDamaged(path))
    }

    fn parse(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let second = |seconds: i64| Timestamp::from_millis(seconds.saturating_mul(1_000));
        let common_name = certificate.subject().iter_common_name().next()?.as_str().ok()?.to_owned();
        Some(Self {
            pem: write_pem_certificate(der),
            fingerprint: fingerprint(der),
            common_name,
            begins: second(certificate.validity().not_before.timestamp()),
            ends: second(certificate.validity().not_after.timestamp()),
            scope: NameScope::of(&certificate),
        })
    }

    /// Whether the root is valid now and will be for longer than the time in which a new one is made.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.begins <= now && self.ends.since(now) > PROFILE.root.renew_before_end()
    }
}

fn fingerprint(der: &[u8]) -> String {
    sha256(der).map(|byte| format!("{byte:02X}")).join(":")
}

/// A root with its key.
pub(super) struct Root {
    pub(super) public: PublicRoot,
    pub(super) issuer: Issuer<'static, RootKey>,
}

/// The root's key pair; the serialised form that the library keeps beside it is wiped on drop.
pub(super) struct RootKey(KeyPair);

impl Drop for RootKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl PublicKeyData for RootKey {
    fn der_bytes(&self) -> &[u8] {
        self.0.der_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        PublicKeyData::algorithm(&self.0)
    }
}

impl SigningKey for RootKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.0.sign(message)
    }
}

impl Root {
    /// The root on disk, or a new one when there is none, its end is near, or it vouches for other names than asked.
    pub(super) fn create_or_open(
        folder: &Path,
        sealer: &dyn Sealer,
        clock: &Clock,
        scope: &NameScope,
    ) -> Result<Self, Error> {
        prepare(folder)?;
        match open(folder, sealer)? {
            Some(root) if root.public.is_fresh(clock.now()) && root.public.scope.serves(scope) => {
                publish(&certificate_path(folder), &root.public.pem)?;
                Ok(root)
            }
            Some(old) => {
                publish(&retired_path(folder, &old.public), &old.public.pem)?;
                create(folder, sealer, clock, scope)
            }
            None => create(folder, sealer, clock, scope),
        }
    }
}

pub(super) fn certificate_path(folder: &Path) -> PathBuf {
    folder.join("root.pem")
}

pub(super) fn key_path(folder: &Path) -> PathBuf {
    folder.join("root.key.age")
}

/// What an authority in this folder consists of: the sealed key and the certificate. Both go when the key is destroyed,
/// because a certificate without its key stands in the way of a new root.
pub fn root_files(folder: &Path) -> [PathBuf; 2] {
    [key_path(folder), certificate_path(folder)]
}

fn retired_path(folder: &Path, root: &PublicRoot) -> PathBuf {
    let short: String = root.fingerprint.chars().filter(char::is_ascii_hexdigit).take(16).collect();
    folder.join(format!("root-{}.pem", short.to_ascii_lowercase()))
}

/// Makes the folder, or refuses one that others may write to (attack 92).
fn prepare(folder: &Path) -> Result<(), Error> {
    let failed = |source| Error::Folder { path: folder.to_owned(), source };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let mode = std::fs::metadata(folder).map_err(failed)?.permissions().mode();
    if mode & 0o022 == 0 { Ok(()) } else { Err(Error::Loose { path: folder.to_owned(), mode: "700" }) }
}

fn open(folder: &Path, sealer: &dyn Sealer) -> Result<Option<Root>, Error> {
    let path = key_path(folder);
    let (content, metadata) = match read_bounded(&path, LARGEST_FILE) {
        Err(error) if error.is_missing() => {
            let certificate = certificate_path(folder);
            let alone = certificate.symlink_metadata().is_ok();
            return if alone { Err(Error::KeyMissing { key: path, certificate }) } else { Ok(None) };
        }
        other => other?,
    };
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(Error::Loose { path, mode: "600" });
    }
    let plain = sealer.unseal(&content).map_err(|why| Error::Unseal { path: path.clone(), why })?;
    let root = split(&plain).and_then(|(key, certificate)| assemble(key, certificate));
    root.map(Some).ok_or(Error::KeyDamaged(path))
}

fn create(folder: &Path, sealer: &dyn Sealer, clock: &Clock, scope: &NameScope) -> Result<Root, Error> {
    let failed = |source| Error::Certificate { what: "the root certificate", source };
    let profile = &PROFILE.root;
    let mut key = KeyPair::generate_for(profile.key.algorithm()).map_err(failed)?;
    let pkcs8 = Zeroizing::new(key.serialize_der());

    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, &profile.organization);
    params.distinguished_name.push(DnType::CommonName, profile.common_name(&hex(&random::<8>())));
    let now = clock.now();
    set_period(&mut params, minus(now, profile.backdated()), now.plus(profile.lifetime()));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(profile.path_length));
    params.key_usages = profile.usages();
    params.name_constraints = scope.constraints();
    let certificate = params.self_signed(&key).map_err(failed);
    key.zeroize();
    let der = certificate?.der().to_vec();

    let root = assemble(&pkcs8, &der).ok_or_else(|| Error::KeyDamaged(key_path(folder)))?;
    let content = sealer.seal(&join(&pkcs8, &der)).map_err(Error::Seal)?;
    replace(&key_path(folder), &content, 0o600, None)?;
    publish(&certificate_path(folder), &root.public.pem)?;
    Ok(root)
}

/// Both ways into a root end here, so what is made is checked as strictly as what is read.
fn assemble(pkcs8: &[u8], der: &[u8]) -> Option<Root> {
    let key = KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(pkcs8), PROFILE.root.key.algorithm());
    let key = RootKey(key.ok()?);
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    if !certificate.is_ca() || certificate.public_key().raw != key.subject_public_key_info() {
        return None;
    }
    let public = PublicRoot::parse(der)?;
    let issuer = Issuer::from_ca_cert_der(&CertificateDer::from(der), key).ok()?;
    Some(Root { public, issuer })
}

fn join(key: &[u8], certificate: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut plain = Zeroizing::new(Vec::with_capacity(MAGIC.len() + 4 + key.len() + certificate.len()));
    plain.extend_from_slice(MAGIC);
    plain.extend_from_slice(&u32::try_from(key.len()).unwrap_or(u32::MAX).to_be_bytes());
    plain.extend_from_slice(key);
    plain.extend_from_slice(certificate);
    plain
}

fn split(plain: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = plain.strip_prefix(MAGIC)?.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

/// Writes a public file unless it already says the same.
fn publish(path: &Path, pem: &str) -> Result<(), AtomicFileError> {
    match read_bounded(path, LARGEST_FILE) {
        Ok((content, _)) if content == pem.as_bytes() => Ok(()),
        _ => replace(path, pem.as_bytes(), 0o644, None),
    }
}

pub(super) fn minus(time: Timestamp, by: Duration) -> Timestamp {
    Timestamp::from_millis(time.as_millis().saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
}

/// Sets the dates of a certificate: whole seconds, from 1970 to the last one that X.509 can write.
pub(super) fn set_period(params: &mut CertificateParams, begins: Timestamp, ends: Timestamp) {
    const LAST: u64 = 253_402_300_799; // 9999-12-31T23:59:59Z
    let [begins, ends] = [begins, ends].map(|time| {
        let seconds = u64::try_from(time.as_millis() / 1_000).unwrap_or(0).min(LAST);
        rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds)
    });
    params.not_before = begins;
    params.not_after = ends;
}
