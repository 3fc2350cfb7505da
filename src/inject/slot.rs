//! Finding what stands at a listed place, and writing a credential there instead.

use std::ops::Range;

use http::{HeaderValue, Uri, header::AUTHORIZATION, request::Parts};
use zeroize::Zeroizing;

use super::{Error, basic, query};
use crate::recipe::{BasicPart, Place};

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
    Basic { parts: basic::Parts, part: BasicPart, other: Option<Box<str>> },
    Header { name: http::HeaderName, hole: Range<usize> },
    Query { value: Range<usize> },
}

/// Whether a credential can be written at a place at all, whatever a client sends (attack 41).
///
/// # Errors
/// When it cannot; the fault of whoever stores it.
pub fn check(place: &Place, credential: &[u8]) -> Result<(), Error> {
    match place {
        Place::Basic { part, .. } => basic::check(*part, credential),
        Place::Header { .. } => check_field(credential),
        Place::Query { .. } => Ok(()),
    }
}

/// Looks at one listed place.
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
            let hole = wordings.iter().find_map(|wording| wording.find(value.as_bytes()));
            Ok(hole.and_then(|hole| {
                let text = Zeroizing::new(value.as_bytes().get(hole.clone())?.to_vec());
                Some(Held { text, slot: Slot(Kind::Header { name: name.clone(), hole }) })
            }))
        }
        Place::Query { name } => {
            let Some(text) = parts.uri.query() else { return Ok(None) };
            let Some(value) = query::find(text, name)? else { return Ok(None) };
            let decoded = Zeroizing::new(query::decode(text.get(value.clone()).unwrap_or("")));
            Ok((!decoded.is_empty()).then_some(Held { text: decoded, slot: Slot(Kind::Query { value }) }))
        }
    }
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
            (Kind::Query { value: a }, Kind::Query { value: b }) => a == b,
            (Kind::Query { .. }, _) | (_, Kind::Query { .. }) => false,
            _ => self.header() == other.header(),
        }
    }

    /// The header field that the slot is in, if it is in one.
    pub fn header(&self) -> Option<&http::HeaderName> {
        match &self.0 {
            Kind::Basic { .. } => Some(&AUTHORIZATION),
            Kind::Header { name, .. } => Some(name),
            Kind::Query { .. } => None,
        }
    }

    /// What a client put beside the hole and the recipe does not settle: the other part of basic credentials.
    pub fn beside(&self) -> Option<&[u8]> {
        match &self.0 {
            Kind::Basic { parts, part: BasicPart::Password, .. } => Some(&parts.user),
            Kind::Basic { parts, part: BasicPart::User, .. } => Some(&parts.password),
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

    /// Writes the credential into the request head.
    pub(super) fn write(&self, parts: &mut Parts, credential: &[u8]) -> Result<(), Error> {
        match &self.0 {
            Kind::Basic { parts: found, part, other } => {
                let value = basic::write(found, *part, other.as_deref(), credential)?;
                set_header(parts, &AUTHORIZATION, &value)
            }
            Kind::Header { name, hole } => {
                let Some(value) = parts.headers.get(name) else { return Ok(()) };
                let (before, after) = (value.as_bytes().get(..hole.start), value.as_bytes().get(hole.end..));
                let whole = [before.unwrap_or_default(), credential, after.unwrap_or_default()].concat();
                set_header(parts, name, &Zeroizing::new(whole))
            }
            Kind::Query { value } => {
                let whole = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
                let start = whole.len() - parts.uri.query().map_or(0, str::len);
                let before = whole.get(..start + value.start).unwrap_or_default();
                let after = whole.get(start + value.end..).unwrap_or_default();
                let armed = Zeroizing::new([before, &query::encode(credential), after].concat());
                let unwritable = |_| Error::Unwritable { place: "the query", why: "the target would be malformed" };
                let mut uri = std::mem::take(&mut parts.uri).into_parts();
                uri.path_and_query = Some(armed.as_bytes().try_into().map_err(unwritable)?);
                parts.uri = Uri::from_parts(uri)
                    .map_err(|_| Error::Unwritable { place: "the query", why: "the target would be malformed" })?;
                Ok(())
            }
        }
    }
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
