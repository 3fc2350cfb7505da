//! What a note knows and the log does not: lines that were cut or changed while no daemon ran.

use std::path::Path;

use super::{
    Action, Error, Head, NoteFault, Witness, continuity,
    files::Files,
    note::{KeyOrigin, Note},
    state::Tip,
    verify::Link,
};
use crate::base::{hex, sha256};

/// What the note of the newest line says that the log does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// These lines were there and are gone, or the last of them was changed. The chain goes on from the noted line, so
    /// that the gap stays to be seen.
    Cut {
        /// The first that is gone.
        first: u64,
        /// The noted line.
        noted: Head,
    },
    /// These lines were with the kernel when the machine went down, and never reached the disk, or they were cut while
    /// it was down.
    Lost {
        /// The first that is gone.
        first: u64,
        /// The last that was noted.
        last: u64,
    },
    /// There is no note to compare with.
    Note(NoteFault),
}

impl Missing {
    /// Compares the end of the log with the note.
    pub(super) fn find(witness: &Witness, log: &Path, tip: &Tip) -> Result<Option<Self>, Error> {
        let note = match Note::read(&witness.note, &witness.key.public()) {
            Ok(note) => note,
            Err(NoteFault::Missing) if witness.origin == KeyOrigin::Made => return Ok(None),
            Err(fault) => return Ok(Some(Self::Note(fault))),
        };
        let (seq, is_binding) = (note.head.seq, note.is_binding());
        if seq > tip.seq {
            let first = tip.seq.saturating_add(1);
            let lost = Self::Lost { first, last: seq };
            return Ok(Some(if is_binding { Self::Cut { first, noted: note.head } } else { lost }));
        }
        let is_there = seq == 0 || holds(log, &note.head)?;
        Ok((!is_there && is_binding).then_some(Self::Cut { first: seq, noted: note.head }))
    }

    /// Where the chain goes on, when not at the log's end.
    pub(super) fn tip(&self) -> Option<Tip> {
        match self {
            Self::Cut { noted, .. } => Tip::parse(noted),
            Self::Lost { .. } | Self::Note(_) => None,
        }
    }

    /// What the next line says of it, when the chain goes on elsewhere.
    pub(super) fn continuation(&self) -> Option<String> {
        match self {
            Self::Cut { first, noted } => Some(continuity::cut(*first, noted.seq)),
            Self::Lost { .. } | Self::Note(_) => None,
        }
    }

    /// What is recorded of it otherwise. A note that is gone stays a break of the record: whoever cuts lines takes the note
    /// away, too, and the next start must not make that good.
    pub(super) fn remark(&self) -> Option<(Action, String)> {
        match self {
            Self::Cut { .. } => None,
            Self::Lost { first, last } => Some((
                Action::AuditRecovered,
                format!(
                    "lines {first} to {last} did not reach the disk before the machine went down, or were cut then"
                ),
            )),
            Self::Note(NoteFault::Missing) => {
                Some((Action::AuditNoteLost, "the note of the newest line was missing".to_owned()))
            }
            Self::Note(NoteFault::Unsigned) => {
                Some((Action::AuditNoteLost, "the note of the newest line was not signed by us".to_owned()))
            }
        }
    }
}

/// Whether a log holds this line, or the line after it when its own file is gone. Reads from the end: a note is young.
fn holds(log: &Path, noted: &Head) -> Result<bool, Error> {
    let mut backwards = Files::find(log)?.backwards();
    let mut is_named_by_next = false;
    while let Some(line) = backwards.next()? {
        let Ok(chained) = serde_json::from_slice::<Link<'_>>(&line.bytes) else { continue };
        match chained.seq {
            Some(seq) if seq == noted.seq => return Ok(hex(&sha256(&line.bytes)) == noted.hash),
            Some(seq) if seq < noted.seq => return Ok(false),
            Some(seq) => {
                let is_next = noted.seq.checked_add(1) == Some(seq);
                is_named_by_next = is_next && chained.prev.is_some_and(|prev| *prev == *noted.hash);
            }
            None => {}
        }
    }
    Ok(is_named_by_next)
}
