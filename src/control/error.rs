//! What can go wrong with the control socket itself, at either end.

use std::{io, path::PathBuf};

use super::Failure;
use crate::base::shell_word;

/// A fault of the socket or of the conversation on it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The daemon answered with a failure; its fault or the caller's, as its code says.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// The folder of the socket is open to others or belongs to another; the user's to mend.
    #[error("`{path}` is not a folder of your own that only you write to; run `chmod 700 {path}`", path = .0.display())]
    Folder(PathBuf),
    /// Whoever listens on the socket is another user.
    #[error("`{}` is served by user {uid}, not by you; remove it and start the daemon again", path.display())]
    Foreign {
        /// The socket.
        path: PathBuf,
        /// Who listens.
        uid: u32,
    },
    /// The settings name a group that the system does not know.
    #[error("there is no group `{0}`; make it with `groupadd`, or change `socket_group`")]
    Group(String),
    /// The system refused an operation.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A daemon listens there; it is not disturbed.
    #[error("a daemon already listens on `{}`", .0.display())]
    Live(PathBuf),
    /// Unix sockets allow about a hundred characters.
    #[error("`{}` is too long for a socket; choose a shorter one with `--socket`", .0.display())]
    LongPath(PathBuf),
    /// Something that is no socket stands in its place; it is not touched.
    #[error("`{}` is not a socket; move it away or choose another path with `--socket`", .0.display())]
    NotASocket(PathBuf),
    /// Nobody listens.
    #[error("the daemon is not running on `{}`", .0.display())]
    NotRunning(PathBuf),
    /// Whoever listens on the socket is another program, which is neither spoken to nor disturbed.
    #[error("another program{} answers at `{}`", program.map(|name| format!("'s daemon ({name})")).unwrap_or_default(), path.display())]
    OtherProgram {
        /// The socket.
        path: PathBuf,
        /// Its process, where the system tells.
        pid: Option<i32>,
        /// Its name, where its answer tells.
        program: Option<&'static str>,
    },
    /// The other end does not speak the protocol, or broke off.
    #[error("the daemon's answer is not usable: {0}")]
    Protocol(String),
    /// The deadline of the call has passed.
    #[error("the daemon did not answer within {0} s")]
    Timeout(u64),
}

impl Error {
    /// The command that ends whoever stands in the way on the socket; `None` when nobody does.
    pub fn eviction(&self) -> Option<String> {
        match self {
            Self::OtherProgram { pid: Some(pid), .. } => Some(format!("kill {pid}")),
            Self::OtherProgram { path, pid: None, .. } => {
                Some(format!("kill $(lsof -t {})", shell_word(&path.to_string_lossy())))
            }
            _ => None,
        }
    }
}
