//! Reads rules and `[cap.NAME]` of a service file.

use crate::base::parse_byte_size;

use super::read::{At, Source, Span, Table, expected};
use crate::policy::{
    matchers::{Attribute, Matchers, Peek, read_matchers},
    rules::{Param, PathPattern, Protocol, Rule},
    services::{Capability, Carries, Credential, HostBlock, Risk},
};

/// What the blocks of a file may refer to.
pub(in crate::policy) struct Names<'a> {
    pub(in crate::policy) hosts: &'a [HostBlock],
    pub(in crate::policy) params: &'a [Param],
    pub(in crate::policy) attributes: &'a [Attribute],
    pub(in crate::policy) credentials: &'a [Credential],
}

/// Reads every capability.
pub(in crate::policy) fn read_capabilities(file: &mut Table<'_>, names: &Names<'_>) -> Vec<Capability> {
    let mut capabilities = Vec::new();
    for (name, mut table) in file.named("cap") {
        let about = table.required_text("about").map_or("", |about| about.value).into();
        let risk = table.required_text("risk").and_then(|_| table.choice("risk", &Risk::WORDS));
        let allow: Vec<Rule> = table.tables("allow").into_iter().map(|rule| read_rule(rule, names, false)).collect();
        let deny = table.tables("deny").into_iter().map(|rule| read_rule(rule, names, true)).collect();
        let show = read_show(&mut table);
        if allow.is_empty() {
            table.fault(
                format!("`[cap.{}]` allows nothing", name.value),
                "add `allow = [{ method = \"GET\", path = \"/v1/**\" }]`",
            );
        }
        table.finish();
        let risk = risk.unwrap_or(Risk::Secret);
        capabilities.push(Capability { name: name.value.into(), about, risk, allow, deny, show });
    }
    capabilities
}

/// The JSON pointers that prompts quote; plain ones, so that each names one value.
fn read_show(table: &mut Table<'_>) -> Vec<Box<str>> {
    let source = table.source();
    let mut show = Vec::new();
    for text in table.texts("show").unwrap_or_default() {
        let tilde = text.value.replace("~0", "").replace("~1", "").contains('~');
        if !text.value.starts_with('/') || text.value.contains(['*', '\0']) || tilde {
            let message = format!("`{}` is no JSON pointer to one value", text.value.escape_debug());
            source.fault(text.span, message, "write it like `/amount` or `/items/0/name`");
        } else {
            show.push(text.value.into());
        }
    }
    show
}

/// Reads one rule; what takes away has no `with`.
pub(in crate::policy) fn read_rule(mut table: Table<'_>, names: &Names<'_>, is_deny: bool) -> Rule {
    let source = table.source();
    let blocks = if table.value("host").is_some() {
        names.blocks(&mut table, "host").0
    } else {
        let carrying = names.hosts.iter().enumerate().filter(|(_, block)| block.carries == Carries::Lease);
        carrying.map(|(index, _)| index).collect()
    };
    let hosts = table.texts("name").unwrap_or_default();
    let hosts = hosts.iter().filter_map(|text| source.parse_at(text)).map(|at| at.value).collect();
    let methods = read_methods(&mut table);
    let has_paths = table.value("path").is_some();
    let paths = names.paths(source, table.texts("path").unwrap_or_default());
    table.refuse_empty(&["name", "method", "path"], "the rule matches nothing");
    let protocol = table.choice("upgrade", &[("websocket", Protocol::WebSocket)]).unwrap_or_default();
    let mut matchers = read_matchers(&mut table, names.params);
    matchers.with = names.with(&mut table, is_deny);
    let paths = if has_paths { paths } else { matchers.paths().to_vec() };
    let body_max = read_body_max(&mut table, &matchers, is_deny);
    if protocol == Protocol::WebSocket && matchers.needs_body() {
        let message =
            "nobody looks into the messages of a WebSocket, so a rule with `upgrade` cannot say what they hold";
        table.fault(message, "leave `upgrade` out, or what looks into bodies");
    }
    let never = read_database(&mut table);
    table.finish();
    Rule { blocks, names: hosts, methods, paths, protocol, matchers, body_max, never }
}

/// Reads `body_max`: how long a body may be that a rule lets pass, and how far a rule looks into one.
fn read_body_max(table: &mut Table<'_>, matchers: &Matchers, is_deny: bool) -> Option<usize> {
    let At { value, span } = read_size(table, "body_max")?;
    let source = table.source();
    if matchers.needs_body() && value > Peek::LIMIT {
        let message = "a body that rules look into can have 16 MiB at most";
        source.fault(span, message, "write `body_max = \"16MiB\"`");
    } else if is_deny && !matchers.may_look() {
        let message = "`body_max` bounds what a rule lets pass, and this one takes away whatever the length";
        source.fault(span, message, "leave it out");
    }
    Some(value)
}

const GIVES_NOTHING: &str = "until then the rule gives nothing; leave it out, or keep it for a later version";

/// Reads `database` and `session`, which belong to raw hosts; a rule that has one gives nothing yet.
fn read_database(table: &mut Table<'_>) -> bool {
    let source = table.source();
    let mut never = false;
    if let Some(database) = table.value("database") {
        table.texts("database");
        source.not_yet_but(database.span(), "`database` of a rule", GIVES_NOTHING);
        never = true;
    }
    if let Some(session) = table.table("session") {
        source.not_yet_but(session.span(), "`session` of a rule", GIVES_NOTHING);
        session.all_texts();
        never = true;
    }
    never
}

pub(in crate::policy) fn read_methods(table: &mut Table<'_>) -> Vec<Box<str>> {
    let source = table.source();
    let mut methods = Vec::new();
    for method in table.texts("method").unwrap_or_default() {
        if method.value.is_empty() || !method.value.bytes().all(|b| b.is_ascii_uppercase() || b == b'-') {
            source.fault(
                method.span.clone(),
                format!("`{}` is no method", method.value.escape_debug()),
                "methods are upper-case, such as `GET`",
            );
        }
        methods.push(method.value.into());
    }
    methods
}

pub(in crate::policy) fn read_size(table: &mut Table<'_>, key: &'static str) -> Option<At<usize>> {
    let text = table.text(key)?;
    // A bare number reads like any other amount, and would be a thousand times less than what was meant.
    let has_unit = text.value.ends_with('B');
    let size = parse_byte_size(text.value).filter(|_| has_unit).and_then(|size| usize::try_from(size).ok());
    if size.is_none() {
        let message = format!("`{}` is no size", text.value.escape_debug());
        table.source().fault(text.span.clone(), message, "write it with its unit, like `64KiB` or `500B`");
    }
    size.map(|value| At { value, span: text.span })
}

impl Names<'_> {
    /// Indices of the host blocks that a key names.
    pub(in crate::policy) fn blocks(&self, table: &mut Table<'_>, key: &'static str) -> (Vec<usize>, Vec<Span>) {
        let source = table.source();
        if table.value(key).is_none() || table.is_empty_list(key) {
            let what = if table.has(key) { "lists nothing" } else { "is missing" };
            table.fault(format!("`{key}` {what}"), format!("add `{key} = \"api\"`, naming a `[host.NAME]`"));
        }
        let mut found = (Vec::new(), Vec::new());
        for text in table.texts(key).unwrap_or_default() {
            if let Some(index) = self.hosts.iter().position(|block| *block.name == *text.value) {
                found.0.push(index);
                found.1.push(text.span);
            } else {
                let known: Vec<&str> = self.hosts.iter().map(|block| &*block.name).collect();
                let message = format!("there is no `[host.{}]`", text.value.escape_debug());
                source.fault(text.span, message, expected(text.value, &known));
            }
        }
        found
    }

    /// The parameters that a rule wants to see.
    fn with(&self, rule: &mut Table<'_>, is_deny: bool) -> Vec<Attribute> {
        let source = rule.source();
        let mut with = Vec::new();
        for text in rule.texts("with").unwrap_or_default() {
            let found = self.attributes.iter().find(|attribute| *attribute.param == *text.value);
            if let Some(attribute) = found.filter(|_| !is_deny) {
                with.push(attribute.clone());
                continue;
            }
            let name = text.value.escape_debug();
            let message = if is_deny {
                "`with` belongs to `allow` rules".to_owned()
            } else {
                format!("there is no `[param.{name}]` with `from`, so no request shows `{name}` by itself")
            };
            source.fault(text.span, message, "leave it out, or name a parameter that has `from = \"aws.…\"`");
        }
        with
    }

    pub(in crate::policy) fn paths(&self, source: &Source, texts: Vec<At<&str>>) -> Vec<PathPattern> {
        let mut paths = Vec::new();
        for text in texts {
            match PathPattern::parse(text.value, self.params) {
                Ok(path) => paths.push(path),
                Err(error) => source.fault(text.span, error, ""),
            }
        }
        paths
    }
}
