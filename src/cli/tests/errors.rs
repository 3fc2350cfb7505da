//! What failures look like: the exit code, the place, and the command that mends it.

use super::*;

#[test]
fn without_a_daemon_the_envelope_says_how_to_start_it() {
    let house = House::empty();
    let ran = house.run(&["--no-autostart", "status"]);
    let message = format!("the daemon is not running on `{}/agent-secrets.sock`", house.home.path().display());
    let expected = format!(
        r#"{{
  "ok": false,
  "success": false,
  "command": "secrets status",
  "next_actions": [],
  "error": {{
    "message": "{message}",
    "code": "daemon_unavailable"
  }},
  "fix": "secrets serve \u0026"
}}
"#
    );
    assert_eq!(ran, Ran { code: 69, out: expected, err: String::new() });
    let human = house.run(&["--output", "human", "--no-autostart", "status"]);
    assert_eq!(
        human,
        Ran { code: 69, out: String::new(), err: format!("secrets: {message}\n  fix: secrets serve &\n") }
    );
}

#[test]
fn without_a_store_nothing_is_started() {
    let house = House::empty();
    let ran = house.run(&["list"]);
    assert_eq!((ran.code, &ran.json()["fix"]), (1, &json!("secrets init")));
    assert_eq!(fs::read_dir(house.home.path()).unwrap().count(), 0);
}

#[test]
fn a_failed_lease_prints_nothing_on_standard_output() {
    let house = House::with_daemon();
    let ran = house.run(&["lease", "none"]);
    let err = "secrets: there is no secret `none`\n  fix: secrets list\n".to_owned();
    assert_eq!(ran, Ran { code: 1, out: String::new(), err });
    let ran = house.run(&["lease", "none", "--json"]);
    assert_eq!((ran.code, &ran.json()["error"]["code"], ran.err.as_str()), (1, &json!("generic_error"), ""));
}

#[test]
fn a_taken_name_says_how_to_change_it() {
    let house = House::with_daemon();
    let file = house.write("key", b"v");
    let ran = house.run(&["add", "taken", "--value-file", &file]);
    assert_eq!((ran.code, &ran.json()["fix"]), (1, &json!("secrets update taken")));
}

#[test]
fn an_empty_value_is_refused_before_anything_is_asked() {
    let house = House::with_daemon();
    let file = house.write("key", b"\n");
    let ran = house.run(&["add", "a", "--value-file", &file]);
    assert_eq!((ran.code, &ran.json()["fix"]), (1, &json!("secrets add a")));
    let asked = house.asked();
    assert!(asked.len() == 1 && asked[0].contains("Refused"), "nothing but a note of the attempt: {asked:?}");
}

#[test]
fn a_policy_that_cannot_be_written_says_that_nothing_is_stored() {
    let house = House::with_daemon();
    let file = house.write("key", b"v");
    let ran = house.run(&["add", "a", "--value-file", &file, "--host", "taken.test", "--as", "Token {}"]);
    let envelope = ran.json();
    assert_eq!((ran.code, &envelope["fix"]), (1, &json!("secrets policy list")));
    assert!(envelope["error"]["message"].as_str().unwrap().starts_with("`a` was not stored: "), "{envelope}");
}

#[test]
fn a_refused_reload_shows_every_fault() {
    let house = House::with_daemon();
    let envelope = house.run(&["policy", "reload"]).json();
    assert_eq!((&envelope["ok"], &envelope["result"]["faults"][0]["place"]), (&json!(false), &json!("x.toml:1:2")));
}

#[test]
fn misuse_is_2_and_an_envelope_too() {
    let house = House::empty();
    for line in [
        &["--output", "json", "revoke"][..],
        &["--output", "json", "revoke", "--all", ID],
        &["--output", "json", "lease", "--json", "a", "--ttl", "soon"],
        &["--output=json", "add", "a", "--header", "x"],
        &["--output", "json", "no-such-command"],
        &["--output", "json", "--timeout", "0", "status"],
    ] {
        let ran = house.run(line);
        assert_eq!(ran.code, 2, "{line:?}");
        if !line.contains(&"lease") {
            let envelope = ran.json();
            assert_eq!(envelope["error"]["code"], "misuse");
            assert!(envelope["fix"].as_str().unwrap().ends_with(" --help"), "{envelope}");
        }
    }
    let ran = house.run(&["--output", "human", "revoke"]);
    assert!(ran.out.is_empty() && ran.err.contains("Usage:"), "{ran:?}");
    let ran = house.run(&["lease"]);
    assert!(ran.code == 2 && ran.out.is_empty() && ran.err.contains("secrets lease --help"), "{ran:?}");
}

#[test]
fn the_doctor_shows_every_check_next_to_the_first_fault() {
    let house = House::with_daemon();
    let envelope = house.run(&["doctor"]).json();
    assert_eq!((&envelope["ok"], &envelope["fix"]), (&json!(false), &json!("secrets init")), "there is no identity");
    let checks = envelope["result"]["checks"].as_array().unwrap();
    let verdict = |name: &str| checks.iter().find(|check| check["name"] == name).unwrap()["verdict"].clone();
    assert_eq!((verdict("home"), verdict("identity"), verdict("socket")), (json!("ok"), json!("fault"), json!("ok")));
    assert_eq!((verdict("policies"), verdict("audit")), (json!("fault"), json!("ok")));
}

#[test]
fn a_demonstration_that_does_not_hold_is_an_error() {
    let failing: Demo = |out| {
        out.write_all(b"FAILED pigs fly\n").unwrap();
        Err(Failure::new(FailureCode::Internal, "it did not hold: pigs fly"))
    };
    let parts = Parts { serve: |_, _| Ok(()), demo: failing, environment };
    let ran = House::empty().run_with(parts, &["demo"]);
    assert_ne!(ran.code, 0, "{ran:?}");
    assert!(ran.out.starts_with("FAILED pigs fly\n") && ran.out.contains("it did not hold: pigs fly"), "{ran:?}");
}
