//! Running in the foreground: a runtime, signals, and a call back when the daemon answers.

use tokio::signal::unix::{SignalKind, signal};

use super::{Error, Options, Running, build};
use crate::base::Clock;

/// Runs a daemon until SIGINT, SIGTERM or its socket tells it to stop. `ready` is called once, when it answers.
pub fn serve(options: &Options, ready: &mut dyn FnMut(&Running)) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Error::Runtime)?;
    let ended = runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Runtime)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(Error::Runtime)?;
        let mut hang_up = signal(SignalKind::hangup()).map_err(Error::Runtime)?;
        let running = build(options, Clock::system()).await?;
        ready(&running);
        let stop = running.watch();
        loop {
            tokio::select! {
                _ = stop.wait() => break,
                _ = interrupt.recv() => break,
                _ = terminate.recv() => break,
                _ = hang_up.recv() => {
                    if let Err(errors) = running.broker().live_policy().reload() {
                        tracing::error!(%errors, "the policies have faults; the old ones stay in force");
                    }
                }
            }
        }
        running.stop().await;
        Ok(())
    });
    runtime.shutdown_background(); // what does not end by itself has had its grace
    ended
}
