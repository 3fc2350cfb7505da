//! A place in a request that has nothing there: made so that a credential can be written into it.

use http::{
    HeaderValue, Uri,
    header::{AUTHORIZATION, COOKIE},
    request::Parts,
};

use super::{Held, Slot, basic, find};
use crate::recipe::Place;

/// What stands in the hole until the credential does.
const STAND_IN: &str = "-";

/// Makes a place, in its first wording, and gives what now stands there; in a message to come nothing does yet. `None` when something is there already, or the
/// place is none that can be made; the request is then as it was, or is not to be sent.
pub fn begin(parts: &mut Parts, place: &Place) -> Option<Held> {
    if !matches!(find(parts, place), Ok(None)) {
        return None;
    }
    match place {
        Place::Header { name, wordings } if !parts.headers.contains_key(name) => {
            let wording = wordings.first()?;
            let value = [wording.before(), STAND_IN, wording.after()].concat();
            parts.headers.insert(name.clone(), HeaderValue::try_from(value).ok()?);
        }
        Place::Basic { part, other } if !parts.headers.contains_key(AUTHORIZATION) => {
            let value = basic::stand_in(*part, other.as_deref().unwrap_or_default(), STAND_IN);
            parts.headers.insert(AUTHORIZATION, HeaderValue::try_from(value).ok()?);
        }
        Place::Cookie { name } => {
            let mut fields = parts.headers.get_all(COOKIE).iter();
            let value = match (fields.next().map(HeaderValue::to_str), fields.next()) {
                (None, _) => format!("{name}={STAND_IN}"),
                (Some(Ok(others)), None) => format!("{others}; {name}={STAND_IN}"),
                _ => return None,
            };
            parts.headers.insert(COOKIE, HeaderValue::try_from(value).ok()?);
        }
        Place::Query { name } => {
            let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
            let joint = if parts.uri.query().is_some() { '&' } else { '?' };
            let name = super::query::encode(name.as_bytes());
            let mut uri = parts.uri.clone().into_parts();
            uri.path_and_query = Some(format!("{target}{joint}{name}={STAND_IN}").parse().ok()?);
            parts.uri = Uri::from_parts(uri).ok()?;
        }
        Place::Handshake => {
            return Some(Held { text: STAND_IN.as_bytes().to_vec().into(), slot: Slot::of_handshake() });
        }
        Place::Message { pointer } => {
            let (text, slot) = (STAND_IN.as_bytes().to_vec().into(), Slot::of_message(pointer));
            return Some(Held { text, slot });
        }
        _ => return None,
    }
    find(parts, place).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::BasicPart;

    #[test]
    fn an_empty_place_is_made_and_a_filled_one_is_left() {
        let parts = |uri: &str, field: Option<(&str, &str)>| {
            let request = http::Request::get(uri);
            let request = field.into_iter().fold(request, |request, (name, value)| request.header(name, value));
            request.body(()).unwrap().into_parts().0
        };
        let header = Place::Header { name: AUTHORIZATION, wordings: vec!["Bearer {}".parse().unwrap()] };
        let basic = Place::Basic { part: BasicPart::Password, other: Some("token".into()) };
        let cookie = Place::Cookie { name: "session".into() };
        let query = Place::Query { name: "k&".into() };
        for (place, uri, field, made) in [
            (&header, "/a", None, Some("Bearer -")),
            (&header, "/a", Some(("authorization", "Bearer x")), None),
            (&header, "/a", Some(("authorization", "Basic eDp5")), None),
            (&basic, "/a", None, Some("Basic dG9rZW46LQ==")),
            (&cookie, "/a", None, Some("session=-")),
            (&cookie, "/a", Some(("cookie", "a=b")), Some("a=b; session=-")),
            (&cookie, "/a", Some(("cookie", "session=x")), None),
            (&query, "/a", None, Some("/a?k%26=-")),
            (&query, "/a?b=c", None, Some("/a?b=c&k%26=-")),
        ] {
            let mut parts = parts(uri, field);
            let held = begin(&mut parts, place);
            let found = held.map(|held| {
                assert_eq!(&held.text[..], b"-", "{place}");
                let field = parts.headers.get(AUTHORIZATION).or_else(|| parts.headers.get(COOKIE));
                field.map_or_else(|| parts.uri.to_string(), |value| value.to_str().unwrap().to_owned())
            });
            assert_eq!(found.as_deref(), made, "{place} {uri} {field:?}");
        }
        let json = Place::Json { pointer: "/a".into() };
        assert!(begin(&mut parts("/a", None), &json).is_none());
    }
}
