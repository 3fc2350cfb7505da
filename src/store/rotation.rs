//! How a secret's value is replaced by a rotation hook, and how that has gone so far.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::base::{SecretBytes, TimeToLive, Timestamp};

/// What a hook prints. Written `value`, `json:/pointer` or `none`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum HookFormat {
    /// JSON; the pointer (RFC 6901) leads to the new value, a text.
    Json(Box<str>),
    /// Nothing that we keep: the hook refreshes elsewhere, and the stored value stays.
    Nothing,
    /// The new value and nothing else; one final line end is cut. The default.
    #[default]
    Value,
}

/// Why a text is no format; the writer's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HookFormatError {
    /// Not one of the three.
    #[error("a rotation format is `value`, `none` or `json:/pointer`, such as `json:/data/token`")]
    Unknown,
    /// A `~` that is followed by neither `0` nor `1`, a control character, or too long.
    #[error("the pointer of `json:` begins with `/`, has at most 200 characters, and writes `~` as `~0`")]
    Pointer,
}

impl HookFormat {
    const LONGEST: usize = 200;
}

impl FromStr for HookFormat {
    type Err = HookFormatError;

    fn from_str(text: &str) -> Result<Self, HookFormatError> {
        match text {
            "none" => return Ok(Self::Nothing),
            "value" => return Ok(Self::Value),
            _ => {}
        }
        let pointer = text.strip_prefix("json:").ok_or(HookFormatError::Unknown)?;
        let escapes = pointer.split('~').skip(1).all(|after| after.starts_with(['0', '1']));
        let plain = pointer.len() <= Self::LONGEST && !pointer.contains(char::is_control);
        if pointer.starts_with('/') && escapes && plain {
            Ok(Self::Json(pointer.into()))
        } else {
            Err(HookFormatError::Pointer)
        }
    }
}

impl fmt::Display for HookFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(pointer) => write!(f, "json:{pointer}"),
            Self::Nothing => f.write_str("none"),
            Self::Value => f.write_str("value"),
        }
    }
}

impl Serialize for HookFormat {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HookFormat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// What the end of a lease means for its secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnLeaseExpiry {
    /// Nothing; the default.
    #[default]
    Keep,
    /// The value is replaced: whoever had it, has it no more.
    Rotate,
}

/// When and how the hook is run, beside on demand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RotationPlan {
    /// What the hook prints.
    pub format: HookFormat,
    /// How often the value is replaced; never by the clock when not given.
    pub every: Option<TimeToLive>,
    /// What the end of a lease means.
    pub on_lease_expiry: OnLeaseExpiry,
}

/// How the last attempts went; all of it is forgotten with the first success.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationHealth {
    /// When the hook last ran.
    #[serde(default)]
    pub last_attempt: Option<Timestamp>,
    /// How many attempts failed since the last success.
    #[serde(default)]
    pub failures: u32,
    /// Why the last one failed, in our words; never the hook's.
    #[serde(default)]
    pub error: Option<String>,
    /// Not before then is it run by itself again.
    #[serde(default)]
    pub next_attempt: Option<Timestamp>,
    /// Whether an attempt is owed whatever the schedule says: the end of a lease or the kill switch asked for one, and
    /// it failed.
    #[serde(default)]
    pub owed: bool,
}

/// The last value that was known to work, kept until the one that replaced it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Former {
    /// The bytes.
    pub value: SecretBytes,
    /// When it was replaced.
    pub replaced_at: Timestamp,
    /// When it ends, if its hook said so.
    pub expires_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_read_back_and_bad_ones_say_how_to_write_them() {
        for text in ["value", "none", "json:/token", "json:/a/0/b~1c~0d", "json:/"] {
            assert_eq!(text.parse::<HookFormat>().unwrap().to_string(), text);
        }
        for text in ["", "json", "text", "Value", "json;/a"] {
            assert_eq!(text.parse::<HookFormat>(), Err(HookFormatError::Unknown), "{text}");
        }
        let long = format!("json:/{}", "x".repeat(200));
        for text in ["json:", "json:a", "json:/a~", "json:/a~2", "json:/a\n", &long] {
            assert_eq!(text.parse::<HookFormat>(), Err(HookFormatError::Pointer), "{text}");
        }
    }
}
