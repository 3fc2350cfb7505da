//! How a call fails: a code that programs match on, a sentence, and the command that mends it.

use serde::{Deserialize, Serialize};

/// Why a call failed. The name travels as `data.kind`, the number is JSON-RPC's or agent-secrets', so that clients of
/// either understand; new codes may be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureCode {
    /// Another daemon holds this home or its socket.
    AlreadyRunning,
    /// The audit log cannot take the record, so that the act was not done.
    AuditUnavailable,
    /// A value cannot be sealed or written.
    EncryptFailed,
    /// The store cannot be opened with this identity.
    DecryptFailed,
    /// The daemon is stopping.
    Draining,
    /// A secret value without bytes.
    EmptyValue,
    /// A fault of ours.
    Internal,
    /// The parameters are wrong; the sender's fault.
    InvalidParams,
    /// No JSON-RPC request; the sender's fault.
    InvalidRequest,
    /// The disk, or the socket, does not do what it should.
    Io,
    /// The kill switch is tripped.
    Killed,
    /// The lease has expired or was revoked.
    LeaseEnded,
    /// No such lease.
    LeaseNotFound,
    /// No such method; the sender's fault.
    MethodNotFound,
    /// The method exists and this build cannot do it yet.
    NotAvailable,
    /// No JSON; the sender's fault.
    ParseError,
    /// Another program's daemon holds the socket.
    OtherProgram,
    /// A file or folder is open to others, or belongs to another.
    Permissions,
    /// The policy refuses it, or a policy file is wrong.
    Policy,
    /// The rotation hook failed.
    RotationFailed,
    /// The rotation hook did not end in its time.
    RotationTimeout,
    /// The name is taken.
    SecretExists,
    /// No such secret.
    SecretNotFound,
    /// A settings, policy or project file cannot be used.
    Settings,
    /// There is no store yet.
    StoreMissing,
    /// The store is damaged or foreign.
    StoreUnreadable,
    /// It took too long.
    Timeout,
    /// Never given over this socket, such as a value by `secrets.get`.
    Unauthorized,
}

impl FailureCode {
    /// The number of the JSON-RPC error object: agent-secrets' own where it has one, else the standard's.
    pub const fn number(self) -> i32 {
        match self {
            Self::SecretNotFound => -32_000,
            Self::LeaseNotFound => -32_001,
            Self::LeaseEnded => -32_002,
            Self::RotationFailed | Self::RotationTimeout => -32_003,
            Self::EncryptFailed => -32_004,
            Self::DecryptFailed => -32_005,
            Self::Unauthorized => -32_006,
            Self::InvalidRequest => -32_600,
            Self::MethodNotFound | Self::NotAvailable => -32_601,
            Self::InvalidParams => -32_602,
            Self::ParseError => -32_700,
            Self::AlreadyRunning
            | Self::AuditUnavailable
            | Self::Draining
            | Self::EmptyValue
            | Self::Internal
            | Self::Io
            | Self::Killed
            | Self::OtherProgram
            | Self::Permissions
            | Self::Policy
            | Self::SecretExists
            | Self::Settings
            | Self::StoreMissing
            | Self::StoreUnreadable
            | Self::Timeout => -32_603,
        }
    }

    /// The word of agent-secrets' envelopes for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::AlreadyRunning | Self::AuditUnavailable | Self::EncryptFailed | Self::Io => "io_error",
            Self::DecryptFailed | Self::Settings | Self::StoreUnreadable => "data_error",
            Self::Draining | Self::OtherProgram => "daemon_unavailable",
            Self::Internal => "internal_error",
            Self::InvalidParams => "misuse",
            Self::InvalidRequest | Self::MethodNotFound | Self::NotAvailable | Self::ParseError => "protocol_error",
            Self::RotationTimeout | Self::Timeout => "timeout",
            Self::EmptyValue
            | Self::Killed
            | Self::LeaseEnded
            | Self::LeaseNotFound
            | Self::Permissions
            | Self::Policy
            | Self::RotationFailed
            | Self::SecretExists
            | Self::SecretNotFound
            | Self::StoreMissing
            | Self::Unauthorized => "generic_error",
        }
    }

    /// The best guess for an answer that carries a number only, as agent-secrets' daemon sends them.
    pub const fn from_number(number: i64) -> Self {
        match number {
            -32_000 => Self::SecretNotFound,
            -32_001 => Self::LeaseNotFound,
            -32_002 => Self::LeaseEnded,
            -32_003 => Self::RotationFailed,
            -32_004 => Self::EncryptFailed,
            -32_005 => Self::DecryptFailed,
            -32_006 => Self::Unauthorized,
            -32_600 => Self::InvalidRequest,
            -32_601 => Self::MethodNotFound,
            -32_602 => Self::InvalidParams,
            -32_700 => Self::ParseError,
            _ => Self::Internal,
        }
    }
}

/// A failed call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Which kind.
    pub code: FailureCode,
    /// One sentence, lower-case, without a final stop and without any secret.
    pub message: String,
    /// One runnable command that mends it, when the one that follows from the code would be wrong.
    pub fix: Option<String>,
}

impl Failure {
    /// A failure whose fix follows from its code.
    pub fn new(code: FailureCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), fix: None }
    }

    /// With a command that mends it.
    #[must_use]
    pub fn with_fix(self, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_agent_secrets_read_back() {
        for number in (-32_006..=-32_000).chain([-32_600, -32_601, -32_602, -32_700]) {
            assert_eq!(i64::from(FailureCode::from_number(number).number()), number);
        }
        assert_eq!(FailureCode::SecretExists.number(), -32_603, "as agent-secrets answers a taken name");
    }
}
