//! An answer as it arrived.

use std::fmt;

use crate::support::origin::{count, head_fields, values};

/// A whole answer, or its head.
#[derive(Clone, Default)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The head's bytes with the empty line; empty on h2.
    pub head: Vec<u8>,
    /// Names as spelled and values as sent, in order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body without framing.
    pub body: Vec<u8>,
    /// The body as it came: chunks, DATA frames, or what one read gave.
    pub pieces: Vec<Vec<u8>>,
    /// Trailers.
    pub trailers: Vec<(String, Vec<u8>)>,
    /// Heads with status 1xx that came before.
    pub interim: Vec<Answer>,
}

impl Answer {
    /// Reads the head of an HTTP/1 answer.
    ///
    /// # Panics
    /// When it is none.
    pub fn parse(head: &[u8]) -> Self {
        let text = String::from_utf8_lossy(head);
        let status = text.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse().ok());
        let status = status.unwrap_or_else(|| panic!("not the head of an answer: {text:?}"));
        Self { status, head: head.to_vec(), headers: head_fields(head), ..Self::default() }
    }

    /// The one value of a header; `None` when it is missing.
    ///
    /// # Panics
    /// When it came more than once.
    pub fn header(&self, name: &str) -> Option<String> {
        let mut values = self.values(name);
        assert!(values.len() < 2, "`{name}` came {} times", values.len());
        values.pop()
    }

    /// Every value of a header, whatever its spelling.
    pub fn values(&self, name: &str) -> Vec<String> {
        values(&self.headers, name)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// How often these bytes stand anywhere in the answer: status line, headers, body, trailers, earlier heads.
    pub fn count(&self, needle: &[u8]) -> usize {
        let in_fields = |fields: &[(String, Vec<u8>)]| -> usize {
            fields.iter().map(|(name, value)| count(name.as_bytes(), needle) + count(value, needle)).sum()
        };
        let in_head = if self.head.is_empty() { in_fields(&self.headers) } else { count(&self.head, needle) };
        let in_interim: usize = self.interim.iter().map(|answer| answer.count(needle)).sum();
        in_head + count(&self.body, needle) + in_fields(&self.trailers) + in_interim
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        for (name, value) in self.headers.iter().chain(&self.trailers) {
            write!(f, " | {name}: {}", String::from_utf8_lossy(value))?;
        }
        write!(f, " | {:?}", String::from_utf8_lossy(&self.body[..self.body.len().min(2_000)]))
    }
}

/// How an answer's body ends (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Chunked,
    Ended,
    Length(usize),
    UntilClose,
}

impl Framing {
    /// From the head and the request's method.
    pub fn of(answer: &Answer, method: &str) -> Self {
        let is_tunnel = method == "CONNECT" && (200..300).contains(&answer.status);
        if method == "HEAD" || is_tunnel || matches!(answer.status, 100..200 | 204 | 304) {
            return Self::Ended;
        }
        if !answer.values("transfer-encoding").is_empty() {
            return Self::Chunked;
        }
        answer.header("content-length").map_or(Self::UntilClose, |length| Self::Length(length.parse().unwrap()))
    }
}
