//! `secrets cleanup`: what goes, what stays, and that leases go with their files.

use std::fs;

use rustix::process::Signal;

use super::*;
use crate::support::{Program, until_blocking};

const PAST: &str = "2020-01-01T00:00:00Z";
const FUTURE: &str = "2999-01-01T00:00:00Z";

fn managed(ends: &str, leases: &[&str]) -> String {
    let leases = leases.join(" ");
    format!(
        "# secrets-managed: true\n# secrets-ttl: {ends}\n# secrets-source: store\n# secrets-leases: {leases}\nA=1\n"
    )
}

fn lease(hand: &Hand) -> String {
    let (_, leased) = hand.envelope(&["lease", "acme_key", "--token", "--json"], b"");
    leased["result"]["lease_id"].as_str().unwrap().to_owned()
}

#[test]
fn files_whose_time_is_over_go_and_so_do_their_leases() {
    let hand = project();
    let id = lease(&hand);
    let gone = "0b2f6a4e-9d0c-4a56-8a0e-2f1f4f9b7c11"; // of a lease that nobody has
    let old = [put(&hand, "a/.env", &managed(PAST, &[&id, gone])), put(&hand, "settings", &managed(PAST, &[]))];
    let young = put(&hand, "b/.env", &managed(FUTURE, &[]));
    let own = put(&hand, ".env.mine", &format!("# secrets-ttl: {PAST}\nA=1\n"));
    let (code, planned) = hand.envelope(&["cleanup", "--dry-run", "--name", "settings"], b"");
    assert_eq!((code, &planned["result"]["count"]), (0, &2.into()), "{planned}");
    assert!(old.iter().all(|path| path.exists()) && live_leases(&hand) == 1);
    assert!(hand.records_of("cleanup").is_empty());

    let (code, done) = hand.envelope(&["cleanup"], b"");
    let result = &done["result"];
    assert_eq!((code, &result["wiped_files"]), (0, &serde_json::json!([old[0]])), "{done}");
    assert_eq!(
        (&result["count"], &result["path"], &result["leases_revoked"]),
        (&1.into(), &serde_json::json!(hand.work), &1.into())
    );
    assert!(!old[0].exists() && old[1].exists() && young.exists() && own.exists());
    assert_eq!((live_leases(&hand), hand.records_of("lease_revoke").len()), (0.into(), 1));
    assert_eq!(hand.records_of("cleanup")[0].details.as_deref(), Some("1 file, 1 lease"));
    assert_eq!(hand.envelope(&["cleanup", "--path", ".", "--name", "settings"], b"").1["result"]["count"], 1);
    assert!(!old[1].exists());
    assert_eq!(hand.envelope(&["cleanup", "none"], b"").0, 66);
}

#[test]
fn what_env_wrote_is_found_under_the_project_s_own_name() {
    let hand = project();
    put(&hand, ".secrets.json", r#"{"secrets":[{"name":"acme_key","env_var":"ACME"}],"env_file":"conf"}"#);
    assert_eq!(hand.envelope(&["env"], b"").0, 0);
    let path = hand.work.join("conf");
    assert_eq!(hand.envelope(&["cleanup"], b"").1["result"]["count"], 0, "its time is not over");
    let text = fs::read_to_string(&path).unwrap();
    let (before, after) = text.split_once("# secrets-ttl: ").unwrap();
    let (_, after) = after.split_once('\n').unwrap();
    fs::write(&path, format!("{before}# secrets-ttl: {PAST}\n{after}")).unwrap();
    let (code, done) = hand.envelope(&["cleanup"], b"");
    assert_eq!((code, &done["result"]["leases_revoked"]), (0, &1.into()), "{done}");
    assert!(!path.exists() && live_leases(&hand) == 0);
}

#[test]
fn files_go_without_a_home_and_leases_that_cannot_are_told() {
    let hand = Hand::new();
    let path = put(&hand, ".env", &managed(PAST, &[]));
    assert_eq!(hand.envelope(&["cleanup"], b"").0, 0);
    assert!(!path.exists());
    let path = put(&hand, ".env", &managed(PAST, &["0b2f6a4e-9d0c-4a56-8a0e-2f1f4f9b7c11"]));
    let (code, told) = hand.envelope(&["cleanup"], b"");
    assert_eq!((code != 0, &told["ok"]), (true, &false.into()), "{told}");
    assert_eq!(told["result"]["leases_not_revoked"].as_array().unwrap().len(), 1);
    assert!(!path.exists(), "a value on disk is worse than a lease");
}

#[test]
fn a_watch_looks_again_until_a_signal_comes() {
    let hand = project();
    let first = put(&hand, "a/.env", &managed(PAST, &[]));
    let program = Program::start(&mut hand.command(&["cleanup", "--watch", "--interval", "1s"]));
    until_blocking("the first is gone", || !first.exists());
    let second = put(&hand, "b/.env", &managed(PAST, &[]));
    until_blocking("the second is gone", || !second.exists());
    send(program.id(), Signal::TERM);
    let done = program.finish();
    assert_eq!(done.status.code(), Some(0));
    let envelope: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(envelope["result"]["wiped_files"], serde_json::json!([first, second]));
}
