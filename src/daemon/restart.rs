//! `daemon.restart`: a restart that is recorded first and cannot become a loop.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    service::{Desk, Outcome},
    translate::failure,
};
use crate::{
    audit::{Action, Event},
    base::{AtomicFileError, CutReason, Timestamp, read_bounded, replace},
    control::{Failure, FailureCode, RestartAccepted},
};

/// How long a restart keeps the next one away; it outlives the process, which is the point.
const COOL_DOWN: Duration = Duration::from_secs(30);
/// The note is one small object.
const MAX_LEN: u64 = 4096;

/// When the last restart was asked for, as agent-secrets notes it.
#[derive(Serialize, Deserialize)]
struct Note {
    requested_at: Timestamp,
}

impl Desk {
    /// Stops for the next daemon, which a supervisor or the asking command starts. Nothing stops when the record cannot
    /// be written.
    pub(super) fn restart(&self) -> Outcome {
        let now = self.broker.clock().now();
        let path = self.home.folder().join("restart-cooldown.json");
        if let Some(left) = last(&path).and_then(|last| still_cooling(last, now)) {
            let message = format!("the daemon was restarted a moment ago; wait {} s", left.as_secs() + 1);
            return Err(Failure::new(FailureCode::Draining, message).with_fix("secrets status"));
        }
        self.broker.audit().append(&Event::new(Action::DaemonRestart)).map_err(|error| failure(error.into()))?;
        note(&path, now).map_err(|error| Failure::new(FailureCode::Io, error.to_string()))?;
        self.stop.cut(CutReason::Drained);
        Ok(RestartAccepted { accepted: true, message: "the daemon makes way for the next one".into() }.into())
    }
}

/// A note that cannot be read keeps nobody from a restart.
fn last(path: &std::path::Path) -> Option<Timestamp> {
    let (content, _) = read_bounded(path, MAX_LEN).ok()?;
    serde_json::from_slice::<Note>(&content).ok().map(|note| note.requested_at)
}

fn note(path: &std::path::Path, now: Timestamp) -> Result<(), AtomicFileError> {
    let text = format!("{{\"requested_at\":\"{now}\"}}\n");
    replace(path, text.as_bytes(), 0o600, None)
}

/// What is left of the cool-down; a note from the future is a clock that was set back, and holds nothing up.
fn still_cooling(last: Timestamp, now: Timestamp) -> Option<Duration> {
    (now >= last).then(|| COOL_DOWN.saturating_sub(now.since(last))).filter(|left| !left.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_keeps_the_next_one_away_for_half_a_minute() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("note");
        assert_eq!(last(&path), None);
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let asked = at("2026-01-01T00:00:00Z");
        note(&path, asked).unwrap();
        assert_eq!(last(&path), Some(asked));
        assert_eq!(still_cooling(asked, at("2026-01-01T00:00:10Z")), Some(Duration::from_secs(20)));
        assert_eq!(still_cooling(asked, at("2026-01-01T00:00:31Z")), None);
        assert_eq!(still_cooling(asked, at("2025-12-31T23:00:00Z")), None, "the clock was set back");
        std::fs::write(&path, "{").unwrap();
        assert_eq!(last(&path), None);
    }
}
