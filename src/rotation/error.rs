//! Why a hook gave no new value. No variant holds anything that the hook printed.

use std::time::Duration;

/// What a hook did wrong; its author's fault, unless it could not be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It printed control characters, or several lines, where the old value was one line.
    #[error("the hook printed line breaks or control characters, and the value was one line before")]
    ControlCharacters,
    /// It printed nothing.
    #[error("the hook printed nothing")]
    Empty,
    /// It ended with another status than 0.
    #[error("the hook ended with exit status {0}")]
    ExitStatus(i32),
    /// The end that it names has passed.
    #[error("the hook gave a value that has ended already")]
    Expired,
    /// `expires_at` or `expires_in` makes no sense.
    #[error("`expires_at` of the hook's JSON is no RFC 3339 time and no count of seconds since 1970")]
    Expiry,
    /// It ended and left a process behind that holds its output.
    #[error("the hook ended but left a process that holds its output")]
    Held,
    /// The pointer leads nowhere.
    #[error("the hook's JSON has nothing at `{0}`")]
    NoField(Box<str>),
    /// It did not print one JSON document.
    #[error("the hook did not print JSON")]
    NotJson,
    /// The pointer leads to something else than a text.
    #[error("the hook's JSON has no text at `{0}`")]
    NotText(Box<str>),
    /// A signal ended it.
    #[error("the hook was ended by signal {0}")]
    Signal(i32),
    /// It could not be started, or its output could not be read; not its author's fault.
    #[error("the hook cannot be run: {0}")]
    NotRun(std::io::ErrorKind),
    /// It took too long.
    #[error("the hook did not end within {} s", .0.as_secs_f64())]
    Timeout(Duration),
    /// It printed more than a value may have.
    #[error("the hook printed more than a value may have, 1 MiB")]
    TooLong,
    /// It printed something that cannot be written where the service wants its credential.
    #[error("the hook printed something that cannot stand where service `{0}` wants its credential")]
    Unfit(crate::base::ServiceId),
    /// It printed something that does not look like the service's credential, as the old value did.
    #[error("the hook printed something that does not look like a credential of service `{0}`")]
    Unlike(crate::base::ServiceId),
}

impl Error {
    /// The exit status, where the hook ended with one.
    pub const fn exit_status(&self) -> Option<i32> {
        match self {
            Self::ExitStatus(status) => Some(*status),
            Self::Signal(_) | Self::NotRun(_) | Self::Timeout(_) | Self::TooLong => None,
            _ => Some(0),
        }
    }
}
