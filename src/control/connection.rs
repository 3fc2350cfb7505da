//! Who is at the other end, and what lives only as long as they stay.
//!
//! Invariant: what a connection holds is dropped when the client goes away, however it goes, and what is handed over
//! afterwards is dropped at once.

use std::{
    any::Any,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use crate::base::{CutReason, CutSwitch, CutWatch};

/// The process at the other end, as the kernel names it (`SO_PEERCRED`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its user, as the kernel names it; another than the daemon's own only where a group may use the socket.
    pub uid: u32,
    /// Its process, where the system tells.
    pub pid: Option<i32>,
    /// When that process started, as it was when the connection was taken; see [`crate::base::Process`].
    pub started: Option<u64>,
}

impl Peer {
    /// What the system calls its user; `None` when it has no name. May wait for a directory service.
    pub fn user_name(&self) -> Option<String> {
        nix::unistd::User::from_uid(self.uid.into()).ok().flatten().map(|user| user.name)
    }
}

/// One client's connection; clones are the same connection.
#[derive(Clone)]
pub struct Connection(Arc<Shared>);

struct Shared {
    closed: CutSwitch,
    held: Mutex<Vec<Box<dyn Any + Send>>>,
}

impl Connection {
    /// An open connection that holds nothing; the server makes one per client, tests of services as they need.
    pub fn new() -> Self {
        Self(Arc::new(Shared { closed: CutSwitch::new(), held: Mutex::new(Vec::new()) }))
    }

    /// Keeps a guard until the client goes away. While it holds one, a connection may be idle for any time.
    pub fn hold(&self, guard: impl Any + Send) {
        let mut held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        if self.closed().reason().is_none() {
            held.push(Box::new(guard));
        } else {
            drop(held); // the guard's own drop may want this connection
        }
    }

    /// Fires when the client goes away or the daemon stops.
    pub fn closed(&self) -> CutWatch {
        self.0.closed.watch()
    }

    /// Ends it: the watches fire, then the guards drop. Later calls change nothing.
    pub fn close(&self, reason: CutReason) {
        let guards = {
            let mut held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
            self.0.closed.cut(reason);
            std::mem::take(&mut *held)
        };
        drop(guards);
    }

    /// Whether it holds any guard.
    pub(super) fn is_holding(&self) -> bool {
        !self.0.held.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

impl Default for Connection {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("closed", &self.closed().reason()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    struct Guard(Arc<AtomicUsize>);

    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn guards_drop_at_the_close_and_late_ones_at_once() {
        let (connection, drops) = (Connection::new(), Arc::new(AtomicUsize::new(0)));
        connection.hold(Guard(Arc::clone(&drops)));
        assert!(connection.is_holding());
        assert_eq!(drops.load(Ordering::SeqCst), 0);
        connection.close(CutReason::SessionEnded);
        assert_eq!(drops.load(Ordering::SeqCst), 1);
        connection.hold(Guard(Arc::clone(&drops)));
        assert_eq!(drops.load(Ordering::SeqCst), 2);
        assert!(!connection.is_holding());
    }
}
