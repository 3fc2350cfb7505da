//! The only writer to standard output and standard error: stdout is data, stderr is talk.

use std::io::{self, IsTerminal as _, Write};

use super::{
    envelope::{self, NextAction},
    exit::ExitStatus,
    given::Given,
    report::Report,
    sanitize,
};
use crate::control::WireValue;

/// Whom the output is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A person at a terminal.
    Human,
    /// A program.
    Json,
}

/// Where a command's errors go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorPlace {
    /// Standard output holds a value or belongs to a child; not a byte of ours.
    Stderr,
    /// As an envelope on standard output for programs, as text on standard error for people.
    ByForm,
}

/// What a command that succeeded has to show.
pub(super) enum Outcome {
    /// It ends as the child did.
    Child(u8),
    /// These bytes and nothing around them.
    Raw(WireValue),
    /// A result for programs, a text for people, and what might come next.
    Shown { result: serde_json::Value, human: String, next: Vec<NextAction> },
    /// Everything has been said.
    Silent,
    /// The same text for both.
    Text(String),
}

/// Standard output and standard error, or what a test puts in their place.
pub(super) struct Printer {
    out: Box<dyn Write>,
    err: Box<dyn Write>,
    form: Form,
    given: Given,
}

impl Printer {
    pub(super) fn new(out: Box<dyn Write>, err: Box<dyn Write>, form: Form) -> Self {
        Self { out, err, form, given: Given::default() }
    }

    /// Keeps what the caller gave in every command that is shown from now on.
    pub(super) fn keep(&mut self, given: Given) {
        self.given = given;
    }

    /// A command that can be run as it is where the caller is.
    pub(super) fn runnable(&self, command: &str) -> String {
        self.given.put_into(command)
    }

    /// The process's own streams.
    pub(super) fn standard(form: Form) -> Self {
        Self::new(Box::new(io::stdout()), Box::new(io::stderr()), form)
    }

    /// What a person expects on this standard output.
    pub(super) fn form_of_stdout() -> Form {
        if io::stdout().is_terminal() { Form::Human } else { Form::Json }
    }

    pub(super) fn form(&self) -> Form {
        self.form
    }

    /// Writes data, or says why it cannot.
    pub(super) fn data(&mut self, bytes: &[u8]) {
        self.deliver(bytes);
    }

    /// Writes data; the exit code that goes with it. A reader that has gone is no error: `secrets list | head -1`. A disk
    /// that takes nothing is one: an empty file would pass for a value.
    fn deliver(&mut self, bytes: &[u8]) -> u8 {
        match self.out.write_all(bytes).and_then(|()| self.out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                self.say_with_fix(&format!("cannot write the output: {error}"), "df -h");
                ExitStatus::Io.code()
            }
            Ok(()) | Err(_) => 0,
        }
    }

    /// Says one line on standard error.
    pub(super) fn say(&mut self, text: &str) {
        let _ = writeln!(self.err, "secrets: {}", sanitize::line(text)); // nowhere left to complain
    }

    /// Says one line on standard error, and the command that mends it.
    pub(super) fn say_with_fix(&mut self, text: &str, fix: &str) {
        self.say(text);
        let fix = self.runnable(fix);
        let _ = writeln!(self.err, "  fix: {}", sanitize::line(&fix)); // as above
    }

    /// Writes prepared text on standard error, such as clap's own.
    pub(super) fn talk(&mut self, text: &str) {
        let _ = self.err.write_all(text.as_bytes());
    }

    /// A stream for a command that writes as it goes.
    pub(super) fn stream(&mut self) -> &mut dyn Write {
        &mut self.out
    }

    /// Shows what a command did; the exit code that goes with it.
    pub(super) fn outcome(&mut self, command: &str, outcome: Outcome) -> u8 {
        match outcome {
            Outcome::Child(code) => code,
            Outcome::Raw(value) => self.deliver(value.reveal()),
            Outcome::Shown { result, human, next } => match self.form {
                Form::Human => self.deliver(human.as_bytes()),
                Form::Json => {
                    let next: Vec<_> = next
                        .into_iter()
                        .map(|next| NextAction { command: self.runnable(&next.command), ..next })
                        .collect();
                    self.deliver(envelope::success(command, &result, &next).as_bytes())
                }
            },
            Outcome::Silent => 0,
            Outcome::Text(text) => self.deliver(text.as_bytes()),
        }
    }

    /// Shows why a command failed; the exit code that goes with it.
    pub(super) fn failure(&mut self, command: &str, report: &Report, place: ErrorPlace) -> u8 {
        if self.form == Form::Json && place == ErrorPlace::ByForm {
            let report = Report { fix: self.runnable(&report.fix), ..report.clone() };
            self.data(envelope::failure(command, &report).as_bytes());
        } else {
            if place == ErrorPlace::ByForm {
                self.data(report.human.as_bytes());
            }
            self.say_with_fix(&report.message, &report.fix);
        }
        report.status.code()
    }
}
