//! The control plane's calls about rotation.

use super::{
    service::{Desk, Outcome},
    translate::failure,
};
use crate::{
    broker::{Error, Rotation, RotationFault},
    control::{self, Which},
    rotation::{Error as HookFault, Trigger},
    store::{RotationPlan, SecretChange},
};

impl Desk {
    pub(super) async fn rotate(&self, rotate: &control::RotateSecret) -> Outcome {
        let rotation = self.broker.rotate(&rotate.secret_name, Trigger::Manual).await;
        let replaced = rotation.outcome.map_err(|fault| failure(Error::Rotation(fault)))?;
        let output = replaced.sentence().to_owned();
        Ok(control::Rotated { success: true, output, error: String::new(), executed_at: rotation.executed_at }.into())
    }

    pub(super) async fn run_rotations(&self, run: control::RunRotations) -> Outcome {
        let rotations = match run.which {
            Which::All => self.broker.rotate_all(Trigger::Manual).await,
            Which::Due => self.broker.rotate_due().await,
        };
        Ok(control::RotationsRun { rotations: rotations.into_iter().map(entry).collect() }.into())
    }
}

fn entry(rotation: Rotation) -> control::RotationEntry {
    let Rotation { name, executed_at, outcome } = rotation;
    let timed_out = matches!(&outcome, Err(RotationFault::Hook { fault: HookFault::Timeout(_), .. }));
    let (success, message) = match outcome {
        Ok(replaced) => (true, replaced.sentence().to_owned()),
        Err(fault) => (false, fault.to_string()),
    };
    control::RotationEntry { secret_name: name, success, message, executed_at, timed_out }
}

/// The plan of a new secret.
pub(super) fn plan(add: &control::AddSecret) -> RotationPlan {
    RotationPlan {
        format: add.rotate_format.clone().unwrap_or_default(),
        every: add.rotate_every.and_then(control::Schedule::every),
        on_lease_expiry: add.on_lease_expiry.unwrap_or_default(),
    }
}

/// What an update changes about a plan.
pub(super) fn change_plan(mut change: SecretChange, update: &control::UpdateSecret) -> SecretChange {
    if let Some(format) = &update.rotate_format {
        change = change.format(format.clone());
    }
    if let Some(schedule) = update.rotate_every {
        change = change.every(schedule.every());
    }
    if let Some(what) = update.on_lease_expiry {
        change = change.on_lease_expiry(what);
    }
    change
}
