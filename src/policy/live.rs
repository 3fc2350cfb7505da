//! The policy set in force, replaced whole when the files change.
//!
//! Invariant: a load that fails changes nothing but what `status` tells (attack 86).

use std::{
    fmt,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use serde::Serialize;

use crate::base::{Clock, Timestamp, sha256};

use super::{LoadErrors, load::files_of, set::PolicySet};

/// The set in force; clones share it.
#[derive(Clone)]
pub struct Live(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    clock: Clock,
    current: ArcSwap<PolicySet>,
    /// Held while loading, so that an older load cannot replace a younger one.
    state: Mutex<State>,
}

struct State {
    loaded_at: Timestamp,
    seen: Fingerprint,
    failure: Option<LoadErrors>,
}

/// What `status` tells of the policies.
#[derive(Clone, Debug, Serialize)]
pub struct LiveStatus {
    /// When the set in force was loaded.
    pub loaded_at: Timestamp,
    /// How many services it knows.
    pub services: usize,
    /// How many grants it holds.
    pub grants: usize,
    /// Why the files as they are now are not in force; `None` when they are.
    pub failure: Option<LoadErrors>,
}

impl Live {
    /// Loads; at the start a fault is a reason not to start.
    pub fn load(folder: &Path, clock: Clock) -> Result<Self, LoadErrors> {
        let seen = fingerprint(folder);
        let set = PolicySet::load(folder)?;
        let state = State { loaded_at: clock.now(), seen, failure: None };
        let current = ArcSwap::from_pointee(set);
        Ok(Self(Arc::new(Inner { folder: folder.to_owned(), clock, current, state: Mutex::new(state) })))
    }

    /// The user's folder.
    pub fn folder(&self) -> &Path {
        &self.0.folder
    }

    /// The set in force; costs no lock.
    pub fn current(&self) -> Arc<PolicySet> {
        self.0.current.load_full()
    }

    /// Loads anew. On a fault the old set stays in force and the faults are kept for `status`.
    pub fn reload(&self) -> Result<(), LoadErrors> {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.reload_into(&mut state)
    }

    /// Loads anew if a file was added, removed or edited since the last look; whether it did. Reads metadata only
    /// when nothing changed; for a task that looks once a second.
    pub fn reload_if_changed(&self) -> Result<Changed, LoadErrors> {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        if fingerprint(&self.0.folder) == state.seen {
            return Ok(Changed::No);
        }
        self.reload_into(&mut state).map(|()| Changed::Yes)
    }

    fn reload_into(&self, state: &mut State) -> Result<(), LoadErrors> {
        state.seen = fingerprint(&self.0.folder); // before the load: an edit during it is seen the next time
        match PolicySet::load(&self.0.folder) {
            Ok(set) => {
                self.0.current.store(Arc::new(set));
                (state.loaded_at, state.failure) = (self.0.clock.now(), None);
                Ok(())
            }
            Err(errors) => {
                state.failure = Some(errors.clone());
                Err(errors)
            }
        }
    }

    /// For `status`.
    pub fn status(&self) -> LiveStatus {
        let state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let set = self.current();
        let (services, grants) = (set.services().count(), set.grants().count());
        LiveStatus { loaded_at: state.loaded_at, services, grants, failure: state.failure.clone() }
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("folder", &self.0.folder).finish_non_exhaustive()
    }
}

/// Whether the files had changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// Nothing was loaded.
    No,
    /// A new set is in force.
    Yes,
}

/// Names, sizes, inodes and times of the files of a folder, certificates included, as one hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

/// The fingerprint of a policy folder; a missing folder has one too.
pub fn fingerprint(folder: &Path) -> Fingerprint {
    let mut text = Vec::new();
    for path in files_of(folder).unwrap_or_default() {
        text.extend_from_slice(path.as_os_str().as_encoded_bytes());
        text.push(0);
        if let Ok(meta) = path.symlink_metadata() {
            for number in [
                meta.size().cast_signed(),
                meta.mtime(),
                meta.mtime_nsec(),
                meta.ctime(),
                meta.ctime_nsec(),
                meta.ino().cast_signed(),
            ] {
                text.extend_from_slice(&number.to_le_bytes());
            }
        }
    }
    Fingerprint(sha256(&text))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const GOOD: &str =
        "schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"openai\"\nitem = \"k\"\nallow = [\"models\"]\n";

    #[test]
    fn attack_86_a_bad_reload_keeps_the_old_set_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mine.toml");
        fs::write(&file, GOOD).unwrap();
        let clock = Clock::manual(Timestamp::from_millis(1_000));
        let live = Live::load(folder.path(), clock.clone()).unwrap();
        assert_eq!(live.status().grants, 1);
        for bad in [
            "",
            "schema = 1\nkind = \"policy\"\nx = 1\n",
            "{",
            &GOOD.replace("models", "model"),
            "schema = 1\nschema = 1\n",
        ] {
            fs::write(&file, bad).unwrap();
            clock.advance(std::time::Duration::from_secs(1));
            assert!(live.reload().is_err(), "{bad}");
            let status = live.status();
            assert_eq!((status.grants, status.loaded_at), (1, Timestamp::from_millis(1_000)));
            assert!(!status.failure.unwrap().faults().is_empty());
        }
        fs::write(&file, "schema = 1\nkind = \"policy\"\n").unwrap();
        live.reload().unwrap();
        assert_eq!(live.status().grants, 0);
        assert!(live.status().failure.is_none());
    }

    #[test]
    fn attack_86_a_broken_file_is_a_reason_not_to_start() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("mine.toml"), "kind = 3").unwrap();
        assert!(Live::load(folder.path(), Clock::system()).is_err());
        fs::write(folder.path().join("mine.toml"), vec![b'#'; 2 * 1024 * 1024]).unwrap();
        let error = Live::load(folder.path(), Clock::system()).unwrap_err().to_string();
        assert!(error.contains("larger than"), "{error}");
    }

    #[test]
    fn edits_are_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let live = Live::load(&folder.path().join("policies"), Clock::system()).unwrap();
        assert_eq!(live.reload_if_changed().unwrap(), Changed::No);
        fs::create_dir(folder.path().join("policies")).unwrap();
        let file = folder.path().join("policies/mine.toml");
        fs::write(&file, GOOD).unwrap();
        assert_eq!(live.reload_if_changed().unwrap(), Changed::Yes);
        assert_eq!(live.reload_if_changed().unwrap(), Changed::No);
        fs::remove_file(&file).unwrap();
        assert_eq!(live.reload_if_changed().unwrap(), Changed::Yes);
        assert_eq!(live.status().grants, 0);
    }
}
