//! `secrets audit`: one row per request, out of the file itself, so that it can be read without a daemon and after any
//! crash; and whether the file is whole.

use std::{fmt::Write as _, io, time::Duration};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::{
    audit::{self, Filter, Follower, Line, Row, RowState, Rows},
    cli::{
        context::Context,
        envelope::NextAction,
        exit::ExitStatus,
        printer::{Form, Outcome},
        report::Report,
        sanitize,
        table::Table,
    },
    control::{Client, FlushAudit},
};

/// Between two looks at a log that is followed.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(in crate::cli) struct Arguments {
    /// How many rows from the end; 0 is all of them
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    tail: u32,
    /// Go on showing rows as requests end, until interrupted; one JSON object per line for programs
    #[arg(long, short)]
    follow: bool,
    /// Print an envelope, whatever standard output is
    #[arg(long)]
    pub(in crate::cli) json: bool,
    #[command(subcommand)]
    act: Option<Act>,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Check that no line was edited, removed, moved or put in; needs no daemon
    Verify,
}

impl Arguments {
    /// The command as typed.
    pub(super) fn name(&self) -> &'static str {
        if self.is_verifying() { "secrets audit verify" } else { "secrets audit" }
    }

    pub(super) fn is_verifying(&self) -> bool {
        matches!(self.act, Some(Act::Verify))
    }
}

/// Walks the chain in the file itself and names its first break.
pub(super) fn verify(context: &Context) -> Result<Outcome, Report> {
    let path = context.home.audit();
    let verified = match audit::verify(&path) {
        Ok(verified) => verified,
        Err(error) if error.is_missing() => {
            return Err(Report::new(
                ExitStatus::Data,
                format!("`{}` does not exist", path.display()),
                "secrets doctor",
            ));
        }
        Err(error) => return Err(Report::new(ExitStatus::Io, error.to_string(), "secrets doctor")),
    };
    let result = json!({
        "file": path,
        "lines": verified.lines,
        "unchained_lines": verified.unchained_lines,
        "damaged_lines": verified.damaged_lines,
        "open_requests": verified.open_requests.len(),
        "head": verified.head,
        "first_break": verified.first_break.as_ref().map(|found| json!({"line": found.line, "why": found.to_string()})),
    });
    match &verified.first_break {
        None => {
            let human = format!("{} lines, the chain is whole\n", verified.lines);
            Ok(Outcome::Shown { result, human, next: vec![NextAction::new("secrets audit", "See what was done")] })
        }
        Some(found) => {
            let message = format!("the record `{}` is not whole: {found}", path.display());
            Err(Report::new(ExitStatus::Data, message, "secrets audit --tail 0").with_result(result, String::new()))
        }
    }
}

pub(super) async fn run(context: &mut Context, arguments: &Arguments) -> Result<Outcome, Report> {
    write_what_waits(context).await;
    let path = context.home.audit();
    let failed = |error: audit::Error| Report::new(ExitStatus::Io, error.to_string(), "secrets doctor");
    // Begun before the tail is read, so that no line falls between the two.
    let follower = arguments.follow.then(|| Follower::from_end(&path, Filter::new())).transpose().map_err(failed)?;
    let wanted = if arguments.tail == 0 { usize::MAX } else { arguments.tail as usize };
    let lines = match audit::tail(&path, &Filter::new(), wanted.saturating_mul(2)) {
        Err(error) if error.is_missing() => Vec::new(),
        read => read.map_err(failed)?,
    };
    if let Some(follower) = follower {
        return follow(context, follower, &lines, wanted).await;
    }
    let mut rows = audit::rows(&lines);
    rows.drain(..rows.len().saturating_sub(wanted));
    let damaged = lines.iter().filter(|line| line.record().is_none()).count();
    let entries: Vec<Value> = rows.iter().map(entry).collect();
    let result = json!({
        "entries": entries, "total_shown": entries.len(), "tail_limit": arguments.tail, "damaged_lines": damaged,
    });
    let mut human = table(&rows);
    if damaged > 0 {
        let _ = writeln!(human, "{damaged} lines cannot be read; `secrets audit verify` names the first"); // a String takes everything
    }
    let next = vec![NextAction::new("secrets audit verify", "Check that the record is whole")];
    Ok(Outcome::Shown { result, human, next })
}

/// A running daemon is asked to write what it still holds; without one the file is all there is.
async fn write_what_waits(context: &Context) {
    if let Ok(mut client) = Client::connect(&context.socket, context.globals.deadline()).await {
        let _ = client.call(FlushAudit {}).await; // it says in its own log why it cannot
    }
}

/// Shows the last rows and then each one as it ends. Ends when its reader goes away.
async fn follow(
    context: &mut Context,
    mut follower: Follower,
    lines: &[Line],
    wanted: usize,
) -> Result<Outcome, Report> {
    let seen = lines.iter().filter_map(Line::record).filter_map(|record| record.seq).max();
    let mut joiner = Rows::new();
    let mut rows: Vec<Row> = lines.iter().filter_map(|line| joiner.push(line)).collect();
    rows.drain(..rows.len().saturating_sub(wanted));
    loop {
        for row in &rows {
            if show(context, row).is_err() {
                return Ok(Outcome::Silent);
            }
        }
        tokio::time::sleep(PAUSE).await;
        let new = follower.poll().map_err(|error| Report::new(ExitStatus::Io, error.to_string(), "secrets doctor"))?;
        let is_new = |line: &&Line| line.record().is_none_or(|record| record.seq.is_none() || record.seq > seen);
        rows = new.iter().filter(is_new).filter_map(|line| joiner.push(line)).collect();
    }
}

fn show(context: &mut Context, row: &Row) -> io::Result<()> {
    let line = match context.printer.form() {
        Form::Human => {
            let cells = cells(row).map(|cell| if cell.is_empty() { "-".to_owned() } else { sanitize::line(&cell) });
            cells.join("  ")
        }
        Form::Json => entry(row).to_string(),
    };
    let stream = context.printer.stream();
    writeln!(stream, "{line}").and_then(|()| stream.flush())
}

/// A row for programs: the fields of the record, as agent-secrets names them where it has them, and when it began.
fn entry(row: &Row) -> Value {
    let mut entry = serde_json::to_value(&row.record).unwrap_or_default();
    if let Some(fields) = entry.as_object_mut() {
        fields.remove("prev");
        fields.insert("began".to_owned(), json!(row.began));
        fields.insert("open".to_owned(), json!(row.state == RowState::Open));
    }
    entry
}

fn table(rows: &[Row]) -> String {
    let mut table = Table::new(&["began", "client", "secret", "what", "result", "took"]);
    for row in rows {
        table.row(cells(row));
    }
    table.render("nothing is recorded yet")
}

fn cells(row: &Row) -> [String; 6] {
    let record = &row.record;
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let what = match (&record.method, &record.host) {
        (Some(method), Some(host)) => {
            let port = record.port.filter(|port| *port != 443).map(|port| format!(":{port}")).unwrap_or_default();
            format!("{method} {host}{port}{}", text(&record.path))
        }
        _ => match &record.details {
            Some(details) => format!("{} ({details})", record.action),
            None => record.action.clone(),
        },
    };
    let took = record.duration_us.map(|took| format!("{:?}", Duration::from_millis(took.div_ceil(1000))));
    [
        row.began.to_string(),
        text(&record.client_id),
        text(&record.secret_name),
        what,
        result(row),
        took.unwrap_or_default(),
    ]
}

/// Such as `200 ok`, `403 refused cap_denied`, `cut revoked`, `open`.
fn result(row: &Row) -> String {
    let record = &row.record;
    if row.state == RowState::Open {
        return "open".to_owned();
    }
    let done = if record.success { "ok" } else { "failed" };
    let status = record.status.map(|status| status.to_string());
    let words = [
        status.as_deref(),
        Some(record.outcome.as_deref().unwrap_or(done)),
        record.code.as_deref(),
        record.reason.as_deref(),
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(lines: &[Value]) -> Vec<Row> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        std::fs::write(&path, lines.iter().flat_map(|line| [line.to_string(), "\n".into()]).collect::<String>())
            .unwrap();
        audit::rows(&audit::tail(&path, &Filter::new(), 10).unwrap())
    }

    #[test]
    fn a_request_is_one_row_with_what_came_of_it() {
        let at = "2026-11-24T12:00:00Z";
        let begun = json!({"timestamp": at, "action": "request_begun", "request_id": "1", "method": "GET",
            "host": "api.acme.test", "port": 8443, "path": "/x", "client_id": "agent", "success": true});
        let ended = json!({"timestamp": at, "action": "request_ended", "request_id": "1", "status": 200,
            "outcome": "ok", "duration_us": 1500, "success": true});
        let cut = json!({"timestamp": at, "action": "request_ended", "request_id": "2", "outcome": "cut",
            "reason": "revoked", "success": false});
        let both = rows(&[begun.clone(), ended, cut]);
        let [first, second] = both.as_slice() else { panic!("{both:?}") };
        assert_eq!(cells(first)[1..], ["agent", "", "GET api.acme.test:8443/x", "200 ok", "2ms"].map(str::to_owned));
        assert_eq!(cells(second)[4], "cut revoked");
        assert_eq!((entry(first)["open"].clone(), entry(first)["status"].clone()), (json!(false), json!(200)));
        assert_eq!(cells(&rows(&[begun])[0])[4], "open");
    }
}
