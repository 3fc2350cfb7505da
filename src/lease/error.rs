//! Why a lease cannot be had or a saved table cannot be read.

use crate::base::TimeToLive;

/// What went wrong with leases; nothing was issued or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The settings contradict each other.
    #[error("the default lease time `{default}` is above the maximum `{max}`; lower `default` or raise `max`")]
    Bounds {
        /// The default asked for.
        default: TimeToLive,
        /// The maximum asked for.
        max: TimeToLive,
    },
    /// Too many live leases.
    #[error("{max} leases are live, which is the most; revoke some with `secrets revoke`")]
    Full {
        /// The bound.
        max: usize,
    },
    /// Saved leases that are no saved leases.
    #[error("the saved leases make no sense ({0}); remove their file, and clients will lease again")]
    Snapshot(String),
    /// Saved leases of a newer program.
    #[error("the saved leases have format version {0} and this program knows version 1; install a newer `secrets`")]
    SnapshotVersion(u64),
    /// Longer than the settings allow.
    #[error("a lease of `{asked}` is longer than the maximum `{max}`; ask for at most `{max}`")]
    TooLong {
        /// What was asked for.
        asked: TimeToLive,
        /// What the settings allow.
        max: TimeToLive,
    },
}
