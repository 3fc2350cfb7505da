//! Reads files that must be ours alone, and looks at the folder that they stand in.
//!
//! Invariant: what is read here is a regular file of ours with mode 0600, judged on the open file, not on its name.

use std::{
    fs::{DirBuilder, Metadata},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use super::Error;
use crate::base::{AtomicFileError, read_bounded};

/// The mode of every file that holds a key or a sealed secret.
pub(super) const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// Reads a file that nobody else may have touched; `links` says what second names are known to be ours.
pub(super) fn read_private(path: &Path, max: u64, links: KnownLinks<'_>) -> Result<Vec<u8>, Error> {
    let (content, metadata) = read_bounded(path, max)?;
    check_owner(path, &metadata)?;
    let mode = metadata.mode() & 0o7777;
    if mode != FILE_MODE {
        return Err(Error::Mode { path: path.to_owned(), mode });
    }
    if metadata.nlink() > 1 + links.count(&metadata) {
        return Err(Error::HardLink(path.to_owned()));
    }
    Ok(content)
}

/// Which further names of a file are no sign of tampering.
#[derive(Clone, Copy)]
pub(super) enum KnownLinks<'a> {
    /// None.
    Nothing,
    /// Names in this folder that begin so: what a write that was killed between its steps leaves behind.
    Beside {
        /// The folder.
        folder: &'a Path,
        /// How the names begin.
        prefix: &'a str,
    },
}

impl KnownLinks<'_> {
    fn count(self, file: &Metadata) -> u64 {
        let Self::Beside { folder, prefix } = self else { return 0 };
        if file.nlink() == 1 {
            return 0; // the common case reads no folder
        }
        let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
        let same = entries.flatten().filter(|entry| {
            entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes())
                && entry.metadata().is_ok_and(|m| m.dev() == file.dev() && m.ino() == file.ino())
        });
        same.count() as u64
    }
}

/// Whether something has this name, a broken link included; what cannot be looked at is an error, not an absence.
pub(super) fn exists(path: &Path) -> Result<bool, Error> {
    match std::fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(AtomicFileError::Io { action: "look at", path: path.to_owned(), source }.into()),
    }
}

/// Refuses a home folder that is no folder, belongs to somebody else, or that others may write into (attack 92).
pub(super) fn check_folder(path: &Path) -> Result<(), Error> {
    let metadata = std::fs::metadata(path).map_err(|source| AtomicFileError::Io {
        action: "look at folder",
        path: path.to_owned(),
        source,
    })?;
    if !metadata.is_dir() {
        return Err(Error::NotAFolder(path.to_owned()));
    }
    check_owner(path, &metadata)?;
    let mode = metadata.mode() & 0o777;
    if mode & 0o022 != 0 {
        return Err(Error::FolderMode { path: path.to_owned(), mode });
    }
    Ok(())
}

/// Makes the home folder, and the folders above it, with mode 0700.
pub(super) fn create_folder(path: &Path) -> Result<(), Error> {
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(path)
        .map_err(|source| AtomicFileError::Io { action: "create folder", path: path.to_owned(), source }.into())
}

/// Takes a file of ours away from everybody else; its former mode when that was another. A file that is not there is
/// somebody else's error to report.
pub(super) fn tighten(path: &Path) -> Result<Option<u32>, Error> {
    let failed = |action| move |source| AtomicFileError::Io { action, path: path.to_owned(), source };
    let metadata = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found.map_err(failed("look at"))?,
    };
    if !metadata.is_file() {
        return Err(Error::NotAFile(path.to_owned()));
    }
    check_owner(path, &metadata)?;
    let mode = metadata.mode() & 0o7777;
    if mode == FILE_MODE {
        return Ok(None);
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(FILE_MODE)).map_err(failed("set the mode of"))?;
    Ok(Some(mode))
}

fn check_owner(path: &Path, metadata: &Metadata) -> Result<(), Error> {
    if metadata.uid() == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    Err(Error::Owner { path: path.to_owned(), uid: metadata.uid() })
}
