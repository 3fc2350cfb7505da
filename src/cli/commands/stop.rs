//! `secrets stop`: asks the daemon to drain and end.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use super::add::safe;
use crate::cli::{context::Context, envelope::NextAction, printer::Outcome, report::Report};
use crate::{
    base::{AtomicFileError, FileLock},
    control::{Client, Error, StopDaemon},
};

/// How long a daemon may take to let calls and exchanges finish.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

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
    let is_gone = until_gone(context).await;
    let message = if is_gone { "the daemon has stopped" } else { done.message.as_str() };
    let result = json!({"stopped": is_gone, "message": message});
    Ok(Outcome::Shown { result, human: safe(message), next })
}

/// Waits until the daemon has let go of its home, so that what comes next may start another. Whether it has.
async fn until_gone(context: &Context) -> bool {
    let ends = Instant::now() + PATIENCE;
    loop {
        match FileLock::try_acquire(&context.home.daemon_lock()) {
            Err(AtomicFileError::Locked(_)) if Instant::now() < ends => sleep(PAUSE).await,
            Err(_) => return false,
            Ok(_) => return true,
        }
    }
}
