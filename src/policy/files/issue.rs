//! Reads `[[issue]]` and `[scrub]` of a service file.

use std::sync::Arc;

use super::{
    read::{At, Table},
    rule::{Names, read_rule},
};
use crate::policy::services::{FieldPath, Fields, Issue, Then};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Answer,
    Capture,
    Refuse,
    Scrub,
}

const WORDS: [(&str, Word); 4] =
    [("answer", Word::Answer), ("capture", Word::Capture), ("refuse", Word::Refuse), ("scrub", Word::Scrub)];

/// Reads every `[[issue]]`.
pub(in crate::policy) fn read_issues(file: &mut Table<'_>, names: &Names<'_>) -> Vec<Issue> {
    file.tables("issue").into_iter().filter_map(|table| read_issue(table, names)).collect()
}

fn read_issue(mut table: Table<'_>, names: &Names<'_>) -> Option<Issue> {
    let source = table.source();
    let on = table.table("on").map(|on| read_rule(on, names, true));
    if on.is_none() && !table.has("on") {
        let fix = "add `on = { host = \"api\", method = \"POST\", path = \"/v1/keys\" }`";
        table.fault("this `[[issue]]` has no `on`", fix);
    }
    let word = table.required_text("then");
    let then = word.as_ref().and_then(|_| table.choice("then", &WORDS));
    let takes = table.has("take");
    let fields: Vec<FieldPath> = table.tables("take").into_iter().filter_map(read_take).collect();
    let gives = table.table("give").map(read_give).is_some();
    let from = table.table("lease_from").map(read_lease_from).is_some();
    let (word, then) = (word?, then?);
    let belongs = |key: &str, is_there: bool, fits: bool| {
        if is_there && !fits {
            table.fault(format!("`{key}` does not go with `then = \"{}\"`", word.value), format!("leave `{key}` out"));
        }
    };
    belongs("take", takes, matches!(then, Word::Capture | Word::Scrub));
    belongs("give", gives, then == Word::Answer);
    belongs("lease_from", from, then == Word::Answer);
    if takes != matches!(then, Word::Capture | Word::Scrub) && !takes {
        table.fault(
            format!("`then = \"{}\"` does not say which fields", word.value),
            "add `take = [{ json = \"/access_token\" }]`",
        );
    }
    if then == Word::Scrub && takes && fields.is_empty() && !source.has_faults() {
        table.fault("only fields of JSON can be scrubbed", "write `take = [{ json = \"/token\" }]`");
    }
    table.finish();
    let then = match then {
        Word::Refuse => Then::Refuse,
        Word::Scrub => Then::Scrub(Arc::new(Fields::new(fields))),
        Word::Answer | Word::Capture => {
            let what = format!("`then = \"{}\"`", word.value);
            let instead =
                "until then such a request is refused; `then = \"scrub\"` lets it through without the fields in `take`";
            Then::NotYet(source.not_yet_but(word.span, what, instead))
        }
    };
    Some(Issue { on: on?, then })
}

/// The field of one entry, if it is a field of JSON.
fn read_take(mut take: Table<'_>) -> Option<FieldPath> {
    let json = take.text("json");
    let field = json.as_ref().and_then(|text| read_field(&take, text));
    let others: Vec<At<&str>> = ["form", "aws_credentials"].into_iter().filter_map(|key| take.text(key)).collect();
    if usize::from(json.is_some()) + others.len() != 1 {
        take.fault(
            "an entry of `take` has one of `json`, `form` and `aws_credentials`",
            "such as `{ json = \"/access_token\" }`",
        );
    }
    for text in others.iter().filter(|text| text.value.is_empty()) {
        take.source().fault(text.span.clone(), "a field needs a name", "");
    }
    if let Some(mut expires) = take.table("expires") {
        if let Some(text) = expires.required_text("json") {
            read_field(&expires, &text);
        }
        expires.choice("unit", &[("seconds", ()), ("unix", ()), ("unix_ms", ()), ("iso", ())]);
        expires.finish();
    }
    take.choice("inside", &[("base64-basic", ()), ("base64", ())]);
    take.text("to");
    take.finish();
    field
}

fn read_field(table: &Table<'_>, text: &At<&str>) -> Option<FieldPath> {
    table.source().parse_at::<FieldPath>(text).map(|at| at.value)
}

fn read_give(mut give: Table<'_>) {
    match give.table("json") {
        Some(json) => drop(json.all_texts()),
        None => give.fault("`give` has no `json`", "write `give = { json = { token = \"{lease}\" } }`"),
    }
    give.finish();
}

fn read_lease_from(mut from: Table<'_>) {
    let places: Vec<_> = ["form", "json", "header"].into_iter().filter_map(|key| from.text(key)).collect();
    if places.len() != 1 {
        from.fault(
            "`lease_from` has one of `form`, `json` and `header`",
            "such as `{ form = \"assertion\", jwt = \"lease-key\" }`",
        );
    }
    from.choice("jwt", &[("lease-key", ())]);
    from.finish();
}

/// Reads `[scrub]`: fields that no answer of the service shows.
pub(in crate::policy) fn read_scrub(file: &mut Table<'_>) -> Arc<Fields> {
    let Some(mut scrub) = file.table("scrub") else { return Arc::default() };
    let source = scrub.source();
    let texts = scrub.texts("json").unwrap_or_default();
    if texts.is_empty() {
        scrub.fault("`[scrub]` lists nothing", "add `json = [\"/**/download_url\"]`, or leave it out");
    }
    let fields = texts.iter().filter_map(|text| source.parse_at::<FieldPath>(text)).map(|at| at.value).collect();
    scrub.finish();
    Arc::new(Fields::new(fields))
}
