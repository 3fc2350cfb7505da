//! The note of the newest line, kept outside the log and signed: whoever cuts the log's end cannot write a note to it.
//!
//! Invariant: a note names only what is with the kernel, so that the end of our process, however it comes, never makes
//! the log look cut. A loss of power can; the note therefore says which start of the machine it was written in.

use std::{
    fs::OpenOptions,
    io,
    os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use super::{Durability, Error, Head};
use crate::base::{Ed25519Key, SigningKey, is_signed_by, read_bounded};

/// A note is written over the one before in one piece; its length never changes, so that no rest of an old one stays.
const LEN: usize = 512;
/// How often a note is read again that does not fit: the daemon may be writing it right now.
const TRIES: u32 = 20;

/// Where the newest line is noted, and the key that signs for the log.
#[derive(Clone, Debug)]
pub struct Witness {
    pub(super) note: PathBuf,
    pub(super) key: Arc<SigningKey>,
    pub(super) origin: KeyOrigin,
}

/// Where the key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOrigin {
    /// It was there: the log's newest line must have been noted before.
    Found,
    /// It was made just now; the log records that.
    Made,
}

impl Witness {
    /// Notes at this path and signs with this key.
    pub fn new(note: PathBuf, key: SigningKey, origin: KeyOrigin) -> Self {
        Self { note, key: Arc::new(key), origin }
    }

    /// Notes this line as the newest.
    pub(super) fn write(&self, head: &Head, survived: Durability) -> Result<(), Error> {
        self.write_in(boot(), head, survived)
    }

    /// The same in this start of the machine.
    pub(super) fn write_in(&self, boot: String, head: &Head, survived: Durability) -> Result<(), Error> {
        let mut note = Note { head: head.clone(), boot, survived, signature: String::new() };
        note.signature = self.key.sign(note.message().as_bytes());
        let io = || Error::io("note the newest line of", &self.note);
        let mut text = serde_json::to_vec(&note).map_err(io::Error::from).map_err(io())?;
        text.resize(LEN - 1, b' ');
        text.push(b'\n');
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC).bits().cast_signed();
        let mut options = OpenOptions::new();
        let opened = options.write(true).create(true).truncate(false).mode(0o600).custom_flags(flags).open(&self.note);
        let file = opened.map_err(io())?;
        if file.metadata().map_err(io())?.nlink() > 1 {
            return Err(Error::Linked(self.note.clone())); // writing would change somebody else's file too
        }
        file.write_all_at(&text, 0).map_err(io())
    }
}

/// What a note says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    #[serde(flatten)]
    pub(super) head: Head,
    /// Which start of the machine it was written in; empty where the system does not tell.
    boot: String,
    /// What the noted line has survived.
    survived: Durability,
    signature: String,
}

/// Why a note is worth nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteFault {
    /// It is not there.
    Missing,
    /// It is not signed with the key, or cannot be read.
    Unsigned,
}

impl Note {
    /// Reads a note that this key signed.
    pub(super) fn read(path: &Path, key: &Ed25519Key) -> Result<Self, NoteFault> {
        for attempt in 0..TRIES {
            let text = match read_bounded(path, 8 * LEN as u64) {
                Err(error) if error.is_missing() => return Err(NoteFault::Missing),
                Err(_) => return Err(NoteFault::Unsigned),
                Ok((text, _)) => text,
            };
            let note = serde_json::from_slice::<Self>(&text).ok();
            if let Some(note) = note.filter(|note| is_signed_by(key, note.message().as_bytes(), &note.signature)) {
                return Ok(note);
            }
            if attempt > 0 {
                std::thread::yield_now();
            }
        }
        Err(NoteFault::Unsigned)
    }

    /// What is signed. The first line says for what, so that the key's other signatures are worth nothing here.
    fn message(&self) -> String {
        let (Head { seq, hash }, boot, survived) = (&self.head, &self.boot, self.survived);
        format!("leasehold audit head 1\n{seq}\n{hash}\n{boot}\n{survived:?}\n")
    }

    /// Whether the noted line must be there still: nothing but a loss of power undoes what the kernel took.
    pub(super) fn is_binding(&self) -> bool {
        self.survived == Durability::Fsync || self.boot == boot()
    }
}

/// Which start of the machine this is.
fn boot() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn witness() -> (tempfile::TempDir, Witness) {
        let folder = tempfile::tempdir().unwrap();
        let note = folder.path().join("audit.head");
        (folder, Witness::new(note, SigningKey::generate(), KeyOrigin::Made))
    }

    fn head(seq: u64) -> Head {
        Head { seq, hash: "ab".repeat(32) }
    }

    #[test]
    fn a_note_is_read_back_with_its_key_only() {
        let (_folder, witness) = witness();
        let key = witness.key.public();
        assert_eq!(Note::read(&witness.note, &key), Err(NoteFault::Missing));
        for seq in [u64::MAX, 7] {
            witness.write(&head(seq), Durability::Write).unwrap();
            let note = Note::read(&witness.note, &key).unwrap();
            assert_eq!((note.head.seq, note.is_binding()), (seq, true));
            assert_eq!(witness.note.metadata().unwrap().len(), LEN as u64);
        }
        assert_eq!(Note::read(&witness.note, &SigningKey::generate().public()), Err(NoteFault::Unsigned));
        let text = std::fs::read_to_string(&witness.note).unwrap();
        for change in [text.replace("\"seq\":7", "\"seq\":3"), text.replace("write", "fsync"), String::new()] {
            std::fs::write(&witness.note, change).unwrap();
            assert_eq!(Note::read(&witness.note, &key), Err(NoteFault::Unsigned));
        }
    }

    #[test]
    fn a_note_from_before_a_loss_of_power_binds_only_what_the_disk_had() {
        let mut note =
            Note { head: head(1), boot: "another".into(), survived: Durability::Write, signature: String::new() };
        assert!(!note.is_binding());
        note.survived = Durability::Fsync;
        assert!(note.is_binding());
    }

    #[test]
    fn attack_91_no_note_is_written_through_a_link() {
        let (folder, witness) = witness();
        let victim = folder.path().join("victim");
        std::fs::write(&victim, "mine").unwrap();
        std::os::unix::fs::symlink(&victim, &witness.note).unwrap();
        assert!(witness.write(&head(1), Durability::Write).is_err());
        assert_eq!(std::fs::read(&victim).unwrap(), b"mine");
    }
}
