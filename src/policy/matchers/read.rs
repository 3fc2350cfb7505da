//! Reads the matchers of a rule out of its file.

use http::HeaderName;

use super::{
    super::{
        path_pattern::Param,
        read::{At, Table},
    },
    Field, Graphql, Grpc, Matchers, Rpc, Values,
    fields::Source,
    json::Pointer,
};

/// Reads every matcher beyond host, method and path; faults stay with the source.
pub(in crate::policy) fn read_matchers(rule: &mut Table<'_>, params: &[Param]) -> Matchers {
    let mut fields = Vec::new();
    for (key, source) in KINDS {
        let Some(table) = rule.table(key) else { continue };
        let faults = table.source();
        for (name, texts) in table.all_texts() {
            let source = source(name.value).map_err(|error| faults.fault(name.span.clone(), error, "")).ok();
            let values = Values::parse(texts.iter().map(|text| text.value), params);
            let values = values.map_err(|error| faults.fault(first_span(&name, &texts), error, "")).ok();
            if values.as_ref().is_some_and(Values::is_empty) {
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
        graphql: rule.table("graphql").map(Graphql::read),
        grpc: Grpc::read(rule),
        rpc: rpc.into_iter().flatten().collect(),
    }
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
