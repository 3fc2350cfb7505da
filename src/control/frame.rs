//! Newline-delimited frames within a bound; a line that is too long is skipped, and the next one is read again.

use tokio::io::{AsyncRead, AsyncReadExt as _};
use zeroize::{Zeroize as _, Zeroizing};

use super::buffer::Buffer;

/// How much is asked of the system at once.
const CHUNK: usize = 16 * 1024;

/// What a reader found.
pub(super) enum Frame {
    /// The other end has finished; what it left unfinished is not a frame.
    End,
    /// One line without its end.
    Line(Buffer),
    /// A line longer than the bound; it is gone.
    TooLong,
}

/// Reads frames of at most `max` bytes.
pub(super) struct FrameReader<R> {
    read: R,
    max: usize,
    buffer: Buffer,
    chunk: Zeroizing<Vec<u8>>,
    /// How much of the buffer is known to hold no line end.
    searched: usize,
    /// Whether the rest of a line that is too long is being skipped.
    skipping: bool,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(super) fn new(read: R, max: usize) -> Self {
        Self {
            read,
            max,
            buffer: Buffer::default(),
            chunk: Zeroizing::new(vec![0; CHUNK]),
            searched: 0,
            skipping: false,
        }
    }

    /// Whether part of a frame has arrived and the rest has not.
    pub(super) fn is_partial(&self) -> bool {
        self.skipping || !self.buffer.is_empty()
    }

    /// A frame that has arrived whole, without waiting.
    pub(super) fn take(&mut self) -> Option<Frame> {
        loop {
            let unseen = self.buffer.as_slice().get(self.searched..).unwrap_or(&[]);
            let Some(at) = unseen.iter().position(|&byte| byte == b'\n') else {
                self.searched = self.buffer.len();
                if self.searched > self.max {
                    self.buffer.clear();
                    self.searched = 0;
                    self.skipping = true;
                }
                return None;
            };
            let mut line = self.buffer.take_front(self.searched + at + 1);
            self.searched = 0;
            if std::mem::take(&mut self.skipping) || line.len() > self.max + 1 {
                return Some(Frame::TooLong);
            }
            line = line.take_front(line.len() - 1);
            if !line.as_slice().trim_ascii().is_empty() {
                return Some(Frame::Line(line)); // blank lines are nothing, as in agent-secrets
            }
        }
    }

    /// Waits for bytes; false at the end. Safe to drop and call again.
    pub(super) async fn fill(&mut self) -> std::io::Result<bool> {
        let count = self.read.read(&mut self.chunk).await?;
        let Some(read) = self.chunk.get_mut(..count) else { return Ok(false) };
        self.buffer.extend(read);
        read.zeroize();
        Ok(count > 0)
    }

    /// Waits for the next frame. Safe to drop and call again.
    pub(super) async fn next(&mut self) -> std::io::Result<Frame> {
        loop {
            if let Some(frame) = self.take() {
                return Ok(frame);
            }
            if !self.fill().await? {
                return Ok(Frame::End);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn frames(input: &[u8], max: usize) -> Vec<String> {
        let mut reader = FrameReader::new(input, max);
        let mut seen = Vec::new();
        loop {
            match reader.next().await.unwrap() {
                Frame::End => return seen,
                Frame::Line(line) => seen.push(String::from_utf8(line.as_slice().to_vec()).unwrap()),
                Frame::TooLong => seen.push("too long".into()),
            }
        }
    }

    #[tokio::test]
    async fn lines_come_one_by_one_and_blank_ones_not_at_all() {
        assert_eq!(frames(b"a\n\n \r\nbc\nunfinished", 10).await, ["a", "bc"]);
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_skipped_and_the_next_is_read() {
        assert_eq!(frames(b"12345\n123456\nok\n", 5).await, ["12345", "too long", "ok"]);
        let mut long = vec![b'x'; 100_000]; // more than one read
        long.extend(b"\nok\n");
        assert_eq!(frames(&long, 50).await, ["too long", "ok"]);
    }
}
