//! `secrets approvals --watch`: asks about each request as it comes, on a terminal, until Ctrl-C.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, IsTerminal as _},
    time::Duration,
};

use tokio::{sync::mpsc, time::timeout};

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

/// How often it is looked whether what is being asked about still waits.
const LOOK: Duration = Duration::from_secs(1);

type Lines = mpsc::Receiver<String>;

/// What became of a question.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// It was answered, or is left for later.
    Done,
    /// It ended before that: a line that is typed now may be meant for it.
    Ended,
    /// There is nobody to ask any more.
    Nobody,
}

/// What came while a question stood.
enum Came {
    Line(String),
    Ended,
    Nobody,
}

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
    let mut client = context.connect_within(Duration::from_secs(WAIT + 10)).await?;
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
    let (mut asked, mut became) = (BTreeSet::new(), Asked::Done);
    let mut list: ApprovalList = call(context, client, ListApprovals {}).await?;
    loop {
        asked.retain(|id| {
            list.approvals.iter().any(|entry| entry.id == *id) || list.needs.iter().any(|need| need.id == *id)
        });
        let fresh: Vec<ApprovalEntry> =
            list.approvals.iter().filter(|entry| !asked.contains(&entry.id)).cloned().collect();
        for entry in fresh {
            asked.insert(entry.id.clone());
            became = ask(context, client, lines, &entry, became).await?;
            if became == Asked::Nobody {
                return Ok(Outcome::Child(0));
            }
        }
        let fresh: Vec<NeedEntry> = list.needs.iter().filter(|need| !asked.contains(&need.id)).cloned().collect();
        for need in fresh {
            asked.insert(need.id.clone());
            became = tell(context, client, lines, &need, became).await?;
            if became == Asked::Nobody {
                return Ok(Outcome::Child(0));
            }
        }
        list = call(context, client, WaitApprovals { version: list.version, seconds: WAIT }).await?;
    }
}

/// The next line, unless what it would answer ends before.
async fn next(context: &mut Context, client: &mut Client, lines: &mut Lines, id: &str) -> Result<Came, Report> {
    loop {
        if let Ok(line) = timeout(LOOK, lines.recv()).await {
            return Ok(line.map_or(Came::Nobody, Came::Line));
        }
        let list = call(context, client, ListApprovals {}).await?;
        let waits = list.approvals.iter().any(|entry| entry.id == id) || list.needs.iter().any(|need| need.id == id);
        if !waits {
            context.printer.talk(&format!("\n{} does not wait any more\n", sanitize::line(id)));
            return Ok(Came::Ended);
        }
    }
}

/// After a question that ended by itself, a line that was on its way to it must not answer the next: whoever is there says
/// so first. What comes back says whether the next may be asked.
async fn settle(
    context: &mut Context,
    client: &mut Client,
    lines: &mut Lines,
    (id, last): (&str, Asked),
) -> Result<Asked, Report> {
    if last != Asked::Ended {
        return Ok(Asked::Done);
    }
    context.printer.talk("Enter, to answer this one: ");
    Ok(match next(context, client, lines, id).await? {
        Came::Line(_) => Asked::Done,
        Came::Ended => Asked::Ended,
        Came::Nobody => Asked::Nobody,
    })
}

/// Asks about one, after another that ended so.
async fn ask(
    context: &mut Context,
    client: &mut Client,
    lines: &mut Lines,
    entry: &ApprovalEntry,
    last: Asked,
) -> Result<Asked, Report> {
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
    let settled = settle(context, client, lines, (&entry.id, last)).await?;
    if settled != Asked::Done {
        return Ok(settled);
    }
    loop {
        context.printer.talk(&format!("{KEYS}: "));
        let typed = match next(context, client, lines, &entry.id).await? {
            Came::Line(typed) => typed,
            Came::Ended => return Ok(Asked::Ended),
            Came::Nobody => return Ok(Asked::Nobody),
        };
        let id = entry.id.clone();
        let answered = match typed.trim() {
            "a" => client.call(AllowApproval { id, remember: None, client_id: None }).await,
            "s" => client.call(AllowApproval { id, remember: Some("session".to_owned()), client_id: None }).await,
            "d" => client.call(DenyApproval { id, client_id: None }).await,
            "" => return Ok(Asked::Done),
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
        return Ok(Asked::Done);
    }
}

/// Tells of one need, after another question that ended so.
async fn tell(
    context: &mut Context,
    client: &mut Client,
    lines: &mut Lines,
    need: &NeedEntry,
    last: Asked,
) -> Result<Asked, Report> {
    context.printer.talk(&needs::prompt(need));
    let settled = settle(context, client, lines, (&need.id, last)).await?;
    if settled != Asked::Done {
        return Ok(settled);
    }
    loop {
        context.printer.talk(&format!("{NEED_KEYS}: "));
        let typed = match next(context, client, lines, &need.id).await? {
            Came::Line(typed) => typed,
            Came::Ended => return Ok(Asked::Ended),
            Came::Nobody => return Ok(Asked::Nobody),
        };
        match typed.trim() {
            "d" => {}
            "" => return Ok(Asked::Done),
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
        return Ok(Asked::Done);
    }
}

async fn call<M: Method>(context: &Context, client: &mut Client, request: M) -> Result<M::Answer, Report> {
    client.call(request).await.map_err(|error| context.subject(None).control(error))
}
