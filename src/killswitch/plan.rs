//! The plan that a trip works off, step by step, and what became of each.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::Trip;
use crate::{
    audit::{Action, AuditLog, Event, Outcome},
    base::CutReason,
};

/// A step of the plan, in the order in which they are taken. A failed one does not stop the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// From now on nothing is leased and nothing is forwarded.
    Latch,
    /// Every lease is revoked.
    RevokeAll,
    /// Every live exchange and tunnel is cut.
    Cut,
    /// The latch and the end of the leases are on disk.
    Keep,
    /// Every secret with a rotation hook gets a new value.
    RotateAll,
    /// Store, identity, leases and the authority's key are destroyed.
    WipeStore,
    /// All of this is in the audit log.
    Record,
}

impl Step {
    /// The word for it in the audit log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Latch => "latch",
            Self::RevokeAll => "revoke_all",
            Self::Cut => "cut",
            Self::Keep => "keep",
            Self::RotateAll => "rotate_all",
            Self::WipeStore => "wipe_store",
            Self::Record => "record",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What is done besides latching, revoking and cutting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Whether every secret with a rotation hook is rotated.
    pub rotate: bool,
    /// Whether the store is wiped.
    pub wipe: bool,
}

/// A step that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepDone {
    /// Which.
    pub step: Step,
    /// What was done, or why it could not be; one sentence without a secret.
    pub result: Result<String, String>,
}

/// What became of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KillReport {
    /// The trip that holds; an earlier one when the switch was tripped already.
    pub trip: Trip,
    /// How many leases ended.
    pub leases: usize,
    /// The steps in their order.
    pub steps: Vec<StepDone>,
}

impl KillReport {
    /// A report to which nothing has been added.
    pub const fn new(trip: Trip) -> Self {
        Self { trip, leases: 0, steps: Vec::new() }
    }

    /// Adds what became of a step.
    pub fn add(&mut self, step: Step, result: Result<String, String>) {
        self.steps.push(StepDone { step, result });
    }

    /// Adds what became of a step and records it, with the time that it took where that is promised. Waits for nothing:
    /// a record that cannot be written now is kept, and [`Step::Record`] tells.
    pub fn record(
        &mut self,
        audit: &AuditLog,
        step: Step,
        result: Result<String, String>,
        took: impl Into<Option<Duration>>,
    ) {
        let details = match &result {
            Ok(done) => format!("{step}: {done}"),
            Err(_) => step.to_string(),
        };
        let mut event = Event::new(Action::Killswitch).reason(CutReason::Killed).details(&details);
        if let Err(why) = &result {
            event = event.outcome(Outcome::Failed).error(why);
        }
        if let Some(took) = took.into() {
            event = event.duration(took);
        }
        audit.append_lazily(&event);
        self.add(step, result);
    }

    /// Has everything written that was recorded, and adds whether it was.
    pub fn close(&mut self, audit: &AuditLog) {
        let written = audit.flush().map(|()| "in the audit log".to_owned()).map_err(|error| error.to_string());
        self.add(Step::Record, written);
    }

    /// Whether the step was tried.
    pub fn tried(&self, step: Step) -> bool {
        self.steps.iter().any(|done| done.step == step)
    }
}
