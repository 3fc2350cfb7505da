//! What successes look like, to programs and to people.

use super::*;

#[test]
fn add_sends_every_byte_of_a_file_and_shows_an_envelope() {
    let house = House::with_daemon();
    let file = house.write("key", b"two\nlines\n");
    let ran = house.run(&["add", "a", "--value-file", &file, "--service", "openai", "--rotate-via", "x & y"]);
    assert_eq!(
        ran.out,
        r#"{
  "ok": true,
  "success": true,
  "command": "secrets add",
  "result": {
    "message": "stored 9 bytes as `a`",
    "name": "a",
    "rotate_via": "x \u0026 y",
    "service": "openai"
  },
  "next_actions": [
    {
      "command": "secrets exec --secret a -- COMMAND",
      "description": "Run a program with it"
    },
    {
      "command": "secrets list",
      "description": "List all secrets"
    }
  ]
}
"#
    );
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "silent on standard error, or plugins take it for a failure");
}

#[test]
fn attack_95_a_value_on_the_command_line_works_and_is_warned_about() {
    let house = House::with_daemon();
    let ran = house.run(&["add", "a", "--value", "hunter2"]);
    assert_eq!(ran.code, 0);
    assert!(ran.err.contains("`--value` shows the value"), "{}", ran.err);
    assert!(!ran.out.contains("hunter2") && !ran.err.contains("hunter2"));
    assert!(!house.asked().concat().contains("hunter2"), "Debug of a call shows no value");
}

#[test]
fn the_easy_case_is_one_command() {
    let house = House::with_daemon();
    let file = house.write("key", b"v");
    let ran = house.run(&["add", "a", "--value-file", &file, "--host", "api.test", "--header", "x-api-key"]);
    assert_eq!(ran.result()["service"], "api-test");
    let asked = house.asked().concat();
    assert!(asked.contains(r#"host: "api.test", place: Header { name: "x-api-key", wording: "{}" }"#), "{asked}");
}

#[test]
fn lease_prints_the_bare_value() {
    let house = House::with_daemon();
    assert_eq!(house.run(&["lease", "a"]), Ran { code: 0, out: "sk-real".into(), err: String::new() });
    assert_eq!(house.run(&["lease", "binary"]).out, "\u{ff}\0\n");
    assert_eq!(house.run(&["lease", "a", "--token"]).out, "lse_token");
    assert_eq!(house.run(&["--output", "human", "lease", "a"]).out, "sk-real");
}

#[test]
fn lease_with_json_shows_what_agent_secrets_shows() {
    let house = House::with_daemon();
    let result = house.run(&["lease", "a", "--json", "--ttl", "30m", "--client-id", "ci"]).result();
    let expected = json!({"lease_id": ID, "secret_name": "a", "value": "sk-real", "expires_at": TIME, "ttl": "30m",
        "client_id": "ci"});
    assert_eq!(result, expected);
    let token = house.run(&["lease", "a", "--json", "--token"]).result();
    assert_eq!((&token["token"], &token["env"]), (&json!("lse_token"), &json!(["A_KEY"])));
}

#[test]
fn list_is_a_table_for_people_and_entries_for_programs() {
    let house = House::with_daemon();
    let result = house.run(&["list"]).result();
    assert_eq!(result["count"], 2);
    assert_eq!(
        (&result["secrets"][0]["has_rotation"], &result["secrets"][1]["has_rotation"]),
        (&json!(true), &json!(false))
    );
    assert!(!result.to_string().contains("./rotate"), "the hook is nobody's business");
    assert_eq!(
        house.run(&["--output", "human", "list"]).out,
        "NAME  SERVICE  CREDENTIAL  LEASES  ROTATION  UPDATED\n\
         a     openai   token       1       hook      2025-11-24T16:00:00.123Z\n\
         text  -        -           1       -         2025-11-24T16:00:00.123Z\n"
    );
}

#[test]
fn attack_96_untrusted_text_reaches_no_terminal() {
    let house = House::with_daemon();
    house.record(&[
        json!({"timestamp": TIME, "action": "lease_acquire", "client_id": "evil\u{1b}[31m", "success": true}),
    ]);
    for form in ["human", "json"] {
        let ran = house.run(&["--output", form, "audit"]);
        assert!(ran.out.contains("evil") && !ran.out.contains('\u{1b}'), "{}", ran.out);
    }
}

#[test]
fn audit_shows_as_many_rows_as_wanted_and_zero_is_all() {
    let house = House::with_daemon();
    let event =
        |at: u64| json!({"timestamp": TIME, "action": "daemon_start", "details": at.to_string(), "success": true});
    house.record(&(0..60).map(event).collect::<Vec<_>>());
    let shown = |arguments: &[&str]| {
        let result = house.run(arguments).result();
        (result["entries"][0]["details"].clone(), result["total_shown"].clone(), result["tail_limit"].clone())
    };
    assert_eq!(shown(&["audit"]), (json!("10"), json!(50), json!(50)));
    assert_eq!(shown(&["audit", "--tail", "3", "--json"]), (json!("57"), json!(3), json!(3)));
    assert_eq!(shown(&["audit", "--tail", "0"]), (json!("0"), json!(60), json!(0)));
}

#[test]
fn audit_needs_neither_a_daemon_nor_a_log() {
    let house = House::empty();
    assert_eq!(house.run(&["audit"]).result()["total_shown"], 0);
}

#[test]
fn status_has_the_fields_of_agent_secrets() {
    let house = House::with_daemon();
    let result = house.run(&["status"]).result();
    for field in ["running", "secrets_count", "active_leases", "started_at", "uptime", "heartbeat"] {
        assert!(result.get(field).is_some(), "{field} in {result}");
    }
    assert!(house.run(&["--output", "human", "status"]).out.contains("proxy:   127.0.0.1:4000\n"));
}

#[test]
fn revoke_asks_for_what_was_named() {
    let house = House::with_daemon();
    assert_eq!(house.run(&["revoke", ID]).result()["lease_id"], ID);
    for line in [
        &["revoke", "--all"][..],
        &["revoke", "--client", "c"],
        &["revoke", "--secret", "a"],
        &["revoke", "--session", ID],
    ] {
        assert_eq!(house.run(line).result()["leases_revoked"], 2);
    }
    let asked = house.asked();
    for (got, wanted) in
        asked.iter().zip(["RevokeLease(", "RevokeAll(", "Revoke(Client(", "Revoke(Secret(", "Revoke(Session("])
    {
        assert!(got.starts_with(wanted), "{got} is not {wanted}");
    }
}

#[test]
fn update_keeps_clears_and_sets_the_hook() {
    let house = House::with_daemon();
    let file = house.write("key", b"v");
    house.run(&["update", "a", "--value-file", &file]).result();
    house.run(&["update", "a", "--value-file", &file, "--rotate-via", ""]).result();
    let asked = house.asked();
    assert!(asked[0].contains("rotate_via: None, rotate_via_set: false"), "{asked:?}");
    assert!(asked[1].contains("rotate_via: Some(\"\"), rotate_via_set: true"), "{asked:?}");
}

#[test]
fn delete_answers_to_both_names() {
    let house = House::with_daemon();
    for name in ["delete", "rm"] {
        assert_eq!(house.run(&[name, "a", "--force"]).result()["deleted"], true);
    }
}

#[test]
fn the_root_lists_every_command() {
    let house = House::empty();
    let result = house.run(&[]).result();
    let names: Vec<&str> = result["commands"].as_array().unwrap().iter().filter_map(|c| c["name"].as_str()).collect();
    for name in
        "add audit ca cleanup completions delete demo doctor env exec lease list policy revoke scan serve status stop update version"
            .split(' ')
    {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    assert!(house.run(&["--output", "human"]).out.contains("Usage: secrets"));
}

#[test]
fn what_needs_no_daemon_asks_none() {
    let house = House::empty();
    assert_eq!(house.run(&["version"]).result()["version"], env!("CARGO_PKG_VERSION"));
    assert!(house.run(&["completions", "bash"]).out.contains("_secrets"));
    assert_eq!(house.run(&["stop"]).result()["stopped"], false);
    assert!(house.run(&["--help"]).out.contains("Usage: secrets"));
}

#[test]
fn deprecated_flags_change_nothing_and_say_so_on_standard_error() {
    let house = House::with_daemon();
    for flags in [&["--human"][..], &["--output", "table"], &["--output", "raw"]] {
        let ran = house.run(&[flags, &["status"]].concat());
        assert!(ran.code == 0 && ran.err.contains("deprecated"), "{ran:?}");
    }
    assert_eq!(house.run(&["lease", "a", "--raw"]).out, "sk-real");
    assert_eq!(house.run(&["--no-update-check", "--skip-permission-check", "status"]).err, "");
}
