//! The log as a whole: written, kept in one piece, found, followed.

mod chain;
mod faults;
mod proof;
mod reading;
mod rolling;

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use super::*;
use crate::base::{Clock, RequestId, Timestamp, hex, sha256};

fn clock() -> Clock {
    Clock::manual(Timestamp::from_millis(1_764_000_000_123))
}

/// A temporary folder and the path of a log in it.
fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    (folder, path)
}

fn open(path: &Path) -> AuditLog {
    AuditLog::open(path, Settings::default(), clock()).unwrap().0
}

fn begun(id: RequestId) -> Event<'static> {
    Event::new(Action::RequestBegun).request(id).method("GET").path("/v1")
}

fn ended(id: RequestId) -> Event<'static> {
    Event::new(Action::RequestEnded).request(id).status(200).outcome(Outcome::Ok)
}

fn actions(path: &Path) -> Vec<String> {
    Lines::open(path).unwrap().map(|line| line.unwrap().record().unwrap().action.clone()).collect()
}

fn last_details(path: &Path) -> String {
    let lines = tail(path, &Filter::new(), 1).unwrap();
    lines.first().and_then(Line::record).and_then(|record| record.details.clone()).unwrap_or_default()
}

#[test]
fn what_is_accepted_is_in_the_file_and_chained() {
    let (_folder, path) = place();
    let log = open(&path);
    let id = RequestId::next();
    log.append(&begun(id)).unwrap();
    assert_eq!(actions(&path), ["request_begun"], "accepted means written");
    log.append_lazily(&ended(id));
    assert_eq!(actions(&path).len(), 1, "a lazy line waits");
    log.append(&Event::new(Action::PolicyReload)).unwrap();
    assert_eq!(actions(&path), ["request_begun", "request_ended", "policy_reload"], "and goes with the next write");
    log.append_lazily(&Event::new(Action::DaemonStop));
    log.flush().unwrap();
    let verified = verify(&path).unwrap();
    assert_eq!((verified.lines, verified.first_break, verified.head), (4, None, Some(log.head())));
    let first = fs::read_to_string(&path).unwrap();
    let start = format!("{{\"seq\":1,\"prev\":\"{}\",\"timestamp\":\"2025-11-24T16:00:00.123Z\",", "0".repeat(64));
    assert!(first.starts_with(&start), "{first}");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn lazy_lines_are_written_when_many_wait_and_when_the_log_goes() {
    let (_folder, path) = place();
    let log = open(&path);
    let text = "x".repeat(1000);
    for _ in 0..70 {
        log.append_lazily(&Event::new(Action::PolicyChange).details(&text));
    }
    let written = actions(&path).len();
    assert!((50..70).contains(&written), "64 KiB were written: {written} lines");
    drop(log);
    assert_eq!(actions(&path).len(), 70);
    assert!(verify(&path).unwrap().is_whole());
}

#[test]
fn a_reopened_log_goes_on_with_its_chain() {
    let (_folder, path) = place();
    for _ in 0..3 {
        open(&path).append(&Event::new(Action::DaemonStart)).unwrap();
    }
    let verified = verify(&path).unwrap();
    assert_eq!((verified.lines, verified.first_break), (3, None));
    assert_eq!(verified.head.unwrap().seq, 3);
}

#[test]
fn a_log_of_agent_secrets_is_kept_and_chained_to() {
    let (_folder, path) = place();
    let theirs = concat!(
        "{\"timestamp\":\"2025-01-02T03:04:05.123456789+01:00\",\"action\":\"daemon_start\",\"success\":true}\n",
        "{\"timestamp\":\"2025-01-02T03:04:06+01:00\",\"action\":\"lease_acquire\",\"secret_name\":\"k\",",
        "\"client_id\":\"c\",\"lease_id\":\"0b2f\",\"details\":\"ttl=1h\",\"success\":true}\n",
    );
    fs::write(&path, theirs).unwrap();
    let log = open(&path);
    log.append(&Event::new(Action::DaemonStart)).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let ours = text.strip_prefix(theirs).unwrap();
    let last = theirs.lines().last().unwrap();
    assert!(ours.starts_with(&format!("{{\"seq\":1,\"prev\":\"{}\"", hex(&sha256(last.as_bytes())))), "{ours}");
    let verified = verify(&path).unwrap();
    assert_eq!((verified.lines, verified.unchained_lines, verified.first_break), (3, 2, None));
    let lease = &tail(&path, &Filter::new().action("lease_acquire"), 5).unwrap()[0];
    assert_eq!(lease.record().unwrap().secret_name.as_deref(), Some("k"));
}

#[test]
fn many_writers_keep_one_chain() {
    let (_folder, path) = place();
    let log = open(&path);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..100 {
                    let id = RequestId::next();
                    log.append(&begun(id)).unwrap();
                    log.append_lazily(&ended(id));
                }
            });
        }
    });
    log.flush().unwrap();
    let verified = verify(&path).unwrap();
    assert_eq!((verified.lines, verified.first_break), (1600, None));
    assert_eq!(verified.open_requests, []);
}

#[test]
fn attack_109_a_log_that_was_moved_away_goes_on_in_a_new_file() {
    let (folder, path) = place();
    let log = open(&path);
    log.append(&Event::new(Action::DaemonStart)).unwrap();
    let head = log.head();
    log.append_lazily(&Event::new(Action::PolicyReload));
    let moved = folder.path().join("audit.log.1");
    fs::rename(&path, &moved).unwrap();
    log.flush().unwrap();
    assert_eq!(actions(&moved), ["daemon_start"]);
    assert_eq!(actions(&path), ["log_continued", "policy_reload"], "what waited is chained anew");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with(&format!("{{\"seq\":2,\"prev\":\"{}\"", head.hash)), "{text}");
    assert!(verify(&moved).unwrap().is_whole());
    let verified = verify(&path).unwrap();
    assert_eq!((verified.first_break, verified.head), (None, Some(log.head())));

    fs::remove_file(&path).unwrap();
    log.flush().unwrap();
    assert_eq!(actions(&path), ["log_continued"]);
    assert!(verify(&path).unwrap().is_whole());
}

#[test]
fn a_log_without_a_folder_takes_nothing_until_the_folder_is_back() {
    let (folder, _) = place();
    let (home, away) = (folder.path().join("home"), folder.path().join("away"));
    fs::create_dir(&home).unwrap();
    let path = home.join("audit.log");
    let log = open(&path);
    log.append(&Event::new(Action::DaemonStart)).unwrap();
    fs::rename(&home, &away).unwrap();
    assert!(log.flush().is_err());
    assert!(!log.is_healthy());
    assert!(log.append(&Event::new(Action::PolicyChange)).is_err(), "it would be lost");
    log.append_lazily(&Event::new(Action::PolicyReload));
    fs::create_dir(&home).unwrap();
    log.flush().unwrap();
    assert!(log.is_healthy());
    assert_eq!(actions(&path), ["log_continued", "policy_reload", "audit_recovered"]);
    assert_eq!(last_details(&path), "the log could not be written: 1 event refused, 0 events lost");
    assert!(verify(&path).unwrap().is_whole());
}

#[test]
fn attack_91_what_is_not_our_own_plain_file_is_refused() {
    let (folder, path) = place();
    let real = folder.path().join("real");
    fs::write(&real, "").unwrap();
    let refused = |path: &Path| AuditLog::open(path, Settings::default(), clock()).unwrap_err();
    symlink(&real, &path).unwrap();
    assert!(matches!(refused(&path), Error::NotAFile(_)));
    assert!(matches!(verify(&path).unwrap_err(), Error::NotAFile(_)));
    fs::remove_file(&path).unwrap();
    fs::hard_link(&real, &path).unwrap();
    assert!(matches!(refused(&path), Error::Linked(_)));
    assert!(matches!(refused(folder.path()), Error::NotAFile(_)));
    assert!(matches!(refused(&folder.path().join("none/audit.log")), Error::Io { .. }));
    assert_eq!(fs::read(&real).unwrap(), b"", "nothing was written through the link");
}

#[test]
fn a_log_that_others_could_read_is_made_private() {
    let (_folder, path) = place();
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let _log = open(&path);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_torn_line_is_cut_and_kept_and_what_had_begun_is_closed() {
    let (folder, path) = place();
    let (id, tunnel, done) = (RequestId::next(), RequestId::next(), RequestId::next());
    let client = "agent".parse().unwrap();
    {
        let log = open(&path);
        log.append(&begun(RequestId::next())).unwrap(); // left over from before the start: not looked at again
        log.append(&Event::new(Action::DaemonStart)).unwrap();
        log.append(&begun(done)).unwrap();
        log.append(&begun(id).client(&client)).unwrap();
        log.append(&ended(done)).unwrap();
        log.append(&Event::new(Action::TunnelBegun).request(tunnel).host_as_written("h.example")).unwrap();
    }
    let whole = fs::read(&path).unwrap();
    fs::write(&path, [whole.as_slice(), b"{\"seq\":7,\"pre"].concat()).unwrap();
    let (log, recovery) = AuditLog::open(&path, Settings::default(), clock()).unwrap();
    assert_eq!(recovery.closed, [id, tunnel]);
    let torn = recovery.torn.unwrap();
    assert_eq!(torn.kept, folder.path().join("audit.log.torn-20251124T160000.123Z"));
    assert_eq!((torn.bytes, fs::read(&torn.kept).unwrap().as_slice()), (13, b"{\"seq\":7,\"pre".as_slice()));
    let lines: Vec<Line> = Lines::open(&path).unwrap().map(Result::unwrap).collect();
    let ends: Vec<&Record> = lines.iter().skip(6).filter_map(Line::record).collect();
    let seen: Vec<(&str, Option<&str>)> = ends.iter().map(|r| (r.action.as_str(), r.outcome.as_deref())).collect();
    let expected = [("request_ended", Some("unknown")), ("tunnel_ended", Some("unknown")), ("audit_recovered", None)];
    assert_eq!(seen, expected);
    assert_eq!(ends[0].client_id.as_deref(), Some("agent"));
    assert_eq!(ends[1].host.as_deref(), Some("h.example"));
    assert!(!ends[0].success);
    assert_eq!(last_details(&path), "cut 13 bytes of a torn line, closed 2 requests");
    let verified = verify(&path).unwrap();
    assert_eq!((verified.first_break, verified.head), (None, Some(log.head())));
    drop(log);
    let (_, recovery) = AuditLog::open(&path, Settings::default(), clock()).unwrap();
    assert_eq!(recovery, Recovery::default(), "once is enough");
}

#[test]
fn attack_104_a_log_that_ends_anywhere_opens_whole() {
    let (_folder, path) = place();
    let id = RequestId::next();
    {
        let log = open(&path);
        log.append(&Event::new(Action::DaemonStart)).unwrap();
        log.append(&begun(id)).unwrap();
        log.append(&ended(id)).unwrap();
    }
    let whole = fs::read(&path).unwrap();
    let ends: Vec<usize> = whole.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at + 1).collect();
    for length in (0..whole.len()).step_by(11).chain(ends.iter().flat_map(|end| [end - 1, *end])) {
        let (_folder, path) = place();
        fs::write(&path, &whole[..length]).unwrap();
        let (log, recovery) = AuditLog::open(&path, Settings::default(), clock()).unwrap();
        let kept = ends.iter().copied().filter(|end| *end <= length).max().unwrap_or(0);
        assert!(fs::read(&path).unwrap().starts_with(&whole[..kept]), "whole lines stay, {length}");
        assert_eq!(recovery.torn.map(|torn| torn.bytes), (length > kept).then_some((length - kept) as u64), "{length}");
        assert_eq!(recovery.closed, if kept == ends[1] { vec![id] } else { vec![] }, "{length}");
        let verified = verify(&path).unwrap();
        assert_eq!((verified.first_break, verified.open_requests), (None, vec![]), "{length}");
        drop(log);
    }
}

#[test]
fn two_torn_lines_at_one_time_are_kept_apart() {
    let (folder, path) = place();
    for part in ["a", "b"] {
        fs::write(&path, part).unwrap();
        let _log = open(&path);
    }
    let kept = |name: &str| fs::read(folder.path().join(name)).unwrap();
    assert_eq!(kept("audit.log.torn-20251124T160000.123Z"), b"a");
    assert_eq!(kept("audit.log.torn-20251124T160000.123Z-1"), b"b");
}
