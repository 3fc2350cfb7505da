//! Walking the chain, line by line and file by file.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use super::{
    Action, Break, BreakKind, Head, NoteFinding, Record, Verified,
    action::Phase,
    checkpoint, continuity,
    lines::{End, RawLine},
    verify::Link,
};
use crate::base::{Ed25519Key, RequestId, hex, sha256};

/// What stands for the line before the first.
pub(super) const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Where a line stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Spot {
    rolled: Option<Arc<str>>,
    line: u64,
}

impl Spot {
    pub(super) fn breaks(&self, why: BreakKind) -> Break {
        Break { file: self.rolled.as_deref().map(str::to_owned), line: self.line, why }
    }
}

/// What a walk gave, and what those who know a key ask besides.
pub(super) struct Walked {
    pub(super) verified: Verified,
    /// The newest checkpoint and whose it is.
    pub(super) last_signer: Option<(Spot, Ed25519Key)>,
    /// The last line.
    pub(super) end: Spot,
    /// Whether the known line, if there is one, stands in its place.
    pub(super) is_known_there: bool,
}

/// A walk under way.
pub(super) struct Walk<'a> {
    known: Option<&'a Head>,
    /// Whether the known line was met, or the line after it.
    is_known_met: bool,
    /// Whether another stands in the known line's place.
    is_known_replaced: bool,
    /// Whom to believe about removals.
    key: Option<&'a Ed25519Key>,
    here: Spot,
    before: Option<Spot>,
    files: u64,
    lines: u64,
    unchained: u64,
    damaged: u64,
    begins_at: Option<u64>,
    moved_away: u64,
    /// The last chained line's number, once there is one.
    seq: Option<u64>,
    /// The hash of the line before.
    hash: Option<String>,
    head: Option<Head>,
    /// Lines before the first are missing; no break when the settings had them removed.
    start_break: Option<Break>,
    removed_up_to: u64,
    first_break: Option<Break>,
    /// The line, counted through all files, that the first break does not fit.
    mismatch_with: Option<u64>,
    /// The numbers that are missing at the first break: if one turns up later, lines were moved, not removed.
    missing: Option<Range<u64>>,
    open: BTreeMap<RequestId, u64>,
    checkpoints: u64,
    last_signer: Option<(Spot, Ed25519Key)>,
    named_key: Option<Ed25519Key>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(known: Option<&'a Head>, key: Option<&'a Ed25519Key>) -> Self {
        Self {
            known,
            is_known_met: false,
            is_known_replaced: false,
            key,
            here: Spot::default(),
            before: None,
            files: 0,
            lines: 0,
            unchained: 0,
            damaged: 0,
            begins_at: None,
            moved_away: 0,
            seq: None,
            hash: None,
            head: None,
            start_break: None,
            removed_up_to: 0,
            first_break: None,
            mismatch_with: None,
            missing: None,
            open: BTreeMap::new(),
            checkpoints: 0,
            last_signer: None,
            named_key: None,
        }
    }

    /// Takes the next line, which stands in this rolled file or in the log itself.
    pub(super) fn step(&mut self, line: &RawLine, rolled: Option<&str>) {
        self.go_on(rolled);
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
                let says = says(chained, &line.bytes);
                self.step_chain(chained, &hash, says.as_ref());
                if Action::find(&chained.action) == Some(Action::AuditNoteLost) && self.seq.is_some() {
                    self.found(BreakKind::NoteLost);
                }
                if let (Some(record), Some(_)) = (&says, self.seq) {
                    self.step_record(chained, record);
                }
            }
        }
        self.hash = Some(hash);
    }

    fn go_on(&mut self, rolled: Option<&str>) {
        self.lines += 1;
        if self.files > 0 && self.here.rolled.as_deref() == rolled {
            self.before = Some(self.here.clone());
            self.here.line += 1;
        } else {
            let next = Spot { rolled: rolled.map(Arc::from), line: 1 };
            let last = std::mem::replace(&mut self.here, next);
            self.before = (self.files > 0).then_some(last);
            self.files += 1;
        }
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

    fn step_chain(&mut self, link: &Link<'_>, hash: &str, says: Option<&Record>) {
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
            if let Some(first) = self.start_break.as_mut().or(self.first_break.as_mut()) {
                first.why = BreakKind::Reordered;
            }
        }
        let fits = self.hash.as_deref().unwrap_or(GENESIS) == prev;
        let is_moved = self.here.line == 1 && details_of(says, Action::LogContinued).is_some_and(continuity::is_moved);
        match self.seq {
            None if fits && seq <= 1 => {}
            None if is_moved => self.moved_away += 1,
            None if seq > 1 => {
                self.start_break = Some(self.here.breaks(BreakKind::Removed(seq - 1)));
                self.missing = Some(1..seq);
            }
            None if self.lines == 1 => self.found(BreakKind::Removed(u64::MAX)),
            None => self.found_before(BreakKind::Beginning),
            Some(last) if last.checked_add(1) == Some(seq) && fits => self.vouch_for_the_line_before(),
            Some(last) if last.checked_add(1) == Some(seq) => self.found_before(BreakKind::Mismatch),
            Some(_) if fits => self.found(BreakKind::Edited), // its number
            Some(last) if seq > last && is_moved => self.moved_away += 1,
            Some(last) if seq > last => {
                if self.first_break.is_none() && self.start_break.is_none() {
                    self.missing = Some(last.saturating_add(1)..seq);
                }
                self.found(BreakKind::Removed(seq - last - 1));
            }
            Some(_) => self.found(BreakKind::Reordered),
        }
        self.begins_at.get_or_insert(seq);
        self.seq = Some(seq);
        self.head = Some(Head { seq, hash: hash.to_owned() });
        self.meet_known(seq, prev, hash);
    }

    /// This line has the hash of the one before, so that one is as it was written.
    fn vouch_for_the_line_before(&mut self) {
        self.vouch_for(self.lines - 1);
    }

    /// What does not fit a line that is as it was written was edited.
    fn vouch_for(&mut self, line: u64) {
        if self.mismatch_with.take_if(|with| *with == line).is_some()
            && let Some(first) = &mut self.first_break
        {
            first.why = BreakKind::Edited;
        }
    }

    /// The known line shows itself, or in what the next one says of it when its own file is gone.
    fn meet_known(&mut self, seq: u64, prev: &str, hash: &str) {
        let Some(known) = self.known else { return };
        if known.seq == seq {
            self.is_known_met = true;
            if known.hash == hash {
                self.vouch_for(self.lines);
            } else {
                self.is_known_replaced = true;
                self.found(BreakKind::Replaced);
            }
        } else if known.seq.checked_add(1) == Some(seq) && known.hash == prev {
            self.is_known_met = true;
        }
    }

    /// What a line says about the log itself.
    fn step_record(&mut self, link: &Link<'_>, record: &Record) {
        let details = record.details.as_deref().unwrap_or_default();
        match (Action::find(&record.action), link.seq, link.prev.as_deref()) {
            (Some(Action::AuditCheckpoint), Some(seq), Some(prev)) => {
                let place = checkpoint::Place { seq, prev, time: record.timestamp };
                match place.signer(details) {
                    Some(key) => {
                        self.checkpoints += 1;
                        self.last_signer = Some((self.here.clone(), key));
                    }
                    None => self.found(BreakKind::Signature),
                }
            }
            (Some(Action::AuditKeyCreate), ..) => self.named_key = details.parse().ok().or(self.named_key),
            (Some(Action::LogRemove), ..) => {
                self.removed_up_to = self.removed_up_to.max(continuity::removed_up_to(details, self.key).unwrap_or(0));
            }
            _ => {}
        }
    }

    fn found(&mut self, why: BreakKind) {
        self.first_break.get_or_insert(self.here.breaks(why));
    }

    fn found_before(&mut self, why: BreakKind) {
        if self.first_break.is_none() {
            self.first_break = Some(self.before.as_ref().unwrap_or(&self.here).breaks(why));
            self.mismatch_with = (why == BreakKind::Mismatch).then_some(self.lines);
        }
    }

    fn miss_known(&mut self) {
        let reached = self.seq.unwrap_or(0);
        let Some(known) = self.known.filter(|known| known.seq > 0 && !self.is_known_met) else { return };
        let noted = known.seq;
        let why = match noted.checked_sub(reached).filter(|missing| *missing > 0) {
            Some(missing) => BreakKind::Cut { missing, noted },
            None => BreakKind::Unmet(noted),
        };
        self.found(why);
    }

    pub(super) fn finish(mut self) -> Walked {
        let is_known_there =
            self.is_known_met && !self.is_known_replaced || self.known.is_none_or(|known| known.seq == 0);
        self.miss_known();
        let is_removed_by_settings = |found: &Break| match found.why {
            BreakKind::Removed(count) => count <= self.removed_up_to,
            _ => false,
        };
        let start_break = self.start_break.filter(|found| !is_removed_by_settings(found));
        let mut open: Vec<(u64, RequestId)> = self.open.into_iter().map(|(id, line)| (line, id)).collect();
        open.sort_unstable();
        let verified = Verified {
            lines: self.lines,
            files: self.files,
            unchained_lines: self.unchained,
            damaged_lines: self.damaged,
            begins_at: self.begins_at,
            moved_away: self.moved_away,
            head: self.head,
            first_break: start_break.or(self.first_break),
            open_requests: open.into_iter().map(|(_, id)| id).collect(),
            checkpoints: self.checkpoints,
            named_key: self.named_key,
            note: NoteFinding::Unchecked,
        };
        Walked { verified, last_signer: self.last_signer, end: self.here, is_known_there }
    }
}

/// The whole record of a line that speaks about the log itself.
fn says(link: &Link<'_>, bytes: &[u8]) -> Option<Record> {
    let action = Action::find(&link.action)?;
    let is_about_the_log =
        matches!(action, Action::AuditCheckpoint | Action::AuditKeyCreate | Action::LogContinued | Action::LogRemove);
    is_about_the_log.then(|| serde_json::from_slice(bytes).ok()).flatten()
}

fn details_of(record: Option<&Record>, action: Action) -> Option<&str> {
    record.filter(|record| record.action == action.as_str())?.details.as_deref()
}
