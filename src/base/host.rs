//! Hosts, authorities and origins in one canonical form: lower-case, IDNA, no trailing dot, dotted quads only.
//!
//! Invariant: two texts that a resolver or a certificate would treat as the same host parse to equal values,
//! and a text that is neither a host name nor an address literal does not parse.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
    sync::Arc,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A host name in canonical form, or an address literal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// An address literal. Matches no name and gets no credential.
    Address(IpAddr),
    /// A name: lower-case, A-labels, no trailing dot, at most 253 bytes.
    Name(Arc<str>),
}

/// Why a text is no host, authority or origin; the writer's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Not a host name and not an address.
    #[error("`{0}` is not a host name")]
    Host(String),
    /// A number or an unusual spelling of an address; only dotted quads and bracketed IPv6 are addresses.
    #[error("`{0}` is not a host name; write an address as four decimal numbers")]
    OddAddress(String),
    /// Missing, zero or not a number.
    #[error("`{0}` has no usable port")]
    Port(String),
    /// Not `http://` or `https://`, or with a path, query or user.
    #[error("`{0}` is not an origin; write it like `https://api.example.com` or `https://api.example.com:8443`")]
    Origin(String),
}

fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_default).collect()
}

impl Host {
    /// The name, unless it is an address.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Name(name) => Some(name),
            Self::Address(_) => None,
        }
    }

    /// Whether this is `localhost` or a name below it (RFC 6761, 6.3).
    pub fn is_localhost(&self) -> bool {
        self.name().is_some_and(|name| name == "localhost" || name.ends_with(".localhost"))
    }

    fn parse_name(text: &str) -> Result<Self, HostError> {
        let bare = text.strip_suffix('.').unwrap_or(text);
        // The hot path: a name that is already canonical needs no IDNA.
        let name: Arc<str> = if is_plain(bare) {
            bare.into()
        } else {
            // STD3 rules, hyphen and length checks: attack 81 (`xn--` tricks, soft hyphens, full-width dots).
            let name = idna::domain_to_ascii_cow(bare.as_bytes(), idna::AsciiDenyList::URL)
                .map_err(|_| HostError::Host(shown(text)))?;
            name.strip_suffix('.').unwrap_or(&name).into()
        };
        check_labels(&name).ok_or_else(|| HostError::Host(shown(text)))?;
        let last = name.rsplit('.').next().unwrap_or("");
        if last.starts_with(|c: char| c.is_ascii_digit()) && is_numeric_label(last) {
            return Err(HostError::OddAddress(shown(text)));
        }
        Ok(Self::Name(name))
    }
}

fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && !text.contains("xn--")
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'_'))
}

fn check_labels(name: &str) -> Option<()> {
    let whole = (1..=253).contains(&name.len());
    let labels = name.split('.').all(|label| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'))
    });
    (whole && labels).then_some(())
}

/// What a lenient resolver would take for a number: decimal, octal, `0x…` (attack 54).
fn is_numeric_label(label: &str) -> bool {
    let hex = label.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit()));
    hex || label.bytes().all(|b| b.is_ascii_digit())
}

impl FromStr for Host {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or_else(|| HostError::Host(shown(text)))?;
            let address: Ipv6Addr = inner.parse().map_err(|_| HostError::Host(shown(text)))?; // refuses zone ids
            return Ok(Self::Address(IpAddr::V6(address)));
        }
        match text.parse::<Ipv4Addr>() {
            Ok(address) => Ok(Self::Address(IpAddr::V4(address))),
            Err(_) => Self::parse_name(text),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

impl Serialize for Host {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Host {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A host and a port, as in CONNECT or in a URI; never with user information.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Authority {
    /// The host.
    pub host: Host,
    /// The port, never zero.
    pub port: u16,
}

impl Authority {
    /// Parses `host:port`, or `host` when a default port is given. Refuses user information, blanks, a list,
    /// percent signs and backslashes (attack 58).
    pub fn parse(text: &str, default_port: Option<u16>) -> Result<Self, HostError> {
        let after_bracket = text.find(']').map_or(0, |at| at + 1);
        let tail = text.get(after_bracket..).unwrap_or("");
        let (host, port) = match tail.find(':') {
            Some(at) => {
                let (host, port) = text.split_at(after_bracket + at);
                (host, port.strip_prefix(':'))
            }
            None => (text, None),
        };
        let port = match port {
            Some(digits) => parse_port(digits).ok_or_else(|| HostError::Port(shown(text)))?,
            None => default_port.ok_or_else(|| HostError::Port(shown(text)))?,
        };
        Ok(Self { host: host.parse()?, port })
    }
}

fn parse_port(digits: &str) -> Option<u16> {
    let plain = (1..=5).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten().filter(|&port| port != 0)
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// `http` or `https`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// Clear text; gets no credential unless the service says so.
    Http,
    /// TLS.
    Https,
}

impl Scheme {
    /// 80 or 443.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    /// `http` or `https`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Scheme, host and port taken together (RFC 6454).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// `http` or `https`.
    pub scheme: Scheme,
    /// Host and port.
    pub authority: Authority,
}

impl FromStr for Origin {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        let (scheme, rest) = match text.split_once("://") {
            Some(("https", rest)) => (Scheme::Https, rest),
            Some(("http", rest)) => (Scheme::Http, rest),
            _ => return Err(HostError::Origin(shown(text))),
        };
        if rest.contains(['/', '?', '#', '@']) {
            return Err(HostError::Origin(shown(text)));
        }
        Ok(Self { scheme, authority: Authority::parse(rest, Some(scheme.default_port()))? })
    }
}

impl Origin {
    /// What `Host` says: the host, and the port where it is not the scheme's own.
    pub fn host_field(&self) -> String {
        let Authority { host, port } = &self.authority;
        if *port == self.scheme.default_port() { host.to_string() } else { self.authority.to_string() }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.host_field())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> String {
        text.parse::<Host>().map_or_else(|e| format!("error: {e}"), |h| h.to_string())
    }

    #[test]
    fn hosts_have_one_canonical_form() {
        for (text, canonical) in [
            ("API.OpenAI.com", "api.openai.com"),
            ("api.openai.com.", "api.openai.com"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("BÜCHER.example", "xn--bcher-kva.example"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("api。openai。com", "api.openai.com"),
            ("_dmarc.example.com", "_dmarc.example.com"),
            ("127.0.0.1", "127.0.0.1"),
            ("[::1]", "[::1]"),
            ("[0:0:0:0:0:0:0:1]", "[::1]"),
        ] {
            assert_eq!(host(text), canonical, "{text}");
        }
    }

    #[test]
    fn attack_54_numbers_are_no_names() {
        for text in
            ["2130706433", "0x7f.1", "017700000001", "127.1", "001.002.003.004", "127.0.0.1.", "1.2.3", "0x7f000001"]
        {
            assert!(text.parse::<Host>().is_err(), "{text} became {}", host(text));
        }
        assert!("１２７.0.0.1".parse::<Host>().is_err() || host("１２７.0.0.1") != "127.0.0.1");
    }

    #[test]
    fn attack_58_an_authority_holds_a_host_and_a_port_and_nothing_else() {
        for text in [
            "user@169.254.169.254:443",
            "good@evil.com:443",
            "good#@evil.com:443",
            "a%00b.com:443",
            "a%2eb.com:443",
            "[fe80::1%25eth0]:443",
            "a\\b.com:443",
            "a b.com:443",
            "a.com, b.com:443",
            "[[good.com]]:443",
            "a.com:",
            "a.com:0",
            "a.com:65536",
            "a.com:+443",
            "a.com:443:443",
            "a.com::443",
            ":443",
            "",
            "a..b:443",
            "-a.com:443",
            "::1:443",
        ] {
            assert!(Authority::parse(text, None).is_err(), "{text}");
        }
        assert_eq!(Authority::parse("[::1]:8443", None).unwrap().to_string(), "[::1]:8443");
        assert_eq!(Authority::parse("A.com", Some(443)).unwrap().to_string(), "a.com:443");
    }

    #[test]
    fn attack_81_deceptive_names_have_one_form_or_none() {
        assert!("xn--example-.org".parse::<Host>().is_err(), "RUSTSEC-2024-0421");
        assert_eq!(host("exam\u{ad}ple.org"), "example.org");
        assert_ne!(host("straße.de"), "strasse.de");
    }

    #[test]
    fn origins_are_scheme_host_port() {
        let origin: Origin = "https://API.example.com:443".parse().unwrap();
        assert_eq!(origin.to_string(), "https://api.example.com");
        assert!("https://x.com/path".parse::<Origin>().is_err());
        assert!("ftp://x.com".parse::<Origin>().is_err());
        assert!("https://u@x.com".parse::<Origin>().is_err());
    }
}
