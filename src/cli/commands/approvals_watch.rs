//! `secrets approvals --watch`: asks about each request as it comes, on a terminal, until Ctrl-C.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, IsTerminal as _},
};

use tokio::sync::mpsc;

use super::{
    approvals::{UNNAMED, details, request, tally},
    needs,
};
use crate::cli::{context::Context, printer::Outcome, report::Report, sanitize};
use crate::control::{
    AllowApproval, ApprovalEntry, ApprovalList, Client, DenyApproval, Error, ListApprovals, Method, NeedEntry,
    WaitApprovals,
};

/// How long one call waits for a change.
const WAIT: u64 = 20;

const KEYS: &str = "a = allow once, s = allow for the session, d = deny, ? = details, Enter = later";

const NEED_KEYS: &str = "d = dismiss, ? = details and what would give it, Enter = later";

type Lines = mpsc::Receiver<String>;

/// Lines as they are typed; the thread that waits for them keeps nobody from ending the program.
fn typed() -> Lines {
    let (send, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        let typed = std::io::stdin().lock().lines();
        let _ = typed.map_while(Result::ok).try_for_each(|line| send.blocking_send(line)); // nobody reads any more
    });
    lines
}

pub(super) async fn run(context: &mut Context) -> Result<Outcome, Report> {
    if !std::io::stdin().is_terminal() {
        let message = "answers are typed, and standard input is no terminal";
        return Err(Report::misuse(message, "secrets approvals list"));
    }
    let mut client = context.connect_within(std::time::Duration::from_secs(WAIT + 10)).await?;
    let mut lines = typed();
    context.printer.talk("Waiting for requests; Ctrl-C ends.\n");
    tokio::select! {
        biased;
        _ = tokio::signal::ctrl_c() => {
            context.printer.talk("\n");
            Ok(Outcome::Child(0))
        }
        watched = watch(context, &mut client, &mut lines) => watched,
    }
}

async fn watch(context: &mut Context, client: &mut Client, lines: &mut Lines) -> Result<Outcome, Report> {
    let mut asked = BTreeSet::new();
    let mut list: ApprovalList = call(context, client, ListApprovals {}).await?;
    loop {
        asked.retain(|id| {
            list.approvals.iter().any(|entry| entry.id == *id) || list.needs.iter().any(|need| need.id == *id)
        });
        let fresh: Vec<ApprovalEntry> =
            list.approvals.iter().filter(|entry| !asked.contains(&entry.id)).cloned().collect();
        for entry in fresh {
            asked.insert(entry.id.clone());
            if !ask(context, client, lines, &entry).await? {
                return Ok(Outcome::Child(0));
            }
        }
        let fresh: Vec<NeedEntry> = list.needs.iter().filter(|need| !asked.contains(&need.id)).cloned().collect();
        for need in fresh {
            asked.insert(need.id.clone());
            if !tell(context, client, lines, &need).await? {
                return Ok(Outcome::Child(0));
            }
        }
        list = call(context, client, WaitApprovals { version: list.version, seconds: WAIT }).await?;
    }
}

/// Asks about one; `false` when there is nobody to ask any more.
async fn ask(
    context: &mut Context,
    client: &mut Client,
    lines: &mut Lines,
    entry: &ApprovalEntry,
) -> Result<bool, Report> {
    let capabilities: Vec<String> =
        entry.capabilities.iter().map(|cap| format!("{}/{} ({})", cap.service, cap.name, cap.risk)).collect();
    let what = if capabilities.is_empty() { UNNAMED.to_owned() } else { capabilities.join(", ") };
    let mut text = format!(
        "\n{} {} wants {}\n  {}\n",
        sanitize::line(&entry.id),
        sanitize::line(entry.client_id.as_str()),
        sanitize::line(&what),
        sanitize::line(&request(entry))
    );
    for field in &entry.shown {
        text.extend(["  ", &sanitize::line(&field.name), " = ", &sanitize::line(&field.value), "\n"]);
    }
    if entry.quorum > 1 {
        text.extend(["  ", &tally(entry), " people allow it\n"]);
    }
    context.printer.talk(&text);
    loop {
        context.printer.talk(&format!("{KEYS}: "));
        let Some(typed) = lines.recv().await else { return Ok(false) };
        let id = entry.id.clone();
        let answered = match typed.trim() {
            "a" => client.call(AllowApproval { id, remember: None, client_id: None }).await,
            "s" => client.call(AllowApproval { id, remember: Some("session".to_owned()), client_id: None }).await,
            "d" => client.call(DenyApproval { id, client_id: None }).await,
            "" => return Ok(true),
            "?" => {
                context.printer.talk(&details(entry));
                continue;
            }
            _ => continue,
        };
        match answered {
            Ok(done) => context.printer.talk(&format!("{}\n", sanitize::line(&done.message))),
            Err(Error::Failed(failure)) => {
                context.printer.talk(&format!("{}\n", sanitize::line(&failure.message)));
                if failure.fix.as_ref().is_some_and(|fix| fix.contains("approvals allow")) {
                    continue; // it may be allowed once
                }
            }
            Err(error) => return Err(context.subject(None).control(error)),
        }
        return Ok(true);
    }
}

/// Tells of one need; `false` when there is nobody to tell any more.
async fn tell(context: &mut Context, client: &mut Client, lines: &mut Lines, need: &NeedEntry) -> Result<bool, Report> {
    context.printer.talk(&needs::prompt(need));
    loop {
        context.printer.talk(&format!("{NEED_KEYS}: "));
        let Some(typed) = lines.recv().await else { return Ok(false) };
        match typed.trim() {
            "d" => {}
            "" => return Ok(true),
            "?" => {
                context.printer.talk(&needs::details(need));
                continue;
            }
            _ => continue,
        }
        match client.call(DenyApproval { id: need.id.clone(), client_id: None }).await {
            Ok(done) => context.printer.talk(&format!("{}\n", sanitize::line(&done.message))),
            Err(Error::Failed(failure)) => context.printer.talk(&format!("{}\n", sanitize::line(&failure.message))),
            Err(error) => return Err(context.subject(None).control(error)),
        }
        return Ok(true);
    }
}

async fn call<M: Method>(context: &Context, client: &mut Client, request: M) -> Result<M::Answer, Report> {
    client.call(request).await.map_err(|error| context.subject(None).control(error))
}
