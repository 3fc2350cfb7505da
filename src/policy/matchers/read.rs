//! Reads the matchers of a rule out of its file.

use http::HeaderName;

use super::{
    Field, Git, Graphql, Grpc, Matchers, Rpc, Values, aws::read_aws, fields::Source, git::Service, json::Pointer,
};
use crate::policy::{
    files::{At, Table, expected},
    rules::Param,
};

/// Reads every matcher beyond host, method and path; faults stay with the source.
pub(in crate::policy) fn read_matchers(rule: &mut Table<'_>, params: &[Param]) -> Matchers {
    let mut fields = Vec::new();
    for (key, source) in KINDS {
        let Some(table) = rule.table(key) else { continue };
        let faults = table.source();
        if table.is_empty() {
            table.fault(
                format!("`{key}` names nothing to look at"),
                format!("leave `{key}` out, or say what it is to be"),
            );
        }
        let empty = table.empty_lists();
        for (name, texts) in table.all_texts() {
            let source = source(name.value).map_err(|error| faults.fault(name.span.clone(), error, "")).ok();
            let values = Values::parse(texts.iter().map(|text| text.value), params);
            let values = values.map_err(|error| faults.fault(first_span(&name, &texts), error, "")).ok();
            if empty.contains(&name.value) {
                let message = format!("`{}` lists nothing, so the rule matches nothing", name.value.escape_debug());
                faults.fault(name.span.clone(), message, "use `**` for any value");
            }
            if let (Some(source), Some(values)) = (source, values) {
                fields.push(Field { source, values });
            }
        }
    }
    let rpc = [rule.table("jsonrpc").map(Rpc::read), rule.table("mcp").map(Rpc::read_mcp)];
    Matchers {
        fields,
        git: read_git(rule),
        aws: read_aws(rule),
        with: Vec::new(),
        graphql: rule.table("graphql").map(Graphql::read),
        grpc: Grpc::read(rule),
        rpc: rpc.into_iter().flatten().collect(),
    }
}

/// Reads `git` with its `ref` and `ref_delete`, and what does not go with it.
fn read_git(rule: &mut Table<'_>) -> Option<Git> {
    let source = rule.source();
    let has_git = rule.value("git").is_some();
    let mut services = Vec::new();
    for text in rule.texts("git").unwrap_or_default() {
        if let Some((_, service)) = Service::WORDS.iter().find(|(word, _)| *word == text.value) {
            services.push(*service);
        } else {
            let words = Service::WORDS.map(|(word, _)| word);
            let message = format!("`git` cannot be `{}`", text.value.escape_debug());
            source.fault(text.span, message, expected(text.value, &words));
        }
    }
    if rule.is_empty_list("git") {
        rule.fault(
            "`git` lists nothing, so the rule matches nothing",
            "write `git = \"fetch\"`, `\"push\"` or `\"lfs\"`",
        );
    }
    let refs = rule.value("ref").map(|_| read_refs(rule));
    let deletes = rule.flag("ref_delete");
    if (refs.is_some() || deletes.is_some()) && services != [Service::Push] {
        let message = "only a push names refs, so `ref` and `ref_delete` stand beside `git = \"push\"` alone";
        rule.fault(message, "write `git = \"push\"`, and a rule of its own for other services");
    }
    if has_git {
        for key in ["method", "upgrade"] {
            if rule.value(key).is_some() {
                rule.fault(format!("`{key}` follows from `git`"), format!("leave `{key}` out"));
            }
        }
        for path in rule.texts("path").unwrap_or_default() {
            let ends = [".git", "/info/refs", "/git-upload-pack", "/git-receive-pack", "/objects/batch", "/git-*-pack"];
            if let Some(end) = ends.iter().find(|end| path.value.ends_with(**end)) {
                let message = "with `git`, `path` is the repository, with or without `.git` in the request";
                source.fault(path.span, message, format!("leave `{end}` out of it"));
            }
        }
    }
    has_git.then_some(Git { services, refs, deletes })
}

fn read_refs(rule: &mut Table<'_>) -> Values {
    let source = rule.source();
    let texts = rule.texts("ref").unwrap_or_default();
    for text in &texts {
        let problem = match text.value {
            ref_ if ref_.contains(['{', '}']) => "takes globs and shows no parameter",
            ref_ if !ref_.starts_with("refs/") && !ref_.starts_with('*') => {
                "can match nothing: refs begin with `refs/`"
            }
            _ => continue,
        };
        let message = format!("`{}` {problem}", text.value.escape_debug());
        source.fault(text.span.clone(), message, "write it like `refs/heads/agent/**` or `refs/tags/*`");
    }
    if rule.is_empty_list("ref") {
        rule.fault("`ref` lists nothing, so the rule matches nothing", "leave `ref` out for all refs");
    }
    let values = Values::parse(texts.iter().filter(|text| !text.value.contains('{')).map(|text| text.value), &[]);
    values.unwrap_or_else(|error| {
        source.fault(texts.first().map_or(0..0, |text| text.span.clone()), error, "");
        Values::default()
    })
}

fn first_span(name: &At<&str>, texts: &[At<&str>]) -> std::ops::Range<usize> {
    texts.first().map_or_else(|| name.span.clone(), |text| text.span.clone())
}

type Kind = (&'static str, fn(&str) -> Result<Source, String>);

const KINDS: [Kind; 4] = [
    ("query", |name| named(name).map(Source::Query)),
    ("header", |name| {
        let parsed = name.parse::<HeaderName>();
        parsed.map(Source::Header).map_err(|_| format!("`{}` is no header name", name.escape_debug()))
    }),
    ("json", |pointer| Pointer::parse(pointer).map(Source::Json)),
    ("form", |name| named(name).map(Source::Form)),
];

fn named(name: &str) -> Result<Box<str>, String> {
    if name.is_empty() || name.contains(char::is_control) {
        return Err(format!("`{}` is no usable name", name.escape_debug()));
    }
    Ok(name.into())
}
