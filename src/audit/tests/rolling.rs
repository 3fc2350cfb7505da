//! Files that are rolled over: one chain, one history, whatever happens between two files and to them.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// Every call rolls over.
fn rolling() -> Settings {
    Settings { max_size: 1, ..Settings::default() }
}

fn open_rolling(path: &Path, keep: Option<u32>) -> AuditLog {
    AuditLog::open(path, Settings { keep, ..rolling() }, clock()).unwrap().0
}

fn change(log: &AuditLog, number: usize) {
    log.append(&Event::new(Action::PolicyChange).details(&format!("change {number}"))).unwrap();
}

/// Names of the log's files, rolled ones first.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names.rotate_left(1);
    names
}

/// Three rolled files of three lines and the log with one: lines 1–3, 4–6, 7–9, 10.
fn four_files() -> (tempfile::TempDir, PathBuf, [PathBuf; 3]) {
    let (folder, path) = place();
    let log = open_rolling(&path, None);
    change(&log, 1);
    for number in 2..8 {
        change(&log, number);
        if number % 2 == 1 {
            assert_eq!(log.roll_over_if_due().unwrap(), RollOver::Done);
        }
    }
    let rolled = [3, 6, 9].map(|last| folder.path().join(format!("audit.log.{last:012}")));
    assert!(rolled.iter().all(|file| file.exists()), "{:?}", names(folder.path()));
    (folder, path, rolled)
}

#[track_caller]
fn found(change: impl FnOnce(&Path, &[PathBuf; 3]), file: Option<&str>, line: u64, why: BreakKind) {
    let (_folder, path, rolled) = four_files();
    change(&path, &rolled);
    let expected = Break { file: file.map(str::to_owned), line, why };
    assert_eq!(verify(&path).unwrap().first_break, Some(expected));
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn a_large_log_goes_on_in_a_new_file_with_one_chain() {
    let (folder, path) = place();
    let settings = Settings { max_size: 600, ..Settings::default() };
    let (log, _) = AuditLog::open(&path, settings, clock()).unwrap();
    let id = RequestId::next();
    log.append(&Event::new(Action::DaemonStart)).unwrap();
    assert_eq!(log.roll_over_if_due().unwrap(), RollOver::NotDue);
    log.append(&begun(id)).unwrap();
    log.append_lazily(&Event::new(Action::PolicyReload));
    change(&log, 1);
    let before = log.head();
    assert_eq!(log.roll_over_if_due().unwrap(), RollOver::Done);
    assert_eq!(names(folder.path()), ["audit.log.000000000004", "audit.log"]);
    let first = fs::read_to_string(&path).unwrap();
    assert!(first.starts_with(&format!("{{\"seq\":5,\"prev\":\"{}\"", before.hash)), "{first}");
    assert!(first.contains("goes on from `audit.log.000000000004`"), "{first}");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    log.append(&ended(id)).unwrap();
    assert_eq!(log.roll_over_if_due().unwrap(), RollOver::NotDue);

    let all = ["daemon_start", "request_begun", "policy_reload", "policy_change", "log_continued", "request_ended"];
    assert_eq!(actions(&path), all);
    let last: Vec<Line> = tail(&path, &Filter::new(), 3).unwrap();
    assert_eq!(last.iter().map(|line| line.record().unwrap().seq.unwrap()).collect::<Vec<_>>(), [4, 5, 6]);
    let rows = recent(&path, &Filter::new().action("request_begun"), 5).unwrap().rows;
    assert_eq!(rows.len(), 1, "begun in one file, ended in the next");
    assert_eq!((rows[0].state, rows[0].record.status), (RowState::Done, Some(200)));
    let verified = verify(&path).unwrap();
    assert_eq!((verified.lines, verified.files, verified.begins_at), (6, 2, Some(1)));
    assert_eq!((verified.first_break, verified.head, verified.open_requests), (None, Some(log.head()), vec![]));
}

#[test]
fn attack_104_a_crash_between_two_files_loses_nothing_and_closes_what_had_begun() {
    for has_new_file in [false, true] {
        let (folder, path) = place();
        let id = RequestId::next();
        let log = open_rolling(&path, None);
        log.append(&Event::new(Action::DaemonStart)).unwrap();
        log.append(&begun(id)).unwrap();
        log.roll_over_if_due().unwrap();
        change(&log, 1);
        std::mem::forget(log); // as a kill leaves it
        fs::rename(&path, folder.path().join("audit.log.000000000004")).unwrap();
        assert!(verify(&path).unwrap().is_whole());
        if has_new_file {
            fs::write(&path, "").unwrap();
        }
        let (log, recovery) = AuditLog::open(&path, rolling(), clock()).unwrap();
        assert_eq!(recovery.closed, [id], "it began two files ago");
        let newest = fs::read_to_string(&path).unwrap();
        assert!(newest.lines().next().unwrap().contains("goes on from `audit.log.000000000004`"), "{newest}");
        let expected = ["log_continued", "request_ended", "audit_recovered"];
        assert_eq!(actions(&path)[4..], expected);
        let verified = verify(&path).unwrap();
        assert_eq!((verified.files, verified.first_break, verified.head), (3, None, Some(log.head())));
        assert_eq!(verified.open_requests, []);
    }
}

#[test]
fn attack_109_tampering_with_rolled_files_is_named_with_file_and_line() {
    let name = |last: u32| format!("audit.log.{last:012}");
    let (first, second) = (name(3), name(6));
    found(|_, rolled| fs::remove_file(&rolled[0]).unwrap(), Some(&second), 1, BreakKind::Removed(3));
    found(|_, rolled| fs::remove_file(&rolled[1]).unwrap(), Some(&name(9)), 1, BreakKind::Removed(3));
    found(|_, rolled| fs::remove_file(&rolled[2]).unwrap(), None, 1, BreakKind::Removed(3));
    found(|_, rolled| edit(&rolled[0], "change 1", "change X"), Some(&first), 1, BreakKind::Edited);
    found(|_, rolled| edit(&rolled[1], "change 5", "change X"), Some(&second), 3, BreakKind::Edited);
    found(|_, rolled| edit(&rolled[1], "goes on", "begins"), Some(&second), 1, BreakKind::Edited);
    found(|path, rolled| fs::rename(path, &rolled[0]).unwrap(), Some(&first), 1, BreakKind::Reordered);
    let swapped = |_: &Path, rolled: &[PathBuf; 3]| {
        let away = rolled[0].with_extension("away");
        fs::rename(&rolled[0], &away).unwrap();
        fs::rename(&rolled[1], &rolled[0]).unwrap();
        fs::rename(&away, &rolled[1]).unwrap();
    };
    found(swapped, Some(&first), 1, BreakKind::Reordered);
    let cut = |_: &Path, rolled: &[PathBuf; 3]| {
        let text = fs::read(&rolled[1]).unwrap();
        fs::write(&rolled[1], &text[..text.len() - 4]).unwrap();
    };
    found(cut, Some(&second), 3, BreakKind::Torn);
    let text = Break { file: Some(second), line: 3, why: BreakKind::Edited }.to_string();
    assert_eq!(text, "line 3 of `audit.log.000000000006` was edited");
}

#[test]
fn files_beyond_those_that_are_kept_are_removed_and_that_is_no_break() {
    let (folder, path) = place();
    let log = open_rolling(&path, Some(2));
    for number in 0..5 {
        change(&log, number);
        log.roll_over_if_due().unwrap();
    }
    // Each roll-over adds a line, and each removal another.
    assert_eq!(names(folder.path()), ["audit.log.000000000008", "audit.log.000000000011", "audit.log"]);
    let removals: Vec<Line> = tail(&path, &Filter::new().action("log_remove"), 9).unwrap();
    let last = removals.last().unwrap().record().unwrap().details.clone().unwrap();
    assert_eq!(last, "lines up to 5 are removed; `audit.keep` is 2");
    let verified = verify(&path).unwrap();
    assert_eq!((verified.first_break, verified.begins_at, verified.moved_away), (None, Some(6), 0));
    fs::remove_file(folder.path().join("audit.log.000000000008")).unwrap();
    let broken = verify(&path).unwrap().first_break.unwrap();
    assert_eq!(broken.why, BreakKind::Removed(8), "that one was not removed by the settings");
}

#[test]
fn no_file_of_anybodys_is_replaced_or_taken_for_ours() {
    let (folder, path) = place();
    let log = open_rolling(&path, Some(0));
    let theirs = ["audit.log.1", "audit.log.gz", "audit.log.00000000000x", "audit.log.torn-20251124T160000.123Z"];
    for name in theirs {
        fs::write(folder.path().join(name), "theirs").unwrap();
    }
    change(&log, 1);
    let planted = folder.path().join("audit.log.000000000001");
    fs::create_dir(&planted).unwrap();
    let error = log.roll_over_if_due().unwrap_err().to_string();
    assert!(error.contains("roll over"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1, "nothing was moved");
    fs::remove_dir(&planted).unwrap();
    change(&log, 2);
    assert_eq!(log.roll_over_if_due().unwrap(), RollOver::Done);
    assert_eq!(actions(&path), ["log_continued", "log_remove"], "none is kept");
    assert!(verify(&path).unwrap().is_whole());
    for name in theirs {
        assert_eq!(fs::read(folder.path().join(name)).unwrap(), b"theirs", "{name}");
    }
}

#[test]
fn a_rolling_log_that_was_moved_away_goes_on_and_says_so() {
    let (folder, path) = place();
    let log = open_rolling(&path, None);
    change(&log, 1);
    log.roll_over_if_due().unwrap();
    fs::rename(&path, folder.path().join("elsewhere")).unwrap();
    assert_eq!(log.roll_over_if_due().unwrap(), RollOver::NotDue, "what stands there is not ours to move");
    log.flush().unwrap();
    assert_eq!(actions(&path), ["policy_change", "log_continued"]);
    let verified = verify(&path).unwrap();
    assert_eq!((verified.first_break, verified.moved_away, verified.head), (None, 1, Some(log.head())));
}

#[test]
fn attack_109_a_cut_copy_in_the_place_of_a_running_log_shows() {
    let (folder, path) = place();
    let log = open(&path);
    (0..6).for_each(|number| change(&log, number));
    let text = fs::read_to_string(&path).unwrap();
    let copy = folder.path().join("copy");
    fs::write(&copy, text.lines().take(4).flat_map(|line| [line, "\n"]).collect::<String>()).unwrap();
    fs::rename(&copy, &path).unwrap();
    log.flush().unwrap();
    change(&log, 6);
    let expected = Break { file: None, line: 5, why: BreakKind::Removed(2) };
    assert_eq!(verify(&path).unwrap().first_break, Some(expected));
}

#[test]
fn roll_over_under_load_keeps_one_chain_and_readers_see_every_line_once() {
    const WRITERS: usize = 4;
    const REQUESTS: usize = 150;
    let (folder, path) = place();
    let log = open_rolling(&path, None);
    let mut follower = Follower::from_end(&path, Filter::new()).unwrap();
    let is_done = AtomicBool::new(false);
    let mut read = Vec::new();
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|_| {
                scope.spawn(|| {
                    for turn in 0..REQUESTS {
                        let id = RequestId::next();
                        log.append(&begun(id)).unwrap();
                        log.append_lazily(&ended(id));
                        if turn % 10 == 0 {
                            log.roll_over_if_due().unwrap(); // however late the thread for that comes to run
                        }
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            while !is_done.load(Ordering::SeqCst) {
                log.flush().unwrap();
                log.roll_over_if_due().unwrap();
            }
        });
        scope.spawn(|| {
            while !is_done.load(Ordering::SeqCst) {
                let verified = verify(&path).unwrap();
                assert_eq!(verified.first_break, None, "at every moment");
            }
        });
        while !writers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            read.extend(follower.poll().unwrap());
        }
        is_done.store(true, Ordering::SeqCst);
    });
    log.flush().unwrap();
    read.extend(follower.poll().unwrap());
    let seqs: Vec<u64> = read.iter().map(|line| line.record().unwrap().seq.unwrap()).collect();
    assert_eq!(seqs, (1..=log.head().seq).collect::<Vec<_>>());
    let verified = verify(&path).unwrap();
    assert_eq!((verified.first_break, verified.head), (None, Some(log.head())));
    assert_eq!((verified.open_requests.len(), verified.lines), (0, log.head().seq));
    let all = actions(&path);
    let count = |action: &str| all.iter().filter(|known| *known == action).count();
    assert_eq!((count("request_begun"), count("request_ended")), (WRITERS * REQUESTS, WRITERS * REQUESTS));
    assert!(count("log_continued") > 3 && names(folder.path()).len() > 4);
}

#[test]
fn synced_writers_share_a_log_that_is_rolled_over() {
    let (_folder, path) = place();
    let settings = Settings { durability: Durability::Fsync, ..rolling() };
    let (log, _) = AuditLog::open(&path, settings, clock()).unwrap();
    change(&log, 0);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3).map(|_| scope.spawn(|| (0..20).for_each(|number| change(&log, number)))).collect();
        loop {
            log.roll_over_if_due().unwrap(); // once at least, whoever runs when
            if writers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
                break;
            }
        }
    });
    let verified = verify(&path).unwrap();
    assert_eq!((verified.first_break, verified.head), (None, Some(log.head())));
    assert!(verified.files > 1);
}

#[test]
fn a_log_of_agent_secrets_is_rolled_over_once_it_has_a_chain() {
    let (_folder, path) = place();
    let theirs = "{\"timestamp\":\"2025-01-02T03:04:05Z\",\"action\":\"lease_acquire\",\"success\":true}\n";
    fs::write(&path, theirs.repeat(3)).unwrap();
    let log = open_rolling(&path, None);
    assert_eq!(log.roll_over_if_due().unwrap(), RollOver::NotDue, "its last line has no number yet");
    change(&log, 1);
    assert_eq!(log.roll_over_if_due().unwrap(), RollOver::Done);
    let verified = verify(&path).unwrap();
    assert_eq!((verified.lines, verified.unchained_lines, verified.first_break), (5, 3, None));
}
