//! Reads `[[test]]` out of service files.

use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};
use serde::Deserialize as _;
use serde_json::Value;

use crate::base::RefusalCode;

use super::{
    place::read_place,
    policy::{capability, read_only},
    read::{At, Source, Span, Table},
};
use crate::policy::{
    Command, Push,
    asked::Asked,
    services::{Answer, Expected, Service, Vector},
};

const HOW: &str = "write it like `send = \"GET https://api.example.com/v1/me\"`";

/// Reads every vector; faults stay with the source.
pub(in crate::policy) fn read_vectors(tables: Vec<Table<'_>>, service: &Service) -> Vec<Vector> {
    tables.into_iter().filter_map(|table| read_vector(table, service)).collect()
}

fn read_vector(mut table: Table<'_>, service: &Service) -> Option<Vector> {
    let source = table.source();
    let (line, _) = source.position(table.span().start);
    let send = table.required_text("send");
    let mut headers = table.table("header").map_or_else(HeaderMap::new, read_headers);
    let bodies = [("json", "application/json"), ("form", "application/x-www-form-urlencoded")];
    let mut body: Option<Box<str>> = None;
    for (key, kind) in bodies {
        let Some(text) = table.text(key) else { continue };
        if body.replace(text.value.into()).is_some() {
            source.fault(text.span, "a request has one body", "keep one of `json` and `form`");
        }
        headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(kind));
    }
    if let Some(refs) = table.texts("push") {
        if body.replace(read_push(source, &refs, table.span())).is_some() {
            table.fault("a request has one body", "keep one of `json`, `form` and `push`");
        }
        headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/x-git-receive-pack-request"));
    }
    let place = table.table("at").and_then(read_place);
    let only = table.table("only").map_or_else(Vec::new, |only| read_only(only, service));
    let credential = read_credential(&mut table, service);
    let expected = read_expected(&mut table, service);
    let answer = read_answer(&mut table, expected.as_ref());
    table.finish();
    let send = send?;
    let asked = match send
        .value
        .split_once(' ')
        .ok_or_else(|| "it has no method".to_owned())
        .and_then(|(m, url)| Asked::parse(m, url))
    {
        Ok(asked) => asked,
        Err(error) => {
            source.fault(send.span, format!("`{}` is no request: {error}", send.value.escape_debug()), HOW);
            return None;
        }
    };
    Some(Vector { asked, headers, body, credential: credential?, place, only, expected: expected?, answer, line })
}

/// A push of these refs, as git sends it; `:refs/heads/x` deletes, as in git's own refspecs.
fn read_push(source: &Source, refs: &[At<&str>], span: Span) -> Box<str> {
    let commands = refs.iter().map(|text| {
        let deleted = text.value.strip_prefix(':');
        Command { reference: deleted.unwrap_or(text.value).into(), is_delete: deleted.is_some() }
    });
    let push = Push::of(commands.collect());
    if push.is_none() {
        let span = refs.first().map_or(span, |text| text.span.clone());
        source.fault(span, "a push names refs", "write them like `refs/heads/main`, and `:refs/heads/main` to delete");
    }
    push.map_or_else(Box::default, |push| push.body().into())
}

/// Reads `answer` and `withheld`, which say what a client gets to see of an answer to a request that something gives.
fn read_answer(table: &mut Table<'_>, expected: Option<&Expected>) -> Option<Answer> {
    let source = table.source();
    let has_withheld = table.value("withheld").is_some();
    let withheld = table.texts("withheld").unwrap_or_default();
    let text = table.text("answer");
    if text.is_some() != has_withheld {
        table.fault(
            "`answer` and `withheld` go together",
            "such as `answer = '{\"token\":\"x\"}'` and `withheld = [\"/token\"]`",
        );
    }
    let text = text?;
    if !matches!(expected, None | Some(Expected::Gives(_)))
        || matches!(expected, Some(Expected::Gives(names)) if names.is_empty())
    {
        source.fault(text.span.clone(), "a request that is refused has no answer", "leave `answer` and `withheld` out");
    }
    let document: Option<Value> = serde_json::from_str(text.value).ok();
    if document.is_none() {
        source.fault(text.span.clone(), "`answer` is no JSON", "write it like `'{\"token\":\"x\"}'`");
    }
    let document = document?;
    for pointer in withheld.iter().filter(|pointer| document.pointer(pointer.value).is_none()) {
        let message = format!("`{}` is not in `answer`", pointer.value.escape_debug());
        source.fault(pointer.span.clone(), message, "write JSON pointers, such as `/items/0/token`");
    }
    let mut withheld: Vec<String> = withheld.iter().map(|pointer| pointer.value.to_owned()).collect();
    withheld.sort_unstable();
    Some(Answer { document, withheld })
}

fn read_headers(table: Table<'_>) -> HeaderMap {
    let source = table.source();
    let mut headers = HeaderMap::new();
    for (name, values) in table.all_texts() {
        let parsed = name.value.parse::<HeaderName>().ok();
        let values: Option<Vec<HeaderValue>> = values.iter().map(|value| value.value.parse().ok()).collect();
        let (Some(parsed), Some(values)) = (parsed, values) else {
            source.fault(name.span, format!("`{}` is no header field", name.value.escape_debug()), "");
            continue;
        };
        for value in values {
            headers.append(parsed.clone(), value);
        }
    }
    headers
}

/// The one that is named, or the only one.
fn read_credential(table: &mut Table<'_>, service: &Service) -> Option<Box<str>> {
    let named = table.text("use");
    let found = match &named {
        Some(name) => service.credential(name.value),
        None => service.credentials.first(),
    };
    if let (Some(At { value, span }), None) = (&named, found) {
        let known: Vec<&str> = service.credentials.iter().map(crate::policy::Credential::name).collect();
        let message = format!("there is no `[credential.{}]`", value.escape_debug());
        table.source().fault(span.clone(), message, super::read::expected(value, &known));
    }
    found.map(|credential| credential.name().into())
}

fn read_expected(table: &mut Table<'_>, service: &Service) -> Option<Expected> {
    let source = table.source();
    let gives = table.texts("gives");
    let code = table.text("code");
    match (gives, code) {
        (Some(names), None) => {
            let known = names.iter().filter_map(|name| Some((capability(source, service, name)?, name.value.into())));
            let mut known: Vec<(usize, Box<str>)> = known.collect();
            known.sort(); // as the file declares them
            Some(Expected::Gives(known.into_iter().map(|(_, name)| name).collect()))
        }
        (None, Some(code)) => {
            let word = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(code.value);
            let parsed = RefusalCode::deserialize(word).ok();
            if parsed.is_none() {
                let message = format!("`{}` is no code of a refusal", code.value.escape_debug());
                source.fault(code.span, message, "such as `cap_denied`, `out_of_scope` or `stray_lease`");
            }
            parsed.map(Expected::Refused)
        }
        _ => {
            table.fault(
                "a `[[test]]` has either `gives` or `code`",
                "add `gives = \"read\"` or `code = \"cap_denied\"`",
            );
            None
        }
    }
}
