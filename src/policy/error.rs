//! What is wrong with policy files: every fault with its file, line, column and the way to mend it.

use std::{fmt, path::PathBuf, sync::Arc};

use serde::Serialize;

use crate::base::AtomicFileError;

/// One fault of one file; the author's of that file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Fault {
    /// The file as the operator knows it; `catalogue:NAME.toml` for an embedded one.
    pub file: Arc<str>,
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What was expected instead; may be empty.
    pub fix: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)?;
        if self.fix.is_empty() { Ok(()) } else { write!(f, "; {}", self.fix) }
    }
}

/// Every fault of a load, in the order of files and lines; never empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LoadErrors(Vec<Fault>);

impl LoadErrors {
    /// The faults, sorted; `Err` only if there are any.
    pub(super) fn check(mut faults: Vec<Fault>) -> Result<(), Self> {
        if faults.is_empty() {
            return Ok(());
        }
        faults.sort();
        faults.dedup();
        Err(Self(faults))
    }

    pub(super) fn into_faults(self) -> Vec<Fault> {
        self.0
    }

    /// The faults.
    pub fn faults(&self) -> &[Fault] {
        &self.0
    }

    /// These and those, each once.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let mut all = [self.0, other.0].concat();
        all.sort();
        all.dedup();
        Self(all)
    }

    /// The first fault, and how many more there are: on one line, for where all of them have no room.
    pub fn brief(&self) -> String {
        match self.0.as_slice() {
            [] => String::new(),
            [one] => one.to_string(),
            [first, rest @ ..] => format!("{first}; and {} more", rest.len()),
        }
    }
}

impl fmt::Display for LoadErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(at, fault)| {
            if at > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)
        })
    }
}

impl std::error::Error for LoadErrors {}

/// Why a policy file could not be written or a path could not be judged.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused to write; nobody's fault but the disk's.
    #[error(transparent)]
    File(#[from] AtomicFileError),
    /// The folder cannot be made.
    #[error("cannot create the folder `{}`: {source}", path.display())]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The files that are there have faults already; their author's to mend.
    #[error("the policies have faults: {}", .0.brief())]
    Broken(LoadErrors),
    /// Every name that there could be is taken.
    #[error("`{}` has a file of every name that there could be", .0.display())]
    Exists(PathBuf),
    /// There is such a file already; nothing is written over it.
    #[error("`{}` is there already", .0.display())]
    Taken(PathBuf),
    /// What was to be written would not load; the caller's input is at fault.
    #[error("this cannot be written as a policy: {}", .0.brief())]
    Unusable(LoadErrors),
}

/// Why a request path cannot be judged; the client's fault, answered with `bad_request` (attack 82).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A backslash, plain or encoded.
    #[error("the path contains a backslash; write `/` between segments")]
    Backslash,
    /// A control character, blank, `?`, `#` or other byte that no path holds.
    #[error("the path contains a character that must be percent-encoded")]
    Character,
    /// `.` or `..` as a segment, in any spelling.
    #[error("the path contains a dot segment; send the path that is meant")]
    DotSegment,
    /// `//`.
    #[error("the path contains an empty segment; send single slashes")]
    EmptySegment,
    /// `%2f` on a host that does not take it.
    #[error("the path contains an encoded slash, which this host does not take")]
    EncodedSlash,
    /// `%` without two hex digits, or a double encoding of a dangerous character.
    #[error("the path contains a percent-encoding that has no one meaning")]
    Encoding,
    /// Does not begin with `/`.
    #[error("the path does not begin with `/`")]
    Relative,
    /// Encoded bytes that are no UTF-8, or `%00`.
    #[error("the path encodes bytes that are no text")]
    Text,
    /// Longer than 8 KiB.
    #[error("the path is longer than 8192 bytes")]
    TooLong,
}
