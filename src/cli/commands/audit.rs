//! `secrets audit`: the last events as the daemon tells them, and whether the file is whole.

use clap::{Args, Subcommand};
use serde_json::json;

use crate::{
    audit,
    cli::{context::Context, envelope::NextAction, exit::ExitStatus, printer::Outcome, report::Report, table::Table},
    control::{AuditEntry, AuditTail},
};

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(in crate::cli) struct Arguments {
    /// How many events from the end; 0 is as many as the daemon gives
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    tail: u32,
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
    // Zero on the socket means agent-secrets' hundred; what it means on the command line is all of them.
    let tail = if arguments.tail == 0 { u64::from(u32::MAX) } else { arguments.tail.into() };
    let entries = context.call(AuditTail { tail }, None).await?.entries;
    let result = json!({"entries": entries, "total_shown": entries.len(), "tail_limit": arguments.tail});
    let next = vec![NextAction::new("secrets status", "See what runs and what is leased")];
    Ok(Outcome::Shown { result, human: table(&entries), next })
}

fn table(entries: &[AuditEntry]) -> String {
    let mut table = Table::new(&["time", "action", "secret", "client", "done", "details"]);
    for entry in entries {
        table.row([
            entry.timestamp.to_string().as_str(),
            &entry.action,
            entry.secret_name.as_deref().unwrap_or(""),
            entry.client_id.as_deref().unwrap_or(""),
            if entry.success { "yes" } else { "no" },
            entry.details.as_deref().unwrap_or(""),
        ]);
    }
    table.render("nothing is recorded yet")
}
