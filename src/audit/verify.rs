//! Is every line the one that was written, in its place, and is the end still there? What checking a log gives.
//!
//! Invariant: an edited, removed, added or moved line before the last is found. What a chain alone cannot show, the last
//! lines being gone, is found when an earlier head is known: from the signed note, or from elsewhere.

use std::{borrow::Cow, path::Path};

use serde::{Deserialize, Serialize};

use super::{
    Action, Break, BreakKind, Error, NoteFault,
    action::Phase,
    files::Files,
    lines::RawLine,
    note::Note,
    walk::{Walk, Walked},
};
use crate::base::{Ed25519Key, RequestId};

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
    /// How many lines there are in all files, damaged ones included.
    pub lines: u64,
    /// In how many files.
    pub files: u64,
    /// How many lines, at the beginning, agent-secrets wrote without a chain.
    pub unchained_lines: u64,
    /// How many are no record.
    pub damaged_lines: u64,
    /// The number of the first chained line; above 1 when older files were removed by the settings or moved away.
    pub begins_at: Option<u64>,
    /// How often somebody moved a file away while the log was written, as the log says itself.
    pub moved_away: u64,
    /// The last line of the chain; `None` when no line is chained.
    pub head: Option<Head>,
    /// The first place where the chain does not hold.
    pub first_break: Option<Break>,
    /// Requests and tunnels that began and have not ended; those of a running daemon are among them.
    pub open_requests: Vec<RequestId>,
    /// How many checkpoints there are, each with a signature that fits.
    pub checkpoints: u64,
    /// The newest key that the log says was made for it; proves nothing by itself.
    pub named_key: Option<Ed25519Key>,
    /// What the note of the newest line says.
    pub note: NoteFinding,
}

impl Verified {
    /// Whether the chain holds from its first line to its last.
    pub fn is_whole(&self) -> bool {
        self.first_break.is_none()
    }
}

/// What the note of the newest line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteFinding {
    /// The noted line is there, whatever came after it.
    Agrees,
    /// The noted line is not there, or is another.
    Disagrees,
    /// The note is worth nothing.
    Faulty(NoteFault),
    /// So many lines of the note's are gone, and a loss of power may explain it.
    Lost(u64),
    /// Nobody asked.
    Unchecked,
}

/// Whom to believe about a log.
#[derive(Clone, Copy, Debug)]
pub struct Trust<'a> {
    /// The key that signs for it.
    pub key: &'a Ed25519Key,
    /// Where its newest line is noted.
    pub note: &'a Path,
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

/// Walks a log from its first line to its last, through all its files. A break is a finding, not an error.
pub fn verify(path: &Path) -> Result<Verified, Error> {
    Ok(walk(path, None, None)?.verified)
}

/// Like [`verify`], and finds too when the line of an earlier head is gone or was edited.
pub fn verify_with_head(path: &Path, known: &Head) -> Result<Verified, Error> {
    Ok(walk(path, Some(known), None)?.verified)
}

/// Like [`verify`], and holds note, removals and newest checkpoint to this key. A key that signs has noted the newest line, so a
/// note that is missing is a break.
pub fn verify_with(path: &Path, trust: Trust<'_>) -> Result<Verified, Error> {
    // Before the log: it may grow meanwhile, and never shrinks.
    let note = Note::read(trust.note, trust.key);
    let known = note.as_ref().ok().filter(|note| note.is_binding()).map(|note| &note.head);
    let Walked { mut verified, last_signer, end, is_known_there } = walk(path, known, Some(trust.key))?;
    if let Some((place, signer)) = last_signer
        && signer != *trust.key
    {
        verified.first_break.get_or_insert_with(|| place.breaks(BreakKind::Foreign));
    }
    let reached = verified.head.as_ref().map_or(0, |head| head.seq);
    verified.note = match &note {
        Err(fault) => {
            verified.first_break.get_or_insert_with(|| end.breaks(BreakKind::Note(*fault)));
            NoteFinding::Faulty(*fault)
        }
        Ok(note) if note.head.seq > reached && !note.is_binding() => NoteFinding::Lost(note.head.seq - reached),
        Ok(_) if is_known_there => NoteFinding::Agrees,
        Ok(_) => NoteFinding::Disagrees,
    };
    Ok(verified)
}

fn walk(path: &Path, known: Option<&Head>, key: Option<&Ed25519Key>) -> Result<Walked, Error> {
    let mut lines = Files::find(path)?.forwards();
    let mut walk = Walk::new(known, key);
    let mut line = RawLine::default();
    while lines.next_into(&mut line)? {
        walk.step(&line, lines.rolled());
    }
    Ok(walk.finish())
}
