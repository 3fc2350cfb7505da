//! What a hook has started, wherever it went: out of its group, away from its parents, without its variables.
//!
//! It is known by the brand that the hook got before its first word ran, and everything below it by its parents. Where no
//! brand can be put on, only what still has the hook among its ancestors is found.

use rustix::process::Signal;

use crate::base::{Brand, Known, Process};

/// How often what is found is stopped and looked for again. Who outruns that has more than a hook to answer for.
const ROUNDS: usize = 100;

/// The processes of one run.
pub(super) struct Strays {
    leader: i32,
    started: u64,
    brand: Option<Brand>,
    known: Known,
}

impl Strays {
    /// Those of a run whose leader has not begun yet; from here on it is branded.
    pub(super) fn of(leader: i32) -> Self {
        let started = Process::find(leader).map_or(u64::MAX, |process| process.started);
        Self { leader, started, brand: Brand::put_on(leader), known: Known::new() }
    }

    /// Looks for all of them that live, the leader not included; remembers them.
    pub(super) fn look(&mut self) -> Vec<Process> {
        let all = Process::all();
        let is_branded = |process: &&Process| {
            // Nothing of the run is older than its leader, which spares us most of the system.
            process.started >= self.started && self.brand.is_some_and(|brand| brand.is_on(process.id))
        };
        self.known.extend(all.iter().filter(is_branded).map(|process| (process.id, process.started)));
        self.known = Process::below(&all, &[self.leader], &self.known);
        let is_ours = |process: &Process| self.known.contains(&(process.id, process.started));
        all.into_iter().filter(|process| process.id != self.leader && !process.is_zombie && is_ours(process)).collect()
    }

    /// Sends a signal to all of them.
    pub(super) fn signal(&mut self, signal: Signal) {
        for process in self.look() {
            process.signal(signal);
        }
    }

    /// Ends all of them. They are stopped first, each as soon as it is found, so that none starts another that nobody
    /// has seen while the ones before it are killed.
    pub(super) fn kill(&mut self) {
        let mut stopped = Known::new();
        for _ in 0..ROUNDS {
            let mut found = self.look();
            found.retain(|process| stopped.insert((process.id, process.started)));
            if found.is_empty() {
                break;
            }
            for process in &found {
                process.signal(Signal::STOP);
            }
        }
        self.signal(Signal::KILL);
    }
}
