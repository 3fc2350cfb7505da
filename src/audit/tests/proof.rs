//! What is left for those who check: the note of the newest line, and checkpoints.

use super::*;
use crate::base::{Ed25519Key, SigningKey};

/// A log whose newest line is noted, and who it is checked with.
struct Noted {
    folder: tempfile::TempDir,
    path: PathBuf,
    key: SigningKey,
}

impl Noted {
    fn new() -> Self {
        let (folder, path) = place();
        Self { folder, path, key: SigningKey::generate() }
    }

    fn note(&self) -> PathBuf {
        self.folder.path().join("audit.head")
    }

    fn witness(&self, origin: KeyOrigin) -> Witness {
        Witness::new(self.note(), self.key.seal(SigningKey::from_seed).unwrap(), origin)
    }

    fn open(&self, origin: KeyOrigin) -> (AuditLog, Recovery) {
        let settings = Settings { max_size: 1, witness: Some(self.witness(origin)), ..Settings::default() };
        AuditLog::open(&self.path, settings, clock()).unwrap()
    }

    /// A log of six lines, all of them noted.
    fn six_lines() -> (Self, AuditLog) {
        let noted = Self::new();
        let (log, _) = noted.open(KeyOrigin::Made);
        for number in 2..7 {
            log.append(&Event::new(Action::PolicyChange).details(&format!("change {number}"))).unwrap();
        }
        log.note_head().unwrap();
        (noted, log)
    }

    fn verify(&self) -> Verified {
        self.verify_with(&self.key.public())
    }

    fn verify_with(&self, key: &Ed25519Key) -> Verified {
        verify_with(&self.path, Trust { key, note: &self.note() }).unwrap()
    }

    fn rewrite(&self, change: impl FnOnce(&mut Vec<String>)) {
        let mut lines: Vec<String> = fs::read_to_string(&self.path).unwrap().lines().map(str::to_owned).collect();
        change(&mut lines);
        lines.push(String::new());
        fs::write(&self.path, lines.join("\n")).unwrap();
    }

    #[track_caller]
    fn found(&self, line: u64, why: BreakKind) {
        assert_eq!(self.verify().first_break, Some(Break { file: None, line, why }));
    }
}

#[test]
fn a_made_key_is_recorded_and_the_newest_line_noted() {
    let (noted, log) = Noted::six_lines();
    assert_eq!(actions(&noted.path)[0], "audit_key_create");
    let verified = noted.verify();
    assert_eq!((verified.first_break, verified.note), (None, NoteFinding::Agrees));
    assert_eq!(verified.named_key, Some(noted.key.public()));
    assert_eq!(noted.note().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    log.append(&Event::new(Action::PolicyReload)).unwrap();
    assert_eq!(noted.verify().note, NoteFinding::Agrees, "a log may be longer than its note");
    let before = fs::read(noted.note()).unwrap();
    log.note_head().unwrap();
    assert_ne!(fs::read(noted.note()).unwrap(), before);
}

#[test]
fn attack_109_a_cut_tail_is_found_by_the_note() {
    let (noted, _log) = Noted::six_lines();
    let whole = fs::read(&noted.path).unwrap();
    noted.rewrite(|lines| lines.truncate(4));
    assert!(verify(&noted.path).unwrap().is_whole(), "the chain alone cannot show it");
    noted.found(4, BreakKind::Cut { missing: 2, noted: 6 });
    assert_eq!(noted.verify().note, NoteFinding::Disagrees);
    fs::write(&noted.path, "").unwrap();
    noted.found(0, BreakKind::Cut { missing: 6, noted: 6 });
    fs::write(&noted.path, &whole).unwrap();
    noted.rewrite(|lines| lines[5] = lines[5].replace("change 6", "change X"));
    noted.found(6, BreakKind::Replaced);
    assert_eq!(noted.verify().note, NoteFinding::Disagrees);
    fs::write(&noted.path, &whole[..whole.len() - 3]).unwrap();
    noted.found(6, BreakKind::Torn);
    fs::write(&noted.path, &whole).unwrap();
    assert!(noted.verify().is_whole());
}

#[test]
fn attack_109_a_chain_that_was_written_anew_does_not_meet_the_note() {
    let (noted, log) = Noted::six_lines();
    drop(log);
    // Whoever has no key can still make a chain that fits.
    fs::remove_file(&noted.path).unwrap();
    let forged = open(&noted.path);
    for number in 0..6 {
        forged.append(&Event::new(Action::PolicyChange).details(&format!("forged {number}"))).unwrap();
    }
    assert!(verify(&noted.path).unwrap().is_whole());
    noted.found(6, BreakKind::Replaced);
}

#[test]
fn attack_109_a_log_whose_newest_files_are_gone_is_found_by_the_note() {
    let (noted, log) = Noted::six_lines();
    assert_eq!(log.roll_over_if_due().unwrap(), RollOver::Done);
    log.append(&Event::new(Action::PolicyReload)).unwrap();
    log.note_head().unwrap();
    assert!(noted.verify().is_whole());
    fs::remove_file(&noted.path).unwrap();
    let found = noted.verify().first_break.unwrap();
    assert_eq!((found.line, found.why), (6, BreakKind::Cut { missing: 2, noted: 8 }));
    assert!(found.to_string().ends_with("and the record ends with line 6 of `audit.log.000000000006`"), "{found}");
}

#[test]
fn a_note_that_is_gone_or_not_ours_proves_nothing_and_is_said() {
    let (noted, log) = Noted::six_lines();
    let other = Noted::new();
    let (_other_log, _) = other.open(KeyOrigin::Made);
    fs::copy(other.note(), noted.note()).unwrap();
    noted.found(6, BreakKind::Note(NoteFault::Unsigned));
    assert!(noted.verify().first_break.unwrap().to_string().contains("not signed with the key"));
    fs::remove_file(noted.note()).unwrap();
    noted.found(6, BreakKind::Note(NoteFault::Missing));
    drop(log);
    let (_log, recovery) = noted.open(KeyOrigin::Found);
    assert_eq!(recovery.missing, Some(Missing::Note(NoteFault::Missing)));
    assert_eq!(last_details(&noted.path), "the note of the newest line was missing");
    noted.found(7, BreakKind::NoteLost);
    let said = noted.verify().first_break.unwrap().to_string();
    assert!(said.contains("was gone when line 7 was written"), "a start does not make it good: {said}");
}

#[test]
fn the_end_of_our_process_never_looks_like_a_cut() {
    let (noted, log) = Noted::six_lines();
    log.append_lazily(&Event::new(Action::PolicyReload));
    log.note_head().unwrap();
    std::mem::forget(log); // as a kill leaves it: the lazy line is gone
    assert_eq!(noted.verify().first_break, None);
    let (log, recovery) = noted.open(KeyOrigin::Found);
    assert_eq!(recovery, Recovery::default());
    log.append(&Event::new(Action::DaemonStart)).unwrap();
    std::mem::forget(log);
    assert_eq!(noted.verify().note, NoteFinding::Agrees);
}

#[test]
fn attack_109_a_log_that_was_cut_while_no_daemon_ran_shows_it_for_ever() {
    for cut in [4, 0] {
        let (noted, log) = Noted::six_lines();
        log.finish().unwrap();
        drop(log);
        noted.rewrite(|lines| lines.truncate(cut));
        if cut == 0 {
            fs::remove_file(&noted.path).unwrap();
        }
        let (log, recovery) = noted.open(KeyOrigin::Found);
        let first = cut as u64 + 1;
        assert!(matches!(&recovery.missing, Some(Missing::Cut { first: f, noted }) if *f == first && noted.seq == 6));
        let details = format!("lines {first} to 6 are missing or changed: the log was cut while no daemon ran");
        assert_eq!(last_details(&noted.path), details);
        log.append(&Event::new(Action::DaemonStart)).unwrap();
        log.note_head().unwrap();
        noted.found(first, BreakKind::Removed(6 - cut as u64));
    }
    let (noted, log) = Noted::six_lines();
    drop(log);
    noted.rewrite(|lines| lines[5] = lines[5].replace("change 6", "change X"));
    let (_log, _) = noted.open(KeyOrigin::Found);
    noted.found(6, BreakKind::Edited);
}

#[test]
fn a_loss_of_power_is_no_cut_and_is_recorded() {
    let (noted, log) = Noted::six_lines();
    let head = log.head();
    drop(log);
    let witness = noted.witness(KeyOrigin::Found);
    witness.write_in("the start before".into(), &head, Durability::Write).unwrap();
    noted.rewrite(|lines| lines.truncate(4));
    let verified = noted.verify();
    assert_eq!((verified.first_break, verified.note), (None, NoteFinding::Lost(2)));
    let (_log, recovery) = noted.open(KeyOrigin::Found);
    assert_eq!(recovery.missing, Some(Missing::Lost { first: 5, last: 6 }));
    assert!(last_details(&noted.path).starts_with("lines 5 to 6 did not reach the disk"));
    assert_eq!((noted.verify().first_break, noted.verify().note), (None, NoteFinding::Agrees));

    let (noted, log) = Noted::six_lines();
    let head = log.head();
    drop(log);
    witness_of_the_disk(&noted, &head);
    noted.rewrite(|lines| lines.truncate(4));
    noted.found(4, BreakKind::Cut { missing: 2, noted: 6 });
}

/// A note from an earlier start of the machine about a line that the disk had.
fn witness_of_the_disk(noted: &Noted, head: &Head) {
    let witness = noted.witness(KeyOrigin::Found);
    witness.write_in("the start before".into(), head, Durability::Fsync).unwrap();
}

#[test]
fn checkpoints_sign_everything_before_them_once() {
    let (noted, log) = Noted::six_lines();
    log.checkpoint().unwrap();
    log.checkpoint().unwrap();
    log.append(&Event::new(Action::PolicyReload)).unwrap();
    log.checkpoint().unwrap();
    log.note_head().unwrap();
    let verified = noted.verify();
    assert_eq!((verified.first_break, verified.checkpoints, verified.lines), (None, 2, 9));
    let other = SigningKey::generate().public();
    let foreign = noted.verify_with(&other).first_break.unwrap();
    assert_eq!((foreign.line, foreign.why), (9, BreakKind::Foreign));
    assert_eq!(foreign.to_string(), "line 9 is signed with another key");

    // A chain that was written anew with the old signatures in it.
    let lines = fs::read_to_string(&noted.path).unwrap();
    let details: Vec<String> = lines
        .lines()
        .filter(|line| line.contains("audit_checkpoint"))
        .map(|line| serde_json::from_str::<Record>(line).unwrap().details.unwrap())
        .collect();
    fs::remove_file(&noted.path).unwrap();
    let forged = open(&noted.path);
    forged.append(&Event::new(Action::AuditCheckpoint).details(&details[0])).unwrap();
    let found = verify(&noted.path).unwrap().first_break;
    assert_eq!(found, Some(Break { file: None, line: 1, why: BreakKind::Signature }));
}

#[test]
fn a_log_without_a_witness_signs_and_notes_nothing() {
    let (folder, path) = place();
    let log = open(&path);
    log.append(&Event::new(Action::DaemonStart)).unwrap();
    log.checkpoint().unwrap();
    log.finish().unwrap();
    assert_eq!(actions(&path), ["daemon_start"]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(verify(&path).unwrap().note, NoteFinding::Unchecked);
}

#[test]
fn attack_109_a_chain_that_was_written_anew_is_not_taken_up_by_the_next_start() {
    let (noted, log) = Noted::six_lines();
    log.finish().unwrap();
    drop(log);
    fs::remove_file(&noted.path).unwrap();
    let forged = open(&noted.path);
    for _ in 0..9 {
        forged.append(&Event::new(Action::PolicyChange)).unwrap();
    }
    drop(forged);
    noted.found(6, BreakKind::Replaced);
    let (log, recovery) = noted.open(KeyOrigin::Found);
    assert!(matches!(recovery.missing, Some(Missing::Cut { first: 6, .. })), "{recovery:?}");
    for _ in 0..4 {
        log.append(&Event::new(Action::PolicyReload)).unwrap();
    }
    log.note_head().unwrap();
    noted.found(10, BreakKind::Reordered);
}

#[test]
fn attack_109_a_forged_beginning_after_the_noted_line_is_found() {
    let (noted, log) = Noted::six_lines();
    drop(log);
    let line = serde_json::json!({"seq": 7, "prev": "00", "timestamp": "2025-01-02T03:04:05Z", "action": "log_continued",
        "details": "goes on after line 6 with hash 00", "success": true});
    fs::write(&noted.path, format!("{line}\n")).unwrap();
    assert!(verify(&noted.path).unwrap().is_whole(), "the log says that somebody moved its file away");
    noted.found(1, BreakKind::Unmet(6));
}

#[test]
fn attack_109_only_signed_removals_excuse_missing_files() {
    let noted = Noted::new();
    let witness = Some(noted.witness(KeyOrigin::Made));
    let settings = Settings { max_size: 1, keep: Some(1), witness, ..Settings::default() };
    let (log, _) = AuditLog::open(&noted.path, settings, clock()).unwrap();
    for _ in 0..3 {
        log.append(&Event::new(Action::PolicyChange)).unwrap();
        log.roll_over_if_due().unwrap();
    }
    let verified = noted.verify();
    assert_eq!((verified.first_break, verified.note), (None, NoteFinding::Agrees));
    assert!(verified.begins_at.unwrap() > 1);
    let details = "lines up to 900 are removed; `audit.keep` is 1";
    log.append(&Event::new(Action::LogRemove).details(details)).unwrap(); // as anybody could add it
    let rolled = crate::audit::files::rolled(&noted.path).unwrap();
    fs::remove_file(&rolled[0].path).unwrap();
    assert!(verify(&noted.path).unwrap().is_whole(), "without a key everybody is believed");
    let found = noted.verify().first_break.unwrap();
    assert!(matches!(found.why, BreakKind::Removed(_)) && found.line == 1, "{found}");
}

#[test]
fn a_log_that_was_moved_away_is_noted_anew() {
    let (noted, log) = Noted::six_lines();
    fs::rename(&noted.path, noted.folder.path().join("elsewhere")).unwrap();
    log.flush().unwrap();
    let verified = noted.verify();
    assert_eq!((verified.first_break, verified.moved_away), (None, 1), "its first line names the noted one");
    log.note_head().unwrap();
    std::mem::forget(log);
    let (_log, recovery) = noted.open(KeyOrigin::Found);
    assert_eq!(recovery.missing, None);
}

#[test]
fn a_number_at_the_end_of_all_numbers_ends_nothing() {
    let (_folder, path) = place();
    let planted = format!(
        "{{\"seq\":{},\"prev\":\"00\",\"timestamp\":\"2025-01-02T03:04:05Z\",\"action\":\"x\",\"success\":true}}\n",
        u64::MAX
    );
    fs::write(&path, planted).unwrap();
    let log = open(&path);
    log.append(&Event::new(Action::DaemonStart)).unwrap();
    log.append(&Event::new(Action::DaemonStop)).unwrap();
    assert!(!verify(&path).unwrap().is_whole());
}
