//! `secrets scan` as people and continuous integration use it, and the way of an env file's secrets into the store.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../hand/mod.rs"]
mod hand;
#[path = "../support/mod.rs"]
mod support;

mod migrate;
mod services;

use std::time::Duration;

use hand::Hand;
use leasehold::base::{AtomicFileError, FileLock};
use serde_json::{Value, json};

/// Letters and digits that look random and are the same every time; put together here, so that no scanner finds them in
/// our source.
fn letters(count: usize, seed: u64) -> String {
    let alphabet = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ123456789";
    let mut state = seed;
    let next = |state: &mut u64| {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(alphabet[usize::try_from(*state >> 33).unwrap() % alphabet.len()])
    };
    (0..count).map(|_| next(&mut state)).collect()
}

fn github_token() -> String {
    format!("{}_{}", "ghp", letters(36, 7))
}

fn put(hand: &Hand, name: &str, content: &str) {
    let path = hand.work.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

#[test]
fn a_scan_needs_no_home_and_shows_places_but_no_values() {
    let hand = Hand::new();
    let token = github_token();
    put(&hand, "src/a.py", &format!("x = 1\nkey = '{token}'\n"));
    put(&hand, "src/deep/b.txt", &token);
    put(&hand, "node_modules/c.txt", &token);
    for line in [&["scan", "src"][..], &["scan", "--path", "src"], &["scan", "src", "--json"]] {
        let (code, scanned) = hand.envelope(line, b"");
        let result = &scanned["result"];
        assert_eq!((code, &scanned["ok"]), (0, &true.into()), "{scanned}");
        let first = json!({"file": "src/a.py", "line": 2, "column": 8, "pattern_name": "GitHub Personal Access Token",
            "value": format!("ghp_...{}", &token[token.len() - 4..]), "severity": "critical"});
        assert_eq!(result["findings"][0], first);
        assert_eq!(result["findings"].as_array().unwrap().len(), 2);
        assert_eq!((&result["scanned_files"], &result["recursive"]), (&2.into(), &true.into()));
        assert!(result["duration"].is_string() && result["excludes"].as_array().unwrap().len() == 7);
        assert_eq!((&result["path"], &result["recorded"]), (&json!(hand.work.join("src")), &false.into()));
        assert!(!scanned.to_string().contains(&token));
    }
    for line in [&["scan", "src", "--recursive=false"][..], &["scan", "src", "--no-recursive"]] {
        assert_eq!(hand.envelope(line, b"").1["result"]["findings"].as_array().unwrap().len(), 1, "{line:?}");
    }
    assert_eq!(
        hand.envelope(&["scan", "--exclude", "src,other"], b"").1["result"]["findings"][0]["file"],
        "node_modules/c.txt"
    );
    assert_eq!(hand.envelope(&["scan"], b"").1["result"]["findings"].as_array().unwrap().len(), 2);
    assert!(!hand.home.exists(), "no home is made and no daemon started");
    let human = hand.run(&["--output", "human", "scan"], b"");
    let text = String::from_utf8(human.stdout).unwrap();
    assert!(text.contains("src/a.py:2:8") && text.contains("critical") && !text.contains(&token), "{text}");
    assert!(human.stderr.is_empty());
}

#[test]
fn continuous_integration_fails_on_what_it_says_and_knows_a_baseline() {
    let hand = Hand::new();
    put(&hand, "a", "password = 'correct1horse'\n");
    let fails = |level: &str| hand.envelope(&["scan", "--fail-on", level], b"");
    assert_eq!((fails("critical").0, fails("high").0), (0, 0));
    let (code, failed) = fails("medium");
    assert_eq!(
        (code, &failed["ok"], &failed["error"]["code"]),
        (1, &false.into(), &"generic_error".into()),
        "{failed}"
    );
    assert_eq!(failed["result"]["findings"][0]["value"], "****");
    assert_eq!(hand.envelope(&["scan", "--fail-on", "worst"], b"").0, 2);

    assert_eq!(hand.envelope(&["scan", "--write-baseline", "known.json"], b"").0, 0);
    let text = std::fs::read_to_string(hand.work.join("known.json")).unwrap();
    assert!(!text.contains("correct1horse"), "{text}");
    let known = |level: &str| hand.envelope(&["scan", "--baseline", "known.json", "--fail-on", level], b"");
    let (code, clean) = known("low");
    assert_eq!((code, &clean["result"]["in_baseline"]), (0, &1.into()), "{clean}");
    put(&hand, "b", &github_token());
    assert_eq!(known("high").0, 1);
    assert_eq!(hand.envelope(&["scan", "--baseline", "none.json"], b"").0, 66);
    put(&hand, "bad.json", "[]");
    assert_eq!(hand.envelope(&["scan", "--baseline", "bad.json"], b"").0, 64);
    assert_eq!(hand.envelope(&["scan", "none"], b"").0, 66);
}

#[test]
fn a_scan_is_recorded_with_counts_when_a_daemon_runs() {
    let hand = Hand::with_home();
    let _daemon = hand.serve();
    put(&hand, "a", &format!("{} password=correct1horse", github_token()));
    let (_, scanned) = hand.envelope(&["scan"], b"");
    assert_eq!(scanned["result"]["recorded"], true);
    let records = hand.records_of("scan");
    assert_eq!(records.len(), 1);
    let details = records[0].details.clone().unwrap();
    assert_eq!(details, "1 file: 1 critical, 0 high, 1 medium, 0 low; 0 migrated");
}

/// The lock of a daemon.
fn held(hand: &Hand) -> Result<FileLock, AtomicFileError> {
    FileLock::acquire_within(&hand.home.join("daemon.lock"), Duration::from_secs(1))
}

#[test]
fn a_scan_is_recorded_where_no_daemon_runs_and_starts_none() {
    let hand = Hand::with_home();
    put(&hand, "a", &github_token());
    let details = "1 file: 1 critical, 0 high, 0 medium, 0 low; 0 migrated";
    for started in [false, true] {
        if started {
            assert_eq!(hand.envelope(&["add", "key"], b"value").0, 0);
            hand.stop();
        }
        let (code, scanned) = hand.envelope(&["scan"], b"");
        assert_eq!((code, &scanned["result"]["recorded"]), (0, &true.into()), "{scanned}");
        assert!(held(&hand).is_ok(), "no daemon was started");
        let newest = hand.records().pop().unwrap();
        assert_eq!((newest.action.as_str(), newest.details.as_deref()), ("scan", Some(details)));
        let (code, verified) = hand.envelope(&["audit", "verify"], b"");
        let note = if started { "agrees" } else { "unchecked" };
        assert_eq!((code, &verified["result"]["note"]), (0, &note.into()), "{verified}");
    }
    assert_eq!(hand.envelope(&["list"], b"").0, 0, "the next daemon goes on with the same record");
    assert_eq!(hand.envelope(&["audit", "verify"], b"").0, 0);
}

#[test]
fn a_home_that_somebody_holds_without_answering_is_left_alone() {
    let hand = Hand::with_home();
    let _held = held(&hand).unwrap();
    put(&hand, "a", "nothing");
    let (code, scanned) = hand.envelope(&["scan"], b"");
    assert_eq!((code, &scanned["result"]["recorded"]), (0, &false.into()), "{scanned}");
    assert!(!hand.home.join("audit.log").exists());
}

#[test]
fn our_own_tokens_on_disk_are_told_as_leases() {
    let hand = Hand::with_home();
    hand.acme("api.acme.test");
    let (code, _) = hand.envelope(&["add", "github_token"], github_token().as_bytes());
    assert_eq!(code, 0);
    for secret in ["acme_key", "github_token"] {
        let token = hand.run(&["lease", secret, "--token"], b"");
        let token = String::from_utf8(token.stdout).unwrap();
        put(&hand, "notes.md", &format!("I used `{token}` for it.\nGITHUB_TOKEN={token}\n"));
        let (_, scanned) = hand.envelope(&["scan", "--fail-on", "medium"], b"");
        let findings = scanned["result"]["findings"].as_array().unwrap();
        let names: Vec<(&Value, &Value)> =
            findings.iter().map(|one| (&one["pattern_name"], &one["severity"])).collect();
        assert_eq!(names, [(&"lease_token".into(), &"low".into()); 2], "{scanned}");
        assert!(!scanned.to_string().contains(&token));
    }
}
