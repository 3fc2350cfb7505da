//! Destroying a file: overwritten with random bytes, synced, unlinked, its folder synced.
//!
//! A disk that writes elsewhere (copy on write, flash) may keep old blocks; what is sealed there is worth nothing once the
//! identity that opens it is gone.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    path::Path,
};

use super::{
    atomic_file::{AtomicFileError, open_regular_for, sync_folder},
    digest::random,
};

/// Destroys a file; one that is not there is destroyed already. A link, pipe or folder is not followed or filled. A file
/// that cannot be overwritten is unlinked all the same, and the first thing that went wrong is told.
pub fn wipe(path: &Path) -> Result<(), AtomicFileError> {
    let overwritten = match overwrite(path) {
        Err(error) if error.is_missing() => return Ok(()),
        other => other,
    };
    let unlinked = std::fs::remove_file(path).map_err(AtomicFileError::io("remove", path));
    let synced = sync_folder(path.parent().unwrap_or(Path::new(".")));
    overwritten.and(unlinked).and(synced)
}

fn overwrite(path: &Path) -> Result<(), AtomicFileError> {
    let (file, metadata) = open_regular_for(OpenOptions::new().write(true), path)?;
    fill(file, metadata.len()).map_err(AtomicFileError::io("overwrite", path))
}

fn fill(mut file: File, length: u64) -> io::Result<()> {
    let mut left = length;
    while left > 0 {
        let noise = random::<4096>();
        let count = usize::try_from(left).unwrap_or(noise.len()).min(noise.len());
        file.write_all(noise.get(..count).unwrap_or_default())?;
        left = left.saturating_sub(count as u64);
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_bytes_are_gone_before_the_name_is() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("f"), folder.path().join("second name"));
        std::fs::write(&path, vec![b's'; 10_000]).unwrap();
        std::fs::hard_link(&path, &other).unwrap();
        wipe(&path).unwrap();
        assert!(!path.exists());
        let left = std::fs::read(&other).unwrap();
        assert_eq!(left.len(), 10_000, "as long as it was");
        assert!(left.windows(8).all(|window| window != [b's'; 8]), "whoever holds another name holds noise");
        wipe(&path).unwrap();
    }

    #[test]
    fn a_link_loses_its_name_and_harms_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let (path, target) = (folder.path().join("f"), folder.path().join("target"));
        std::fs::write(&target, b"another's").unwrap();
        symlink(&target, &path).unwrap();
        assert!(matches!(wipe(&path), Err(AtomicFileError::NotAFile(_))));
        assert!(path.symlink_metadata().is_err());
        assert_eq!(std::fs::read(&target).unwrap(), b"another's");
        assert!(wipe(folder.path()).is_err() && folder.path().is_dir());
    }
}
