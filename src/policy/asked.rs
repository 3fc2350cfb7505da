//! A request as people write it down: a method, an absolute URL, and what else they know of it.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::base::{Authority, HostError, Origin, Scheme};

use super::{
    Body, Content, Protocol, RequestFacts,
    matchers::{FlushFinder, Peek, Until},
};

/// A request that is asked about instead of sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    method: Box<str>,
    origin: Origin,
    path: Box<str>,
    query: Option<Box<str>>,
    protocol: Protocol,
    headers: HeaderMap,
    body: Option<AskedBody>,
}

/// A body that was handed over with the question.
#[derive(Clone, PartialEq, Eq)]
struct AskedBody {
    front: Bytes,
    length: u64,
}

impl fmt::Debug for AskedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AskedBody({} bytes)", self.length) // what people try out may hold anything
    }
}

/// What the proxy would do with the body of such a request before it judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodySeen {
    /// It would look into it, and only its length and front are known: what is longer than that cannot be judged here.
    Cut,
    /// It would look into it, and nobody has said what it is.
    Missing,
    /// It looks into it.
    Read,
    /// It would look into it, but it is longer than the rules look: refused.
    TooLong {
        /// The most bytes that they look into.
        most: usize,
    },
    /// It does not look into it.
    Unneeded,
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
        let (headers, body, query) = (HeaderMap::new(), None, query.map(Into::into));
        Ok(Self { method: method.into(), origin, path: path.into(), query, protocol, headers, body })
    }

    /// The most fields of a head that can be asked about.
    pub const MAX_FIELDS: usize = 200;

    /// Adds a field of its head, after those of the same name. The error says what is wrong without quoting anything:
    /// a field may hold a credential.
    pub fn with_field(mut self, name: &str, value: &str) -> Result<Self, String> {
        let name: HeaderName = name.parse().map_err(|_| "a header field has a name that is none".to_owned())?;
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| format!("the value of the header field `{name}` has a character that none can have"))?;
        value.set_sensitive(true);
        if self.headers.len() >= Self::MAX_FIELDS {
            return Err(format!("at most {} header fields can be asked about", Self::MAX_FIELDS));
        }
        self.headers.append(name, value);
        Ok(self)
    }

    /// Says what its body is: how many bytes, and as many of them as are at hand from its beginning.
    #[must_use]
    pub fn with_body(self, front: Bytes, length: u64) -> Self {
        let length = length.max(front.len() as u64);
        Self { body: Some(AskedBody { front, length }), ..self }
    }

    /// The fields of its head that were said.
    pub const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// How long its body is; `None` when nobody said.
    pub fn body_length(&self) -> Option<u64> {
        self.body.as_ref().map(|body| body.length)
    }

    /// Its body as far as the proxy would read it before judging.
    pub fn read(&self, peek: Option<Peek>) -> (Body, BodySeen) {
        let Some(peek) = peek else { return (Body::unread(), BodySeen::Unneeded) };
        let Some(AskedBody { front, length }) = &self.body else { return (Body::unread(), BodySeen::Missing) };
        let too_long = (Body::unread(), BodySeen::TooLong { most: peek.most });
        let is_whole = *length == front.len() as u64;
        let is_short = usize::try_from(*length).is_ok_and(|length| length <= peek.most);
        match (is_whole, is_short, peek.until) {
            (true, true, _) => (Body::read(front.clone(), &self.headers), BodySeen::Read),
            (_, false, Until::End) => too_long,
            (_, _, Until::Flush) => {
                let front = front.slice(..front.len().min(peek.most));
                if FlushFinder::default().is_there(&front) {
                    (Body::front(front, &self.headers), BodySeen::Read)
                } else if front.len() == peek.most {
                    too_long
                } else {
                    (Body::unread(), BodySeen::Cut)
                }
            }
            (false, true, Until::End) => (Body::unread(), BodySeen::Cut),
        }
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

    /// As rules see it, with what was said of its head and this much of its body.
    pub fn with_head<'a>(&'a self, body: &'a Body) -> RequestFacts<'a> {
        self.facts(Content { query: None, headers: &self.headers, body })
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

    #[test]
    fn fields_are_told_by_their_names_only() {
        let asked = || Asked::parse("POST", "https://x.example").unwrap();
        let with = asked().with_field("X-Key", "canary one").unwrap().with_field("x-key", "canary two").unwrap();
        assert_eq!(with.headers().get_all("x-key").iter().count(), 2);
        let with = with.with_body(Bytes::from_static(b"canary"), 6);
        assert!(!format!("{with:?}").contains("canary"), "{with:?}");
        for (name, value) in [("canary a", "b"), ("", "canary"), ("x", "canary\n")] {
            let why = asked().with_field(name, value).unwrap_err();
            assert!(!why.contains("canary"), "{why}");
        }
        let many = (0..Asked::MAX_FIELDS).try_fold(asked(), |asked, _| asked.with_field("x", "y")).unwrap();
        assert!(many.with_field("x", "y").is_err());
    }

    #[test]
    fn a_body_is_read_as_far_as_the_proxy_would() {
        let asked = Asked::parse("POST", "https://x.example").unwrap();
        let seen = |body: Option<(&str, u64)>, most, until| {
            let with = |(front, length): (&str, u64)| {
                asked.clone().with_body(Bytes::copy_from_slice(front.as_bytes()), length)
            };
            body.map_or_else(|| asked.clone(), with).read(Some(Peek { most, until })).1
        };
        assert_eq!(asked.read(None).1, BodySeen::Unneeded);
        assert_eq!(seen(None, 4, Until::End), BodySeen::Missing);
        assert_eq!(seen(Some(("", 0)), 4, Until::End), BodySeen::Read);
        assert_eq!(seen(Some(("abcd", 4)), 4, Until::End), BodySeen::Read);
        assert_eq!(seen(Some(("abcde", 5)), 4, Until::End), BodySeen::TooLong { most: 4 });
        assert_eq!(seen(Some(("ab", 5)), 4, Until::End), BodySeen::TooLong { most: 4 });
        assert_eq!(seen(Some(("ab", 4)), 4, Until::End), BodySeen::Cut);
        assert_eq!(seen(Some(("0000pack", 900)), 6, Until::Flush), BodySeen::Read);
        assert_eq!(seen(Some(("0009", 900)), 6, Until::Flush), BodySeen::Cut);
        assert_eq!(seen(Some(("0009abcd", 900)), 6, Until::Flush), BodySeen::TooLong { most: 6 });
    }
}
