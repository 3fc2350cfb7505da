//! Counters over a restart: one small file, in wall-clock time, written when something has changed.
//!
//! Invariant: a file that cannot be read is an error and never an empty one, which would forgive what was used.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{PoisonError, atomic::Ordering},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::Limiter;
use crate::{
    base::{self, AtomicFileError, Timestamp},
    broker::Broker,
};

/// The largest file that is read: 16 MiB.
const MAX_FILE: u64 = 16 * 1024 * 1024;

/// How often changes are written. What a crash forgets is at most what was used in this time.
const EVERY: Duration = Duration::from_secs(2);

/// Each counter that is not empty, with when it will be.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    written_at: Timestamp,
    empty_at: BTreeMap<String, Timestamp>,
}

impl Limiter {
    fn kept(&self) -> Kept {
        let (now, written_at) = (self.clock.boot(), self.clock.now());
        let mut empty_at = BTreeMap::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let left = shard.iter().map(|(key, bucket)| (key, bucket.left(now))).filter(|(_, left)| !left.is_zero());
            empty_at.extend(left.map(|(key, left)| (key.clone(), written_at.plus(left))));
        }
        Kept { written_at, empty_at }
    }

    /// A wall clock that was set back meanwhile makes nobody wait longer than before.
    fn restore(&self, kept: Kept) {
        let (now, wall) = (self.clock.boot(), self.clock.now().max(kept.written_at));
        for (key, empty_at) in kept.empty_at {
            self.bucket(&key).fill_until(now + empty_at.since(wall));
        }
    }

    /// Reads what the last run used. The error says what is wrong with the file.
    pub(super) fn load(&self, file: &Path) -> Result<(), String> {
        let bytes = match base::blocking(|| base::read_bounded(file, MAX_FILE)) {
            Ok((bytes, _)) => bytes,
            Err(error) if error.is_missing() => return Ok(()),
            Err(error) => return Err(error.to_string()),
        };
        self.restore(serde_json::from_slice(&bytes).map_err(|error| error.to_string())?);
        Ok(())
    }

    /// Writes the counters if any has changed.
    pub(super) fn save(&self, file: &Path) -> Result<(), AtomicFileError> {
        if !self.changed.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let text = serde_json::to_vec(&self.kept()).unwrap_or_default(); // texts and numbers always have a form
        let written = base::blocking(|| base::replace(file, &text, 0o600, None));
        if written.is_err() {
            self.changed.store(true, Ordering::Release);
        }
        written
    }
}

impl Broker {
    /// Takes up the counters of the last run; the error says why their file cannot be read.
    pub fn restore_limits(&self) -> Result<(), String> {
        self.limits.load(&self.parts.home.limits())
    }

    /// Writes the counters now, if any has changed.
    pub fn save_limits(&self) {
        if let Err(error) = self.limits.save(&self.parts.home.limits()) {
            tracing::error!(%error, "the counters of limits cannot be saved; a restart would forget what was used");
        }
    }

    /// Writes the counters for as long as it is polled. One task of the daemon runs it.
    pub async fn keep_limits(&self) {
        loop {
            tokio::time::sleep(EVERY).await;
            self.save_limits();
        }
    }
}
