//! `secrets policy accept`: a service that a project proposes becomes one of the user's own, after somebody has seen it.
//!
//! The daemon does it: it knows its sessions, and takes nothing of what a process inside one says of itself.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::{check, show};
use crate::cli::{
    context::{Context, absolute},
    envelope::NextAction,
    exit::ExitStatus,
    printer::{Form, Outcome},
    project_file::edit,
    prompt,
    report::Report,
    sanitize::{self, shell_word},
};
use crate::{
    base::SESSION_VARIABLE,
    control::AcceptProposal,
    policy::{PolicySet, Proposal, Standing, proposals},
};

const CHECK: &str = "secrets policy check";

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The project's file [default: the nearest .secrets.toml]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Accept the proposal whose text has this SHA-256, or begins with these digits of it, at least 12; nobody is asked
    #[arg(long, value_name = "SHA256", conflicts_with = "yes", value_parser = digits)]
    hash: Option<String>,
    /// Accept everything that waits in the file; nobody is asked
    #[arg(long)]
    yes: bool,
}

fn digits(text: &str) -> Result<String, String> {
    let is_hash = (12..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hash { Ok(text.to_ascii_lowercase()) } else { Err("expected 12 to 64 hex digits".to_owned()) }
}

/// A proposal and what has become of it.
struct Seen {
    proposal: Proposal,
    standing: Standing,
}

pub(super) async fn run(context: &mut Context, arguments: &Arguments) -> Result<Outcome, Report> {
    // Before anything is shown; who clears the variable is found out by the daemon.
    if std::env::var_os(SESSION_VARIABLE).is_some() {
        let message = "a process inside a session cannot accept what a project proposes; a person outside of it can";
        return Err(Report::new(ExitStatus::Generic, message, CHECK));
    }
    let file = match &arguments.file {
        Some(file) => absolute(file)?,
        None => nearest(&context.folder).ok_or_else(|| {
            Report::misuse("there is no `.secrets.toml` here or in a folder above", "secrets policy accept --help")
        })?,
    };
    let folder = context.home.policies();
    let Ok(set) = PolicySet::load(&folder) else { return check(context, &[]) };
    let Ok(all) = proposals(&file) else { return check(context, &[file]) };
    let seen = |proposal: Proposal| Seen { standing: proposal.standing(&folder, &set), proposal };
    let mut wanted: Vec<Seen> = all.into_iter().map(seen).collect();
    let known = result(&wanted);
    if let Some(hash) = &arguments.hash {
        wanted.retain(|seen| seen.proposal.hash().starts_with(hash));
        if wanted.is_empty() {
            let message = "no proposal of the file has this hash; it may have been edited since it was shown";
            return Err(Report::new(ExitStatus::Data, message, CHECK).with_result(known, String::new()));
        }
    }
    if let Some((seen, why)) = wanted.iter().find_map(|seen| match &seen.standing {
        Standing::Refused(why) => Some((seen, why)),
        _ => None,
    }) {
        let message = format!("{}: {why}", seen.proposal.place());
        return Err(Report::new(ExitStatus::Data, message, edit(&file)).with_result(known, String::new()));
    }
    let had = wanted.len();
    wanted.retain(|seen| seen.standing != Standing::Accepted);
    if wanted.is_empty() {
        let human =
            if had == 0 { "nothing is proposed\n" } else { "everything that is proposed was accepted already\n" };
        return Ok(Outcome::Shown { result: known, human: human.to_owned(), next: vec![] });
    }
    if arguments.hash.is_none() && !arguments.yes {
        ask(context, &file, &wanted, &known)?;
    }
    let mut written = Vec::new();
    let mut client = context.connect().await?;
    for Seen { proposal, .. } in &wanted {
        let accept = AcceptProposal { file: file.clone(), hash: proposal.hash().to_owned() };
        written.push(client.call(accept).await.map_err(|error| context.subject(None).control(error))?);
    }
    let ids = wanted.iter().map(|seen| seen.proposal.service().id().as_str()).collect::<Vec<_>>();
    let human = format!("accepted {}\n", ids.join(", "));
    let id = shell_word(ids.first().copied().unwrap_or_default());
    let next = vec![NextAction::new(format!("secrets add {id}-key --service {id}"), "Store its secret and grant it")];
    Ok(Outcome::Shown { result: json!({"accepted": written, "in_force": true}), human, next })
}

/// Shows each and asks; without a terminal nothing is accepted, and the fix names the text that was shown.
fn ask(context: &mut Context, file: &Path, wanted: &[Seen], known: &Value) -> Result<(), Report> {
    let Some(first) = wanted.first() else { return Ok(()) };
    let fix = format!("secrets policy accept {} --hash {}", shell_word(&file.to_string_lossy()), first.proposal.hash());
    let unasked = |human: String| {
        let message = "nobody can be asked here; whoever has read the proposal accepts it by its hash";
        Report::misuse(message, fix.clone()).with_result(known.clone(), human)
    };
    if context.printer.form() != Form::Human {
        return Err(unasked(String::new()));
    }
    for seen in wanted {
        context.printer.data(shown(seen).as_bytes());
        let question = format!("Accept `{}` as a service of yours?", seen.proposal.service().id());
        match prompt::confirmed(&question) {
            Ok(true) => {}
            Ok(false) => return Err(Report::new(ExitStatus::Generic, "nothing was accepted", fix)),
            Err(_) => return Err(unasked(String::new())),
        }
    }
    Ok(())
}

/// The service in words, and its very text.
fn shown(seen: &Seen) -> String {
    let Seen { proposal, standing } = seen;
    let note =
        if *standing == Standing::Replaces { "It takes the place of the version that was accepted.\n" } else { "" };
    let place = sanitize::line(&proposal.place());
    let text = sanitize::lines(proposal.text());
    let view = show::in_words(&proposal.service().view());
    format!("{place} proposes\n\n{view}\n{text}\nsha256: {}\n{note}", proposal.hash())
}

/// The nearest project's file of this language.
pub(super) fn nearest(folder: &Path) -> Option<PathBuf> {
    folder.ancestors().map(|folder| folder.join(".secrets.toml")).find(|path| path.exists())
}

fn result(all: &[Seen]) -> Value {
    json!({"proposals": all.iter().map(entry).collect::<Vec<_>>()})
}

fn entry(seen: &Seen) -> Value {
    let Seen { proposal, standing } = seen;
    json!({
        "place": proposal.place(), "hash": proposal.hash(), "standing": word(standing),
        "service": proposal.service().view(), "text": proposal.text(),
    })
}

fn word(standing: &Standing) -> &str {
    match standing {
        Standing::Accepted => "accepted",
        Standing::Refused(why) => why,
        Standing::Replaces | Standing::Waits => "waits for acceptance",
    }
}

/// What `secrets policy check` says of each.
pub(super) fn standings(folder: &Path, set: &PolicySet, all: &[Proposal]) -> Vec<(Value, String)> {
    let line = |proposal: &Proposal| {
        let standing = proposal.standing(folder, set);
        let id = proposal.service().id();
        let short = proposal.hash().get(..12).unwrap_or_default();
        let text = format!("{}: `{id}` ({short}) {}", proposal.place(), word(&standing));
        let (place, hash) = (proposal.place(), proposal.hash());
        (
            json!({"place": place, "service": id, "hash": hash, "standing": word(&standing)}),
            sanitize::line(&text) + "\n",
        )
    };
    all.iter().map(line).collect()
}
