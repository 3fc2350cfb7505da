//! Tells a person on the desktop that a request waits, where there is a program for that.
//!
//! Invariant: the program gets fixed words, the client's and the service's name, and nothing of the request; it is given
//! little time, seldom run, and its failure changes nothing.

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
    process::Stdio,
    time::Duration,
};

use tokio::process::Command;

use super::State;
use crate::base::{ClientId, Clock, harmless, on_path};

/// `approvals.notify`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Notify {
    /// The desktop's own program, if it is there.
    #[default]
    Auto,
    /// Nobody is told.
    Off,
    /// This program, with the title and the text as its arguments.
    Program(OsString),
}

/// What becomes of notices here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notified {
    /// They are switched off.
    Off,
    /// This program gives them.
    By(PathBuf),
    /// The desktop's own program is not here.
    Nobody,
    /// The program that the settings name is not here.
    Missing(OsString),
}

/// How long between two notices.
const APART: Duration = Duration::from_secs(3);
/// How long the program may take.
const TIME: Duration = Duration::from_secs(5);
const TITLE: &str = "Leasehold: somebody waits for you";

/// When the last notice was given.
#[derive(Default)]
pub(super) struct Bell(Option<Duration>);

/// A notice to be given, without a lock.
pub(super) struct Notice {
    notify: Notify,
    text: String,
}

impl State {
    /// A notice that this client wants something, unless there was one just now.
    pub(super) fn notice(&mut self, client: &ClientId, what: &str, id: &str, clock: &Clock) -> Option<Notice> {
        let now = clock.boot();
        let is_soon = self.bell.0.is_some_and(|last| now.saturating_sub(last) < APART);
        if is_soon || self.settings.notify == Notify::Off {
            return None;
        }
        self.bell.0 = Some(now);
        let client: String = client.as_str().chars().filter(|c| *c != '"' && *c != '\\').take(60).collect();
        let text = format!("{} {what}. See: secrets approvals show {id}", harmless(&client));
        Some(Notice { notify: self.settings.notify.clone(), text })
    }
}

impl Notify {
    /// The programs that would do, the best first.
    fn programs(&self) -> Vec<&OsStr> {
        match self {
            Self::Off => Vec::new(),
            Self::Program(program) => vec![program],
            Self::Auto if cfg!(target_os = "macos") => vec!["terminal-notifier".as_ref(), OSASCRIPT.as_ref()],
            Self::Auto => vec!["notify-send".as_ref()],
        }
    }

    /// Looks for them on the path of this process, as a shell does.
    pub(super) fn found(&self) -> Notified {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = self.programs().into_iter().find_map(|program| on_path(program, &path));
        match (self, found) {
            (_, Some(program)) => Notified::By(program),
            (Self::Off, None) => Notified::Off,
            (Self::Auto, None) => Notified::Nobody,
            (Self::Program(program), None) => Notified::Missing(program.clone()),
        }
    }
}

const OSASCRIPT: &str = "osascript";

impl Notice {
    /// Runs the program, and does not wait for it.
    pub(super) fn give(self) {
        tokio::spawn(async move {
            let Some(mut command) = self.command() else { return };
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
            match command.spawn() {
                Ok(mut child) => {
                    let _ = tokio::time::timeout(TIME, child.wait()).await; // killed when it takes longer
                }
                Err(error) => tracing::warn!(%error, "the program of `approvals.notify` cannot be run"),
            }
        });
    }

    fn command(&self) -> Option<Command> {
        let program = match self.notify.found() {
            Notified::By(program) => program,
            Notified::Missing(program) => {
                tracing::warn!(?program, "the program of `approvals.notify` is not there");
                return None;
            }
            Notified::Off | Notified::Nobody => return None,
        };
        let mut command = Command::new(&program);
        match (&self.notify, program.file_name()) {
            (Notify::Auto, Some(name)) if name == OSASCRIPT => {
                let script = format!("display notification \"{}\" with title \"{TITLE}\"", self.text);
                command.args(["-e", &script])
            }
            (Notify::Auto, _) if cfg!(target_os = "macos") => command.args(["-title", TITLE, "-message", &self.text]),
            (Notify::Auto, _) => command.args(["--app-name=leasehold", "--", TITLE, &self.text]),
            _ => command.args([TITLE, &self.text]),
        };
        Some(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_is_told_and_one_that_is_there_is_found_by_name() {
        let named = |name: &str| Notify::Program(name.into()).found();
        assert!(matches!(named("sh"), Notified::By(file) if file.is_absolute()));
        assert_eq!(named("no-such-program-here"), Notified::Missing("no-such-program-here".into()));
        assert_eq!(Notify::Off.found(), Notified::Off);
    }
}
