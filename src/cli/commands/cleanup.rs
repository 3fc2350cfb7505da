//! `secrets cleanup`: env files whose time is over go, and the leases that they hold with them.
//!
//! Files go also without a daemon; leases need one, which is started for them.

use std::{fmt::Write as _, path::PathBuf};

use clap::Args;
use serde_json::json;

use crate::cli::{
    child::Signals,
    context::{Context, absolute},
    envelope::NextAction,
    printer::{Form, Outcome},
    report::Report,
    sanitize,
};
use crate::{
    base::{Clock, LeaseId, TimeToLive, counted},
    control::{Client, Error, FailureCode, Note, RevokeLease},
    project::{ExpiredFile, Wiped, find_expired},
};

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    /// The folder to look through, with all below it [default: .]
    #[arg(value_name = "FOLDER", conflicts_with = "path")]
    folder: Option<PathBuf>,
    /// The same
    #[arg(long, value_name = "FOLDER")]
    path: Option<PathBuf>,
    /// Say what would go and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Look again and again, until Ctrl-C
    #[arg(long, conflicts_with = "dry_run")]
    watch: bool,
    /// With --watch: how often
    #[arg(long, value_name = "DURATION", default_value = "1m", requires = "watch")]
    interval: TimeToLive,
    /// A file name to look at besides .env…, ….env and those of project files; may be repeated
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,
}

/// The most paths that a long watch remembers.
const MAX_LISTED: usize = 10_000;

/// What was done so far.
#[derive(Default)]
struct Done {
    count: u64,
    wiped: Vec<PathBuf>,
    leases: u64,
    unrevoked: Vec<LeaseId>,
    /// Why they are not.
    why: Option<Report>,
    unreadable: Vec<String>,
}

pub(super) async fn run(context: &mut Context, arguments: &Arguments) -> Result<Outcome, Report> {
    let given = arguments.folder.as_ref().or(arguments.path.as_ref());
    let folder = absolute(&given.map_or_else(|| context.folder.clone(), |given| context.folder.join(given)))?;
    std::fs::read_dir(&folder).map_err(|error| Report::io("look into", &folder, &error))?;
    if arguments.dry_run {
        return Ok(planned(&folder, arguments));
    }
    let mut done = Done::default();
    let failed = |error| Report::internal(format!("cannot catch signals: {error}"));
    let mut signals = if arguments.watch { Some(Signals::catch().map_err(failed)?) } else { None };
    loop {
        sweep(context, &folder, arguments, &mut done).await;
        let Some(signals) = &mut signals else { break };
        tokio::select! {
            _ = signals.next() => break,
            () = tokio::time::sleep(arguments.interval.get()) => {}
        }
    }
    shown(&folder, done)
}

fn planned(folder: &std::path::Path, arguments: &Arguments) -> Outcome {
    let found = find_expired(folder, &arguments.names, Clock::system().now());
    let mut human = String::new();
    for file in &found.expired {
        let path = sanitize::line(&file.path.to_string_lossy());
        let _ = writeln!(human, "{path} would go; its time was over at {}", file.expires);
    }
    let _ = writeln!(human, "{} would go", counted(found.expired.len() as u64, "file"));
    let paths: Vec<_> = found.expired.iter().map(|file| &file.path).collect();
    let leases: usize = found.expired.iter().map(|file| file.leases.len()).sum();
    let unreadable: Vec<String> = found.unreadable.iter().map(ToString::to_string).collect();
    let result = json!({"dry_run": true, "wiped_files": [], "expired_files": paths, "leases": leases,
        "count": paths.len(), "path": folder, "unreadable": unreadable});
    Outcome::Shown { result, human, next: vec![NextAction::new("secrets cleanup", "Remove them")] }
}

/// One look. Leases are revoked before their file goes, as far as that is possible.
async fn sweep(context: &mut Context, folder: &std::path::Path, arguments: &Arguments, done: &mut Done) {
    let now = Clock::system().now();
    let found = find_expired(folder, &arguments.names, now);
    done.unreadable = found.unreadable.iter().map(ToString::to_string).collect();
    if found.expired.is_empty() {
        return;
    }
    let mut client = context.connect().await;
    let (mut files, mut leases) = (0, 0);
    for file in &found.expired {
        leases += revoke(context, &mut client, file, done).await;
        match file.wipe(now) {
            Ok(Wiped::Kept) => {}
            Ok(Wiped::Removed) => {
                files += 1;
                if context.printer.form() == Form::Human {
                    let line = format!("removed {}\n", sanitize::line(&file.path.to_string_lossy()));
                    context.printer.data(line.as_bytes());
                }
                if done.wiped.len() < MAX_LISTED {
                    done.wiped.push(file.path.clone());
                }
            }
            Err(error) => done.unreadable.push(error.to_string()),
        }
    }
    done.count += files;
    done.leases += leases;
    if let Ok(client) = &mut client {
        let noted = client.call(Note::Cleanup { files, leases }).await;
        if let Err(error) = noted {
            done.why = Some(context.subject(None).control(error));
        }
    }
}

/// How many leases ended; those that had ended already do not count.
async fn revoke(context: &Context, client: &mut Result<Client, Report>, file: &ExpiredFile, done: &mut Done) -> u64 {
    let mut ended = 0;
    for &lease_id in &file.leases {
        let client = match client {
            Ok(client) => client,
            Err(report) => {
                done.unrevoked.push(lease_id);
                done.why = Some(report.clone());
                continue;
            }
        };
        match client.call(RevokeLease::of(lease_id)).await {
            Ok(_) => ended += 1,
            Err(Error::Failed(failure))
                if matches!(failure.code, FailureCode::LeaseNotFound | FailureCode::LeaseEnded) => {}
            Err(error) => {
                done.unrevoked.push(lease_id);
                done.why = Some(context.subject(None).control(error));
            }
        }
    }
    ended
}

fn shown(folder: &std::path::Path, done: Done) -> Result<Outcome, Report> {
    let Done { count, wiped, leases, unrevoked, why, unreadable } = done;
    let human = format!("{} removed, {} ended\n", counted(count, "file"), counted(leases, "lease"));
    let result = json!({"wiped_files": wiped, "count": count, "path": folder, "dry_run": false,
        "leases_revoked": leases, "leases_not_revoked": unrevoked, "unreadable": unreadable});
    if let Some(report) = why {
        let what = if unrevoked.is_empty() { "the removal is not recorded" } else { "leases were not revoked" };
        let message = format!("{what}: {}", report.message);
        return Err(Report { message, ..report }.with_result(result, human));
    }
    let next = vec![NextAction::new("secrets env", "Write the project's file again")];
    Ok(Outcome::Shown { result, human, next })
}
