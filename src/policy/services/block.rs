//! Hosts that are treated alike: their origins, what is kept out of them, and how they are reached.

use std::{fmt, ops::Range, sync::Arc};

use crate::{
    base::{Authority, Host, HostPattern, Scheme},
    net::Roots,
};

use crate::policy::rules::{EncodedSlash, Param};

/// Whether a pattern matches; allocates nothing, unlike [`HostPattern::matches`] for patterns with parameters.
pub(in crate::policy) fn matches(pattern: &HostPattern, host: &Host) -> bool {
    let Some(name) = host.name() else { return false };
    if let Some(exact) = pattern.exact() {
        return exact == name;
    }
    let (mut want, mut have) = (pattern.as_str().rsplit('.'), name.rsplit('.'));
    loop {
        match (want.next(), have.next()) {
            (None, None) | (Some("**"), Some(_)) => return true,
            (Some(label), Some(found)) if label == found || label == "*" || label.starts_with('{') => {}
            _ => return false,
        }
    }
}

/// The value that a matching host shows for a parameter of its pattern.
pub(in crate::policy) fn host_value<'h>(pattern: &HostPattern, host: &'h Host, param: &str) -> Option<&'h str> {
    let labels = pattern.as_str().rsplit('.').zip(host.name()?.rsplit('.'));
    let is_param = |label: &str| label.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) == Some(param);
    labels.into_iter().find(|(label, _)| is_param(label)).map(|(_, value)| value)
}

/// Hosts that are treated alike.
#[derive(Debug)]
pub(in crate::policy) struct HostBlock {
    pub(in crate::policy) name: Box<str>,
    pub(in crate::policy) origins: Vec<OriginPattern>,
    pub(in crate::policy) except: Vec<HostPattern>,
    pub(in crate::policy) carries: Carries,
    pub(in crate::policy) slash: EncodedSlash,
    /// The parameters of its patterns whose values must have a form.
    pub(in crate::policy) params: Vec<Param>,
    /// Why it is never dialled: something that it needs is not built yet.
    pub(in crate::policy) not_yet: Option<Arc<str>>,
    /// The only certificates that vouch for its hosts, unless the usual ones do.
    pub(in crate::policy) roots: Option<Roots>,
    /// Where it says that a client certificate is shown to them.
    pub(in crate::policy) shows: Option<Range<usize>>,
}

impl HostBlock {
    /// Whether it has the host at some port; what `except` or the form of a parameter keeps out is another host.
    pub(in crate::policy) fn names(&self, host: &Host) -> bool {
        let names = |origin: &OriginPattern| matches(&origin.pattern, host) && self.shows(origin, host);
        self.origins.iter().any(names) && !self.excepts(host)
    }

    pub(super) fn excepts(&self, host: &Host) -> bool {
        self.except.iter().any(|except| matches(except, host))
    }

    /// Whether what a matching host shows has the form of its parameter; anything else is another host.
    pub(super) fn shows(&self, origin: &OriginPattern, host: &Host) -> bool {
        self.params.iter().all(|param| {
            let shown = host_value(&origin.pattern, host, &param.name);
            shown.is_none_or(|value| param.takes(value))
        })
    }
}

/// Whether a host may ever be sent a credential.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::policy) enum Carries {
    #[default]
    Lease,
    Never,
}

/// Scheme, host pattern and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) struct OriginPattern {
    pub(in crate::policy) scheme: Scheme,
    pub(in crate::policy) pattern: HostPattern,
    pub(in crate::policy) port: u16,
    /// The protocol, where it is no HTTP.
    pub(in crate::policy) raw: Option<&'static str>,
}

impl OriginPattern {
    pub(in crate::policy) fn matches(&self, scheme: Scheme, authority: &Authority) -> bool {
        self.scheme == scheme && self.port == authority.port && matches(&self.pattern, &authority.host)
    }

    /// Whether some host could match both.
    pub(in crate::policy) fn overlaps(&self, other: &Self) -> bool {
        self.is_like(&other.pattern) && self.scheme == other.scheme && self.port == other.port
    }

    /// The same for its name alone.
    pub(in crate::policy) fn is_like(&self, other: &HostPattern) -> bool {
        let (mut a, mut b) = (self.pattern.as_str().rsplit('.'), other.as_str().rsplit('.'));
        let wild = |label: &str| label == "*" || label.starts_with('{');
        loop {
            match (a.next(), b.next()) {
                (None, None) | (Some("**"), Some(_)) | (Some(_), Some("**")) => return true,
                (Some(x), Some(y)) if x == y || wild(x) || wild(y) => {}
                _ => return false,
            }
        }
    }
}

impl fmt::Display for OriginPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.raw.unwrap_or(self.scheme.as_str()), self.pattern)?;
        if self.raw.is_none() && self.port == self.scheme.default_port() { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_80_our_matching_agrees_with_the_pattern_s_own() {
        let patterns = [
            "a.example.com",
            "*.example.com",
            "**.example.com",
            "{x}.example.com",
            "{x}.s.example.com",
            "**.{y}.b.example.com",
        ];
        let hosts = [
            "example.com",
            "a.example.com",
            "b.a.example.com",
            "s.example.com",
            "q.s.example.com",
            "evilexample.com",
            "example.com.evil.com",
            "10.0.0.1",
            "x.y.b.example.com",
            "y.b.example.com",
        ];
        for pattern in patterns {
            let pattern: HostPattern = pattern.parse().unwrap();
            for host in hosts {
                let host: Host = host.parse().unwrap();
                let found = pattern.matches(&host);
                assert_eq!(matches(&pattern, &host), found.is_some(), "{pattern} {host}");
                for (param, value) in found.into_iter().flatten() {
                    assert_eq!(host_value(&pattern, &host, &param), Some(&*value), "{pattern} {host}");
                }
            }
        }
    }

    #[test]
    fn overlap_is_seen_from_both_sides() {
        let origin =
            |text: &str| OriginPattern { scheme: Scheme::Https, pattern: text.parse().unwrap(), port: 443, raw: None };
        for (a, b, overlap) in [
            ("*.x.com", "a.x.com", true),
            ("{p}.x.com", "*.x.com", true),
            ("**.x.com", "*.y.x.com", true),
            ("a.x.com", "b.x.com", false),
            ("*.x.com", "*.y.x.com", false),
            ("**.x.com", "x.com", false),
        ] {
            assert_eq!(origin(a).overlaps(&origin(b)), overlap, "{a} {b}");
            assert_eq!(origin(b).overlaps(&origin(a)), overlap, "{b} {a}");
        }
    }
}
