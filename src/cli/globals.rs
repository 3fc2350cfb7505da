//! Flags that every command has, and what they come to.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

use crate::base::{TimeToLive, TimeToLiveError};

use super::{
    given::Given,
    printer::{Form, Printer},
};

/// Flags before or after any command.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Global options")]
#[expect(clippy::struct_excessive_bools, reason = "one per flag")]
pub(super) struct Globals {
    /// Home folder of the store [default: $AGENT_SECRETS_HOME, else ~/.agent-secrets]
    #[arg(long, global = true, value_name = "FOLDER")]
    pub(super) home: Option<PathBuf>,
    /// Control socket [default: as configured, else in the home folder]
    #[arg(long, global = true, value_name = "PATH")]
    pub(super) socket: Option<PathBuf>,
    /// Settings file [default: config.toml, else config.json, in the home folder]
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Seconds to wait for the daemon, per call
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 5,
        value_parser = clap::value_parser!(u64).range(1..=3_600))]
    timeout: u64,
    /// Output for programs or for people; auto looks at standard output
    #[arg(long, global = true, value_name = "FORM", value_enum, default_value_t = Output::Auto)]
    output: Output,
    /// Fail when the daemon is not running instead of starting it
    #[arg(long, global = true)]
    pub(super) no_autostart: bool,
    /// Deprecated and without effect, as in agent-secrets
    #[arg(long, global = true, hide = true)]
    human: bool,
    /// Accepted for agent-secrets' sake; there is no update check
    #[arg(long, global = true, hide = true)]
    no_update_check: bool,
    /// Let the daemon start although identity or store are open to others: it takes them away from everybody else first
    #[arg(long, global = true, hide = true)]
    pub(super) skip_permission_check: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Auto,
    Human,
    Json,
    #[value(hide = true)]
    Raw,
    #[value(hide = true)]
    Table,
}

impl Globals {
    /// What further commands need to find the same daemon.
    pub(super) fn given(&self) -> Given {
        Given::new(self.home.as_deref(), self.socket.as_deref(), self.config.as_deref())
    }

    /// For one call over the socket.
    pub(super) fn deadline(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }

    /// Whom the output is for. What agent-secrets no longer obeys is not obeyed here: scripts that still say it read JSON.
    pub(super) fn form(&self) -> Form {
        match self.output {
            Output::Human => Form::Human,
            Output::Json => Form::Json,
            Output::Auto | Output::Raw | Output::Table => Printer::form_of_stdout(),
        }
    }

    /// Whether JSON was asked for, rather than guessed.
    pub(super) fn wants_json(&self) -> bool {
        self.output == Output::Json
    }

    /// What to say about flags that will go.
    pub(super) fn deprecations(&self) -> Vec<&'static str> {
        let output = match self.output {
            Output::Raw => Some("`--output raw` is deprecated and does nothing; `secrets lease` prints the raw value"),
            Output::Table => Some("`--output table` is deprecated and does nothing; use `--output human`"),
            _ => None,
        };
        let human = self.human.then_some("`--human` is deprecated and does nothing; use `--output human`");
        output.into_iter().chain(human).collect()
    }
}

/// A `--ttl`; an empty one is none, so that `--ttl "$TTL"` goes on working without the variable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct GivenTtl(pub(super) Option<TimeToLive>);

impl std::str::FromStr for GivenTtl {
    type Err = TimeToLiveError;

    fn from_str(text: &str) -> Result<Self, TimeToLiveError> {
        if text.is_empty() { Ok(Self::default()) } else { text.parse().map(|ttl| Self(Some(ttl))) }
    }
}
