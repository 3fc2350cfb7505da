//! One file being read: where things stand in it, what is wrong with it, and what it asks for that is not built yet.

use std::{
    cell::{Cell, OnceCell, RefCell},
    fmt::Display,
    ops::Range,
    str::FromStr,
    sync::Arc,
};

use crate::base::position;
use crate::policy::Fault;

/// The most faults that are told of one file: nobody reads more, and finding each one's line takes time.
const MAX_FAULTS: usize = 100;

/// The longest message, in characters.
const MAX_MESSAGE: usize = 400;

/// The bytes from where to where something stands in its file.
pub(in crate::policy) type Span = Range<usize>;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(in crate::policy) struct At<T> {
    pub(in crate::policy) value: T,
    pub(in crate::policy) span: Span,
}

/// One file being read, and what was found wrong with it.
pub(in crate::policy) struct Source {
    file: Arc<str>,
    text: Arc<str>,
    faults: RefCell<Vec<Fault>>,
    /// Where each line begins; found once, as grants and vectors all ask for theirs.
    lines: OnceCell<Vec<usize>>,
    notes: RefCell<Vec<Fault>>,
    /// Whether the text is no TOML, so that more would only lead astray.
    is_broken: Cell<bool>,
}

impl Source {
    pub(in crate::policy) fn new(file: &str, text: &str) -> Self {
        let (faults, notes, lines) = (RefCell::default(), RefCell::default(), OnceCell::new());
        Self { file: file.into(), text: text.into(), faults, lines, notes, is_broken: Cell::new(false) }
    }

    pub(in crate::policy) fn file(&self) -> &Arc<str> {
        &self.file
    }

    /// Notes a fault; the first hundred of a file are kept, each with at most 400 characters.
    pub(in crate::policy) fn fault(&self, span: Span, message: impl Display, fix: impl Display) {
        if self.is_broken.get() || self.faults.borrow().len() >= MAX_FAULTS {
            return;
        }
        let (line, column) = self.position(span.start);
        let message = message.to_string().chars().take(MAX_MESSAGE).collect();
        let fix = fix.to_string().chars().take(MAX_MESSAGE).collect();
        self.faults.borrow_mut().push(Fault { file: self.file.clone(), line, column, message, fix });
    }

    /// From now on nothing is wrong but what was told.
    pub(super) fn tell_no_more(&self) {
        self.is_broken.set(true);
    }

    /// Notes something that a file may ask for and that is not built yet; the sentence is what a request that would need
    /// it is told.
    pub(in crate::policy) fn not_yet(&self, span: Span, what: impl Display) -> Arc<str> {
        self.not_yet_but(span, what, "leave it out, or keep it for a later version")
    }

    /// The same, with what can be written instead.
    pub(in crate::policy) fn not_yet_but(&self, span: Span, what: impl Display, instead: &str) -> Arc<str> {
        let (line, column) = self.position(span.start);
        let message: String = format!("{what} is not built yet").chars().take(MAX_MESSAGE).collect();
        let told = format!("{message} ({}:{line}:{column})", self.file).into();
        let mut notes = self.notes.borrow_mut();
        if notes.len() < MAX_FAULTS {
            notes.push(Fault { file: self.file.clone(), line, column, message, fix: instead.to_owned() });
        }
        told
    }

    /// What is not built yet, in the order in which it was read.
    pub(in crate::policy) fn notes(&self) -> Vec<Fault> {
        self.notes.borrow().clone()
    }

    /// Line and column of a byte, both counted from 1.
    pub(in crate::policy) fn position(&self, offset: usize) -> (usize, usize) {
        let starts = || std::iter::once(0).chain(memchr::memchr_iter(b'\n', self.text.as_bytes()).map(|at| at + 1));
        let lines = self.lines.get_or_init(|| starts().collect());
        let line = lines.partition_point(|start| *start <= offset);
        let start = line.checked_sub(1).and_then(|at| lines.get(at)).copied().unwrap_or(0);
        let (_, column) = position(self.text.get(start..).unwrap_or(""), offset.saturating_sub(start));
        (line.max(1), column)
    }

    pub(in crate::policy) fn has_faults(&self) -> bool {
        !self.faults.borrow().is_empty()
    }

    /// The faults so far, which it has no more.
    pub(in crate::policy) fn take_faults(&self) -> Vec<Fault> {
        self.faults.take()
    }

    pub(in crate::policy) fn into_faults(self) -> Vec<Fault> {
        self.faults.into_inner()
    }

    /// Parses a text by its type; the type's own error is the fault.
    pub(in crate::policy) fn parse_at<T: FromStr<Err: Display>>(&self, text: &At<&str>) -> Option<At<T>> {
        match text.value.parse() {
            Ok(value) => Some(At { value, span: text.span.clone() }),
            Err(error) => {
                self.fault(text.span.clone(), error, "");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_counted_in_characters_from_one() {
        let source = Source::new("f", "a\nbü c");
        assert_eq!(source.position(0), (1, 1));
        assert_eq!(source.position(5), (2, 3));
        assert_eq!(source.position(6), (2, 4));
    }
}
