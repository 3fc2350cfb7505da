//! Exit codes and the words for them, as agent-secrets declares them.

use crate::control::FailureCode;

/// How the program ends when it fails; success is 0, and a child's own code is the child's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExitStatus {
    Generic,
    Misuse,
    Data,
    Timeout,
    Io,
    Protocol,
    Unavailable,
    Internal,
}

impl ExitStatus {
    /// The process's exit code.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Generic => 1,
            Self::Misuse => 2,
            Self::Data => 64,
            Self::Timeout => 65,
            Self::Io => 66,
            Self::Protocol => 67,
            Self::Unavailable => 69,
            Self::Internal => 70,
        }
    }

    /// The word in error envelopes.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Generic => "generic_error",
            Self::Misuse => "misuse",
            Self::Data => "data_error",
            Self::Timeout => "timeout",
            Self::Io => "io_error",
            Self::Protocol => "protocol_error",
            Self::Unavailable => "daemon_unavailable",
            Self::Internal => "internal_error",
        }
    }

    /// The one that goes with a failed call.
    pub(super) fn of(code: FailureCode) -> Self {
        let word = code.word();
        [Self::Misuse, Self::Data, Self::Timeout, Self::Io, Self::Protocol, Self::Unavailable, Self::Internal]
            .into_iter()
            .find(|status| status.word() == word)
            .unwrap_or(Self::Generic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_failures_have_their_codes() {
        for (code, expected) in [
            (FailureCode::SecretNotFound, 1),
            (FailureCode::InvalidParams, 2),
            (FailureCode::StoreUnreadable, 64),
            (FailureCode::Timeout, 65),
            (FailureCode::AlreadyRunning, 66),
            (FailureCode::MethodNotFound, 67),
            (FailureCode::Draining, 69),
            (FailureCode::Internal, 70),
        ] {
            assert_eq!(ExitStatus::of(code).code(), expected, "{code:?}");
        }
    }
}
