//! The log's files: rolled over when they are large, removed when the settings keep fewer.
//!
//! Invariant: at every instant, a kill included, the newest lines are in `audit.log` or, while that is not there, in the
//! newest rolled file; whoever opens the log goes on from either.

use std::{
    fs, io,
    path::Path,
    sync::{Arc, MutexGuard, PoisonError},
};

use super::{
    Action, AuditLog, Durability, Error, Event, continuity,
    file::LogFile,
    files::{self, Rolled},
    state::State,
    writer::Shared,
};
use crate::base::blocking;

/// What a look at the log's size came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RollOver {
    /// The log goes on in a new file.
    Done,
    /// The file is not large enough, or no size is set.
    NotDue,
}

impl AuditLog {
    /// Goes on in a new file when the present one has reached the size of the settings, and removes the oldest files
    /// beyond those that are kept. Appending waits for two operations on names, and with [`Durability::Fsync`] for the
    /// disk. After an error the log goes on where it is, and the next call tries again.
    pub fn roll_over_if_due(&self) -> Result<RollOver, Error> {
        let shared = &*self.0;
        let Some(old) = self.waiting_for_the_disk(|| shared.roll_over_if_due())? else { return Ok(RollOver::NotDue) };
        // Out of everybody's way: what is complete should not stay in memory alone for long.
        blocking(|| {
            old.sync().map_err(Error::io("sync", &shared.path)).and_then(|()| files::sync_folder(&shared.path))
        })?;
        blocking(|| self.remove_old_files())?;
        Ok(RollOver::Done)
    }

    /// What is removed is recorded first, so that nobody takes it for tampering.
    fn remove_old_files(&self) -> Result<(), Error> {
        let Some(keep) = self.0.settings.keep else { return Ok(()) };
        let path = &self.0.path;
        let mut rolled = files::rolled(path)?;
        rolled.truncate(rolled.len().saturating_sub(keep as usize));
        let Some(Rolled { last, .. }) = rolled.last() else { return Ok(()) };
        let key = self.0.settings.witness.as_ref().map(|witness| &*witness.key);
        self.append(&Event::new(Action::LogRemove).details(&continuity::removed(*last, keep, key)))?;
        self.note_head()?; // the noted line must not be among those that go
        for file in &rolled {
            fs::remove_file(&file.path).map_err(Error::io("remove", &file.path))?;
        }
        files::sync_folder(path)
    }
}

impl Shared {
    /// The file that was rolled over, if one was.
    fn roll_over_if_due(&self) -> Result<Option<Arc<dyn LogFile>>, Error> {
        let mut state = self.lock();
        if !self.is_due(&state)? {
            return Ok(None);
        }
        self.write(&mut state)?;
        state = self.settle(state)?;
        let rolled = Rolled::of(&self.path, state.written.seq);
        let old = Arc::clone(&state.file);
        state.file = self.start_new_file(&state, &rolled)?;
        if self.settings.durability == Durability::Fsync {
            files::sync_folder(&self.path)?; // before anything in the new file counts as being on the disk
        }
        self.format_continuation(&mut state, &continuity::rolled(&rolled.name()));
        self.write(&mut state)?; // on failure the line waits, as the next write's first
        Ok(Some(old))
    }

    fn is_due(&self, state: &State) -> Result<bool, Error> {
        let max = self.settings.max_size;
        if max == 0 || state.is_gone || state.tip.seq == 0 {
            return Ok(false);
        }
        let length = state.file.length().map_err(Error::io("look at", &self.path))?;
        let is_ours = || state.file.is_at(&self.path).map_err(Error::io("find", &self.path));
        Ok(length >= max && is_ours()?)
    }

    /// Puts everything that was written on the disk, if that is promised.
    fn settle<'a>(&'a self, mut state: MutexGuard<'a, State>) -> Result<MutexGuard<'a, State>, Error> {
        while state.sync.is_running {
            state = self.synced.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.sync.unsynced.is_empty() {
            return Ok(state);
        }
        let result = state.file.sync();
        if result.is_ok() {
            (state.sync.tip, state.sync.writes) = (state.written, state.writes);
            state.sync.unsynced.clear();
        } else {
            state.sync.failures += 1;
            state.take_back_unsynced();
        }
        self.synced.notify_all();
        result.map(|()| state).map_err(Error::io("sync", &self.path))
    }

    fn start_new_file(&self, state: &State, rolled: &Rolled) -> Result<Arc<dyn LogFile>, Error> {
        let io = || Error::io("roll over", &self.path);
        let path: &Path = &self.path;
        if fs::symlink_metadata(&rolled.path).is_ok() {
            return Err(io()(io::ErrorKind::AlreadyExists.into())); // the next line's number is free again
        }
        fs::rename(path, &rolled.path).map_err(io())?;
        state.file.create(path).map_err(|error| {
            // If this fails too, the next flush finds the log moved away and goes on in a new file.
            let _ = fs::rename(&rolled.path, path);
            io()(error)
        })
    }

    pub(super) fn format_continuation(&self, state: &mut State, details: &str) {
        state.format(&self.clock, &Event::new(Action::LogContinued).details(details));
    }
}
