//! `secrets policy diff`: which requests of the audit log another set of policy files would decide otherwise.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::{Value, json};

use super::super::audit::{time, write_what_waits};
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
    audit::{Action, Filter, Lines, Record, Row, Rows, is_cut},
    base::{Clock, Timestamp, counted},
    policy::{LoadErrors, Past, PolicySet, Replayed, Told},
};

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The folder of policy files to compare; with two, the first is compared with the second
    #[arg(value_name = "FOLDER", required = true, num_args = 1..=2)]
    folders: Vec<PathBuf>,
    /// Only requests from this time on: RFC 3339, or a duration back from now, such as 2h or 7d
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// As if every request had come from this project folder [default: that of its session]
    #[arg(long, value_name = "FOLDER")]
    project: Option<PathBuf>,
}

/// A past request, how often it was made and when last.
struct Seen {
    count: u64,
    last: Timestamp,
}

/// One that is decided otherwise.
struct Change {
    past: Past,
    seen: Seen,
    before: Replayed,
    after: Replayed,
}

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<Outcome, Report> {
    let own = context.home.policies();
    let (a, b) = match arguments.folders.as_slice() {
        [a, b] => (absolute(a)?, absolute(b)?),
        [b] => (own.clone(), absolute(b)?),
        _ => return Err(Report::misuse("name one folder or two", "secrets policy diff --help")),
    };
    let (before, after) = (load(&a, &own)?, load(&b, &own)?);
    let project = arguments.project.as_deref().map(absolute).transpose()?;
    let since = time("--since", arguments.since.as_ref(), Clock::system().now());
    let since = since.map_err(|wrong| Report::misuse(wrong.message, "secrets policy diff --help"))?;
    let filter = since.map_or_else(Filter::new, |since| Filter::new().since(since));
    write_what_waits(context).await;
    let History { seen, mut unjudged } = History::read(&context.home.audit(), &filter, project.as_deref())?;
    let (mut requests, mut changes) = (0, Vec::new());
    for (past, seen) in seen {
        match before.replay(&past).and_then(|before| Ok((before, after.replay(&past)?))) {
            Err(why) => *unjudged.entry(why.to_string()).or_default() += seen.count,
            Ok((before, after)) => {
                requests += seen.count;
                changes.extend((before.verdict != after.verdict).then_some(Change { past, seen, before, after }));
            }
        }
    }
    Ok(shown(&changes, &unjudged, requests, &a, &b))
}

/// What the log says of requests.
#[derive(Default)]
struct History {
    seen: BTreeMap<Past, Seen>,
    /// How many are not judged, by why.
    unjudged: BTreeMap<String, u64>,
}

impl History {
    /// Reads the log from its beginning, since a session is opened before its requests; without the project of each as if
    /// it had been this one.
    fn read(log: &Path, filter: &Filter, project: Option<&Path>) -> Result<Self, Report> {
        let lines = match Lines::open(log) {
            Err(error) if error.is_missing() => return Ok(Self::default()),
            opened => opened?,
        };
        let (mut history, mut opened, mut rows) = (Self::default(), Opened::default(), Rows::new());
        for line in lines {
            let line = line?;
            if let Some(record) = line.record() {
                opened.take(record);
            }
            if let Some(row) = rows.push(&line) {
                history.take(&row, filter, project, &opened);
            }
        }
        rows.into_open().iter().for_each(|row| history.take(row, filter, project, &opened));
        Ok(history)
    }

    fn take(&mut self, row: &Row, filter: &Filter, project: Option<&Path>, opened: &Opened) {
        if !row.record.action.starts_with("request_") || !filter.wants_row(row) {
            return;
        }
        match past(&row.record, project, opened) {
            Err(why) => *self.unjudged.entry(why.to_owned()).or_default() += 1,
            Ok(past) => {
                let one = self.seen.entry(past).or_insert(Seen { count: 0, last: row.began });
                one.count += 1;
                one.last = one.last.max(row.began);
            }
        }
    }
}

/// Where sessions and leases were at work, as far as their records say.
#[derive(Default)]
struct Opened {
    sessions: HashMap<String, (Told<PathBuf>, Told<String>)>,
    leases: HashMap<String, Told<String>>,
}

impl Opened {
    fn take(&mut self, record: &Record) {
        match (Action::find(&record.action), &record.session_id, &record.lease_id) {
            (Some(Action::SessionOpen), Some(id), _) => {
                // A session has a project; a line without it is older than the field, or its path is no text.
                let whole = record.project.as_ref().filter(|project| !is_cut(project));
                let project = whole.map_or(Told::Unknown, |project| Told::Is(Some(project.into())));
                self.sessions.insert(id.clone(), (project, Told::Is(environment(record))));
            }
            (Some(Action::LeaseAcquire), _, Some(id)) => {
                self.leases.insert(id.clone(), Told::Is(environment(record)));
            }
            _ => {}
        }
    }

    fn project(&self, record: &Record) -> Told<PathBuf> {
        let session = record.session_id.as_ref().map(|id| self.sessions.get(id));
        session.map_or(Told::Is(None), |session| session.map_or(Told::Unknown, |(project, _)| project.clone()))
    }

    /// That of the lease, which is its session's.
    fn environment(&self, record: &Record) -> Told<String> {
        let of_lease = record.lease_id.as_ref().and_then(|id| self.leases.get(id));
        let of_session = record.session_id.as_ref().and_then(|id| self.sessions.get(id)).map(|(_, one)| one);
        of_lease.or(of_session).cloned().unwrap_or(Told::Unknown)
    }
}

/// Older lines say it in their details, first.
fn environment(record: &Record) -> Option<String> {
    let in_details = || {
        let first = record.details.as_deref()?.split("; ").next()?;
        first.strip_prefix("environment ").map(str::to_owned)
    };
    record.environment.clone().or_else(in_details)
}

/// A folder that is named has to be there; the home's own need not.
fn load(folder: &Path, own: &Path) -> Result<PolicySet, Report> {
    if folder != own {
        folder.metadata().map_err(|error| Report::io("look at", folder, &error))?;
    }
    PolicySet::load(folder).map_err(|errors| broken(folder, &errors))
}

fn broken(folder: &Path, errors: &LoadErrors) -> Report {
    let first = errors.faults().first().map_or_else(String::new, ToString::to_string);
    let fix = format!("secrets policy check {}", sanitize::shell_word(&folder.to_string_lossy()));
    Report::new(ExitStatus::Data, first, fix)
}

/// A request that carried a lease; others are no business of a grant. The error says why it cannot be judged.
fn past(record: &Record, project: Option<&Path>, opened: &Opened) -> Result<Past, &'static str> {
    const ODD: &str = "their records lack something";
    let (Some(service), Some(secret)) = (&record.service, &record.secret_name) else {
        return Err("they carried no lease");
    };
    let (Some(client), Some(method), Some(host), Some(path)) =
        (&record.client_id, &record.method, &record.host, &record.path)
    else {
        return Err(ODD);
    };
    if is_cut(path) {
        return Err("their path was too long to be recorded whole");
    }
    let port = record.port.unwrap_or(443);
    Ok(Past {
        client: client.parse().map_err(|_| ODD)?,
        project: project.map_or_else(|| opened.project(record), |project| Told::Is(Some(project.to_owned()))),
        environment: opened.environment(record),
        service: service.parse().map_err(|_| ODD)?,
        secret: secret.parse().map_err(|_| ODD)?,
        method: method.clone(),
        authority: if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") },
        path: path.clone(),
    })
}

fn shown(changes: &[Change], unjudged: &BTreeMap<String, u64>, requests: u64, a: &Path, b: &Path) -> Outcome {
    let mut table = Table::new(&["times", "client", "secret", "request", "before", "after"]);
    for Change { past, seen, before, after } in changes {
        let request = format!("{} {}{}", past.method, past.authority.trim_end_matches(":443"), past.path);
        let cells = [&seen.count.to_string(), past.client.as_str(), past.secret.as_str(), &request];
        table.row(cells.into_iter().chain([&*before.to_string(), &*after.to_string()]));
    }
    let all: Vec<Value> = changes.iter().map(change).collect();
    let not: Vec<Value> = unjudged.iter().map(|(why, count)| json!({"count": count, "why": why})).collect();
    let result = json!({"before": a, "after": b, "requests": requests, "changes": all, "unjudged": not});
    let judged = format!("{} judged under both", counted(requests, "recorded request"));
    let mut human = format!("{}\n{judged}\n", table.render("no past request is decided otherwise"));
    for (why, count) in unjudged {
        let _ = writeln!(human, "{count} not judged: {why}"); // a String takes everything
    }
    Outcome::Shown { result, human, next: vec![NextAction::new("secrets audit", "See what was recorded")] }
}

fn change(change: &Change) -> Value {
    let Change { past, seen, before, after } = change;
    let (project, environment) = (past.project.known(), past.environment.known());
    json!({
        "project": project, "environment": environment, "client_id": past.client,
        "service": past.service, "secret_name": past.secret, "method": past.method,
        "authority": past.authority, "path": past.path, "times": seen.count, "last": seen.last,
        "before": before, "after": after,
    })
}
