//! `secrets policy show`: one service in words, and the grants of it.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{check, test::named};
use crate::cli::{
    context::Context,
    envelope::NextAction,
    printer::Outcome,
    report::Report,
    sanitize,
    table::{Table, pairs},
};
use crate::policy::{CapabilityText, PolicySet, Service, ServiceView, Verdict};

/// Shows the service that is called so.
pub(super) fn run(context: &Context, name: &str, source: bool) -> Result<Outcome, Report> {
    let Ok(set) = PolicySet::load(&context.home.policies()) else { return check(context, &[]) };
    let services = named(&set, &[name.to_owned()])?;
    let Some(service) = services.first() else { return Ok(Outcome::Silent) };
    if source {
        let text =
            service.source().map_err(|error| Report::io("read", std::path::Path::new(service.file()), &error))?;
        let result = json!({"file": service.file(), "text": text});
        return Ok(Outcome::Shown { result, human: sanitize::lines(&text), next: vec![] });
    }
    let view = service.view();
    let grants = grants(&set, service);
    let human = format!("{}\n{}", in_words(&view), table(&grants));
    let next = vec![NextAction::new(format!("secrets policy show {name} --source"), "See its file")];
    Ok(Outcome::Shown { result: with_grants(&view, &grants), human, next })
}

/// A service without its grants.
pub(super) fn in_words(view: &ServiceView) -> String {
    format!("{}\n{}\n{}", head(view), hosts(view), capabilities(&view.capabilities))
}

fn head(view: &ServiceView) -> String {
    let mut lines = vec![("service", format!("{} ({})", view.id, view.name))];
    lines.extend((!view.aliases.is_empty()).then(|| ("also", view.aliases.join(", "))));
    lines.push(("file", view.file.clone()));
    lines.extend((!view.params.is_empty()).then(|| ("limits", view.params.join(", "))));
    lines.push(("vectors", view.vectors.to_string()));
    pairs(lines)
}

fn hosts(view: &ServiceView) -> String {
    let mut hosts = Table::new(&["host", "where", "credential"]);
    for host in &view.hosts {
        hosts.row([&*host.name, &host.origins.join(", "), if host.takes_credential { "yes" } else { "never" }]);
    }
    let mut credentials = Table::new(&["credential", "variables", "places"]);
    for credential in &view.credentials {
        credentials.row([&*credential.name, &credential.env.join(", "), &credential.places.join(", ")]);
    }
    format!("{}\n{}", hosts.render("no hosts"), credentials.render("no credentials"))
}

/// Each with its rules below it.
fn capabilities(all: &[CapabilityText]) -> String {
    let mut text = String::new();
    for capability in all {
        let _ = writeln!(
            text,
            "{}",
            sanitize::line(&format!("{} ({}): {}", capability.name, capability.risk, capability.about))
        );
        for rule in &capability.allow {
            let _ = writeln!(text, "  {}", sanitize::line(rule)); // a String takes everything
        }
        for rule in &capability.deny {
            let _ = writeln!(text, "  but not {}", sanitize::line(rule));
        }
    }
    text
}

/// A grant of the service, as it is written.
struct Given {
    place: String,
    secrets: Vec<String>,
    agents: Vec<String>,
    allow: Vec<String>,
    ask: Vec<String>,
}

fn grants(set: &PolicySet, service: &Service) -> Vec<Given> {
    let ours = set.grants().filter(|grant| grant.service() == service.id());
    let given = ours.map(|grant| Given {
        place: grant.place().to_owned(),
        secrets: grant.items().map(|(_, secret)| secret.to_string()).collect(),
        agents: grant.agents(),
        allow: set.capabilities_of(grant, Verdict::Allow),
        ask: set.capabilities_of(grant, Verdict::Ask),
    });
    given.collect()
}

fn with_grants(view: &ServiceView, grants: &[Given]) -> Value {
    let mut result = json!(view);
    let grants = grants.iter().map(|Given { place, secrets, agents, allow, ask }| {
        json!({"place": place, "secrets": secrets, "agents": agents, "allow": allow, "ask": ask})
    });
    if let Some(map) = result.as_object_mut() {
        map.insert("grants".into(), grants.collect());
    }
    result
}

fn table(grants: &[Given]) -> String {
    let mut table = Table::new(&["grant", "secrets", "agents", "allow", "ask"]);
    for Given { place, secrets, agents, allow, ask } in grants {
        let agents = if agents.is_empty() { "any".to_owned() } else { agents.join(", ") };
        table.row([place, &secrets.join(", "), &agents, &allow.join(", "), &ask.join(", ")]);
    }
    table.render("no grant gives it")
}
