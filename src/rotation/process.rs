//! A hook's process, everything in its group, and everything else that it started: ended together, and never waited for
//! without bound.
//!
//! Invariant: the leader is not reaped before its group was killed, so that the group's number is still ours.

use std::{
    io::{self, Write as _},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::{
    process::{Child, ChildStdout, Command},
    signal::unix::{Signal as Stream, SignalKind, signal},
    time::timeout,
};

use super::strays::Strays;
use crate::base;

/// How long a hook that was told to end has before it is killed: 2 s.
const GRACE: Duration = Duration::from_secs(2);
/// How long the system may take over a process that was killed; it can only be waiting for a device then.
const REAP: Duration = Duration::from_secs(5);

/// Waits to be branded, and is the hook then: its first argument, with an empty standard input. Nothing runs when we end
/// before.
const GATE: &str = "read -r go && exec /bin/sh -c \"$1\" </dev/null";

/// A running hook. Dropping it kills it and all that it started.
pub(super) struct Process {
    child: Child,
    group: Option<Pid>,
    strays: Strays,
    changes: Stream,
}

impl Process {
    /// Starts a shell's command as the leader of a process group of its own; `around` sets what is around it.
    pub(super) fn start(text: &str, around: impl FnOnce(&mut Command)) -> io::Result<Self> {
        let changes = signal(SignalKind::child())?; // before the start, so that an early end is not missed
        let (gate, mut opener) = io::pipe()?;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", GATE, "/bin/sh", text]);
        around(&mut command);
        let child = command.stdin(gate).stderr(Stdio::null()).process_group(0).kill_on_drop(true).spawn()?;
        drop(command); // it holds the other end
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let process = Self { child, group, strays: Strays::of(group.map_or(0, Pid::as_raw_pid)), changes };
        let _ = opener.write_all(b"\n"); // a shell that has ended already is seen to have
        Ok(process)
    }

    /// Its standard output, if it was piped; once.
    pub(super) fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Waits until the leader has ended, and does not reap it.
    pub(super) async fn ended(&mut self) {
        while self.is_running() {
            self.changes.recv().await;
        }
    }

    fn is_running(&self) -> bool {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        self.group.is_some_and(|leader| matches!(waitid(WaitId::Pid(leader), look), Ok(None)))
    }

    /// Ends the whole group, gently where there is something to be gentle with, and reaps the leader.
    pub(super) async fn end(mut self) -> io::Result<ExitStatus> {
        if self.is_running() {
            self.signal(Signal::TERM);
            base::blocking(|| self.strays.signal(Signal::TERM));
            let _ = timeout(GRACE, self.ended()).await; // whoever is left is killed
        }
        base::blocking(|| self.kill());
        self.group = None;
        let stuck = || io::Error::from(io::ErrorKind::TimedOut);
        timeout(REAP, self.child.wait()).await.unwrap_or_else(|_| Err(stuck()))
    }

    fn kill(&mut self) {
        self.strays.look(); // while its leader is there to be looked below
        self.signal(Signal::KILL);
        self.strays.kill();
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            let _ = kill_process_group(group, signal); // it may have ended in this very moment
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.group.is_some() {
            self.kill();
        }
    }
}
