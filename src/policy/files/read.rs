//! Reads TOML with spans and collects every fault instead of stopping at the first.
//!
//! Invariant: a key that nobody asked for is a fault, with the nearest known key as a suggestion.

use std::{
    borrow::Cow,
    cell::{OnceCell, RefCell},
    fmt::Display,
    ops::Range,
    str::FromStr,
    sync::Arc,
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

pub(in crate::policy) use crate::base::expected;
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

/// The values of a key, each where it stands.
pub(in crate::policy) type Values<'a> = Vec<At<Cow<'a, str>>>;

/// One file being read, and what was found wrong with it.
pub(in crate::policy) struct Source {
    file: Arc<str>,
    text: Arc<str>,
    faults: RefCell<Vec<Fault>>,
    /// Where each line begins; found once, as grants and vectors all ask for theirs.
    lines: OnceCell<Vec<usize>>,
    notes: RefCell<Vec<Fault>>,
}

impl Source {
    pub(in crate::policy) fn new(file: &str, text: &str) -> Self {
        let (faults, notes, lines) = (RefCell::default(), RefCell::default(), OnceCell::new());
        Self { file: file.into(), text: text.into(), faults, lines, notes }
    }

    pub(in crate::policy) fn file(&self) -> &Arc<str> {
        &self.file
    }

    /// Parses the text; syntax errors are faults and whatever could be read is still looked at.
    pub(in crate::policy) fn parse<'s>(&self, text: &'s str) -> Spanned<DeTable<'s>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let (span, message) = (error.span().unwrap_or(0..0), error.message());
            match text.get(span.clone()).filter(|key| message == "duplicate key" && !key.is_empty()) {
                Some(key) => self.fault(span, format!("duplicate key `{}`", key.escape_debug()), "keep one of them"),
                None => self.fault(span, message, ""),
            }
        }
        table
    }

    pub(in crate::policy) fn root<'a>(&'a self, table: &'a Spanned<DeTable<'a>>) -> Table<'a> {
        Table { source: self, content: table.get_ref(), span: 0..0, what: "the file".to_owned(), known: Vec::new() }
    }

    /// Notes a fault; the first hundred of a file are kept, each with at most 400 characters.
    pub(in crate::policy) fn fault(&self, span: Span, message: impl Display, fix: impl Display) {
        if self.faults.borrow().len() >= MAX_FAULTS {
            return;
        }
        let (line, column) = self.position(span.start);
        let message = message.to_string().chars().take(MAX_MESSAGE).collect();
        let fix = fix.to_string().chars().take(MAX_MESSAGE).collect();
        self.faults.borrow_mut().push(Fault { file: self.file.clone(), line, column, message, fix });
    }

    /// Notes something that a file may ask for and that is not built yet; the sentence is what a request that would need
    /// it is told.
    pub(in crate::policy) fn not_yet(&self, span: Span, what: impl Display) -> Arc<str> {
        let (line, column) = self.position(span.start);
        let message: String = format!("{what} is not built yet").chars().take(MAX_MESSAGE).collect();
        let told = format!("{message} ({}:{line}:{column})", self.file).into();
        let mut notes = self.notes.borrow_mut();
        if notes.len() < MAX_FAULTS {
            notes.push(Fault { file: self.file.clone(), line, column, message, fix: String::new() });
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
}

/// A table being read; call [`Table::finish`] when every known key was asked for.
pub(in crate::policy) struct Table<'a> {
    source: &'a Source,
    content: &'a DeTable<'a>,
    span: Span,
    what: String,
    known: Vec<&'static str>,
}

impl<'a> Table<'a> {
    pub(in crate::policy) fn span(&self) -> Span {
        self.span.clone()
    }

    pub(in crate::policy) fn source(&self) -> &'a Source {
        self.source
    }

    pub(in crate::policy) fn fault(&self, message: impl Display, fix: impl Display) {
        self.source.fault(self.span(), message, fix);
    }

    pub(in crate::policy) fn value(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.know(key);
        self.content.get(key)
    }

    /// Where a key stands, asked for or not.
    pub(in crate::policy) fn key(&self, key: &str) -> Option<Span> {
        self.content.get_key_value(key).map(|(key, _)| key.span())
    }

    /// Whether a key is there, asked for or not.
    pub(in crate::policy) fn has(&self, key: &str) -> bool {
        self.content.contains_key(key)
    }

    fn know(&mut self, key: &'static str) {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
    }

    fn wrong(&self, value: &Spanned<DeValue<'_>>, key: &str, want: &str) {
        if value.span().is_empty() && self.source.has_faults() {
            return; // stands in for a value that is no TOML, which was told where it stands
        }
        self.source.fault(
            value.span(),
            format!("`{key}` is {}", value.get_ref().type_str()),
            format!("expected {want}"),
        );
    }

    pub(in crate::policy) fn text(&mut self, key: &'static str) -> Option<At<&'a str>> {
        let value = self.value(key)?;
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.wrong(value, key, "a text");
        }
        text.map(|text| At { value: text, span: value.span() })
    }

    pub(in crate::policy) fn required_text(&mut self, key: &'static str) -> Option<At<&'a str>> {
        if !self.content.contains_key(key) {
            self.know(key);
            self.fault(format!("{} has no `{key}`", self.what), format!("add `{key} = \"…\"`"));
            return None;
        }
        self.text(key)
    }

    /// A text or a list of texts; an empty list stays an empty list.
    pub(in crate::policy) fn texts(&mut self, key: &'static str) -> Option<Vec<At<&'a str>>> {
        let value = self.value(key)?;
        Some(self.texts_of(key, value))
    }

    fn texts_of(&self, key: &str, value: &'a Spanned<DeValue<'a>>) -> Vec<At<&'a str>> {
        if let Some(text) = value.get_ref().as_str() {
            return vec![At { value: text, span: value.span() }];
        }
        let Some(list) = value.get_ref().as_array() else {
            self.wrong(value, key, "a text or a list of texts");
            return Vec::new();
        };
        let mut texts = Vec::new();
        for item in list {
            match item.get_ref().as_str() {
                Some(text) => texts.push(At { value: text, span: item.span() }),
                None => self.wrong(item, key, "only texts in the list"),
            }
        }
        texts
    }

    /// Every key of this table with its text or texts: `only = { repo = ["acme/*"] }`.
    pub(in crate::policy) fn all_texts(self) -> Vec<(At<&'a str>, Vec<At<&'a str>>)> {
        let entries = self.content.iter();
        entries
            .map(|(key, value)| (At { value: &**key.get_ref(), span: key.span() }, self.texts_of(key.get_ref(), value)))
            .collect()
    }

    /// Every key of this table with its values; a whole number is as good as its text: `limit = { at_once = 8 }`.
    pub(in crate::policy) fn numbers_or_texts(&self) -> Vec<(At<&'a str>, Values<'a>)> {
        let entries = self.content.iter();
        entries
            .map(|(key, value)| {
                let name = At { value: &**key.get_ref(), span: key.span() };
                if let Some(number) = value.get_ref().as_integer() {
                    return (name, vec![At { value: Cow::Owned(number.as_str().to_owned()), span: value.span() }]);
                }
                let texts = self.texts_of(name.value, value).into_iter();
                (name, texts.map(|text| At { value: Cow::Borrowed(text.value), span: text.span }).collect())
            })
            .collect()
    }

    /// Every key that was not asked for so far, with its text, or its number as it is written; `None` for anything else.
    pub(in crate::policy) fn others(&self) -> Vec<(At<&'a str>, At<Option<&'a str>>)> {
        let others = self.content.iter().filter(|(key, _)| !self.known.contains(&&**key.get_ref()));
        others
            .map(|(key, value)| {
                let text = match value.get_ref() {
                    DeValue::Float(number) => Some(number.as_str()),
                    DeValue::Integer(number) => Some(number.as_str()),
                    other => other.as_str(),
                };
                (At { value: &**key.get_ref(), span: key.span() }, At { value: text, span: value.span() })
            })
            .collect()
    }

    pub(in crate::policy) fn count(&mut self, key: &'static str, most: usize) -> Option<At<usize>> {
        let value = self.value(key)?;
        let number = value.get_ref().as_integer().and_then(|i| i.as_str().parse::<usize>().ok());
        let number = number.filter(|number| (1..=most).contains(number));
        if number.is_none() {
            let fix = if most == 1 { "expected `1`".to_owned() } else { format!("expected a number from 1 to {most}") };
            self.source.fault(value.span(), format!("`{key}` is not usable"), fix);
        }
        number.map(|number| At { value: number, span: value.span() })
    }

    /// `true` or `false`.
    pub(in crate::policy) fn flag(&mut self, key: &'static str) -> Option<bool> {
        let value = self.value(key)?;
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.wrong(value, key, "`true` or `false`");
        }
        flag
    }

    /// One of a closed set of words.
    pub(in crate::policy) fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(key)?;
        let found = choices.iter().find(|(word, _)| *word == text.value).map(|(_, choice)| *choice);
        if found.is_none() {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            self.source.fault(
                text.span,
                format!("`{key}` cannot be `{}`", text.value.escape_debug()),
                expected(text.value, &words),
            );
        }
        found
    }

    /// A text that is parsed by its type.
    pub(in crate::policy) fn parsed<T: FromStr<Err: Display>>(&mut self, key: &'static str) -> Option<At<T>> {
        let text = self.text(key)?;
        self.source.parse_at(&text)
    }

    /// A table, or nothing.
    pub(in crate::policy) fn table(&mut self, key: &'static str) -> Option<Table<'a>> {
        let value = self.value(key)?;
        self.as_table(value, format!("`{key}`"), key)
    }

    fn as_table(&self, value: &'a Spanned<DeValue<'a>>, what: String, key: &str) -> Option<Table<'a>> {
        let Some(table) = value.get_ref().as_table() else {
            self.wrong(value, key, "a table");
            return None;
        };
        Some(Table { source: self.source, content: table, span: value.span(), what, known: Vec::new() })
    }

    /// A list of tables: `[[grant]]`, or inline ones.
    pub(in crate::policy) fn tables(&mut self, key: &'static str) -> Vec<Table<'a>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let Some(list) = value.get_ref().as_array() else {
            let like = format!("a list of tables, such as `[[{key}]]` or `{key} = [{{ … }}]`");
            self.wrong(value, key, if value.get_ref().is_table() { &like } else { "a list of tables" });
            return Vec::new();
        };
        list.iter().filter_map(|item| self.as_table(item, format!("an entry of `{key}`"), key)).collect()
    }

    /// The same, or a single table.
    pub(in crate::policy) fn tables_or_one(&mut self, key: &'static str) -> Vec<Table<'a>> {
        let is_one = self.content.get(key).is_some_and(|value| value.get_ref().is_table());
        if is_one { self.table(key).into_iter().collect() } else { self.tables(key) }
    }

    /// Named tables: `[host.NAME]`; a name is letters, digits, `-` and `_`, lower-case.
    pub(in crate::policy) fn named(&mut self, key: &'static str) -> Vec<(At<&'a str>, Table<'a>)> {
        let Some(outer) = self.table(key) else { return Vec::new() };
        let mut named = Vec::new();
        for (name, value) in outer.content {
            let text: &'a str = name.get_ref();
            if !is_name(text) {
                let message = format!("`{}` is no usable name", text.escape_debug());
                self.source.fault(name.span(), message, "names are lower-case letters, digits, `-` and `_`");
            }
            if let Some(mut table) = outer.as_table(value, format!("`[{key}.{text}]`"), text) {
                table.span = name.span();
                named.push((At { value: text, span: name.span() }, table));
            }
        }
        named
    }

    /// Says which keys nobody asked for.
    pub(in crate::policy) fn finish(self) {
        for key in self.content.keys() {
            let name: &str = key.get_ref();
            if !self.known.contains(&name) {
                let message = format!("unknown key `{}` in {}", name.escape_debug(), self.what);
                self.source.fault(key.span(), message, expected(name, &self.known));
            }
        }
    }
}

impl Source {
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

pub(in crate::policy) fn is_name(text: &str) -> bool {
    let usable = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    (1..=64).contains(&text.len()) && text.bytes().all(usable)
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
