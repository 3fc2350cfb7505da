//! What a note knows and the log does not: lines that were cut or changed while no daemon ran.

use super::{
    Head, NoteFault, Witness, continuity,
    note::{KeyOrigin, Note},
    state::Tip,
};

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
    pub(super) fn find(witness: &Witness, tip: &Tip) -> Option<Self> {
        let note = match Note::read(&witness.note, &witness.key.public()) {
            Ok(note) => note,
            Err(NoteFault::Missing) if witness.origin == KeyOrigin::Made => return None,
            Err(fault) => return Some(Self::Note(fault)),
        };
        let Head { seq, hash } = &note.head;
        let is_there = *seq < tip.seq || (*seq == tip.seq && hash == tip.hash());
        let first = if *seq == tip.seq { tip.seq } else { tip.seq.saturating_add(1) };
        match note.is_binding() {
            _ if is_there => None,
            true => Some(Self::Cut { first, noted: note.head }),
            false => Some(Self::Lost { first, last: *seq }),
        }
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

    /// What is recorded of it otherwise.
    pub(super) fn remark(&self) -> Option<String> {
        match self {
            Self::Cut { .. } => None,
            Self::Lost { first, last } => Some(format!(
                "lines {first} to {last} did not reach the disk before the machine went down, or were cut then"
            )),
            Self::Note(NoteFault::Missing) => Some("the note of the newest line was missing".to_owned()),
            Self::Note(NoteFault::Unsigned) => Some("the note of the newest line was not signed by us".to_owned()),
        }
    }
}
