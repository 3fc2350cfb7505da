//! The flags about rotation that `add` and `update` share.

use clap::{Args, ValueEnum};

use crate::{
    cli::report::Report,
    control::Schedule,
    store::{HookFormat, OnLeaseExpiry},
};

/// How and when a new value is obtained.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Hook {
    /// Command that prints a new value; empty removes the one that is set
    #[arg(long, value_name = "COMMAND")]
    pub(super) rotate_via: Option<String>,
    /// What the command prints: value, json:/pointer, or none for a command that refreshes elsewhere [default: value]
    #[arg(long, value_name = "FORMAT")]
    pub(super) rotate_format: Option<HookFormat>,
    /// How often the command is run by itself, at least 1m; or never
    #[arg(long, value_name = "DURATION")]
    pub(super) rotate_every: Option<Schedule>,
    /// Whether the end of a lease has the command run
    #[arg(long, value_name = "WHAT")]
    on_lease_expiry: Option<OnEnd>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OnEnd {
    Keep,
    Rotate,
}

impl Hook {
    pub(super) fn on_lease_expiry(&self) -> Option<OnLeaseExpiry> {
        self.on_lease_expiry.map(|what| match what {
            OnEnd::Keep => OnLeaseExpiry::Keep,
            OnEnd::Rotate => OnLeaseExpiry::Rotate,
        })
    }

    /// A plan for a hook that a new secret does not have would be a plan for nothing.
    pub(super) fn check_new(&self, command: &str, name: &str) -> Result<(), Report> {
        let has_hook = self.rotate_via.as_ref().is_some_and(|hook| !hook.is_empty());
        if has_hook || !(self.rotate_format.is_some() || self.rotate_every.is_some() || self.on_lease_expiry.is_some())
        {
            return Ok(());
        }
        let message = format!("`{name}` would have a plan for rotation and no `--rotate-via`");
        Err(Report::misuse(message, format!("{command} --help")))
    }

    pub(super) const fn is_given(&self) -> bool {
        self.rotate_via.is_some()
            || self.rotate_format.is_some()
            || self.rotate_every.is_some()
            || self.on_lease_expiry.is_some()
    }
}
