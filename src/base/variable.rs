//! The name of an environment variable.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

/// A name that every shell takes: letters, digits and `_`, no digit first, 1 to 128 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct VariableName(Box<str>);

/// The variable that marks every process of a session.
pub const SESSION_VARIABLE: &str = "LEASEHOLD_SESSION";

/// The variable that says where a session's manifest is.
pub const MANIFEST_VARIABLE: &str = "SECRETS_MANIFEST";

/// Variables that decide what a program runs or loads, beside those that begin with one of [`OBEYED_PREFIXES`].
const OBEYED: [&str; 42] = [
    "AGENT_SECRETS_HOME",
    "BASH_ENV",
    "BROWSER",
    "CC",
    "CXX",
    "EDITOR",
    "ENV",
    "GIT_ASKPASS",
    "GIT_EDITOR",
    "GIT_EXEC_PATH",
    "GIT_EXTERNAL_DIFF",
    "GIT_PAGER",
    "GIT_PROXY_COMMAND",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_TEMPLATE_DIR",
    "HOME",
    "IFS",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "MAKEFLAGS",
    "NODE_OPTIONS",
    "NODE_PATH",
    "PAGER",
    "PATH",
    "PERL5DB",
    "PERL5LIB",
    "PERL5OPT",
    "PROMPT_COMMAND",
    "PS4",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "RUBYLIB",
    "RUBYOPT",
    "RUSTC",
    "RUSTC_WRAPPER",
    "SHELL",
    "SSH_ASKPASS",
    "TMPDIR",
    "VISUAL",
    "_JAVA_OPTIONS",
];

/// Of the dynamic linkers' those that name files (ld.so(8), rtld(1)) and not all of `LD_`, where LaunchDarkly's token is.
const OBEYED_PREFIXES: [&str; 13] = [
    "DYLD_",
    "GIT_CONFIG",
    "LD_32_",
    "LD_64_",
    "LD_AUDIT",
    "LD_CONFIG",
    "LD_DEBUG",
    "LD_ELF_",
    "LD_LIBMAP",
    "LD_LIBRARY_PATH",
    "LD_ORIGIN",
    "LD_PRELOAD",
    "LD_PROFILE",
];

impl VariableName {
    /// The longest name, in characters.
    pub const MAX_LEN: usize = 128;

    /// The text of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether programs obey it, in that it decides what they run or load, or the session is known by it. A file that
    /// comes with a repository may name variables, but never meant well where it names one of these (attack 95).
    pub fn is_obeyed(&self) -> bool {
        let name = self.as_str();
        OBEYED.contains(&name)
            || [MANIFEST_VARIABLE, SESSION_VARIABLE].contains(&name)
            || OBEYED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
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

    #[test]
    fn attack_95_what_programs_obey_is_known() {
        let is_obeyed = |name: &str| name.parse::<VariableName>().unwrap().is_obeyed();
        for name in ["PATH", "LD_PRELOAD", "DYLD_INSERT_LIBRARIES", "GIT_CONFIG_COUNT", "GIT_SSH_COMMAND", "RUBYOPT"] {
            assert!(is_obeyed(name), "{name}");
        }
        for name in
            ["OPENAI_API_KEY", "GIT_TOKEN", "LD_ACCESS_TOKEN", "LDAP_PASSWORD", "PATHS", "path", "NODE_AUTH_TOKEN"]
        {
            assert!(!is_obeyed(name), "{name}");
        }
        assert!(OBEYED.is_sorted(), "so that nobody adds one twice");
    }
}
