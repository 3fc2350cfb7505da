//! The secret store: an age-encrypted file with one writer and snapshot readers.
//!
//! Floor 1. Invariant: load, or say why and stop. Only `create` makes files, nothing is ever overwritten that could
//! not be read, and after a failed change memory holds what the disk holds.

mod change;
mod error;
mod files;
mod format;
mod identity;
mod json_text;
mod permissions;
mod record;
mod rotation;
mod sealed;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arc_swap::ArcSwap;
use zeroize::Zeroizing;

pub use self::{
    change::SecretChange,
    error::{Error, IdentityFault},
    files::Created,
    json_text::unescape,
    record::{Binding, NewSecret, RawReveal, SecretRecord},
    rotation::{Former, HookFormat, HookFormatError, OnLeaseExpiry, RotationHealth, RotationPlan},
    sealed::SealFault,
};
use self::{
    files::{Files, State},
    format::Document,
};
use crate::base::{Clock, Home, SecretBytes, SecretName, blocking};

/// The open store. Clones share it. Reading takes no lock; writing waits for the disk, so it belongs off the runtime's
/// own threads.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    files: Files,
    clock: Clock,
    /// Held around every read-modify-write: the highest generation seen, which every new one exceeds.
    writer: Mutex<u64>,
    state: ArcSwap<State>,
}

/// What a look at the disk found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// Another process wrote a newer state, which is now ours.
    Newer,
    /// An older copy was put back, which is now ours: a removed secret may have returned (attack 101).
    Older,
    /// Nothing changed.
    Same,
}

impl Store {
    /// Opens the store, making what is missing: the folder (0700), the identity and an empty store (0600).
    /// Whatever exists stays as it is; a store without its identity is an error, not a first run.
    pub fn create(home: &Home, clock: Clock) -> Result<(Self, Created), Error> {
        let (files, state, created) = Files::create(home)?;
        Ok((Self::new(files, state, clock), created))
    }

    /// Opens an existing store or says why it cannot; makes and replaces nothing.
    pub fn open(home: &Home, clock: Clock) -> Result<Self, Error> {
        let (files, state) = Files::open(home)?;
        Ok(Self::new(files, state, clock))
    }

    /// Takes identity and store away from everybody but their owner; a sentence about what was open, if anything was.
    /// For who asks to go on with files that [`Store::open`] refuses.
    pub fn tighten(home: &Home) -> Result<Option<String>, Error> {
        let mut sentences = Vec::new();
        for path in [home.identity(), home.store()] {
            if let Some(mode) = permissions::tighten(&path)? {
                sentences.push(format!("`{}` had mode {mode:03o} and has 600 now", path.display()));
            }
        }
        Ok((!sentences.is_empty()).then(|| sentences.join("; ")))
    }

    fn new(files: Files, state: State, clock: Clock) -> Self {
        let writer = Mutex::new(state.document.generation);
        Self(Arc::new(Inner { files, clock, writer, state: ArcSwap::from_pointee(state) }))
    }

    /// The secret of this name.
    pub fn get(&self, name: &SecretName) -> Option<Arc<SecretRecord>> {
        self.0.state.load().document.records.get(name).cloned()
    }

    /// All secrets by name.
    pub fn list(&self) -> Vec<Arc<SecretRecord>> {
        self.0.state.load().document.records.values().cloned().collect()
    }

    /// Names in the file that we would not take (control characters, too long); such secrets are kept, not used.
    /// Escape them before showing them.
    pub fn unusable(&self) -> Vec<String> {
        self.0.state.load().document.unusable.iter().map(|field| field.key.to_string()).collect()
    }

    /// How often the store was written; it never goes back unless an older copy was put in place.
    pub fn generation(&self) -> u64 {
        self.0.state.load().document.generation
    }

    /// Whether a secret could be added: what [`Store::insert`] would refuse, without adding anything.
    pub fn check_new(&self, name: &SecretName, value: &SecretBytes) -> Result<(), Error> {
        check_value(name, value)?;
        self.0.files.identity()?; // what comes after a wipe would begin with files that the wipe did not see
        if self.get(name).is_some() { Err(Error::Duplicate(name.clone())) } else { Ok(()) }
    }

    /// Adds a secret. A taken name, an empty value and one above [`SecretBytes::MAX_LEN`] are refused.
    pub fn insert(&self, new: NewSecret) -> Result<Arc<SecretRecord>, Error> {
        check_value(&new.name, &new.value)?;
        self.write(|document, clock| {
            if document.records.contains_key(&new.name) {
                return Err(Error::Duplicate(new.name));
            }
            let record = Arc::new(new.into_record(clock.now()));
            document.records.insert(record.name.clone(), Arc::clone(&record));
            Ok(record)
        })
    }

    /// Changes a secret; a new value raises its generation by one. An unknown name is refused.
    pub fn update(&self, name: &SecretName, change: SecretChange) -> Result<Arc<SecretRecord>, Error> {
        if let Some(value) = change.new_value() {
            check_value(name, value)?;
        }
        self.write(|document, clock| {
            let old = document.records.get(name).ok_or_else(|| Error::UnknownSecret(name.clone()))?;
            if !change.is_for(old) {
                return Err(Error::Changed(name.clone()));
            }
            let record = Arc::new(change.apply(old, clock.now()));
            document.records.insert(name.clone(), Arc::clone(&record));
            Ok(record)
        })
    }

    /// Removes a secret and returns what it was. An unknown name is refused. The previous generation of the file
    /// still holds it until the next write.
    pub fn remove(&self, name: &SecretName) -> Result<Arc<SecretRecord>, Error> {
        self.write(|document, _| document.records.remove(name).ok_or_else(|| Error::UnknownSecret(name.clone())))
    }

    /// Lets go of every value and of the identity, in memory; from now on nothing is read, written or sealed
    /// ([`Error::Wiped`]). The files are somebody else's to wipe. A write that is under way is waited for.
    pub fn forget(&self) {
        blocking(|| {
            let _turn = self.turn();
            self.0.files.forget_identity();
            self.0.state.store(Arc::new(State { document: Document::default(), digest: [0; 32] }));
        });
    }

    /// Looks whether another process wrote the file, and takes what it wrote. An unreadable file is an error and
    /// leaves us with what we have.
    pub fn refresh(&self) -> Result<Refreshed, Error> {
        let _turn = self.turn();
        let before = self.0.state.load_full();
        let now = self.newest()?;
        Ok(match now.document.generation.cmp(&before.document.generation) {
            std::cmp::Ordering::Less => Refreshed::Older,
            _ if now.digest == before.digest => Refreshed::Same,
            _ => Refreshed::Newer,
        })
    }

    /// Seals bytes to the store's identity, for files of other parts: leases, the key of the certificate authority.
    pub fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, Error> {
        self.0.files.identity()?;
        sealed::seal(self.0.files.recipient(), plain).map_err(Error::Unseal)
    }

    /// Unseals what [`Store::seal`] sealed; the buffer is wiped on drop.
    pub fn unseal(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        sealed::unseal(&*self.0.files.identity()?, sealed).map_err(Error::Unseal)
    }

    /// The public counterpart of the identity, `age1...`.
    pub fn recipient(&self) -> String {
        self.0.files.recipient().to_string()
    }

    fn turn(&self) -> MutexGuard<'_, u64> {
        self.0.writer.lock().unwrap_or_else(PoisonError::into_inner) // a number cannot be left half changed
    }

    /// Read, modify, write: what another process wrote in the meantime is taken in first, so nothing is lost.
    fn write<T>(&self, change: impl FnOnce(&mut Document, &Clock) -> Result<T, Error>) -> Result<T, Error> {
        blocking(|| self.write_now(change))
    }

    fn write_now<T>(&self, change: impl FnOnce(&mut Document, &Clock) -> Result<T, Error>) -> Result<T, Error> {
        let mut highest = self.turn();
        let _lock = self.0.files.lock()?;
        let mut next = self.newest()?.document.clone();
        let outcome = change(&mut next, &self.0.clock)?;
        *highest = next.generation.max(*highest).saturating_add(1);
        next.generation = *highest;
        match self.0.files.replace(next) {
            Ok(state) => self.0.state.store(Arc::new(state)),
            Err(error) => {
                // If the file was renamed and only the folder could not be synced, the disk holds the new state.
                let _ = self.newest(); // the first error is the one worth telling
                return Err(error);
            }
        }
        Ok(outcome)
    }

    /// The state on disk, which becomes ours if it is another one. Call with the turn.
    fn newest(&self) -> Result<Arc<State>, Error> {
        let ours = self.0.state.load_full();
        let Some(theirs) = self.0.files.read_if_other(&ours.digest)? else { return Ok(ours) };
        let (was, is) = (ours.document.generation, theirs.document.generation);
        if is < was {
            tracing::warn!(was, is, "an older copy of the store was put in place; removed secrets may have returned");
        }
        let theirs = Arc::new(theirs);
        self.0.state.store(Arc::clone(&theirs));
        Ok(theirs)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.0.files.store.display())
    }
}

fn check_value(name: &SecretName, value: &SecretBytes) -> Result<(), Error> {
    match value.len() {
        0 => Err(Error::EmptyValue(name.clone())),
        len if len > SecretBytes::MAX_LEN => Err(Error::ValueTooLarge { name: name.clone(), len }),
        _ => Ok(()),
    }
}
