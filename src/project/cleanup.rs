//! Env files whose time is over: found below a folder, overwritten and removed.

use std::{
    fs::OpenOptions,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;

use super::{EnvHeader, Error, ProjectFile};
use crate::base::{Timestamp, read_bounded};

/// The largest file that is looked at; larger than any that we write for a person.
const MAX_LEN: u64 = 64 << 20;
const MAX_DEPTH: usize = 64;

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
}

/// Searches a folder and what is below it, 64 levels deep, not through links and not in `.git` or `node_modules`. Looks at
/// files called `.env…` or `….env` and at those that a project file names; takes only those that say that they are managed.
pub fn find_expired(folder: &Path, now: Timestamp) -> Sweep {
    let mut sweep = Sweep::default();
    sweep.search(folder, now, 0);
    sweep.expired.sort_by(|a, b| a.path.cmp(&b.path));
    sweep.expired.dedup();
    sweep
}

impl Sweep {
    fn search(&mut self, folder: &Path, now: Timestamp, depth: usize) {
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => return self.unreadable.push(Error::io("look into", folder)(error)),
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.unreadable.push(Error::io("look into", folder)(error));
                    continue;
                }
            };
            let (path, name) = (entry.path(), entry.file_name());
            let Ok(kind) = entry.file_type() else { continue }; // gone meanwhile
            let name = name.to_string_lossy();
            if kind.is_dir() && depth < MAX_DEPTH && name != ".git" && name != "node_modules" {
                self.search(&path, now, depth + 1);
            } else if kind.is_file() && (name.starts_with(".env") || name.ends_with(".env")) {
                self.look_at(&path, now);
            } else if kind.is_file() && name == ProjectFile::NAME {
                self.look_at_named(&path, now);
            }
        }
    }

    /// The env file that a project file names may have any name.
    fn look_at_named(&mut self, project: &Path, now: Timestamp) {
        match ProjectFile::read(project).and_then(|file| file.env_file()) {
            Ok(path) if path.is_file() => self.look_at(&path, now),
            Ok(_) | Err(Error::Io { .. }) => {} // nothing was written there
            Err(error) => self.unreadable.push(error),
        }
    }

    fn look_at(&mut self, path: &Path, now: Timestamp) {
        match header(path) {
            Ok(header) => {
                if let Some(expires) = header.expires.filter(|_| header.is_expired(now)) {
                    self.expired.push(ExpiredFile { path: path.to_owned(), expires });
                }
            }
            Err(error) => self.unreadable.push(error),
        }
    }
}

fn header(path: &Path) -> Result<EnvHeader, Error> {
    let (content, _) = read_bounded(path, MAX_LEN)?;
    let content = zeroize::Zeroizing::new(content);
    Ok(EnvHeader::parse(&content))
}

impl ExpiredFile {
    /// Overwrites the file with zeros and removes it, unless it was renewed meanwhile. Overwriting reaches the old blocks
    /// on plain file systems; on copying ones nothing does.
    pub fn wipe(&self, now: Timestamp) -> Result<(), Error> {
        let path = &self.path;
        if !header(path)?.is_expired(now) {
            return Ok(());
        }
        let flags = (OFlags::NOFOLLOW | OFlags::CLOEXEC).bits().cast_signed();
        let opened = OpenOptions::new().write(true).custom_flags(flags).open(path);
        let mut file = opened.map_err(Error::io("open", path))?;
        let size = file.metadata().map_err(Error::io("open", path))?.len();
        let zeros = vec![0; usize::try_from(size.min(MAX_LEN)).unwrap_or(0)];
        file.write_all(&zeros).and_then(|()| file.sync_data()).map_err(Error::io("overwrite", path))?;
        std::fs::remove_file(path).map_err(Error::io("remove", path))
    }
}
