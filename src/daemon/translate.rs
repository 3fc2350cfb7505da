//! Failures of use-cases as failures of calls: which code, whose fault, which command mends it.

use crate::{
    base::{SecretName, shell_word},
    broker::{Error, RotationFault},
    control::{Failure, FailureCode},
    lease, rotation, store,
};

/// A failed use-case as the caller is told of it.
pub(super) fn failure(error: Error) -> Failure {
    let message = error.to_string();
    match error {
        Error::Audit(_) => Failure::new(FailureCode::AuditUnavailable, message),
        Error::Lease(error) => lease_failure(&error),
        Error::Killed(_) => Failure::new(FailureCode::Killed, message).with_fix("secrets kill --reset"),
        Error::KillSwitch(_) => Failure::new(FailureCode::Io, message).with_fix("secrets kill --reset"),
        Error::LeaseUnknown(_) => Failure::new(FailureCode::LeaseNotFound, message),
        Error::NoService(name) => {
            Failure::new(FailureCode::Policy, message).with_fix(format!("secrets update {name} --service SERVICE"))
        }
        Error::NotGranted { .. } => Failure::new(FailureCode::Policy, message).with_fix("secrets policy list"),
        Error::Policy(_) => Failure::new(FailureCode::Policy, message).with_fix("secrets policy check"),
        Error::RawDenied(name) => {
            Failure::new(FailureCode::Unauthorized, message).with_fix(format!("secrets lease {name} --token"))
        }
        Error::Rotation(fault) => rotation_failure(&fault),
        Error::Schedule(_) => Failure::new(FailureCode::InvalidParams, message),
        Error::SecretUnknown(_) => Failure::new(FailureCode::SecretNotFound, message),
        Error::SessionUnknown(_) => Failure::new(FailureCode::LeaseNotFound, message).with_fix("secrets status"),
        Error::Store(error) => store_failure(&error),
    }
}

fn rotation_failure(fault: &RotationFault) -> Failure {
    use RotationFault as Rotation;
    let failed = Failure::new(FailureCode::RotationFailed, fault.to_string());
    let (code, fix) = match fault {
        Rotation::Hook { name, fault: rotation::Error::Timeout(_) } => {
            (FailureCode::RotationTimeout, format!("secrets rotate {}", word(name)))
        }
        Rotation::Hook { name, .. } | Rotation::NoHook(name) => {
            (FailureCode::RotationFailed, format!("secrets update {} --rotate-via COMMAND", word(name)))
        }
        Rotation::NotRecorded { .. } => return Failure { code: FailureCode::AuditUnavailable, ..failed },
        Rotation::Unknown(_) => (FailureCode::SecretNotFound, "secrets list".to_owned()),
        Rotation::NotSaved { .. } => (FailureCode::RotationFailed, "secrets doctor".to_owned()),
        Rotation::Changed(name)
        | Rotation::Interrupted(name)
        | Rotation::Refused { name, .. }
        | Rotation::Store { name, .. } => (FailureCode::RotationFailed, format!("secrets rotate {}", word(name))),
    };
    Failure { code, ..failed }.with_fix(fix)
}

fn word(name: &SecretName) -> String {
    shell_word(name.as_str())
}

fn lease_failure(error: &lease::Error) -> Failure {
    Failure::new(FailureCode::InvalidParams, error.to_string())
}

fn store_failure(error: &store::Error) -> Failure {
    let code = match error {
        store::Error::Duplicate(_) => FailureCode::SecretExists,
        store::Error::UnknownSecret(_) => FailureCode::SecretNotFound,
        store::Error::EmptyValue(_) => FailureCode::EmptyValue,
        store::Error::Changed(_) | store::Error::ValueTooLarge { .. } => FailureCode::InvalidParams,
        _ => FailureCode::Io,
    };
    Failure::new(code, error.to_string())
}

/// A daemon that cannot start, as the caller is told of it.
pub fn start_failure(error: &super::Error) -> Failure {
    use super::Error as Start;
    let message = error.to_string();
    match error {
        Start::AlreadyRunning(_) => Failure::new(FailureCode::AlreadyRunning, message),
        Start::Policy(_) => Failure::new(FailureCode::Settings, message).with_fix("secrets policy check"),
        Start::Settings { path, .. } => Failure::new(FailureCode::Settings, message)
            .with_fix(format!("${{EDITOR:-vi}} {}", shell_word(&path.to_string_lossy()))),
        Start::Store(store::Error::NotInitialised(_)) => Failure::new(FailureCode::StoreMissing, message),
        Start::Store(store::Error::Mode { path, .. }) => Failure::new(FailureCode::Permissions, message)
            .with_fix(format!("chmod 600 {}", shell_word(&path.to_string_lossy()))),
        Start::Store(store::Error::Owner { path, .. }) => Failure::new(FailureCode::Permissions, message)
            .with_fix(format!("sudo chown \"$(id -u)\" {}", shell_word(&path.to_string_lossy()))),
        Start::Store(_) => Failure::new(FailureCode::StoreUnreadable, message),
        _ => Failure::new(FailureCode::Io, message),
    }
}
