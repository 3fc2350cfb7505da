//! A request's body as rules see it: unread, or read within a bound, with what its head says of it.

use std::sync::OnceLock;

use bytes::Bytes;
use http::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use serde_json::Value;

use super::{
    Found, fields::unread, graphql::Requests, json::read_json, jsonrpc::Message, pairs::values_of, pkt_lines::Push,
};
use crate::policy::rules::Reading;

/// A request's body. What its bytes mean is found out once, when the first rule asks.
#[derive(Debug, Default)]
pub struct Body {
    bytes: Option<Bytes>,
    extent: Extent,
    media: Media,
    /// Whether the head says that the bytes are coded.
    is_coded: bool,
    actions: OnceLock<Option<Vec<String>>>,
    graphql: OnceLock<Option<Requests>>,
    json: OnceLock<Option<Value>>,
    messages: OnceLock<Option<Vec<Message>>>,
    push: OnceLock<Option<Push>>,
}

/// How much of a body the bytes are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Extent {
    /// What rules look at in a push; there may be more.
    Front,
    #[default]
    Whole,
}

/// The kind of a body, as far as rules tell them apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Media {
    Form,
    Json,
    #[default]
    Other,
}

/// What a matcher gets to see of a body in one reading.
#[derive(Debug)]
pub(super) enum View<T> {
    /// Nobody has read it.
    Unread,
    /// There is none.
    Empty,
    /// It is not of this kind, or could be read in two ways.
    Unreadable,
    Read(T),
}

impl Body {
    /// A body that nobody has read.
    pub const fn unread() -> Self {
        Self {
            bytes: None,
            extent: Extent::Whole,
            media: Media::Other,
            is_coded: false,
            actions: OnceLock::new(),
            graphql: OnceLock::new(),
            json: OnceLock::new(),
            messages: OnceLock::new(),
            push: OnceLock::new(),
        }
    }

    /// A whole body, and the head that announces what it is.
    pub fn read(bytes: Bytes, headers: &HeaderMap) -> Self {
        Self { bytes: Some(bytes), media: media(headers), is_coded: is_coded(headers), ..Self::unread() }
    }

    /// The front of a body, up to where [`Until::Flush`](super::Until::Flush) let the reading stop.
    pub fn front(bytes: Bytes, headers: &HeaderMap) -> Self {
        Self { extent: Extent::Front, ..Self::read(bytes, headers) }
    }

    /// Whether nobody has read it.
    pub(in crate::policy) const fn is_unread(&self) -> bool {
        self.bytes.is_none()
    }

    /// Whether there is none; `None` when nobody has read it.
    pub(super) fn is_empty(&self) -> Option<bool> {
        self.bytes.as_ref().map(Bytes::is_empty)
    }

    /// As GraphQL requests; the head must say that it is JSON.
    pub(super) fn graphql(&self) -> View<&Requests> {
        self.of_json(&self.graphql, Requests::read)
    }

    /// As JSON-RPC messages; the head must say that it is JSON.
    pub(super) fn messages(&self) -> View<&Vec<Message>> {
        self.of_json(&self.messages, Message::read_all)
    }

    fn of_json<'b, T>(&'b self, once: &'b OnceLock<Option<T>>, read: impl FnOnce(&Value) -> Option<T>) -> View<&'b T> {
        match self.json() {
            View::Unread => View::Unread,
            View::Empty => View::Empty,
            View::Unreadable => View::Unreadable,
            View::Read(value) => once.get_or_init(|| read(value)).as_ref().map_or(View::Unreadable, View::Read),
        }
    }

    /// As JSON; the head must say that it is. What it calls something else may hold anything to whoever believes it, such
    /// as the string `"&role=admin&"` that a form begins and ends with.
    pub(super) fn json(&self) -> View<&Value> {
        match self.whole() {
            None => View::Unread,
            Some(bytes) if bytes.is_empty() => View::Empty,
            Some(_) if self.media != Media::Json => View::Unreadable,
            Some(bytes) => match self.json.get_or_init(|| read_json(bytes)) {
                Some(value) => View::Read(value),
                None => View::Unreadable,
            },
        }
    }

    /// As JSON in which everybody reads the same, whatever its head calls it, for people who are shown parts of it.
    pub fn document(&self) -> Option<&Value> {
        let bytes = self.whole().filter(|bytes| !bytes.is_empty())?;
        self.json.get_or_init(|| read_json(bytes)).as_ref()
    }

    /// All of it.
    fn whole(&self) -> Option<&Bytes> {
        self.bytes.as_ref().filter(|_| self.extent == Extent::Whole)
    }

    /// What a push would change. `exactly` also wants the bytes to be what the head says: uncoded.
    pub(super) fn pushed(&self, exactly: bool) -> View<&Push> {
        match &self.bytes {
            None => View::Unread,
            Some(bytes) if bytes.is_empty() => View::Empty,
            Some(_) if exactly && self.is_coded => View::Unreadable,
            Some(_) => self.push().map_or(View::Unreadable, View::Read),
        }
    }

    /// The commands of a push, if this is one that was read.
    pub fn push(&self) -> Option<&Push> {
        let bytes = self.bytes.as_ref()?;
        self.push.get_or_init(|| Push::read(bytes)).as_ref()
    }

    /// The values of a form's `Action`, read exactly.
    pub(super) fn form_actions(&self) -> View<&[String]> {
        let text = match self.form() {
            View::Unread => return View::Unread,
            View::Empty => return View::Empty,
            View::Unreadable => return View::Unreadable,
            View::Read(text) => text,
        };
        let actions = self.actions.get_or_init(|| values_of(text, "Action", Reading::Exact));
        actions.as_deref().map_or(View::Unreadable, View::Read)
    }

    /// As a form; the head must say that it is: one in parts, or JSON, has the same fields to many servers.
    pub(super) fn form(&self) -> View<&str> {
        match self.whole() {
            None => View::Unread,
            Some(bytes) if bytes.is_empty() => View::Empty,
            Some(_) if self.media != Media::Form => View::Unreadable,
            Some(bytes) => std::str::from_utf8(bytes).map_or(View::Unreadable, View::Read),
        }
    }
}

impl<T> View<T> {
    /// What a matcher found that needs a body of this kind: what cannot be read gives nothing and takes.
    pub(super) fn found(self, reading: Reading, gives: impl FnOnce(T) -> bool, takes: impl FnOnce(T) -> bool) -> Found {
        let holds = match (self, reading) {
            (Self::Unread, _) => return unread(reading),
            (Self::Empty, _) => false,
            (Self::Unreadable, _) => reading == Reading::Loose,
            (Self::Read(content), Reading::Exact) => gives(content),
            (Self::Read(content), Reading::Loose) => takes(content),
        };
        if holds { Found::Yes } else { Found::No }
    }
}

fn is_coded(headers: &HeaderMap) -> bool {
    headers.get_all(CONTENT_ENCODING).iter().any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// What the head says; a coded body, or one said to be two things, is neither.
fn media(headers: &HeaderMap) -> Media {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else { return Media::Other };
    if is_coded(headers) {
        return Media::Other;
    }
    let Ok(text) = only.to_str() else { return Media::Other };
    let mut parts = text.split(';').map(str::trim);
    let kind = parts.next().unwrap_or("").to_ascii_lowercase();
    let is_utf8 = parts.filter_map(|part| part.split_once('=')).all(|(name, value)| {
        !name.trim().eq_ignore_ascii_case("charset") || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
    });
    match kind.as_str() {
        _ if !is_utf8 => Media::Other,
        "application/x-www-form-urlencoded" => Media::Form,
        "application/json" => Media::Json,
        _ if kind.starts_with("application/") && kind.ends_with("+json") => Media::Json,
        _ => Media::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn the_head_says_what_a_body_is() {
        for (kind, expected) in [
            ("application/json", Media::Json),
            ("Application/JSON; charset=\"UTF-8\"", Media::Json),
            ("application/vnd.github+json", Media::Json),
            ("application/x-www-form-urlencoded", Media::Form),
            ("application/json; charset=utf-16", Media::Other),
            ("text/plain", Media::Other),
            ("multipart/form-data; boundary=x", Media::Other),
        ] {
            assert_eq!(media(&headers(&[("content-type", kind)])), expected, "{kind}");
        }
        assert_eq!(
            media(&headers(&[("content-type", "application/json"), ("content-encoding", "gzip")])),
            Media::Other
        );
        let twice = headers(&[("content-type", "application/json"), ("content-type", "text/plain")]);
        assert_eq!(media(&twice), Media::Other);
    }

    #[test]
    fn bodies_are_read_as_what_they_are() {
        let json = headers(&[("content-type", "application/json")]);
        assert!(matches!(Body::unread().json(), View::Unread));
        assert!(matches!(Body::read(Bytes::new(), &json).json(), View::Empty));
        assert!(matches!(Body::read("{".into(), &json).json(), View::Unreadable));
        assert!(matches!(Body::read("{}".into(), &json).json(), View::Read(_)));
        assert!(matches!(Body::read("{}".into(), &HeaderMap::new()).json(), View::Unreadable));
        assert!(matches!(Body::read("a=b".into(), &json).form(), View::Unreadable));
    }

    #[test]
    fn what_bytes_mean_is_found_out_once() {
        let json = headers(&[("content-type", "application/json")]);
        let body = Body::read("{\"query\":\"{a}\"}".into(), &json);
        let (View::Read(first), View::Read(again)) = (body.graphql(), body.graphql()) else { panic!("it is readable") };
        assert!(std::ptr::eq(first, again));
        assert!(matches!(body.messages(), View::Unreadable));
        let body = Body::read("{\"jsonrpc\":\"2.0\",\"method\":\"a\"}".into(), &json);
        let (View::Read(first), View::Read(again)) = (body.messages(), body.messages()) else {
            panic!("it is readable")
        };
        assert!(std::ptr::eq(first, again));
        assert!(matches!(body.graphql(), View::Unreadable));
    }
}
