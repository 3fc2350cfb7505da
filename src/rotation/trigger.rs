//! Why a value is replaced.

use std::fmt;

/// What made a rotation begin; its word is recorded and given to the hook as `SECRETS_REASON`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// The kill switch was tripped.
    KillSwitch,
    /// A lease of the secret ended, and the secret is set to be rotated then.
    LeaseExpiry,
    /// Somebody asked.
    Manual,
    /// One is owed: an earlier one failed, or the daemon ended before it could begin.
    Retry,
    /// `rotate_every` has passed.
    Schedule,
    /// The upstream refused the value.
    Unauthorized,
    /// The value ends soon.
    ValueExpiry,
}

impl Trigger {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KillSwitch => "kill_switch",
            Self::LeaseExpiry => "lease_expiry",
            Self::Manual => "manual",
            Self::Retry => "retry",
            Self::Schedule => "schedule",
            Self::Unauthorized => "unauthorized",
            Self::ValueExpiry => "value_expiry",
        }
    }

    /// Whether a failed rotation is tried again by itself although no schedule asks for it: somebody may hold the value
    /// who should not.
    pub const fn is_owed(self) -> bool {
        matches!(self, Self::KillSwitch | Self::LeaseExpiry | Self::Retry)
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
