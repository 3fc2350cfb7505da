//! What `secrets audit verify` says of planted damage: true, of the right place, and with something to do about it.

use std::{fs, path::Path};

use serde_json::Value;

use crate::hand::Hand;

/// Every file of a record.
struct Kept(Vec<(String, Vec<u8>)>);

impl Kept {
    fn of(home: &Path) -> Self {
        let names = fs::read_dir(home).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let ours = names.filter(|name| name.starts_with("audit."));
        Self(ours.map(|name| (name.clone(), fs::read(home.join(name)).unwrap())).collect())
    }

    fn restore(&self, home: &Path) {
        for (name, content) in &self.0 {
            fs::write(home.join(name), content).unwrap();
        }
    }

    fn rolled(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        names.retain(|name| name.starts_with("audit.log.0"));
        names.sort_unstable();
        names
    }
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<String>)) {
    let mut lines: Vec<String> = fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect();
    change(&mut lines);
    fs::write(path, lines.into_iter().flat_map(|line| [line, "\n".to_owned()]).collect::<String>()).unwrap();
}

fn edit(line: &mut String) {
    assert!(line.contains("\"success\":true"), "{line}");
    *line = line.replace("\"success\":true", "\"success\":false");
}

/// The message without its beginning, which is the same for all, and the fix.
fn said(hand: &Hand) -> (String, String) {
    let (code, broken) = hand.envelope(&["audit", "verify"], b"");
    let message = broken["error"]["message"].as_str().unwrap_or_else(|| panic!("{broken}"));
    let begins = format!("the record `{}` is not whole: ", hand.home.join("audit.log").display());
    assert_eq!(code, 64, "{broken}");
    (message.strip_prefix(&begins).unwrap().to_owned(), broken["fix"].as_str().unwrap().to_owned())
}

/// What is done to the lines of a record.
type Damage<'a> = &'a dyn Fn(&mut Vec<String>);

#[test]
fn attack_109_what_is_said_of_damage_is_true() {
    const LOOK: &str = "; look for what is missing in a copy of the record; it cannot be had from anywhere else";
    const COMPARE: &str = "; compare it with a copy of the record; what stands there now proves nothing";
    let hand = Hand::with_home();
    for at in 0..6 {
        assert_eq!(hand.envelope(&["add", &format!("key{at}")], b"value").0, 0);
    }
    hand.stop();
    let kept = Kept::of(&hand.home);
    let log = hand.home.join("audit.log");
    let count = fs::read_to_string(&log).unwrap().lines().count();
    assert_eq!(hand.records().len(), count);
    let last = count - 1;
    let cases: [(Damage<'_>, String, &str, &str); 11] = [
        (&|lines| drop(lines.drain(..2)), "2 lines before line 1 were removed".into(), LOOK, "secrets audit"),
        (&|lines| drop(lines.remove(3)), "a line before line 4 was removed".into(), LOOK, "secrets audit"),
        (
            &|lines| lines.truncate(count - 3),
            format!(
                "the last 3 lines are missing: line number {count} was noted, and the record ends with line {}",
                count - 3
            ),
            LOOK,
            "secrets audit",
        ),
        (
            &|lines| lines.clear(),
            format!("all {count} lines are missing: line number {count} was noted, and there is none"),
            LOOK,
            "secrets audit",
        ),
        (&|lines| edit(&mut lines[3]), "line 4 was edited".into(), COMPARE, "secrets audit --tail 0"),
        (&|lines| edit(&mut lines[last - 1]), format!("line {last} was edited"), COMPARE, "secrets audit --tail 0"),
        (
            &|lines| edit(&mut lines[last]),
            format!("line {count} is not the one that was noted; it was edited, or written anew with lines before it"),
            COMPARE,
            "secrets audit --tail 0",
        ),
        (&|lines| lines.swap(3, 4), "line 4 stands where it does not belong".into(), COMPARE, "secrets audit --tail 0"),
        (
            &|lines| lines.insert(4, lines[1].clone()),
            "line 5 stands where it does not belong".into(),
            COMPARE,
            "secrets audit --tail 0",
        ),
        (&|lines| lines[4].truncate(20), "line 5 is no record".into(), COMPARE, "secrets audit --tail 0"),
        (
            &|lines| lines[4] = lines[4].replacen("\"prev\":\"", "\"prev\":\"0", 1),
            "line 4 and the line after it do not fit; one of them was edited, or both".into(),
            COMPARE,
            "secrets audit --tail 0",
        ),
    ];
    for (damage, what, advice, fix) in cases {
        change(&log, damage);
        assert_eq!(said(&hand), (format!("{what}{advice}"), fix.to_owned()));
        kept.restore(&hand.home);
    }
    let text = fs::read(&log).unwrap();
    fs::write(&log, &text[..text.len() - 3]).unwrap();
    assert_eq!(said(&hand).0, format!("line {count} is torn, its end is missing{COMPARE}"));
    kept.restore(&hand.home);

    let other = Hand::with_home();
    assert_eq!(other.envelope(&["add", "key"], b"value").0, 0);
    other.stop();
    fs::copy(other.home.join("audit.head"), hand.home.join("audit.head")).unwrap();
    let (foreign, fix) = said(&hand);
    assert!(
        foreign.starts_with("the note of the newest line is not signed with the key; whether lines after"),
        "{foreign}"
    );
    assert!(
        foreign.ends_with("; compare the end of the record with a copy, or with what you know was done"),
        "{foreign}"
    );
    assert_eq!(fix, "secrets audit");
    kept.restore(&hand.home);
    assert_eq!(hand.envelope(&["audit", "verify"], b"").0, 0, "whole again");
}

#[test]
fn attack_109_files_that_are_gone_are_told_by_what_is_left() {
    let hand = Hand::with_home();
    fs::write(hand.home.join("config.toml"), "[audit]\nmax_size = \"4KiB\"\n").unwrap();
    assert_eq!(hand.envelope(&["add", "key"], b"value").0, 0);
    crate::support::until_blocking("there are files", || {
        assert_eq!(hand.run(&["lease", "key"], b"").stdout, b"value");
        Kept::of(&hand.home).rolled().len() >= 3
    });
    hand.stop();
    let kept = Kept::of(&hand.home);
    let rolled = kept.rolled();
    let last_of = |name: &str| name.rsplit('.').next().unwrap().parse::<u64>().unwrap();
    for (at, gone) in rolled.iter().enumerate() {
        let before = if at == 0 { 0 } else { last_of(rolled[at - 1]) };
        let missing = last_of(gone) - before;
        let next = rolled.get(at + 1).map_or("line 1".to_owned(), |next| format!("line 1 of `{next}`"));
        fs::remove_file(hand.home.join(gone)).unwrap();
        let (message, _) = said(&hand);
        assert!(message.starts_with(&format!("{missing} lines before {next} were removed; ")), "{gone}: {message}");
        kept.restore(&hand.home);
    }
    let newest = rolled.last().unwrap();
    let lines = |name: &str| fs::read_to_string(hand.home.join(name)).unwrap().lines().count();
    let (missing, ends) = (lines("audit.log"), lines(newest));
    fs::remove_file(hand.home.join("audit.log")).unwrap();
    let noted = last_of(newest) + missing as u64;
    let what = format!(
        "the last {missing} lines are missing: line number {noted} was noted, and the record ends with line {ends} of `{newest}`; "
    );
    let (message, fix) = said(&hand);
    assert!(message.starts_with(&what) && fix == "secrets audit", "{message}");
    kept.restore(&hand.home);
    let (code, whole) = hand.envelope(&["audit", "verify"], b"");
    assert_eq!((code, &whole["result"]["first_break"]), (0, &Value::Null), "{whole}");
}
