//! Reads `[[inject]]` of a service file: where a credential goes, where its lease stands, and when.

use std::sync::Arc;

use crate::{base::ServiceId, recipe::Place};

use super::{
    engine::{read_engine, read_written},
    place::{read_places, read_places_at},
    read::{Span, Table, expected},
    rule::{Names, read_methods},
};
use crate::policy::{
    rules::{InjectRule, When},
    services::{Carries, Inject, Missing},
};

/// Reads every `[[inject]]`; two that fit one request equally well are a fault.
pub(in crate::policy) fn read_injects(file: &mut Table<'_>, names: &Names<'_>, id: &ServiceId) -> Vec<InjectRule> {
    let mut rules: Vec<InjectRule> = Vec::new();
    for mut table in file.tables("inject") {
        let Some(rule) = read_inject(&mut table, names, id) else {
            table.finish();
            continue;
        };
        if rules.iter().any(|other| other.ties_with(&rule)) {
            let message = format!(
                "two `[[inject]]` of `{}` fit the same request, and neither is more literal",
                rule.inject.credential
            );
            table.fault(
                message,
                "give one of them a `when` that is more literal, such as `when = { path = \"/v1/**\" }`",
            );
        }
        table.finish();
        rules.push(rule);
    }
    for (index, block) in names.hosts.iter().enumerate() {
        let shown = |rule: &InjectRule| rule.blocks.contains(&index) && rule.inject.places.iter().any(shows);
        if let Some(span) = block.shows.clone().filter(|_| !rules.iter().any(shown)) {
            let message = format!("no `[[inject]]` shows a client certificate to `[host.{}]`", block.name);
            file.source().fault(span, message, "add one that uses the credential of the type `certificate`");
        }
    }
    rules
}

fn shows(place: &Place) -> bool {
    *place.target() == Place::Handshake
}

fn read_inject(table: &mut Table<'_>, names: &Names<'_>, id: &ServiceId) -> Option<InjectRule> {
    let source = table.source();
    let (blocks, spans) = names.blocks(table, "host");
    for (&block, span) in blocks.iter().zip(&spans) {
        if let Some(never) = names.hosts.get(block).filter(|block| block.carries == Carries::Never) {
            let message = format!("`[host.{}]` never gets a credential", never.name);
            source.fault(span.clone(), message, "leave it out here, or drop its `credential = \"never\"`");
        }
    }
    let using = table.required_text("use");
    let credential = using.as_ref().and_then(|using| {
        let found = names.credentials.iter().find(|credential| *credential.name == *using.value);
        if found.is_none() {
            let known: Vec<&str> = names.credentials.iter().map(crate::policy::Credential::name).collect();
            let message = format!("there is no `[credential.{}]`", using.value.escape_debug());
            source.fault(using.span.clone(), message, expected(using.value, &known));
        }
        found
    });
    let engine = read_engine(table);
    let lease_at = read_lease_at(table);
    let words = [("refuse", Missing::Refuse), ("pass", Missing::Pass), ("inject", Missing::Inject)];
    let missing = table.choice("missing", &words).unwrap_or_default();
    let is_certificate = credential.is_some_and(|credential| credential.is_certificate);
    let (at, written) = if engine.as_ref().is_some_and(|engine| engine.writes_anew) {
        (Vec::new(), read_written(table))
    } else if is_certificate {
        (read_certificate(table, names, &blocks, lease_at.is_some(), missing), Vec::new())
    } else {
        (read_places(table), Vec::new())
    };
    let count = at.len() + written.len();
    let when = table.table("when").map(|inner| read_when(inner, names));
    let can_begin = at.iter().any(Place::can_begin);
    if missing == Missing::Inject && engine.is_none() && !can_begin {
        let message = "`missing = \"inject\"` needs a place that can be written into a request that has none";
        table.fault(message, "list a `header`, `basic`, `query` or `cookie` place");
    }
    let needs_place = engine.as_ref().is_none_or(|engine| !engine.places_itself);
    let tells_none = !table.has("at") || table.is_empty_list("at"); // else what is wrong was told where it stands
    if count == 0 && needs_place && tells_none {
        table.fault(
            "this `[[inject]]` has no usable place",
            "add `at = [{ header = \"authorization\", as = \"Bearer {}\" }]`",
        );
    }
    let at = if engine.is_none() && count > 0 { move_to(table, at, lease_at, missing) } else { at };
    let credential = credential?;
    let (mint, sign) = engine.as_ref().map_or((None, None), |engine| (engine.mint, engine.sign));
    let not_yet = engine.map(|engine| engine.not_yet).or_else(|| credential.not_yet.clone());
    let inject = Inject { service: id.clone(), credential: credential.name.clone(), places: at, missing };
    let when = when.unwrap_or_default();
    Some(InjectRule { blocks, when, inject: Arc::new(inject), not_yet, mint, sign, written })
}

/// Reads `lease_at`: header fields where the lease stands when its credential goes elsewhere.
fn read_lease_at(table: &mut Table<'_>) -> Option<(Vec<Place>, Span)> {
    let source = table.source();
    let span = table.value("lease_at")?.span();
    let places = read_places_at(table, "lease_at");
    if places.is_empty() {
        source.fault(span.clone(), "`lease_at` lists no usable place", "such as `lease_at = [{ header = \"x-key\" }]`");
    }
    if let Some(other) = places.iter().find(|place| !matches!(place, Place::Header { .. })) {
        source.fault(span.clone(), format!("`lease_at` cannot be {other}"), "name a header field");
    }
    Some((places, span))
}

/// Where the lease may stand, each with where its credential goes from there.
fn move_to(table: &Table<'_>, at: Vec<Place>, lease_at: Option<(Vec<Place>, Span)>, missing: Missing) -> Vec<Place> {
    let Some((from, span)) = lease_at else { return at };
    let source = table.source();
    let [to] = at.as_slice() else {
        source.fault(span, "with `lease_at` there is one place in `at`", "keep the one where the credential goes");
        return at;
    };
    if !to.can_begin() {
        let message = format!("`lease_at` cannot move a lease to {to}");
        source.fault(span, message, "use a `header`, `basic`, `query` or `cookie` place");
        return at;
    }
    if missing == Missing::Inject && *to != Place::Handshake {
        let message = "`missing = \"inject\"` and `lease_at` both say how a request without its credential gets it";
        source.fault(span, message, "leave one of them out");
        return at;
    }
    let field = |place: &Place| match place {
        Place::Header { name, .. } => Some(name.clone()),
        Place::Basic { .. } => Some(http::header::AUTHORIZATION),
        _ => None,
    };
    if let Some(same) = from.iter().find(|from| field(from).is_some() && field(from) == field(to)) {
        source.fault(span, format!("`lease_at` and `at` both name {same}"), "leave `lease_at` out");
        return at;
    }
    let moved = from.into_iter().map(|from| Place::Moved { from: from.into(), to: to.clone().into() });
    // Nothing of a request can stand in the handshake, so it can be listed as well.
    let also = (missing == Missing::Inject).then(|| to.clone());
    moved.chain(also).collect()
}

/// Where a client certificate goes: into the handshake with hosts that name it.
fn read_certificate(
    table: &mut Table<'_>,
    names: &Names<'_>,
    blocks: &[usize],
    moves: bool,
    missing: Missing,
) -> Vec<Place> {
    if table.value("at").is_some() {
        table.fault("a client certificate stands in no place of a request", "leave `at` out");
    }
    for block in blocks.iter().filter_map(|block| names.hosts.get(*block)).filter(|block| block.shows.is_none()) {
        let message = format!("`[host.{}]` shows no client certificate", block.name);
        table.fault(message, "add `tls = { client_cert = \"cred.cert\" }` to it");
    }
    if !moves && missing != Missing::Inject {
        let message = "nothing says which requests a client certificate is for";
        table.fault(message, "add `lease_at = [{ header = \"x-lease\" }]`, or `missing = \"inject\"`");
    }
    vec![Place::Handshake]
}

fn read_when(mut when: Table<'_>, names: &Names<'_>) -> When {
    let source = when.source();
    let paths = names.paths(source, when.texts("path").unwrap_or_default());
    let methods = read_methods(&mut when);
    let hosts = when.texts("name").unwrap_or_default();
    let hosts: Vec<_> = hosts.iter().filter_map(|text| source.parse_at(text)).map(|at| at.value).collect();
    when.refuse_empty(&["path", "method", "name"], "the rule never fits");
    if ["path", "method", "name"].iter().all(|key| !when.has(key)) {
        when.fault("`when` says nothing", "add `path`, `method` or `name`, or leave `when` out");
    }
    when.finish();
    When { paths, methods, names: hosts }
}
