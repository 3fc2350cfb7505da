//! The key that signs for the audit log: made once, sealed by the store, opened by the daemon and by those who verify.

use std::path::Path;

use zeroize::Zeroizing;

use super::Error;
use crate::{
    audit::{KeyOrigin, Witness},
    base::{Clock, Ed25519Key, Home, SigningKey, read_bounded, replace},
    store::Store,
};

/// A sealed key is small.
const MAX_LEN: u64 = 64 * 1024;

/// Opens the key, or makes it and seals it.
pub(super) fn witness(home: &Home, store: &Store) -> Result<Witness, Error> {
    let path = home.audit_key();
    if let Some(key) = open(&path, store)? {
        return Ok(Witness::new(home.audit_head(), key, KeyOrigin::Found));
    }
    let key = SigningKey::generate();
    let sealed = key.seal(|seed| store.seal(seed))?;
    replace(&path, &sealed, 0o600, None)?;
    Ok(Witness::new(home.audit_head(), key, KeyOrigin::Made))
}

/// The witness of a home whose key was made before; `None` when none was made yet. Needs no daemon.
pub(super) fn found(home: &Home) -> Result<Option<Witness>, Error> {
    let key = existing(home)?;
    Ok(key.map(|key| Witness::new(home.audit_head(), key, KeyOrigin::Found)))
}

/// The public key that the log of this home is signed with; `None` when none was made yet. Needs no daemon.
pub fn audit_key(home: &Home) -> Result<Option<Ed25519Key>, Error> {
    Ok(existing(home)?.map(|key| key.public()))
}

fn existing(home: &Home) -> Result<Option<SigningKey>, Error> {
    if matches!(std::fs::symlink_metadata(home.audit_key()), Err(error) if error.kind() == std::io::ErrorKind::NotFound)
    {
        return Ok(None); // a store is not needed to say so
    }
    let store = Store::open(home, Clock::system())?;
    open(&home.audit_key(), &store)
}

fn open(path: &Path, store: &Store) -> Result<Option<SigningKey>, Error> {
    let fault = |why: String| Error::AuditKey { path: path.to_owned(), why };
    let sealed = match read_bounded(path, MAX_LEN) {
        Ok((sealed, _)) => sealed,
        Err(error) if error.is_missing() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let seed: Zeroizing<Vec<u8>> = store.unseal(&sealed).map_err(|error| fault(error.to_string()))?;
    SigningKey::from_seed(&seed).map(Some).ok_or_else(|| fault("it holds no key".to_owned()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_made_once_sealed_and_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("home"));
        let (store, _) = Store::create(&home, Clock::system()).unwrap();
        assert_eq!(audit_key(&home).unwrap(), None);
        witness(&home, &store).unwrap();
        let key = audit_key(&home).unwrap().unwrap();
        witness(&home, &store).unwrap();
        assert_eq!(audit_key(&home).unwrap(), Some(key), "it stays");
        let sealed = std::fs::read(home.audit_key()).unwrap();
        assert!(sealed.starts_with(b"age-encryption.org/v1"));
        assert_eq!(home.audit_key().metadata().unwrap().permissions().mode() & 0o777, 0o600);

        std::fs::write(home.audit_key(), store.seal(b"short").unwrap()).unwrap();
        let error = witness(&home, &store).unwrap_err().to_string();
        assert!(error.contains("audit.key.age") && error.contains("holds no key"), "{error}");
        std::fs::write(home.audit_key(), b"garbage").unwrap();
        assert!(matches!(audit_key(&home), Err(Error::AuditKey { .. })));
        assert_eq!(std::fs::read(home.audit_key()).unwrap(), b"garbage", "what cannot be read stays");
    }
}
