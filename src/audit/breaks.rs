//! Where a chain breaks, and what is true of that place: no sentence says more than the files show.

use std::fmt;

use super::NoteFault;

/// Where the chain breaks first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Break {
    /// The rolled file that it is in; `None` for the log itself.
    pub file: Option<String>,
    /// The line in that file, from 1; 0 when there is no line at all.
    pub line: u64,
    /// What is wrong there.
    pub why: BreakKind,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakKind {
    /// The chain begins after a line without a chain, and that is not the one before it.
    Beginning,
    /// It is the last line that there is, and later ones were noted.
    Cut {
        /// How many are missing after it.
        missing: u64,
        /// The number of the noted line.
        noted: u64,
    },
    /// It is no record at all.
    Damaged,
    /// It is not what was written: the line after it has another hash of it, or its own number is another.
    Edited,
    /// It is the newest checkpoint and signed with another key than the one that is believed.
    Foreign,
    /// The line after it has another hash of it, and that line is not vouched for itself.
    Mismatch,
    /// The note of the newest line is worth nothing, so that nobody can tell whether lines after this one were cut.
    Note(NoteFault),
    /// The note of the newest line was gone when this line was written: lines before it may have been cut.
    NoteLost,
    /// This many lines are missing before it; `u64::MAX` when nobody can tell how many, or whether any.
    Removed(u64),
    /// It stands where it does not belong: moved, repeated or put in.
    Reordered,
    /// It is not the line that was noted under its number.
    Replaced,
    /// It is a checkpoint whose signature does not fit.
    Signature,
    /// Its end is missing.
    Torn,
    /// It has no place in the chain although the chain had begun.
    Unchained,
    /// It is the last line, and the line that was noted under this number is not there, although later ones are.
    Unmet(u64),
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = match &self.file {
            Some(file) => format!("line {} of `{file}`", self.line),
            None => format!("line {}", self.line),
        };
        let cut = if self.line == 0 { "lines" } else { &format!("lines after {line}") };
        match self.why {
            BreakKind::Beginning => {
                write!(
                    f,
                    "{line} is not the line that the chain begins after; it was edited, or lines were removed or put in there"
                )
            }
            BreakKind::Cut { missing, noted } if self.line == 0 => {
                let all = if missing == 1 { "the only line is".to_owned() } else { format!("all {missing} lines are") };
                write!(f, "{all} missing: line number {noted} was noted, and there is none")
            }
            BreakKind::Cut { missing, noted } => {
                let last = if missing == 1 { "line is".to_owned() } else { format!("{missing} lines are") };
                write!(f, "the last {last} missing: line number {noted} was noted, and the record ends with {line}")
            }
            BreakKind::Damaged => write!(f, "{line} is no record"),
            BreakKind::Edited => write!(f, "{line} was edited"),
            BreakKind::Foreign => write!(f, "{line} is signed with another key"),
            BreakKind::Mismatch => {
                write!(f, "{line} and the line after it do not fit; one of them was edited, or both")
            }
            BreakKind::Note(NoteFault::Missing) => {
                write!(f, "the note of the newest line is missing; whether {cut} were cut cannot be told")
            }
            BreakKind::Note(NoteFault::Unsigned) => write!(
                f,
                "the note of the newest line is not signed with the key; whether {cut} were cut cannot be told"
            ),
            BreakKind::NoteLost => write!(
                f,
                "the note of the newest line was gone when {line} was written; whether lines before it were cut cannot be told"
            ),
            BreakKind::Removed(u64::MAX) => write!(f, "lines before {line} were removed, or it was edited"),
            BreakKind::Removed(1) => write!(f, "a line before {line} was removed"),
            BreakKind::Removed(count) => write!(f, "{count} lines before {line} were removed"),
            BreakKind::Reordered => write!(f, "{line} stands where it does not belong"),
            BreakKind::Replaced => {
                write!(f, "{line} is not the one that was noted; it was edited, or written anew with lines before it")
            }
            BreakKind::Signature => write!(f, "{line} holds a signature that does not fit"),
            BreakKind::Torn => write!(f, "{line} is torn, its end is missing"),
            BreakKind::Unchained => write!(f, "{line} has no place in the chain; it was put in, or edited"),
            BreakKind::Unmet(noted) => {
                write!(f, "line number {noted} was noted and is not there, although the record ends later, with {line}")
            }
        }
    }
}
