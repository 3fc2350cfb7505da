//! What can go wrong with the audit log, and what to do about it.

use std::{io, path::PathBuf};

/// Why the audit log cannot be opened, written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused an operation.
    #[error("cannot {action} the audit log `{}`: {source}; requests that need a record are refused until it works", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A second name leads to the file, so somebody else could cut it (attack 91).
    #[error("the audit log `{}` has a second hard link; remove that link or move the log away", .0.display())]
    Linked(PathBuf),
    /// A link, pipe or folder stands where the log belongs.
    #[error("the audit log `{}` is not a regular file; move it away", .0.display())]
    NotAFile(PathBuf),
    /// Another user owns the file.
    #[error("the audit log `{}` belongs to user {owner}; move it away or give it to the user who runs the daemon", path.display())]
    NotOurs {
        /// The log.
        path: PathBuf,
        /// The numeric id of its owner.
        owner: u32,
    },
}

impl Error {
    pub(super) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    /// Whether there is no log yet.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}
