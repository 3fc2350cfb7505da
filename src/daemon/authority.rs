//! Who may do what over the control socket: an operator everything, a process inside a session only what an agent may.
//!
//! A process is inside a session when the command that opened it is among its ancestors; `secrets exec` is a child
//! subreaper, so a process that lets go of its parent does not leave. When that command has ended or was killed, its
//! descendants are still known by their rank, which `exec` has lowered and no process can raise ([`Rank`]); and where a
//! system knows no ranks, those that were seen by their ids and starts, and all others by the variable that marks them.
//! A caller that has ended itself and left its connection to another is an agent, too: nobody can say who asks.

use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustix::{
    io::Errno,
    process::{Pid, getpid, test_kill_process},
};

use crate::{
    base::{self, Known, Process, Rank, SESSION_VARIABLE, SessionId, hex, sha256},
    broker::Broker,
    control::Peer,
};

/// With whose authority a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Authority {
    /// From inside a session; which one is known only while it lives.
    Agent(Option<SessionId>),
    /// From outside every session.
    Operator,
}

/// Deeper than any honest process tree.
const MAX_DEPTH: usize = 256;

/// How often the descendants of sessions are looked at.
const INTERVAL: Duration = Duration::from_millis(250);

/// The processes that sessions left behind.
pub(super) struct Agents {
    /// What marks the sessions of this home.
    home: String,
    known: Mutex<Known>,
}

impl Agents {
    pub(super) fn new(home: &Path) -> Self {
        let path = home.canonicalize().unwrap_or_else(|_| home.to_owned());
        let digest = sha256(path.as_os_str().as_encoded_bytes());
        Self { home: hex(digest.get(..8).unwrap_or_default()), known: Mutex::default() }
    }

    /// What the processes of a session are marked with.
    pub(super) fn mark(&self, session: SessionId) -> String {
        format!("{session}.{}", self.home)
    }

    /// Finds out with whose authority a process calls.
    pub(super) fn authority(&self, peer: &Peer, broker: &Broker) -> Authority {
        let line = ancestry(peer.pid);
        if is_gone(peer) {
            return Authority::Agent(None);
        }
        // The command that opened a session is its operator's; what it started is the agent.
        let mut others = line.iter().filter(|process| peer.pid != Some(process.id));
        if let Some(session) = others.find_map(|process| broker.session_of_process(process.id)) {
            return Authority::Agent(Some(session));
        }
        let is_known = |process: &Process| self.known().contains(&(process.id, process.started));
        let rank = Rank::of(own());
        let is_inside = |process: &Process| is_low(process, rank) || is_known(process) || self.is_marked(process);
        if line.iter().any(is_inside) {
            return Authority::Agent(None);
        }
        Authority::Operator
    }

    /// Remembers what lives below the sessions that live now, and forgets what has ended.
    pub(super) fn look(&self, broker: &Broker) {
        base::blocking(|| {
            let mut known = self.known(); // from before the look: two at once must not put back what the later one saw
            let openers = broker.session_openers();
            if !openers.is_empty() || !known.is_empty() {
                *known = Process::below(&Process::all(), &openers, &known);
            }
        });
    }

    /// Looks again and again, for as long as it is polled. One task of the daemon runs it.
    pub(super) async fn keep_looking(&self, broker: &Broker) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            self.look(broker);
        }
    }

    fn is_marked(&self, process: &Process) -> bool {
        let mark = Process::started_with(process.id, SESSION_VARIABLE);
        mark.is_some_and(|mark| mark.rsplit(|byte| *byte == b'.').next() == Some(self.home.as_bytes()))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A process and its ancestors, up to the daemon itself: what a hook of ours starts is no agent, whoever started us.
fn ancestry(process: Option<i32>) -> Vec<Process> {
    let mut line: Vec<Process> = Vec::new();
    let mut next = process;
    while let Some(process) = next.filter(|&id| id > 0 && id != own()).and_then(Process::find) {
        line.push(process);
        next = (line.len() < MAX_DEPTH).then_some(process.parent);
    }
    line
}

fn own() -> i32 {
    getpid().as_raw_pid()
}

/// Whether the process that connected has ended, or its id is another's by now.
fn is_gone(peer: &Peer) -> bool {
    let Some(id) = peer.pid.and_then(Pid::from_raw) else { return false };
    match Process::find(id.as_raw_pid()) {
        Some(now) => now.is_zombie || Some(now.started) != peer.started,
        None => test_kill_process(id) == Err(Errno::SRCH), // it may be there and not to be seen
    }
}

/// Whether a process is inside a session of a daemon of this rank. A daemon that was itself started inside a session, of
/// whatever home, is its operator's there: what it started and what started it have its rank.
fn is_low(process: &Process, own: Option<Rank>) -> bool {
    Rank::of(process.id).zip(own).is_some_and(|(rank, own)| rank < own)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(id: i32, parent: i32) -> Process {
        Process { id, parent, started: 100, is_zombie: false }
    }

    #[test]
    fn what_lives_below_a_session_stays_known_without_its_parents() {
        let exec = 10;
        let before = [process(exec, 1), process(11, exec), process(12, 11), process(20, 1)];
        let known = Process::below(&before, &[exec], &Known::new());
        assert_eq!(known, Known::from([(11, 100), (12, 100)]));
        // Its parents are gone, it has started another, and a stranger was given the id of one that ended.
        let stranger = Process { started: 999, ..process(11, 1) };
        let after = [process(12, 1), process(13, 12), process(20, 1), stranger];
        assert_eq!(Process::below(&after, &[], &known), Known::from([(12, 100), (13, 100)]));
        assert_eq!(Process::below(&[], &[], &known), Known::new());
    }

    #[test]
    fn a_circle_of_parents_ends() {
        let all = [process(10, 11), process(11, 10)];
        assert_eq!(Process::below(&all, &[10], &Known::new()).len(), 2);
    }

    #[test]
    fn the_daemon_is_nobodys_agent() {
        let all = [process(own(), 10), process(12, own())];
        assert_eq!(Process::below(&all, &[10], &Known::new()), Known::new());
        assert_eq!(ancestry(Some(own())), []);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_first_process_of_a_system_may_have_opened_a_session_too() {
        let line = ancestry(Some(i32::try_from(std::os::unix::process::parent_id()).unwrap()));
        assert_eq!(line.last().map(|process| process.parent), Some(0), "{line:?}");
    }

    #[test]
    fn a_caller_that_has_ended_or_whose_id_is_another_s_is_gone() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let peer = Peer { uid: 0, pid: Some(pid), started: Process::find(pid).map(|process| process.started) };
        assert!(!is_gone(&peer) && !is_gone(&Peer { pid: None, started: None, ..peer }));
        if let Some(started) = peer.started {
            assert!(is_gone(&Peer { started: Some(started + 1), ..peer }) && is_gone(&Peer { started: None, ..peer }));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(is_gone(&peer));
    }
}
