//! The files of the store on disk: identity, store, previous generation, lock.
//!
//! Invariant: the store file is only replaced whole, under the lock, by one that was read back from memory we hold.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use age::x25519;
use arc_swap::ArcSwapOption;

use super::{
    Error,
    format::{self, Document, FormatFault},
    identity,
    permissions::{FILE_MODE, KnownLinks, check_folder, create_folder, exists, read_private},
    sealed,
};
use crate::base::{FileLock, Home, replace, sha256};

/// The largest store file, in bytes.
const MAX_LEN: u64 = 64 * 1024 * 1024;

/// Where the files are, and the identity that opens them.
pub(super) struct Files {
    home: Home,
    pub(super) store: PathBuf,
    previous: PathBuf,
    recipient: x25519::Recipient,
    /// Gone once the store was wiped.
    identity: ArcSwapOption<x25519::Identity>,
}

/// What the file holds, and the hash of the file that held it.
pub(super) struct State {
    pub(super) document: Document,
    pub(super) digest: [u8; 32],
}

/// What [`super::Store::create`] had to make; `false` means that it was there and stayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Created {
    /// The home folder.
    pub folder: bool,
    /// The identity.
    pub identity: bool,
    /// The store.
    pub store: bool,
}

impl Files {
    /// Opens what is there.
    pub(super) fn open(home: &Home) -> Result<(Self, State), Error> {
        match (exists(&home.identity())?, exists(&home.store())?) {
            (false, false) => return Err(Error::NotInitialised(home.folder().to_owned())),
            (false, true) => return Err(identity_missing(home)),
            (true, false) => {
                return Err(Error::StoreMissing { store: home.store(), previous: exists(&previous(home))? });
            }
            (true, true) => folders(home).iter().try_for_each(|folder| check_folder(folder))?,
        }
        if let Ok(_lock) = FileLock::try_acquire(&lock(&home.store())) {
            remove_leftovers(home); // otherwise somebody is writing; the next start will do it
        }
        let files = Self::at(home, identity::load(&home.identity())?);
        let state = files.read()?;
        Ok((files, state))
    }

    /// Opens what is there and makes what is not.
    pub(super) fn create(home: &Home) -> Result<(Self, State, Created), Error> {
        let folder = !exists(home.folder())?;
        for folder in folders(home) {
            create_folder(&folder)?;
            check_folder(&folder)?;
        }
        let _lock = FileLock::wait(&lock(&home.store()))?; // two programs may be told to begin at once
        remove_leftovers(home);
        let created = Created { folder, identity: !exists(&home.identity())?, store: !exists(&home.store())? };
        if created.identity && !created.store {
            return Err(identity_missing(home));
        }
        if created.store && exists(&previous(home))? {
            return Err(Error::StoreMissing { store: home.store(), previous: true });
        }
        let identity =
            if created.identity { identity::create(&home.identity())? } else { identity::load(&home.identity())? };
        let files = Self::at(home, identity);
        let state = if created.store { files.replace(Document::default())? } else { files.read()? };
        Ok((files, state, created))
    }

    fn at(home: &Home, identity: x25519::Identity) -> Self {
        Self {
            home: home.clone(),
            store: home.store(),
            previous: previous(home),
            recipient: identity.to_public(),
            identity: ArcSwapOption::from_pointee(identity),
        }
    }

    /// The identity, as long as there is one: sealing needs it too, so that nothing is sealed for nobody.
    pub(super) fn identity(&self) -> Result<Arc<x25519::Identity>, Error> {
        self.identity.load_full().ok_or_else(|| Error::Wiped(self.home.folder().to_owned()))
    }

    /// Lets go of the identity, which is wiped from memory with its last user.
    pub(super) fn forget_identity(&self) {
        self.identity.store(None);
    }

    pub(super) const fn recipient(&self) -> &x25519::Recipient {
        &self.recipient
    }

    /// Waits for the lock that every writer of the store takes.
    pub(super) fn lock(&self) -> Result<FileLock, Error> {
        self.identity()?; // a store that was wiped is written no more
        Ok(FileLock::wait(&lock(&self.store))?)
    }

    fn read(&self) -> Result<State, Error> {
        let sealed = self.read_sealed()?;
        self.unseal(&sealed)
    }

    /// The state on disk, unless it is the one with this hash.
    pub(super) fn read_if_other(&self, digest: &[u8; 32]) -> Result<Option<State>, Error> {
        if !exists(&self.store)? {
            return Err(Error::StoreMissing { store: self.store.clone(), previous: exists(&self.previous)? });
        }
        let sealed = self.read_sealed()?;
        if sha256(&sealed) == *digest { Ok(None) } else { self.unseal(&sealed).map(Some) }
    }

    fn read_sealed(&self) -> Result<Vec<u8>, Error> {
        // a kill between link and rename leaves the previous generation as a second name of the store
        let name = self.previous.file_name().unwrap_or_default().to_string_lossy();
        let folder = self.store.parent().unwrap_or(Path::new("."));
        read_private(&self.store, MAX_LEN, KnownLinks::Beside { folder, prefix: &name })
    }

    fn unseal(&self, sealed: &[u8]) -> Result<State, Error> {
        let plain = sealed::unseal(&*self.identity()?, sealed)
            .map_err(|fault| Error::Sealed { path: self.store.clone(), fault })?;
        let document = format::parse(&plain).map_err(|fault| self.fault(fault))?;
        Ok(State { document, digest: sha256(sealed) })
    }

    /// Replaces the store; the old file stays as the previous generation. Call with the lock.
    pub(super) fn replace(&self, document: Document) -> Result<State, Error> {
        let plain = format::print(&document).map_err(|fault| self.fault(fault))?;
        let sealed =
            sealed::seal(&self.recipient, &plain).map_err(|fault| Error::Sealed { path: self.store.clone(), fault })?;
        if sealed.len() as u64 > MAX_LEN {
            return Err(Error::Full { max: MAX_LEN });
        }
        if let Err(error) = replace(&self.store, &sealed, FILE_MODE, Some(&self.previous)) {
            remove_leftovers(&self.home);
            return Err(error.into());
        }
        Ok(State { document, digest: sha256(&sealed) })
    }

    fn fault(&self, fault: FormatFault) -> Error {
        let path = self.store.clone();
        match fault {
            FormatFault::Version(version) => Error::Version { path, version },
            FormatFault::Malformed(why) => Error::Content { path, why },
        }
    }
}

fn lock(store: &Path) -> PathBuf {
    beside(store, ".lock")
}

fn previous(home: &Home) -> PathBuf {
    beside(&home.store(), ".previous")
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    path.with_file_name(name)
}

/// The home folder and those of files that settings moved.
fn folders(home: &Home) -> BTreeSet<PathBuf> {
    let files = [home.store(), home.identity()];
    let moved = files.iter().filter_map(|file| file.parent()).map(Path::to_owned);
    std::iter::once(home.folder().to_owned()).chain(moved).collect()
}

fn identity_missing(home: &Home) -> Error {
    Error::IdentityMissing { identity: home.identity(), store: home.store() }
}

/// Removes temporary files that a killed or failed write left; call with the lock, so that none is in use.
fn remove_leftovers(home: &Home) {
    for file in [home.store(), home.identity()] {
        let prefix = beside(&file, ".");
        let prefix = prefix.file_name().unwrap_or_default().as_encoded_bytes();
        let Some(Ok(entries)) = file.parent().map(std::fs::read_dir) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.as_encoded_bytes();
            if name.starts_with(prefix) && name.ends_with(b".tmp") {
                let _ = std::fs::remove_file(entry.path()); // harmless where it stands; tried again at the next start
            }
        }
    }
}
