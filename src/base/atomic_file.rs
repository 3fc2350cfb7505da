//! Files that are replaced whole or not at all, locked, and read within bounds without following links.
//!
//! Invariant: at every instant, a kill included, the name holds the old content or the new, never a part;
//! a failed replacement leaves no temporary file and the old content in place.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::{FlockOperation, OFlags};

/// What went wrong with which file.
#[derive(Debug, thiserror::Error)]
pub enum AtomicFileError {
    /// The system refused an operation.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody else holds the lock.
    #[error("`{}` is locked by another process", .0.display())]
    Locked(PathBuf),
    /// A link, pipe or folder stands where a file belongs.
    #[error("`{}` is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// The file is larger than any that we write.
    #[error("`{}` is larger than {max} bytes", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// The bound.
        max: u64,
    },
}

impl AtomicFileError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    /// Whether the file simply is not there.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// Replaces a file: temporary beside it, mode, fsync, optional kept copy of the old, rename, fsync of the folder.
/// `previous` names where the old content stays.
pub fn replace(path: &Path, content: &[u8], mode: u32, previous: Option<&Path>) -> Result<(), AtomicFileError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let temporary = temporary_beside(path);
    let written = write_synced(&temporary, path, content, mode).and_then(|()| keep_previous(path, previous));
    let renamed =
        written.and_then(|()| std::fs::rename(&temporary, path).map_err(AtomicFileError::io("replace", path)));
    if let Err(error) = renamed {
        let _ = std::fs::remove_file(&temporary); // the first error is the one worth telling
        return Err(error);
    }
    sync_folder(folder)
}

fn temporary_beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", super::hex(&super::random::<8>())));
    path.with_file_name(name)
}

/// Errors name the file that is meant, not the temporary one, which nobody knows and which is gone by then.
fn write_synced(temporary: &Path, meant: &Path, content: &[u8], mode: u32) -> Result<(), AtomicFileError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(temporary)
        .map_err(AtomicFileError::io("create", meant))?;
    let set = rustix::fs::fchmod(&file, rustix::fs::Mode::from_raw_mode(mode)).map_err(io::Error::from);
    set.map_err(AtomicFileError::io("set the mode of", meant))?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(AtomicFileError::io("write", meant))
}

/// A hard link keeps the old generation without a moment in which the name is missing.
fn keep_previous(path: &Path, previous: Option<&Path>) -> Result<(), AtomicFileError> {
    let Some(previous) = previous else { return Ok(()) };
    if !path.exists() {
        return Ok(());
    }
    let link = temporary_beside(previous);
    let kept = std::fs::hard_link(path, &link).and_then(|()| std::fs::rename(&link, previous));
    kept.map_err(|error| {
        let _ = std::fs::remove_file(&link); // the first error is the one worth telling
        AtomicFileError::io("keep the previous generation as", previous)(error)
    })
}

pub(super) fn sync_folder(folder: &Path) -> Result<(), AtomicFileError> {
    File::open(folder).and_then(|f| f.sync_all()).map_err(AtomicFileError::io("sync", folder))
}

/// Opens a regular file for reading; a link, pipe or folder is refused, and none of them holds us up (attacks 88, 91).
pub fn open_regular(path: &Path) -> Result<(File, std::fs::Metadata), AtomicFileError> {
    open_regular_for(OpenOptions::new().read(true), path)
}

/// The same for other ends than reading.
pub(super) fn open_regular_for(
    how: &mut OpenOptions,
    path: &Path,
) -> Result<(File, std::fs::Metadata), AtomicFileError> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC).bits();
    let file = match how.custom_flags(flags.cast_signed()).open(path) {
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            return Err(AtomicFileError::NotAFile(path.to_owned()));
        }
        other => other.map_err(AtomicFileError::io("open", path))?,
    };
    let metadata = file.metadata().map_err(AtomicFileError::io("read", path))?;
    if metadata.is_file() { Ok((file, metadata)) } else { Err(AtomicFileError::NotAFile(path.to_owned())) }
}

/// Reads a regular file of at most `max` bytes; see [`open_regular`].
pub fn read_bounded(path: &Path, max: u64) -> Result<(Vec<u8>, std::fs::Metadata), AtomicFileError> {
    let (file, metadata) = open_regular(path)?;
    if metadata.size() > max {
        return Err(AtomicFileError::TooLarge { path: path.to_owned(), max });
    }
    let mut content = Vec::with_capacity(usize::try_from(metadata.size()).unwrap_or(0));
    file.take(max + 1).read_to_end(&mut content).map_err(AtomicFileError::io("read", path))?;
    if content.len() as u64 > max {
        return Err(AtomicFileError::TooLarge { path: path.to_owned(), max });
    }
    Ok((content, metadata))
}

/// Between two looks at a lock that is held.
const PAUSE: Duration = Duration::from_millis(20);

/// An advisory lock (`flock`) on a file of its own; released on drop and when the process ends, however it ends.
#[derive(Debug)]
pub struct FileLock(#[expect(dead_code, reason = "held, not read")] File);

impl FileLock {
    /// Takes the lock or says that it is held; never waits.
    pub fn try_acquire(path: &Path) -> Result<Self, AtomicFileError> {
        Self::acquire(path, FlockOperation::NonBlockingLockExclusive)
    }

    /// Takes the lock, or says that it was held for so long; looks every 20 ms and blocks the thread meanwhile. A process
    /// that was told to end holds its locks a moment longer, as does a child of it between its birth and its program.
    pub fn acquire_within(path: &Path, patience: Duration) -> Result<Self, AtomicFileError> {
        let mut looks = 0..patience.as_millis() / PAUSE.as_millis();
        loop {
            match Self::try_acquire(path) {
                Err(AtomicFileError::Locked(_)) if looks.next().is_some() => std::thread::sleep(PAUSE),
                other => return other,
            }
        }
    }

    /// Waits for the lock; for short writes only.
    pub fn wait(path: &Path) -> Result<Self, AtomicFileError> {
        Self::acquire(path, FlockOperation::LockExclusive)
    }

    fn acquire(path: &Path, operation: FlockOperation) -> Result<Self, AtomicFileError> {
        // Without NONBLOCK a pipe put in the lock's place would hold us for ever.
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC).bits();
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(flags.cast_signed())
            .open(path)
            .map_err(AtomicFileError::io("open the lock", path))?;
        match rustix::fs::flock(&file, operation) {
            Ok(()) => Ok(Self(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(AtomicFileError::Locked(path.to_owned())),
            Err(error) => Err(AtomicFileError::io("lock", path)(error.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn replacing_keeps_the_previous_generation_and_the_mode() {
        let folder = tempfile::tempdir().unwrap();
        let (path, previous) = (folder.path().join("f"), folder.path().join("f.previous"));
        replace(&path, b"one", 0o600, Some(&previous)).unwrap();
        replace(&path, b"two", 0o600, Some(&previous)).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read(&previous).unwrap(), b"one");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "no temporary file is left");
    }

    #[test]
    fn a_failed_replacement_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::create_dir(&path).unwrap(); // a folder cannot be replaced by a file
        assert!(replace(&path, b"x", 0o600, None).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_previous_generation_that_cannot_be_kept_leaves_no_trace() {
        let folder = tempfile::tempdir().unwrap();
        let (path, previous) = (folder.path().join("f"), folder.path().join("f.previous"));
        std::fs::write(&path, b"one").unwrap();
        std::fs::create_dir(&previous).unwrap();
        assert!(replace(&path, b"two", 0o600, Some(&previous)).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "neither the temporary file nor the link");
    }

    #[test]
    fn attack_88_a_pipe_in_the_place_of_a_lock_holds_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        assert!(FileLock::try_acquire(&path).is_err());
    }

    #[test]
    fn attack_88_links_pipes_and_large_files_are_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        std::fs::write(&real, b"12345").unwrap();
        symlink(&real, &link).unwrap();
        assert!(matches!(read_bounded(&link, 10), Err(AtomicFileError::NotAFile(_))));
        assert!(matches!(read_bounded(folder.path(), 10), Err(AtomicFileError::NotAFile(_))));
        assert!(matches!(read_bounded(&real, 4), Err(AtomicFileError::TooLarge { .. })));
        assert_eq!(read_bounded(&real, 5).unwrap().0, b"12345");
        assert!(read_bounded(&folder.path().join("none"), 5).unwrap_err().is_missing());
    }

    #[test]
    fn a_lock_is_held_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = FileLock::try_acquire(&path).unwrap();
        assert!(matches!(FileLock::try_acquire(&path), Err(AtomicFileError::Locked(_))));
        assert!(matches!(FileLock::acquire_within(&path, Duration::ZERO), Err(AtomicFileError::Locked(_))));
        drop(held);
        // Not at once: a child that another test is just starting has our descriptors until it runs its program.
        assert!(FileLock::acquire_within(&path, Duration::from_mins(1)).is_ok());
    }
}
