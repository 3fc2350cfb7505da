//! Processes that let go of their parent under `secrets exec` stay below it: it adopts them, and sees them end.
//!
//! Invariant: while the command runs, everything that it started has it among its ancestors (attack 97).

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::base::Process;

/// The orphans of our descendants; they are ours from here on.
pub(super) struct Orphans {
    ends: Signal,
}

impl Orphans {
    /// Adopts all that become orphans from now on. To be called before the first child is started.
    pub(super) fn adopt() -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        Ok(Self { ends: signal(SignalKind::child())? })
    }

    /// Waits for orphans to end, so that none stays as a zombie; never for `child`, whose end others wait for. Never
    /// ends itself.
    pub(super) async fn reap(&mut self, child: Option<u32>) {
        while self.ends.recv().await.is_some() {
            reap_all_but(child);
        }
        std::future::pending::<()>().await;
    }
}

fn reap_all_but(child: Option<u32>) {
    let own = rustix::process::getpid().as_raw_pid();
    let child = child.and_then(|id| i32::try_from(id).ok());
    let ended = |process: &Process| process.is_zombie && process.parent == own && Some(process.id) != child;
    for orphan in Process::all().into_iter().filter(ended) {
        // One that is gone already needs no waiting.
        let _ =
            rustix::process::waitpid(rustix::process::Pid::from_raw(orphan.id), rustix::process::WaitOptions::NOHANG);
    }
}
