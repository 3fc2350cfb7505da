//! Env files whose time is over: found below a folder, overwritten and removed.

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Seek as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::{EnvHeader, Error, ProjectFile};
use crate::base::{LeaseId, Timestamp, open_regular};

/// How much of a file is read for its header.
const MAX_HEADER: u64 = 64 << 10;
const MAX_DEPTH: usize = 64;
/// How much is overwritten at a time.
const ZEROS: usize = 8 << 10;

/// What a search found.
#[derive(Debug, Default)]
pub struct Sweep {
    /// Env files whose time is over, by path.
    pub expired: Vec<ExpiredFile>,
    /// Folders and files that could not be looked at.
    pub unreadable: Vec<Error>,
}

/// An env file whose time is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpiredFile {
    /// The file.
    pub path: PathBuf,
    /// When its variables ended.
    pub expires: Timestamp,
    /// The leases that it names.
    pub leases: Vec<LeaseId>,
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wiped {
    /// It was renewed or replaced meanwhile, and stays.
    Kept,
    /// It is gone.
    Removed,
}

/// Searches a folder and what is below it, 64 levels deep, not through links and not in `.git` or `node_modules`. Looks at
/// files called `.env…` or `….env`, at those that a project file names, and at those with one of the given names; takes
/// only those that say that they are managed.
pub fn find_expired(folder: &Path, names: &[String], now: Timestamp) -> Sweep {
    let mut search = Search { names, now, sweep: Sweep::default() };
    search.folder(folder, 0);
    let mut sweep = search.sweep;
    sweep.expired.sort_by(|a, b| a.path.cmp(&b.path));
    sweep.expired.dedup();
    sweep
}

struct Search<'a> {
    names: &'a [String],
    now: Timestamp,
    sweep: Sweep,
}

impl Search<'_> {
    fn folder(&mut self, folder: &Path, depth: usize) {
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => return self.sweep.unreadable.push(Error::io("look into", folder)(error)),
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.sweep.unreadable.push(Error::io("look into", folder)(error));
                    continue;
                }
            };
            let (path, name) = (entry.path(), entry.file_name());
            let Ok(kind) = entry.file_type() else { continue }; // gone meanwhile
            let name = name.to_string_lossy();
            if kind.is_dir() && depth < MAX_DEPTH && name != ".git" && name != "node_modules" {
                self.folder(&path, depth + 1);
            } else if kind.is_file() && self.is_called_right(&name) {
                self.look_at(&path);
            } else if kind.is_file() && name == ProjectFile::NAME {
                self.look_at_named(&path);
            }
        }
    }

    fn is_called_right(&self, name: &str) -> bool {
        is_env_name(name) || self.names.iter().any(|own| own == name)
    }

    /// The env file that a project file names may have any name.
    fn look_at_named(&mut self, project: &Path) {
        match ProjectFile::read(project).and_then(|file| file.env_file()) {
            Ok(path) if path.symlink_metadata().is_ok_and(|metadata| metadata.is_file()) => self.look_at(&path),
            Ok(_) | Err(Error::Io { .. }) => {} // nothing was written there
            Err(error) => self.sweep.unreadable.push(error),
        }
    }

    fn look_at(&mut self, path: &Path) {
        match open_regular(path).map_err(Error::from).and_then(|(mut file, _)| header(&mut file, path)) {
            Ok(header) => {
                if let Some(expires) = header.expires.filter(|_| header.is_expired(self.now)) {
                    let expired = ExpiredFile { path: path.to_owned(), expires, leases: header.leases };
                    self.sweep.expired.push(expired);
                }
            }
            Err(error) => self.sweep.unreadable.push(error),
        }
    }
}

/// The leases that an env file of ours names; none where there is no such file.
pub fn leases_in(path: &Path) -> Vec<LeaseId> {
    let header = open_regular(path).map_err(Error::from).and_then(|(mut file, _)| header(&mut file, path));
    header.map(|header| header.leases).unwrap_or_default()
}

/// Whether a file is called as those that programs read their environment from: `.env…` or `….env`.
pub fn is_env_name(name: &str) -> bool {
    name.starts_with(".env") || name.as_bytes().ends_with(b".env")
}

fn header(file: &mut File, path: &Path) -> Result<EnvHeader, Error> {
    let mut content = Zeroizing::new(Vec::with_capacity(usize::try_from(MAX_HEADER).unwrap_or(0)));
    file.take(MAX_HEADER).read_to_end(&mut content).map_err(Error::io("read", path))?;
    Ok(EnvHeader::parse(&content))
}

impl ExpiredFile {
    /// Overwrites the file with zeros and removes it, unless it was renewed or replaced meanwhile. Overwriting reaches the
    /// old blocks on plain file systems; on copying ones, on SSDs and in snapshots nothing does.
    pub fn wipe(&self, now: Timestamp) -> Result<Wiped, Error> {
        let path = &self.path;
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC).bits().cast_signed();
        let opened = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path);
        let mut file = opened.map_err(Error::io("open", path))?;
        let metadata = file.metadata().map_err(Error::io("open", path))?;
        // What is checked is what is overwritten: one open file, whatever happens to its name.
        if !metadata.is_file() || !header(&mut file, path)?.is_expired(now) {
            return Ok(Wiped::Kept);
        }
        overwrite(&mut file, metadata.size()).map_err(Error::io("overwrite", path))?;
        let is_same =
            path.symlink_metadata().is_ok_and(|there| (there.dev(), there.ino()) == (metadata.dev(), metadata.ino()));
        if !is_same {
            return Ok(Wiped::Kept);
        }
        std::fs::remove_file(path).map_err(Error::io("remove", path))?;
        Ok(Wiped::Removed)
    }
}

/// Puts zeros over the whole of a file and has them written.
pub(super) fn overwrite(file: &mut File, size: u64) -> std::io::Result<()> {
    let zeros = [0; ZEROS];
    file.rewind()?;
    let mut left = size;
    while left > 0 {
        let count = usize::try_from(left).unwrap_or(ZEROS).min(ZEROS);
        file.write_all(zeros.get(..count).unwrap_or(&zeros))?;
        left -= count as u64;
    }
    file.sync_data()
}
