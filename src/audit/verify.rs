//! Walking the chain: is every line the one that was written, and in its place?
//!
//! Invariant: an edited, removed, added or moved line before the last is found. What a chain alone cannot show, the last
//! lines being gone, is found when an earlier head is known.

use std::{borrow::Cow, collections::BTreeMap, fmt, path::Path};

use serde::{Deserialize, Serialize};

use super::{
    Action, Error,
    action::Phase,
    lines::{End, RawLine, RawLines, open},
};
use crate::base::{RequestId, hex, sha256};

/// What stands for the line before the first.
pub(super) const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The newest line of a chain; to be kept elsewhere, so that a cut log is noticed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The line's number; 0 before the first.
    pub seq: u64,
    /// SHA-256 of the line without its line feed, in hexadecimal.
    pub hash: String,
}

/// What walking a log gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// How many lines there are, damaged ones included.
    pub lines: u64,
    /// How many of them, at the beginning, agent-secrets wrote without a chain.
    pub unchained_lines: u64,
    /// How many are no record.
    pub damaged_lines: u64,
    /// The last line of the chain; `None` when no line is chained.
    pub head: Option<Head>,
    /// The first place where the chain does not hold.
    pub first_break: Option<Break>,
    /// Requests and tunnels that began and have not ended; those of a running daemon are among them.
    pub open_requests: Vec<RequestId>,
}

impl Verified {
    /// Whether the chain holds from its first line to its last.
    pub fn is_whole(&self) -> bool {
        self.first_break.is_none()
    }
}

/// Where the chain breaks first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Break {
    /// The line in the file, from 1.
    pub line: u64,
    /// What is wrong there.
    pub why: BreakKind,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakKind {
    /// It is no record at all.
    Damaged,
    /// It is not what was written: the line after it, or the known head, has another hash of it.
    Edited,
    /// This many lines are missing before it; `u64::MAX` when nobody can tell how many.
    Removed(u64),
    /// It stands where it does not belong: moved, repeated or put in.
    Reordered,
    /// Its end is missing.
    Torn,
    /// It has no place in the chain although the chain had begun.
    Unchained,
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line;
        match self.why {
            BreakKind::Damaged => write!(f, "line {line} is no record"),
            BreakKind::Edited => write!(f, "line {line} was edited"),
            BreakKind::Removed(u64::MAX) => write!(f, "lines before line {line} were removed"),
            BreakKind::Removed(1) => write!(f, "a line before line {line} was removed"),
            BreakKind::Removed(count) => write!(f, "{count} lines before line {line} were removed"),
            BreakKind::Reordered => write!(f, "line {line} stands where it does not belong"),
            BreakKind::Torn => write!(f, "line {line} is torn, its end is missing"),
            BreakKind::Unchained => write!(f, "line {line} was put in, it has no place in the chain"),
        }
    }
}

/// The part of a line that the walk looks at.
#[derive(Deserialize)]
pub(super) struct Link<'a> {
    pub(super) seq: Option<u64>,
    #[serde(borrow)]
    pub(super) prev: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) action: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) request_id: Option<Cow<'a, str>>,
}

impl Link<'_> {
    /// The request that this line begins or ends.
    pub(super) fn request(&self) -> Option<(RequestId, Phase)> {
        let phase = Action::find(&self.action)?.phase();
        let id = self.request_id.as_ref()?.parse().ok()?;
        (phase != Phase::Other).then_some((id, phase))
    }
}

/// Walks a log from its first line to its last. A break is a finding, not an error.
pub fn verify(path: &Path) -> Result<Verified, Error> {
    walk(path, None)
}

/// Like [`verify`], and finds too when the line of an earlier head is gone or was edited.
pub fn verify_with_head(path: &Path, known: &Head) -> Result<Verified, Error> {
    walk(path, Some(known))
}

fn walk(path: &Path, known: Option<&Head>) -> Result<Verified, Error> {
    let mut lines = RawLines::new(open(path)?, 0);
    let mut walk = Walk { known, ..Walk::default() };
    let mut line = RawLine::default();
    while lines.next_into(&mut line).map_err(Error::io("read", path))? {
        walk.step(&line);
    }
    Ok(walk.finish())
}

#[derive(Default)]
struct Walk<'a> {
    known: Option<&'a Head>,
    lines: u64,
    unchained: u64,
    damaged: u64,
    /// The last chained line's number, once there is one.
    seq: Option<u64>,
    /// The hash of the line before.
    hash: Option<String>,
    head: Option<Head>,
    first_break: Option<Break>,
    /// The numbers that are missing at the first break: if one turns up later, lines were moved, not removed.
    missing: Option<std::ops::Range<u64>>,
    open: BTreeMap<RequestId, u64>,
}

impl Walk<'_> {
    fn step(&mut self, line: &RawLine) {
        self.lines += 1;
        let chained = match line.end {
            End::LineFeed => serde_json::from_slice::<Link<'_>>(&line.bytes).ok(),
            End::TooLong => None,
            End::Torn => {
                self.damaged += 1;
                return self.found(BreakKind::Torn);
            }
        };
        let hash = hex(&sha256(&line.bytes));
        match &chained {
            None => {
                self.damaged += 1;
                // Before the chain begins there is nothing that could be broken.
                if self.seq.is_some() {
                    self.found(BreakKind::Damaged);
                } else {
                    self.unchained += 1;
                }
            }
            Some(chained) => {
                self.step_request(chained);
                self.step_chain(chained, &hash);
            }
        }
        self.hash = Some(hash);
    }

    fn step_request(&mut self, link: &Link<'_>) {
        match link.request() {
            Some((id, Phase::Begins)) => {
                self.open.insert(id, self.lines);
            }
            Some((id, _)) => {
                self.open.remove(&id);
            }
            None => {}
        }
    }

    fn step_chain(&mut self, link: &Link<'_>, hash: &str) {
        let (Some(seq), Some(prev)) = (link.seq, link.prev.as_deref()) else {
            if self.seq.is_some() {
                self.found(BreakKind::Unchained);
            } else {
                self.unchained += 1;
            }
            return;
        };
        if self.missing.as_ref().is_some_and(|missing| missing.contains(&seq)) {
            self.missing = None;
            if let Some(first) = &mut self.first_break {
                first.why = BreakKind::Reordered;
            }
        }
        let fits = self.hash.as_deref().unwrap_or(GENESIS) == prev;
        match self.seq {
            None if fits => {}
            // A new file goes on with the chain of the one before.
            None if self.lines == 1 && link.action == Action::LogContinued.as_str() => {}
            None if seq > 1 => self.found(BreakKind::Removed(seq - 1)),
            None if self.lines == 1 => self.found(BreakKind::Removed(u64::MAX)),
            None => self.found_before(BreakKind::Edited),
            Some(last) if seq == last + 1 && fits => {}
            Some(last) if seq == last + 1 => self.found_before(BreakKind::Edited),
            Some(last) if seq > last => {
                if self.first_break.is_none() {
                    self.missing = Some(last + 1..seq);
                }
                self.found(BreakKind::Removed(seq - last - 1));
            }
            Some(_) => self.found(BreakKind::Reordered),
        }
        self.seq = Some(seq);
        self.head = Some(Head { seq, hash: hash.to_owned() });
        if self.known.is_some_and(|known| known.seq == seq && known.hash != hash) {
            self.found(BreakKind::Edited);
        }
    }

    fn found(&mut self, why: BreakKind) {
        self.first_break.get_or_insert(Break { line: self.lines, why });
    }

    fn found_before(&mut self, why: BreakKind) {
        self.first_break.get_or_insert(Break { line: self.lines.saturating_sub(1).max(1), why });
    }

    fn finish(mut self) -> Verified {
        let reached = self.seq.unwrap_or(0);
        if let Some(known) = self.known.filter(|known| known.seq > reached) {
            let line = self.lines + 1;
            self.first_break.get_or_insert(Break { line, why: BreakKind::Removed(known.seq - reached) });
        }
        let mut open: Vec<(u64, RequestId)> = self.open.into_iter().map(|(id, line)| (line, id)).collect();
        open.sort_unstable();
        Verified {
            lines: self.lines,
            unchained_lines: self.unchained,
            damaged_lines: self.damaged,
            head: self.head,
            first_break: self.first_break,
            open_requests: open.into_iter().map(|(_, id)| id).collect(),
        }
    }
}
