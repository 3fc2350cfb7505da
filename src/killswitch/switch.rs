//! The switch itself: asked by every request without a lock, watched by whoever waits for its reset, kept on disk.
//!
//! Invariant: tripping is one store in memory and cannot fail; a reset happens on disk first and gives way to any trip
//! that comes meanwhile.

use std::{
    fmt,
    path::PathBuf,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tokio::sync::watch;

use super::{
    Error, Trip, Tripper,
    trip::{read, write},
};
use crate::base::{Clock, blocking};

/// What the switch is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum KillState {
    /// Everything works.
    #[default]
    Ready,
    /// Nothing is leased and nothing is forwarded.
    Tripped(Trip),
}

impl KillState {
    /// The trip, when there is one.
    pub const fn trip(&self) -> Option<&Trip> {
        match self {
            Self::Ready => None,
            Self::Tripped(trip) => Some(trip),
        }
    }
}

/// The kill switch of one home.
pub struct KillSwitch {
    file: PathBuf,
    clock: Clock,
    tripped: AtomicBool,
    state: watch::Sender<KillState>,
    /// How often it was pulled; a reset must not have missed one.
    pulls: AtomicU64,
    /// Held around every use of the file.
    turn: Mutex<()>,
}

impl KillSwitch {
    /// The switch as its file says; a file that cannot be read means tripped.
    pub fn open(file: PathBuf, clock: Clock) -> Self {
        let state = match read(&file) {
            Ok(None) => KillState::Ready,
            Ok(Some(trip)) => KillState::Tripped(trip),
            Err(error) => KillState::Tripped(damaged(&error, &clock)),
        };
        Self {
            file,
            clock,
            tripped: AtomicBool::new(state != KillState::Ready),
            state: watch::Sender::new(state),
            pulls: AtomicU64::new(0),
            turn: Mutex::default(),
        }
    }

    /// Whether it is tripped; one load, for every request.
    pub fn is_tripped(&self) -> bool {
        self.tripped.load(Ordering::Acquire)
    }

    /// The trip that holds.
    pub fn trip(&self) -> Option<Trip> {
        self.state.borrow().trip().cloned()
    }

    /// Sees every change.
    pub fn watch(&self) -> watch::Receiver<KillState> {
        self.state.subscribe()
    }

    /// Trips it in memory, at once; what was there first stays. [`KillSwitch::keep`] writes it down.
    pub fn pull(&self, by: Tripper, reason: &str) -> Trip {
        self.pulls.fetch_add(1, Ordering::AcqRel);
        let trip = Trip { since: self.clock.now(), by, reason: reason.to_owned() };
        self.state.send_if_modified(|state| {
            self.tripped.store(true, Ordering::Release);
            let is_first = *state == KillState::Ready;
            if is_first {
                *state = KillState::Tripped(trip.clone());
            }
            is_first
        });
        self.trip().unwrap_or(trip)
    }

    /// Writes the state to its file, so that it survives a restart; waits for the disk.
    pub fn keep(&self) -> Result<(), Error> {
        blocking(|| {
            let _turn = self.turn();
            write(&self.file, self.trip().as_ref())
        })
    }

    /// Makes it ready again, on disk and then in memory; gives the trip that ended, `None` when there was none.
    pub fn reset(&self) -> Result<Option<Trip>, Error> {
        blocking(|| self.reset_now())
    }

    fn reset_now(&self) -> Result<Option<Trip>, Error> {
        let _turn = self.turn();
        let pulls = self.pulls.load(Ordering::Acquire);
        let Some(trip) = self.trip() else { return Ok(None) };
        write(&self.file, None)?;
        let is_reset = self.state.send_if_modified(|state| {
            // Whoever pulls counts first and trips after, so that a pull is seen here or trips what we make ready.
            let unseen = self.pulls.load(Ordering::Acquire) != pulls;
            if !unseen {
                *state = KillState::Ready;
                self.tripped.store(false, Ordering::Release);
            }
            !unseen
        });
        if is_reset {
            return Ok(Some(trip));
        }
        write(&self.file, Some(&trip))?;
        Err(Error::TrippedAgain)
    }

    /// The trip that somebody else wrote into the file since; a file that became unreadable is one. A file that says
    /// ready, or is gone, changes nothing: only [`KillSwitch::reset`] resets.
    pub fn foreign_trip(&self) -> Option<Trip> {
        blocking(|| {
            let _turn = self.turn();
            if self.is_tripped() {
                return None;
            }
            read(&self.file).unwrap_or_else(|error| Some(damaged(&error, &self.clock)))
        })
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for KillSwitch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KillSwitch({:?})", *self.state.borrow())
    }
}

fn damaged(error: &Error, clock: &Clock) -> Trip {
    Trip { since: clock.now(), by: Tripper::DamagedState, reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Timestamp;

    struct Place {
        file: PathBuf,
        clock: Clock,
        _folder: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let clock = Clock::manual(Timestamp::from_millis(1_764_000_000_000));
            Self { file: folder.path().join("kill.json"), clock, _folder: folder }
        }

        fn switch(&self) -> KillSwitch {
            KillSwitch::open(self.file.clone(), self.clock.clone())
        }
    }

    #[test]
    fn a_trip_holds_across_restarts_until_it_is_reset() {
        let place = Place::new();
        let switch = place.switch();
        assert!(!switch.is_tripped() && switch.trip().is_none());
        let first = switch.pull(Tripper::Operator, "told to");
        switch.keep().unwrap();
        place.clock.advance(std::time::Duration::from_mins(1));
        assert_eq!(switch.pull(Tripper::Heartbeat, "another"), first, "twice is the same");
        let again = place.switch();
        assert_eq!((again.is_tripped(), again.trip()), (true, Some(first.clone())));
        assert_eq!(again.reset().unwrap(), Some(first));
        assert_eq!(again.reset().unwrap(), None);
        assert!(!again.is_tripped() && !place.switch().is_tripped());
    }

    #[test]
    fn a_state_that_cannot_be_read_means_tripped_and_can_be_reset() {
        let place = Place::new();
        for content in ["", "{}", "{\"version\":2,\"tripped\":null}", "{\"version\":1,\"tripped\":null,\"x\":1}", "\0"]
        {
            std::fs::write(&place.file, content).unwrap();
            let switch = place.switch();
            let trip = switch.trip().unwrap();
            assert_eq!((switch.is_tripped(), trip.by), (true, Tripper::DamagedState), "{content}");
            assert!(trip.reason.contains("kill.json"), "{}", trip.reason);
            assert_eq!(switch.reset().unwrap(), Some(trip));
            assert!(!place.switch().is_tripped());
        }
        std::fs::remove_file(&place.file).unwrap();
        std::os::unix::fs::symlink("/nowhere", &place.file).unwrap();
        assert!(place.switch().is_tripped(), "a link is no state file");
    }

    #[test]
    fn a_write_that_fails_leaves_the_switch_as_it_should_be() {
        let place = Place::new();
        let switch = place.switch();
        std::fs::create_dir(&place.file).unwrap(); // nothing can be put in its place
        switch.pull(Tripper::Operator, "told to");
        assert!(switch.keep().is_err());
        assert!(switch.is_tripped(), "it cuts all the same");
        assert!(switch.reset().is_err());
        assert!(switch.is_tripped(), "what cannot be written down is not reset");
    }

    #[test]
    fn a_file_can_trip_and_cannot_reset() {
        let place = Place::new();
        let switch = place.switch();
        assert_eq!(switch.foreign_trip(), None);
        let other = place.switch();
        let trip = other.pull(Tripper::Operator, "without a daemon");
        other.keep().unwrap();
        assert_eq!(switch.foreign_trip(), Some(trip));
        switch.pull(Tripper::Operator, "seen");
        std::fs::remove_file(&place.file).unwrap();
        assert_eq!((switch.foreign_trip(), switch.is_tripped()), (None, true));
    }

    #[tokio::test]
    async fn a_reset_is_seen_by_who_watches() {
        let place = Place::new();
        let switch = place.switch();
        let mut watch = switch.watch();
        switch.pull(Tripper::Operator, "told to");
        watch.changed().await.unwrap();
        assert!(watch.borrow_and_update().trip().is_some());
        switch.reset().unwrap();
        watch.changed().await.unwrap();
        assert_eq!(*watch.borrow(), KillState::Ready);
    }
}
