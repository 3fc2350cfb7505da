//! `secrets policy diff`: which requests of the audit log another set of policy files would decide otherwise.

use std::{
    collections::BTreeMap,
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
    audit::{self, Filter, Record},
    base::{Clock, Timestamp, counted},
    policy::{LoadErrors, Past, PolicySet, Replayed},
};

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The folder of policy files to compare; with two, the first is compared with the second
    #[arg(value_name = "FOLDER", required = true, num_args = 1..=2)]
    folders: Vec<PathBuf>,
    /// Only requests from this time on: RFC 3339, or a duration back from now, such as 2h or 7d
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// As if every request had come from this project folder [default: whichever the grants are for]
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
    let recent = match audit::recent(&context.home.audit(), &filter, usize::MAX) {
        Err(error) if error.is_missing() => audit::Recent::default(),
        read => read?,
    };
    let mut seen: BTreeMap<Past, Seen> = BTreeMap::new();
    for row in &recent.rows {
        let Some(past) = past(&row.record) else { continue };
        let one = seen.entry(past).or_insert(Seen { count: 0, last: row.began });
        one.count += 1;
        one.last = one.last.max(row.began);
    }
    let requests: u64 = seen.values().map(|one| one.count).sum();
    let changes = seen.into_iter().filter_map(|(past, seen)| {
        let (before, after) = (before.replay(&past, project.as_ref())?, after.replay(&past, project.as_ref())?);
        (before.verdict != after.verdict).then_some(Change { past, seen, before, after })
    });
    Ok(shown(&changes.collect::<Vec<_>>(), requests, &a, &b))
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

/// A request that carried a lease; others are no business of a grant.
fn past(record: &Record) -> Option<Past> {
    if !record.action.starts_with("request_") {
        return None;
    }
    let (host, port) = (record.host.as_ref()?, record.port.unwrap_or(443));
    Some(Past {
        client: record.client_id.as_ref()?.parse().ok()?,
        service: record.service.as_ref()?.parse().ok()?,
        secret: record.secret_name.as_ref()?.parse().ok()?,
        method: record.method.clone()?,
        authority: if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") },
        path: record.path.clone()?,
    })
}

fn shown(changes: &[Change], requests: u64, a: &Path, b: &Path) -> Outcome {
    let mut table = Table::new(&["times", "client", "secret", "request", "before", "after"]);
    for Change { past, seen, before, after } in changes {
        let request = format!("{} {}{}", past.method, past.authority.trim_end_matches(":443"), past.path);
        let cells = [&seen.count.to_string(), past.client.as_str(), past.secret.as_str(), &request];
        table.row(cells.into_iter().chain([&*before.to_string(), &*after.to_string()]));
    }
    let all: Vec<Value> = changes.iter().map(change).collect();
    let result = json!({"before": a, "after": b, "requests": requests, "changes": all});
    let judged = format!("{} judged under both", counted(requests, "recorded request"));
    let human = format!("{}\n{judged}\n", table.render("no past request is decided otherwise"));
    Outcome::Shown { result, human, next: vec![NextAction::new("secrets audit", "See what was recorded")] }
}

fn change(change: &Change) -> Value {
    let Change { past, seen, before, after } = change;
    json!({
        "client_id": past.client, "service": past.service, "secret_name": past.secret, "method": past.method,
        "authority": past.authority, "path": past.path, "times": seen.count, "last": seen.last,
        "before": before, "after": after,
    })
}
