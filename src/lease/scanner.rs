//! Looks for stray lease tokens in a stream, chunk by chunk, without holding the stream up.
//!
//! Invariant: when a token's first byte is released, the token has been seen whole or cannot become one. Held back is
//! only an end of the stream that so far has the exact shape of the beginning of a known token: at most one byte less
//! than the longest token, and nothing when the chunk ends in a line end, a quote or a blank.

use std::ops::Range;

use super::{LeaseTable, table::Stray};

/// What a chunk brought. Positions count from the first byte that was held back before it.
#[derive(Debug)]
pub enum Scan {
    /// No stray token so far; this many bytes may go on, the rest waits for the next chunk or the end.
    Clean {
        /// How many bytes may go on.
        release: usize,
    },
    /// A token; the bytes before `stray.range` may go on. Whoever goes on all the same may release `release` bytes.
    Stray {
        /// Which and where.
        stray: Stray,
        /// How many bytes may go on when the token is of no consequence.
        release: usize,
    },
}

/// The scanner of one stream. At the end of the stream whatever is held back may go: it did not become a token.
#[derive(Debug)]
pub struct StrayScanner {
    table: LeaseTable,
    held: Vec<u8>,
}

impl StrayScanner {
    pub(super) const fn new(table: LeaseTable) -> Self {
        Self { table, held: Vec::new() }
    }

    /// How many bytes are held back.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Takes the next chunk, which may have any length.
    pub fn feed(&mut self, chunk: &[u8]) -> Scan {
        let finder = self.table.finder(); // anew, because a lease may have been issued since the last chunk
        let reach = finder.longest().saturating_sub(1);
        let held = self.held.len();
        let mut joint = std::mem::take(&mut self.held);
        if held > 0 {
            // what begins in the held bytes ends within reach; what begins in the chunk is found in the chunk itself
            joint.extend_from_slice(chunk.get(..reach).unwrap_or(chunk));
        }
        let across = self.table.first_stray(finder.matches(&joint).filter(|found| found.range.start < held));
        let within = || self.table.first_stray(finder.matches(chunk));
        let stray = match across {
            Some(stray) if stray.is_ours() => Some(stray),
            across => match within().map(|stray| stray.moved(held)) {
                Some(within) if within.is_ours() || across.is_none() => Some(within),
                _ => across,
            },
        };
        let tail = if held == 0 || chunk.len() >= reach { chunk } else { joint.as_slice() };
        let unfinished = finder.unfinished(tail);
        let release = (held + chunk.len()).saturating_sub(unfinished);
        self.held = tail.get(tail.len().saturating_sub(unfinished)..).unwrap_or_default().to_vec();
        match stray {
            None => Scan::Clean { release },
            Some(stray) => Scan::Stray { stray, release },
        }
    }
}

impl Stray {
    fn moved(self, by: usize) -> Self {
        let Range { start, end } = self.range;
        Self { range: start + by..end + by, ..self }
    }
}
