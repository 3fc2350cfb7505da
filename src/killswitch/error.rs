//! What can go wrong with the kill switch and with the settings of a heartbeat.

use std::path::PathBuf;

use crate::base::AtomicFileError;

/// Why the switch cannot be kept or reset, or why a heartbeat cannot be set up. The switch stays as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The state file cannot be written.
    #[error(transparent)]
    File(#[from] AtomicFileError),
    /// A heartbeat is enabled and something that it needs is missing or wrong; the operator's fault.
    #[error("`heartbeat.{key}` {why}")]
    Heartbeat {
        /// The key under `[heartbeat]`.
        key: &'static str,
        /// What is wrong and what was expected.
        why: String,
    },
    /// The state file does not say what it should; counts as tripped.
    #[error("`{}` does not say whether the kill switch is tripped: {why}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Somebody pulled the switch while it was being reset, and that holds.
    #[error("the kill switch was tripped again while it was being reset; it stays tripped")]
    TrippedAgain,
}
