//! Tells a person on the desktop that a request waits, where there is a program for that.
//!
//! Invariant: the program gets fixed words, the client's and the service's name, and nothing of the request; it is given
//! little time, seldom run, and its failure changes nothing.

use std::{ffi::OsString, process::Stdio, time::Duration};

use tokio::process::Command;

use super::{Entry, State};
use crate::base::{Clock, harmless};

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

/// How long between two notices.
const APART: Duration = Duration::from_secs(3);
/// How long the program may take.
const TIME: Duration = Duration::from_secs(5);
const TITLE: &str = "Leasehold: a request waits for you";

/// When the last notice was given.
#[derive(Default)]
pub(super) struct Bell(Option<Duration>);

/// A notice to be given, without a lock.
pub(super) struct Notice {
    notify: Notify,
    text: String,
}

impl State {
    /// A notice of this request, unless there was one just now.
    pub(super) fn notice(&mut self, entry: &Entry, clock: &Clock) -> Option<Notice> {
        let now = clock.boot();
        let is_soon = self.bell.0.is_some_and(|last| now.saturating_sub(last) < APART);
        if is_soon || self.settings.notify == Notify::Off {
            return None;
        }
        self.bell.0 = Some(now);
        let service = entry.ask.asks.first().map_or("", |(service, _)| service.as_str());
        let client: String = entry.ask.client.as_str().chars().filter(|c| *c != '"' && *c != '\\').take(60).collect();
        let text = format!("{} wants to use {service}. See: secrets approvals show {}", harmless(&client), entry.id);
        Some(Notice { notify: self.settings.notify.clone(), text })
    }
}

impl Notice {
    /// Runs the program, and does not wait for it.
    pub(super) fn give(self) {
        tokio::spawn(async move {
            for mut command in self.commands() {
                command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
                match command.spawn() {
                    Ok(mut child) => {
                        let _ = tokio::time::timeout(TIME, child.wait()).await; // killed when it takes longer
                        return;
                    }
                    Err(error) => tracing::debug!(%error, "no desktop notice by this program"),
                }
            }
        });
    }

    fn commands(&self) -> Vec<Command> {
        let with = |program: &std::ffi::OsStr, arguments: &[&str]| {
            let mut command = Command::new(program);
            command.args(arguments);
            command
        };
        match &self.notify {
            Notify::Off => Vec::new(),
            Notify::Program(program) => vec![with(program, &[TITLE, &self.text])],
            Notify::Auto if cfg!(target_os = "macos") => {
                let script = format!("display notification \"{}\" with title \"{TITLE}\"", self.text);
                vec![
                    with("terminal-notifier".as_ref(), &["-title", TITLE, "-message", &self.text]),
                    with("osascript".as_ref(), &["-e", &script]),
                ]
            }
            Notify::Auto => vec![with("notify-send".as_ref(), &["--app-name=leasehold", "--", TITLE, &self.text])],
        }
    }
}
