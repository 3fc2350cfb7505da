//! `secrets audit`: the last events as the daemon tells them.

use clap::Args;
use serde_json::json;

use crate::cli::{context::Context, envelope::NextAction, printer::Outcome, report::Report, table::Table};
use crate::control::{AuditEntry, AuditTail};

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    /// How many events from the end; 0 is as many as the daemon gives
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    tail: u32,
    /// Print an envelope, whatever standard output is
    #[arg(long)]
    pub(in crate::cli) json: bool,
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
