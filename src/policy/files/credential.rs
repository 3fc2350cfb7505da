//! Reads `[credential.NAME]` of a service file.

use std::{
    collections::HashSet,
    sync::{Arc, LazyLock},
};

use crate::{
    base::{VariableName, is_hostile},
    recipe::TokenShape,
    trust,
};

use super::{
    check::read_check,
    place::read_shape,
    read::{At, Source, Span, Table, expected, is_name},
};
use crate::policy::{
    rules::ValuePattern,
    services::{Accept, Credential, OnUnauthorized},
};

/// What a credential is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// One secret text.
    Token,
    /// Named texts, of which one is the secret.
    Fields,
    /// A client certificate with its key, in PEM.
    Certificate,
    /// Something that must be exchanged or used for signing first.
    Made,
}

const KINDS: [(&str, Kind); 9] = [
    ("token", Kind::Token),
    ("login", Kind::Fields),
    ("fields", Kind::Fields),
    ("aws", Kind::Made),
    ("oauth2", Kind::Made),
    ("github_app", Kind::Made),
    ("gcp_service_account", Kind::Made),
    ("keypair", Kind::Made),
    ("certificate", Kind::Certificate),
];

const FIELD_WORDS: [&str; 4] = ["public", "secret", "public?", "secret?"];

/// A credential, and where its check stands.
pub(in crate::policy) fn read_credential(name: &At<&str>, mut table: Table<'_>) -> (Credential, Option<Span>) {
    let source = table.source();
    let word = table.required_text("type");
    let kind = word.as_ref().and_then(|_| table.choice("type", &KINDS)).unwrap_or(Kind::Token);
    table.text("about");
    let mut not_yet = None;
    let note =
        |span: &Span, what: &str| source.not_yet(span.clone(), format_args!("{what} of `[credential.{}]`", name.value));
    if let Some(word) = word.as_ref().filter(|_| kind == Kind::Made) {
        not_yet = Some(note(&word.span, &format!("`type = \"{}\"`", word.value)));
    }
    if let Some((fields, span)) = read_fields(&mut table, name)
        && kind == Kind::Fields
        && fields != 1
    {
        not_yet = Some(note(&span, "more than one secret in `fields`"));
    }
    if kind == Kind::Certificate && table.has("fields") {
        let message = "a credential of the type `certificate` has one value: certificate and key in PEM";
        table.fault(message, "leave `fields` out; `cred.cert` is the whole of it");
    }
    let (env, beside) = read_env(&mut table, name);
    if let Some(file) = table.table("file") {
        let span = file.span();
        for (variable, texts) in file.all_texts() {
            check_variable(source, &variable);
            for text in texts.iter().filter(|text| text.value.is_empty() || text.value.contains(['/', '\0'])) {
                source.fault(
                    text.span.clone(),
                    "a file that is written for an agent has a plain name",
                    "leave out folders",
                );
            }
        }
        note(&span, "`file`");
    }
    if let Some(scopes) = table.texts("scopes")
        && let Some(first) = scopes.first()
        && kind != Kind::Made
    {
        let message = "`scopes` belongs to credentials that are exchanged for a token";
        source.fault(first.span.clone(), message, "leave it out");
    }
    let mut accept = Accept::default();
    if let Some(mut inner) = table.table("accept") {
        accept.prefixes = inner.texts("prefix").unwrap_or_default().iter().map(|prefix| prefix.value.into()).collect();
        accept.length = inner.count("length", 65_536).map(|at| at.value);
        accept.charset = inner.parsed::<ValuePattern>("charset").map(|at| at.value);
        inner.finish();
    }
    let shape = table.table("lease").map_or_else(TokenShape::plain, |lease| read_lease(lease, kind));
    let check = table.table("check").and_then(read_check);
    let words = [("pass", OnUnauthorized::Pass), ("rotate", OnUnauthorized::Rotate)];
    let on_unauthorized = table.choice("on_401", &words).unwrap_or_default();
    table.finish();
    let (check, span) = check.map_or((None, None), |check| (Some(check.value), Some(check.span)));
    let is_certificate = kind == Kind::Certificate;
    let name = name.value.into();
    (Credential { name, env, beside, accept, shape, check, on_unauthorized, is_certificate, not_yet }, span)
}

/// How many of the fields are secret and needed.
fn read_fields(table: &mut Table<'_>, name: &At<&str>) -> Option<(usize, Span)> {
    let fields = table.table("fields")?;
    let (source, span) = (fields.source(), fields.span());
    let mut secrets = 0;
    for (field, words) in fields.all_texts() {
        if !is_name(field.value) {
            let message = format!("`{}` is no usable name", field.value.escape_debug());
            source.fault(field.span.clone(), message, "names are lower-case letters, digits, `-` and `_`");
        }
        match words.as_slice() {
            [word] if FIELD_WORDS.contains(&word.value) => secrets += usize::from(word.value == "secret"),
            [word] => {
                let message = format!("`{}` cannot be `{}`", field.value.escape_debug(), word.value.escape_debug());
                source.fault(word.span.clone(), message, expected(word.value, &FIELD_WORDS));
            }
            _ => {
                let fix = format!("write `{} = \"secret\"` or `\"public\"`", field.value.escape_debug());
                source.fault(field.span, "a field has one word", fix);
            }
        }
    }
    if secrets == 0 {
        let message = format!("`[credential.{}]` has no field that is `secret`", name.value);
        source.fault(span.clone(), message, "write `password = \"secret\"`");
    }
    Some((secrets, span))
}

/// Variables, each with its text.
type Texts = Vec<(Box<str>, Box<str>)>;

/// The variables that get the token, a list of names or a table with `{lease}` for their value, and those of the table
/// that have a text of their own.
fn read_env(table: &mut Table<'_>, name: &At<&str>) -> (Vec<Box<str>>, Texts) {
    let source = table.source();
    if !table.value("env").is_some_and(|value| value.get_ref().is_table()) {
        let variables = table.texts("env").unwrap_or_default();
        for variable in &variables {
            check_variable(source, variable);
        }
        return (variables.into_iter().map(|variable| variable.value.into()).collect(), Vec::new());
    }
    let (mut env, mut beside) = (Vec::new(), Vec::new());
    let Some(inner) = table.table("env") else { return (env, beside) };
    let (span, mut unwritten) = (inner.span(), 0);
    for (variable, texts) in inner.all_texts() {
        check_variable(source, &variable);
        match texts.as_slice() {
            [text] if text.value == "{lease}" => env.push(variable.value.into()),
            [text] if text.value.contains(['{', '}']) => {
                let what = format!(
                    "`{}` as the value of a variable of `[credential.{}]`",
                    text.value.escape_debug(),
                    name.value
                );
                source.not_yet(text.span.clone(), what);
                unwritten += 1;
            }
            [text] if text.value.len() > MAX_TEXT || text.value.contains(is_hostile) => {
                let message = format!("the text of `{}` is not one line of at most {MAX_TEXT} bytes", variable.value);
                source.fault(text.span.clone(), message, "write a shorter one, without control characters");
            }
            [text] => beside.push((variable.value.into(), text.value.into())),
            _ => source.fault(variable.span, "a variable has one value", "write `NAME = \"{lease}\"`"),
        }
    }
    if env.is_empty() && unwritten == 0 {
        let message = format!("no variable of `[credential.{}]` holds its token", name.value);
        source.fault(span, message, "write `NAME = \"{lease}\"` for the one that tools look in");
    }
    (env, beside)
}

/// The longest text of a variable beside the token's, in bytes.
const MAX_TEXT: usize = 1024;

fn check_variable(source: &Source, variable: &At<&str>) {
    const FIX: &str = "write it like `OPENAI_API_KEY`";
    match variable.value.parse::<VariableName>() {
        Err(why) => source.fault(variable.span.clone(), why, FIX),
        Ok(name) if name.is_obeyed() || leads_clients(name.as_str()) => {
            source.fault(
                variable.span.clone(),
                format!("programs obey `{name}`, so that no file of a service may set it"),
                FIX,
            );
        }
        Ok(_) => {}
    }
}

/// Whether it is one of those that lead clients to the proxy and make them trust it.
fn leads_clients(name: &str) -> bool {
    static NAMES: LazyLock<HashSet<&'static str>> =
        LazyLock::new(|| trust::variables().iter().flat_map(|variable| &variable.names).map(String::as_str).collect());
    NAMES.contains(name)
}

/// The shape of the token; of a lease with parts nothing is made yet.
fn read_lease(mut lease: Table<'_>, kind: Kind) -> TokenShape {
    if kind != Kind::Made {
        return read_shape(lease);
    }
    if !["id", "secret", "key", "keep"].into_iter().any(|key| lease.has(key)) {
        return read_shape(lease);
    }
    for key in ["id", "secret"] {
        let Some(mut part) = lease.table(key) else { continue };
        part.text("prefix");
        part.count("length", TokenShape::MAX_LENGTH);
        part.choice("charset", &[("base62", ()), ("hex", ()), ("A-Z0-9", ())]);
        part.finish();
    }
    lease.choice("key", &[("rsa-2048", ()), ("ec-p256", ()), ("ed25519", ())]);
    lease.texts("keep");
    lease.finish();
    TokenShape::plain()
}

/// What is told of a credential from which no lease can be made yet.
pub(in crate::policy) fn none_yet(
    credential: &Credential,
    injects: &[(Arc<str>, Option<Arc<str>>)],
) -> Option<Arc<str>> {
    if credential.not_yet.is_some() {
        return credential.not_yet.clone();
    }
    let mut rules = injects.iter().filter(|(name, _)| *name == credential.name).map(|(_, not_yet)| not_yet);
    let first = rules.next()?.clone()?;
    rules.all(Option::is_some).then_some(first)
}
