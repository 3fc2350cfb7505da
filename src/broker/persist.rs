//! Keeping live leases across restarts, sealed: a revocation that was answered never comes back to life.

use std::{
    path::PathBuf,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{Broker, Error};
use crate::{base, lease::Lease, store};

/// Writes the table's snapshot; callers that wait together share one write.
pub(super) struct Persister {
    file: PathBuf,
    wanted: AtomicU64,
    written: Mutex<u64>,
}

impl Persister {
    pub(super) const fn new(file: PathBuf) -> Self {
        Self { file, wanted: AtomicU64::new(0), written: Mutex::new(0) }
    }

    /// While it is held, nobody writes.
    pub(super) fn turn(&self) -> MutexGuard<'_, u64> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Broker {
    /// Persists the table after a change to this lease. A session's leases end with the daemon, so they are not kept.
    pub(super) fn persist(&self, lease: &Lease) -> Result<(), Error> {
        if lease.session.is_some() { Ok(()) } else { self.persist_all() }
    }

    /// Persists the table as it is now, or as somebody who came later has just written it.
    pub fn persist_all(&self) -> Result<(), Error> {
        base::blocking(|| self.persist_now())
    }

    fn persist_now(&self) -> Result<(), Error> {
        let mine = self.persisted.wanted.fetch_add(1, Ordering::AcqRel) + 1;
        let mut written = self.persisted.turn();
        if *written >= mine {
            return Ok(());
        }
        let covers = self.persisted.wanted.load(Ordering::Acquire);
        let plain = self.parts.leases.snapshot().to_bytes()?;
        let sealed = self.parts.store.seal(&plain)?;
        base::replace(&self.persisted.file, &sealed, 0o600, None).map_err(store::Error::from)?;
        *written = covers;
        Ok(())
    }
}
