//! Fields of JSON answers that are withheld: pointers in which `*` is one step and `**` any number of them.
//!
//! Invariant: following a document costs time proportional to it and to the patterns; nothing is tried twice.

use std::str::FromStr;

use serde_json::Value;

/// What stands in the place of a withheld value.
pub const WITHHELD: &str = "[withheld]";

/// Patterns over the ways through a JSON document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<FieldPath>);

/// One pointer (RFC 6901) with wildcards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) struct FieldPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Deep,
    Each,
    Key(Box<str>),
}

/// How far each pattern has come on the way to one value; bit `n` means that step `n` is next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way(Vec<u64>);

/// What leads from a value to one inside it.
#[derive(Clone, Copy, Debug)]
pub enum Onward<'a> {
    /// A member of an object. Letters are compared without case, since this takes away.
    Member(&'a str),
    /// An element of a list, counted from 0.
    Element(usize),
}

impl Fields {
    pub(in crate::policy) fn new(paths: Vec<FieldPath>) -> Self {
        Self(paths)
    }

    /// Of these patterns, which must be usable.
    #[cfg(test)]
    pub(crate) fn of(texts: &[&str]) -> Self {
        Self(texts.iter().map(|text| text.parse().unwrap()).collect())
    }

    /// Whether there are no patterns.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The patterns of both.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        self.0.extend(other.0.iter().cloned());
        self
    }

    /// Where the values stand in a document that are withheld from it, as pointers; what is inside one is not told.
    pub(in crate::policy) fn withheld_in(&self, document: &Value) -> Vec<String> {
        let (mut found, mut open) = (Vec::new(), vec![(self.start(), String::new(), document)]);
        while let Some((way, at, value)) = open.pop() {
            if self.is_hit(&way) && !matches!(value, Value::Bool(_) | Value::Null) {
                found.push(at);
                continue;
            }
            match value {
                Value::Object(members) => open.extend(members.iter().map(|(name, member)| {
                    let step = name.replace('~', "~0").replace('/', "~1");
                    (self.step(&way, Onward::Member(name)), format!("{at}/{step}"), member)
                })),
                Value::Array(items) => open.extend(
                    items
                        .iter()
                        .enumerate()
                        .map(|(index, item)| (self.step(&way, Onward::Element(index)), format!("{at}/{index}"), item)),
                ),
                _ => {}
            }
        }
        found.sort_unstable();
        found
    }

    /// The way to the whole document.
    pub fn start(&self) -> Way {
        Way(self.0.iter().map(|path| path.close(1)).collect())
    }

    /// The way one step further.
    pub fn step(&self, way: &Way, into: Onward<'_>) -> Way {
        Way(self.0.iter().zip(&way.0).map(|(path, at)| path.step(*at, into)).collect())
    }

    /// Whether the value at the end of this way is withheld.
    pub fn is_hit(&self, way: &Way) -> bool {
        self.0.iter().zip(&way.0).any(|(path, at)| at & (1 << path.0.len()) != 0)
    }
}

impl FieldPath {
    /// The most steps of one pattern.
    const MOST: usize = 60;

    /// `**` may stand for nothing.
    fn close(&self, mut at: u64) -> u64 {
        for (index, step) in self.0.iter().enumerate() {
            if at & (1 << index) != 0 && *step == Step::Deep {
                at |= 1 << (index + 1);
            }
        }
        at
    }

    fn step(&self, at: u64, into: Onward<'_>) -> u64 {
        let mut next = 0;
        for (index, step) in self.0.iter().enumerate().filter(|(index, _)| at & (1 << index) != 0) {
            let fits = match (step, into) {
                (Step::Deep, _) => {
                    next |= 1 << index;
                    false
                }
                (Step::Each, _) => true,
                (Step::Key(key), Onward::Member(name)) => key.eq_ignore_ascii_case(name),
                (Step::Key(key), Onward::Element(at)) => key.parse() == Ok(at),
            };
            if fits {
                next |= 1 << (index + 1);
            }
        }
        self.close(next)
    }
}

impl FromStr for FieldPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shown = text.escape_debug();
        let rest = text.strip_prefix('/').ok_or_else(|| format!("`{shown}` must begin with `/`"))?;
        let step = |step: &str| match step {
            "**" => Ok(Step::Deep),
            "*" => Ok(Step::Each),
            _ if step.contains('*') => Err(format!("`{shown}`: `*` and `**` are whole steps")),
            _ if step.replace("~0", "").replace("~1", "").contains('~') => {
                Err(format!("`{shown}` has a `~` that is neither `~0` nor `~1`"))
            }
            _ => Ok(Step::Key(step.replace("~1", "/").replace("~0", "~").into())),
        };
        let steps = rest.split('/').map(step).collect::<Result<Vec<_>, _>>()?;
        match steps.last() {
            Some(Step::Deep) => Err(format!("`{shown}` must end at a value; put a name behind `**`")),
            _ if steps.len() > Self::MOST => Err(format!("`{shown}` has more than {} steps", Self::MOST)),
            _ => Ok(Self(steps)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(path: &str, ways: &[&str]) -> bool {
        let fields = Fields::new(vec![path.parse().unwrap()]);
        let way = ways.iter().fold(fields.start(), |way, step| {
            let into = step.parse().map_or(Onward::Member(step), Onward::Element);
            fields.step(&way, into)
        });
        fields.is_hit(&way)
    }

    #[test]
    fn stars_are_steps() {
        for (path, way, expected) in [
            ("/token", &["token"][..], true),
            ("/token", &["a", "token"], false),
            ("/token", &["Token"], true),
            ("/*/token", &["0", "token"], true),
            ("/*/token", &["a", "token"], true),
            ("/*/token", &["token"], false),
            ("/**/token", &["token"], true),
            ("/**/token", &["a", "0", "b", "token"], true),
            ("/**/token", &["token", "x"], false),
            ("/**/a/**/b", &["a", "x", "a", "y", "b"], true),
            ("/**/a/**/b", &["b", "a"], false),
            ("/items/1/key", &["items", "1", "key"], true),
            ("/items/1/key", &["items", "0", "key"], false),
            ("/a~1b/~0", &["a/b", "~"], true),
        ] {
            assert_eq!(hit(path, way), expected, "{path} {way:?}");
        }
    }

    #[test]
    fn unusable_patterns_say_why() {
        for (path, why) in [
            ("token", "must begin with `/`"),
            ("/a*", "whole steps"),
            ("/a/***", "whole steps"),
            ("/a~2", "neither"),
            ("/a/**", "must end at a value"),
        ] {
            let error = path.parse::<FieldPath>().unwrap_err();
            assert!(error.contains(why), "{path}: {error}");
        }
        assert!(format!("/a{}", "/*".repeat(60)).parse::<FieldPath>().is_err());
    }
}
