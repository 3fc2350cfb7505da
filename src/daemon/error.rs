//! Why the daemon cannot start.

use std::path::PathBuf;

/// What stops a start. Nothing was changed when it comes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another daemon holds this home.
    #[error("another daemon serves `{}`; stop it first", .0.display())]
    AlreadyRunning(PathBuf),
    /// The audit log cannot be opened.
    #[error(transparent)]
    Audit(#[from] crate::audit::Error),
    /// The key that signs for the audit log cannot be opened.
    #[error("`{}` cannot be opened: {why}; move it away to sign with a new key", path.display())]
    AuditKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The certificate authority cannot be opened or made.
    #[error(transparent)]
    Ca(#[from] crate::ca::Error),
    /// The control socket cannot be had.
    #[error(transparent)]
    Control(#[from] crate::control::Error),
    /// A file of the home cannot be used.
    #[error(transparent)]
    File(#[from] crate::base::AtomicFileError),
    /// A part of the settings or the kill switch does not work.
    #[error(transparent)]
    Killswitch(#[from] crate::killswitch::Error),
    /// What a start has to do with leases or the record failed.
    #[error(transparent)]
    Broker(#[from] crate::broker::Error),
    /// The bounds of lease times contradict each other.
    #[error(transparent)]
    Bounds(#[from] crate::lease::Error),
    /// The leases of the last run cannot be read.
    #[error("`{}` cannot be read: {why}; move it away to start without the leases of the last run", path.display())]
    Leases {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// What limits counted in the last run cannot be read.
    #[error("`{}` cannot be read: {why}; move it away to start with nothing used", path.display())]
    Limits {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Upstream connections cannot be prepared.
    #[error(transparent)]
    Net(#[from] crate::net::Error),
    /// The policy files have faults.
    #[error("the policies cannot be loaded: {}", .0.brief())]
    Policy(crate::policy::LoadErrors),
    /// The proxy cannot listen.
    #[error(transparent)]
    Proxy(#[from] crate::proxy::Error),
    /// The runtime cannot be made.
    #[error("cannot start: {0}")]
    Runtime(std::io::Error),
    /// The settings have a fault.
    #[error("`{place}`: {why}")]
    Settings {
        /// The file.
        path: PathBuf,
        /// The file with line and column, where they are known.
        place: String,
        /// What is wrong and what was expected.
        why: String,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
}
