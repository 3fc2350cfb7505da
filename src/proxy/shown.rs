//! What a person is shown of a body: its beginning, and the fields that the asking capabilities name.
//!
//! Invariant: a field that two readers could find in two places is not shown as either.

use http::request::Parts;
use serde_json::Value;

use super::admit::Decided;
use crate::{
    base::{Authority, Scheme, harmless, hex, sha256},
    policy::Body,
};

/// How much of a body is shown, in bytes.
const PREVIEW: usize = 2048;
/// How much of a target is shown, in characters.
pub(super) const TARGET: usize = 1024;
/// How much of one field is shown, in characters.
pub(super) const FIELD: usize = 200;

/// The beginning of a text of the client's, safe to show.
pub(super) fn cut(text: &str, most: usize) -> String {
    let shown: String = text.chars().take(most).collect();
    let more = if shown.len() < text.len() { "…" } else { "" };
    harmless(&shown) + more
}

/// SHA-256 over what is shown, each part with its length before it.
#[derive(Default)]
pub(super) struct Hash(Vec<u8>);

impl Hash {
    /// Over a request line and its fields.
    pub(super) fn of_head(scheme: Scheme, authority: &Authority, parts: &Parts) -> Self {
        let mut hash = Self::default();
        hash.put(parts.method.as_str().as_bytes());
        hash.put(scheme.as_str().as_bytes());
        hash.put(authority.to_string().as_bytes());
        hash.put(parts.uri.path().as_bytes());
        hash.put(parts.uri.query().unwrap_or_default().as_bytes());
        for (name, value) in &parts.headers {
            hash.put(name.as_str().as_bytes());
            hash.put(value.as_bytes());
        }
        hash
    }

    pub(super) fn put(&mut self, part: &[u8]) {
        self.0.extend_from_slice(&(part.len() as u64).to_be_bytes());
        self.0.extend_from_slice(part);
    }

    /// In hex.
    pub(super) fn finish(self) -> String {
        hex(&sha256(&self.0))
    }
}

/// What the capabilities want shown of a body of JSON.
pub(super) fn fields(decided: &Decided, body: &[u8]) -> Vec<(String, String)> {
    let pointers: Vec<&str> = decided.asks.iter().flat_map(|(_, asking)| &asking.show).map(|text| &**text).collect();
    if pointers.is_empty() {
        return Vec::new();
    }
    let seen = &decided.seen;
    pointers.into_iter().map(|pointer| (harmless(pointer), field(seen, body, pointer))).collect()
}

fn field(seen: &Body, body: &[u8], pointer: &str) -> String {
    match seen.document().map(|document| find(document, pointer)) {
        Some(Found::At(value)) => cut(&value.to_string(), FIELD),
        Some(Found::Nowhere) => "(not in the body)".to_owned(),
        Some(Found::Unclear(name)) => format!("(not clear: the body has `{}`, in other letters)", cut(name, FIELD)),
        // What one reader takes for the value another one overwrites.
        None if serde_json::from_slice::<Value>(body).is_ok() => {
            "(not clear: a key stands twice in the body)".to_owned()
        }
        None => "(the body is no JSON)".to_owned(),
    }
}

/// Where a pointer (RFC 6901) leads.
enum Found<'a> {
    At(&'a Value),
    Nowhere,
    /// To this name, as readers see it that do not tell upper from lower case.
    Unclear(&'a str),
}

fn find<'a>(document: &'a Value, pointer: &str) -> Found<'a> {
    let mut at = document;
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        let next = match at {
            Value::Object(members) => {
                let is_alike = |name: &&String| **name != step && name.to_lowercase() == step.to_lowercase();
                if let Some(name) = members.keys().find(is_alike) {
                    return Found::Unclear(name);
                }
                members.get(&step)
            }
            Value::Array(items) => step.parse::<usize>().ok().and_then(|index| items.get(index)),
            _ => None,
        };
        let Some(next) = next else { return Found::Nowhere };
        at = next;
    }
    Found::At(at)
}

/// The beginning of a body, safe to show.
pub(super) fn preview(body: &[u8]) -> String {
    let front = body.get(..PREVIEW).unwrap_or(body);
    let text = harmless(&String::from_utf8_lossy(front));
    if body.len() > PREVIEW { format!("{text}… ({} bytes in all)", body.len()) } else { text }
}
