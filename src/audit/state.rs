//! What the writer holds under its lock: waiting lines, the chain's end, the file and what is known of it.

use std::sync::Arc;

use super::{
    Action, Event, Head, checkpoint,
    file::LogFile,
    format::{AFTER_CHAIN, Frame, TimeWriter, write_chain, write_line},
};
use crate::base::{Clock, SigningKey, Timestamp, sha256};

/// What the writer holds.
pub(super) struct State {
    pub(super) file: Arc<dyn LogFile>,
    /// Whole lines that are not in the file yet, in the order of the chain.
    pub(super) pending: Vec<u8>,
    /// Bytes at the file's end that a failed write left and that could not be cut off yet.
    pub(super) torn: u64,
    /// The last line that was formatted.
    pub(super) tip: Tip,
    /// The last line that is in the file.
    pub(super) written: Tip,
    /// Counts the writes that succeeded.
    pub(super) writes: u64,
    /// The file was moved away or removed, and no new one could be opened: what is written now would be lost.
    pub(super) is_gone: bool,
    /// The number of the newest checkpoint.
    pub(super) signed: u64,
    pub(super) time: TimeWriter,
    pub(super) trouble: Trouble,
    pub(super) sync: Sync,
}

impl State {
    pub(super) fn new(file: Arc<dyn LogFile>, tip: Tip) -> Self {
        Self {
            file,
            pending: Vec::new(),
            torn: 0,
            tip,
            written: tip,
            writes: 0,
            is_gone: false,
            signed: 0,
            time: TimeWriter::default(),
            trouble: Trouble::default(),
            sync: Sync { is_running: false, tip, writes: 0, failures: 0, unsynced: Vec::new() },
        }
    }

    pub(super) fn format(&mut self, clock: &Clock, event: &Event<'_>) {
        self.format_at(clock.now(), event);
    }

    fn format_at(&mut self, time: Timestamp, event: &Event<'_>) {
        let start = self.pending.len();
        let seq = self.tip.seq.saturating_add(1);
        let time = self.time.write(time);
        write_line(&mut self.pending, &Frame { seq, prev: self.tip.hash(), time }, event);
        self.chain(seq, start);
    }

    /// Signs everything up to here.
    pub(super) fn format_checkpoint(&mut self, time: Timestamp, key: &SigningKey) {
        let seq = self.tip.seq.saturating_add(1);
        let details = checkpoint::Place { seq, prev: self.tip.hash(), time }.sign(key);
        self.format_at(time, &Event::new(Action::AuditCheckpoint).details(&details));
        self.signed = self.tip.seq;
    }

    /// Makes what was put at the end of `pending` the newest line.
    fn chain(&mut self, seq: u64, start: usize) {
        let line = self.pending.get(start..self.pending.len().saturating_sub(1)).unwrap_or_default();
        self.tip = Tip::new(seq, sha256(line));
    }

    /// Puts lines that were formatted for another place in the chain at its present end; checkpoints stay out, because
    /// they sign their place.
    pub(super) fn chain_again(&mut self, lines: &[u8]) {
        const CHECKPOINT: &[u8] = b",\"action\":\"audit_checkpoint\""; // quotes inside our fields are escaped
        for line in lines.split_inclusive(|b| *b == b'\n') {
            if memchr::memmem::find(line, CHECKPOINT).is_some() {
                continue;
            }
            let Some(at) = memchr::memmem::find(line, AFTER_CHAIN) else { continue };
            let (start, seq) = (self.pending.len(), self.tip.seq.saturating_add(1));
            write_chain(&mut self.pending, seq, self.tip.hash());
            self.pending.extend_from_slice(line.get(at..).unwrap_or_default());
            self.chain(seq, start);
        }
    }

    /// Forgets what was formatted since.
    pub(super) fn go_back(&mut self, (length, tip): (usize, Tip)) {
        self.pending.truncate(length);
        self.tip = tip;
    }

    pub(super) fn write_pending(&mut self) -> std::io::Result<()> {
        if self.is_gone && !self.pending.is_empty() {
            return Err(std::io::ErrorKind::NotFound.into());
        }
        if self.torn > 0 {
            self.cut_torn()?;
        }
        let mut rest = self.pending.as_slice();
        let mut done = 0;
        while !rest.is_empty() {
            let error = match self.file.write(rest) {
                Ok(0) => std::io::ErrorKind::WriteZero.into(),
                Ok(count) => {
                    done += count as u64;
                    rest = rest.get(count..).unwrap_or_default();
                    continue;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            self.torn = done;
            let _ = self.cut_torn(); // if not now, then before the next write
            return Err(error);
        }
        Ok(())
    }

    /// Cuts what a failed write left. By count, not to a remembered length: somebody may have emptied the file meanwhile.
    fn cut_torn(&mut self) -> std::io::Result<()> {
        let length = self.file.length()?;
        self.file.cut_to(length.saturating_sub(self.torn))?;
        self.torn = 0;
        Ok(())
    }

    /// After a failed sync: what may not be on the disk waits again.
    pub(super) fn take_back_unsynced(&mut self) {
        let unsynced = std::mem::take(&mut self.sync.unsynced);
        self.written = self.sync.tip;
        self.torn += unsynced.len() as u64;
        let _ = self.cut_torn(); // if not now, then before the next write
        let later = std::mem::replace(&mut self.pending, unsynced);
        self.pending.extend_from_slice(&later);
    }
}

/// A line of the chain: its number and hash. Number 0 is what stands before the first.
#[derive(Clone, Copy)]
pub(super) struct Tip {
    pub(super) seq: u64,
    hash: [u8; 64],
}

impl Tip {
    /// Before the first line.
    pub(super) const START: Self = Self { seq: 0, hash: [b'0'; 64] };

    pub(super) fn new(seq: u64, hash: [u8; 32]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut tip = Self { seq, ..Self::START };
        for (pair, byte) in tip.hash.chunks_exact_mut(2).zip(hash) {
            for (digit, value) in pair.iter_mut().zip([byte >> 4, byte & 15]) {
                *digit = DIGITS.get(usize::from(value)).copied().unwrap_or_default();
            }
        }
        tip
    }

    /// The line that a head names; `None` when its hash is none.
    pub(super) fn parse(head: &Head) -> Option<Self> {
        let hash: [u8; 64] = head.hash.as_bytes().try_into().ok()?;
        hash.iter().all(u8::is_ascii_hexdigit).then_some(Self { seq: head.seq, hash })
    }

    pub(super) fn head(&self) -> Head {
        Head { seq: self.seq, hash: self.hash().to_owned() }
    }

    pub(super) fn hash(&self) -> &str {
        str::from_utf8(&self.hash).unwrap_or_default()
    }
}

/// What could not be recorded since the log last worked.
#[derive(Clone, Copy, Default)]
pub(super) struct Trouble {
    pub(super) refused: u64,
    pub(super) lost: u64,
}

pub(super) struct Sync {
    /// Somebody syncs right now.
    pub(super) is_running: bool,
    /// The last line that is on the disk.
    pub(super) tip: Tip,
    /// How many writes are on the disk.
    pub(super) writes: u64,
    /// How often a sync failed.
    pub(super) failures: u64,
    /// What was written since the last good sync. After a failed one the kernel may have dropped it and says so only
    /// once, so it is cut off and written again instead of synced again (attack 105).
    pub(super) unsynced: Vec<u8>,
}
