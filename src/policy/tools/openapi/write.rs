//! The text of the service file.

use std::fmt::Write as _;

use super::{
    Wish,
    operations::{Kind, Operation},
    schemes::{Credential, quoted},
    servers::Server,
};
use crate::policy::rules::{PathPattern, Reading, Shown};

/// Everything that goes into it.
pub(super) struct Parts<'a> {
    pub(super) wish: &'a Wish,
    pub(super) title: &'a str,
    pub(super) servers: &'a [Server],
    pub(super) operations: &'a [Operation],
    pub(super) credentials: &'a [Credential],
}

const CAPABILITIES: [(Kind, &str, &str, &str); 4] = [
    (Kind::Read, "read", "read", "Look"),
    (Kind::Write, "write", "write", "Create and change"),
    (Kind::Delete, "delete", "destroy", "Delete"),
    (Kind::Secret, "secrets", "secret", "Whatever answers with a credential, as far as the description tells"),
];

pub(super) fn text(parts: &Parts<'_>) -> String {
    let mut text = format!(
        "# Made from an OpenAPI description. Methods are a rough guide to what a call does: move those that only look to\n\
         # `read`, and those that cost money or cannot be undone to capabilities of their own.\n\
         schema = 1\nkind   = \"service\"\nid     = {}\nname   = {}\n",
        quoted(parts.wish.id.as_str()),
        quoted(&one_line(parts.title)),
    );
    hosts(&mut text, parts.servers);
    credentials(&mut text, parts);
    for capability in CAPABILITIES {
        capability_text(&mut text, parts, capability);
    }
    vectors(&mut text, parts);
    text
}

fn one_line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

fn hosts(text: &mut String, servers: &[Server]) {
    let mut params: Vec<&String> = servers.iter().flat_map(|server| &server.params).collect();
    params.sort_unstable();
    params.dedup();
    for param in params {
        let _ = write!(text, "\n[param.{param}]\nabout = \"a label of the host\"\n"); // a String takes everything
    }
    let mut origins: Vec<String> = servers.iter().map(|server| quoted(&server.origin)).collect();
    origins.dedup();
    let _ = write!(text, "\n[host.api]\norigin = [{}]\n", origins.join(", "));
}

fn credentials(text: &mut String, parts: &Parts<'_>) {
    let several = parts.credentials.len() > 1;
    for credential in parts.credentials {
        let env: Vec<String> = match &*parts.wish.env {
            [] => vec![quoted(&variable(parts.wish.id.as_str(), &credential.name, several))],
            named if several => {
                named.iter().take(1).map(|name| quoted(&format!("{name}_{}", upper(&credential.name)))).collect()
            }
            named => named.iter().map(|name| quoted(name)).collect(),
        };
        let _ = write!(text, "\n[credential.{}]\ntype = \"token\"\nenv  = [{}]\n", credential.name, env.join(", "));
        let places = credential.places.join(", ");
        let _ = write!(text, "\n[[inject]]\nhost = \"api\"\nuse  = {}\nat   = [{places}]\n", quoted(&credential.name));
    }
}

fn variable(id: &str, credential: &str, several: bool) -> String {
    let name = if several { credential } else { "api_key" };
    let variable = format!("{}_{}", upper(id), upper(name));
    if variable.starts_with(|c: char| c.is_ascii_digit()) { format!("API_{variable}") } else { variable }
}

fn upper(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

/// The paths of each method, each below the paths of every server.
fn paths(parts: &Parts<'_>, kind: Kind) -> Vec<(&'static str, Vec<String>)> {
    let mut bases: Vec<&str> = parts.servers.iter().map(|server| &*server.base).collect();
    bases.sort_unstable();
    bases.dedup();
    let mut by_method: Vec<(&'static str, Vec<String>)> = Vec::new();
    for operation in parts.operations.iter().filter(|operation| operation.kind == kind) {
        let full = bases.iter().map(|base| format!("{base}{}", operation.path));
        match by_method.iter_mut().find(|(method, _)| *method == operation.method) {
            Some((_, paths)) => paths.extend(full),
            None => by_method.push((operation.method, full.collect())),
        }
    }
    for (_, paths) in &mut by_method {
        paths.sort_unstable();
        paths.dedup();
    }
    by_method
}

fn capability_text(text: &mut String, parts: &Parts<'_>, (kind, name, risk, about): (Kind, &str, &str, &str)) {
    let allow = paths(parts, kind);
    if allow.is_empty() {
        return;
    }
    let _ = write!(text, "\n[cap.{name}]\nabout = {}\nrisk  = {}\n", quoted(about), quoted(risk));
    let _ = writeln!(text, "allow = [\n{}]", rules(&allow));
    // `/keys/*` would give `/keys/secret` too.
    let mut deny = paths(parts, Kind::Secret);
    deny.retain(|(method, _)| allow.iter().any(|(other, _)| other == method));
    if kind != Kind::Secret && !deny.is_empty() {
        let _ = writeln!(text, "deny  = [\n{}]", rules(&deny));
    }
}

fn rules(by_method: &[(&'static str, Vec<String>)]) -> String {
    by_method.iter().fold(String::new(), |text, (method, paths)| {
        let paths: Vec<String> = paths.iter().map(|path| format!("    {}", quoted(path))).collect();
        text + &format!("  {{ host = \"api\", method = \"{method}\", path = [\n{},\n  ] }},\n", paths.join(",\n"))
    })
}

/// One that each capability gives, and one that none does.
fn vectors(text: &mut String, parts: &Parts<'_>) {
    let Some(server) = parts.servers.first() else { return };
    let host =
        server.params.iter().fold(server.origin.clone(), |host, param| host.replace(&format!("{{{param}}}"), "x"));
    let used = match parts.credentials {
        [_] => String::new(),
        [first, ..] => format!("use   = {}\n", quoted(&first.name)),
        [] => return,
    };
    let secret = paths(parts, Kind::Secret);
    for (kind, name, ..) in CAPABILITIES {
        let all = paths(parts, kind);
        let mut examples =
            all.iter().flat_map(|(method, paths)| paths.iter().map(move |path| (*method, path.replace('*', "x1"))));
        let Some((method, path)) =
            examples.find(|(method, path)| kind == Kind::Secret || !is_given(&secret, method, path))
        else {
            continue;
        };
        let url = format!("{method} {host}{path}");
        let _ = write!(text, "\n[[test]]\nsend  = {}\n{used}gives = {}\n", quoted(&url), quoted(name));
    }
    let stranger = format!("PATCH {host}/not-in-the-description/x1");
    let _ = write!(text, "\n[[test]]\nsend  = {}\n{used}code  = \"cap_denied\"\n", quoted(&stranger));
}

fn is_given(by_method: &[(&'static str, Vec<String>)], method: &str, path: &str) -> bool {
    let patterns = by_method.iter().filter(|(other, _)| *other == method).flat_map(|(_, paths)| paths);
    patterns
        .filter_map(|pattern| PathPattern::parse(pattern, &[]).ok())
        .any(|pattern| pattern.matches(path, Reading::Loose, &mut Shown::default()))
}
