//! `secrets stop`: asks the daemon to drain and end.

use serde_json::json;

use super::add::safe;
use crate::cli::{context::Context, envelope::NextAction, printer::Outcome, report::Report};
use crate::control::{Client, Error, StopDaemon};

pub(super) async fn run(context: &mut Context) -> Result<Outcome, Report> {
    let next = vec![NextAction::new("secrets serve &", "Start the daemon again")];
    // Not `connect`, which would start a daemon for the sake of stopping it.
    let mut client = match Client::connect(&context.socket, context.globals.deadline()).await {
        Err(Error::NotRunning(_)) => {
            let message = "the daemon is not running";
            let result = json!({"stopped": false, "message": message});
            return Ok(Outcome::Shown { result, human: safe(message), next });
        }
        other => other.map_err(|error| context.subject(None).control(error))?,
    };
    let done = client.call(StopDaemon {}).await.map_err(|error| context.subject(None).control(error))?;
    let result = json!({"stopped": true, "message": done.message});
    Ok(Outcome::Shown { result, human: safe(&done.message), next })
}
