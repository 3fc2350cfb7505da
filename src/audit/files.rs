//! The files of one log: those that were rolled over, oldest first, and the one that is written.
//!
//! A rolled file is called after its last line: `audit.log.000000000420`. Names sort, and no other tool's do the same.

use std::{
    fs::{File, Metadata},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::{
    Error,
    lines::{Backwards, RawLine, RawLines, TRIES, open, settled_len, wait_for_a_writer},
};

/// At least so many digits stand behind the log's name; no log of ours outgrows them within its disk's life.
const DIGITS: usize = 12;

/// A file that was rolled over.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rolled {
    /// The number of its last line.
    pub(super) last: u64,
    pub(super) path: PathBuf,
}

impl Rolled {
    /// What the file of this log is called whose last line has this number.
    pub(super) fn of(log: &Path, last: u64) -> Self {
        let mut name = log.as_os_str().to_owned();
        name.push(format!(".{last:0DIGITS$}"));
        Self { last, path: PathBuf::from(name) }
    }

    /// The name alone, for people.
    pub(super) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn is(&self, held: &Metadata) -> bool {
        let found = std::fs::symlink_metadata(&self.path);
        found.is_ok_and(|found| (found.dev(), found.ino()) == (held.dev(), held.ino()))
    }

    fn parse(log: &Path, path: PathBuf) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let digits = name.strip_prefix(log.file_name()?.to_str()?)?.strip_prefix('.')?;
        let is_ours = digits.len() >= DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
        let last = is_ours.then(|| digits.parse().ok())??;
        Some(Self { last, path })
    }
}

/// The folder that a log is in.
pub(super) fn folder(log: &Path) -> &Path {
    log.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes the names in the log's folder survive a power cut.
pub(super) fn sync_folder(log: &Path) -> Result<(), Error> {
    File::open(folder(log)).and_then(|folder| folder.sync_all()).map_err(Error::io("sync the folder of", log))
}

/// The rolled files of a log, oldest first.
pub(super) fn rolled(log: &Path) -> Result<Vec<Rolled>, Error> {
    let io = || Error::io("find the rolled files of", log);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder(log)).map_err(io())? {
        let path = log.with_file_name(entry.map_err(io())?.file_name());
        found.extend(Rolled::parse(log, path));
    }
    found.sort_unstable();
    Ok(found)
}

/// All files of a log as they stood at one moment.
#[derive(Debug)]
pub(super) struct Files {
    rolled: Vec<Rolled>,
    /// What was written at that moment; open, because it may be rolled over before it is read.
    live: Option<File>,
    log: PathBuf,
}

impl Files {
    /// Opens the log and finds its rolled files. A log of which there is no file at all is an error.
    pub(super) fn find(log: &Path) -> Result<Self, Error> {
        let mut tries = TRIES; // a log whose file is missing may be rolled over right now
        loop {
            let live = open(log);
            let is_missing = live.as_ref().is_err_and(Error::is_missing);
            let mut rolled = match rolled(log) {
                Err(error) if error.is_missing() => Vec::new(), // without a folder
                other => other?,
            };
            tries = tries.saturating_sub(1);
            match live {
                Err(_) if is_missing && !rolled.is_empty() && tries > 0 => wait_for_a_writer(tries),
                Err(_) if is_missing && !rolled.is_empty() => {
                    return Ok(Self { rolled, live: None, log: log.to_owned() });
                }
                Err(error) => return Err(error),
                Ok(live) => {
                    // Rolled over since: what is newer belongs to another moment.
                    let held = live.metadata().map_err(Error::io("read", log))?;
                    if let Some(at) = rolled.iter().position(|file| file.is(&held)) {
                        rolled.truncate(at);
                    }
                    return Ok(Self { rolled, live: Some(live), log: log.to_owned() });
                }
            }
        }
    }

    /// Leaves out this rolled file, and those that hold nothing beyond this line.
    pub(super) fn after(mut self, file: &File, seq: u64) -> Result<Self, Error> {
        let held = file.metadata().map_err(Error::io("read", &self.log))?;
        self.rolled.retain(|rolled| rolled.last > seq && !rolled.is(&held));
        Ok(self)
    }

    /// Every raw line, oldest first.
    pub(super) fn forwards(self) -> Forwards {
        let mut files: Vec<Source> = self.into_sources();
        files.reverse();
        Forwards { files, open: None }
    }

    /// Every raw line, newest first.
    pub(super) fn backwards(self) -> BackwardsOver {
        BackwardsOver { files: self.into_sources(), open: None }
    }

    /// The rolled files alone, and what is written, for those who go on reading it.
    pub(super) fn split_live(mut self) -> (Self, Option<File>) {
        let live = self.live.take();
        (self, live)
    }

    /// Oldest first.
    fn into_sources(self) -> Vec<Source> {
        let live = self.live.map(|file| Source { rolled: None, path: self.log, open: Some(file) });
        let rolled = self.rolled.into_iter();
        rolled.map(|file| Source { rolled: Some(file.name()), path: file.path, open: None }).chain(live).collect()
    }
}

/// One file to be read; rolled ones are opened when it is their turn.
#[derive(Debug)]
pub(super) struct Source {
    rolled: Option<String>,
    path: PathBuf,
    open: Option<File>,
}

impl Source {
    /// `None` when the settings had it removed in the meantime.
    fn open(&mut self) -> Result<Option<File>, Error> {
        match self.open.take().map_or_else(|| open(&self.path), Ok) {
            Err(error) if error.is_missing() => Ok(None),
            other => other.map(Some),
        }
    }
}

/// Raw lines of all files, oldest first.
#[derive(Debug)]
pub(super) struct Forwards {
    /// The next one last.
    files: Vec<Source>,
    open: Option<(Source, RawLines<File>)>,
}

impl Forwards {
    /// The next line into a buffer that is used again and again; `false` at the end of the log.
    pub(super) fn next_into(&mut self, line: &mut RawLine) -> Result<bool, Error> {
        loop {
            if let Some((source, lines)) = &mut self.open {
                if lines.next_into(line).map_err(Error::io("read", &source.path))? {
                    return Ok(true);
                }
                self.open = None;
            }
            let Some(mut source) = self.files.pop() else { return Ok(false) };
            self.open = source.open()?.map(|file| (source, RawLines::new(file, 0)));
        }
    }

    /// The name of the rolled file that the last line was in; `None` when that was the log itself.
    pub(super) fn rolled(&self) -> Option<&str> {
        self.open.as_ref().and_then(|(source, _)| source.rolled.as_deref())
    }
}

/// Raw lines of all files, newest first.
pub(super) struct BackwardsOver {
    /// The next one last.
    files: Vec<Source>,
    open: Option<(PathBuf, Backwards)>,
}

impl BackwardsOver {
    /// The line before.
    pub(super) fn next(&mut self) -> Result<Option<RawLine>, Error> {
        loop {
            if let Some((path, lines)) = &mut self.open {
                if let Some(line) = lines.next().map_err(Error::io("read", &*path))? {
                    return Ok(Some(line));
                }
                self.open = None;
            }
            let Some(mut source) = self.files.pop() else { return Ok(None) };
            let Some(file) = source.open()? else { continue };
            let size = settled_len(&file).map_err(Error::io("read", &source.path))?;
            self.open = Some((source.path, Backwards::new(file, size)));
        }
    }
}

/// Makes the next file of a log; never takes over one that is there.
pub(super) fn create(log: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::CLOEXEC).bits().cast_signed();
    std::fs::OpenOptions::new().read(true).append(true).create_new(true).mode(0o600).custom_flags(flags).open(log)
}
