//! What the log leaves behind for those who check it later: the note of its newest line, and checkpoints.

use std::sync::{Arc, PoisonError};

use super::{AuditLog, Durability, Error, Head};
use crate::base::blocking;

impl AuditLog {
    /// Notes the newest line that is with the kernel, or on the disk where that is promised; does nothing when that is
    /// noted already, or without a witness. Called about once a second.
    pub fn note_head(&self) -> Result<(), Error> {
        let shared = &*self.0;
        let survived = shared.settings.durability;
        let state = shared.lock();
        let tip = if survived == Durability::Fsync { state.sync.tip } else { state.written };
        drop(state);
        self.note(&tip.head(), survived)
    }

    /// Writes what waits, puts it on the disk and notes it: the last that is done with a log.
    pub fn finish(&self) -> Result<(), Error> {
        self.flush()?;
        let state = self.0.lock();
        let (file, tip) = (Arc::clone(&state.file), state.written);
        drop(state);
        blocking(|| file.sync()).map_err(Error::io("sync", self.path()))?;
        self.note(&tip.head(), Durability::Fsync)
    }

    fn note(&self, head: &Head, survived: Durability) -> Result<(), Error> {
        let Some(witness) = &self.0.settings.witness else { return Ok(()) };
        let mut noted = self.0.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.as_ref().is_some_and(|(line, how)| line == head && *how == survived) {
            return Ok(());
        }
        witness.write(head, survived)?;
        *noted = Some((head.clone(), survived));
        Ok(())
    }

    /// Signs everything that was recorded up to now, unless the newest line does that already. Does nothing without a
    /// witness. Fails as [`append`](Self::append) does.
    pub fn checkpoint(&self) -> Result<(), Error> {
        let shared = &*self.0;
        let Some(witness) = &shared.settings.witness else { return Ok(()) };
        self.waiting_for_the_disk(|| {
            let state = shared.lock();
            if state.tip.seq == state.signed {
                return Ok(());
            }
            let now = shared.clock.now();
            self.append_formatted(state, |state| state.format_checkpoint(now, &witness.key))
        })
    }
}
