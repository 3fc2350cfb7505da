//! The emergency stop without a daemon: latch the file, and wipe where asked. What would be live is not, and the next
//! daemon starts latched.

use std::time::Duration;

use super::{KillReport, KillSwitch, Plan, Step, Tripper, wipe_home};
use crate::{
    audit::{self, AuditLog},
    base::{AtomicFileError, Clock, FileLock, Home, counted},
};

/// Works off the plan on the files of a home whose daemon does not run, or runs and does not answer; such a one follows
/// the file within a second, and holds the audit log, so that it records the trip itself.
pub fn kill_offline(home: &Home, plan: Plan, clock: &Clock) -> KillReport {
    let switch = KillSwitch::open(home.kill_state(), clock.clone());
    let trip = switch.pull(Tripper::Operator, "`secrets kill` was run without reaching a daemon");
    let kept = switch.keep().map_err(|error| error.to_string());
    let lock = FileLock::acquire_within(&home.daemon_lock(), PATIENCE);
    let log = match &lock {
        Ok(_) => AuditLog::open(&home.audit(), audit::Settings::default(), clock.clone())
            .map(|(log, _)| log)
            .map_err(|error| error.to_string()),
        Err(AtomicFileError::Locked(_)) => {
            Err("a daemon that does not answer holds the audit log; it records that it was tripped".to_owned())
        }
        Err(error) => Err(error.to_string()),
    };

    let mut report = KillReport::new(trip);
    let mut add = |step, result| match &log {
        Ok(log) => report.record(log, step, result, None),
        Err(_) => report.add(step, result),
    };
    let latched = match &lock {
        Err(AtomicFileError::Locked(_)) => "a daemon that does not answer follows within a second",
        _ => "no daemon of this home runs; the next one starts latched and ends the leases of the last run",
    };
    add(Step::Latch, kept.map(|()| latched.to_owned()));
    if plan.rotate {
        add(Step::RotateAll, Err("only a daemon that answers can rotate".to_owned()));
    }
    if plan.wipe {
        add(
            Step::WipeStore,
            wipe_home(home).map(|count| format!("{} overwritten and removed", counted(count as u64, "file"))),
        );
    }
    match log {
        Ok(log) => report.close(&log),
        Err(why) => report.add(Step::Record, Err(why)),
    }
    report
}

/// How long the lock of a daemon that is just ending is waited for; the latch has fallen before.
const PATIENCE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> (tempfile::TempDir, Home) {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        std::fs::write(home.identity(), "x").unwrap();
        (folder, home)
    }

    fn failed(report: &KillReport) -> Vec<Step> {
        report.steps.iter().filter(|done| done.result.is_err()).map(|done| done.step).collect()
    }

    #[test]
    fn it_latches_and_records_where_no_daemon_runs() {
        let (_folder, home) = home();
        let report = kill_offline(&home, Plan::default(), &Clock::system());
        assert_eq!(failed(&report), []);
        assert!(KillSwitch::open(home.kill_state(), Clock::system()).is_tripped());
        assert!(home.identity().exists(), "nothing is wiped unasked");
        let log = std::fs::read_to_string(home.audit()).unwrap();
        assert!(log.contains("killswitch") && log.contains("latch: "), "{log}");
    }

    #[test]
    fn it_latches_beside_a_daemon_that_hangs_and_leaves_its_log_alone() {
        let (_folder, home) = home();
        let _daemon = FileLock::try_acquire(&home.daemon_lock()).unwrap();
        let report = kill_offline(&home, Plan { rotate: true, wipe: true }, &Clock::system());
        assert_eq!(failed(&report), [Step::RotateAll, Step::Record]);
        assert!(KillSwitch::open(home.kill_state(), Clock::system()).is_tripped());
        assert!(!home.audit().exists() && !home.identity().exists());
    }

    #[test]
    fn a_latch_that_cannot_be_written_keeps_nothing_from_being_wiped() {
        let (_folder, home) = home();
        std::fs::create_dir(home.kill_state()).unwrap();
        let report = kill_offline(&home, Plan { rotate: false, wipe: true }, &Clock::system());
        assert_eq!(failed(&report), [Step::Latch]);
        assert!(!home.identity().exists());
    }
}
