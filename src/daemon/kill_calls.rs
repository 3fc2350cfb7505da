//! The control plane's calls about the kill switch and the heartbeat.

use super::{
    service::{Desk, Outcome},
    translate::failure,
};
use crate::{
    base::{CutReason, TimeToLive},
    control::{self, Failure, FailureCode},
    killswitch::{Plan, Step, Tripper},
};

impl Desk {
    /// Trips the switch. A daemon whose store is gone answers, and stops then.
    pub(super) async fn trip(&self, asked: control::TripKill) -> Outcome {
        let plan = Plan { rotate: asked.rotate, wipe: asked.wipe };
        let report = self.broker.kill(plan, Tripper::Operator, "`secrets kill` was run").await;
        if report.tried(Step::WipeStore) {
            self.stop.cut(CutReason::Drained);
        }
        Ok(control::Killed::from(report).into())
    }

    /// Makes the switch ready again.
    pub(super) fn reset(&self) -> Outcome {
        let message = match self.broker.reset_kill().map_err(failure)? {
            Some(trip) => format!("the kill switch is ready again; it was {trip}"),
            None => "the kill switch is ready already".to_owned(),
        };
        Ok(control::Done::new(message).into())
    }

    /// The switch as it is.
    pub(super) fn kill_state(&self) -> control::Kill {
        control::Kill::of(self.broker.kill_switch().trip().as_ref())
    }

    /// The heartbeat and how it has been.
    pub(super) fn heartbeat(&self) -> control::Heartbeat {
        let Some(heart) = &self.heart else { return control::Heartbeat::default() };
        let (pulse, plan) = (heart.pulse(), heart.plan());
        let (last_miss, last_error) = pulse.last_miss.unzip();
        let actions = plan.map(|plan| {
            let more = [plan.rotate.then_some(Step::RotateAll), plan.wipe.then_some(Step::WipeStore)];
            std::iter::once(Step::RevokeAll).chain(more.into_iter().flatten()).map(|step| step.to_string()).collect()
        });
        control::Heartbeat {
            enabled: true,
            url: Some(heart.url()),
            interval: Some(TimeToLive::new(heart.interval()).to_string()),
            threshold: Some(heart.threshold()),
            misses: Some(pulse.misses),
            armed: Some(pulse.is_armed && plan.is_some()),
            signed: Some(heart.is_signed()),
            fail_action: actions.unwrap_or_default(),
            last_beat: pulse.last_beat,
            last_miss,
            last_error,
        }
    }

    /// One beat now, which counts for nothing.
    pub(super) async fn test_heartbeat(&self) -> Outcome {
        let Some(heart) = &self.heart else {
            let message = "no heartbeat is enabled; set `heartbeat.enabled` and `heartbeat.url`";
            return Err(Failure::new(FailureCode::Settings, message).with_fix("secrets config"));
        };
        let begun = self.broker.clock().boot();
        let beat = self.broker.beat(heart).await;
        let took = self.broker.clock().boot().saturating_sub(begun);
        Ok(control::HeartbeatTested {
            success: beat.is_ok(),
            url: heart.url(),
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            message: beat.map_or_else(|miss| miss.to_string(), |()| "it beats".to_owned()),
        }
        .into())
    }
}
