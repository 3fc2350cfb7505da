//! The kill switch: latch, revoke, cut, keep, rotate, wipe; each step recorded, and none stopped by another's failure.
//!
//! Invariant: latch and cut touch nothing but memory and come before everything that can wait or fail: a full or hanging
//! disk, of the record too, delays no cut. Whoever may have slipped past the latch is cut with the rest, because all of
//! them watch first and ask the latch then.

use std::sync::Arc;

use super::{Broker, Error, Refusal, Rotation};
use crate::{
    audit::{Action, Event, Outcome},
    base::{self, CutReason, RefusalCode, counted},
    killswitch::{KillReport, KillSwitch, Plan, Step, Trip, Tripper, wipe_home},
    rotation::Trigger,
};

impl Broker {
    /// The switch, for whoever watches or shows it.
    pub const fn kill_switch(&self) -> &KillSwitch {
        &self.parts.kill
    }

    /// Refuses while the switch is tripped. Whoever can be cut takes the watch first.
    pub fn ready(&self) -> Result<(), Refusal> {
        if !self.parts.kill.is_tripped() {
            return Ok(());
        }
        let why = self.parts.kill.trip().map_or_else(|| "tripped".to_owned(), |trip| trip.to_string());
        let detail = format!("the kill switch is {why}; nothing is forwarded until the operator resets it");
        Err(Refusal::new(RefusalCode::Killed, detail, "secrets kill --reset"))
    }

    /// The same for what is no request.
    pub(super) fn unlatched(&self) -> Result<(), Error> {
        self.parts
            .kill
            .is_tripped()
            .then(|| self.parts.kill.trip())
            .flatten()
            .map_or(Ok(()), |trip| Err(Error::Killed(trip.to_string())))
    }

    /// Trips the switch and works off the plan. What was tripped before stays tripped since then; everything else is done
    /// again, and finds less to do.
    pub async fn kill(self: &Arc<Self>, plan: Plan, by: Tripper, reason: &str) -> KillReport {
        let begun = self.parts.clock.boot();
        let trip = self.parts.kill.pull(by, reason);
        let ended = self.parts.leases.revoke_where(|_| true, CutReason::Killed);
        self.cut_tunnels(CutReason::Killed);
        self.kill_approvals();
        let took = self.parts.clock.boot().saturating_sub(begun);
        tokio::task::yield_now().await; // whoever was cut goes before the disk, on this thread too

        let audit = &self.parts.audit;
        let mut report = KillReport::new(trip);
        report.leases = ended.len();
        let latched = Ok(report.trip.to_string());
        report.record(audit, Step::Latch, latched, None);
        for lease in &ended {
            audit.append_lazily(&Self::revoke_event(lease, CutReason::Killed));
        }
        report.record(audit, Step::RevokeAll, Ok(counted(ended.len() as u64, "lease")), None);
        report.record(audit, Step::Cut, Ok("live exchanges and tunnels".to_owned()), took);
        let kept = self.keep_latch();
        report.record(audit, Step::Keep, kept, None);
        if plan.rotate {
            let rotated = self.rotate_for_kill().await;
            report.record(audit, Step::RotateAll, rotated, None);
        }
        if plan.wipe {
            let wiped = base::blocking(|| self.wipe());
            report.record(audit, Step::WipeStore, wiped, None);
        }
        report.close(audit);
        report
    }

    /// Ends the trip; gives it, or `None` when there was none. Recorded first, and not done when that fails.
    pub fn reset_kill(&self) -> Result<Option<Trip>, Error> {
        let Some(trip) = self.parts.kill.trip() else { return Ok(None) };
        let details = format!("reset: was {trip}");
        self.parts.audit.append(&Event::new(Action::Killswitch).details(&details))?;
        self.parts.kill.reset().map_err(|error| {
            let why = error.to_string();
            let event = Event::new(Action::Killswitch).outcome(Outcome::Failed).details("reset").error(&why);
            self.parts.audit.append_lazily(&event);
            Error::KillSwitch(error)
        })
    }

    /// What a start does with a switch that is tripped: no lease of the last run comes back.
    pub fn hold_latch(&self) -> Result<(), Error> {
        let Some(trip) = self.parts.kill.trip() else { return Ok(()) };
        let ended = self.parts.leases.revoke_where(|_| true, CutReason::Killed);
        for lease in &ended {
            self.parts.audit.append_lazily(&Self::revoke_event(lease, CutReason::Killed));
        }
        let details = format!("latch: still {trip}; {} of the last run ended", counted(ended.len() as u64, "lease"));
        self.parts.audit.append(&Event::new(Action::Killswitch).details(&details))?;
        self.persist_all()
    }

    pub(super) fn cut_tunnels(&self, reason: CutReason) {
        self.main_tunnels.cut(reason);
        for session in self.sessions.all() {
            session.tunnels().cut(reason);
        }
    }

    fn keep_latch(&self) -> Result<String, String> {
        let latch = self.parts.kill.keep().map_err(|error| error.to_string());
        let leases = self.persist_all().map_err(|error| error.to_string());
        match (latch, leases) {
            (Ok(()), Ok(())) => Ok("the latch is on disk, and no lease is".to_owned()),
            (Err(latch), Err(leases)) => Err(format!("{latch}; {leases}")),
            (Err(why), Ok(())) | (Ok(()), Err(why)) => Err(why),
        }
    }

    /// What was handed out before is worth nothing once its issuer knows the new value.
    async fn rotate_for_kill(self: &Arc<Self>) -> Result<String, String> {
        let rotations = self.rotate_all(Trigger::KillSwitch).await;
        let fault =
            |rotation: &Rotation| rotation.outcome.as_ref().err().map(|fault| format!("`{}`: {fault}", rotation.name));
        let faults: Vec<String> = rotations.iter().filter_map(fault).collect();
        let others = self.parts.store.list().len().saturating_sub(rotations.len());
        if faults.is_empty() {
            return Ok(format!("{} rotated; {others} without a hook", counted(rotations.len() as u64, "secret")));
        }
        Err(format!(
            "not rotated, {} of {}: {}",
            faults.len(),
            counted(rotations.len() as u64, "secret"),
            faults.join("; ")
        ))
    }

    /// Memory first, so that nothing writes again what was wiped.
    fn wipe(&self) -> Result<String, String> {
        let _no_change = self.secrets_turn();
        let _no_writer = self.persisted.turn();
        self.parts.store.forget();
        self.echoes.forget_all();
        self.rotations.forget_all();
        wipe_home(&self.parts.home).map(|count| format!("{} overwritten and removed", counted(count as u64, "file")))
    }
}
