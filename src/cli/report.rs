//! An error as people and programs get it: what happened, which exit code, and one command that mends it.

use std::{io, path::Path};

use serde_json::Value;

use super::{exit::ExitStatus, sanitize::shell_word};
use crate::{
    base::{AtomicFileError, Home, look_at},
    control::{Error, Failure, FailureCode},
    daemon,
};

/// A command that failed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Report {
    pub(super) status: ExitStatus,
    /// One sentence, lower-case, without a final stop.
    pub(super) message: String,
    /// One runnable command.
    pub(super) fix: String,
    /// What there is to show all the same.
    pub(super) result: Option<Value>,
    /// The same for people; empty when there is nothing.
    pub(super) human: String,
}

impl Report {
    pub(super) fn new(status: ExitStatus, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { status, message: message.into(), fix: fix.into(), result: None, human: String::new() }
    }

    /// The command line is wrong.
    pub(super) fn misuse(message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(ExitStatus::Misuse, message, fix)
    }

    /// A fault of ours.
    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self::new(ExitStatus::Internal, message, GENERIC_FIX)
    }

    /// The system refused something to do with a path.
    pub(super) fn io(action: &str, path: &Path, error: &io::Error) -> Self {
        let fix = match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound => look_at(path),
            _ => GENERIC_FIX.to_owned(),
        };
        Self::new(ExitStatus::Io, format!("cannot {action} `{}`: {error}", path.display()), fix)
    }

    /// With the result that is shown next to the error.
    pub(super) fn with_result(self, result: Value, human: String) -> Self {
        Self { result: Some(result), human, ..self }
    }
}

fn path_word(path: &Path) -> String {
    shell_word(&path.to_string_lossy())
}

/// When nothing better is known: look at everything.
pub(super) const GENERIC_FIX: &str = "secrets doctor";

/// What the inferred command may need to name.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) home: &'a Home,
    /// The command as typed, such as `secrets lease`.
    pub(super) command: &'a str,
    /// The secret that it was about.
    pub(super) secret: Option<&'a str>,
}

impl Subject<'_> {
    /// A failed call; the daemon's own fix wins.
    pub(super) fn failure(self, failure: Failure) -> Report {
        let fix = failure.fix.unwrap_or_else(|| self.fix(failure.code));
        Report::new(ExitStatus::of(failure.code), failure.message, fix)
    }

    /// A fault of the socket, or a failed call.
    pub(super) fn control(self, error: Error) -> Report {
        let (message, eviction) = (error.to_string(), error.eviction());
        let (status, fix) = match error {
            Error::Failed(failure) => return self.failure(failure),
            Error::OtherProgram { .. } => (ExitStatus::Unavailable, eviction.unwrap_or_else(|| GENERIC_FIX.to_owned())),
            Error::NotRunning(_) => (ExitStatus::Unavailable, "secrets serve &".to_owned()),
            Error::Timeout(_) => (ExitStatus::Timeout, self.fix(FailureCode::Timeout)),
            Error::LongPath(_) | Error::Group(_) => (ExitStatus::Misuse, daemon::socket_fix(&error)),
            Error::Folder(_) | Error::Foreign { .. } | Error::Io { .. } | Error::Live(_) | Error::NotASocket(_) => {
                (ExitStatus::Io, daemon::socket_fix(&error))
            }
            Error::Protocol(_) => (ExitStatus::Protocol, "secrets stop".to_owned()),
        };
        Report::new(status, message, fix)
    }

    /// One command per kind, in the order in which agent-secrets infers them; a timeout, which is first there, and all
    /// that has no command of its own end at `secrets doctor`.
    fn fix(self, code: FailureCode) -> String {
        let about = |command: &str| self.secret.map(|name| format!("{command} {}", shell_word(name)));
        let list = || "secrets list".to_owned();
        match code {
            FailureCode::Permissions => format!("chmod 700 {}", path_word(self.home.folder())),
            FailureCode::StoreMissing => "secrets init".to_owned(),
            FailureCode::SecretNotFound => list(),
            FailureCode::SecretExists => about("secrets update").unwrap_or_else(list),
            FailureCode::LeaseNotFound | FailureCode::LeaseEnded => "secrets status".to_owned(),
            FailureCode::EmptyValue => about(self.command).unwrap_or_else(list),
            // One that is older does not know the call; the next command starts ours.
            FailureCode::AlreadyRunning | FailureCode::MethodNotFound => "secrets stop".to_owned(),
            FailureCode::Killed => "secrets kill --reset".to_owned(),
            FailureCode::Draining => "secrets serve &".to_owned(),
            FailureCode::InvalidParams => format!("{} --help", self.command),
            FailureCode::Policy => "secrets policy list".to_owned(),
            FailureCode::Unauthorized => about("secrets lease").unwrap_or_else(list),
            _ => GENERIC_FIX.to_owned(),
        }
    }
}

impl From<AtomicFileError> for Report {
    fn from(error: AtomicFileError) -> Self {
        Self::new(ExitStatus::Io, error.to_string(), daemon::file_fix(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_failure_has_one_command() {
        let home = Home::at("/tmp/a home");
        let subject = Subject { home: &home, command: "secrets add", secret: Some("it's") };
        let fix = |code| subject.failure(Failure::new(code, "x")).fix;
        assert_eq!(fix(FailureCode::Timeout), "secrets doctor");
        assert_eq!(fix(FailureCode::Permissions), "chmod 700 '/tmp/a home'");
        assert_eq!(fix(FailureCode::StoreMissing), "secrets init");
        assert_eq!(fix(FailureCode::SecretNotFound), "secrets list");
        assert_eq!(fix(FailureCode::SecretExists), r"secrets update 'it'\''s'");
        assert_eq!(fix(FailureCode::EmptyValue), r"secrets add 'it'\''s'");
        assert_eq!(fix(FailureCode::Internal), "secrets doctor");
    }

    #[test]
    fn the_daemons_own_fix_wins() {
        let home = Home::at("/h");
        let subject = Subject { home: &home, command: "secrets add", secret: None };
        let failure = Failure::new(FailureCode::StoreUnreadable, "damaged").with_fix("cp a b");
        assert_eq!(subject.failure(failure), Report::new(ExitStatus::Data, "damaged", "cp a b"));
    }
}
