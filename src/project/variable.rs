//! The name of an environment variable.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

/// A name that every shell takes: letters, digits and `_`, no digit first, 1 to 128 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct VariableName(Box<str>);

impl VariableName {
    /// The longest name, in characters.
    pub const MAX_LEN: usize = 128;

    /// The text of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for VariableName {
    type Err = String;

    /// Fails with a sentence that says how a name is written.
    fn from_str(text: &str) -> Result<Self, String> {
        let is_usable = (1..=Self::MAX_LEN).contains(&text.len())
            && !text.starts_with(|c: char| c.is_ascii_digit())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if is_usable {
            return Ok(Self(text.into()));
        }
        let shown: String = text.chars().take(40).flat_map(char::escape_default).collect();
        Err(format!("`{shown}` is no variable name; it takes 1 to 128 letters, digits and `_`, no digit first"))
    }
}

impl fmt::Display for VariableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for VariableName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_a_shell_takes() {
        for name in ["A", "_", "OPENAI_API_KEY", "a1", &"X".repeat(128)] {
            assert!(name.parse::<VariableName>().is_ok(), "{name}");
        }
        for name in ["", "1A", "A-B", "A B", "A=B", "A\n", "É", "$(id)", &"X".repeat(129)] {
            assert!(name.parse::<VariableName>().is_err(), "{name:?}");
        }
    }
}
