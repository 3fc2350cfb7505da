//! `secrets policy record`: what a session used and asked for, as the smallest `need` of a project.
//!
//! Observing grants nothing: what policy refuses is refused, and listed as wanted.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    path::PathBuf,
};

use clap::Args;
use serde_json::json;

use super::super::{
    audit::{time, write_what_waits},
    exec,
};
use crate::cli::{
    context::{Context, absolute},
    envelope::NextAction,
    exit::ExitStatus,
    printer::Outcome,
    report::Report,
    sanitize::{self, shell_word},
    table::Table,
};
use crate::{
    audit::{self, Filter, Recent, Row},
    base::{Clock, counted},
};

const HELP: &str = "secrets policy record --help";

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// What this session did [default: the program that is run; without one, every session]
    #[arg(long, value_name = "ID", conflicts_with = "command")]
    session: Option<String>,
    /// Only from this time on: RFC 3339, or a duration back from now, such as 2h or 7d
    #[arg(long, value_name = "TIME", conflicts_with = "command")]
    since: Option<String>,
    /// Where the need is written; nothing is written over [default: it is printed]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// A program to run as `secrets exec` runs it, and its arguments
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// What was used of one service, and what was refused.
#[derive(Default)]
struct Use {
    used: BTreeSet<String>,
    refused: BTreeSet<String>,
    requests: u64,
}

pub(super) async fn run(context: &mut Context, arguments: &Arguments) -> Result<Outcome, Report> {
    if let Some(out) = &arguments.out
        && absolute(out)?.symlink_metadata().is_ok()
    {
        let message = format!("`{}` is there already", out.display());
        return Err(Report::misuse(message, format!("${{EDITOR:-vi}} {}", shell_word(&out.to_string_lossy()))));
    }
    let before = newest(context);
    let exit = if arguments.command.is_empty() { None } else { Some(observe(context, arguments).await?) };
    write_what_waits(context).await;
    let since = time("--since", arguments.since.as_ref(), Clock::system().now());
    let since = since.map_err(|wrong| Report::misuse(wrong.message, HELP))?;
    let filter = since.map_or_else(Filter::new, |since| Filter::new().since(since));
    let recent = match audit::recent(&context.home.audit(), &filter, usize::MAX) {
        Err(error) if error.is_missing() => Recent::default(),
        read => read?,
    };
    let wanted = |row: &&Row| {
        let of_session = arguments.session.is_none() || row.record.session_id == arguments.session;
        // Rows of a program that was run are newer than the newest line before it.
        of_session && (exit.is_none() || row.record.seq > before) && row.record.action.starts_with("request_")
    };
    let uses = uses(recent.rows.iter().filter(wanted));
    shown(context, arguments, &uses, exit)
}

/// The number of the newest line of the record.
fn newest(context: &Context) -> Option<u64> {
    audit::recent(&context.home.audit(), &Filter::new(), 1).ok().and_then(|recent| recent.newest)
}

/// Runs the program; its exit code.
async fn observe(context: &mut Context, arguments: &Arguments) -> Result<u8, Report> {
    match exec::run_plain(context, &arguments.command).await? {
        Outcome::Child(code) => Ok(code),
        _ => Ok(0),
    }
}

fn uses<'r>(rows: impl Iterator<Item = &'r Row>) -> BTreeMap<String, Use> {
    let mut uses: BTreeMap<String, Use> = BTreeMap::new();
    for row in rows {
        let Some(service) = &row.record.service else { continue };
        let one = uses.entry(service.clone()).or_default();
        one.requests += 1;
        let Some(capability) = &row.record.capability else { continue };
        let is_refused = row.record.action == "request_refused";
        if is_refused { &mut one.refused } else { &mut one.used }.insert(capability.clone());
    }
    uses
}

fn shown(
    context: &mut Context,
    arguments: &Arguments,
    uses: &BTreeMap<String, Use>,
    exit: Option<u8>,
) -> Result<Outcome, Report> {
    let text = need(uses);
    let services = uses.iter().map(|(service, one)| {
        json!({"service": service, "used": one.used, "refused": one.refused, "requests": one.requests})
    });
    let result = json!({"services": services.collect::<Vec<_>>(), "need": text});
    if uses.is_empty() && exit.is_none() {
        let message = "no request with a lease was made, so nothing is needed";
        return Err(Report::new(ExitStatus::Data, message, "secrets audit").with_result(result, String::new()));
    }
    let mut table = Table::new(&["service", "used", "refused", "requests"]);
    let words = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
    for (service, one) in uses {
        table.row([service, &words(&one.used), &words(&one.refused), &one.requests.to_string()]);
    }
    let mut human = format!("{}\n", table.render(""));
    match &arguments.out {
        Some(out) => {
            let path = absolute(out)?;
            crate::base::replace(&path, text.as_bytes(), 0o644, None).map_err(|error| {
                Report::new(
                    ExitStatus::Io,
                    error.to_string(),
                    format!("ls -ld {}", shell_word(&context.folder.to_string_lossy())),
                )
            })?;
            let written =
                format!("wrote the need of {} to {}\n", counted(uses.len() as u64, "service"), path.display());
            human.push_str(&written);
        }
        None => human.push_str(&text),
    }
    if let Some(exit) = exit {
        // Standard output was the program's.
        for line in human.lines() {
            context.printer.talk(&format!("{}\n", sanitize::line(line)));
        }
        return Ok(Outcome::Child(exit));
    }
    let next = vec![NextAction::new("secrets policy check", "Check the project's file")];
    Ok(Outcome::Shown { result, human, next })
}

/// A project's file with nothing but its needs.
fn need(uses: &BTreeMap<String, Use>) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let mut text = "# What this project needs, as a session used it; it gives nothing, a person grants it.\n\
                    schema = 1\nkind   = \"project\"\n"
        .to_owned();
    let needs = uses.iter().filter_map(|(service, one)| {
        let all: BTreeSet<&String> = one.used.union(&one.refused).collect();
        let caps: Vec<String> = all.into_iter().map(|name| quoted(name)).collect();
        let caps = (!caps.is_empty()).then(|| caps.join(", "))?;
        Some(format!("\n[[need]]\nservice = {}\ncaps    = [{caps}]\n", quoted(service)))
    });
    text.extend(needs);
    text
}
