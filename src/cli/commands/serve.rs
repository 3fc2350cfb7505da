//! `secrets serve`: the daemon in the foreground for supervisors, detached for commands that need it.

use clap::Args;
use serde_json::json;

use crate::cli::{
    autostart,
    context::Context,
    envelope::NextAction,
    harden,
    parts::{PermissionCheck, Ready, ServeRequest},
    printer::Outcome,
    report::Report,
};
use crate::control::{Client, Error, Ping};

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    /// Return when the daemon is ready; it goes on in the background
    #[arg(long, conflicts_with = "detached")]
    background: bool,
    /// Leave the terminal's session and say one line when ready; for commands that start the daemon
    #[arg(long, hide = true)]
    detached: bool,
}

/// The daemon itself; `None` when another process is to be it.
pub(super) fn run(context: &mut Context, arguments: &Arguments) -> Option<Result<Outcome, Report>> {
    if arguments.background {
        return None;
    }
    harden::this_process();
    let request = ServeRequest {
        home: context.home.clone(),
        socket: context.socket.clone(),
        config: context.globals.config.clone(),
        permissions: if context.globals.skip_permission_check {
            PermissionCheck::Skip
        } else {
            PermissionCheck::Enforce
        },
    };
    Some(if arguments.detached { Ok(detached(context, &request)) } else { foreground(context, &request) })
}

fn foreground(context: &mut Context, request: &ServeRequest) -> Result<Outcome, Report> {
    let serve = context.parts.serve;
    let served = serve(request, &mut |ready| {
        let command = context.command.clone();
        context.printer.outcome(&command, shown(ready));
    });
    served.map(|()| Outcome::Silent).map_err(|failure| context.subject(None).failure(failure))
}

/// Says one line on standard output and lets go of it; what comes later goes to the log.
fn detached(context: &mut Context, request: &ServeRequest) -> Outcome {
    autostart::detach();
    let serve = context.parts.serve;
    let mut is_ready = false;
    let served = serve(request, &mut |ready| {
        is_ready = true;
        context.printer.data(autostart::ready_line(ready).as_bytes());
        if let Err(error) = autostart::release_stdout() {
            context.printer.say(&format!("cannot let go of standard output: {error}"));
        }
    });
    let Err(failure) = served else { return Outcome::Silent };
    if is_ready {
        context.printer.say(&failure.message);
    } else {
        context.printer.data(autostart::failed_line(&failure).as_bytes());
    }
    Outcome::Child(context.subject(None).failure(failure).status.code())
}

/// `--background`: starts a detached daemon, or finds that one runs already.
pub(super) async fn background(context: &mut Context) -> Result<Outcome, Report> {
    let pong = match Client::connect(&context.socket, context.globals.deadline()).await {
        Err(Error::NotRunning(_)) => match autostart::start(context).await? {
            Some(ready) => return Ok(shown(&ready)),
            None => context.call(Ping {}, None).await?,
        },
        Err(error) => return Err(context.subject(None).control(error)),
        Ok(mut client) => client.call(Ping {}).await.map_err(|error| context.subject(None).control(error))?,
    };
    let proxy_addr = pong.proxy_addr.parse().map_err(|_| Report::internal("the daemon's address is odd"))?;
    Ok(shown(&Ready { socket: context.socket.clone(), pid: pong.pid, proxy_addr }))
}

fn shown(ready: &Ready) -> Outcome {
    let human = format!(
        "listening on {}, proxy on {}, process {}\n",
        crate::cli::sanitize::line(&ready.socket.to_string_lossy()),
        ready.proxy_addr,
        ready.pid
    );
    Outcome::Shown {
        result: json!(ready),
        human,
        next: vec![NextAction::new("secrets status", "See what runs"), NextAction::new("secrets stop", "Stop it")],
    }
}
