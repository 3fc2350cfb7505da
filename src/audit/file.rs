//! The log's file: opened with care, written at its end, cut back when a write fails.

use std::{
    fs::{File, OpenOptions},
    io::{self, Seek as _, SeekFrom},
    os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::fs::OFlags;

use super::{Error, files};
use crate::base::Timestamp;

/// What the writer asks of a file; tests put one in its place whose disk is full.
pub(super) trait LogFile: Send + Sync {
    /// One `write(2)` at the end; may take less than all.
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;
    /// The present length in bytes.
    fn length(&self) -> io::Result<u64>;
    /// Cuts the file to this length.
    fn cut_to(&self, length: u64) -> io::Result<()>;
    /// Waits until the disk has the data.
    fn sync(&self) -> io::Result<()>;
    /// Whether this path still leads to this file.
    fn is_at(&self, path: &Path) -> io::Result<bool>;
    /// Makes the file that follows this one; nothing may stand at its path.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn LogFile>>;
}

impl LogFile for File {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut file = self;
        io::Write::write(&mut file, bytes)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn cut_to(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        let held = self.metadata()?;
        match std::fs::symlink_metadata(path) {
            Ok(found) => Ok((found.dev(), found.ino()) == (held.dev(), held.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        Ok(Arc::new(files::create(path)?))
    }
}

/// Opens or makes the log: appending, 0600, ours, one name, no link (attacks 88, 91).
pub(super) fn open(path: &Path) -> Result<File, Error> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC).bits().cast_signed();
    let mut options = OpenOptions::new();
    let opened = options.read(true).append(true).create(true).mode(0o600).custom_flags(flags).open(path);
    let file = match opened {
        Err(e) if e.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            return Err(Error::NotAFile(path.to_owned()));
        }
        Err(e) if e.kind() == io::ErrorKind::IsADirectory => return Err(Error::NotAFile(path.to_owned())),
        other => other.map_err(Error::io("open", path))?,
    };
    let metadata = file.metadata().map_err(Error::io("open", path))?;
    if !metadata.is_file() {
        return Err(Error::NotAFile(path.to_owned()));
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(Error::NotOurs { path: path.to_owned(), owner: metadata.uid() });
    }
    if metadata.nlink() > 1 {
        return Err(Error::Linked(path.to_owned()));
    }
    if metadata.mode() & 0o077 != 0 {
        let private = std::fs::Permissions::from_mode(0o600);
        file.set_permissions(private).map_err(Error::io("set the mode of", path))?;
    }
    if metadata.size() == 0 {
        files::sync_folder(path)?; // the name of a new file is to survive a power cut too
    }
    Ok(file)
}

/// A torn last line that was cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// How many bytes it had.
    pub bytes: u64,
    /// The file beside the log in which they are kept.
    pub kept: PathBuf,
}

/// Cuts a last line without line feed off and keeps it in a file beside the log.
pub(super) fn cut_torn_tail(file: &mut File, path: &Path, now: Timestamp) -> Result<Option<Torn>, Error> {
    let io = || Error::io("recover", path);
    let size = file.metadata().map_err(io())?.len();
    let end = end_of_last_line(file, size).map_err(io())?;
    if end == size {
        return Ok(None);
    }
    let kept = keep_tail(file, path, end, now).map_err(Error::io("keep the torn line of", path))?;
    file.set_len(end).and_then(|()| file.sync_all()).map_err(io())?;
    Ok(Some(Torn { bytes: size - end, kept }))
}

/// Where the last line feed stands, plus one.
fn end_of_last_line(file: &File, size: u64) -> io::Result<u64> {
    let mut chunk = vec![0; 64 << 10];
    let mut end = size;
    while end > 0 {
        let start = end.saturating_sub(chunk.len() as u64);
        let part = chunk.get_mut(..usize::try_from(end - start).unwrap_or(0)).unwrap_or_default();
        file.read_exact_at(part, start)?;
        if let Some(at) = memchr::memrchr(b'\n', part) {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

fn keep_tail(file: &mut File, path: &Path, from: u64, now: Timestamp) -> io::Result<PathBuf> {
    let stamp: String = now.to_string().chars().filter(|c| !matches!(c, '-' | ':')).collect();
    for attempt in 0..100_u32 {
        let mut name = path.as_os_str().to_owned();
        name.push(if attempt == 0 { format!(".torn-{stamp}") } else { format!(".torn-{stamp}-{attempt}") });
        let kept = PathBuf::from(name);
        let mut copy = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&kept) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            other => other?,
        };
        file.seek(SeekFrom::Start(from))?;
        io::copy(file, &mut copy)?;
        copy.sync_all()?;
        return Ok(kept);
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Where the line with the last start of a daemon begins, if there is one. Quotes inside our fields are escaped,
/// so the marker can only be a field.
pub(super) fn last_start(file: &File) -> io::Result<Option<u64>> {
    const MARK: &[u8] = b",\"action\":\"daemon_start\"";
    const STEP: usize = 1 << 20;
    let mut chunk = Vec::new();
    let size = file.metadata()?.len();
    let mut end = size;
    while end > 0 {
        let start = end.saturating_sub(STEP as u64);
        chunk.resize(usize::try_from((end - start + MARK.len() as u64).min(size - start)).unwrap_or(STEP), 0);
        file.read_exact_at(&mut chunk, start)?;
        if let Some(at) = memchr::memmem::rfind(&chunk, MARK) {
            return end_of_last_line(file, start + at as u64).map(Some);
        }
        end = start;
    }
    Ok(None)
}
