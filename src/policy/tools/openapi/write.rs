//! The text of the service file.

use std::fmt::Write as _;

use super::{
    Wish,
    kinds::{Judged, Kind},
    operations::Operation,
    rules::{Pattern, denied, patterns},
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

type Judgements = [(Pattern, Judged)];

/// Name, risk and sentence of each.
const CAPABILITIES: [(Kind, &str, &str, &str); 6] = [
    (Kind::Read, "read", "read", "Look"),
    (Kind::Write, "write", "write", "Create and change"),
    (Kind::Pay, "pay", "spend", "Move money, as far as names tell"),
    (Kind::Delete, "delete", "destroy", "Delete"),
    (Kind::Admin, "admin", "admin", "People, rights, billing, webhooks and keys, as far as names tell"),
    (Kind::Secret, "secrets", "secret", "Whatever shows or makes a credential, as far as names tell"),
];

pub(super) fn text(parts: &Parts<'_>) -> String {
    let mut text = format!(
        "# Made from an OpenAPI description. Methods, paths and names are a rough guide to what a call does: move those that\n\
         # only look to `read`, and those that cost money or cannot be undone to capabilities of their own. The words behind\n\
         # a path say why it stands where it does.\n\
         schema = 1\nkind   = \"service\"\nid     = {}\nname   = {}\n",
        quoted(parts.wish.id.as_str()),
        quoted(&one_line(parts.title)),
    );
    hosts(&mut text, parts.servers);
    credentials(&mut text, parts);
    let mut bases: Vec<&str> = parts.servers.iter().map(|server| &*server.base).collect();
    bases.sort_unstable();
    bases.dedup();
    let all = patterns(parts.operations, &bases);
    for capability in CAPABILITIES {
        capability_text(&mut text, &all, capability);
    }
    issue_text(&mut text, &all);
    vectors(&mut text, parts, &all);
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

fn capability_text(text: &mut String, all: &Judgements, (kind, name, risk, about): (Kind, &str, &str, &str)) {
    let allow: Vec<&(Pattern, Judged)> = all.iter().filter(|(_, judged)| judged.kind == kind).collect();
    if allow.is_empty() {
        return;
    }
    let _ = write!(text, "\n[cap.{name}]\nabout = {}\nrisk  = {}\n", quoted(about), quoted(risk));
    let _ = writeln!(text, "allow = [\n{}]", rules(&allow, |judged| judged.why));
    // `/keys/*` would give `/keys/secret` too.
    let deny = denied(all, kind);
    if !deny.is_empty() {
        let _ = writeln!(text, "deny  = [\n{}]", rules(&deny, |judged| Some(name_of(judged.kind))));
    }
}

fn name_of(kind: Kind) -> &'static str {
    CAPABILITIES.iter().find(|(known, ..)| *known == kind).map_or("", |(_, name, ..)| name)
}

/// The rules, one for each method; why a path is among them stands behind it.
fn rules(list: &[&(Pattern, Judged)], why: impl Fn(&Judged) -> Option<&'static str>) -> String {
    by_method(list).into_iter().fold(String::new(), |text, (method, list)| {
        text + &format!("  {{ host = \"api\", method = \"{method}\", path = [\n{}  ] }},\n", paths(&list, &why))
    })
}

fn paths(list: &[&(Pattern, Judged)], why: &impl Fn(&Judged) -> Option<&'static str>) -> String {
    list.iter().fold(String::new(), |text, (pattern, judged)| {
        let why = why(judged).map_or_else(String::new, |why| format!(" # {why}"));
        text + &format!("    {},{why}\n", quoted(&pattern.path))
    })
}

fn by_method<'a>(list: &[&'a (Pattern, Judged)]) -> Vec<(&'static str, Vec<&'a (Pattern, Judged)>)> {
    let mut by_method: Vec<(&'static str, Vec<&(Pattern, Judged)>)> = Vec::new();
    for one in list {
        match by_method.iter_mut().find(|(method, _)| *method == one.0.method) {
            Some((_, list)) => list.push(one),
            None => by_method.push((one.0.method, vec![one])),
        }
    }
    by_method
}

/// Whatever plausibly answers with a fresh credential is refused, until a person has looked.
fn issue_text(text: &mut String, all: &Judgements) {
    let refused: Vec<&(Pattern, Judged)> = all.iter().filter(|(_, judged)| judged.is_refused).collect();
    for (method, list) in by_method(&refused) {
        let _ = write!(
            text,
            "\n# These would hand a fresh credential to the agent, as far as names tell, so they are refused whatever is\n\
             # granted. Take out those whose answers hold none.\n\
             [[issue]]\non   = {{ host = \"api\", method = \"{method}\", path = [\n{}] }}\nthen = \"refuse\"\n",
            paths(&list, &|judged: &Judged| judged.why)
        );
    }
}

/// One that each capability gives, one that hands out a credential, and one that no capability gives.
fn vectors(text: &mut String, parts: &Parts<'_>, all: &Judgements) {
    let Some(server) = parts.servers.first() else { return };
    let host =
        server.params.iter().fold(server.origin.clone(), |host, param| host.replace(&format!("{{{param}}}"), "x"));
    let used = match parts.credentials {
        [_] => String::new(),
        [first, ..] => format!("use   = {}\n", quoted(&first.name)),
        [] => return,
    };
    let mut vector = |method: &str, path: &str, expected: &str| {
        let url = format!("{method} {host}{path}");
        let _ = write!(text, "\n[[test]]\nsend  = {}\n{used}{expected}\n", quoted(&url)); // a String takes everything
    };
    let refused: Vec<&(Pattern, Judged)> = all.iter().filter(|(_, judged)| judged.is_refused).collect();
    for (kind, name, ..) in CAPABILITIES {
        let deny = denied(all, kind);
        let example = |(pattern, judged): &(Pattern, Judged)| {
            let path = pattern.path.replace('*', "x1");
            let is_free =
                judged.kind == kind && !takes(&deny, pattern.method, &path) && !takes(&refused, pattern.method, &path);
            is_free.then_some((pattern.method, path))
        };
        if let Some((method, path)) = all.iter().find_map(example) {
            vector(method, &path, &format!("gives = {}", quoted(name)));
        }
    }
    if let Some((pattern, _)) = refused.first() {
        vector(pattern.method, &pattern.path.replace('*', "x1"), "code  = \"issue_refused\"");
    }
    let mut stranger = "/not-in-the-description/x1".to_owned();
    while takes(&all.iter().collect::<Vec<_>>(), "PATCH", &stranger) {
        stranger.push_str("/x1"); // no pattern is without end
    }
    vector("PATCH", &stranger, "code  = \"cap_denied\"");
}

fn takes(list: &[&(Pattern, Judged)], method: &str, path: &str) -> bool {
    let patterns = list.iter().filter(|(pattern, _)| pattern.method == method);
    patterns
        .filter_map(|(pattern, _)| PathPattern::parse(&pattern.path, &[]).ok())
        .any(|pattern| pattern.matches(path, Reading::Loose, &mut Shown::default()))
}
