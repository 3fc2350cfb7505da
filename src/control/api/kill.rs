//! The emergency stop: trip it, reset it, and the heartbeat that trips it unasked.

use serde::{Deserialize, Serialize};

use super::{Heartbeat, empty_request};
use crate::{
    base::Timestamp,
    killswitch::{KillReport, Step, Trip, Tripper},
};

empty_request! {
    /// `kill.reset`: ends the trip; not for processes inside a session.
    #[serde(deny_unknown_fields)]
    ResetKill;
    /// `heartbeat.status`: how it has been.
    #[serde(deny_unknown_fields)]
    HeartbeatQuery;
    /// `heartbeat.test`: one beat now, which counts for nothing.
    #[serde(deny_unknown_fields)]
    TestHeartbeat;
}

/// `kill.trip`: latch, revoke all, cut; then rotate and wipe where asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TripKill {
    /// Whether every secret with a rotation hook is rotated too.
    #[serde(default)]
    pub rotate: bool,
    /// Whether the store is wiped too; the daemon stops afterwards.
    #[serde(default)]
    pub wipe: bool,
}

/// The answer to `kill.trip`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Killed {
    /// Whether every step succeeded.
    pub success: bool,
    /// The trip that holds.
    pub kill: Kill,
    /// How many leases ended.
    pub leases_revoked: u64,
    /// Every step in its order.
    pub steps: Vec<KillStep>,
}

/// What became of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KillStep {
    /// Which.
    pub step: Step,
    /// Whether it succeeded; the next was taken all the same.
    pub success: bool,
    /// What was done, or why not.
    pub message: String,
}

impl From<KillReport> for Killed {
    fn from(report: KillReport) -> Self {
        let steps = report.steps.into_iter().map(|done| KillStep {
            step: done.step,
            success: done.result.is_ok(),
            message: done.result.unwrap_or_else(|why| why),
        });
        let steps: Vec<_> = steps.collect();
        Self {
            success: steps.iter().all(|step| step.success),
            kill: Kill::of(Some(&report.trip)),
            leases_revoked: report.leases as u64,
            steps,
        }
    }
}

/// What the kill switch is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Kill {
    /// Everything works.
    Ready,
    /// Nothing is leased and nothing is forwarded.
    Tripped {
        /// Since when.
        since: Timestamp,
        /// By whom.
        by: Tripper,
        /// One sentence.
        reason: String,
    },
}

impl Kill {
    /// The state that goes with a trip, or with none.
    pub fn of(trip: Option<&Trip>) -> Self {
        match trip.cloned() {
            None => Self::Ready,
            Some(Trip { since, by, reason }) => Self::Tripped { since, by, reason },
        }
    }
}

/// The answer to `heartbeat.status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeartbeatStatus {
    /// The heartbeat and how it has been.
    pub heartbeat: Heartbeat,
    /// What the kill switch is.
    pub kill: Kill,
}

/// The answer to `heartbeat.test`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeartbeatTested {
    /// Whether it was a heartbeat.
    pub success: bool,
    /// What was asked, without the query.
    pub url: String,
    /// How long it took.
    pub took_ms: u64,
    /// Why it was none, or that it was one.
    pub message: String,
}
