//! Reads TOML with spans and collects every fault instead of stopping at the first.
//!
//! Invariant: a key that nobody asked for is a fault, with the nearest known key as a suggestion.

use std::{
    borrow::Cow,
    fmt::{self, Display},
    str::FromStr,
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

pub(in crate::policy) use super::source::{At, Source, Span};
pub(in crate::policy) use crate::base::expected;

/// The values of a key, each where it stands.
pub(in crate::policy) type Values<'a> = Vec<At<Cow<'a, str>>>;

/// A table being read; call [`Table::finish`] when every known key was asked for.
pub(in crate::policy) struct Table<'a> {
    source: &'a Source,
    content: &'a DeTable<'a>,
    span: Span,
    what: What<'a>,
    /// The keys that were asked for, some of them more than once.
    known: Vec<&'static str>,
}

/// What faults call a table; words are put together only for them.
#[derive(Clone, Copy)]
enum What<'a> {
    File,
    Key(&'a str),
    Entry(&'a str),
    Named(&'a str, &'a str),
}

impl Display for What<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => f.write_str("the file"),
            Self::Key(key) => write!(f, "`{key}`"),
            Self::Entry(key) => write!(f, "an entry of `{key}`"),
            Self::Named(key, name) => write!(f, "`[{key}.{name}]`"),
        }
    }
}

/// Tables of at most as many keys are looked through; most are.
const SMALL: usize = 8;

/// As many keys as a rule is asked for.
const KEYS: usize = 24;

impl<'a> Table<'a> {
    fn of(source: &'a Source, content: &'a DeTable<'a>, span: Span, what: What<'a>) -> Self {
        Self { source, content, span, what, known: Vec::with_capacity(KEYS) }
    }

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
        self.known.push(key);
        self.get(key)
    }

    fn get(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        if self.content.len() > SMALL {
            return self.content.get(key);
        }
        self.content.iter().find(|(known, _)| **known.get_ref() == *key).map(|(_, value)| value)
    }

    /// Where a key stands, asked for or not.
    pub(in crate::policy) fn key(&self, key: &str) -> Option<Span> {
        self.content.get_key_value(key).map(|(key, _)| key.span())
    }

    /// Whether a key is there, asked for or not.
    pub(in crate::policy) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    fn wrong(&self, value: &Spanned<DeValue<'_>>, key: &str, want: &str) {
        if value.span().is_empty() && self.source.has_faults() {
            return; // stands in for a value that is no TOML, which was told where it stands
        }
        let plain = match value.get_ref() {
            DeValue::Integer(number) => number.as_str(),
            DeValue::Float(number) => number.as_str(),
            DeValue::Boolean(true) => "true",
            DeValue::Boolean(false) => "false",
            _ => "",
        };
        let fix = match (want.starts_with("a text"), plain) {
            (true, plain) if !plain.is_empty() => format!("expected {want}, such as `\"{plain}\"`"),
            _ => format!("expected {want}"),
        };
        self.source.fault(value.span(), format!("`{key}` is {}", value.get_ref().type_str()), fix);
    }

    /// Whether a key holds a list that lists nothing.
    pub(in crate::policy) fn is_empty_list(&self, key: &str) -> bool {
        let list = self.get(key).and_then(|value| value.get_ref().as_array());
        list.is_some_and(|list| list.is_empty())
    }

    /// The keys that hold a list that lists nothing.
    pub(in crate::policy) fn empty_lists(&self) -> Vec<&'a str> {
        let keys = self.content.keys().map(|key| &**key.get_ref());
        keys.filter(|key| self.is_empty_list(key)).collect()
    }

    /// Says which of these lists list nothing. Each means everything where it is left out, so that an empty one, which
    /// must never do so, is not taken at all.
    pub(in crate::policy) fn refuse_empty(&self, keys: &[&str], so: &str) {
        for key in keys.iter().filter(|key| self.is_empty_list(key)) {
            self.fault(format!("`{key}` lists nothing, so {so}"), format!("leave `{key}` out to match all"));
        }
    }

    /// Whether nothing stands in it.
    pub(in crate::policy) fn is_empty(&self) -> bool {
        self.content.is_empty()
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
        if !self.has(key) {
            self.known.push(key);
            self.missing(key, format!("add `{key} = \"…\"`"));
            return None;
        }
        self.text(key)
    }

    /// Says that a key is not there, at the key that was probably meant to be it.
    pub(in crate::policy) fn missing(&self, key: &'static str, fix: impl Display) {
        let meant = |name: &str| expected(name, &[key]).starts_with("did");
        match self.content.keys().find(|name| meant(name.get_ref())) {
            Some(name) => self.unknown(name.span(), name.get_ref(), &[key]),
            None => self.fault(format!("{} has no `{key}`", self.what), fix),
        }
    }

    fn unknown(&self, span: Span, name: &str, known: &[&str]) {
        self.source.fault(
            span,
            format!("unknown key `{}` in {}", name.escape_debug(), self.what),
            expected(name, known),
        );
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
        let mut texts = Vec::with_capacity(list.len());
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
        self.as_table(value, What::Key(key), key)
    }

    fn as_table(&self, value: &'a Spanned<DeValue<'a>>, what: What<'a>, key: &str) -> Option<Table<'a>> {
        let Some(table) = value.get_ref().as_table() else {
            self.wrong(value, key, "a table");
            return None;
        };
        Some(Table::of(self.source, table, value.span(), what))
    }

    /// A list of tables: `[[grant]]`, or inline ones.
    pub(in crate::policy) fn tables(&mut self, key: &'static str) -> Vec<Table<'a>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let Some(list) = value.get_ref().as_array() else {
            let like = format!("a list of tables, such as `[[{key}]]` or `{key} = [{{ … }}]`");
            self.wrong(value, key, if value.get_ref().is_table() { &like } else { "a list of tables" });
            return Vec::new();
        };
        list.iter().filter_map(|item| self.as_table(item, What::Entry(key), key)).collect()
    }

    /// The same, or a single table.
    pub(in crate::policy) fn tables_or_one(&mut self, key: &'static str) -> Vec<Table<'a>> {
        let is_one = self.get(key).is_some_and(|value| value.get_ref().is_table());
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
            if let Some(mut table) = outer.as_table(value, What::Named(key, text), text) {
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
                self.unknown(key.span(), name, &self.known);
            }
        }
    }
}

impl Source {
    pub(in crate::policy) fn root<'a>(&'a self, table: &'a Spanned<DeTable<'a>>) -> Table<'a> {
        Table::of(self, table.get_ref(), 0..0, What::File)
    }
}

pub(in crate::policy) fn is_name(text: &str) -> bool {
    let usable = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    (1..=64).contains(&text.len()) && text.bytes().all(usable)
}
