//! The log as it grows: whoever polls gets the lines that came since.

use std::{
    fs::File,
    io::Read as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::{
    Error, Filter, Line,
    files::Files,
    lines::{Backwards, End, MAX_LINE, RawLine, open},
};

/// Reads on from where it stopped; goes over to the new file when the log was rolled over or moved away, and starts over
/// when it was cut. A log that is not there yet counts as empty.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    filter: Filter,
    open: Option<Reading>,
    /// The number of the newest chained line that was read.
    seen: u64,
}

#[derive(Debug)]
struct Reading {
    file: File,
    /// How far the file was read.
    offset: u64,
    /// The beginning of a line whose end has not come yet.
    part: RawLine,
}

impl Follower {
    /// Starts at the log's present end.
    pub fn from_end(path: &Path, filter: Filter) -> Result<Self, Error> {
        let mut follower = Self::from_start(path, filter);
        let Some(file) = missing_is_none(open(path))? else { return Ok(follower) };
        let end = file.metadata().map_err(Error::io("read", path))?.len();
        follower.seen = newest_seq(&file, end).map_err(Error::io("read", path))?;
        follower.open = Some(Reading::new(file, end));
        Ok(follower)
    }

    /// Starts at the beginning of the file that is written; rolled files are left out.
    pub fn from_start(path: &Path, filter: Filter) -> Self {
        Self { path: path.to_owned(), filter, open: None, seen: 0 }
    }

    /// The lines that were finished since the last call and that the filter wants; never waits.
    pub fn poll(&mut self) -> Result<Vec<Line>, Error> {
        let mut lines = Vec::new();
        self.read(&mut lines)?;
        // Whether the file was replaced is asked after reading, so that nothing of the old one is missed.
        let present = std::fs::metadata(&self.path).ok().map(|m| (m.dev(), m.ino()));
        let held = self.open.as_ref().and_then(|r| r.file.metadata().ok()).map(|m| (m.dev(), m.ino()));
        if present.is_some() && present != held {
            self.read(&mut lines)?;
            self.go_over(&mut lines)?;
        }
        lines.retain(|line| line.is_wanted(&self.filter));
        Ok(lines)
    }

    /// Goes over to the present file, through those that were rolled over since.
    fn go_over(&mut self, lines: &mut Vec<Line>) -> Result<(), Error> {
        let Some(files) = missing_is_none(Files::find(&self.path))? else { return Ok(()) };
        let (older, live) = files.split_live();
        if let Some(held) = self.open.take() {
            let mut between = older.after(&held.file, self.seen)?.forwards();
            let mut next = RawLine::default();
            while between.next_into(&mut next)? {
                lines.push(std::mem::take(&mut next).parse());
            }
        }
        self.open = live.map(|file| Reading::new(file, 0));
        self.read(lines)
    }

    fn read(&mut self, lines: &mut Vec<Line>) -> Result<(), Error> {
        if let Some(reading) = &mut self.open {
            reading.read(lines).map_err(Error::io("read", &self.path))?;
        }
        let newest = lines.iter().rev().find_map(|line| line.record()?.seq);
        self.seen = self.seen.max(newest.unwrap_or(0));
        Ok(())
    }
}

fn missing_is_none<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Err(error) if error.is_missing() => Ok(None),
        other => other.map(Some),
    }
}

/// The number of the last chained line before this place.
fn newest_seq(file: &File, end: u64) -> std::io::Result<u64> {
    let mut backwards = Backwards::new(file.try_clone()?, end);
    while let Some(line) = backwards.next()? {
        if let Some(seq) = line.parse().record().and_then(|record| record.seq) {
            return Ok(seq);
        }
    }
    Ok(0)
}

impl Reading {
    fn new(file: File, offset: u64) -> Self {
        Self { file, offset, part: RawLine { offset, ..RawLine::default() } }
    }

    fn read(&mut self, lines: &mut Vec<Line>) -> std::io::Result<()> {
        use std::io::{Seek as _, SeekFrom};
        if self.file.metadata()?.len() < self.offset {
            self.offset = 0; // cut from outside
            self.part = RawLine::default();
        }
        self.file.seek(SeekFrom::Start(self.offset))?;
        let mut chunk = vec![0; 64 << 10];
        loop {
            let count = self.file.read(&mut chunk)?;
            let read = chunk.get(..count).unwrap_or_default();
            if read.is_empty() {
                return Ok(());
            }
            for piece in read.split_inclusive(|b| *b == b'\n') {
                self.offset += piece.len() as u64;
                self.take(piece, lines);
            }
        }
    }

    fn take(&mut self, piece: &[u8], lines: &mut Vec<Line>) {
        let body = piece.strip_suffix(b"\n");
        let bytes = body.unwrap_or(piece);
        if self.part.end == End::TooLong || self.part.bytes.len() + bytes.len() > MAX_LINE {
            self.part.end = End::TooLong;
            self.part.bytes.clear();
        } else {
            self.part.bytes.extend_from_slice(bytes);
        }
        if body.is_some() {
            let next = RawLine { offset: self.offset, ..RawLine::default() };
            lines.push(std::mem::replace(&mut self.part, next).parse());
        }
    }
}
