//! What can go wrong with the certificate authority.

use std::{io, path::PathBuf};

use crate::base::{AtomicFileError, Host};

/// Why there is no authority or no certificate. Never holds key material.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Writing or signing a certificate failed; ours.
    #[error("cannot make {what}: {source}")]
    Certificate {
        /// Which certificate.
        what: &'static str,
        /// What the library said.
        source: rcgen::Error,
    },
    /// The root's time is over, or the wall clock is far off; the next start makes a new root.
    #[error("the root certificate is not valid at this time; restart the daemon to make a new one, or set the clock")]
    Expired,
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] AtomicFileError),
    /// More new hosts in a short time than a working client asks for (attack 119); the client's fault.
    #[error("too many new hosts in a short time; `{0}` gets a certificate in a moment, try again")]
    Flood(Host),
    /// The folder cannot be made or looked at.
    #[error("cannot use the folder `{}`: {source}", path.display())]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The sealed file opens but does not hold a key and its certificate.
    #[error("`{}` holds no root key and certificate; move it away and start again to make a new root", .0.display())]
    KeyDamaged(PathBuf),
    /// There is a root but its key is gone; the operator moved or deleted it.
    #[error("`{}` is missing but `{}` is there; put the key back, or delete the certificate to make a new root",
        key.display(), certificate.display())]
    KeyMissing {
        /// Where the key belongs.
        key: PathBuf,
        /// The certificate that was found.
        certificate: PathBuf,
    },
    /// Others may read or change what only the owner may (attack 92); the operator's fault.
    #[error("`{}` is open to other users; run `chmod {mode} {}`", path.display(), path.display())]
    Loose {
        /// Which file or folder.
        path: PathBuf,
        /// The mode it should have.
        mode: &'static str,
    },
    /// The root is held to other names; the host was granted after the daemon had started.
    #[error("the root may not vouch for `{0}`, which was granted later; a restart of the daemon makes a new root")]
    OutOfScope(Host),
    /// The key could not be sealed.
    #[error("cannot seal the root key: {0}")]
    Seal(String),
    /// The TLS library refused what we made; ours.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The sealed key does not open, most likely because the identity is another one.
    #[error("cannot open `{}`: {why}; restore the identity it was sealed for, or move it and `root.pem` away to make a \
        new root", path.display())]
    Unseal {
        /// The sealed file.
        path: PathBuf,
        /// What the sealer said.
        why: String,
    },
}
