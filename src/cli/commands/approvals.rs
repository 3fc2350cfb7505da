//! `secrets approvals`: what waits for a person, and the person's answer.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{approvals_watch, needs};
use crate::cli::{
    context::Context, envelope::NextAction, printer::Outcome, report::Report, sanitize::shell_word, table, table::Table,
};
use crate::{
    base::TimeToLive,
    control::{AllowApproval, ApprovalEntry, ApprovalList, DenyApproval, ListApprovals, ShowApproval},
};

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(in crate::cli) struct Arguments {
    /// Stay, and ask about each request as it comes
    #[arg(long)]
    watch: bool,
    #[command(subcommand)]
    act: Option<Act>,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Show what waits, and what agents say that they need
    List,
    /// Show one request with all that an answer is about, or a need with what would give it
    Show {
        /// Its id
        id: String,
    },
    /// Let a request pass
    Allow {
        /// Its id
        id: String,
        /// Do not ask the same again for so long: `session`, or a duration such as 10m
        #[arg(long, value_name = "TIME", value_parser = remember)]
        remember: Option<String>,
    },
    /// Refuse a request, or dismiss a need
    Deny {
        /// Its id
        id: String,
    },
}

fn remember(text: &str) -> Result<String, String> {
    if text == "session" {
        return Ok(text.to_owned());
    }
    text.parse::<TimeToLive>().map(|_| text.to_owned()).map_err(|error| error.to_string())
}

impl Arguments {
    pub(in crate::cli) const fn name(&self) -> &'static str {
        match self.act {
            None if self.watch => "secrets approvals --watch",
            None | Some(Act::List) => "secrets approvals list",
            Some(Act::Show { .. }) => "secrets approvals show",
            Some(Act::Allow { .. }) => "secrets approvals allow",
            Some(Act::Deny { .. }) => "secrets approvals deny",
        }
    }
}

pub(super) async fn run(context: &mut Context, arguments: &Arguments) -> Result<Outcome, Report> {
    match &arguments.act {
        None if arguments.watch => approvals_watch::run(context).await,
        None | Some(Act::List) => list(context).await,
        Some(Act::Show { id }) => {
            let list: ApprovalList = context.call(ListApprovals {}, None).await?;
            if let Some(need) = list.needs.into_iter().find(|need| need.id == *id) {
                let human = needs::details(&need);
                return Ok(Outcome::Shown { next: needs::next(&need), result: json!(need), human });
            }
            let entry = context.call(ShowApproval { id: id.clone() }, None).await?;
            let human = details(&entry);
            let word = shell_word(&entry.id);
            let next = vec![
                NextAction::new(format!("secrets approvals allow {word}"), "Let it pass"),
                NextAction::new(format!("secrets approvals deny {word}"), "Refuse it"),
            ];
            Ok(Outcome::Shown { result: json!(entry), human, next })
        }
        Some(Act::Allow { id, remember }) => {
            let allow = AllowApproval { id: id.clone(), remember: remember.clone(), client_id: None };
            Ok(done(&context.call(allow, None).await?))
        }
        Some(Act::Deny { id }) => {
            Ok(done(&context.call(DenyApproval { id: id.clone(), client_id: None }, None).await?))
        }
    }
}

fn done(done: &crate::control::Done) -> Outcome {
    let human = format!("{}\n", crate::cli::sanitize::line(&done.message));
    let next = vec![NextAction::new("secrets approvals list", "See what else waits")];
    Outcome::Shown { result: json!(done), human, next }
}

async fn list(context: &Context) -> Result<Outcome, Report> {
    let list: ApprovalList = context.call(ListApprovals {}, None).await?;
    let mut table = Table::new(&["id", "agent", "capability", "risk", "request", "allowed", "until"]);
    for entry in &list.approvals {
        let (names, risks) = capabilities(entry);
        table.row([
            &entry.id,
            entry.client_id.as_str(),
            &names,
            &risks,
            &request(entry),
            &tally(entry),
            &entry.expires_at.to_string(),
        ]);
    }
    let next = match (list.approvals.first(), list.needs.first()) {
        (Some(entry), _) => {
            NextAction::new(format!("secrets approvals show {}", shell_word(&entry.id)), "See what it would send")
        }
        (None, Some(need)) => {
            NextAction::new(format!("secrets approvals show {}", shell_word(&need.id)), "See what would give it")
        }
        (None, None) => NextAction::new("secrets policy list", "See which capabilities ask"),
    };
    let human = table.render("nothing waits for approval") + &needs::table(&list.needs);
    Ok(Outcome::Shown { result: json!(list), human, next: vec![next] })
}

fn capabilities(entry: &ApprovalEntry) -> (String, String) {
    if entry.capabilities.is_empty() {
        return (UNNAMED.to_owned(), String::new());
    }
    let joined = |texts: Vec<String>| texts.join(", ");
    let names = entry.capabilities.iter().map(|cap| format!("{}/{}", cap.service, cap.name)).collect();
    (joined(names), joined(entry.capabilities.iter().map(|cap| cap.risk.clone()).collect()))
}

/// What is asked about where it is no capability.
pub(super) const UNNAMED: &str = "a host that no grant names";

/// How many of how many people allow it.
pub(super) fn tally(entry: &ApprovalEntry) -> String {
    format!("{} of {}", entry.allowed_by.len(), entry.quorum)
}

/// The request in a line.
pub(super) fn request(entry: &ApprovalEntry) -> String {
    format!("{} {}{}", entry.method, entry.origin, entry.target)
}

/// A request for people, with all that an answer is about.
pub(super) fn details(entry: &ApprovalEntry) -> String {
    let mut lines = vec![("id", entry.id.clone()), ("agent", entry.client_id.to_string())];
    if let Some(project) = &entry.project {
        lines.push(("project", project.display().to_string()));
    }
    lines.extend([("method", entry.method.clone()), ("host", entry.origin.clone())]);
    lines.extend((!entry.target.is_empty()).then(|| ("path", entry.target.clone())));
    if entry.capabilities.is_empty() {
        lines.push(("what", format!("{UNNAMED}; no credential goes there")));
    }
    for cap in &entry.capabilities {
        lines.push(("capability", format!("{}/{}: {}", cap.service, cap.name, cap.about)));
        lines.push(("risk", cap.risk.clone()));
        lines.extend(cap.params.iter().map(|param| ("parameter", format!("{} = {}", param.name, param.value))));
    }
    lines.extend(entry.shown.iter().map(|field| ("shown", format!("{} = {}", field.name, field.value))));
    lines.push(("body", format!("{} bytes", entry.body_bytes)));
    lines.extend((!entry.body.is_empty()).then(|| ("preview", entry.body.clone())));
    lines.extend([
        ("sha256", entry.sha256.clone()),
        ("remember", entry.remember.clone()),
        ("allowed", tally(entry)),
        ("until", entry.expires_at.to_string()),
    ]);
    lines.extend(entry.allowed_by.iter().map(|who| ("allowed by", who.clone())));
    table::pairs(lines)
}
