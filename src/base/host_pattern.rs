//! Patterns over host names: literal labels, `*` for one label, a leading `**` for one or more, `{param}` for one.
//!
//! Invariant: a pattern matches whole labels only, so `*.github.com` is neither `evilgithub.com` nor
//! `github.com.evil.com` nor `github.com` itself (attack 80).

use std::{fmt, str::FromStr, sync::Arc};

use super::Host;

/// One pattern; compare with [`HostPattern::matches`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPattern {
    text: Arc<str>,
    labels: Vec<Label>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Label {
    Any,
    AnyDepth,
    Literal(Box<str>),
    Param(Box<str>),
}

/// Why a text is no host pattern; the policy author's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostPatternError {
    /// A label is neither literal nor a whole wildcard.
    #[error(
        "`{0}` is not a host pattern; labels are literal in lower case, `*`, `{{param}}`, or a leading `**`, and no path follows"
    )]
    Malformed(String),
    /// `*`, `*.com`: nothing literal would hold it to a provider's domain.
    #[error("`{0}` is too wide; a pattern needs at least two literal labels at its end")]
    TooWide(String),
}

/// What a match showed: the parameters and their values, in the order of the pattern.
pub type HostMatch = Vec<(Box<str>, Box<str>)>;

impl HostPattern {
    /// The pattern as written, in canonical form.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The exact name, when the pattern has no wildcard.
    pub fn exact(&self) -> Option<&str> {
        self.labels.iter().all(|label| matches!(label, Label::Literal(_))).then_some(&*self.text)
    }

    /// The literal end that every match shares, such as `myshopify.com`; the whole name when exact.
    pub fn suffix(&self) -> &str {
        let wild = self.labels.iter().rposition(|label| !matches!(label, Label::Literal(_)));
        let skip = wild.map_or(0, |at| at + 1);
        let mut rest = &*self.text;
        for _ in 0..skip {
            rest = rest.split_once('.').map_or("", |(_, rest)| rest);
        }
        rest
    }

    /// The names of the parameters.
    pub fn params(&self) -> impl Iterator<Item = &str> {
        self.labels.iter().filter_map(|label| match label {
            Label::Param(name) => Some(&**name),
            _ => None,
        })
    }

    /// How particular the pattern is: exact beats `{param}` beats `*` beats `**`; more literal labels beat fewer.
    /// Two patterns of equal rank that match the same host are a tie, which policy loading refuses.
    pub fn rank(&self) -> (u8, usize) {
        let kind = self.labels.iter().map(|label| match label {
            Label::Literal(_) => 3,
            Label::Param(_) => 2,
            Label::Any => 1,
            Label::AnyDepth => 0,
        });
        let literals = self.labels.iter().filter(|label| matches!(label, Label::Literal(_))).count();
        (kind.min().unwrap_or(0), literals)
    }

    /// Matches a host; addresses match nothing.
    pub fn matches(&self, host: &Host) -> Option<HostMatch> {
        let mut found = Vec::new();
        let mut pattern = self.labels.iter().rev();
        let mut name = host.name()?.rsplit('.');
        loop {
            match (pattern.next(), name.next()) {
                (Some(Label::Literal(want)), Some(have)) if **want == *have => {}
                (Some(Label::Any), Some(_)) | (None, None) => {}
                (Some(Label::Param(param)), Some(have)) => found.push((param.clone(), have.into())),
                (Some(Label::AnyDepth), Some(_)) => return Some(found), // leading, so nothing is left to match
                _ => return None,
            }
            if pattern.len() == 0 && name.clone().next().is_none() {
                return Some(found);
            }
        }
    }
}

impl FromStr for HostPattern {
    type Err = HostPatternError;

    fn from_str(text: &str) -> Result<Self, HostPatternError> {
        let malformed = || HostPatternError::Malformed(text.chars().take(80).flat_map(char::escape_default).collect());
        let mut labels = Vec::new();
        for (at, label) in text.split('.').enumerate() {
            labels.push(match label {
                "*" => Label::Any,
                "**" if at == 0 => Label::AnyDepth,
                _ => match label.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                    Some(name) if is_param_name(name) => Label::Param(name.into()),
                    Some(_) => return Err(malformed()),
                    None => Label::Literal(label.into()),
                },
            });
        }
        let wild = labels.iter().rposition(|label| !matches!(label, Label::Literal(_)));
        let literal_end = labels.len() - wild.map_or(0, |at| at + 1);
        if wild.is_some() && literal_end < 2 {
            return Err(HostPatternError::TooWide(text.to_owned()));
        }
        // The literal labels must be a canonical host: wildcards stand in for a label while checking.
        let checked: Vec<&str> = labels.iter().map(|l| if let Label::Literal(t) = l { &**t } else { "x" }).collect();
        let joined = checked.join(".");
        let canonical = joined.parse::<Host>().ok().filter(|host| host.name() == Some(&joined));
        canonical.ok_or_else(malformed)?;
        Ok(Self { text: text.into(), labels })
    }
}

fn is_param_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(pattern: &str, host: &str) -> Option<HostMatch> {
        pattern.parse::<HostPattern>().unwrap().matches(&host.parse().unwrap())
    }

    #[test]
    fn attack_80_wildcards_end_at_label_boundaries() {
        assert!(hit("*.github.com", "api.github.com").is_some());
        for host in ["evilgithub.com", "github.com.evil.com", "github.com", "a.b.github.com"] {
            assert!(hit("*.github.com", host).is_none(), "{host}");
        }
        assert!(hit("**.amazonaws.com", "s3.eu-west-1.amazonaws.com").is_some());
        assert!(hit("**.amazonaws.com", "amazonaws.com").is_none());
        assert!(hit("api.openai.com", "api.openai.com").is_some());
        assert!(hit("api.openai.com", "x.api.openai.com").is_none());
        assert!(hit("api.openai.com", "openai.com").is_none());
    }

    #[test]
    fn parameters_are_shown() {
        assert_eq!(hit("{shop}.myshopify.com", "acme.myshopify.com").unwrap(), [("shop".into(), "acme".into())]);
        assert!(hit("{shop}.myshopify.com", "a.b.myshopify.com").is_none());
    }

    #[test]
    fn addresses_match_nothing() {
        assert!("*.example.com".parse::<HostPattern>().unwrap().matches(&"10.0.0.1".parse().unwrap()).is_none());
    }

    #[test]
    fn particular_patterns_outrank_wide_ones() {
        let rank = |text: &str| text.parse::<HostPattern>().unwrap().rank();
        assert!(rank("a.example.com") > rank("{x}.example.com"));
        assert!(rank("{x}.example.com") > rank("*.example.com"));
        assert!(rank("*.example.com") > rank("**.example.com"));
        assert!(rank("**.b.example.com") > rank("**.example.com"));
        assert_eq!("{x}.s.example.com".parse::<HostPattern>().unwrap().suffix(), "s.example.com");
    }

    #[test]
    fn patterns_that_are_none_are_refused() {
        for text in [
            "*",
            "*.com",
            "**",
            "{x}.com",
            "a*.example.com",
            "a.**.example.com",
            "{X}.example.com",
            "Api.example.com",
            "",
        ] {
            assert!(text.parse::<HostPattern>().is_err(), "{text}");
        }
    }
}
