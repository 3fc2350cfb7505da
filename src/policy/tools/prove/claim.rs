//! A claim as people write it: `secret github never reaches method DELETE on host api.github.com`.

use std::fmt;

use http::Method;

use crate::base::{Host, HostError, HostPattern, HostPatternError, SecretName};
use crate::policy::rules::PathPattern;

/// That no request of this kind is ever made with the secret.
#[derive(Clone, Debug)]
pub struct Claim {
    pub(super) secret: SecretName,
    /// Empty for all.
    pub(super) methods: Vec<Box<str>>,
    pub(super) host: Option<ClaimedHost>,
    pub(super) path: Option<PathPattern>,
}

/// A host, or those that a pattern matches.
#[derive(Clone, Debug)]
pub(super) enum ClaimedHost {
    One(Host),
    Like(HostPattern),
}

/// How a claim is written.
const FORM: &str = "write `secret NAME never reaches [method METHOD,…] [path PATTERN] [on host HOST]`";

impl Claim {
    /// Reads it; the words may be one text or several. The error says what is wrong, and is the caller's.
    pub fn parse(words: &[String]) -> Result<Self, String> {
        let text = words.join(" ");
        let mut rest = text.split_whitespace();
        for expected in ["secret", "NAME", "never", "reaches"] {
            match rest.next() {
                Some(word) if word == expected || expected == "NAME" => {}
                _ => return Err(FORM.to_owned()),
            }
        }
        let name = text.split_whitespace().nth(1).unwrap_or_default();
        let secret = name.parse::<SecretName>().map_err(|error| error.to_string())?;
        let mut claim = Self { secret, methods: Vec::new(), host: None, path: None };
        while let Some(word) = rest.next() {
            let word = if word == "on" { rest.next().unwrap_or_default() } else { word };
            let value =
                rest.next().ok_or_else(|| format!("`{}` is followed by nothing; {FORM}", word.escape_debug()))?;
            match word {
                "method" if claim.methods.is_empty() => claim.methods = methods(value)?,
                "host" if claim.host.is_none() => claim.host = Some(ClaimedHost::parse(value)?),
                "path" if claim.path.is_none() => claim.path = Some(PathPattern::parse(value, &[])?),
                "method" | "host" | "path" => return Err(format!("`{word}` stands twice")),
                other => return Err(format!("`{}` is not understood; {FORM}", other.escape_debug())),
            }
        }
        Ok(claim)
    }

    /// The secret that it is about.
    pub const fn secret(&self) -> &SecretName {
        &self.secret
    }

    /// The same claim about another secret.
    #[must_use]
    pub fn about(&self, secret: SecretName) -> Self {
        Self { secret, ..self.clone() }
    }
}

fn methods(text: &str) -> Result<Vec<Box<str>>, String> {
    let one = |method: &str| {
        let upper = method.to_ascii_uppercase();
        if method != upper {
            return Err(format!("methods are upper-case; did you mean `{}`?", upper.escape_debug()));
        }
        let parsed = Method::from_bytes(method.as_bytes());
        parsed.map(|_| method.into()).map_err(|_| format!("`{}` is no HTTP method", method.escape_debug()))
    };
    text.split(',').map(one).collect()
}

impl ClaimedHost {
    fn parse(text: &str) -> Result<Self, String> {
        if text.contains(['*', '{']) {
            return text.parse().map(Self::Like).map_err(|error: HostPatternError| error.to_string());
        }
        text.parse().map(Self::One).map_err(|error: HostError| error.to_string())
    }

    pub(super) fn contains(&self, host: &Host) -> bool {
        match self {
            Self::One(one) => one == host,
            Self::Like(pattern) => pattern.matches(host).is_some(),
        }
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "secret {} never reaches", self.secret)?;
        if !self.methods.is_empty() {
            write!(f, " method {}", self.methods.join(","))?;
        }
        self.path.iter().try_for_each(|path| write!(f, " path {}", path.as_str()))?;
        match &self.host {
            None => Ok(()),
            Some(ClaimedHost::One(host)) => write!(f, " on host {host}"),
            Some(ClaimedHost::Like(pattern)) => write!(f, " on host {pattern}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_read_and_written_back() {
        for text in [
            "secret github never reaches method DELETE on host api.github.com",
            "secret ns/key never reaches method PUT,DELETE path /v1/** on host *.example.com",
            "secret k never reaches",
        ] {
            let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
            assert_eq!(Claim::parse(&words).unwrap().to_string(), text);
            assert_eq!(Claim::parse(&[text.to_owned()]).unwrap().to_string(), text, "one text or many");
        }
    }

    #[test]
    fn what_is_no_claim_is_told_how_one_is_written() {
        for (text, why) in [
            ("", "write `secret NAME"),
            ("secret k reaches", "write `secret NAME"),
            ("secret k never reaches method", "followed by nothing"),
            ("secret k never reaches method D(", "no HTTP method"),
            ("secret k never reaches method delete", "did you mean `DELETE`?"),
            ("secret k never reaches method GET,Put", "did you mean `PUT`?"),
            ("secret k never reaches host a host b", "twice"),
            ("secret k never reaches planet mars", "not understood"),
            ("secret k never reaches path v1", "must begin"),
            ("secret k\u{7} never reaches", ""),
        ] {
            let error = Claim::parse(&[text.to_owned()]).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
