//! A request as people write it down: a method and an absolute URL.

use std::fmt;

use http::Method;

use crate::base::{Authority, HostError, Origin, Scheme};

use super::{Content, Protocol, RequestFacts};

/// A request that is asked about instead of sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    method: Box<str>,
    origin: Origin,
    path: Box<str>,
    query: Option<Box<str>>,
    protocol: Protocol,
}

impl Asked {
    /// Reads a method, in the letters in which it is sent, and a URL with a scheme of `http`, `https`, `ws` or `wss`;
    /// a fragment is left out, as clients do. The error says what is wrong, and is the caller's.
    pub fn parse(method: &str, url: &str) -> Result<Self, String> {
        Method::from_bytes(method.as_bytes()).map_err(|_| format!("`{}` is no HTTP method", method.escape_debug()))?;
        let (scheme, rest) = url.split_once("://").ok_or_else(|| format!("`{}` is not a URL", url.escape_debug()))?;
        let (scheme, protocol) = match scheme {
            "ws" => ("http", Protocol::WebSocket),
            "wss" => ("https", Protocol::WebSocket),
            other => (other, Protocol::Http),
        };
        let (authority, target) = rest.find(['/', '?', '#']).map_or((rest, ""), |at| rest.split_at(at));
        let target = target.split('#').next().unwrap_or("");
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let origin = format!("{scheme}://{authority}").parse().map_err(|error: HostError| error.to_string())?;
        let path = if path.is_empty() { "/" } else { path };
        Ok(Self { method: method.into(), origin, path: path.into(), query: query.map(Into::into), protocol })
    }

    /// Where it would go.
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The method.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Request or upgrade.
    pub const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// As rules see it, with what else is known of it.
    pub fn facts<'a>(&'a self, content: Content<'a>) -> RequestFacts<'a> {
        RequestFacts {
            scheme: self.origin.scheme,
            authority: &self.origin.authority,
            method: &self.method,
            path: &self.path,
            protocol: self.protocol,
            content: Content { query: self.query.as_deref(), ..content },
        }
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match (self.protocol, self.origin.scheme) {
            (Protocol::Http, scheme) => scheme.as_str(),
            (Protocol::WebSocket, Scheme::Http) => "ws",
            (Protocol::WebSocket, Scheme::Https) => "wss",
        };
        let Authority { host, port } = &self.origin.authority;
        write!(f, "{} {scheme}://{host}", self.method)?;
        if *port != self.origin.scheme.default_port() {
            write!(f, ":{port}")?;
        }
        write!(f, "{}", self.path)?;
        self.query.iter().try_for_each(|query| write!(f, "?{query}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let asked = Asked::parse("GET", "wss://api.x.example:8443/a/b?c=d#e").unwrap();
        let facts = asked.facts(Content::unknown());
        assert_eq!((facts.method, facts.path, facts.content.query), ("GET", "/a/b", Some("c=d")));
        assert_eq!((facts.authority.to_string().as_str(), facts.protocol), ("api.x.example:8443", Protocol::WebSocket));
        assert_eq!(asked.to_string(), "GET wss://api.x.example:8443/a/b?c=d");
        let bare = Asked::parse("GET", "https://api.x.example?q").unwrap();
        assert_eq!((&*bare.path, bare.query.as_deref()), ("/", Some("q")));
        for (method, url, why) in [
            ("G T", "https://x.example", "no HTTP method"),
            ("GET", "x.example/a", "is not a URL"),
            ("GET", "ftp://x.example", ""),
        ] {
            assert!(Asked::parse(method, url).unwrap_err().contains(why), "{method} {url}");
        }
    }
}
