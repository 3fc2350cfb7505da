//! What can go wrong while an environment is prepared.

use std::{io, path::PathBuf};

use crate::base::AtomicFileError;

/// Why no environment could be prepared.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Some client would misread this path inside a variable; the operator's.
    #[error("the path `{}` cannot stand in the variables of every client; set `AGENT_SECRETS_HOME` to an absolute path \
        of letters, digits and `/ . _ -`", .0.display())]
    AwkwardPath(PathBuf),
    /// A support file could not be written.
    #[error(transparent)]
    File(#[from] AtomicFileError),
    /// The support folder cannot be made or looked at.
    #[error("cannot use the folder `{}`: {source}", path.display())]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others may write to the support folder (attack 92); the operator's.
    #[error("`{}` is open to other users; run `chmod 700 {}`", .0.display(), .0.display())]
    Loose(PathBuf),
    /// The text given as our root holds no certificate; ours.
    #[error("the root certificate is not PEM text")]
    NoRoot,
}
