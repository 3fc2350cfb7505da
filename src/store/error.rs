//! What can be wrong with the store, each with the act that mends it.

use std::path::PathBuf;

use super::sealed::SealFault;
use crate::base::{AtomicFileError, SecretBytes, SecretName};

/// Why the store cannot be opened, read or changed. After any of them the files are as they were.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The secret is not any more what the change was meant for; whoever calls may look again.
    #[error("secret `{0}` was changed in the meantime; look at it with `secrets list` and try again")]
    Changed(SecretName),
    /// The plaintext is not the JSON that we and agent-secrets write.
    #[error(
        "`{}` opens but does not hold a store: {why}; restore it from a backup or from `{}.previous`",
        path.display(),
        path.display()
    )]
    Content {
        /// The store.
        path: PathBuf,
        /// What is wrong, without any value.
        why: String,
    },
    /// A secret of this name exists.
    #[error("secret `{0}` exists already; change it with `secrets update {0}`")]
    Duplicate(SecretName),
    /// No bytes.
    #[error("the value of secret `{0}` is empty; give it at least one byte")]
    EmptyValue(SecretName),
    /// The system refused a file operation.
    #[error(transparent)]
    File(AtomicFileError),
    /// Other users may write into the home folder, so nothing in it can be trusted.
    #[error(
        "others may write into folder `{}` (mode {mode:03o}); run `chmod 700 {}`",
        path.display(),
        path.display()
    )]
    FolderMode {
        /// The folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The whole store would exceed its bound.
    #[error("the store would be larger than {max} bytes; remove secrets that are no longer needed")]
    Full {
        /// The bound, in bytes.
        max: u64,
    },
    /// The file has a second name, through which others may hold or change it.
    #[error(
        "`{}` has a second name (hard link); copy it to a new file, put that in its place and run `chmod 600` on it",
        .0.display()
    )]
    HardLink(PathBuf),
    /// The identity file holds something else than one X25519 identity.
    #[error("`{}` is no usable identity: {fault}", path.display())]
    Identity {
        /// The identity file.
        path: PathBuf,
        /// What it holds instead, and the fix.
        fault: IdentityFault,
    },
    /// The store is there and its identity is not.
    #[error(
        "`{}` is missing, and without it `{}` cannot be opened; put the identity back from a backup",
        identity.display(),
        store.display()
    )]
    IdentityMissing {
        /// Where the identity belongs.
        identity: PathBuf,
        /// The store that needs it.
        store: PathBuf,
    },
    /// The file may be read or written by more than its owner, or not by its owner.
    #[error("`{}` has mode {mode:03o} instead of 600; run `chmod 600 {}`", path.display(), path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A link, pipe or folder stands where a file belongs.
    #[error("`{}` is not a regular file; put the file itself there, not a link to it", .0.display())]
    NotAFile(PathBuf),
    /// Something else than a folder stands where the home folder belongs.
    #[error("`{}` is not a folder; move it away or choose another home with `AGENT_SECRETS_HOME`", .0.display())]
    NotAFolder(PathBuf),
    /// Neither identity nor store exist.
    #[error("there is no store in `{}`; run `secrets init`", .0.display())]
    NotInitialised(PathBuf),
    /// The file or folder belongs to another user.
    #[error("`{}` belongs to user {uid}, not to you; run `sudo chown $(id -u) {}`", path.display(), path.display())]
    Owner {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        uid: u32,
    },
    /// The store is not sealed as we seal, or is damaged.
    #[error("cannot open `{}`: {fault}{}", path.display(), fault.or_previous(path))]
    Sealed {
        /// The store.
        path: PathBuf,
        /// What is wrong, and the fix.
        fault: SealFault,
    },
    /// Sealed bytes that are not a whole file of the store, such as leases or a key.
    #[error("cannot unseal: {0}")]
    Unseal(SealFault),
    /// The identity is there and its store is not.
    #[error(
        "`{}` is missing although its identity exists; {}",
        store.display(),
        if *previous {
            "restore it from a backup, or rename `secrets.age.previous` beside it"
        } else {
            "restore it from a backup, or run `secrets init` for an empty one"
        }
    )]
    StoreMissing {
        /// Where the store belongs.
        store: PathBuf,
        /// Whether the previous generation is still there.
        previous: bool,
    },
    /// The file is larger than any that we write.
    #[error("`{}` is larger than {max} bytes and was not written by us; restore it from a backup", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The bound, in bytes.
        max: u64,
    },
    /// No such secret.
    #[error("there is no secret `{0}`; `secrets list` shows the names")]
    UnknownSecret(SecretName),
    /// More bytes than a value may have.
    #[error("the value of secret `{name}` has {len} bytes; at most {} are stored", SecretBytes::MAX_LEN)]
    ValueTooLarge {
        /// The secret.
        name: SecretName,
        /// The length given.
        len: usize,
    },
    /// The store was written by a newer program.
    #[error(
        "`{}` has format version {version} and this program knows version 1; install a newer `secrets`",
        path.display()
    )]
    Version {
        /// The store.
        path: PathBuf,
        /// The version it names.
        version: u64,
    },
    /// The kill switch has wiped the store; this process knows nothing of it any more.
    #[error("the store in `{}` was wiped by the kill switch; run `secrets init` for a new one", .0.display())]
    Wiped(PathBuf),
}

/// What an identity file holds in place of one X25519 identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityFault {
    /// Nothing but blanks and comments.
    #[error("it is empty; put the identity back from a backup")]
    Empty,
    /// Another text, or a damaged key.
    #[error("it does not hold an `AGE-SECRET-KEY-1...` line; put the identity back from a backup")]
    Malformed,
    /// An identity encrypted to a passphrase or another key.
    #[error("it is encrypted; decrypt it with `age -d` into a file of mode 600 and use that")]
    Passphrase,
    /// An identity that would run a plugin (RUSTSEC-2024-0433).
    #[error("it names an age plugin, and plugins are never run; use an identity made by `age-keygen`")]
    Plugin,
    /// More than one identity, so that the recipient is ambiguous.
    #[error("it holds more than one identity; keep the one that the store is sealed to")]
    Several,
}

impl From<AtomicFileError> for Error {
    fn from(error: AtomicFileError) -> Self {
        match error {
            AtomicFileError::NotAFile(path) => Self::NotAFile(path),
            AtomicFileError::TooLarge { path, max } => Self::TooLarge { path, max },
            other => Self::File(other),
        }
    }
}
