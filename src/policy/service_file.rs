//! Reads files of kind `service`.
//!
//! Invariant: a service that is returned has no fault; names in it refer to what it declares.

use std::sync::Arc;

use crate::{
    base::{HostPattern, Scheme, ServiceId, parse_byte_size},
    recipe::TokenShape,
};

use super::{
    check_file::{judge_check, read_check},
    credential::{Accept, Credential, OnUnauthorized},
    glob::ValuePattern,
    matchers::{Attribute, Peek, read_attribute, read_matchers},
    path::EncodedSlash,
    path_pattern::{Param, PathPattern},
    place_file::{read_places, read_shape},
    read::{At, Source, Span, Table, expected},
    rule::{Protocol, Rule},
    service::{Capability, Carries, HostBlock, Inject, InjectRule, Missing, OriginPattern, Risk, Service},
    vector_file::read_vectors,
};

/// Reads the service that a file describes; `None` when it has faults, which stay with the source.
pub(super) fn read_service(mut file: Table<'_>) -> Option<Service> {
    let source = file.source();
    let id = file.required_text("id").and_then(|id| {
        if !super::read::is_name(id.value) {
            source.fault(
                id.span.clone(),
                format!("`{}` is no usable id", id.value.escape_debug()),
                "ids are lower-case letters, digits, `-` and `_`",
            );
        }
        source.parse_at::<ServiceId>(&id)
    });
    let name = file.required_text("name").map(|name| name.value.into());
    let aliases = file.texts("aliases").unwrap_or_default().iter().map(|alias| alias.value.into()).collect();
    let hosts = read_hosts(&mut file);
    let (params, attributes) = read_params(&mut file);
    let credentials = file.named("credential").into_iter().map(|(name, table)| read_credential(&name, table));
    let (credentials, checks): (Vec<Credential>, Vec<Option<Span>>) = credentials.unzip();
    let names = Names { hosts: &hosts, params: &params, attributes: &attributes, credentials: &credentials };
    let id = id.map_or_else(|| "x".parse().ok(), |id| Some(id.value))?;
    let injects = read_injects(&mut file, &names, &id);
    let capabilities = read_capabilities(&mut file, &names);
    let vectors = file.tables("test");
    if hosts.is_empty() {
        file.fault("the service has no `[host.NAME]`", "add `[host.api]` with its `origin`");
    }
    file.finish();
    let mut service = Service {
        id,
        name: name?,
        aliases,
        file: source.file().clone(),
        hosts,
        params,
        attributes,
        credentials,
        injects,
        capabilities,
        vectors: Vec::new(),
    };
    service.vectors = read_vectors(vectors, &service);
    for (credential, check) in service.credentials.iter().zip(checks) {
        if let Some(span) = check {
            judge_check(source, &service, &credential.name, span);
        }
    }
    (!source.has_faults()).then_some(service)
}

/// What the blocks of a file may refer to.
struct Names<'a> {
    hosts: &'a [HostBlock],
    params: &'a [Param],
    attributes: &'a [Attribute],
    credentials: &'a [Credential],
}

fn read_hosts(file: &mut Table<'_>) -> Vec<HostBlock> {
    let source = file.source();
    let mut blocks: Vec<HostBlock> = Vec::new();
    for (name, mut table) in file.named("host") {
        if table.value("origin").is_none() {
            table.fault(
                format!("`[host.{}]` has no `origin`", name.value),
                "add `origin = \"https://api.example.com\"`",
            );
        }
        let mut origins: Vec<OriginPattern> = Vec::new();
        for text in table.texts("origin").unwrap_or_default() {
            let Some(origin) = read_origin(source, &text) else { continue };
            let tie = |other: &&OriginPattern| other.overlaps(&origin) && other.pattern.rank() == origin.pattern.rank();
            let mut before = blocks.iter().map(|block| (&*block.name, &block.origins)).chain([(name.value, &origins)]);
            let tied = before.find_map(|(name, all)| Some(format!("`{}` of `[host.{name}]`", all.iter().find(tie)?)));
            drop(before);
            if let Some(other) = tied {
                let message = format!("`{origin}` ties with {other}: neither is more particular");
                let fix = "make one of them more literal, or put both into one block once";
                source.fault(text.span.clone(), message, fix);
            }
            origins.push(origin);
        }
        let except = table.texts("except").unwrap_or_default();
        let except = except.iter().filter_map(|text| source.parse_at::<HostPattern>(text)).map(|at| at.value).collect();
        let carries =
            table.choice("credential", &[("lease", Carries::Lease), ("never", Carries::Never)]).unwrap_or_default();
        let slash = table.choice("encoded_slash", &[("keep", EncodedSlash::Keep), ("refuse", EncodedSlash::Refuse)]);
        table.finish();
        blocks.push(HostBlock { name: name.value.into(), origins, except, carries, slash: slash.unwrap_or_default() });
    }
    blocks
}

fn read_origin(source: &Source, text: &At<&str>) -> Option<OriginPattern> {
    let fix = "write it like `https://api.example.com`, `https://*.example.com` or `https://api.example.com:8443`";
    let wrong = |message: &dyn std::fmt::Display| source.fault(text.span.clone(), message, fix);
    let split = match text.value.split_once("://") {
        Some(("https", rest)) => Some((Scheme::Https, rest)),
        Some(("http", rest)) => Some((Scheme::Http, rest)),
        _ => None,
    };
    let Some((scheme, rest)) = split else {
        wrong(&format!("`{}` is no origin", text.value.escape_debug()));
        return None;
    };
    let (host, port) = match rest.split_once(':') {
        Some((host, port)) => (host, port.parse().ok().filter(|port| *port != 0)),
        None => (rest, Some(scheme.default_port())),
    };
    let Some(port) = port else {
        wrong(&format!("`{}` has no usable port", text.value.escape_debug()));
        return None;
    };
    host.parse().map_err(|error| wrong(&error)).ok().map(|pattern| OriginPattern { scheme, pattern, port })
}

fn read_params(file: &mut Table<'_>) -> (Vec<Param>, Vec<Attribute>) {
    let (mut params, mut attributes) = (Vec::new(), Vec::new());
    for (name, mut table) in file.named("param") {
        table.text("about");
        let pattern = table.parsed::<ValuePattern>("pattern").map(|at| at.value);
        let segments = table.count("segments", 8).map_or(1, |at| at.value);
        attributes.extend(read_attribute(name.value, &mut table));
        table.finish();
        params.push(Param { name: name.value.into(), pattern, segments });
    }
    (params, attributes)
}

/// A credential, and where its check stands.
fn read_credential(name: &At<&str>, mut table: Table<'_>) -> (Credential, Option<Span>) {
    let source = table.source();
    if table.required_text("type").is_some() {
        table.choice("type", &[("token", ())]);
    }
    table.text("about");
    let mut env: Vec<Box<str>> = Vec::new();
    for variable in table.texts("env").unwrap_or_default() {
        let usable = !variable.value.is_empty()
            && !variable.value.starts_with(|c: char| c.is_ascii_digit())
            && variable.value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !usable {
            source.fault(
                variable.span.clone(),
                format!("`{}` is no variable name", variable.value.escape_debug()),
                "write it like `OPENAI_API_KEY`",
            );
        }
        env.push(variable.value.into());
    }
    let mut accept = Accept::default();
    if let Some(mut inner) = table.table("accept") {
        accept.prefixes = inner.texts("prefix").unwrap_or_default().iter().map(|prefix| prefix.value.into()).collect();
        accept.length = inner.count("length", 65_536).map(|at| at.value);
        accept.charset = inner.parsed::<ValuePattern>("charset").map(|at| at.value);
        inner.finish();
    }
    let shape = table.table("lease").map_or_else(TokenShape::plain, read_shape);
    let check = table.table("check").and_then(read_check);
    let words = [("pass", OnUnauthorized::Pass), ("rotate", OnUnauthorized::Rotate)];
    let on_unauthorized = table.choice("on_401", &words).unwrap_or_default();
    table.finish();
    let (check, span) = check.map_or((None, None), |check| (Some(check.value), Some(check.span)));
    (Credential { name: name.value.into(), env, accept, shape, check, on_unauthorized }, span)
}

fn read_injects(file: &mut Table<'_>, names: &Names<'_>, id: &ServiceId) -> Vec<InjectRule> {
    let source = file.source();
    let mut rules: Vec<InjectRule> = Vec::new();
    for mut table in file.tables("inject") {
        let (blocks, spans) = names.blocks(&mut table, "host");
        for (&block, span) in blocks.iter().zip(&spans) {
            if let Some(never) = names.hosts.get(block).filter(|block| block.carries == Carries::Never) {
                source.fault(
                    span.clone(),
                    format!("`[host.{}]` never gets a credential", never.name),
                    "leave it out here, or drop its `credential = \"never\"`",
                );
            }
        }
        let Some(using) = table.required_text("use") else { continue };
        let credential = names.credentials.iter().find(|credential| *credential.name == *using.value);
        if credential.is_none() {
            let known: Vec<&str> = names.credentials.iter().map(Credential::name).collect();
            source.fault(
                using.span.clone(),
                format!("there is no `[credential.{}]`", using.value.escape_debug()),
                expected(using.value, &known),
            );
        }
        let places = read_places(&mut table);
        let when = table.table("when").map_or_else(Vec::new, |mut inner| {
            let paths = names.paths(source, inner.texts("path").unwrap_or_default());
            inner.finish();
            paths
        });
        let missing =
            table.choice("missing", &[("refuse", Missing::Refuse), ("pass", Missing::Pass)]).unwrap_or_default();
        let tie = |rule: &&InjectRule| {
            *rule.inject.credential == *using.value
                && rule.when.is_empty() == when.is_empty()
                && rule.blocks.iter().any(|block| blocks.contains(block))
        };
        if rules.iter().any(|rule| tie(&rule)) {
            let message = format!("two `[[inject]]` of `{}` fit the same host and path", using.value);
            table.fault(message, "per credential and host there is at most one with `when` and one without");
        }
        let span = table.span();
        table.finish();
        if let Some(credential) = credential {
            let inject = Inject { service: id.clone(), credential: credential.name.clone(), places, missing };
            if inject.places.is_empty() {
                source.fault(
                    span,
                    "this `[[inject]]` has no usable place",
                    "add `at = [{ header = \"authorization\", as = \"Bearer {}\" }]`",
                );
            }
            rules.push(InjectRule { blocks, when, inject: Arc::new(inject) });
        }
    }
    rules
}

fn read_capabilities(file: &mut Table<'_>, names: &Names<'_>) -> Vec<Capability> {
    let mut capabilities = Vec::new();
    for (name, mut table) in file.named("cap") {
        let about = table.required_text("about").map_or("", |about| about.value).into();
        let risk = table.required_text("risk").and_then(|_| table.choice("risk", &Risk::WORDS));
        let allow: Vec<Rule> = table.tables("allow").into_iter().map(|rule| read_rule(rule, names, false)).collect();
        let deny = table.tables("deny").into_iter().map(|rule| read_rule(rule, names, true)).collect();
        if allow.is_empty() {
            table.fault(
                format!("`[cap.{}]` allows nothing", name.value),
                "add `allow = [{ method = \"GET\", path = \"/v1/**\" }]`",
            );
        }
        table.finish();
        let risk = risk.unwrap_or(Risk::Secret);
        capabilities.push(Capability { name: name.value.into(), about, risk, allow, deny });
    }
    capabilities
}

fn read_rule(mut table: Table<'_>, names: &Names<'_>, is_deny: bool) -> Rule {
    let source = table.source();
    let blocks = if table.value("host").is_some() {
        names.blocks(&mut table, "host").0
    } else {
        let carrying = names.hosts.iter().enumerate().filter(|(_, block)| block.carries == Carries::Lease);
        carrying.map(|(index, _)| index).collect()
    };
    let hosts = table.texts("name").unwrap_or_default();
    let hosts = hosts.iter().filter_map(|text| source.parse_at(text)).map(|at| at.value).collect();
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
    let has_paths = table.value("path").is_some();
    let paths = names.paths(source, table.texts("path").unwrap_or_default());
    for (key, list_is_empty) in
        [("path", has_paths && paths.is_empty()), ("method", table.value("method").is_some() && methods.is_empty())]
    {
        if list_is_empty {
            table.fault(
                format!("`{key}` lists nothing, so the rule matches nothing"),
                format!("leave `{key}` out to match all"),
            );
        }
    }
    let protocol = table.choice("upgrade", &[("websocket", Protocol::WebSocket)]).unwrap_or_default();
    let mut matchers = read_matchers(&mut table, names.params);
    matchers.with = names.with(&mut table, is_deny);
    let paths = if has_paths { paths } else { matchers.paths().to_vec() };
    let body_max = read_size(&mut table, "body_max");
    if let Some(size) = body_max.as_ref().filter(|size| matchers.needs_body() && size.value > Peek::LIMIT) {
        source.fault(
            size.span.clone(),
            "a body that rules look into can have 16 MiB at most",
            "write `body_max = \"16MiB\"`",
        );
    }
    let body_max = body_max.map(|at| at.value);
    table.finish();
    Rule { blocks, names: hosts, methods, paths, protocol, matchers, body_max }
}

fn read_size(table: &mut Table<'_>, key: &'static str) -> Option<At<usize>> {
    let text = table.text(key)?;
    let size = parse_byte_size(text.value).and_then(|size| usize::try_from(size).ok());
    if size.is_none() {
        let message = format!("`{}` is no size", text.value.escape_debug());
        table.source().fault(text.span.clone(), message, "write it like `64KiB` or `8MiB`");
    }
    size.map(|value| At { value, span: text.span })
}

impl Names<'_> {
    /// Indices of the host blocks that a key names.
    fn blocks(&self, table: &mut Table<'_>, key: &'static str) -> (Vec<usize>, Vec<Span>) {
        let source = table.source();
        if table.value(key).is_none() {
            table.fault(format!("`{key}` is missing"), format!("add `{key} = \"api\"`, naming a `[host.NAME]`"));
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

    fn paths(&self, source: &Source, texts: Vec<At<&str>>) -> Vec<PathPattern> {
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
