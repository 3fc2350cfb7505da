//! The program `secrets` from outside: real processes, a home of their own, and what they print.

#![allow(
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails"
)]

#[path = "../hand/mod.rs"]
mod hand;
#[path = "../support/mod.rs"]
mod support;

mod accept;
mod agents;
mod approvals;
mod audit;
mod audit_load;
mod audit_verify;
mod authority;
mod bad_input;
mod bindings;
mod certificates;
mod check;
mod commands;
mod daemon;
mod demo;
mod diff;
mod disks;
mod explain;
mod explain_content;
mod fixes;
mod leases;
mod limits;
mod lint;
mod load;
mod needs;
mod new_service;
mod projects;
mod prove;
mod record;
mod refused_changes;
mod sessions;
mod settings;
mod shown;
mod vectors;
mod who;

use std::os::unix::fs::PermissionsExt as _;

use hand::Hand;
use serde_json::Value;

#[test]
fn init_makes_a_home_once_and_never_replaces_it() {
    let hand = Hand::new();
    let (code, made) = hand.envelope(&["init"], b"");
    assert_eq!((code, &made["ok"], &made["result"]["created"]["store"]), (0, &true.into(), &true.into()), "{made}");
    let files = ["identity.age", "secrets.age"].map(|name| hand.home.join(name));
    let before = files.clone().map(|file| std::fs::read(file).unwrap());
    for file in &files {
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
    let (code, again) = hand.envelope(&["init"], b"");
    assert_eq!((code, &again["result"]["created"]["store"]), (0, &false.into()), "{again}");
    assert_eq!(files.clone().map(|file| std::fs::read(file).unwrap()), before);

    std::fs::write(&files[1], &before[1][..before[1].len() / 2]).unwrap();
    let (code, refused) = hand.envelope(&["init"], b"");
    assert!(code != 0 && refused["ok"] == false, "{refused}");
    assert!(refused["error"]["message"].as_str().unwrap().contains("secrets.age"), "{refused}");
    assert_eq!(std::fs::read(&files[1]).unwrap(), &before[1][..before[1].len() / 2], "a broken store stays");
}

#[test]
fn a_secret_is_stored_leased_revoked_and_recorded() {
    let hand = Hand::new();
    assert_eq!(hand.envelope(&["init"], b"").0, 0);
    let (code, added) =
        hand.envelope(&["add", "acme_key", "--host", "api.acme.test", "--header", "x-api-key"], b"s3cr3t-value\n");
    assert_eq!((code, &added["success"]), (0, &true.into()), "{added}");
    let message = added["result"]["message"].as_str().unwrap();
    assert_eq!(message, "secret `acme_key` is stored for service `api-acme-test`", "{added}");
    let (_, listed) = hand.envelope(&["list"], b"");
    assert!(listed.to_string().contains("acme_key") && !listed.to_string().contains("s3cr3t"), "{listed}");
    let raw = hand.run(&["lease", "acme_key"], b"");
    assert!(raw.status.success() && raw.stdout.starts_with(b"s3cr3t-value"), "{raw:?}");
    let unknown = hand.run(&["lease", "no_such_key"], b"");
    assert!(!unknown.status.success() && unknown.stdout.is_empty() && !unknown.stderr.is_empty(), "{unknown:?}");
    let (code, revoked) = hand.envelope(&["revoke", "--all"], b"");
    assert_eq!((code, &revoked["ok"]), (0, &true.into()), "{revoked}");
    let (code, audit) = hand.envelope(&["audit", "--tail", "0"], b"");
    assert!(code == 0 && !audit.to_string().contains("s3cr3t"), "{audit}");
    assert_eq!(hand.envelope(&["stop"], b"").0, 0);

    let (code, whole) = hand.envelope(&["audit", "verify"], b"");
    assert_eq!((code, &whole["result"]["first_break"]), (0, &Value::Null), "{whole}");
    let log = hand.home.join("audit.log");
    let text = std::fs::read_to_string(&log).unwrap();
    let without: String = text.lines().enumerate().filter(|(at, _)| *at != 1).flat_map(|(_, l)| [l, "\n"]).collect();
    std::fs::write(&log, without).unwrap();
    let (code, broken) = hand.envelope(&["audit", "verify"], b"");
    assert!(code != 0 && broken["ok"] == false, "{broken}");
    assert!(broken["error"]["message"].as_str().unwrap().contains("line 2"), "{broken}");
}
