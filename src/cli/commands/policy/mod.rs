//! `secrets policy`: what would be allowed and why, what is known, checking files, and reading them again.

mod accept;
mod diff;
mod dump;
mod explain;
mod lint;
mod new;
mod prove;
mod record;
mod show;
mod test;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::quorum;
use crate::cli::{
    context::{Context, absolute},
    envelope::NextAction,
    exit::ExitStatus,
    printer::Outcome,
    report::Report,
    sanitize,
    table::Table,
};
use crate::{
    base::counted,
    control::{ListPolicy, PolicyFault, PolicyList, ReloadPolicy},
    policy::{self, Finding, LoadErrors, PolicySet},
    project::Project,
};

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Make a service that a project proposes (`[[propose]]`) one of one's own
    Accept(accept::Arguments),
    /// Check policy files and the project's own; needs no daemon and changes nothing
    Check {
        /// Folders of services and grants, or project files [default: the home's folder, and the nearest .secrets.toml]
        #[arg(value_name = "PATH")]
        paths: Vec<PathBuf>,
    },
    /// Show which past requests another set of policy files would decide otherwise; needs no daemon
    ///
    /// The requests are those of the audit log that carried a lease, each in the project and on the environment of its
    /// session. What the log does not hold, queries and bodies, counts as unread; what projects took away is left out on
    /// both sides.
    Diff(diff::Arguments),
    /// List where each service takes its credential, one record per place; needs no daemon
    Dump {
        /// Ids, names or aliases of services [default: every service]
        #[arg(value_name = "SERVICE")]
        services: Vec<String>,
        /// Print the records as JSON, as with --output json
        #[arg(long)]
        json: bool,
    },
    /// Show every layer's verdict on one request
    ///
    /// Neither a secret nor a lease has to be in it. What rules look at beyond method and URL is given as to curl: fields
    /// of the head by -H, the body by -d or --data-file, its kind by the `content-type` that -H says.
    Explain(explain::Arguments),
    /// Look for what is legal in the files and odd: capabilities that overlap, rules that can never be used
    Lint {
        /// Ids, names or aliases of services [default: those of the home's own files, and those that grants name]
        #[arg(value_name = "SERVICE")]
        services: Vec<String>,
        /// Every service, shipped ones too
        #[arg(long, conflicts_with = "services")]
        all: bool,
    },
    /// List services and grants as they are in force
    List,
    /// Write a service file: for one host and one token, or out of an OpenAPI description; needs no daemon
    New(new::Arguments),
    /// Prove that a secret never reaches some requests, or show one that it does; needs no daemon
    ///
    /// The claim is about every agent, project, query and body. Values that `secrets lease` prints are no part of it.
    Prove {
        /// secret NAME never reaches [method METHOD,…] [path PATTERN] [on host HOST]
        #[arg(value_name = "CLAIM", required = true)]
        claim: Vec<String>,
    },
    /// Run a program, or look at a session of the past, and write what it needed as a project's `need`
    ///
    /// Observing grants nothing: what policy refuses is refused, and listed as wanted.
    Record(record::Arguments),
    /// Read the policy files again; a faulty set changes nothing
    Reload,
    /// Show one service: hosts, credentials, capabilities with their rules, and the grants of it; needs no daemon
    Show {
        /// Its id, name or alias
        service: String,
        /// Print its file instead
        #[arg(long)]
        source: bool,
    },
    /// Run the vectors of services; needs no daemon and changes nothing
    Test {
        /// Ids, names or aliases of services [default: every service]
        #[arg(value_name = "SERVICE")]
        services: Vec<String>,
    },
}

impl Arguments {
    /// What an act that needs no daemon does; `None` for the others.
    pub(super) fn offline(&self, context: &Context) -> Option<Result<Outcome, Report>> {
        match &self.act {
            Act::Check { paths } => Some(check(context, paths)),
            Act::Dump { services, .. } => Some(dump::run(context, services)),
            Act::Lint { services, all } => Some(lint::run(context, services, *all)),
            Act::New(arguments) => Some(new::run(context, arguments)),
            Act::Prove { claim } => Some(prove::run(context, claim)),
            Act::Show { service, source } => Some(show::run(context, service, *source)),
            Act::Test { services } => Some(test::run(context, services)),
            Act::Accept(_) | Act::Diff(_) | Act::Explain(_) | Act::List | Act::Record(_) | Act::Reload => None,
        }
    }

    /// Whether its own flag asks for JSON.
    pub(in crate::cli) const fn wants_json(&self) -> bool {
        matches!(self.act, Act::Dump { json: true, .. })
    }

    pub(in crate::cli) const fn name(&self) -> &'static str {
        match self.act {
            Act::Accept(_) => "secrets policy accept",
            Act::Check { .. } => "secrets policy check",
            Act::Diff(_) => "secrets policy diff",
            Act::Dump { .. } => "secrets policy dump",
            Act::Explain(_) => "secrets policy explain",
            Act::Lint { .. } => "secrets policy lint",
            Act::List => "secrets policy list",
            Act::New(_) => "secrets policy new",
            Act::Prove { .. } => "secrets policy prove",
            Act::Record(_) => "secrets policy record",
            Act::Reload => "secrets policy reload",
            Act::Show { .. } => "secrets policy show",
            Act::Test { .. } => "secrets policy test",
        }
    }
}

pub(super) async fn run(context: &mut Context, arguments: &Arguments) -> Result<Outcome, Report> {
    match &arguments.act {
        Act::Explain(arguments) => explain::run(context, arguments).await,
        Act::Accept(arguments) => accept::run(context, arguments).await,
        Act::Diff(arguments) => diff::run(context, arguments).await,
        Act::List => {
            let list = context.call(ListPolicy {}, None).await?;
            Ok(Outcome::Shown { human: listed(&list), result: json!(list), next: vec![] })
        }
        Act::Record(arguments) => record::run(context, arguments).await,
        Act::Reload => reload(context).await,
        _ => arguments.offline(context).unwrap_or(Ok(Outcome::Silent)),
    }
}

/// A folder of that name: of one that is not there nothing could narrow, and grants would seem to fit.
fn folder(path: &Path) -> Result<PathBuf, Report> {
    let path = absolute(path)?;
    let found = path.metadata().map_err(|error| Report::io("look at", &path, &error))?;
    if found.is_dir() {
        return Ok(path);
    }
    let fix = format!("ls -ld {}", sanitize::shell_word(&path.display().to_string()));
    Err(Report::misuse(format!("`{}` is no folder", path.display()), fix))
}

/// Loads the files as the daemon would, and shows every fault of every file.
fn check(context: &Context, paths: &[PathBuf]) -> Result<Outcome, Report> {
    let own = context.home.policies();
    let mut paths = paths.to_vec();
    if paths.is_empty() {
        paths.push(own.clone());
        paths.extend(accept::nearest(&context.folder));
    }
    let (mut faults, mut notes, mut proposed) = (Vec::<PolicyFault>::new(), Vec::new(), Vec::new());
    let (mut ignored, mut warnings) = (Vec::new(), Vec::new());
    for path in &paths {
        let path = absolute(path)?;
        // The home's own folder need not be there; a path that was named has to.
        if path != own {
            path.metadata().map_err(|error| Report::io("look at", &path, &error))?;
        }
        let is_project = path.is_file() || path.file_name().is_some_and(|name| name == Project::NARROWING);
        if !is_project {
            ignored.extend(policy::ignored_files(&path));
        }
        let found = if is_project { check_project(&own, &path, &mut proposed) } else { PolicySet::load(&path) };
        match found {
            Ok(set) => {
                notes.extend(set.not_yet().map(fault));
                if path == own {
                    warnings = quorum::unfillable(context, &set);
                }
            }
            Err(errors) => {
                // A project's file needs the home's own, whose faults are told once.
                let new = errors.faults().iter().map(fault).filter(|fault| !faults.contains(fault));
                faults.extend(new.collect::<Vec<_>>());
            }
        }
    }
    let message = match faults.as_slice() {
        [] => return Ok(without_fault(&paths, &notes, proposed, &ignored, &warnings)),
        [one] => format!("{}: {}", one.place, told(one)),
        [first, rest @ ..] => format!("{}: {}; and {} more", first.place, told(first), rest.len()),
    };
    let file = faults.first().and_then(|fault| fault.place.rsplitn(3, ':').last()).unwrap_or("");
    let fix = mended(Path::new(file));
    let human = format!("{}{}", fault_table(&faults), ignored_lines(&ignored));
    let result = json!({"checked": paths, "faults": faults, "ignored": ignored});
    Err(Report::new(ExitStatus::Data, message, fix).with_result(result, human))
}

/// The command for a file with a fault: an editor, or another name for a folder that is called like a file.
fn mended(file: &Path) -> String {
    let word = |path: &Path| sanitize::shell_word(&path.to_string_lossy());
    if file.is_dir() {
        return format!("mv -n {} {}", word(file), word(&file.with_extension("folder")));
    }
    format!("${{EDITOR:-vi}} {}", word(file))
}

/// What is not built yet is no fault: the file loads, and a request that needs it is refused.
fn without_fault(
    paths: &[PathBuf],
    notes: &[PolicyFault],
    proposed: Vec<(Value, String)>,
    ignored: &[PathBuf],
    warnings: &[Finding],
) -> Outcome {
    let shown = paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
    let mut table = Table::new(&["not yet", "message", "instead"]);
    for note in notes {
        table.row([note.place.as_str(), &note.message, note.fix.as_deref().unwrap_or_default()]);
    }
    let notes_table = if notes.is_empty() { String::new() } else { format!("\n{}", table.render("")) };
    let mut odd = Table::new(&["warning", "message", "fix"]);
    for warning in warnings {
        odd.row([&warning.place, &warning.message, &warning.fix]);
    }
    let odd = if warnings.is_empty() { String::new() } else { format!("\n{}", odd.render("")) };
    let (proposals, lines): (Vec<Value>, Vec<String>) = proposed.into_iter().unzip();
    Outcome::Shown {
        result: json!({
            "checked": paths, "faults": [], "not_yet": notes, "proposals": proposals, "ignored": ignored,
            "warnings": warnings,
        }),
        human: format!("no fault in {shown}\n{}{}{notes_table}{odd}", ignored_lines(ignored), lines.concat()),
        next: vec![NextAction::new("secrets policy list", "See services and grants")],
    }
}

/// A project's file names capabilities of services, so those are loaded too; it is read also when they have faults.
fn check_project(own: &Path, path: &Path, proposed: &mut Vec<(Value, String)>) -> Result<PolicySet, LoadErrors> {
    match (PolicySet::check_project(own, path), policy::proposals(path)) {
        (Ok(set), Ok(all)) => {
            proposed.extend(accept::standings(own, &set, &all));
            Ok(set)
        }
        (Err(one), Err(other)) => Err(one.and(other)),
        (Err(errors), Ok(_)) | (Ok(_), Err(errors)) => Err(errors),
    }
}

/// Files that nobody reads, by their names alone.
fn ignored_lines(ignored: &[PathBuf]) -> String {
    let told = |path: &PathBuf| {
        let meant = path.with_extension("toml");
        let [path, meant] = [path, &meant].map(|path| sanitize::shell_word(&path.to_string_lossy()));
        sanitize::lines(&format!("ignored, as its name does not end in `.toml`; mv -n {path} {meant}"))
    };
    ignored.iter().map(told).collect()
}

fn fault(fault: &policy::Fault) -> PolicyFault {
    PolicyFault {
        place: format!("{}:{}:{}", fault.file, fault.line, fault.column),
        message: fault.message.clone(),
        fix: (!fault.fix.is_empty()).then(|| fault.fix.clone()),
    }
}

async fn reload(context: &Context) -> Result<Outcome, Report> {
    let mut client = context.connect().await?;
    match client.call(ReloadPolicy {}).await {
        Ok(reloaded) => Ok(Outcome::Shown {
            human: format!("{}, {}\n", counted(reloaded.services, "service"), counted(reloaded.grants, "grant")),
            result: json!(reloaded),
            next: vec![],
        }),
        Err(error) => {
            let report = context.subject(None).control(error);
            if report.status != ExitStatus::Generic && report.status != ExitStatus::Data {
                return Err(report);
            }
            // Every fault at once, not only the one that the sentence names.
            let faults = client.call(ListPolicy {}).await.map(|list| list.faults).unwrap_or_default();
            let human = fault_table(&faults);
            Err(report.with_result(json!({"faults": faults}), human))
        }
    }
}

fn listed(list: &PolicyList) -> String {
    let mut grants = Table::new(&["service", "secret", "agents", "environments", "allow", "ask", "from"]);
    for grant in &list.grants {
        grants.row([
            grant.service.as_str(),
            grant.secret.as_deref().unwrap_or("any"),
            &show::whom(&grant.agents, grant.nobody),
            &show::whom(&grant.environments, false),
            &grant.allow.join(", "),
            &grant.ask.join(", "),
            &grant.source,
        ]);
    }
    let mut services = Table::new(&["service", "hosts", "credentials", "from"]);
    for service in &list.services {
        services.row([
            service.id.as_str(),
            &service.hosts.join(", "),
            &service.credentials.join(", "),
            &service.source,
        ]);
    }
    let mut prices = Table::new(&["service", "models", "costs", "from"]);
    for price in &list.prices {
        let currency = price.currency.as_deref().map_or_else(String::new, |currency| format!(" {currency}"));
        let costs = price.costs.iter().map(|(name, money)| format!("{name} {money}{currency}"));
        prices.row([price.service.as_str(), &price.models, &costs.collect::<Vec<_>>().join(", "), &price.source]);
    }
    let prices = if list.prices.is_empty() { String::new() } else { format!("\n{}", prices.render("")) };
    format!(
        "{}{prices}\n{}\nhosts that no grant names: {}\n{}",
        grants.render("no grants"),
        services.render("no services"),
        sanitize::line(&list.unknown_host),
        fault_table(&list.faults),
    )
}

/// What is wrong, and what was meant.
fn told(fault: &PolicyFault) -> String {
    fault.fix.as_ref().map_or_else(|| fault.message.clone(), |fix| format!("{}; {fix}", fault.message))
}

/// Empty when there are none.
fn fault_table(faults: &[PolicyFault]) -> String {
    let mut table = Table::new(&["fault", "message"]);
    for fault in faults {
        table.row([&fault.place, &told(fault)]);
    }
    if faults.is_empty() { String::new() } else { table.render("") }
}
