//! Who may do what over the control socket: an operator everything, a process inside a session only what an agent may.
//!
//! A process is inside a session when the command that opened it is among its ancestors; `secrets exec` is a child
//! subreaper, so a process that lets go of its parent does not leave.

use std::sync::Arc;

use crate::{base::SessionId, broker::Broker, control::Peer};

/// With whose authority a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Authority {
    /// From inside a session.
    Agent(SessionId),
    /// From outside every session.
    Operator,
}

/// Deeper than any honest process tree.
const MAX_DEPTH: usize = 256;

/// Finds out.
pub(super) fn of(peer: &Peer, broker: &Arc<Broker>) -> Authority {
    let mut process = peer.pid;
    for _ in 0..MAX_DEPTH {
        let Some(pid) = process.filter(|&pid| pid > 1) else { break };
        if let Some(session) = broker.session_of_process(pid) {
            // The command that opened the session is its operator's; what it started is the agent.
            if peer.pid != Some(pid) {
                return Authority::Agent(session);
            }
        }
        process = parent(pid);
    }
    Authority::Operator
}

/// The fourth field of `/proc/PID/stat`; the second may hold anything, so it is skipped by its last parenthesis.
fn parent(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_of_this_process_is_found() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(parent(own).is_some_and(|pid| pid > 0));
        assert_eq!(parent(-1), None);
    }
}
