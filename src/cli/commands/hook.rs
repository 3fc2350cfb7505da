//! The flags about rotation that `add` and `update` share.

use clap::{Args, ValueEnum};

use crate::{
    cli::{report::Report, sanitize::shell_word},
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

    /// A plan for a hook that a new secret does not have would be a plan for nothing; `without` is the command without.
    pub(super) fn check_new(&self, name: &str, without: &str) -> Result<(), Report> {
        let has_hook = self.rotate_via.as_ref().is_some_and(|hook| !hook.is_empty());
        if has_hook || !(self.rotate_format.is_some() || self.rotate_every.is_some() || self.on_lease_expiry.is_some())
        {
            return Ok(());
        }
        let message = format!("`{name}` would have a plan for rotation and no `--rotate-via`");
        Err(Report::misuse(message, without))
    }

    /// The flags as they were typed, each behind a blank.
    pub(super) fn words(&self) -> String {
        let end = self.on_lease_expiry.map(|what| match what {
            OnEnd::Keep => "keep".to_owned(),
            OnEnd::Rotate => "rotate".to_owned(),
        });
        let flags = [
            ("--rotate-via", self.rotate_via.clone()),
            ("--rotate-format", self.rotate_format.as_ref().map(ToString::to_string)),
            ("--rotate-every", self.rotate_every.as_ref().map(ToString::to_string)),
            ("--on-lease-expiry", end),
        ];
        flags.into_iter().filter_map(|(flag, value)| Some(format!(" {flag} {}", shell_word(&value?)))).collect()
    }

    pub(super) const fn is_given(&self) -> bool {
        self.rotate_via.is_some()
            || self.rotate_format.is_some()
            || self.rotate_every.is_some()
            || self.on_lease_expiry.is_some()
    }
}
