//! `secrets env`: what it writes, what it refuses, what it records.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::support::{HeldPort, Origin, Program, Speaks, TestCa, count, find_program};

#[test]
fn the_file_is_private_and_gives_tokens_and_the_way_to_the_proxy() {
    let hand = project();
    let (code, written) = hand.envelope(&["env"], b"");
    let result = &written["result"];
    assert_eq!((code, &result["mode"], &result["client_id"]), (0, &"store".into(), &"web".into()), "{written}");
    let path = hand.work.join(".env");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&path).unwrap();
    let lease_id = result["leases"][0]["lease_id"].as_str().unwrap();
    assert!(text.contains(&format!("# secrets-leases: {lease_id}\n")) && text.contains("[proxy] listen"), "{text}");
    assert!(!text.contains(SECRET));
    let variables = sourced(&path);
    let token = String::from_utf8(variables["ACME"].clone()).unwrap();
    assert!(token.starts_with("lse_") && variables["HTTPS_PROXY"].starts_with(b"http://127.0.0.1:"), "{token}");
    let vars: Vec<&str> = result["vars"].as_array().unwrap().iter().map(|var| var.as_str().unwrap()).collect();
    assert!(vars.contains(&"ACME") && vars.contains(&"HTTPS_PROXY") && result["var_count"] == vars.len());
    assert!(written["next_actions"].to_string().contains("[proxy] listen"), "{written}");
    let record = &hand.records_of("env_write")[0];
    assert_eq!(record.client_id.as_deref(), Some("web"));
    assert!(record.details.as_ref().unwrap().ends_with("lease tokens"));
    assert!(hand.records_of("secret_reveal").is_empty());
}

#[test]
fn a_port_that_is_set_needs_no_second_writing() {
    let hand = Hand::with_home();
    let held = HeldPort::any();
    let port = held.address().port();
    std::fs::write(hand.home.join("config.toml"), format!("[proxy]\nlisten = \"127.0.0.1:{port}\"\n")).unwrap();
    hand.acme("api.acme.test");
    put(&hand, ".secrets.json", r#"{"secrets":[{"name":"acme_key","env_var":"ACME"}]}"#);
    let (code, written) = hand.envelope(&["env"], b"");
    assert!(code == 0 && !written["next_actions"].to_string().contains("--force"), "{written}");
    let variables = sourced(&hand.work.join(".env"));
    assert_eq!(variables["HTTPS_PROXY"], format!("http://127.0.0.1:{port}").into_bytes());
}

#[test]
fn an_existing_file_stays_unless_forced_and_nothing_is_leased_for_it() {
    let hand = project();
    let path = put(&hand, ".env", "MINE=1\n");
    let (code, refused) = hand.envelope(&["env"], b"");
    assert_eq!((code, &refused["fix"]), (1, &"secrets env --force".into()), "{refused}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "MINE=1\n");
    assert!(hand.records_of("lease_acquire").is_empty() && hand.records_of("env_write").is_empty());
    assert_eq!(hand.envelope(&["env", "--force"], b"").0, 0);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(sourced(&path).contains_key("ACME"));
}

#[test]
fn a_dry_run_leases_writes_and_records_nothing() {
    let hand = project();
    let (code, planned) = hand.envelope(&["env", "--dry-run", "--ttl", "5m"], b"");
    assert_eq!((code, &planned["result"]["vars"][0]["ttl"]), (0, &"5m".into()), "{planned}");
    assert!(!hand.work.join(".env").exists());
    assert!(hand.records_of("lease_acquire").is_empty() && hand.records_of("env_write").is_empty());
}

#[test]
fn raw_values_come_back_byte_for_byte() {
    let hand = Hand::with_home();
    let values: [(&str, &[u8]); 4] = [
        ("A", b"-----BEGIN X-----\nab\n-----END X-----"),
        ("B", b"it's $HOME \"`x`\" #\\"),
        ("C", b"\xff\xfe bytes"),
        ("D", b" a b "),
    ];
    let mut wanted = Vec::new();
    for (name, value) in values {
        assert_eq!(hand.envelope(&["add", name, "--exact"], value).0, 0);
        wanted.push(format!(r#"{{"name":"{name}","env_var":"{name}"}}"#));
    }
    put(&hand, ".secrets.json", &format!(r#"{{"secrets":[{}],"env_file":"conf.env"}}"#, wanted.join(",")));
    let (code, refused) = hand.envelope(&["env"], b"");
    assert_eq!((code, refused["fix"].as_str()), (1, Some("secrets env --raw")), "no token leads anywhere");
    let (code, written) = hand.envelope(&["env", "--raw"], b"");
    assert_eq!((code, &written["result"]["only_for_shells"]), (0, &serde_json::json!(["B", "C"])), "{written}");
    let variables = sourced(&hand.work.join("conf.env"));
    for (name, value) in values {
        assert_eq!(variables[name], value, "{name}");
    }
    assert_eq!(hand.records_of("secret_reveal").len(), 4);
    assert!(hand.records_of("env_write")[0].details.as_ref().unwrap().ends_with("raw values"));
}

#[test]
fn attack_95_a_project_file_cannot_take_over_variables_that_programs_obey() {
    let hand = project();
    for name in ["PATH", "LD_PRELOAD", "NODE_OPTIONS", "GIT_CONFIG_COUNT"] {
        put(&hand, ".secrets.json", &format!(r#"{{"secrets":[{{"name":"acme_key","env_var":"{name}"}}]}}"#));
        let (code, refused) = hand.envelope(&["env"], b"");
        assert_eq!(code, 2, "{name}: {refused}");
        assert_eq!(hand.run(&["exec", "--", "true"], b"").status.code(), Some(2), "{name}");
    }
    assert!(!hand.work.join(".env").exists() && hand.records_of("env_write").is_empty());
}

#[test]
fn a_longer_time_than_policy_allows_is_refused_before_anything_is_written() {
    let hand = project();
    assert_ne!(hand.envelope(&["env", "--ttl", "25h"], b"").0, 0);
    put(&hand, ".secrets.json", r#"{"secrets":[{"name":"acme_key","env_var":"ACME","ttl":"25h"}]}"#);
    let (code, refused) = hand.envelope(&["env"], b"");
    assert!(code == 64 && refused["error"]["message"].as_str().unwrap().contains("longer than 24h"), "{refused}");
    assert!(!hand.work.join(".env").exists());
    assert_eq!(live_leases(&hand), 0);
}

/// What a request with the file's token is answered with, sent by whoever reads the file.
fn ask(hand: &Hand, curl: &Path, file: &str) -> String {
    let script = "set -a; . \"./$1\"; exec \"$0\" -sS -o /dev/null -w '%{http_code}' \
        -H \"Authorization: Bearer $ACME\" https://api.acme.test/echo";
    let mut command = Command::new("sh");
    command.env_clear().env("PATH", "/usr/bin:/bin").current_dir(&hand.work);
    Program::start(command.args(["-c", script]).arg(curl).arg(file)).finish().expect_success().stdout
}

#[test]
fn what_reads_the_file_reaches_the_service_until_the_lease_is_revoked() {
    let Some(curl) = find_program("curl") else { return };
    let ca = TestCa::new();
    let origin = Origin::builder(ca.leaf_for(&["api.acme.test"])).speaks(Speaks::Both).start();
    let hand = Hand::in_front_of(&ca, &origin, &["api.acme.test"]);
    hand.acme("api.acme.test");
    put(&hand, ".secrets.json", r#"{"secrets":[{"name":"acme_key","env_var":"ACME"}]}"#);
    assert_eq!(hand.envelope(&["env"], b"").0, 0);
    assert_eq!(ask(&hand, &curl, ".env"), "200");
    let requests = origin.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].header("authorization").unwrap(), format!("Bearer {SECRET}"));
    assert_eq!(hand.envelope(&["revoke", "--all"], b"").0, 0);
    assert_ne!(ask(&hand, &curl, ".env"), "200");
    assert_eq!(origin.requests().len(), 1, "nothing more was forwarded");
    assert_eq!(hand.records_of("request_refused").len(), 1);
    assert_eq!(count(&hand.read("audit.log"), SECRET.as_bytes()), 0);
}

#[test]
fn the_leases_of_a_file_that_is_replaced_end_with_it() {
    let Some(curl) = find_program("curl") else { return };
    let ca = TestCa::new();
    let origin = Origin::builder(ca.leaf_for(&["api.acme.test"])).speaks(Speaks::Both).start();
    let hand = Hand::in_front_of(&ca, &origin, &["api.acme.test"]);
    hand.acme("api.acme.test");
    // For a client each, so that the new lease does not take the place of the old one anyway.
    let write = |client: &str, flags: &[&str]| {
        let (code, written) = hand.envelope(&[&["env", "--client-id", client], flags].concat(), b"");
        assert_eq!(code, 0, "{written}");
        written["result"]["leases"][0]["lease_id"].as_str().unwrap().to_owned()
    };
    put(&hand, ".secrets.json", r#"{"secrets":[{"name":"acme_key","env_var":"ACME"}]}"#);
    let old = write("one", &[]);
    std::fs::copy(hand.work.join(".env"), hand.work.join("kept")).unwrap();
    assert_eq!(ask(&hand, &curl, "kept"), "200");
    let new = write("two", &["--force"]);
    assert_ne!(ask(&hand, &curl, "kept"), "200", "the old token is worth nothing");
    assert_eq!((ask(&hand, &curl, ".env").as_str(), origin.requests().len()), ("200", 2));
    let of = |action: &str| -> Vec<String> {
        hand.records_of(action).into_iter().filter_map(|record| record.lease_id).collect()
    };
    assert_eq!((of("lease_revoke"), of("lease_acquire")), (vec![old.clone()], vec![old, new]));
    let refused = hand.records_of("request_refused");
    assert_eq!((refused.len(), refused[0].code.as_deref()), (1, Some("revoked")), "{refused:?}");
}
