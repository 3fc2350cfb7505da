//! Reads `mint`, `sign` and `login` of an `[[inject]]`: what must be made before anything can be written.

use std::sync::Arc;

use http::HeaderName;

use crate::base::TimeToLive;

use super::{
    place::NEVER,
    read::{At, Span, Table, expected},
    rule::read_size,
};
use crate::policy::rules::Written;

const GRANTS: [&str; 7] =
    ["refresh_token", "client_credentials", "password", "jwt_bearer", "jwt", "github_app", "login"];

const SCHEMES: [&str; 9] =
    ["sigv4", "oauth1", "httpsig", "wsse", "azure-sharedkey", "edgegrid", "digest", "hmac", "ed25519"];

/// What must be made before anything can be written.
pub(super) struct Engine {
    pub(super) mint: Option<&'static str>,
    pub(super) sign: Option<&'static str>,
    /// The places hold texts of its own rather than the credential.
    pub(super) writes_anew: bool,
    /// It needs no list of places.
    pub(super) places_itself: bool,
    pub(super) not_yet: Arc<str>,
}

/// Reads the one of them that is there.
pub(super) fn read_engine(table: &mut Table<'_>) -> Option<Engine> {
    let source = table.source();
    let present: Vec<&str> = ["mint", "sign", "login"].into_iter().filter(|key| table.has(key)).collect();
    if let [first, second, ..] = present.as_slice() {
        let message =
            format!("an `[[inject]]` has one of `mint`, `sign` and `login`, not both `{first}` and `{second}`");
        table.fault(message, format!("leave `{second}` out"));
    }
    let not_yet = |span: Span, what: &str| source.not_yet(span, format_args!("`{what}` of `[[inject]]`"));
    let mint = table.table("mint").map(|mint| (mint.span(), read_mint(mint)));
    let sign = table.table("sign").map(|sign| (sign.span(), read_sign(sign)));
    let login = table.table("login").map(|login| (login.span(), read_login(login)));
    if let Some((span, scheme)) = sign {
        let (not_yet, writes_anew) = (not_yet(span, "sign"), true);
        let places_itself = !matches!(scheme, Some("hmac" | "ed25519"));
        return Some(Engine { mint: None, sign: scheme, writes_anew, places_itself, not_yet });
    }
    if let Some((span, grant)) = mint {
        let not_yet = not_yet(span, "mint");
        return Some(Engine { mint: grant, sign: None, writes_anew: false, places_itself: false, not_yet });
    }
    let (span, ()) = login?;
    Some(Engine { mint: None, sign: None, writes_anew: false, places_itself: true, not_yet: not_yet(span, "login") })
}

fn choose(table: &mut Table<'_>, key: &'static str, words: &[&'static str]) -> Option<&'static str> {
    let pairs: Vec<(&str, &'static str)> = words.iter().map(|word| (*word, *word)).collect();
    table.required_text(key)?;
    table.choice(key, &pairs)
}

fn read_mint(mut mint: Table<'_>) -> Option<&'static str> {
    let grant = choose(&mut mint, "grant", &GRANTS);
    for key in ["url", "scope", "audience", "cookie"] {
        mint.text(key);
    }
    mint.choice("alg", &[("RS256", ()), ("ES256", ()), ("EdDSA", ()), ("HS256", ())]);
    mint.choice("client", &[("body", ()), ("basic", ()), ("private_key_jwt", ())]);
    mint.choice("body", &[("form", ()), ("json", ())]);
    for key in ["ttl", "refresh_before"] {
        mint.parsed::<TimeToLive>(key);
    }
    mint.flag("rotates");
    for key in ["narrow", "extra", "expires"] {
        if let Some(inner) = mint.table(key) {
            inner.all_texts();
        }
    }
    for key in ["request", "take"] {
        for inner in mint.tables_or_one(key) {
            inner.all_texts();
        }
    }
    mint.finish();
    grant
}

fn read_sign(mut sign: Table<'_>) -> Option<&'static str> {
    let scheme = choose(&mut sign, "scheme", &SCHEMES);
    sign.choice("lease", &[("verify", ())]);
    sign.choice("scope", &[("from-request", ())]);
    let source = sign.source();
    for text in sign.texts("payload").unwrap_or_default() {
        let words = ["hashed", "unsigned", "streaming"];
        if !words.contains(&text.value) {
            let message = format!("`payload` cannot be `{}`", text.value.escape_debug());
            source.fault(text.span, message, expected(text.value, &words));
        }
    }
    sign.choice("presigned", &[("refuse", ()), ("resign", ())]);
    sign.parsed::<TimeToLive>("max_skew");
    sign.choice("alg", &[("sha1", ()), ("sha256", ()), ("sha512", ())]);
    sign.text("key");
    sign.choice("key_encoding", &[("base64", ()), ("base64url", ()), ("hex", ()), ("text", ())]);
    if let Some(text) = sign.text("text") {
        check_pieces(&sign, &text);
    }
    read_size(&mut sign, "body_max");
    sign.finish();
    scheme
}

fn read_login(mut login: Table<'_>) {
    let source = login.source();
    for (key, words) in [
        ("accept", &["scram-sha-256", "md5", "cleartext-on-loopback"][..]),
        ("upstream", &["scram-sha-256", "md5", "cleartext"][..]),
    ] {
        for text in login.texts(key).unwrap_or_default() {
            if !words.contains(&text.value) {
                let message = format!("`{key}` cannot be `{}`", text.value.escape_debug());
                source.fault(text.span, message, expected(text.value, words));
            }
        }
    }
    login.finish();
}

/// Places whose texts are made of pieces.
pub(super) fn read_written(table: &mut Table<'_>) -> Vec<Written> {
    let source = table.source();
    let mut written = Vec::new();
    for mut place in table.tables("at") {
        let header = place.text("header");
        let query = place.text("query");
        if let Some(header) = &header
            && header.value.parse::<HeaderName>().map_or(true, |name| NEVER.contains(&name.as_str()))
        {
            let message = format!("`{}` cannot carry a signature", header.value.escape_debug());
            source.fault(header.span.clone(), message, "name an end-to-end header");
        }
        if header.is_some() == query.is_some() {
            place.fault(
                "where `sign` writes there is either a `header` or a `query`",
                "such as `{ header = \"x-sign\", as = \"{sig.hex}\" }`",
            );
        }
        if let Some(text) = place.required_text("as") {
            check_pieces(&place, &text);
            let (place, name) = header.map_or(("query", query), |header| ("header", Some(header)));
            let name = name.map_or("", |name| name.value).to_owned();
            let name = if place == "header" { name.to_ascii_lowercase() } else { name };
            written.push(Written { place, name, text: text.value.to_owned() });
        }
        place.finish();
    }
    written
}

/// The pieces that texts of `sign` are made of; one that ends in a dot takes a name.
const PIECES: [&str; 24] = [
    "method",
    "host",
    "path",
    "target",
    "query",
    "query.sorted",
    "body",
    "body.sha1",
    "body.sha256",
    "body.sha512",
    "body.sha256.hex",
    "body.sha256.base64",
    "body.sha512.hex",
    "body.md5.base64",
    "header.",
    "ts.unix",
    "ts.unix_ms",
    "ts.iso",
    "ts.http",
    "nonce",
    "cred.",
    "sig.hex",
    "sig.base64",
    "sig.base64url",
];

fn check_pieces(table: &Table<'_>, text: &At<&str>) {
    let mut rest = text.value;
    while let Some((_, after)) = rest.split_once('{') {
        let Some((piece, after)) = after.split_once('}') else {
            table.source().fault(text.span.clone(), "a `{` has no `}`", "");
            return;
        };
        let known = |known: &str| {
            piece == known || (known.ends_with('.') && piece.len() > known.len() && piece.starts_with(known))
        };
        if !PIECES.iter().any(|piece| known(piece)) {
            let message = format!("`{{{}}}` is no piece of a signature", piece.escape_debug());
            table.source().fault(text.span.clone(), message, expected(piece, &PIECES));
        }
        rest = after;
    }
}
