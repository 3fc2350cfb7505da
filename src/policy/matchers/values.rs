//! Patterns over values that a request states: globs, and texts that show a parameter.

use super::ShownValue;
use crate::policy::rules::{Glob, Param, Reading};

/// Alternatives for one value.
#[derive(Clone, Debug, Default)]
pub(in crate::policy) struct Values(Vec<Value>);

#[derive(Clone, Debug)]
enum Value {
    Glob {
        exact: Glob,
        /// The same in lower case.
        loose: Glob,
    },
    Shows {
        before: Box<str>,
        after: Box<str>,
        param: Param,
    },
}

impl Values {
    /// Parses each text; the error says which is wrong and why.
    pub(super) fn parse<'t>(texts: impl IntoIterator<Item = &'t str>, declared: &[Param]) -> Result<Self, String> {
        texts.into_iter().map(|text| Value::parse(text, declared)).collect::<Result<_, _>>().map(Self)
    }

    /// Whether some alternative shows this parameter.
    pub(super) fn shows(&self, wanted: &str) -> bool {
        self.0.iter().any(|value| matches!(value, Value::Shows { param, .. } if *param.name == *wanted))
    }

    /// Whether every value fits some alternative, and there is at least one.
    pub(super) fn fit_all<'v>(&self, values: impl IntoIterator<Item = &'v str>, shown: &mut Vec<ShownValue>) -> bool {
        let mut any = false;
        values.into_iter().all(|value| {
            any = true;
            self.0.iter().any(|alternative| alternative.fits(value, shown))
        }) && any
    }

    /// Whether some value could be read as fitting some alternative.
    pub(super) fn fit_any_loosely<'v>(&self, values: impl IntoIterator<Item = &'v str>) -> bool {
        values.into_iter().any(|value| {
            let lower = value.to_ascii_lowercase();
            self.0.iter().any(|alternative| alternative.fits_loosely(&lower))
        })
    }

    /// By how narrowly it is read.
    pub(super) fn fit<'v>(
        &self,
        values: impl IntoIterator<Item = &'v str>,
        reading: Reading,
        shown: &mut Vec<ShownValue>,
    ) -> bool {
        match reading {
            Reading::Exact => self.fit_all(values, shown),
            Reading::Loose => self.fit_any_loosely(values),
        }
    }
}

impl Value {
    fn parse(text: &str, declared: &[Param]) -> Result<Self, String> {
        let Some((before, rest)) = text.split_once('{') else {
            let glob = |text: &str| text.parse::<Glob>().map_err(|error| error.to_string());
            return Ok(Self::Glob { exact: glob(text)?, loose: glob(&text.to_ascii_lowercase())? });
        };
        let (name, after) = rest.split_once('}').ok_or_else(|| format!("`{text}` has a `{{` without its `}}`"))?;
        if [before, after].iter().any(|part| part.contains(['{', '}', '*'])) {
            return Err(format!("`{text}` mixes `{{{name}}}` with another hole; one per text"));
        }
        let param = declared.iter().find(|param| *param.name == *name);
        let param = param.ok_or_else(|| format!("`{{{name}}}` is not declared; add `[param.{name}]`"))?;
        Ok(Self::Shows { before: before.into(), after: after.into(), param: param.clone() })
    }

    fn fits(&self, value: &str, shown: &mut Vec<ShownValue>) -> bool {
        match self {
            Self::Glob { exact, .. } => exact.matches(value),
            Self::Shows { before, after, param } => {
                let inner = value.strip_prefix(&**before).and_then(|rest| rest.strip_suffix(&**after));
                let inner = inner.filter(|inner| param.takes(inner));
                shown.extend(inner.map(|inner| ((&*param.name).into(), inner.into())));
                inner.is_some()
            }
        }
    }

    fn fits_loosely(&self, lower: &str) -> bool {
        match self {
            Self::Glob { loose, .. } => loose.matches(lower),
            Self::Shows { before, after, .. } => {
                lower.starts_with(&before.to_ascii_lowercase()) && lower.ends_with(&after.to_ascii_lowercase())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(texts: &[&str]) -> Values {
        let declared = [Param { name: "repo".into(), pattern: None, segments: 2 }];
        Values::parse(texts.iter().copied(), &declared).unwrap()
    }

    #[test]
    fn every_value_must_fit_and_shows_what_it_holds() {
        let mut shown = Vec::new();
        let wanted = values(&["gpt-*", "repos/{repo}"]);
        assert!(wanted.fit_all(["gpt-5", "repos/acme/web"], &mut shown));
        assert_eq!(shown, [("repo".into(), "acme/web".into())]);
        assert!(!wanted.fit_all(["gpt-5", "o3"], &mut shown) && !wanted.fit_all([], &mut shown));
        assert!(!wanted.fit_all(["repos/acme"], &mut shown), "a repo has two segments");
        assert!(!wanted.fit_all(["GPT-5"], &mut shown));
    }

    #[test]
    fn one_value_is_enough_to_take_away_whatever_its_case() {
        let wanted = values(&["Admin*"]);
        assert!(wanted.fit_any_loosely(["user", "aDMINs"]) && !wanted.fit_any_loosely(["user"]));
        assert!(values(&["repos/{repo}"]).fit_any_loosely(["Repos/x"]), "any value of a parameter");
    }

    #[test]
    fn unusable_texts_say_why() {
        for (text, why) in
            [("{x}", "not declared"), ("{repo", "without its"), ("{repo}*", "another hole"), ("", "empty")]
        {
            let declared = [Param { name: "repo".into(), pattern: None, segments: 2 }];
            let error = Values::parse([text], &declared).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
