//! Where a credential stands in a request, and with which words around it.

use std::{fmt, str::FromStr};

use http::HeaderName;

use super::PathHole;

/// One listed place. A lease token is replaced here, once, and nowhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A part of HTTP basic credentials (RFC 7617); decoded, one part replaced, encoded again.
    Basic {
        /// Which part is the secret.
        part: BasicPart,
        /// What the other part must be on the wire; `None` leaves what the client sent.
        other: Option<Box<str>>,
    },
    /// A cookie (RFC 6265); its name is compared without case.
    Cookie {
        /// The cookie.
        name: Box<str>,
    },
    /// A field of a body in `application/x-www-form-urlencoded`; its name is compared after percent-decoding.
    Form {
        /// The field.
        name: Box<str>,
    },
    /// Not in the request: a client certificate, shown in the TLS handshake with the upstream (RFC 8446, 4.4.2).
    Handshake,
    /// A header field, in one of several wordings.
    Header {
        /// The field.
        name: HeaderName,
        /// The wordings that a client may use; the one it used is the one that is sent.
        wordings: Vec<Wording>,
    },
    /// A string in a JSON body.
    Json {
        /// Where (RFC 6901).
        pointer: Box<str>,
    },
    /// A string of a text message that a client sends on a WebSocket (RFC 6455): the first message that has it.
    Message {
        /// Where in the message's JSON (RFC 6901).
        pointer: Box<str>,
    },
    /// Elsewhere than the lease token, whose field is not sent.
    Moved {
        /// Where the token stands: a header field.
        from: Box<Self>,
        /// Where the credential goes; nothing may stand there yet.
        to: Box<Self>,
    },
    /// A part of the path.
    Path {
        /// The path's form, with the hole.
        hole: PathHole,
    },
    /// A query parameter; its name is compared after percent-decoding.
    Query {
        /// The parameter.
        name: Box<str>,
    },
}

/// The secret part of basic credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BasicPart {
    /// After the first colon.
    Password,
    /// Before the first colon.
    User,
}

/// Words around a hole, such as `Bearer {}`; the first word's letters compare without case, as schemes do (RFC 9110, 11.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wording {
    before: Box<str>,
    after: Box<str>,
}

/// Why a text is no wording; the policy author's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WordingError {
    /// No `{}`, or more than one.
    #[error("`{0}` must contain `{{}}` exactly once")]
    Hole(String),
    /// Characters that no field value may hold.
    #[error("`{0}` contains characters that a header cannot carry")]
    Characters(String),
}

impl Place {
    /// Whether whatever stands at `other` stands at this place too: the same field, with wordings of this one.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Header { name, wordings }, Self::Header { name: other_name, wordings: others }) => {
                name == other_name && others.iter().all(|wording| wordings.contains(wording))
            }
            (Self::Basic { part, .. }, Self::Basic { part: other_part, .. }) => part == other_part,
            (Self::Moved { from, .. }, other) => from.covers(other),
            (Self::Handshake | Self::Json { .. } | Self::Message { .. } | Self::Path { .. }, _) => self == other,
            (Self::Query { name }, Self::Query { name: other_name })
            | (Self::Form { name }, Self::Form { name: other_name }) => name == other_name,
            (Self::Cookie { name }, Self::Cookie { name: other_name }) => name.eq_ignore_ascii_case(other_name),
            _ => false,
        }
    }

    /// Whether it can be written into a request that has nothing there yet.
    pub const fn can_begin(&self) -> bool {
        use Place::{Basic, Cookie, Handshake, Header, Query};
        matches!(self, Basic { .. } | Cookie { .. } | Handshake | Header { .. } | Query { .. })
    }

    /// Whether it comes after the request, on the connection that the request opens.
    pub const fn is_later(&self) -> bool {
        matches!(self, Self::Message { .. })
    }

    /// Where the credential itself goes.
    pub fn target(&self) -> &Self {
        match self {
            Self::Moved { to, .. } => to,
            other => other,
        }
    }

    /// Whether it is in the body, which must be read to look there.
    pub const fn is_in_body(&self) -> bool {
        matches!(self, Self::Form { .. } | Self::Json { .. })
    }
}

impl Wording {
    /// The bare value, `{}`.
    pub fn bare() -> Self {
        Self { before: "".into(), after: "".into() }
    }

    /// What stands before the hole.
    pub fn before(&self) -> &str {
        &self.before
    }

    /// What stands after the hole.
    pub fn after(&self) -> &str {
        &self.after
    }

    /// The range of `value` that stands in the hole, if the value has this wording.
    pub fn find(&self, value: &[u8]) -> Option<std::ops::Range<usize>> {
        let end = value.len().checked_sub(self.after.len())?;
        let start = self.before.len();
        let head = value.get(..start)?;
        let tail = value.get(end..)?;
        let fits = start < end && head.eq_ignore_ascii_case(self.before.as_bytes()) && tail == self.after.as_bytes();
        fits.then_some(start..end)
    }
}

impl FromStr for Wording {
    type Err = WordingError;

    fn from_str(text: &str) -> Result<Self, WordingError> {
        let (before, after) = text.split_once("{}").ok_or_else(|| WordingError::Hole(text.to_owned()))?;
        if after.contains("{}") {
            return Err(WordingError::Hole(text.to_owned()));
        }
        if !text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
            return Err(WordingError::Characters(text.escape_default().to_string()));
        }
        Ok(Self { before: before.into(), after: after.into() })
    }
}

impl fmt::Display for Wording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{{}}{}", self.before, self.after)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Basic { part: BasicPart::Password, .. } => f.write_str("the password of basic credentials"),
            Self::Basic { part: BasicPart::User, .. } => f.write_str("the user name of basic credentials"),
            Self::Cookie { name } => write!(f, "cookie `{name}`"),
            Self::Form { name } => write!(f, "form field `{name}`"),
            Self::Handshake => f.write_str("the TLS handshake, as client certificate"),
            Self::Moved { from, to } => write!(f, "{to} (its lease in {from})"),
            Self::Json { pointer } => write!(f, "`{pointer}` of the JSON body"),
            Self::Message { pointer } => write!(f, "`{pointer}` of a message of the WebSocket"),
            Self::Path { hole } => write!(f, "path `{hole}`"),
            Self::Header { name, wordings } => {
                write!(f, "header `{name}`")?;
                wordings
                    .iter()
                    .enumerate()
                    .try_for_each(|(at, wording)| write!(f, "{}`{wording}`", if at == 0 { " as " } else { " or " }))
            }
            Self::Query { name } => write!(f, "query parameter `{name}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hole_is_found_whatever_the_case_of_the_scheme() {
        let wording: Wording = "Bearer {}".parse().unwrap();
        assert_eq!(wording.find(b"Bearer abc"), Some(7..10));
        assert_eq!(wording.find(b"bearer abc"), Some(7..10));
        assert_eq!(wording.find(b"Bearer "), None);
        assert_eq!(wording.find(b"Basic abc"), None);
        let quoted: Wording = "Token token={}!".parse().unwrap();
        assert_eq!(quoted.find(b"Token token=abc!"), Some(12..15));
    }

    #[test]
    fn a_wording_has_one_hole() {
        assert!("Bearer".parse::<Wording>().is_err());
        assert!("{} {}".parse::<Wording>().is_err());
        assert!("x\n{}".parse::<Wording>().is_err());
    }
}
