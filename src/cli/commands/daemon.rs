//! `secrets daemon restart`: a restart that is recorded, waited for and seen to have happened.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::{
    cli::{autostart, context::Context, envelope::NextAction, exit::ExitStatus, printer::Outcome, report::Report},
    control::{Client, Error, Ping, Pong, RestartDaemon},
    policy::PolicySet,
};

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    #[command(subcommand)]
    act: Act,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Act {
    /// Let the daemon finish what it does, stop it, and see a new one answer
    Restart,
}

/// How long a new daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a supervisor may take to start the next daemon before we do.
const SUPERVISOR: Duration = Duration::from_secs(2);

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<Outcome, Report> {
    let Act::Restart = arguments.act;
    let before = context.call(Ping {}, None).await?;
    can_start(context)?;
    context.call(RestartDaemon {}, None).await?;
    let now = until_another(context, before.pid).await?;
    Ok(Outcome::Shown {
        human: format!("process {} made way for process {}\n", before.pid, now.pid),
        result: json!({"accepted": true, "previous_pid": before.pid, "pid": now.pid, "version": now.version}),
        next: vec![NextAction::new("secrets status", "See what runs")],
    })
}

/// A daemon that runs keeps what is in force; one that starts needs files without a fault, and there would be none.
fn can_start(context: &Context) -> Result<(), Report> {
    PolicySet::load(&context.home.policies()).map(drop).map_err(|errors| {
        let message = format!("the daemon runs on, as no other could start: {}", errors.brief());
        Report::new(ExitStatus::Data, message, "secrets policy check")
    })
}

/// Waits for a daemon that is not the old one: its supervisor's, or else our own.
async fn until_another(context: &Context, old: u32) -> Result<Pong, Report> {
    let mut begun = Instant::now();
    let mut ours = false;
    while begun.elapsed() < PATIENCE {
        match ping(context).await {
            Ok(pong) if pong.pid != old => return Ok(pong),
            Err(Error::NotRunning(_)) if !ours && begun.elapsed() >= SUPERVISOR => {
                ours = true;
                autostart::start(context).await?;
                begun = Instant::now(); // it is ready; what it took is no time of the answer
            }
            Ok(_) | Err(_) => sleep(PAUSE).await,
        }
    }
    let message = format!("no other daemon answered within {} s", PATIENCE.as_secs());
    Err(Report::new(ExitStatus::Timeout, message, "secrets serve &"))
}

async fn ping(context: &Context) -> Result<Pong, Error> {
    Client::connect(&context.socket, context.globals.deadline()).await?.call(Ping {}).await
}
