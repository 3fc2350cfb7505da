//! `[audit]`: how the log is written, when its files change, how many are kept, how often it is signed.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error as _};

use crate::{
    audit,
    base::{TimeToLive, TimeToLiveError, parse_byte_size},
};

/// `[audit]`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct AuditSection {
    /// What an accepted record has survived: `write` (default: our own end) or `fsync` (a power cut).
    pub durability: audit::Durability,
    /// From this size on the log goes on in a new file: `64MiB` by default, at least `4KiB`; 0 is never.
    pub max_size: FileSize,
    /// How many rolled files are kept; `all` by default.
    pub keep: Keep,
    /// How often everything up to then is signed, besides at the stop; `off` by default.
    pub checkpoint: Interval,
}

impl Default for AuditSection {
    fn default() -> Self {
        Self {
            durability: audit::Durability::default(),
            max_size: FileSize(64 << 20),
            keep: Keep::All,
            checkpoint: Interval::Off,
        }
    }
}

impl AuditSection {
    /// How the log is to be written by whoever signs for it.
    pub(in crate::daemon) fn settings(&self, witness: audit::Witness) -> audit::Settings {
        let keep = match self.keep {
            Keep::All => None,
            Keep::Files(count) => Some(count),
        };
        let (durability, max_size) = (self.durability, self.max_size.0);
        audit::Settings { durability, max_size, keep, witness: Some(witness) }
    }
}

/// A size in bytes, written like `64MiB`, `10MB` or `0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileSize(u64);

impl FileSize {
    /// Below this a file would hold little more than the lines that tie it to the one before.
    const LEAST: u64 = 4 << 10;

    fn parse(text: &str) -> Result<Self, String> {
        match parse_byte_size(text) {
            None => Err(format!("`{}` is no size; write it like `64MiB`, or 0 for never", shown(text))),
            Some(bytes) if bytes != 0 && bytes < Self::LEAST => {
                Err(format!("`{}` is too small; the least is `4KiB`, and 0 is never", shown(text)))
            }
            Some(bytes) => Ok(Self(bytes)),
        }
    }
}

/// How many rolled files are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Every one.
    All,
    /// So many, the newest.
    Files(u32),
}

/// How often something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// So often.
    Every(TimeToLive),
    /// Never.
    Off,
}

impl Interval {
    /// Between two times, not below a second; `None` when it is off.
    pub(in crate::daemon) fn period(self) -> Option<Duration> {
        match self {
            Self::Every(time) => Some(time.get().max(Duration::from_secs(1))),
            Self::Off => None,
        }
    }
}

/// A number or a text, as people write them in TOML.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a number or a text")]
enum Written {
    Number(u64),
    Text(String),
}

fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

impl<'de> Deserialize<'de> for FileSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match Written::deserialize(deserializer)? {
            Written::Number(number) => number.to_string(),
            Written::Text(text) => text,
        };
        Self::parse(&text).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Keep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::Text(text) if text == "all" => Ok(Self::All),
            Written::Text(text) => Err(D::Error::custom(format!("`{}` is no number and not \"all\"", shown(&text)))),
            Written::Number(count) => u32::try_from(count).map(Self::Files).map_err(D::Error::custom),
        }
    }
}

impl<'de> Deserialize<'de> for Interval {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "off" {
            return Ok(Self::Off);
        }
        let every = text.parse().map(Self::Every);
        every.map_err(|error: TimeToLiveError| D::Error::custom(format!("{error}; \"off\" is never")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<AuditSection, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn sizes_counts_and_intervals_are_read() {
        let defaults = AuditSection::default();
        assert_eq!(read("max_size = \"64MiB\"\nkeep = \"all\"\ncheckpoint = \"off\""), Ok(defaults));
        for (text, bytes) in [("0", 0), ("\"0\"", 0), ("\"4KiB\"", 4096), ("\"1 GiB\"", 1 << 30), ("5000", 5000)] {
            assert_eq!(read(&format!("max_size = {text}")).unwrap().max_size, FileSize(bytes), "{text}");
        }
        assert_eq!(read("keep = 3").unwrap().keep, Keep::Files(3));
        let often = read("checkpoint = \"1ms\"").unwrap().checkpoint;
        assert_eq!(often.period(), Some(Duration::from_secs(1)), "signing is no busy loop");
    }

    #[test]
    fn what_is_none_says_how_to_write_one() {
        for (text, says) in [
            ("max_size = \"big\"", "write it like `64MiB`"),
            ("max_size = \"-1\"", "write it like `64MiB`"),
            ("max_size = \"99999999999GiB\"", "write it like `64MiB`"),
            ("max_size = \"1KiB\"", "the least is `4KiB`"),
            ("max_size = 12", "the least is `4KiB`"),
            ("keep = \"some\"", "\"all\""),
            ("keep = -1", "a number or a text"),
            ("checkpoint = \"often\"", "write it like"),
            ("checkpoint = \"0s\"", "\"off\" is never"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
