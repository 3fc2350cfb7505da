//! Rotation over the socket: agent-secrets' one method, ours for many, and how a plan is written.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::base::{SecretName, TimeToLive, TimeToLiveError, Timestamp, null_is_default};

/// `secrets.rotate`: runs the rotation hook of one secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotateSecret {
    /// Which secret.
    pub secret_name: SecretName,
}

/// The answer to `secrets.rotate`. The hook's output is the new value, so that `output` is a sentence about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotated {
    /// Always true.
    pub success: bool,
    /// One sentence; never what the hook printed.
    pub output: String,
    /// Empty on success.
    #[serde(default, deserialize_with = "null_is_default")]
    pub error: String,
    /// When the hook ran.
    pub executed_at: Timestamp,
}

/// `rotation.run`: runs the hooks of several secrets; those that fail do not stop the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRotations {
    /// Of which.
    pub which: Which,
}

/// Which secrets are rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// Every one that has a hook.
    All,
    /// Those that are due by their schedule, the end of their value, or a debt.
    Due,
}

/// The answer to `rotation.run`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationsRun {
    /// By name; empty when there was nothing to do.
    pub rotations: Vec<RotationEntry>,
}

/// How one of them went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationEntry {
    /// Of which secret.
    pub secret_name: SecretName,
    /// Whether the new value is in use.
    pub success: bool,
    /// One sentence, without anything that the hook printed.
    pub message: String,
    /// When the hook ran.
    pub executed_at: Timestamp,
    /// Whether its time ran out.
    #[serde(default)]
    pub timed_out: bool,
}

/// How often a value is replaced: a duration, or `never`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// This often; at least a minute.
    Every(TimeToLive),
    /// Not by the clock.
    Never,
}

impl Schedule {
    /// The duration, if there is one.
    pub const fn every(self) -> Option<TimeToLive> {
        match self {
            Self::Every(every) => Some(every),
            Self::Never => None,
        }
    }
}

impl FromStr for Schedule {
    type Err = TimeToLiveError;

    fn from_str(text: &str) -> Result<Self, TimeToLiveError> {
        if text == "never" { Ok(Self::Never) } else { text.parse().map(Self::Every) }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every(every) => every.fmt(f),
            Self::Never => f.write_str("never"),
        }
    }
}

impl Serialize for Schedule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Schedule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_read_back() {
        for text in ["never", "7d", "1h30m"] {
            assert_eq!(text.parse::<Schedule>().unwrap().to_string(), text);
        }
        assert!("sometimes".parse::<Schedule>().is_err());
    }
}
