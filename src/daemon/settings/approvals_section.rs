//! `[approvals]`: how requests wait for a person, and who is told that they do.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error as _};

use crate::{
    base::{TimeToLive, parse_byte_size},
    broker::{ApprovalSettings, Notify},
};

/// `[approvals]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ApprovalsSection {
    /// How long a request waits when its grant does not say. Default 2 min, at most 1 h.
    pub within: TimeToLive,
    /// `auto` (default) runs the desktop's own program, `off` none, anything else is a program that gets a title and a
    /// text as its arguments.
    pub notify: String,
}

impl Default for ApprovalsSection {
    fn default() -> Self {
        Self { within: TimeToLive::new(Duration::from_mins(2)), notify: "auto".to_owned() }
    }
}

impl ApprovalsSection {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.within.get() > Duration::from_hours(1) {
            return Err(format!("`approvals.within` is `{}`; a request waits for at most 1h", self.within));
        }
        if self.notify.is_empty() {
            return Err("`approvals.notify` is empty; write \"auto\", \"off\" or a program".to_owned());
        }
        Ok(())
    }

    pub(in crate::daemon) fn settings(&self) -> ApprovalSettings {
        let notify = match self.notify.as_str() {
            "auto" => Notify::Auto,
            "off" => Notify::Off,
            program => Notify::Program(program.into()),
        };
        ApprovalSettings { within: self.within.get(), notify }
    }
}

/// How long a body may be that is kept for a person, written like `1MiB`; at most 16 MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodySize(usize);

impl BodySize {
    const MOST: usize = 16 << 20;

    /// In bytes.
    pub const fn get(self) -> usize {
        self.0
    }
}

impl Default for BodySize {
    fn default() -> Self {
        Self(1 << 20)
    }
}

impl<'de> Deserialize<'de> for BodySize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = parse_byte_size(&text).and_then(|bytes| usize::try_from(bytes).ok());
        let fitting = bytes.filter(|bytes| (1..=Self::MOST).contains(bytes));
        fitting.map(Self).ok_or_else(|| D::Error::custom("`proxy.approval_body` is a size from `1B` to `16MiB`"))
    }
}
