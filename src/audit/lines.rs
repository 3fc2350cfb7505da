//! Reading the log back, line by line, forwards, backwards and as it grows.
//!
//! Invariant: no line is skipped in silence; what does not parse comes out as [`Content::Damaged`].

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead as _, BufReader},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::Path,
    time::Duration,
};

use rustix::fs::OFlags;

use super::{
    Error, Filter, Record,
    files::{Files, Forwards},
};

/// The longest line that is taken in whole, 64 MiB; ours stay below 16 KiB, but those of others may not.
pub(super) const MAX_LINE: usize = 64 << 20;
const CHUNK: usize = 64 << 10;
/// How often an unfinished last line is read again before it counts as torn: the daemon may be writing it right now.
pub(super) const TRIES: u32 = 200;
/// Of these, how many come at once; a writer that was put aside needs a moment before the others.
const AT_ONCE: u32 = 50;

/// One line of the log.
#[derive(Clone, Debug)]
pub struct Line {
    /// Where it begins in its file, in bytes.
    pub offset: u64,
    /// The line as it stands there, without its line feed; what is not UTF-8 is replaced.
    pub text: String,
    /// What it says.
    pub content: Content,
}

/// What a line says, or why it says nothing.
#[derive(Clone, Debug)]
pub enum Content {
    /// Not a record: torn, edited or foreign; says what is wrong.
    Damaged(String),
    /// A record.
    Record(Box<Record>),
}

impl Line {
    /// The record, unless the line is damaged.
    pub fn record(&self) -> Option<&Record> {
        match &self.content {
            Content::Record(record) => Some(record),
            Content::Damaged(_) => None,
        }
    }

    /// Whether a filter wants it. A damaged line is always wanted: nobody knows what it said.
    pub fn is_wanted(&self, filter: &Filter) -> bool {
        self.record().is_none_or(|record| filter.wants(record))
    }
}

/// The bytes of a line and whether they are all of it.
#[derive(Debug, Default)]
pub(super) struct RawLine {
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) end: End,
}

/// How a line ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum End {
    #[default]
    LineFeed,
    /// The file ends first.
    Torn,
    /// The line goes on beyond [`MAX_LINE`]; `bytes` holds none of it.
    TooLong,
}

impl RawLine {
    pub(super) fn parse(self) -> Line {
        let content = match (self.end, serde_json::from_slice(&self.bytes)) {
            (End::Torn, _) => Content::Damaged("the line is torn, its end is missing".to_owned()),
            (End::TooLong, _) => Content::Damaged(format!("the line is longer than {MAX_LINE} bytes")),
            (End::LineFeed, Ok(record)) => Content::Record(record),
            (End::LineFeed, Err(error)) => Content::Damaged(format!("the line is no record: {error}")),
        };
        let text = String::from_utf8(self.bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned());
        Line { offset: self.offset, text, content }
    }
}

/// Opens a regular file for reading; never follows a link, never waits for a pipe.
pub(super) fn open(path: &Path) -> Result<File, Error> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC).bits();
    let file = match OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path) {
        Err(e) if e.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            return Err(Error::NotAFile(path.to_owned()));
        }
        other => other.map_err(Error::io("open", path))?,
    };
    let is_file = file.metadata().map_err(Error::io("read", path))?.is_file();
    if is_file { Ok(file) } else { Err(Error::NotAFile(path.to_owned())) }
}

/// Lets whoever writes go on, when so many of [`TRIES`] are left.
pub(super) fn wait_for_a_writer(tries: u32) {
    if tries > TRIES - AT_ONCE {
        std::thread::yield_now();
    } else {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// How long a file is once its last line is whole, or once that is waited for in vain.
pub(super) fn settled_len(file: &File) -> io::Result<u64> {
    settled(file, wait_for_a_writer)
}

fn settled(file: &File, mut wait: impl FnMut(u32)) -> io::Result<u64> {
    let mut tries = TRIES;
    loop {
        let length = file.metadata()?.len();
        let mut last = [b'\n'];
        if length > 0 {
            file.read_exact_at(&mut last, length - 1)?;
        }
        tries = tries.saturating_sub(1);
        if last == *b"\n" || tries == 0 {
            return Ok(length);
        }
        wait(tries);
    }
}

/// Reads raw lines forwards.
#[derive(Debug)]
pub(super) struct RawLines<R> {
    reader: BufReader<R>,
    offset: u64,
}

impl<R: io::Read> RawLines<R> {
    pub(super) fn new(file: R, offset: u64) -> Self {
        Self { reader: BufReader::with_capacity(CHUNK, file), offset }
    }

    /// The next line into a buffer that is used again and again; `false` at the end of the file.
    pub(super) fn next_into(&mut self, line: &mut RawLine) -> io::Result<bool> {
        line.bytes.clear();
        line.offset = self.offset;
        line.end = End::LineFeed;
        let mut tries = TRIES;
        loop {
            let chunk = self.reader.fill_buf()?;
            if chunk.is_empty() {
                if self.offset == line.offset {
                    return Ok(false);
                }
                tries = tries.saturating_sub(1);
                if tries > 0 {
                    wait_for_a_writer(tries);
                    continue;
                }
                line.end = End::Torn;
                return Ok(true);
            }
            let (part, used) = match memchr::memchr(b'\n', chunk) {
                Some(at) => (chunk.get(..at).unwrap_or_default(), at + 1),
                None => (chunk, chunk.len()),
            };
            let is_whole = part.len() < used;
            if line.end == End::TooLong || line.bytes.len() + part.len() > MAX_LINE {
                line.end = End::TooLong;
                line.bytes.clear();
            } else {
                line.bytes.extend_from_slice(part);
            }
            self.reader.consume(used);
            self.offset += used as u64;
            if is_whole {
                return Ok(true);
            }
        }
    }
}

/// Every line of a log from its beginning, through all its files, without holding more than one.
#[derive(Debug)]
pub struct Lines(Forwards);

impl Lines {
    /// Opens the log.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Files::find(path).map(|files| Self(files.forwards()))
    }
}

impl Iterator for Lines {
    type Item = Result<Line, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut line = RawLine::default();
        match self.0.next_into(&mut line) {
            Ok(true) => Some(Ok(line.parse())),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

/// The last `count` lines that a filter wants, oldest first. Reads from the end, so a long log costs nothing.
pub fn tail(path: &Path, filter: &Filter, count: usize) -> Result<Vec<Line>, Error> {
    let mut backwards = Files::find(path)?.backwards();
    let mut lines = Vec::new();
    while lines.len() < count {
        let Some(line) = backwards.next()? else { break };
        let line = line.parse();
        if line.is_wanted(filter) {
            lines.push(line);
        }
    }
    lines.reverse();
    Ok(lines)
}

/// Reads raw lines from the end.
pub(super) struct Backwards {
    file: File,
    /// Where `buffer` begins in the file.
    start: u64,
    buffer: Vec<u8>,
    is_too_long: bool,
    is_last: bool,
}

impl Backwards {
    /// From this place of a file on.
    pub(super) fn new(file: File, start: u64) -> Self {
        Self { file, start, buffer: Vec::new(), is_too_long: false, is_last: true }
    }

    pub(super) fn next(&mut self) -> io::Result<Option<RawLine>> {
        if self.start == 0 && self.buffer.is_empty() {
            return Ok(None);
        }
        loop {
            let body = self.buffer.strip_suffix(b"\n").unwrap_or(&self.buffer);
            let begin = match memchr::memrchr(b'\n', body) {
                Some(at) => at + 1,
                None if self.start == 0 => 0,
                None => {
                    self.read_more()?;
                    continue;
                }
            };
            let mut bytes = self.buffer.split_off(begin);
            let is_whole = bytes.pop_if(|last| *last == b'\n').is_some();
            let end = match (std::mem::take(&mut self.is_too_long), std::mem::take(&mut self.is_last)) {
                (true, _) => End::TooLong,
                (false, true) if !is_whole => End::Torn,
                _ => End::LineFeed,
            };
            return Ok(Some(RawLine { offset: self.start + begin as u64, bytes, end }));
        }
    }

    fn read_more(&mut self) -> io::Result<()> {
        if self.buffer.len() > MAX_LINE {
            self.is_too_long = true;
            self.buffer.clear();
        }
        // Twice as much each time: a long line is not copied more often than its length's logarithm.
        let wanted = CHUNK.max(self.buffer.len()) as u64;
        let size = usize::try_from(wanted.min(self.start)).unwrap_or(CHUNK);
        let mut chunk = vec![0; size];
        self.file.read_exact_at(&mut chunk, self.start - size as u64)?;
        self.start -= size as u64;
        chunk.append(&mut self.buffer);
        self.buffer = chunk;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// A reader from the end took a line that was being written for a damaged one.
    #[test]
    fn the_end_of_a_line_that_is_being_written_is_waited_for() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"whole\nha").unwrap();
        let mut writer = file.try_clone().unwrap();
        let length = settled(&file, |tries| {
            if tries == TRIES - 3 {
                writer.write_all(b"lf\n").unwrap();
            }
        });
        assert_eq!(length.unwrap(), 11);
        file.write_all(b"torn").unwrap();
        let mut waited = 0;
        assert_eq!(settled(&file, |_| waited += 1).unwrap(), 15, "what stays torn is read all the same");
        assert_eq!(waited, TRIES - 1);
        assert_eq!(settled(&tempfile::tempfile().unwrap(), |_| panic!("nothing is waited for")).unwrap(), 0);
    }
}
