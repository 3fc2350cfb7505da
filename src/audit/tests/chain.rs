//! Verification: every kind of tampering is found and named with its line.

use super::*;

/// A log of `count` chained lines and its head.
fn chained(count: usize) -> (tempfile::TempDir, PathBuf, Head) {
    let (folder, path) = place();
    let log = open(&path);
    for number in 0..count {
        log.append(&Event::new(Action::PolicyChange).details(&format!("change {number}"))).unwrap();
    }
    let head = log.head();
    (folder, path, head)
}

fn rewrite(path: &Path, change: impl FnOnce(&mut Vec<String>)) {
    let mut lines: Vec<String> = fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect();
    change(&mut lines);
    lines.push(String::new());
    fs::write(path, lines.join("\n")).unwrap();
}

#[track_caller]
fn found(change: impl FnOnce(&mut Vec<String>), line: u64, why: BreakKind) {
    let (_folder, path, _) = chained(6);
    rewrite(&path, change);
    assert_eq!(verify(&path).unwrap().first_break, Some(Break { file: None, line, why }));
}

#[test]
fn attack_109_each_tampering_is_named_with_its_line() {
    found(|lines| lines[2] = lines[2].replace("change 2", "change X"), 3, BreakKind::Edited);
    found(|lines| lines[0] = lines[0].replace("change 0", "change X"), 1, BreakKind::Edited);
    found(|lines| lines[3] = lines[3].replace("\"success\":true", "\"success\":false"), 4, BreakKind::Edited);
    found(|lines| drop(lines.remove(2)), 3, BreakKind::Removed(1));
    found(|lines| drop(lines.drain(1..4)), 2, BreakKind::Removed(3));
    found(|lines| drop(lines.drain(..2)), 1, BreakKind::Removed(2));
    found(|lines| lines.swap(2, 3), 3, BreakKind::Reordered);
    found(|lines| lines.swap(1, 4), 2, BreakKind::Reordered);
    found(|lines| lines.insert(3, lines[1].clone()), 4, BreakKind::Reordered);
    found(|lines| lines[4] = "garbage".to_owned(), 5, BreakKind::Damaged);
    found(|lines| lines.insert(2, String::new()), 3, BreakKind::Damaged);
    let unchained = "{\"timestamp\":\"2025-01-02T03:04:05Z\",\"action\":\"secret_reveal\",\"success\":true}";
    found(|lines| lines.insert(5, unchained.to_owned()), 6, BreakKind::Unchained);
}

/// A chain alone vouches for a line only through the line after it.
#[test]
fn attack_109_no_line_is_accused_that_was_not_touched() {
    let edited = |at: usize, from: &str, to: &str| {
        let (from, to) = (from.to_owned(), to.to_owned());
        move |lines: &mut Vec<String>| {
            assert!(lines[at].contains(&from), "{}", lines[at]);
            lines[at] = lines[at].replacen(&from, &to, 1);
        }
    };
    found(edited(3, "\"prev\":\"", "\"prev\":\"0"), 3, BreakKind::Mismatch);
    found(edited(3, "\"seq\":4", "\"seq\":9"), 4, BreakKind::Edited);
    found(edited(3, "\"seq\":4", "\"seq\":2"), 4, BreakKind::Edited);
    found(edited(4, "change 4", "change X"), 5, BreakKind::Mismatch);
    found(edited(0, "\"prev\":\"0", "\"prev\":\"1"), 1, BreakKind::Removed(u64::MAX));
    let (_folder, path, head) = chained(6);
    rewrite(&path, edited(4, "change 4", "change X"));
    let known = verify_with_head(&path, &head).unwrap().first_break.unwrap();
    assert_eq!((known.line, known.why), (5, BreakKind::Edited), "the last line is vouched for by the note");
}

#[test]
fn a_torn_end_is_found() {
    let (_folder, path, _) = chained(3);
    let text = fs::read(&path).unwrap();
    fs::write(&path, &text[..text.len() - 5]).unwrap();
    let verified = verify(&path).unwrap();
    assert_eq!(verified.first_break, Some(Break { file: None, line: 3, why: BreakKind::Torn }));
    assert_eq!((verified.lines, verified.damaged_lines), (3, 1));
}

#[test]
fn attack_109_a_cut_or_edited_end_is_found_when_the_head_is_known() {
    let (_folder, path, head) = chained(6);
    assert!(verify_with_head(&path, &head).unwrap().is_whole());
    rewrite(&path, |lines| lines[5] = lines[5].replace("change 5", "change X"));
    assert!(verify(&path).unwrap().is_whole(), "the chain alone cannot show it");
    let edited = verify_with_head(&path, &head).unwrap();
    assert_eq!(edited.first_break, Some(Break { file: None, line: 6, why: BreakKind::Replaced }));
    rewrite(&path, |lines| lines.truncate(4));
    let cut = verify_with_head(&path, &head).unwrap().first_break;
    assert_eq!(cut, Some(Break { file: None, line: 4, why: BreakKind::Cut { missing: 2, noted: 6 } }));
    let said = "the last 2 lines are missing: line number 6 was noted, and the record ends with line 4";
    assert_eq!(cut.unwrap().to_string(), said);
    fs::write(&path, "").unwrap();
    let emptied = verify_with_head(&path, &head).unwrap().first_break;
    assert_eq!(emptied, Some(Break { file: None, line: 0, why: BreakKind::Cut { missing: 6, noted: 6 } }));
    assert_eq!(emptied.unwrap().to_string(), "all 6 lines are missing: line number 6 was noted, and there is none");
}

#[test]
fn attack_109_a_log_that_was_emptied_in_place_while_it_was_written_shows_it() {
    let (_folder, path) = place();
    let log = open(&path);
    for _ in 0..3 {
        log.append(&Event::new(Action::PolicyChange)).unwrap();
    }
    fs::File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    log.append(&Event::new(Action::PolicyReload)).unwrap();
    assert_eq!(verify(&path).unwrap().first_break, Some(Break { file: None, line: 1, why: BreakKind::Removed(3) }));
}

#[test]
fn an_edited_last_line_without_a_chain_is_found() {
    let (_folder, path) = place();
    fs::write(&path, "{\"timestamp\":\"2025-01-02T03:04:05Z\",\"action\":\"lease_acquire\",\"success\":true}\n")
        .unwrap();
    open(&path).append(&Event::new(Action::DaemonStart)).unwrap();
    assert!(verify(&path).unwrap().is_whole());
    rewrite(&path, |lines| lines[0] = lines[0].replace("lease_acquire", "lease_revoke"));
    assert_eq!(verify(&path).unwrap().first_break, Some(Break { file: None, line: 1, why: BreakKind::Beginning }));
}

#[test]
fn open_requests_are_named_and_a_refusal_closes_one() {
    let (_folder, path) = place();
    let log = open(&path);
    let ids: Vec<RequestId> = (0..3).map(|_| RequestId::next()).collect();
    for id in &ids {
        log.append(&begun(*id)).unwrap();
    }
    log.append(&ended(ids[1])).unwrap();
    log.append(&Event::new(Action::RequestRefused).request(ids[2]).outcome(Outcome::Refused)).unwrap();
    assert_eq!(verify(&path).unwrap().open_requests, [ids[0]]);
}

#[test]
fn a_missing_log_says_so() {
    let (_folder, path) = place();
    assert!(verify(&path).unwrap_err().is_missing());
    fs::write(&path, "").unwrap();
    let verified = verify(&path).unwrap();
    assert_eq!((verified.lines, verified.head, verified.first_break), (0, None, None));
}
