//! How requests are authenticated: `securitySchemes` of version 3, `securityDefinitions` of version 2.

use serde_json::Value;

use super::{Notes, document::resolve};

/// A credential and the places where it may stand, as a service file writes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Credential {
    /// Its name.
    pub(super) name: String,
    /// Inline tables.
    pub(super) places: Vec<String>,
}

/// The credential that every kind of bearer token is.
const TOKEN: &str = "token";

/// Each scheme that a proxy can serve; those that send a bearer token are one credential.
pub(super) fn read(document: &Value, notes: &mut Notes) -> Vec<Credential> {
    let schemes = document.pointer("/components/securitySchemes").or_else(|| document.get("securityDefinitions"));
    let mut credentials: Vec<Credential> = Vec::new();
    for (id, scheme) in schemes.and_then(Value::as_object).into_iter().flatten() {
        let Some((name, place)) = resolve(document, scheme).and_then(|scheme| place(id, scheme)) else {
            notes.add(format!("the security scheme `{}`, which is none that a proxy can put in", id.escape_debug()));
            continue;
        };
        match credentials.iter_mut().find(|credential| credential.name == name) {
            Some(known) if !known.places.contains(&place) => known.places.push(place),
            Some(_) => {}
            None => credentials.push(Credential { name, places: vec![place] }),
        }
    }
    credentials
}

fn place(id: &str, scheme: &Value) -> Option<(String, String)> {
    let text = |key: &str| scheme.get(key).and_then(Value::as_str).unwrap_or("");
    let bearer = || (TOKEN.to_owned(), "{ header = \"authorization\", as = \"Bearer {}\" }".to_owned());
    let basic = || (word(id), "{ basic = \"password\" }".to_owned());
    let found = match text("type") {
        "oauth2" | "openIdConnect" => bearer(),
        "basic" => basic(),
        "http" if text("scheme").eq_ignore_ascii_case("bearer") => bearer(),
        "http" if text("scheme").eq_ignore_ascii_case("basic") => basic(),
        "apiKey" => match (text("in"), text("name")) {
            ("header", name) if name.eq_ignore_ascii_case("authorization") => {
                (TOKEN.to_owned(), "{ header = \"authorization\", as = [\"Bearer {}\", \"{}\"] }".to_owned())
            }
            ("header", name) => (word(id), format!("{{ header = {} }}", quoted(&header(name)?))),
            ("query", name) if !name.is_empty() => (word(id), format!("{{ query = {} }}", quoted(name))),
            ("cookie", name) if !name.is_empty() => (word(id), format!("{{ cookie = {} }}", quoted(name))),
            _ => return None,
        },
        _ => return None,
    };
    Some(found)
}

fn header(name: &str) -> Option<String> {
    name.parse::<http::HeaderName>().ok().map(|name| name.to_string())
}

/// A name that a service file takes: lower-case letters, digits and `-`, at most 64.
pub(super) fn word(text: &str) -> String {
    let mut word = String::new();
    let mut before = ' ';
    for c in text.chars() {
        match c {
            'A'..='Z' if before.is_ascii_lowercase() => word.extend(['-', c.to_ascii_lowercase()]),
            _ if c.is_ascii_alphanumeric() => word.push(c.to_ascii_lowercase()),
            _ if !word.is_empty() && !word.ends_with('-') => word.push('-'),
            _ => {}
        }
        before = c;
    }
    word.truncate(64);
    let word = word.trim_end_matches('-');
    if word.is_empty() { "key".to_owned() } else { word.to_owned() }
}

/// A TOML basic string.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
