//! `secrets audit` as a user has it: filters, following, export, and what verification says of every kind of damage.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Stdio},
};

use serde_json::{Value, json};

use crate::{hand::Hand, support::until_blocking};

const HOST: &str = "api.acme.test";

/// Lines as the daemon writes them, without a chain: an hour apart, the last a minute ago.
fn lines() -> Vec<Value> {
    let ago = |minutes: i64| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
        let millis = i64::try_from(now).unwrap() - minutes * 60_000;
        leasehold::base::Timestamp::from_millis(millis).to_string()
    };
    let begun = |id: u32, minutes: i64, client: &str, secret: &str, host: &str| {
        json!({"timestamp": ago(minutes), "action": "request_begun", "request_id": id.to_string(), "client_id": client,
            "secret_name": secret, "method": "GET", "host": host, "port": 443, "path": "/v1", "success": true})
    };
    let ended = |id: u32, minutes: i64, outcome: &str| {
        json!({"timestamp": ago(minutes), "action": "request_ended", "request_id": id.to_string(), "outcome": outcome,
            "status": 200, "duration_us": 1500, "success": outcome == "ok"})
    };
    vec![
        json!({"timestamp": ago(241), "action": "daemon_start", "success": true}),
        begun(1, 240, "alpha", "acme_key", HOST),
        begun(2, 239, "beta", "acme_key", HOST),
        ended(1, 180, "ok"),
        ended(2, 179, "cut"),
        begun(3, 120, "alpha", "other_key", "other.test"),
        ended(3, 119, "ok"),
        json!({"timestamp": ago(60), "action": "lease_revoke", "client_id": "beta", "secret_name": "acme_key", "success": true}),
        begun(4, 1, "alpha", "acme_key", HOST),
    ]
}

fn with_lines(lines: &[Value]) -> Hand {
    let hand = Hand::with_home();
    record(&hand, lines);
    hand
}

fn record(hand: &Hand, lines: &[Value]) {
    let log = hand.home.join("audit.log");
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(log).unwrap();
    for line in lines {
        file.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}

/// Which rows are shown: ids of requests, and actions of the rest.
fn shown(hand: &Hand, flags: &[&str]) -> Vec<String> {
    let arguments = [&["--no-autostart", "audit"], flags].concat();
    let (code, shown) = hand.envelope(&arguments, b"");
    assert_eq!(code, 0, "{flags:?}: {shown}");
    shown["result"]["entries"].as_array().unwrap().iter().map(name).collect()
}

fn name(row: &Value) -> String {
    row["request_id"].as_str().unwrap_or_else(|| row["action"].as_str().unwrap()).to_owned()
}

#[test]
fn each_filter_wants_whole_rows() {
    let hand = with_lines(&lines());
    for (flags, rows) in [
        (&[][..], &["daemon_start", "1", "2", "3", "lease_revoke", "4"][..]),
        (&["--client", "alpha"], &["1", "3", "4"]),
        (&["--secret", "other_key"], &["3"]),
        (&["--host", "API.acme.test"], &["1", "2", "4"]),
        (&["--host", "api.acme.test", "--client", "alpha"], &["1", "4"]),
        (&["--action", "request_begun"], &["1", "2", "3", "4"]),
        (&["--action", "request_ended"], &["1", "2", "3"]),
        (&["--action", "lease_revoke"], &["lease_revoke"]),
        (&["--outcome", "cut"], &["2"]),
        (&["--outcome", "ok"], &["daemon_start", "1", "3", "lease_revoke"]),
        (&["--since", "3h10m"], &["1", "2", "3", "lease_revoke", "4"]),
        (&["--since", "90m"], &["lease_revoke", "4"]),
        (&["--until", "3h30m"], &["daemon_start", "1", "2"]),
        (&["--since", "150m", "--until", "100m"], &["3"]),
        (&["--since", "2001-01-01T00:00:00Z", "--until", "2001-01-02T00:00:00+01:00"], &[]),
        (&["--tail", "2"], &["lease_revoke", "4"]),
        (&["--tail", "2", "--client", "alpha"], &["3", "4"]),
        (&["--tail", "1", "--outcome", "cut"], &["2"]),
        (&["--tail", "0", "--secret", "acme_key"], &["1", "2", "lease_revoke", "4"]),
    ] {
        assert_eq!(shown(&hand, flags), rows, "{flags:?}");
    }
    let (_, one) = hand.envelope(&["--no-autostart", "audit", "--outcome", "cut"], b"");
    let row = &one["result"]["entries"][0];
    assert_eq!(
        (&row["client_id"], &row["path"], &row["open"]),
        (&"beta".into(), &"/v1".into(), &false.into()),
        "{one}"
    );
}

#[test]
fn filters_that_match_nothing_are_named_and_nothing_else_is_said() {
    let hand = with_lines(&lines());
    let said = |flags: &[&str]| {
        let run = |form: &str| hand.run(&[&["--no-autostart", "--output", form, "audit"], flags].concat(), b"");
        let (human, json) = (run("human"), run("json"));
        assert!(human.status.success() && json.status.success(), "{human:?}");
        let envelope: Value = serde_json::from_slice(&json.stdout).unwrap();
        assert_eq!(envelope["result"]["entries"], json!([]));
        let text = String::from_utf8(human.stdout).unwrap();
        assert_eq!(format!("{}\n", envelope["result"]["message"].as_str().unwrap()), text);
        text
    };
    assert_eq!(said(&["--client", "nobody"]), "nothing that is recorded matches --client nobody\n");
    assert_eq!(
        said(&["--host", "api.acme.test", "--outcome", "failed", "--secret", "a b", "--until", "7d"]),
        "nothing that is recorded matches --secret 'a b' --host api.acme.test --outcome failed --until 7d\n"
    );
    assert!(!said(&["--client", "\u{1b}[31m"]).contains('\u{1b}'));
    let export = hand.run(&["--no-autostart", "audit", "--export", "csv", "--client", "nobody"], b"");
    let told = String::from_utf8(export.stderr).unwrap();
    assert!(export.status.success() && told.contains("nothing that is recorded matches --client nobody"), "{told}");
    let empty = Hand::with_home();
    let none = empty.run(&["--no-autostart", "--output", "human", "audit", "--client", "nobody"], b"");
    assert_eq!(String::from_utf8_lossy(&none.stdout), "nothing is recorded yet\n");
}

#[test]
fn words_that_nobody_knows_are_misuse_with_a_fix() {
    let hand = with_lines(&lines());
    for (flags, says) in [
        (&["--since", "yesterday"][..], "neither"),
        (&["--until=-2h"], "neither"),
        (&["--since", "1h", "--until", "2h"], "nothing lies between"),
        (&["--action", "request_endd"], "did you mean `request_ended`?"),
        (&["--action", "x\u{1b}[31m"], "expected one of"),
        (&["--outcome", "okay"], "expected one of"),
        (&["--outcome", "fialed"], "did you mean `failed`?"),
        (&["--host", "bad host"], "bad host"),
        (&["--client", ""], "client"),
        (&["--tail", "many"], "tail"),
        (&["--export", "xml"], "csv"),
        (&["--export", "csv", "--follow"], "cannot be used with"),
        (&["--export", "csv", "--tail", "3"], "cannot be used with"),
        (&["verify", "--public-key", "short"], "32 bytes"),
    ] {
        let output = hand.run(&[&["--no-autostart", "audit"], flags].concat(), b"");
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {said}");
        assert!(said.contains(says) && said.contains("fix") && !said.contains('\u{1b}'), "{flags:?}: {said}");
        assert!(said.contains("secrets audit"), "the fix is a command: {said}");
    }
}

/// Killed and reaped when dropped.
struct Following(Child);

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.0.kill(); // it may have ended by itself
        let _ = self.0.wait();
    }
}

#[test]
fn followed_rows_are_filtered_and_joined_across_files() {
    let hand = with_lines(&lines());
    let mut command = hand.command(&["--no-autostart", "audit", "--follow", "--client", "alpha", "--tail", "2"]);
    let mut child = Following(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut out = BufReader::new(child.0.stdout.take().unwrap()).lines();
    // A program that fails ends its output, and with it the test.
    let mut next = || serde_json::from_str::<Value>(&out.next().unwrap().unwrap()).unwrap();
    let end = |id: &str| {
        json!({"timestamp": "2026-01-01T00:00:00Z", "action": "request_ended", "request_id": id, "outcome": "ok",
            "success": true})
    };
    let begin = |id: &str, client: &str| {
        json!({"timestamp": "2026-01-01T00:00:00Z", "action": "request_begun", "request_id": id, "client_id": client,
            "success": true})
    };
    assert_eq!(name(&next()), "3", "of the last two, the one that is over");
    record(&hand, &[begin("5", "beta"), end("5"), begin("6", "alpha"), end("4")]);
    let first = next();
    assert_eq!((name(&first), &first["host"]), ("4".into(), &HOST.into()), "joined with what began before");
    std::fs::rename(hand.home.join("audit.log"), hand.home.join("audit.log.000000000009")).unwrap();
    record(&hand, &[end("6")]);
    let second = next();
    assert_eq!((name(&second), &second["client_id"]), ("6".into(), &"alpha".into()));
}

#[test]
fn export_streams_every_wanted_row_of_all_files() {
    let hand = with_lines(&lines());
    let log = hand.home.join("audit.log");
    std::fs::rename(&log, hand.home.join("audit.log.000000000009")).unwrap();
    let hostile = "=cmd|' /C calc'!A0,\"\n\u{1b}[31m\u{202e}";
    record(
        &hand,
        &[json!({"timestamp": "2026-01-01T00:00:00Z", "action": "secret_add", "client_id": hostile, "success": true})],
    );
    std::fs::write(&log, [std::fs::read(&log).unwrap().as_slice(), b"\xff not a record\n"].concat()).unwrap();

    let export = |flags: &[&str]| {
        let output = hand.run(&[&["--no-autostart", "audit", "--export"], flags].concat(), b"");
        assert!(output.status.success(), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("1 line cannot be read"), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let csv = export(&["csv"]);
    let rows: Vec<&str> = csv.split_terminator("\r\n").collect();
    assert_eq!(rows.len(), 1 + 7, "{csv}");
    assert!(rows[0].starts_with("began,timestamp,action,outcome,success,open,client_id,"), "{csv}");
    assert!(rows[2].contains(",request_ended,ok,true,false,alpha,"), "{csv}");
    assert!(rows[7].contains(",request_begun,,true,true,alpha,"), "open rows come last: {csv}");
    assert!(csv.contains("\"'=cmd|' /C calc'!A0,\"\"\\n\\u{1b}[31m\\u{202e}\""), "{csv}");
    assert!(!csv.contains(['\u{1b}', '\u{202e}']) && csv.matches('\n').count() == rows.len(), "{csv}");

    let lines = export(&["json"]);
    assert!(!lines.contains(['\u{1b}', '\u{202e}']), "{lines}");
    let rows: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<String> = rows.iter().map(name).collect();
    assert_eq!(names, ["daemon_start", "1", "2", "3", "lease_revoke", "secret_add", "4"]);
    assert_eq!(rows[5]["client_id"], hostile, "JSON gives back what was recorded");
    assert_eq!(export(&["json", "--client", "beta"]).lines().count(), 2);

    let empty = Hand::new();
    let none = empty.run(&["--no-autostart", "audit", "--export", "csv"], b"");
    assert!(none.status.success() && none.stdout.starts_with(b"began,") && none.stderr.is_empty(), "{none:?}");
}

#[test]
fn attack_111_a_long_line_is_read_by_every_command() {
    let mut all = lines();
    all.push(json!({"timestamp": "2026-01-01T00:00:00Z", "action": "secret_add", "details": "x".repeat(100 << 10), "success": true}));
    let hand = with_lines(&all);
    assert_eq!(shown(&hand, &["--tail", "1"]), ["secret_add"]);
    assert_eq!(shown(&hand, &["--action", "daemon_start"]), ["daemon_start"]);
    let export = hand.run(&["--no-autostart", "audit", "--export", "json"], b"");
    assert!(export.stdout.len() > 100 << 10);
    let (code, verified) = hand.envelope(&["audit", "verify"], b"");
    assert_eq!((code, &verified["result"]["lines"]), (0, &10.into()), "{verified}");
}

/// A home whose daemon ran and stopped.
fn stopped(settings: &str) -> Hand {
    let hand = Hand::with_home();
    std::fs::write(hand.home.join("config.toml"), settings).unwrap();
    assert_eq!(hand.envelope(&["add", "key"], b"value").0, 0);
    assert_eq!(hand.envelope(&["stop"], b"").0, 0);
    hand
}

fn public_key(hand: &Hand) -> String {
    let (code, key) = hand.envelope(&["audit", "key"], b"");
    assert_eq!(code, 0, "{key}");
    key["result"]["public_key"].as_str().unwrap().to_owned()
}

#[test]
fn attack_109_a_cut_tail_is_found_without_a_daemon_and_stays_to_be_seen() {
    let hand = stopped("");
    let (code, whole) = hand.envelope(&["audit", "verify"], b"");
    assert_eq!(
        (code, &whole["result"]["note"], &whole["result"]["public_key"]),
        (0, &"agrees".into(), &public_key(&hand).into()),
        "{whole}"
    );
    let log = hand.home.join("audit.log");
    let text = std::fs::read_to_string(&log).unwrap();
    let count = text.lines().count();
    std::fs::write(&log, text.lines().take(count - 1).flat_map(|line| [line, "\n"]).collect::<String>()).unwrap();
    let missing =
        format!("the last line is missing: line number {count} was noted, and the record ends with line {}", count - 1);
    for pin in [false, true] {
        let key = public_key(&hand);
        let flags = if pin { vec!["audit", "verify", "--public-key", &key] } else { vec!["audit", "verify"] };
        let (code, cut) = hand.envelope(&flags, b"");
        assert!(code == 64 && cut["error"]["message"].as_str().unwrap().contains(&missing), "{cut}");
        assert_eq!((&cut["result"]["note"], &cut["fix"]), (&"disagrees".into(), &"secrets audit".into()), "{cut}");
    }
    assert_eq!(hand.envelope(&["list"], b"").0, 0);
    assert_eq!(hand.records_of("log_continued").len(), 1);
    assert_eq!(hand.envelope(&["stop"], b"").0, 0);
    let removed = format!("a line before line {count} was removed");
    let (code, later) = hand.envelope(&["audit", "verify"], b"");
    assert!(code == 64 && later["error"]["message"].as_str().unwrap().contains(&removed), "{later}");
}

#[test]
fn without_key_or_note_verification_does_not_pass() {
    let hand = stopped("");
    let key = public_key(&hand);
    let said = |flags: &[&str]| {
        let (code, envelope) = hand.envelope(&[&["audit", "verify"], flags].concat(), b"");
        (code, format!("{} {}", envelope["error"]["message"], envelope["fix"]))
    };
    let note = hand.home.join("audit.head");
    let kept = std::fs::read(&note).unwrap();
    std::fs::remove_file(&note).unwrap();
    let (code, message) = said(&[]);
    assert!(code == 64 && message.contains("note of the newest line is missing"), "{message}");
    std::fs::write(&note, &kept).unwrap();
    let sealed = hand.home.join("audit.key.age");
    std::fs::rename(&sealed, hand.work.join("away")).unwrap();
    let (code, message) = said(&[]);
    assert!(code == 64 && message.contains("audit.key.age` is missing") && message.contains(&key), "{message}");
    assert_eq!(said(&["--public-key", &key]).0, 0, "the store is not needed");
    let other = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    let (code, message) = said(&["--public-key", other]);
    assert!(code == 64 && message.contains("not signed with the key"), "{message}");
    let (code, message) = hand.envelope(&["audit", "key"], b"");
    assert!(code == 64 && message["fix"] == "secrets serve &", "{message}");

    let fresh = Hand::with_home();
    record(&fresh, &lines());
    let (code, unchecked) = fresh.envelope(&["audit", "verify"], b"");
    assert_eq!((code, &unchecked["result"]["note"]), (0, &"unchecked".into()), "no daemon of ours ran: {unchecked}");
}

#[test]
fn checkpoints_are_signed_at_their_interval_and_at_the_stop() {
    let hand = Hand::with_home();
    std::fs::write(hand.home.join("config.toml"), "[audit]\ncheckpoint = \"1s\"\n").unwrap();
    assert_eq!(hand.envelope(&["add", "key"], b"value").0, 0);
    until_blocking("a checkpoint is signed", || !hand.records_of("audit_checkpoint").is_empty());
    assert_eq!(hand.envelope(&["stop"], b"").0, 0);
    let key = public_key(&hand);
    let (code, whole) = hand.envelope(&["audit", "verify", "--public-key", &key], b"");
    assert!(code == 0 && whole["result"]["checkpoints"].as_u64().unwrap() >= 2, "{whole}");
    assert_eq!(hand.records().last().unwrap().action, "audit_checkpoint", "the stop itself is signed");
    let log = hand.home.join("audit.log");
    let text = std::fs::read_to_string(&log).unwrap();
    std::fs::write(&log, text.replacen("\"action\":\"secret_add\"", "\"action\":\"secret_update\"", 1)).unwrap();
    let (code, edited) = hand.envelope(&["audit", "verify", "--public-key", &key], b"");
    assert!(code == 64 && edited["error"]["message"].as_str().unwrap().contains("was edited"), "{edited}");
}
