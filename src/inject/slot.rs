//! Finding what stands at a listed place, and writing a credential there instead.

use std::ops::Range;

use http::{
    HeaderMap, HeaderValue, Uri,
    header::{AUTHORIZATION, COOKIE},
    request::Parts,
    uri::PathAndQuery,
};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode, percent_encode};
use zeroize::Zeroizing;

use super::{Error, basic, begin, body, cookie, query};
use crate::{
    net::Identity,
    recipe::{BasicPart, Place},
};

/// What a client put at a listed place.
pub struct Held {
    /// The text in the hole, decoded as its place is: a lease token, if the client is well.
    pub text: Zeroizing<Vec<u8>>,
    /// Where a credential would be written instead.
    pub slot: Slot,
}

/// A place in one request, ready to be written once.
#[derive(Clone)]
pub struct Slot(Kind);

#[derive(Clone)]
enum Kind {
    Basic {
        parts: basic::Parts,
        part: BasicPart,
        other: Option<Box<str>>,
    },
    Body {
        range: Range<usize>,
        spelling: body::Spelling,
    },
    /// With the field as it is but for the hole.
    Cookie {
        hole: Range<usize>,
        rest: Zeroizing<Vec<u8>>,
    },
    /// Shown in the handshake; nothing of the request is changed.
    Handshake,
    Header {
        name: http::HeaderName,
        hole: Range<usize>,
    },
    /// In a message to come.
    Message {
        pointer: Box<str>,
    },
    /// Elsewhere than in the field where the token stands, which is left out.
    Moved {
        field: http::HeaderName,
        to: Place,
    },
    Path {
        hole: Range<usize>,
        is_whole_segment: bool,
    },
    Query {
        value: Range<usize>,
    },
}

/// Whether a credential can be written at a place at all, whatever a client sends (attack 41).
///
/// # Errors
/// When it cannot; the fault of whoever stores it.
pub fn check(place: &Place, credential: &[u8]) -> Result<(), Error> {
    match place {
        Place::Basic { part, .. } => basic::check(*part, credential),
        Place::Cookie { .. } => cookie::check(credential),
        Place::Handshake => match Identity::parse(credential) {
            Ok(_) => Ok(()),
            Err(why) => Err(Error::Identity(why)),
        },
        Place::Header { .. } => check_field(credential),
        Place::Moved { to, .. } => check(to, credential),
        Place::Path { hole } => check_segment(hole.is_whole_segment(), credential),
        Place::Json { .. } | Place::Message { .. } => body::spell(body::Spelling::Json, credential).map(drop),
        Place::Form { .. } | Place::Query { .. } => Ok(()),
    }
}

/// Looks at one listed place in a request's head; places in bodies are [`find_in_body`]'s.
///
/// # Errors
/// When the place is there twice; the client's fault.
pub fn find(parts: &Parts, place: &Place) -> Result<Option<Held>, Error> {
    match place {
        Place::Basic { part, other } => {
            let Some(value) = single(parts, &AUTHORIZATION)? else { return Ok(None) };
            let Some(found) = basic::parse(value.as_bytes()) else { return Ok(None) };
            let text = match part {
                BasicPart::Password => found.password.clone(),
                BasicPart::User => found.user.clone(),
            };
            let slot = Slot(Kind::Basic { parts: found, part: *part, other: other.clone() });
            Ok((!text.is_empty()).then_some(Held { text, slot }))
        }
        Place::Header { name, wordings } => {
            let Some(value) = single(parts, name)? else { return Ok(None) };
            // The wording that says most: a bare hole takes everything, whatever its place in the list.
            let holes = wordings.iter().filter_map(|wording| wording.find(value.as_bytes()));
            let hole = holes.min_by_key(std::ops::Range::len);
            Ok(hole.and_then(|hole| {
                let text = Zeroizing::new(value.as_bytes().get(hole.clone())?.to_vec());
                Some(Held { text, slot: Slot(Kind::Header { name: name.clone(), hole }) })
            }))
        }
        Place::Cookie { name } => {
            let Some(value) = single(parts, &COOKIE)? else { return Ok(None) };
            let Some(hole) = cookie::find(value.as_bytes(), name)?.filter(|hole| !hole.is_empty()) else {
                return Ok(None);
            };
            let mut rest = Zeroizing::new(value.as_bytes().to_vec());
            let text = Zeroizing::new(rest.get(hole.clone()).unwrap_or_default().to_vec());
            rest.splice(hole.clone(), std::iter::empty());
            Ok(Some(Held { text, slot: Slot(Kind::Cookie { hole, rest }) }))
        }
        Place::Moved { from, to } => Ok(find(parts, from)?.and_then(|Held { text, slot }| {
            let slot = Slot(Kind::Moved { field: slot.header()?.clone(), to: Place::clone(to) });
            Some(Held { text, slot })
        })),
        Place::Form { .. } | Place::Handshake | Place::Json { .. } | Place::Message { .. } => Ok(None),
        Place::Path { hole: form } => {
            let path = parts.uri.path();
            let Some(hole) = form.find(path) else { return Ok(None) };
            let text = Zeroizing::new(percent_decode(path.get(hole.clone()).unwrap_or("").as_bytes()).collect());
            let is_whole_segment = form.is_whole_segment();
            Ok(Some(Held { text, slot: Slot(Kind::Path { hole, is_whole_segment }) }))
        }
        Place::Query { name } => {
            let Some(text) = parts.uri.query() else { return Ok(None) };
            let Some(value) = query::find(text, name)? else { return Ok(None) };
            let decoded = Zeroizing::new(query::decode(text.get(value.clone()).unwrap_or("")));
            Ok((!decoded.is_empty()).then_some(Held { text: decoded, slot: Slot(Kind::Query { value }) }))
        }
    }
}

/// Whether a body with this head could hold a credential at this place.
pub fn is_body_for(headers: &HeaderMap, place: &Place) -> bool {
    body::fits(headers, place)
}

/// Looks at one listed place in a whole body, which [`is_body_for`] said could be there.
///
/// # Errors
/// When the place is there twice; the client's fault.
pub fn find_in_body(body: &[u8], place: &Place) -> Result<Option<Held>, Error> {
    let found = body::find(body, place)?;
    Ok(found.map(|body::Found { range, text, spelling }| Held { text, slot: Slot(Kind::Body { range, spelling }) }))
}

fn single<'a>(parts: &'a Parts, name: &http::HeaderName) -> Result<Option<&'a HeaderValue>, Error> {
    let mut values = parts.headers.get_all(name).iter();
    let first = values.next();
    match values.next() {
        Some(_) => Err(Error::DuplicateHeader(name.clone())),
        None => Ok(first),
    }
}

impl Slot {
    /// Whether two slots are one place, as when a recipe lists a place in two ways.
    pub fn overlaps(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Kind::Query { value: a }, Kind::Query { value: b })
            | (Kind::Path { hole: a, .. }, Kind::Path { hole: b, .. })
            | (Kind::Body { range: a, .. }, Kind::Body { range: b, .. })
            | (Kind::Cookie { hole: a, .. }, Kind::Cookie { hole: b, .. }) => a == b,
            (Kind::Message { pointer: a }, Kind::Message { pointer: b }) => a == b,
            _ => self.header().is_some_and(|name| other.header() == Some(name)),
        }
    }

    /// The header field that the slot is in, if it is in one.
    pub fn header(&self) -> Option<&http::HeaderName> {
        match &self.0 {
            Kind::Basic { .. } => Some(&AUTHORIZATION),
            Kind::Cookie { .. } => Some(&COOKIE),
            Kind::Header { name, .. } | Kind::Moved { field: name, .. } => Some(name),
            Kind::Body { .. } | Kind::Handshake | Kind::Message { .. } | Kind::Path { .. } | Kind::Query { .. } => None,
        }
    }

    /// The pointer of a slot in a message to come.
    pub fn message(&self) -> Option<&str> {
        match &self.0 {
            Kind::Message { pointer } => Some(pointer),
            _ => None,
        }
    }

    /// Whether the credential is shown in the TLS handshake.
    pub const fn presents(&self) -> bool {
        matches!(&self.0, Kind::Handshake | Kind::Moved { to: Place::Handshake, .. })
    }

    /// The same, where no token stands for it in the request.
    pub const fn is_handshake(&self) -> bool {
        matches!(&self.0, Kind::Handshake)
    }

    /// A slot in the handshake.
    pub(super) const fn of_handshake() -> Self {
        Self(Kind::Handshake)
    }

    /// A slot in a message to come.
    pub(super) fn of_message(pointer: &str) -> Self {
        Self(Kind::Message { pointer: pointer.into() })
    }

    /// What a client put beside the hole and the recipe does not settle: the other part of basic credentials, or the
    /// other cookies.
    pub fn beside(&self) -> Option<&[u8]> {
        match &self.0 {
            Kind::Basic { parts, part: BasicPart::Password, .. } => Some(&parts.user),
            Kind::Basic { parts, part: BasicPart::User, .. } => Some(&parts.password),
            Kind::Cookie { rest, .. } => Some(rest),
            _ => None,
        }
    }

    /// The range of the raw query that the slot is, if it is in the query.
    pub fn query(&self) -> Option<Range<usize>> {
        match &self.0 {
            Kind::Query { value } => Some(value.clone()),
            _ => None,
        }
    }

    /// The range of the path that the slot is, if it is in the path.
    pub fn path(&self) -> Option<Range<usize>> {
        match &self.0 {
            Kind::Path { hole, .. } => Some(hole.clone()),
            _ => None,
        }
    }

    /// The range of the body that the slot is, if it is in the body.
    pub fn body(&self) -> Option<Range<usize>> {
        match &self.0 {
            Kind::Body { range, .. } => Some(range.clone()),
            _ => None,
        }
    }

    /// Where it begins, in whatever it is in.
    pub(super) fn start(&self) -> usize {
        match &self.0 {
            Kind::Body { range, .. } => range.start,
            Kind::Cookie { hole, .. } | Kind::Header { hole, .. } | Kind::Path { hole, .. } => hole.start,
            Kind::Query { value } => value.start,
            Kind::Basic { .. } | Kind::Handshake | Kind::Message { .. } | Kind::Moved { .. } => 0,
        }
    }

    /// The credential as it is written into a body, if the slot is in one.
    pub(super) fn spell(&self, credential: &[u8]) -> Option<Result<Zeroizing<Vec<u8>>, Error>> {
        match &self.0 {
            Kind::Body { spelling, .. } => Some(body::spell(*spelling, credential)),
            _ => None,
        }
    }

    /// Writes the credential into the request head; a slot in the body or in a message changes nothing here.
    pub(super) fn write(&self, parts: &mut Parts, credential: &[u8]) -> Result<(), Error> {
        match &self.0 {
            Kind::Basic { parts: found, part, other } => {
                let value = basic::write(found, *part, other.as_deref(), credential)?;
                set_header(parts, &AUTHORIZATION, &value)
            }
            Kind::Body { .. } | Kind::Handshake | Kind::Message { .. } => Ok(()),
            Kind::Moved { field, to } => {
                parts.headers.remove(field);
                let taken = || Error::Unwritable { place: "the request", why: "something stands there already" };
                begin(parts, to).ok_or_else(taken)?.slot.write(parts, credential)
            }
            Kind::Cookie { hole, .. } => {
                cookie::check(credential)?;
                write_field(parts, &COOKIE, hole, credential)
            }
            Kind::Path { hole, is_whole_segment } => {
                check_segment(*is_whole_segment, credential)?;
                write_target(parts, 0, hole, &percent_encode(credential, SEGMENT).to_string())
            }
            Kind::Header { name, hole } => write_field(parts, name, hole, credential),
            Kind::Query { value } => {
                let whole = parts.uri.path_and_query().map_or(1, |target| target.as_str().len());
                let start = whole - parts.uri.query().map_or(0, str::len);
                write_target(parts, start, value, &query::encode(credential))
            }
        }
    }
}

fn write_field(
    parts: &mut Parts,
    name: &http::HeaderName,
    hole: &Range<usize>,
    credential: &[u8],
) -> Result<(), Error> {
    let Some(value) = parts.headers.get(name) else { return Ok(()) };
    let (before, after) = (value.as_bytes().get(..hole.start), value.as_bytes().get(hole.end..));
    let whole = [before.unwrap_or_default(), credential, after.unwrap_or_default()].concat();
    set_header(parts, name, &Zeroizing::new(whole))
}

/// Writes into path or query, at a range that counts from `start` of both.
fn write_target(parts: &mut Parts, start: usize, range: &Range<usize>, text: &str) -> Result<(), Error> {
    let whole = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let before = whole.get(..start + range.start).unwrap_or_default();
    let after = whole.get(start + range.end..).unwrap_or_default();
    let armed = Zeroizing::new([before, text, after].concat());
    let unwritable = || Error::Unwritable { place: "the target", why: "it would be malformed" };
    let mut uri = std::mem::take(&mut parts.uri).into_parts();
    uri.path_and_query = Some(armed.as_bytes().try_into().map_err(|_| unwritable())?);
    parts.uri = Uri::from_parts(uri).map_err(|_| unwritable())?;
    Ok(())
}

/// What must be encoded so that a credential ends no segment; a colon stays, as in Telegram's tokens.
const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b';')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// A whole segment of dots would be a step up.
fn check_segment(is_whole: bool, credential: &[u8]) -> Result<(), Error> {
    if is_whole && matches!(credential, b"." | b"..") {
        return Err(Error::Unwritable { place: "the path", why: "it would be read as a step" });
    }
    Ok(())
}

/// Obsolete 8-bit bytes are legal to the parser, but no provider means them (attack 41).
fn check_field(value: &[u8]) -> Result<(), Error> {
    if value.iter().all(|byte| (0x20..0x7f).contains(byte)) {
        return Ok(());
    }
    let why = "it holds line breaks, other control characters or characters beyond ASCII";
    Err(Error::Unwritable { place: "a header", why })
}

/// The value is marked sensitive: never indexed by HPACK (RFC 7541, 7.1.3), never shown by `Debug`.
fn set_header(parts: &mut Parts, name: &http::HeaderName, value: &[u8]) -> Result<(), Error> {
    check_field(value)?;
    let mut value = HeaderValue::from_bytes(value)
        .map_err(|_| Error::Unwritable { place: "a header", why: "no header can carry it" })?;
    value.set_sensitive(true);
    parts.headers.insert(name.clone(), value);
    Ok(())
}
