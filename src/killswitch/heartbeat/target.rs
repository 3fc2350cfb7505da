//! The address of a heartbeat, taken apart once.

use std::{fmt, str::FromStr};

use http::{Uri, uri::PathAndQuery};

use crate::base::{Authority, Host, Origin, Scheme};

/// An `http://` or `https://` address.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) origin: Origin,
    pub(super) path: PathAndQuery,
    /// As the operator wrote it: what a signed answer signs.
    pub(super) written: String,
}

impl Target {
    /// Whether the other end is this machine.
    pub(super) fn is_loopback(&self) -> bool {
        match &self.origin.authority.host {
            Host::Address(address) => address.to_canonical().is_loopback(),
            host @ Host::Name(_) => host.is_localhost(),
        }
    }
}

/// Without the query, which may hold a token.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.path.path())
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = |why: &str| format!("{why}; write it like `https://beat.example.com/alive`");
        let uri: Uri = text.parse().map_err(|_| wanted("is no address"))?;
        let scheme = match uri.scheme_str() {
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            _ => return Err(wanted("begins neither with `https://` nor with `http://`")),
        };
        let authority = uri.authority().map_or("", http::uri::Authority::as_str);
        if authority.contains('@') {
            return Err(wanted("holds a user or a password; name a secret under `heartbeat.bearer`"));
        }
        let authority = Authority::parse(authority, Some(scheme.default_port())).map_err(|e| wanted(&e.to_string()))?;
        if text.contains('#') {
            return Err(wanted("has a fragment, which is never sent"));
        }
        let path = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        Ok(Self { origin: Origin { scheme, authority }, path, written: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_without_what_may_be_a_token() {
        let target: Target = "https://beat.example.com/a?token=hunter2".parse().unwrap();
        assert_eq!(format!("{target} {target:?}"), "https://beat.example.com/a Target(https://beat.example.com/a)");
        assert_eq!(target.path, "/a?token=hunter2");
        assert_eq!("http://127.0.0.1:8080".parse::<Target>().unwrap().to_string(), "http://127.0.0.1:8080/");
    }

    #[test]
    fn what_is_no_address_says_how_one_is_written() {
        for text in ["", "beat.example.com", "ftp://x/", "https://", "https://u:p@x/", "https://x/#a", "https://a b/"] {
            assert!(text.parse::<Target>().unwrap_err().contains("https://"), "{text}");
        }
    }

    #[test]
    fn loopback_is_told_from_the_rest() {
        let is = |text: &str| text.parse::<Target>().unwrap().is_loopback();
        assert!(
            is("http://localhost/") && is("http://127.8.8.8:1/") && is("http://[::1]/") && is("http://a.localhost/")
        );
        assert!(!is("http://example.com/") && !is("http://10.0.0.1/"));
    }
}
