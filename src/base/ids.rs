//! Names and ids: parsed once at the border, then trusted. Different ids are different types.

use std::{
    fmt,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use uuid::Uuid;

/// Why a text is no name or id; the writer's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not a UUID.
    #[error("`{0}` is not an id; an id looks like `0b2f6a4e-9d0c-4a56-8a0e-2f1f4f9b7c11`")]
    Malformed(String),
    /// Empty, too long, or with control characters.
    #[error(
        "{what} `{shown}` is not usable; it takes 1 to {max} characters, none of them control characters or at an end blank"
    )]
    Name {
        /// What was being named.
        what: &'static str,
        /// The text, escaped and cut.
        shown: String,
        /// The longest that is taken, in characters.
        max: usize,
    },
}

fn check_name(text: &str, what: &'static str, max: usize) -> Result<(), IdError> {
    let usable = !text.is_empty()
        && text.chars().count() <= max
        && text.trim() == text
        && !text.chars().any(|c| c.is_control() || is_format_character(c));
    if usable {
        return Ok(());
    }
    let shown = text.chars().take(40).flat_map(char::escape_default).collect();
    Err(IdError::Name { what, shown, max })
}

/// Characters that reorder or hide text: bidirectional controls, zero-width and line separators.
fn is_format_character(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $max:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Arc<str>);

        impl $type {
            /// The text of it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                check_name(text, $what, $max)?;
                Ok(Self(text.into()))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    };
}

name!(
    /// The name of a secret in the store: 1 to 256 characters, no control characters.
    SecretName, "secret name", 256
);
name!(
    /// The first part of names of secrets, before a slash: `prod` of `prod/github`, `prod/eu` of `prod/eu/db`.
    Namespace, "namespace", 256
);
name!(
    /// The stable label under which a client is recorded, never proof of anything: 1 to 128 characters.
    ClientId, "client id", 128
);
name!(
    /// The id of a service file, such as `github`: 1 to 64 characters.
    ServiceId, "service id", 64
);
name!(
    /// What a session or a lease works on, such as `dev`: 1 to 64 characters. Set by whoever starts it.
    Environment, "environment", 64
);

impl Namespace {
    /// Whether a secret's name begins with this namespace and a slash; a slash at this one's end counts once.
    pub fn contains(&self, name: &SecretName) -> bool {
        let start = self.as_str().trim_end_matches('/');
        name.as_str().strip_prefix(start).is_some_and(|rest| rest.len() > 1 && rest.starts_with('/'))
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $type(Uuid);

        impl $type {
            /// A fresh random id (UUID version 4).
            pub fn generate() -> Self {
                Self(Uuid::new_v4())
            }
        }

        impl FromStr for $type {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let shown = || text.chars().take(40).flat_map(char::escape_default).collect();
                Uuid::try_parse(text).map(Self).map_err(|_| IdError::Malformed(shown()))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

uuid_id!(
    /// The public identifier of a lease; safe to log and to show.
    LeaseId
);
uuid_id!(
    /// The public identifier of a session; safe to log and to show.
    SessionId
);

/// Names one exchange within all runs of the daemon: random bits of the run, then a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId {
    run: u32,
    count: u64,
}

impl RequestId {
    /// The next id of this process; costs one atomic addition.
    pub fn next() -> Self {
        static RUN: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let run = *RUN.get_or_init(|| u32::from_ne_bytes(super::random()));
        Self { run, count: COUNT.fetch_add(1, Ordering::Relaxed) }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{:x}", self.run, self.count)
    }
}

impl FromStr for RequestId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let parse = || {
            let (run, count) = text.split_once('-')?;
            Some(Self { run: u32::from_str_radix(run, 16).ok()?, count: u64::from_str_radix(count, 16).ok()? })
        };
        parse().ok_or_else(|| IdError::Malformed(text.chars().take(40).flat_map(char::escape_default).collect()))
    }
}

impl Serialize for RequestId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RequestId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_take_what_people_write_and_refuse_what_hides() {
        for name in ["openai_key", "ops/db-password", "team::stripe", "schlüssel", &"x".repeat(256)] {
            assert!(name.parse::<SecretName>().is_ok(), "{name}");
        }
        for name in ["", " x", "x ", "a\nb", "a\u{1b}[31m", "a\u{202e}b", &"x".repeat(257)] {
            assert!(name.parse::<SecretName>().is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_namespace_holds_what_begins_with_it_and_a_slash() {
        let holds = |space: &str, name: &str| space.parse::<Namespace>().unwrap().contains(&name.parse().unwrap());
        for (space, name) in
            [("prod", "prod/github"), ("prod/", "prod/github"), ("prod", "prod/eu/db"), ("prod/eu", "prod/eu/db")]
        {
            assert!(holds(space, name), "{space} {name}");
        }
        for (space, name) in [
            ("prod", "prod"),
            ("prod", "prod/"),
            ("prod", "production/github"),
            ("pro", "prod/github"),
            ("Prod", "prod/x"),
            ("prod", "x/prod/y"),
        ] {
            assert!(!holds(space, name), "{space} {name}");
        }
    }

    #[test]
    fn errors_escape_what_they_quote() {
        let error = "a\u{1b}[31m".parse::<SecretName>().unwrap_err().to_string();
        assert!(!error.contains('\u{1b}'), "{error}");
    }

    #[test]
    fn request_ids_differ_and_read_back() {
        let (a, b) = (RequestId::next(), RequestId::next());
        assert_ne!(a, b);
        assert_eq!(a.to_string().parse(), Ok(a));
    }
}
