//! `secrets audit`: one row per request, out of the files themselves, so that they can be read without a daemon and after
//! any crash; and whether they are whole.

mod export;
mod follow;
mod show;
mod verify;
mod wanted;

pub(super) use self::wanted::time;

use std::{fmt::Write as _, path::Path};

use clap::{Args, Subcommand, builder::NonEmptyStringValueParser};
use serde_json::{Value, json};

use self::export::Format;
use crate::{
    audit::{self, Follower, Recent},
    base::counted,
    cli::{context::Context, envelope::NextAction, exit::ExitStatus, printer::Outcome, report::Report, sanitize},
    control::{Client, FlushAudit},
};

/// How many rows are shown when nobody says.
const ROWS: u32 = 50;

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(in crate::cli) struct Arguments {
    /// How many rows from the end, of those that are wanted; 0 is all of them [default: 50]
    #[arg(long, value_name = "COUNT")]
    tail: Option<u32>,
    /// Go on showing rows as requests end, until interrupted; one JSON object per line for programs
    #[arg(long, short)]
    follow: bool,
    /// Write every wanted row of the whole history: csv, or json with one object per line
    #[arg(long, value_name = "FORMAT", value_enum, conflicts_with_all = ["tail", "follow", "json"])]
    export: Option<Format>,
    /// Print an envelope, whatever standard output is
    #[arg(long)]
    pub(in crate::cli) json: bool,
    #[command(flatten)]
    wanted: Wanted,
    #[command(subcommand)]
    act: Option<Act>,
}

/// Which rows are wanted; each flag wants fewer.
#[derive(Args, Debug)]
struct Wanted {
    /// Only what this client did, as it is recorded
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    client: Option<String>,
    /// Only what was done with this secret
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    secret: Option<String>,
    /// Only what was for this host
    #[arg(long, value_name = "HOST", value_parser = NonEmptyStringValueParser::new())]
    host: Option<String>,
    /// Only this action, such as `request_ended` or `lease_acquire`
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// Only what ended so: ok, refused, failed, cut, aborted, unknown
    #[arg(long, value_name = "OUTCOME")]
    outcome: Option<String>,
    /// Only what was recorded at this time or later: RFC 3339, or a duration back from now, such as 2h or 7d
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only what began at this time or earlier; written like --since
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Show the public key that the record is signed with; needs no daemon
    Key,
    /// Check that no line was edited, removed, moved, put in or cut off; needs no daemon
    Verify(verify::Arguments),
}

impl Arguments {
    /// The command as typed.
    pub(super) fn name(&self) -> &'static str {
        match self.act {
            Some(Act::Key) => "secrets audit key",
            Some(Act::Verify(_)) => "secrets audit verify",
            None => "secrets audit",
        }
    }

    /// Whether standard output holds nothing but rows.
    pub(super) fn is_exporting(&self) -> bool {
        self.export.is_some()
    }

    /// What needs no daemon and no runtime.
    pub(super) fn run_blocking(&self, context: &Context) -> Option<Result<Outcome, Report>> {
        match &self.act {
            Some(Act::Key) => Some(verify::key(context)),
            Some(Act::Verify(arguments)) => Some(verify::run(context, arguments)),
            None => None,
        }
    }
}

pub(super) async fn run(context: &mut Context, arguments: &Arguments) -> Result<Outcome, Report> {
    let filter = arguments.wanted.filter()?;
    write_what_waits(context).await;
    if let Some(format) = arguments.export {
        return export::run(context, format, &filter, &arguments.wanted);
    }
    let path = context.home.audit();
    // Begun before the tail is read, so that no line falls between the two.
    let follower = arguments.follow.then(|| Follower::from_end(&path, audit::Filter::new())).transpose()?;
    let limit = arguments.tail.unwrap_or(ROWS);
    let count = if limit == 0 { usize::MAX } else { limit as usize };
    let recent = match audit::recent(&path, &filter, count) {
        Err(error) if error.is_missing() => Recent::default(),
        read => read?,
    };
    if let Some(follower) = follower {
        return follow::run(context, follower, &filter, recent).await;
    }
    let nothing = recent.rows.is_empty().then(|| nothing(&path, &arguments.wanted));
    Ok(list(&recent, limit, &arguments.wanted, nothing))
}

impl From<audit::Error> for Report {
    fn from(error: audit::Error) -> Self {
        Self::new(ExitStatus::Io, error.to_string(), "secrets doctor")
    }
}

/// A running daemon is asked to write what it still holds; without one the file is all there is.
pub(super) async fn write_what_waits(context: &Context) {
    if let Ok(mut client) = Client::connect(&context.socket, context.globals.deadline()).await {
        let _ = client.call(FlushAudit {}).await; // it says in its own log why it cannot
    }
}

/// What is said when there are no rows: that there is nothing at all, or nothing that is wanted.
fn nothing(log: &Path, wanted: &Wanted) -> String {
    let asked = wanted.words();
    let is_empty = audit::tail(log, &audit::Filter::new(), 1).map_or(true, |lines| lines.is_empty());
    if asked.is_empty() || is_empty {
        return "nothing is recorded yet".to_owned();
    }
    sanitize::line(&format!("nothing that is recorded matches {}", asked.join(" ")))
}

fn list(recent: &Recent, limit: u32, wanted: &Wanted, nothing: Option<String>) -> Outcome {
    let entries: Vec<Value> = recent.rows.iter().map(show::entry).collect();
    let damaged = recent.damaged;
    let mut result = json!({
        "entries": entries, "total_shown": entries.len(), "tail_limit": limit, "damaged_lines": damaged,
        "filters": wanted.words(),
    });
    let mut human = show::table(&recent.rows, nothing.as_deref().unwrap_or_default());
    if let (Some(fields), Some(nothing)) = (result.as_object_mut(), nothing) {
        fields.insert("message".to_owned(), json!(nothing));
    }
    if damaged > 0 {
        let _ = writeln!(human, "{} cannot be read; `secrets audit verify` names the first", counted(damaged, "line")); // a String takes everything
    }
    let next = vec![NextAction::new("secrets audit verify", "Check that the record is whole")];
    Outcome::Shown { result, human, next }
}
