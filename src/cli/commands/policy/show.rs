//! `secrets policy show`: one service in words, and the grants of it.

use std::fmt::Write as _;

use serde::Serialize;
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
use crate::{
    base::TimeToLive,
    policy::{CapabilityText, PolicySet, Service, ServiceView, Verdict},
};

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
    let human = format!("{}\n{}", in_words(&view), listed(&grants));
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
        let beside = credential.beside.iter().map(|(variable, text)| format!("{variable}={text}"));
        let variables: Vec<String> = credential.env.iter().cloned().chain(beside).collect();
        credentials.row([&*credential.name, &variables.join(", "), &credential.places.join(", ")]);
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

/// A grant of the service, as it is written; an empty list of agents, projects or environments is any.
#[derive(Serialize)]
struct Given {
    place: String,
    secrets: Vec<String>,
    agents: Vec<String>,
    projects: Vec<String>,
    environments: Vec<String>,
    nobody: bool,
    allow: Vec<String>,
    ask: Vec<String>,
    only: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<TimeToLive>,
    limits: Vec<String>,
    #[serde(skip_serializing_if = "Answers::is_default")]
    approve: Answers,
}

/// How a grant says that a person is asked; what it leaves out is as configured, or as the risk has it.
#[derive(Serialize)]
struct Answers {
    #[serde(skip_serializing_if = "Option::is_none")]
    within: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remember: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quorum: Option<String>,
}

impl Answers {
    const fn is_default(&self) -> bool {
        self.within.is_none() && self.remember.is_none() && self.quorum.is_none()
    }
}

fn grants(set: &PolicySet, service: &Service) -> Vec<Given> {
    let ours = set.grants().filter(|grant| grant.service() == service.id());
    let given = ours.map(|grant| Given {
        place: grant.place().to_owned(),
        secrets: grant.items().map(|(_, secret)| secret.to_string()).collect(),
        agents: grant.agents(),
        projects: grant.projects(),
        environments: grant.environments(),
        nobody: grant.is_for_nobody(),
        allow: set.capabilities_of(grant, Verdict::Allow),
        ask: set.capabilities_of(grant, Verdict::Ask),
        only: grant.only().collect(),
        ttl: grant.ttl(),
        limits: grant.limits().map(ToString::to_string).collect(),
        approve: Answers {
            within: grant.approve().within.map(|within| within.to_string()),
            remember: grant.approve().remember.map(|remember| remember.to_string()),
            quorum: grant.approve().quorum.map(|people| people.to_string()),
        },
    });
    given.collect()
}

fn with_grants(view: &ServiceView, grants: &[Given]) -> Value {
    let mut result = json!(view);
    if let Some(map) = result.as_object_mut() {
        map.insert("grants".into(), json!(grants));
    }
    result
}

/// One below the other: what they say does not fit side by side.
fn listed(grants: &[Given]) -> String {
    if grants.is_empty() {
        return "no grant gives it\n".to_owned();
    }
    grants.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn one(grant: &Given) -> String {
    let any = |names: &[String]| if names.is_empty() { "any".to_owned() } else { names.join(", ") };
    let mut lines = vec![
        ("grant", grant.place.clone()),
        ("secrets", grant.secrets.join(", ")),
        ("agents", whom(&grant.agents, grant.nobody)),
        ("projects", any(&grant.projects)),
        ("environments", any(&grant.environments)),
    ];
    let lists = [("allow", &grant.allow), ("ask", &grant.ask), ("limits", &grant.limits)];
    lines
        .extend(lists.into_iter().filter(|(_, names)| !names.is_empty()).map(|(word, names)| (word, names.join(", "))));
    lines.extend(grant.only.iter().map(|only| ("within", only.clone())));
    lines.extend(grant.ttl.map(|ttl| ("ttl", ttl.to_string())));
    let answers =
        [("within", &grant.approve.within), ("remember", &grant.approve.remember), ("quorum", &grant.approve.quorum)];
    let answers = answers.map(|(word, time)| time.as_ref().map(|time| format!("{word} {time}")));
    let answers: Vec<String> = answers.into_iter().flatten().collect();
    lines.extend((!answers.is_empty()).then(|| ("approve", answers.join(", "))));
    pairs(lines)
}

/// The agents of a grant in words.
pub(super) fn whom(agents: &[String], nobody: bool) -> String {
    match agents {
        _ if nobody => "nobody".to_owned(),
        [] => "any".to_owned(),
        agents => agents.join(", "),
    }
}
