//! What can be wrong with a project's files, and what to do about it.

use std::{io, path::PathBuf};

use crate::base::AtomicFileError;

/// Why a project file or an env file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file was written to between reading and replacing it.
    #[error("`{}` changed meanwhile", .0.display())]
    Changed(PathBuf),
    /// The env file exists, and nobody said that it may be replaced.
    #[error("`{}` exists; remove it or say `--force` to replace it", .0.display())]
    Exists(PathBuf),
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] AtomicFileError),
    /// The system refused an operation on a file or folder.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The keeper's program ended with a failure. What it said stays unsaid: it may hold values.
    #[error("`{program}` could not give the variables: it {how}")]
    Keeper {
        /// The program.
        program: &'static str,
        /// How it ended.
        how: String,
    },
    /// The keeper's program is not installed.
    #[error("`{program}` is not installed, and the project keeps its variables there")]
    KeeperMissing {
        /// The program.
        program: &'static str,
    },
    /// The keeper has not all the variables that the project cannot do without.
    #[error("`{program}` has no `{}`, which the project requires", .names.join("`, `"))]
    Lacking {
        /// The program.
        program: &'static str,
        /// The variables.
        names: Vec<String>,
    },
    /// Another user put the project file there, in a folder above the project perhaps.
    #[error("`{}` belongs to user {owner}; remove it, or make it yours if you trust it", path.display())]
    NotOurs {
        /// The project file.
        path: PathBuf,
        /// The numeric id of its owner.
        owner: u32,
    },
    /// The env file of a project would be written outside of the project's folder.
    #[error("the env file `{}` lies outside of the project's folder `{}`; name a file inside it", path.display(), folder.display())]
    Outside {
        /// Where it would be written.
        path: PathBuf,
        /// The folder of the project file.
        folder: PathBuf,
    },
    /// The project file does not say what a project file says; its writer's fault.
    #[error("`{}`, line {line}, column {column}: {what}", path.display())]
    Syntax {
        /// The project file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// What is wrong and how it is written.
        what: String,
    },
    /// An environment cannot hold a zero byte.
    #[error("the value for `{0}` has a zero byte, which no environment variable can hold; use a file instead")]
    ZeroByte(String),
}

impl Error {
    pub(super) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
