//! The log as it grows: whoever polls gets the lines that came since.

use std::{
    fs::File,
    io::Read as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::{
    Error, Filter, Line,
    lines::{End, MAX_LINE, RawLine, open},
};

/// Reads on from where it stopped; goes over to the new file when the log was moved away, and starts over when it was
/// cut. A log that is not there yet counts as empty.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    filter: Filter,
    open: Option<Reading>,
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
        follower.open = follower.reading()?;
        if let Some(reading) = &mut follower.open {
            reading.offset = reading.file.metadata().map_err(Error::io("read", path))?.len();
            reading.part.offset = reading.offset;
        }
        Ok(follower)
    }

    /// Starts at the log's beginning.
    pub fn from_start(path: &Path, filter: Filter) -> Self {
        Self { path: path.to_owned(), filter, open: None }
    }

    fn reading(&self) -> Result<Option<Reading>, Error> {
        match open(&self.path) {
            Ok(file) => Ok(Some(Reading { file, offset: 0, part: RawLine::default() })),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The lines that were finished since the last call and that the filter wants; never waits.
    pub fn poll(&mut self) -> Result<Vec<Line>, Error> {
        let mut lines = Vec::new();
        if let Some(reading) = &mut self.open {
            reading.read(&mut lines).map_err(Error::io("read", &self.path))?;
        }
        // Whether the file was replaced is asked after reading, so that nothing of the old one is missed.
        let present = std::fs::metadata(&self.path).ok().map(|m| (m.dev(), m.ino()));
        let held = self.open.as_ref().and_then(|r| r.file.metadata().ok()).map(|m| (m.dev(), m.ino()));
        if present.is_some() && present != held {
            if let Some(reading) = &mut self.open {
                reading.read(&mut lines).map_err(Error::io("read", &self.path))?;
            }
            self.open = self.reading()?;
            if let Some(reading) = &mut self.open {
                reading.read(&mut lines).map_err(Error::io("read", &self.path))?;
            }
        }
        lines.retain(|line| line.is_wanted(&self.filter));
        Ok(lines)
    }
}

impl Reading {
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
