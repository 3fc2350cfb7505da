//! `secrets doctor`: every part of the set-up, looked at in the order in which one needs another.

use std::{
    fs,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::Path,
    time::Duration,
};

use serde::Serialize;
use serde_json::json;

use super::{heartbeat, quorum, settings};
use crate::cli::{
    context::Context,
    envelope::NextAction,
    exit::ExitStatus,
    printer::Outcome,
    report::{GENERIC_FIX, Report},
    sanitize::shell_word,
    table::Table,
};
use crate::{
    base::{Clock, Home, Timestamp, blocking, counted, look_at},
    control::{Client, Heartbeat, Kill, ListPolicy, Notices, Ping, ShowCa, StatusQuery},
    daemon::{self, Settings, SocketMode},
    policy::PolicySet,
    store::Store,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Ok,
    Warning,
    Fault,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Check {
    name: &'static str,
    verdict: Verdict,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

impl Check {
    fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Ok, detail: detail.into(), fix: None }
    }

    fn warning(name: &'static str, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Warning, detail: detail.into(), fix: Some(fix.into()) }
    }

    fn fault(name: &'static str, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Fault, detail: detail.into(), fix: Some(fix.into()) }
    }
}

/// What stands at a path that must be private.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    File,
    Folder,
    Socket,
    /// One that the settings open to a group.
    SocketOfGroup,
}

fn socket_kind(context: &Context) -> Kind {
    let settings = Settings::load(&context.home, context.globals.config.as_deref());
    let is_open = settings.is_ok_and(|settings| settings.socket_mode == SocketMode::Group);
    if is_open { Kind::SocketOfGroup } else { Kind::Socket }
}

/// The root is too near its end within this time.
const CA_NOTICE: Duration = Duration::from_hours(720);
/// No clock that is right shows less: 2025-01-01.
const NOT_BEFORE: Timestamp = Timestamp::from_millis(1_735_689_600_000);

pub(super) async fn run(context: &mut Context) -> Result<Outcome, Report> {
    let home = &context.home;
    let mut checks = vec![
        private("home", home.folder(), Kind::Folder),
        opened("identity", home, &home.identity()),
        opened("store", home, &home.store()),
        clock(Clock::system().now(), &home.identity()),
    ];
    match context.connect().await {
        Ok(mut client) => {
            checks.push(private("socket", &context.socket, socket_kind(context)));
            ask(&mut client, &mut checks).await;
        }
        Err(report) if report.fix == GENERIC_FIX => {
            let log = format!("tail {}", shell_word(&home.daemon_log().to_string_lossy()));
            checks.push(Check::fault("daemon", report.message, log)); // the doctor would send people to the doctor
        }
        Err(report) => checks.push(Check::fault("daemon", report.message, report.fix)),
    }
    if let Ok(set) = blocking(|| PolicySet::load(&context.home.policies())) {
        let odd = quorum::unfillable(context, &set).into_iter();
        checks.extend(odd.map(|odd| Check::warning("quorum", odd.to_string(), "secrets config")));
    }
    let user = std::env::home_dir().unwrap_or_default();
    let findings = settings::find(&user, &context.folder);
    if findings.is_empty() {
        checks.push(Check::ok("settings", "nothing beats a session's variables"));
    }
    checks.extend(findings.into_iter().map(|finding| Check::warning("settings", finding.what, finding.fix)));
    for check in &mut checks {
        check.fix = check.fix.take().map(|fix| context.printer.runnable(&fix));
    }
    conclude(&checks)
}

fn private(name: &'static str, path: &Path, kind: Kind) -> Check {
    let shown = path.display();
    let word = shell_word(&path.to_string_lossy());
    let Ok(found) = fs::symlink_metadata(path).and_then(|link| {
        // The home folder may be a link; files may not.
        if kind == Kind::Folder { fs::metadata(path) } else { Ok(link) }
    }) else {
        return Check::fault(name, format!("`{shown}` is not there"), "secrets init");
    };
    let fits = match kind {
        Kind::File => found.is_file(),
        Kind::Folder => found.is_dir(),
        Kind::Socket | Kind::SocketOfGroup => found.file_type().is_socket(),
    };
    let wanted = match kind {
        Kind::Folder => 0o700,
        Kind::File | Kind::Socket => 0o600,
        Kind::SocketOfGroup => 0o660,
    };
    let mode = found.mode() & 0o777;
    if !fits {
        Check::fault(name, format!("`{shown}` is not what belongs there"), format!("ls -l {word}"))
    } else if found.uid() != rustix::process::geteuid().as_raw() {
        Check::fault(
            name,
            format!("`{shown}` belongs to user {}", found.uid()),
            format!("sudo chown \"$(id -u)\" {word}"),
        )
    } else if mode & 0o077 & !wanted != 0 {
        let detail = format!("`{shown}` has mode {mode:04o} and is open to others");
        Check::fault(name, detail, format!("chmod {wanted:o} {word}"))
    } else {
        Check::ok(name, format!("{shown}, mode {mode:04o}"))
    }
}

/// Identity or store. A store that is damaged on the disk is one also while a daemon still has its content; one without
/// its identity, or the other way round, is no home that could be made anew.
fn opened(name: &'static str, home: &Home, path: &Path) -> Check {
    let found = private(name, path, Kind::File);
    let (exists, any) = (path.exists(), home.identity().exists() || home.store().exists());
    let (is_store, is_whole) = (name == "store", home.identity().exists());
    if exists && (found.verdict != Verdict::Ok || !is_store || !is_whole) || !any {
        return found;
    }
    match blocking(|| Store::open(home, Clock::system())) {
        Ok(_) => found,
        Err(error) => {
            let failure = daemon::failure(&daemon::Error::from(error));
            let fix = failure.fix.or(found.fix).unwrap_or_else(|| look_at(path));
            Check::fault(name, failure.message, fix)
        }
    }
}

/// A clock that was set back makes leases and certificates live longer than they should.
fn clock(now: Timestamp, identity: &Path) -> Check {
    let made = fs::metadata(identity).map_or(0, |metadata| metadata.mtime().saturating_mul(1_000));
    if now < NOT_BEFORE || now.as_millis().saturating_add(86_400_000) < made {
        return Check::fault("clock", format!("it shows {now}, which is in the past"), "date");
    }
    Check::ok("clock", now.to_string())
}

async fn ask(client: &mut Client, checks: &mut Vec<Check>) {
    let own = env!("CARGO_PKG_VERSION");
    checks.push(match client.call(Ping {}).await {
        Ok(pong) if pong.version == own => {
            Check::ok("daemon", format!("process {}, proxy on {}", pong.pid, pong.proxy_addr))
        }
        Ok(pong) => {
            let detail = format!("it is version {}, and this program is {own}", pong.version);
            Check::warning("daemon", detail, "secrets stop")
        }
        Err(error) => Check::fault("daemon", error.to_string(), "secrets stop"),
    });
    if let Ok(status) = client.call(StatusQuery {}).await {
        checks.push(match status.store_warning {
            None => Check::ok("values", format!("{} can be read", counted(status.secrets_count, "secret"))),
            Some(warning) => Check::warning("values", warning, "secrets status"),
        });
        checks.push(if status.audit_healthy {
            Check::ok("audit", "events are recorded")
        } else {
            Check::fault("audit", "events cannot be recorded, and nothing is forwarded without a record", "df -h")
        });
        checks.push(match status.kill {
            Some(tripped @ Kill::Tripped { .. }) => {
                Check::fault("kill switch", heartbeat::kill(&tripped), "secrets kill --reset")
            }
            Some(Kill::Ready) | None => Check::ok("kill switch", "ready"),
        });
        checks.extend(status.heartbeat.and_then(|heart| beats(&heart)));
        checks.extend(status.notices.map(|notices| noticed(&notices)));
    }
    if let Ok(policy) = client.call(ListPolicy {}).await {
        checks.push(match policy.faults.first() {
            None => {
                let count = |all: usize, thing| counted(all as u64, thing);
                let (services, grants) = (policy.services.len(), policy.grants.len());
                Check::ok("policies", format!("{}, {}", count(services, "service"), count(grants, "grant")))
            }
            Some(fault) => {
                let hint = fault.fix.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
                let detail = format!("{}: {}{hint}", fault.place, fault.message);
                Check::fault("policies", detail, "secrets policy check")
            }
        });
    }
    if let Ok(certificate) = client.call(ShowCa {}).await {
        checks.push(certificate_end(certificate.expires_at, Clock::system().now()));
        if !certificate.uncovered.is_empty() {
            let detail = format!("the root does not vouch for `{}`", certificate.uncovered.join("`, `"));
            checks.push(Check::fault("certificate", detail, "secrets daemon restart"));
        }
    }
}

fn beats(heart: &Heartbeat) -> Option<Check> {
    let summary = heartbeat::summary(heart)?;
    let is_missed = heart.misses.is_some_and(|misses| misses > 0);
    Some(if is_missed {
        Check::warning("heartbeat", summary, "secrets heartbeat test")
    } else {
        Check::ok("heartbeat", summary)
    })
}

/// Whether people hear of requests that wait for them.
fn noticed(notices: &Notices) -> Check {
    let name = "notices";
    match notices {
        Notices::Off => Check::ok(name, "off; `secrets approvals --watch` asks on a terminal"),
        Notices::None => Check::ok(name, "no desktop notices here; `secrets approvals --watch` asks on a terminal"),
        Notices::By(program) => Check::ok(name, format!("requests that wait are told by {program}")),
        Notices::Missing(program) => {
            let detail = format!("`{program}` of `approvals.notify` is not on the daemon's PATH, so nobody is told");
            Check::warning(name, detail, "secrets config")
        }
    }
}

fn certificate_end(ends: Option<Timestamp>, now: Timestamp) -> Check {
    match ends {
        None => Check::ok("certificate", "the root is there"),
        Some(ends) if ends <= now => Check::fault("certificate", format!("the root ended on {ends}"), "secrets stop"),
        Some(ends) if ends.since(now) < CA_NOTICE => {
            Check::warning("certificate", format!("the root ends on {ends}"), "secrets stop")
        }
        Some(ends) => Check::ok("certificate", format!("the root is good until {ends}")),
    }
}

fn conclude(checks: &[Check]) -> Result<Outcome, Report> {
    let mut table = Table::new(&["check", "verdict", "detail", "fix"]);
    for check in checks {
        let verdict = match check.verdict {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Fault => "fault",
        };
        table.row([check.name, verdict, &check.detail, check.fix.as_deref().unwrap_or("")]);
    }
    let human = table.render("");
    let faults: Vec<&Check> = checks.iter().filter(|check| check.verdict == Verdict::Fault).collect();
    let result = json!({"healthy": faults.is_empty(), "checks": checks});
    match faults.as_slice() {
        [] => {
            let next = vec![NextAction::new("secrets exec -- COMMAND", "Run a program behind the proxy")];
            Ok(Outcome::Shown { result, human, next })
        }
        [first, ..] => {
            let message =
                format!("{} of {} checks found a fault; the first: {}", faults.len(), checks.len(), first.detail);
            let fix = first.fix.clone().unwrap_or_default();
            Err(Report::new(ExitStatus::Generic, message, fix).with_result(result, human))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn attack_92_what_is_open_to_others_is_a_fault_with_its_chmod() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity.age");
        let check = || private("identity", &path, Kind::File);
        assert_eq!(check().fix.as_deref(), Some("secrets init"));
        fs::write(&path, "x").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(check().verdict, Verdict::Fault);
        assert_eq!(check().fix, Some(format!("chmod 600 {}", path.display())));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(check().verdict, Verdict::Ok);
        assert_eq!(private("home", &path, Kind::Folder).verdict, Verdict::Fault);
    }

    #[test]
    fn a_clock_in_the_past_and_a_root_near_its_end_are_told() {
        let now = Timestamp::from_millis(1_764_000_000_000);
        assert_eq!(clock(now, Path::new("/nowhere")).verdict, Verdict::Ok);
        assert_eq!(clock(Timestamp::from_millis(0), Path::new("/nowhere")).verdict, Verdict::Fault);
        let end = |days: u64| certificate_end(Some(now.plus(Duration::from_secs(days * 86_400))), now).verdict;
        assert_eq!((end(0), end(29), end(31)), (Verdict::Fault, Verdict::Warning, Verdict::Ok));
    }

    #[test]
    fn only_a_program_that_the_settings_name_is_missed() {
        let missing = noticed(&Notices::Missing("tell-me".to_owned()));
        assert!(missing.verdict == Verdict::Warning && missing.detail.contains("`tell-me`"), "{missing:?}");
        for fine in [Notices::Off, Notices::None, Notices::By("/usr/bin/notify-send".to_owned())] {
            assert_eq!(noticed(&fine).verdict, Verdict::Ok);
        }
    }

    #[test]
    fn the_first_fault_is_the_fix() {
        let checks = [Check::ok("a", "x"), Check::fault("b", "bad", "mend b"), Check::fault("c", "bad", "mend c")];
        let report = conclude(&checks).err().unwrap();
        assert_eq!((report.fix.as_str(), report.status), ("mend b", ExitStatus::Generic));
        assert!(conclude(&checks[..1]).is_ok());
    }
}
