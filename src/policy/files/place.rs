//! Reads places and lease shapes out of service files.

use http::HeaderName;

use crate::recipe::{Alphabet, BasicPart, PathHole, Place, TokenShape, Wording};

use super::read::Table;

/// Fields that belong to one connection or to the framing; a credential there would be stripped or would desync.
pub(in crate::policy) const NEVER: [&str; 12] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

type Read = fn(&str) -> Result<Place, String>;

/// The places that are one text each.
const OTHERS: [(&str, Read); 5] = [
    ("cookie", |name| {
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name.is_empty() || !name.bytes().all(token) {
            return Err(format!("`{}` is no name of a cookie", name.escape_debug()));
        }
        Ok(Place::Cookie { name: name.into() })
    }),
    ("form", |name| {
        if name.is_empty() || name.contains(char::is_control) {
            return Err("a form field needs a name".to_owned());
        }
        Ok(Place::Form { name: name.into() })
    }),
    ("json", |pointer| pointer_of(pointer).map(|pointer| Place::Json { pointer })),
    ("ws_json", |pointer| pointer_of(pointer).map(|pointer| Place::Message { pointer })),
    ("path", |form| {
        let hole = form.parse::<PathHole>().map_err(|error| error.to_string())?;
        Ok(Place::Path { hole })
    }),
];

fn pointer_of(text: &str) -> Result<Box<str>, String> {
    let tilde = text.replace("~0", "").replace("~1", "").contains('~');
    if !text.starts_with('/') || text.contains('*') || tilde {
        return Err(format!("`{}` is no JSON pointer to one string; write it like `/d/token`", text.escape_debug()));
    }
    Ok(text.into())
}

/// Reads `at = [...]`.
pub(in crate::policy) fn read_places(inject: &mut Table<'_>) -> Vec<Place> {
    read_places_at(inject, "at")
}

/// Reads a list of places under any key.
pub(in crate::policy) fn read_places_at(inject: &mut Table<'_>, key: &'static str) -> Vec<Place> {
    let mut places = Vec::new();
    for table in inject.tables(key) {
        if let Some(place) = read_place(table) {
            places.push(place);
        }
    }
    places
}

/// Reads one place, such as `{ header = "x-api-key" }`.
pub(in crate::policy) fn read_place(mut table: Table<'_>) -> Option<Place> {
    let source = table.source();
    let header = table.text("header");
    let basic = table.choice("basic", &[("password", BasicPart::Password), ("user", BasicPart::User)]);
    let query = table.text("query");
    let others = OTHERS.iter().filter_map(|(key, read)| Some((table.text(key)?, *read))).collect::<Vec<_>>();
    let place = match (header, basic, query, others.as_slice()) {
        (None, None, None, [(text, read)]) => match read(text.value) {
            Ok(place) => Some(place),
            Err(error) => {
                source.fault(text.span.clone(), error, "");
                None
            }
        },
        (Some(header), None, None, []) => {
            let Ok(name) = header.value.parse::<HeaderName>() else {
                source.fault(header.span, format!("`{}` is no header name", header.value.escape_debug()), "");
                return None;
            };
            if NEVER.contains(&name.as_str()) {
                source.fault(header.span, format!("`{name}` cannot carry a credential"), "name an end-to-end header");
            }
            if table.is_empty_list("as") {
                table.fault("`as` lists no wording", "leave `as` out where the credential stands alone");
            }
            let wordings = table.texts("as").map_or_else(
                || vec![Wording::bare()],
                |texts| texts.iter().filter_map(|text| source.parse_at::<Wording>(text)).map(|at| at.value).collect(),
            );
            (!wordings.is_empty()).then_some(Place::Header { name, wordings })
        }
        (None, Some(part), None, []) => {
            let other = match part {
                BasicPart::Password => table.text("user"),
                BasicPart::User => table.text("password"),
            };
            let other = other.map(|text| {
                if text.value.contains(|c: char| c.is_control())
                    || (part == BasicPart::Password && text.value.contains(':'))
                {
                    source.fault(
                        text.span,
                        "basic credentials cannot hold this",
                        "no control characters, no `:` in a user name",
                    );
                }
                text.value.into()
            });
            Some(Place::Basic { part, other })
        }
        (None, None, Some(query), []) => {
            if query.value.is_empty() || query.value.contains(|c: char| c.is_control()) {
                source.fault(query.span, "a query parameter needs a name", "");
            }
            Some(Place::Query { name: query.value.into() })
        }
        _ => {
            not_one(&mut table);
            None
        }
    };
    table.finish();
    place
}

/// Says that a table is no place, unless a key of it is none at all, which tells more, or a value was told already.
fn not_one(table: &mut Table<'_>) {
    let beside = ["as", "user", "password"];
    for key in beside {
        let _ = table.value(key); // known, whatever place was meant
    }
    let named = ["header", "basic", "query"].into_iter().chain(OTHERS.map(|(key, _)| key));
    let named = named.filter(|key| table.has(key)).count();
    if named > 1 || (named == 0 && table.others().is_empty()) {
        table.fault(
            "a place names exactly one of `header`, `basic`, `query`, `cookie`, `path`, `json`, `form` and `ws_json`",
            "such as `{ header = \"x-api-key\" }`",
        );
    }
}

/// Reads `lease = { prefix, length, charset }`; the plain shape stands in for a faulty one.
pub(in crate::policy) fn read_shape(mut table: Table<'_>) -> TokenShape {
    let prefix = table.text("prefix").map_or("lse_", |at| at.value);
    let length = table.count("length", TokenShape::MAX_LENGTH).map_or(TokenShape::MAX_LENGTH, |at| at.value);
    let charset =
        table.choice("charset", &[("base62", Alphabet::Base62), ("hex", Alphabet::Hex), ("A-Z0-9", Alphabet::Upper)]);
    let shape = TokenShape::new(prefix, charset.unwrap_or_default(), length);
    let shape = shape.unwrap_or_else(|error| {
        table.fault(error, "shorten the prefix, or leave `charset` out");
        TokenShape::plain()
    });
    table.finish();
    shape
}
