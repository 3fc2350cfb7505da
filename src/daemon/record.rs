//! The audit log in the daemon: opened, flushed, rolled over, noted, signed and closed.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, sleep};

use super::{AuditSection, Error, Interval, record_key};
use crate::{
    audit::{Action, AuditLog, Event},
    base::{Clock, Home},
    store::Store,
};

/// Opens the log, mends it, and records the start.
pub(super) fn open(home: &Home, store: &Store, section: &AuditSection, clock: Clock) -> Result<AuditLog, Error> {
    let witness = record_key::witness(home, store)?;
    let (audit, recovery) = AuditLog::open(&home.audit(), section.settings(witness), clock)?;
    if let Some(missing) = &recovery.missing {
        tracing::error!(?missing, "the audit log is not what its note says; `secrets audit verify` names the place");
    }
    tracing::info!(?recovery, "the audit log is open");
    audit.append(&Event::new(Action::DaemonStart))?; // before anything that could be recorded
    Ok(audit)
}

/// Ends of exchanges share a write; this bounds how long they wait for one.
pub(super) async fn flush(audit: AuditLog) {
    let mut ticks = interval(Duration::from_millis(50));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let flushed = audit.flush().inspect_err(|error| tracing::error!(%error, "the audit log cannot be written"));
        if flushed.is_err() {
            sleep(Duration::from_secs(1)).await;
        }
    }
}

/// Once a second: a large log is rolled over, a due checkpoint signed, the newest line noted. What fails is said and
/// tried again; requests go on, because they are recorded all the same.
pub(super) async fn keep_proof(audit: AuditLog, checkpoint: Interval) {
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut due = checkpoint.period().map(|period| tokio::time::Instant::now() + period);
    loop {
        let now = ticks.tick().await;
        if let Err(error) = audit.roll_over_if_due() {
            tracing::error!(%error, "the audit log cannot be rolled over");
        }
        if let (Some(at), Some(period)) = (due.as_mut().filter(|at| now >= **at), checkpoint.period()) {
            *at = now + period;
            if let Err(error) = audit.checkpoint() {
                tracing::error!(%error, "the audit log cannot be signed");
            }
        }
        if let Err(error) = audit.note_head() {
            tracing::error!(%error, "the newest line of the audit log cannot be noted");
        }
    }
}

/// Records the stop, and leaves the proof of it.
pub(super) fn close(audit: &AuditLog, checkpoint: Interval) {
    let mut recorded = audit.append(&Event::new(Action::DaemonStop));
    if checkpoint != Interval::Off {
        recorded = recorded.and_then(|()| audit.checkpoint());
    }
    if let Err(error) = recorded.and_then(|()| audit.finish()) {
        tracing::error!(%error, "the end of the daemon could not be recorded");
    }
}
