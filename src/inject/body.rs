//! A credential inside a body: one string of a JSON text, or one field of a form. Every other byte stays the client's.

use std::{fmt, ops::Range};

use http::{HeaderMap, header::CONTENT_TYPE};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::{Error, query};
use crate::recipe::Place;

/// How a credential is spelt where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    Form,
    Json,
}

/// What stands at a place of a body.
pub(super) struct Found {
    pub(super) range: Range<usize>,
    /// As the application reads it.
    pub(super) text: Zeroizing<Vec<u8>>,
    pub(super) spelling: Spelling,
}

/// Whether a body with this head could hold a credential at this place.
pub(super) fn fits(headers: &HeaderMap, place: &Place) -> bool {
    let mut kinds = headers.get_all(CONTENT_TYPE).iter();
    let (Some(only), None) = (kinds.next().and_then(|kind| kind.to_str().ok()), kinds.next()) else { return false };
    let kind = only.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    match place {
        Place::Json { .. } => {
            kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
        }
        Place::Form { .. } => kind == "application/x-www-form-urlencoded",
        _ => false,
    }
}

/// What stands at a place in a whole body.
///
/// # Errors
/// When it stands there twice.
pub(super) fn find(body: &[u8], place: &Place) -> Result<Option<Found>, Error> {
    let Ok(text) = std::str::from_utf8(body) else { return Ok(None) };
    match place {
        Place::Form { name } => {
            let found = query::find(text, name).map_err(|_| Error::DuplicateField(name.to_string()))?;
            let held = found.map(|range| {
                let text = Zeroizing::new(query::decode(text.get(range.clone()).unwrap_or("")));
                Found { range, text, spelling: Spelling::Form }
            });
            Ok(held.filter(|found| !found.text.is_empty()))
        }
        Place::Json { pointer } => {
            let Some(raw) = follow(text, pointer).map_err(|()| Error::DuplicateField(pointer.to_string()))? else {
                return Ok(None);
            };
            let Ok(value) = serde_json::from_str::<String>(raw) else { return Ok(None) };
            let start = raw.as_ptr() as usize - text.as_ptr() as usize;
            let (range, text) = (start..start + raw.len(), Zeroizing::new(value.into_bytes()));
            Ok((!text.is_empty()).then_some(Found { range, text, spelling: Spelling::Json }))
        }
        _ => Ok(None),
    }
}

/// The credential as it is written into a body.
pub(super) fn spell(spelling: Spelling, credential: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    match spelling {
        Spelling::Form => Ok(Zeroizing::new(query::encode(credential).into_bytes())),
        Spelling::Json => {
            let unwritable = Error::Unwritable { place: "JSON", why: "it is no UTF-8 text" };
            let text = std::str::from_utf8(credential).map_err(|_| unwritable)?;
            // A text is always JSON.
            Ok(Zeroizing::new(serde_json::to_vec(text).unwrap_or_default()))
        }
    }
}

/// The raw JSON at a pointer; an error when the way goes by a key that stands twice.
fn follow<'t>(text: &'t str, pointer: &str) -> Result<Option<&'t str>, ()> {
    let mut at: &'t str = match serde_json::from_str::<&'t RawValue>(text) {
        Ok(whole) => whole.get(),
        Err(_) => return Ok(None),
    };
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        let Ok(members) = serde_json::from_str::<Members<'t>>(at) else { return Ok(None) };
        let mut alike = members.0.into_iter().filter(|(key, _)| *key == step);
        match (alike.next(), alike.next()) {
            (Some((_, member)), None) => at = member.get(),
            (None, _) => return Ok(None),
            (Some(_), Some(_)) => return Err(()),
        }
    }
    Ok(Some(at))
}

/// The members of an object or a list, as they are written.
struct Members<'t>(Vec<(String, &'t RawValue)>);

impl<'de: 't, 't> Deserialize<'de> for Members<'t> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(entry) = entries.next_entry::<String, &'de RawValue>()? {
            all.push(entry);
        }
        Ok(Members(all))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element::<&'de RawValue>()? {
            all.push((all.len().to_string(), item));
        }
        Ok(Members(all))
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        Err(E::custom("nothing"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(pointer: &str, body: &str) -> Result<Option<String>, Error> {
        let place = Place::Json { pointer: pointer.into() };
        Ok(find(body.as_bytes(), &place)?.map(|Found { range, text, .. }| {
            let whole = [&body[..range.start], "<>", &body[range.end..]].concat();
            format!("{} {}", String::from_utf8(text.to_vec()).unwrap(), whole)
        }))
    }

    #[test]
    fn a_string_of_a_json_text_is_found_where_it_is_written() {
        let body = "{ \"a\" : [ {\"api_key\":\"KE\\u0059\"} ], \"api_key\" : \"TOP\" }";
        assert_eq!(json("/api_key", body).unwrap().unwrap(), format!("TOP {}", body.replace("\"TOP\"", "<>")));
        assert_eq!(
            json("/a/0/api_key", body).unwrap().unwrap(),
            format!("KEY {}", body.replace("\"KE\\u0059\"", "<>"))
        );
        for (pointer, body) in [
            ("/b", body),
            ("/a", body),
            ("/a/1", body),
            ("/x", "{"),
            ("/x", "[]"),
            ("/x", "{\"x\":5}"),
            ("/x", "{\"x\":\"\"}"),
        ] {
            assert_eq!(json(pointer, body).unwrap(), None, "{pointer} {body}");
        }
        assert!(json("/x", "{\"x\":\"a\",\"x\":\"b\"}").is_err());
    }

    #[test]
    fn a_field_of_a_form_is_found_and_written_so_that_it_adds_none() {
        let place = Place::Form { name: "token".into() };
        let Found { range, text, spelling } = find(b"a=1&token=x%2Dy&b=2", &place).unwrap().unwrap();
        assert_eq!((range, text.as_slice()), (10..15, &b"x-y"[..]));
        assert_eq!(spell(spelling, b"a&b").unwrap().as_slice(), b"a%26b");
        assert!(find(b"token=1&token=2", &place).is_err());
        assert!(find(b"a=1", &place).unwrap().is_none());
    }

    #[test]
    fn attack_41_a_credential_ends_no_string() {
        assert_eq!(spell(Spelling::Json, b"a\"b\\c\n").unwrap().as_slice(), br#""a\"b\\c\n""#);
        assert!(spell(Spelling::Json, b"\xff").is_err());
    }
}
