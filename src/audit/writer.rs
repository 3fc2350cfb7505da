//! The log's writing end: one short lock, one `write(2)` for everything that waits, grouped `fdatasync` on demand.
//!
//! Invariants: lines reach the file in the order of the chain; the file ends with a whole line, or the writer knows by how
//! much to cut it before it writes again; an event whose `append` succeeded is with the kernel, or on the disk if so set.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use serde::{Deserialize, Serialize};

use super::{
    Action, Error, Event, Head, KeyOrigin, Missing, Recovery, Witness, continuity,
    file::LogFile,
    recover::{recover, recover_file},
    state::{State, Tip, Trouble},
};
use crate::base::{Clock, blocking, counted};

/// Beyond this many bytes, lazily appended lines are written at once.
const EAGER: usize = 64 << 10;
/// Beyond this many bytes nothing more is taken.
const BOUND: usize = 4 << 20;

/// What an accepted event has survived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// It is on the disk: it survives a power cut. Costs a disk's latency, shared by all who wait at the same time.
    Fsync,
    /// It is with the kernel: it survives the end of our process, however it ends. The default.
    #[default]
    Write,
}

/// How the log is to be written.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// What an accepted event has survived.
    pub durability: Durability,
    /// From so many bytes on the log goes on in a new file; 0, the default, is never.
    pub max_size: u64,
    /// How many rolled files are kept, the newest; all by default.
    pub keep: Option<u32>,
    /// Where the newest line is noted, and with which key; nowhere by default.
    pub witness: Option<Witness>,
}

/// The audit log. Clones write to the same file; the last one to go writes what still waits.
#[derive(Clone)]
pub struct AuditLog(pub(super) Arc<Shared>);

pub(super) struct Shared {
    pub(super) path: PathBuf,
    pub(super) settings: Settings,
    pub(super) clock: Clock,
    is_healthy: AtomicBool,
    state: Mutex<State>,
    /// A sync ended, well or not.
    pub(super) synced: Condvar,
    /// The line that was noted last.
    pub(super) noted: Mutex<Option<(Head, Durability)>>,
}

impl AuditLog {
    /// Opens or makes the log. A torn last line is cut off and kept aside; what began and did not end is closed with
    /// [`Outcome::Unknown`](super::Outcome::Unknown). A log of agent-secrets is kept and its last line is where the chain begins.
    /// The daemon holds its own lock, so that there is one writer.
    pub fn open(path: &Path, settings: Settings, clock: Clock) -> Result<(Self, Recovery), Error> {
        let (file, tail, torn) = recover(path, clock.now())?;
        let end = tail.hash.map_or(Tip::START, |hash| Tip::new(tail.seq, hash));
        let witness = settings.witness.clone();
        let missing = match &witness {
            Some(witness) => Missing::find(witness, path, &end)?,
            None => None,
        };
        let start = missing.as_ref().and_then(Missing::tip).unwrap_or(end);
        let log = Self::with_file(path, Arc::new(file), start, settings, clock);
        let recovery = Recovery::close(&log, &tail, torn, missing)?;
        if let Some(witness) = witness.filter(|witness| witness.origin == KeyOrigin::Made) {
            let key = witness.key.public().to_string();
            log.append(&Event::new(Action::AuditKeyCreate).details(&key))?;
        }
        log.note_head()?;
        Ok((log, recovery))
    }

    pub(super) fn with_file(path: &Path, file: Arc<dyn LogFile>, tip: Tip, settings: Settings, clock: Clock) -> Self {
        Self(Arc::new(Shared {
            path: path.to_owned(),
            settings,
            clock,
            is_healthy: AtomicBool::new(true),
            state: Mutex::new(State::new(file, tip)),
            synced: Condvar::new(),
            noted: Mutex::new(None),
        }))
    }

    /// Records an event; whatever waits goes with it in one `write(2)`. Takes microseconds with [`Durability::Write`];
    /// with [`Durability::Fsync`] it waits for the disk, and lets the thread's other tasks move away meanwhile.
    ///
    /// After an error the event is not recorded, except when the sync failed: then it is written again later.
    /// Either way its effect must not happen.
    pub fn append(&self, event: &Event<'_>) -> Result<(), Error> {
        self.waiting_for_the_disk(|| self.append_now(event))
    }

    pub(super) fn waiting_for_the_disk<T>(&self, work: impl FnOnce() -> T) -> T {
        match self.0.settings.durability {
            Durability::Fsync => blocking(work),
            Durability::Write => work(),
        }
    }

    fn append_now(&self, event: &Event<'_>) -> Result<(), Error> {
        let shared = &*self.0;
        self.append_formatted(shared.lock(), |state| state.format(&shared.clock, event))
    }

    pub(super) fn append_formatted(
        &self,
        mut state: MutexGuard<'_, State>,
        format: impl FnOnce(&mut State),
    ) -> Result<(), Error> {
        let shared = &*self.0;
        let mark = (state.pending.len(), state.tip);
        format(&mut state);
        if let Err(error) = shared.write(&mut state) {
            state.go_back(mark);
            state.trouble.refused += 1;
            return Err(error);
        }
        match shared.settings.durability {
            Durability::Write => Ok(()),
            Durability::Fsync => shared.wait_until_synced(state).map(drop).inspect_err(|_| {
                shared.lock().trouble.refused += 1;
            }),
        }
    }

    /// Records an event with the next write: the next [`append`](Self::append), the next [`flush`](Self::flush), when
    /// 64 KiB wait, or when the log is dropped. Keeps it while the disk is full, up to 4 MiB; what is lost beyond that is
    /// counted, and the count recorded.
    pub fn append_lazily(&self, event: &Event<'_>) {
        let shared = &*self.0;
        let mut state = shared.lock();
        if state.pending.len() >= BOUND && shared.write(&mut state).is_err() {
            state.trouble.lost += 1;
            return;
        }
        state.format(&shared.clock, event);
        if state.pending.len() >= EAGER {
            let _ = shared.write(&mut state); // kept and tried again; `is_healthy` says so
        }
    }

    /// Writes what waits, tries again what failed, and opens a new file when the log was moved away or removed. Called
    /// some twenty times a second; with [`Durability::Fsync`] it waits for the disk.
    pub fn flush(&self) -> Result<(), Error> {
        self.waiting_for_the_disk(|| self.flush_now())
    }

    fn flush_now(&self) -> Result<(), Error> {
        let shared = &*self.0;
        let mut state = shared.lock();
        let is_there = state.file.is_at(&shared.path).map_err(Error::io("find", &shared.path));
        if state.is_gone || !shared.unhealthy_if_not(is_there)? {
            state = shared.go_on_in_a_new_file(state)?;
        }
        shared.write(&mut state)?;
        match shared.settings.durability {
            Durability::Write => Ok(()),
            Durability::Fsync => shared.wait_until_synced(state).map(drop),
        }
    }

    /// Whether the last write, sync or look at the file succeeded. While it is false, requests that need a record are
    /// refused; `flush` finds out when the log works again.
    pub fn is_healthy(&self) -> bool {
        self.0.is_healthy.load(Ordering::Relaxed)
    }

    /// The newest line that was written; kept elsewhere, it proves later that the log was not cut. Lines that wait are left
    /// out: after a crash, their absence would look like a cut.
    pub fn head(&self) -> Head {
        self.0.lock().written.head()
    }

    /// Where the log is.
    pub fn path(&self) -> &Path {
        &self.0.path
    }
}

impl std::fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuditLog").field("path", &self.0.path).finish_non_exhaustive()
    }
}

impl Shared {
    /// A thread that panicked while it held the lock left whole values: each is set in one step.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unhealthy_if_not<T, E>(&self, result: Result<T, E>) -> Result<T, E> {
        if result.is_err() { self.healthy_if(result) } else { result }
    }

    fn healthy_if<T, E>(&self, result: Result<T, E>) -> Result<T, E> {
        self.is_healthy.store(result.is_ok(), Ordering::Relaxed);
        result
    }

    /// Writes everything that waits and, once the log works again, what went missing meanwhile. On failure the file is cut
    /// back to whole lines and everything still waits.
    pub(super) fn write(&self, state: &mut State) -> Result<(), Error> {
        let mark = (state.pending.len(), state.tip);
        let Trouble { refused, lost } = state.trouble;
        if refused + lost > 0 {
            let details = format!(
                "the log could not be written: {} refused, {} lost",
                counted(refused, "event"),
                counted(lost, "event")
            );
            state.format(&self.clock, &Event::new(Action::AuditRecovered).details(&details));
        }
        if state.pending.is_empty() && state.torn == 0 {
            return self.healthy_if(Ok(()));
        }
        if let Err(source) = self.healthy_if(state.write_pending()) {
            state.go_back(mark);
            return Err(Error::io("write", &self.path)(source));
        }
        if self.settings.durability == Durability::Fsync {
            state.sync.unsynced.extend_from_slice(&state.pending);
        }
        state.pending.clear();
        state.written = state.tip;
        state.writes += 1;
        state.trouble = Trouble::default();
        Ok(())
    }

    /// Waits until every line that was written up to now is on the disk: syncs, or waits for the one who does.
    fn wait_until_synced<'a>(&'a self, mut state: MutexGuard<'a, State>) -> Result<MutexGuard<'a, State>, Error> {
        let (mine, failures) = (state.writes, state.sync.failures);
        loop {
            if state.sync.failures != failures {
                let source = std::io::Error::other("the disk did not take it");
                return Err(Error::io("sync", &self.path)(source));
            }
            if state.sync.writes >= mine {
                return Ok(state);
            }
            if state.sync.is_running {
                state = self.synced.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let (file, length) = (Arc::clone(&state.file), state.sync.unsynced.len());
            let (tip, writes) = (state.written, state.writes);
            state.sync.is_running = true;
            drop(state);
            let result = file.sync();
            state = self.lock();
            state.sync.is_running = false;
            if self.healthy_if(result).is_ok() {
                (state.sync.tip, state.sync.writes) = (tip, writes);
                state.sync.unsynced.drain(..length);
            } else {
                state.sync.failures += 1;
                state.take_back_unsynced();
            }
            self.synced.notify_all();
        }
    }

    /// Opens the file that stands at the path now, or a new one; what waits is chained to its end.
    fn go_on_in_a_new_file<'a>(&'a self, mut state: MutexGuard<'a, State>) -> Result<MutexGuard<'a, State>, Error> {
        while state.sync.is_running {
            state = self.synced.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if !state.sync.unsynced.is_empty() {
            // Those who wait are told the truth about the old file: on its disk, or failed.
            match state.file.sync() {
                Ok(()) => state.sync.writes = state.writes,
                Err(_) => state.sync.failures += 1,
            }
            state.sync.unsynced.clear();
            self.synced.notify_all();
        }
        let opened = self.healthy_if(recover_file(&self.path, self.clock.now()));
        state.is_gone = opened.is_err();
        // The chain goes on from what we wrote, whatever stands there: a cut copy put in its place shows as a gap.
        let (file, _, _) = opened?;
        let old = state.written;
        state.file = Arc::new(file);
        state.torn = 0;
        let waiting = std::mem::take(&mut state.pending);
        (state.tip, state.sync.tip) = (old, old);
        self.format_continuation(&mut state, &continuity::moved(old.seq, old.hash()));
        state.chain_again(&waiting);
        Ok(state)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let mut state = self.lock();
        let _ = self.write(&mut state); // there is nobody left to tell
        if self.settings.durability == Durability::Fsync {
            let _ = state.file.sync();
        }
    }
}
