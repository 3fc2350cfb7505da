//! Failures of use-cases as failures of calls: which code, whose fault, which command mends it.

use std::{io, path::Path};

use crate::{
    audit,
    base::{AtomicFileError, SecretName, look_at, shell_word},
    broker::{ApprovalError, Error, RotationFault},
    ca,
    control::{self, Failure, FailureCode},
    killswitch, lease, policy, rotation, store,
};

/// A failed use-case as the caller is told of it.
pub(super) fn failure(error: Error) -> Failure {
    let message = error.to_string();
    match error {
        Error::Approval(ApprovalError::Remember { id, .. }) => {
            Failure::new(FailureCode::Policy, message).with_fix(format!("secrets approvals allow {id}"))
        }
        Error::Approval(ApprovalError::Need(id) | ApprovalError::Twice { id, .. }) => {
            Failure::new(FailureCode::Policy, message).with_fix(format!("secrets approvals show {id}"))
        }
        Error::Audit(_) | Error::Approval(ApprovalError::Audit(_)) => {
            Failure::new(FailureCode::AuditUnavailable, message)
        }
        Error::Approval(_) => Failure::new(FailureCode::Policy, message).with_fix("secrets approvals list"),
        Error::Lease(error) => lease_failure(&error),
        Error::Killed(_) => Failure::new(FailureCode::Killed, message).with_fix("secrets kill --reset"),
        Error::KillSwitch(_) => Failure::new(FailureCode::Io, message).with_fix("secrets kill --reset"),
        Error::LeaseUnknown(_) => Failure::new(FailureCode::LeaseNotFound, message),
        // Which service a secret is for is its owner's to say; the list has their ids.
        Error::GivenUp(_) | Error::NoService(_) | Error::NotGranted { .. } => {
            Failure::new(FailureCode::Policy, message).with_fix("secrets policy list")
        }
        Error::Policy(_) | Error::NotYet { .. } => {
            Failure::new(FailureCode::Policy, message).with_fix("secrets policy check")
        }
        Error::NotLess(policy::NotLess { service: Some(service), .. }) => {
            Failure::new(FailureCode::InvalidParams, message)
                .with_fix(format!("secrets policy show {}", shell_word(service.as_str())))
        }
        Error::NotLess(_) => Failure::new(FailureCode::InvalidParams, message).with_fix("secrets list"),
        Error::OtherEnvironment(_) => Failure::new(FailureCode::InvalidParams, message).with_fix("secrets status"),
        Error::PolicyFile(error) => policy_failure(&error),
        Error::RawDenied(name) => {
            Failure::new(FailureCode::Unauthorized, message).with_fix(format!("secrets lease {} --token", word(&name)))
        }
        Error::Rotation(fault) => rotation_failure(&fault),
        Error::NoHook(_) | Error::Schedule(_) => Failure::new(FailureCode::InvalidParams, message),
        Error::NamespaceUnknown(_) => Failure::new(FailureCode::SecretNotFound, message).with_fix("secrets list"),
        Error::SecretUnknown(_) => Failure::new(FailureCode::SecretNotFound, message),
        Error::SessionUnknown(_) => Failure::new(FailureCode::LeaseNotFound, message).with_fix("secrets status"),
        Error::Store(error) => store_failure(&error),
        Error::Unfit { secret, .. } => {
            Failure::new(FailureCode::InvalidParams, message).with_fix(format!("secrets update {}", word(&secret)))
        }
    }
}

/// The same, where `again` is the command that asks for another value.
pub(super) fn value_failure(error: Error, again: &str) -> Failure {
    let is_unfit = matches!(error, Error::Unfit { .. });
    let failure = failure(error);
    if is_unfit { failure.with_fix(again) } else { failure }
}

/// The same, where `again` is the command that leases: it can have the longest time that there is.
pub(super) fn ask_failure(error: Error, again: &str) -> Failure {
    let longest = match &error {
        Error::Lease(lease::Error::TooLong { max, .. }) => Some(*max),
        _ => None,
    };
    let failure = failure(error);
    match longest {
        Some(max) => failure.with_fix(format!("{again} --ttl {max}")),
        None => failure,
    }
}

fn policy_failure(error: &policy::Error) -> Failure {
    let message = error.to_string();
    match error {
        policy::Error::File(AtomicFileError::Io { path, .. }) | policy::Error::Folder { path, .. } => {
            let folder = path.parent().unwrap_or(path);
            Failure::new(FailureCode::Io, message).with_fix(format!("df {0} && ls -ld {0}", path_word(folder)))
        }
        policy::Error::File(_) | policy::Error::Exists(_) | policy::Error::Taken(_) => {
            Failure::new(FailureCode::Io, message).with_fix("secrets policy check")
        }
        policy::Error::Broken(_) | policy::Error::Unusable(_) => {
            Failure::new(FailureCode::Policy, message).with_fix("secrets policy check")
        }
    }
}

fn rotation_failure(fault: &RotationFault) -> Failure {
    use RotationFault as Rotation;
    let failed = Failure::new(FailureCode::RotationFailed, fault.to_string());
    let (code, fix) = match fault {
        Rotation::Hook { name, fault: rotation::Error::Timeout(_) } => {
            (FailureCode::RotationTimeout, format!("secrets rotate {}", word(name)))
        }
        // The hook is its author's to mend; a placeholder here would become the hook of whoever runs it.
        Rotation::Hook { name, .. } => (FailureCode::RotationFailed, format!("secrets audit --secret {}", word(name))),
        // Without a hook the new value is its owner's to give.
        Rotation::NoHook(name) => (FailureCode::RotationFailed, format!("secrets update {}", word(name))),
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
        store::Error::FolderMode { .. } | store::Error::Mode { .. } | store::Error::Owner { .. } => {
            FailureCode::Permissions
        }
        _ => FailureCode::Io,
    };
    let failure = Failure::new(code, error.to_string());
    match access_fix(error).or_else(|| restored(error)) {
        Some(fix) => failure.with_fix(fix),
        None => failure,
    }
}

/// What gives a file of the home back to its owner alone.
fn access_fix(error: &store::Error) -> Option<String> {
    match error {
        store::Error::FolderMode { path, .. } => Some(format!("chmod 700 {}", path_word(path))),
        store::Error::Mode { path, .. } => Some(format!("chmod 600 {}", path_word(path))),
        store::Error::Owner { path, .. } => Some(owned(path)),
        _ => None,
    }
}

fn owned(path: &Path) -> String {
    format!("sudo chown \"$(id -u)\" {}", path_word(path))
}

fn path_word(path: &Path) -> String {
    shell_word(&path.to_string_lossy())
}

/// The command that puts the last generation back in place of a store that is damaged, and stays aside, or is not there;
/// where there is one.
fn restored(error: &store::Error) -> Option<String> {
    let (path, is_there) = match error {
        store::Error::Content { path, .. } | store::Error::Sealed { path, .. } => (path, true),
        store::Error::StoreMissing { store, .. } => (store, false),
        _ => return None,
    };
    let previous = path.with_added_extension("previous");
    let copy = format!("cp {} {}", path_word(&previous), path_word(path));
    previous.exists().then(|| if is_there { format!("{} && {copy}", aside(path)) } else { copy })
}

/// The command that puts something damaged out of the way; nothing is deleted.
fn aside(path: &Path) -> String {
    moved(path, "damaged")
}

fn moved(path: &Path, extension: &str) -> String {
    format!("mv {} {}", path_word(path), path_word(&path.with_added_extension(extension)))
}

/// The command that mends what keeps the control socket from being used, or shows it.
pub fn socket_fix(error: &control::Error) -> String {
    use control::Error as Socket;
    match error {
        Socket::Folder(path) => format!("chmod 700 {}", path_word(path)),
        // The system has its own word for a path that is too long.
        Socket::Io { source, .. } if source.kind() == io::ErrorKind::InvalidInput => "secrets config".to_owned(),
        Socket::Foreign { path, .. } | Socket::Io { path, .. } => look_at(path),
        Socket::Group(_) | Socket::LongPath(_) => "secrets config".to_owned(),
        Socket::Live(_) | Socket::Protocol(_) => "secrets stop".to_owned(),
        Socket::NotASocket(path) => moved(path, "old"),
        Socket::NotRunning(_) => "secrets serve &".to_owned(),
        Socket::Failed(_) | Socket::OtherProgram { .. } | Socket::Timeout(_) => {
            error.eviction().unwrap_or_else(|| "secrets doctor".to_owned())
        }
    }
}

/// The command that shows the file that could not be used.
pub fn file_fix(error: &AtomicFileError) -> String {
    match error {
        AtomicFileError::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => "df -h".to_owned(),
        AtomicFileError::Locked(_) => "secrets stop".to_owned(),
        AtomicFileError::Io { path, .. } | AtomicFileError::NotAFile(path) | AtomicFileError::TooLarge { path, .. } => {
            look_at(path)
        }
    }
}

fn record_fix(error: &audit::Error) -> String {
    match error {
        audit::Error::NotAFile(path) => moved(path, "old"),
        audit::Error::NotOurs { path, .. } => owned(path),
        audit::Error::Io { path, .. } | audit::Error::Linked(path) => look_at(path),
    }
}

/// A daemon that cannot start, as the caller is told of it.
pub fn start_failure(error: &super::Error) -> Failure {
    use super::Error as Start;
    let message = error.to_string();
    match error {
        Start::AuditKey { path, .. } => Failure::new(FailureCode::Io, message).with_fix(moved(path, "old")),
        Start::AlreadyRunning(_) => Failure::new(FailureCode::AlreadyRunning, message),
        Start::Policy(_) => Failure::new(FailureCode::Settings, message).with_fix("secrets policy check"),
        Start::Settings { path, .. } => {
            Failure::new(FailureCode::Settings, message).with_fix(format!("${{EDITOR:-vi}} {}", path_word(path)))
        }
        Start::Leases { path, .. } | Start::Limits { path, .. } => {
            Failure::new(FailureCode::StoreUnreadable, message).with_fix(aside(path))
        }
        Start::Ca(ca::Error::Loose { path, mode }) => {
            Failure::new(FailureCode::Permissions, message).with_fix(format!("chmod {mode} {}", path_word(path)))
        }
        Start::Ca(
            ca::Error::KeyDamaged(path) | ca::Error::KeyMissing { key: path, .. } | ca::Error::Unseal { path, .. },
        ) => {
            // Key and certificate belong together; a new pair is made where there is none.
            Failure::new(FailureCode::StoreUnreadable, message).with_fix(aside(path.parent().unwrap_or(path)))
        }
        Start::Control(error @ control::Error::OtherProgram { .. }) => {
            Failure { code: FailureCode::OtherProgram, message, fix: error.eviction() }
        }
        Start::Control(error) => {
            let is_access = matches!(error, control::Error::Folder(_));
            let code = if is_access { FailureCode::Permissions } else { FailureCode::Io };
            Failure::new(code, message).with_fix(socket_fix(error))
        }
        Start::File(error) | Start::Ca(ca::Error::File(error)) => {
            Failure::new(FailureCode::Io, message).with_fix(file_fix(error))
        }
        Start::Audit(error) => Failure::new(FailureCode::Io, message).with_fix(record_fix(error)),
        // These follow from settings that can be read and do not work.
        Start::Bounds(_) | Start::Net(_) | Start::Proxy(_) | Start::Killswitch(killswitch::Error::Heartbeat { .. }) => {
            Failure::new(FailureCode::Settings, message).with_fix("secrets config")
        }
        Start::Store(store::Error::NotInitialised(_)) => Failure::new(FailureCode::StoreMissing, message),
        Start::Store(store::Error::StoreMissing { previous: false, .. }) => {
            Failure::new(FailureCode::StoreUnreadable, message).with_fix("secrets init")
        }
        Start::Store(store::Error::IdentityMissing { identity, .. }) => {
            let folder = identity.parent().unwrap_or(identity);
            Failure::new(FailureCode::StoreUnreadable, message).with_fix(format!("ls -la {}", path_word(folder)))
        }
        Start::Store(error) => match access_fix(error) {
            Some(fix) => Failure::new(FailureCode::Permissions, message).with_fix(fix),
            None => match restored(error) {
                Some(fix) => Failure::new(FailureCode::StoreUnreadable, message).with_fix(fix),
                None => Failure::new(FailureCode::StoreUnreadable, message),
            },
        },
        _ => Failure::new(FailureCode::Io, message),
    }
}
