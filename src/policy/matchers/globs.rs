//! Patterns over words that a request is made of: names of fields, methods, tools.

use crate::policy::{
    files::{At, Table},
    rules::{Glob, GlobError, Reading},
};

/// Alternatives for one word.
#[derive(Clone, Debug)]
pub(super) struct Globs(Vec<Both>);

#[derive(Clone, Debug)]
struct Both {
    exact: Glob,
    /// The same in lower case.
    loose: Glob,
}

impl Globs {
    /// The texts of a key; `None` when it is left out. `unusable` says what is wrong with a text besides its being no
    /// glob; what is wrong is told.
    pub(super) fn read(
        table: &mut Table<'_>,
        key: &'static str,
        unusable: impl Fn(&str) -> Option<String>,
    ) -> Option<Self> {
        let texts = texts(table, key)?;
        let source = table.source();
        let parse = |text: &At<&str>| {
            let parsed = match unusable(text.value) {
                Some(error) => Err(error),
                None => Both::parse(text.value).map_err(|error| error.to_string()),
            };
            parsed.map_err(|error| source.fault(text.span.clone(), error, "")).ok()
        };
        Some(Self(texts.iter().filter_map(parse).collect()))
    }

    pub(super) fn fit(&self, word: &str, reading: Reading) -> bool {
        match reading {
            Reading::Exact => self.0.iter().any(|both| both.exact.matches(word)),
            Reading::Loose => {
                let lower = word.to_ascii_lowercase();
                self.0.iter().any(|both| both.loose.matches(&lower))
            }
        }
    }
}

impl Both {
    fn parse(text: &str) -> Result<Self, GlobError> {
        Ok(Self { exact: text.parse()?, loose: text.to_ascii_lowercase().parse()? })
    }
}

/// The texts of a key; an empty list is a fault.
pub(super) fn texts<'a>(table: &mut Table<'a>, key: &'static str) -> Option<Vec<At<&'a str>>> {
    let value = table.value(key)?;
    if value.get_ref().as_array().is_some_and(|list| list.is_empty()) {
        let message = format!("`{key}` lists nothing, so the rule matches nothing");
        table.source().fault(value.span(), message, format!("leave `{key}` out, or list what it is to match"));
    }
    table.texts(key)
}
