//! A stream in overlapping windows, so that neither a large file nor a long line needs more memory than another.

use std::{
    io::{self, Read},
    ops::Range,
};

use zeroize::Zeroizing;

/// How much is read at a time, in bytes.
const CHUNK: usize = 256 * 1024;
/// How much of what follows can be seen from every place; longer than any value that is looked at as a whole.
pub(super) const AHEAD: usize = 8 * 1024;
/// How much of what came before can be seen from every place.
pub(super) const BEHIND: usize = 512;

/// The windows of one stream.
pub(super) struct Windows<R> {
    from: R,
    buffer: Zeroizing<Vec<u8>>,
    filled: usize,
    owned: Range<usize>,
    base: u64,
    form: Form,
    is_over: bool,
}

/// One window: every byte of the stream is owned by exactly one.
#[derive(Debug)]
pub(super) struct Window<'a> {
    pub(super) text: &'a [u8],
    /// Which part of the text is this window's own.
    pub(super) own: Range<usize>,
    /// Where the text begins in the stream.
    pub(super) base: u64,
}

/// How the stream is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Bytes,
    /// Two bytes a character: the zero ones are left out, which leaves ASCII as it is.
    Utf16,
}

impl<R: Read> Windows<R> {
    /// `None` when its beginning is that of a binary file.
    pub(super) fn open(from: R) -> io::Result<Option<Self>> {
        let buffer = Zeroizing::new(vec![0; BEHIND + CHUNK + AHEAD]);
        let mut windows = Self { from, buffer, filled: 0, owned: 0..0, base: 0, form: Form::Bytes, is_over: false };
        windows.fill()?;
        let head = windows.buffer.get(..windows.filled.min(AHEAD)).unwrap_or_default();
        if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
            windows.form = Form::Utf16;
            windows.filled = without_zeros(&mut windows.buffer, 0, windows.filled);
        } else if head.contains(&0) {
            return Ok(None);
        }
        Ok(Some(windows))
    }

    /// The next window, if the stream goes on.
    pub(super) fn next(&mut self) -> io::Result<Option<Window<'_>>> {
        if self.owned.end > 0 {
            if self.is_over && self.owned.end >= self.filled {
                return Ok(None);
            }
            self.advance();
            self.fill()?;
        }
        let end = if self.is_over { self.filled } else { self.filled.saturating_sub(AHEAD) };
        self.owned = self.owned.end..end.max(self.owned.end);
        if self.owned.is_empty() {
            return Ok(None);
        }
        let text = self.buffer.get(..self.filled).unwrap_or_default();
        Ok(Some(Window { text, own: self.owned.clone(), base: self.base }))
    }

    /// Drops what no later window can see.
    fn advance(&mut self) {
        let gone = self.owned.end.saturating_sub(BEHIND);
        self.buffer.copy_within(gone..self.filled, 0);
        self.filled -= gone;
        self.base += gone as u64;
        self.owned = 0..self.owned.end - gone;
    }

    fn fill(&mut self) -> io::Result<()> {
        while !self.is_over && self.filled < self.buffer.len() {
            let room = self.buffer.get_mut(self.filled..).unwrap_or_default();
            match self.from.read(room) {
                Ok(0) => self.is_over = true,
                Ok(count) => {
                    let end = self.filled + count;
                    self.filled = match self.form {
                        Form::Bytes => end,
                        Form::Utf16 => without_zeros(&mut self.buffer, self.filled, end),
                    };
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn without_zeros(buffer: &mut [u8], start: usize, end: usize) -> usize {
    let mut to = start;
    for at in start..end {
        let byte = buffer.get(at).copied().unwrap_or(0);
        if byte != 0 {
            if let Some(place) = buffer.get_mut(to) {
                *place = byte;
            }
            to += 1;
        }
    }
    to
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time.
    struct Slow(Vec<u8>, usize);

    impl Read for Slow {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let rest = &self.0[self.1..];
            let count = rest.len().min(to.len()).min(10_007);
            to[..count].copy_from_slice(&rest[..count]);
            self.1 += count;
            Ok(count)
        }
    }

    #[test]
    fn every_byte_is_owned_once_and_seen_with_its_surroundings() {
        for length in [0, 1, AHEAD, CHUNK, BEHIND + CHUNK + AHEAD, BEHIND + CHUNK + AHEAD + 1, 3 * CHUNK + 77] {
            let content: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251 + 1).unwrap()).collect();
            let mut windows = Windows::open(Slow(content.clone(), 0)).unwrap().unwrap();
            let mut owned = 0;
            while let Some(window) = windows.next().unwrap() {
                let base = usize::try_from(window.base).unwrap();
                assert_eq!(base + window.own.start, owned, "{length}");
                assert_eq!(window.text, &content[base..base + window.text.len()], "{length}");
                owned = base + window.own.end;
                assert!(window.own.start >= BEHIND.min(owned - window.own.len()), "{length}");
                assert!(base + window.text.len() >= length.min(owned + AHEAD), "{length}");
            }
            assert_eq!(owned, length);
        }
    }

    #[test]
    fn binary_files_are_told_and_two_byte_text_is_read() {
        assert!(Windows::open(&b"\x7fELF\x00\x01"[..]).unwrap().is_none());
        let wide: Vec<u8> = "\u{feff}KEY=1".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let mut windows = Windows::open(&wide[..]).unwrap().unwrap();
        assert!(windows.next().unwrap().unwrap().text.ends_with(b"KEY=1"));
    }
}
