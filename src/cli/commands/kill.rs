//! `secrets kill`: the emergency stop, with a daemon and without one.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::add::safe;
use crate::cli::{
    context::Context, envelope::NextAction, exit::ExitStatus, printer::Outcome, prompt, report::Report, table::Table,
};
use crate::{
    base::{Clock, counted},
    control::{Client, Error, Failure, FailureCode, Kill, Killed, ResetKill, TripKill},
    killswitch::{KillSwitch, Plan, kill_offline},
};

#[derive(Args, Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "one per flag")]
pub(in crate::cli) struct Arguments {
    /// Rotate every secret that has a rotation hook too
    #[arg(long, conflicts_with = "reset")]
    rotate: bool,
    /// Destroy store, identity, leases, generated grants and the certificate authority's key too; the audit log stays
    #[arg(long, conflicts_with = "reset")]
    wipe: bool,
    /// Do not ask before --wipe
    #[arg(long, requires = "wipe")]
    force: bool,
    /// Let leases be issued and requests be forwarded again
    #[arg(long)]
    reset: bool,
}

impl Arguments {
    /// The command that would do the same again.
    fn again(self) -> String {
        let flags = [(self.rotate, " --rotate"), (self.wipe, " --wipe --force")];
        flags.iter().filter(|(is_set, _)| *is_set).fold("secrets kill".to_owned(), |text, (_, flag)| text + flag)
    }
}

/// Rotation hooks take their time; the latch has fallen long before.
const PATIENCE: Duration = Duration::from_mins(2);

pub(super) async fn run(context: &mut Context, arguments: Arguments) -> Result<Outcome, Report> {
    if arguments.reset {
        return reset(context).await;
    }
    if arguments.wipe && !arguments.force {
        confirm(context)?;
    }
    let asked = TripKill { rotate: arguments.rotate, wipe: arguments.wipe };
    // Not `connect`, which would start a daemon for the sake of stopping it.
    let error = match trip(context, asked).await {
        Ok(killed) => return shown(&killed, arguments),
        Err(Error::Failed(failure)) => return Err(context.subject(None).failure(failure)),
        Err(error) => error,
    };
    check_home(context)?;
    let killed = without_answer(context, asked).await;
    let outcome = shown(&killed, arguments);
    match (error, outcome) {
        (error @ Error::OtherProgram { .. }, Ok(Outcome::Shown { result, human, .. })) => {
            Err(beside_another(context, error).with_result(result, human))
        }
        (_, outcome) => outcome,
    }
}

/// Refuses a folder that is no home: whoever mistyped it would believe that all is stopped.
fn check_home(context: &Context) -> Result<(), Report> {
    let home = &context.home;
    let ours = [
        home.identity(),
        home.store(),
        home.leases(),
        home.audit(),
        home.kill_state(),
        home.daemon_lock(),
        home.config(),
        home.legacy_config(),
    ];
    if ours.iter().any(|file| file.symlink_metadata().is_ok()) {
        return Ok(());
    }
    let message = format!("there is no home in `{}`, so nothing was stopped", home.folder().display());
    Err(context.subject(None).failure(Failure::new(FailureCode::StoreMissing, message).with_fix("secrets config")))
}

/// The latch has fallen for our daemons; another program's does not know it.
fn beside_another(context: &Context, error: Error) -> Report {
    let Report { status, message, fix, .. } = context.subject(None).control(error);
    Report::new(status, format!("the kill switch is tripped, but {message}, and goes on giving values out"), fix)
}

async fn trip(context: &Context, asked: TripKill) -> Result<Killed, Error> {
    let patience = if asked.rotate { PATIENCE } else { Duration::ZERO };
    let mut client = Client::connect(&context.socket, context.globals.deadline().max(patience)).await?;
    client.call(asked).await
}

/// Latches first. Only a daemon can rotate, and one that starts now starts latched.
async fn without_answer(context: &Context, asked: TripKill) -> Killed {
    let clock = Clock::system();
    if !asked.rotate {
        return offline(context, asked, &clock);
    }
    kill_offline(&context.home, Plan::default(), &clock);
    if context.connect().await.is_ok()
        && let Ok(killed) = trip(context, asked).await
    {
        return killed;
    }
    offline(context, asked, &clock)
}

/// What it says of the switch is what the next daemon will find, which is not what was asked for when nothing could be
/// written.
fn offline(context: &Context, asked: TripKill, clock: &Clock) -> Killed {
    let report = kill_offline(&context.home, Plan { rotate: asked.rotate, wipe: asked.wipe }, clock);
    let switch = KillSwitch::open(context.home.kill_state(), clock.clone());
    Killed { kill: Kill::of(switch.trip().as_ref()), ..report.into() }
}

async fn reset(context: &Context) -> Result<Outcome, Report> {
    let done = context.call(ResetKill {}, None).await?;
    let result = json!({"kill": Kill::Ready, "message": done.message});
    let next = vec![NextAction::new("secrets status", "See what runs; every lease has to be taken anew")];
    Ok(Outcome::Shown { result, human: safe(&done.message), next })
}

fn confirm(context: &Context) -> Result<(), Report> {
    let question = format!("Destroy every secret of `{}` for good?", context.home.folder().display());
    match prompt::confirmed(&crate::cli::sanitize::line(&question)) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Report::new(ExitStatus::Generic, "nothing was done", "secrets kill")),
        Err(_) => Err(Report::misuse("there is no terminal to ask on", "secrets kill --wipe --force")),
    }
}

fn shown(killed: &Killed, arguments: Arguments) -> Result<Outcome, Report> {
    let mut table = Table::new(&["step", "outcome", "what"]);
    for step in &killed.steps {
        table.row([step.step.as_str(), if step.success { "done" } else { "failed" }, &step.message]);
    }
    let (result, human) = (json!(killed), table.render("nothing was done"));
    let failed = killed.steps.iter().filter(|step| !step.success).count();
    if let Some(first) = killed.steps.iter().find(|step| !step.success) {
        let message = format!(
            "{failed} of {} failed; the first, {}: {}",
            counted(killed.steps.len() as u64, "step"),
            first.step,
            first.message
        );
        return Err(Report::new(ExitStatus::Generic, message, arguments.again()).with_result(result, human));
    }
    let mut next = vec![NextAction::new("secrets audit --tail 20", "See what was live and is not")];
    if arguments.wipe {
        next.push(NextAction::new("secrets init", "Make a new, empty store"));
    }
    next.push(NextAction::new("secrets kill --reset", "Let leases be issued and requests be forwarded again"));
    Ok(Outcome::Shown { result, human, next })
}
