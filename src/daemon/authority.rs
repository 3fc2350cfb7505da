//! Who may do what over the control socket: an operator everything, a process inside a session only what an agent may.
//!
//! A process is inside a session when the command that opened it is among its ancestors; `secrets exec` is a child
//! subreaper, so a process that lets go of its parent does not leave. When that command has ended or was killed, its
//! descendants are still known: those that were seen by their ids and starts, all others by the variable that marks them.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    base::{self, Process, SessionId, hex, sha256},
    broker::Broker,
    control::{Peer, SESSION_VARIABLE},
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

/// A process for as long as it lives: its id and its start.
type Known = HashSet<(i32, u64)>;

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
        // The command that opened a session is its operator's; what it started is the agent.
        let mut others = line.iter().filter(|process| peer.pid != Some(process.id));
        if let Some(session) = others.find_map(|process| broker.session_of_process(process.id)) {
            return Authority::Agent(Some(session));
        }
        let is_known = |process: &Process| self.known().contains(&(process.id, process.started));
        if line.iter().any(is_known) || line.iter().any(|process| self.is_marked(process)) {
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
                *known = below(&Process::all(), &openers, &known);
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
    while let Some(process) = next.filter(|&id| id > 1 && !is_own(id)).and_then(Process::find) {
        line.push(process);
        next = (line.len() < MAX_DEPTH).then_some(process.parent);
    }
    line
}

fn is_own(id: i32) -> bool {
    id == rustix::process::getpid().as_raw_pid()
}

/// Everything below these commands and below what was known, and what was known and lives.
fn below(all: &[Process], openers: &[i32], known: &Known) -> Known {
    let mut children: HashMap<i32, Vec<&Process>> = HashMap::new();
    for process in all {
        children.entry(process.parent).or_default().push(process);
    }
    let is_known = |process: &&Process| known.contains(&(process.id, process.started));
    let mut found: Known = all.iter().filter(is_known).map(|process| (process.id, process.started)).collect();
    let mut parents: Vec<i32> = openers.iter().copied().chain(found.iter().map(|(id, _)| *id)).collect();
    while let Some(parent) = parents.pop() {
        for child in children.remove(&parent).into_iter().flatten().filter(|child| !is_own(child.id)) {
            found.insert((child.id, child.started));
            parents.push(child.id);
        }
    }
    found
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
        let known = below(&before, &[exec], &Known::new());
        assert_eq!(known, Known::from([(11, 100), (12, 100)]));
        // Its parents are gone, it has started another, and a stranger was given the id of one that ended.
        let stranger = Process { started: 999, ..process(11, 1) };
        let after = [process(12, 1), process(13, 12), process(20, 1), stranger];
        assert_eq!(below(&after, &[], &known), Known::from([(12, 100), (13, 100)]));
        assert_eq!(below(&[], &[], &known), Known::new());
    }

    #[test]
    fn a_circle_of_parents_ends() {
        let all = [process(10, 11), process(11, 10)];
        assert_eq!(below(&all, &[10], &Known::new()).len(), 2);
    }

    #[test]
    fn the_daemon_is_nobodys_agent() {
        let own = rustix::process::getpid().as_raw_pid();
        let all = [process(own, 10), process(12, own)];
        assert_eq!(below(&all, &[10], &Known::new()), Known::new());
        assert_eq!(ancestry(Some(own)), []);
    }
}
