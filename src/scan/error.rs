//! Why a scan could not be done, or not wholly.

use std::{io, path::PathBuf};

use crate::base::AtomicFileError;

/// A scan that failed, or one file of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The baseline does not say what a baseline says; its writer's fault.
    #[error("`{}` is no baseline: {what}", path.display())]
    Baseline {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A file to be read or written as a whole cannot be.
    #[error(transparent)]
    File(#[from] AtomicFileError),
    /// The system refused to show a file or folder.
    #[error("cannot read `{}`: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A name to leave out is not written like one; the caller's fault.
    #[error("`{text}` is no name to exclude: {what}")]
    Exclude {
        /// As given.
        text: String,
        /// What is wrong with it.
        what: String,
    },
}

impl Error {
    pub(super) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
