//! The program `secrets` as a user has it: real processes in a home of their own, and what they print.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::format_push_string,
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "every test crate uses a part of this, and a test that cannot go on fails"
)]

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use leasehold::{
    audit::{self, Content, Filter, Record},
    base::FileLock,
};
use serde_json::Value;

use crate::support::{Origin, Program, TestCa};

/// The value of [`Hand::acme`]'s secret, which no agent may see.
pub const SECRET: &str = "acme-REAL-0123456789-abcdefghij-KEY";

/// A home and the program in it; the daemon that a command started is stopped at the end.
#[derive(Debug)]
pub struct Hand {
    /// The home folder, which [`Hand::new`] does not make.
    pub home: PathBuf,
    /// A folder for whatever a test needs beside it; the working directory of every command.
    pub work: PathBuf,
    _folder: tempfile::TempDir,
}

impl Hand {
    /// A home that is not there yet.
    pub fn new() -> Self {
        let folder = crate::support::short_folder();
        let (home, work) = (folder.path().join("h"), folder.path().join("w"));
        std::fs::create_dir(&work).unwrap();
        Self { home, work, _folder: folder }
    }

    /// A home with an empty store.
    pub fn with_home() -> Self {
        let hand = Self::new();
        assert_eq!(hand.envelope(&["init"], b"").0, 0);
        hand
    }

    /// A home whose daemon finds an origin under these hosts.
    pub fn in_front_of(ca: &TestCa, origin: &Origin, hosts: &[&str]) -> Self {
        let hand = Self::with_home();
        let root = ca.write_root(&hand.work);
        let mut config = format!("[upstream]\nextra_roots = ['{}']\n[upstream.hosts]\n", root.display());
        for host in hosts {
            config.push_str(&format!("\"{host}\" = \"{}\"\n", origin.address()));
        }
        std::fs::write(hand.home.join("config.toml"), config).unwrap();
        hand
    }

    /// Stores [`SECRET`] as `acme_key`, a bearer token of a host.
    pub fn acme(&self, host: &str) {
        let (code, added) = self.envelope(&["add", "acme_key", "--host", host], SECRET.as_bytes());
        assert_eq!(code, 0, "{added}");
    }

    /// The program with these arguments.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_secrets"));
        command.env("AGENT_SECRETS_HOME", &self.home);
        if !arguments.contains(&"--timeout") {
            command.args(["--timeout", "60"]); // a loaded machine is slow
        }
        command.args(arguments).current_dir(&self.work);
        command
    }

    /// Runs it with this on standard input.
    pub fn run(&self, arguments: &[&str], input: &[u8]) -> Output {
        Self::feed(&mut self.command(arguments), input)
    }

    /// Runs a command with this on standard input.
    pub fn feed(command: &mut Command, input: &[u8]) -> Output {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // A command that reads nothing may have ended before.
        let _ = child.stdin.take().unwrap().write_all(input);
        child.wait_with_output().unwrap()
    }

    /// Runs it; the exit code and the envelope that it printed.
    pub fn envelope(&self, arguments: &[&str], input: &[u8]) -> (i32, Value) {
        let output = self.run(arguments, input);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let envelope = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{arguments:?}: {text} {output:?}"));
        (output.status.code().unwrap(), envelope)
    }

    /// A daemon in the foreground, known to answer.
    pub fn serve(&self) -> Program {
        let daemon = Program::start(&mut self.command(&["serve"]));
        crate::support::until_blocking("the daemon answers", || {
            self.run(&["--no-autostart", "status"], b"").status.success()
        });
        daemon
    }

    /// Stops the daemon and waits until it has let go of the home.
    pub fn stop(&self) {
        assert_eq!(self.envelope(&["--no-autostart", "stop"], b"").0, 0);
        let lock = self.home.join("daemon.lock");
        crate::support::until_blocking("the daemon is gone", || FileLock::try_acquire(&lock).is_ok());
    }

    /// The audit log's records so far.
    pub fn records(&self) -> Vec<Record> {
        self.run(&["--no-autostart", "audit", "--tail", "1"], b""); // has what waits written
        let lines = audit::tail(&self.home.join("audit.log"), &Filter::default(), 100_000).unwrap();
        let record = |line: audit::Line| match line.content {
            Content::Record(record) => *record,
            Content::Damaged(why) => panic!("a damaged line: {why}"),
        };
        lines.into_iter().map(record).collect()
    }

    /// The records of one action.
    pub fn records_of(&self, action: &str) -> Vec<Record> {
        self.records().into_iter().filter(|record| record.action == action).collect()
    }

    /// The text of a file in the home.
    pub fn read(&self, name: impl AsRef<Path>) -> Vec<u8> {
        std::fs::read(self.home.join(name)).unwrap()
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        let _ = self.run(&["--no-autostart", "stop"], b""); // there may be none
    }
}
