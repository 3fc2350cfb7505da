//! Running programs in a session, and environment files.

use std::os::unix::fs::MetadataExt as _;

use super::*;

#[test]
fn attack_95_a_program_gets_the_proxy_and_tokens_and_no_value() {
    let house = House::with_daemon();
    let seen = house.project.path().join("seen");
    let script = format!("env -0 > {}; exit 7", seen.display());
    let ran = house.run(&["exec", "--secret", "ops/x=X_TOKEN", "--secret", "a", "--", "sh", "-c", &script]);
    assert_eq!(ran, Ran { code: 7, out: String::new(), err: String::new() });
    let seen = variables(&fs::read(seen).unwrap());
    assert_eq!(seen["HTTPS_PROXY"], "http://127.0.0.1:4321");
    assert_eq!((seen["X_TOKEN"].as_str(), seen["A_KEY"].as_str()), ("lse_ops/x", "lse_a"));
    assert_eq!(seen.get("PATH").cloned(), std::env::var("PATH").ok(), "what it would have anyway is still there");
    let asked = house.asked();
    assert!(asked[0].starts_with("OpenSession("), "{asked:?}");
    assert_eq!(asked.last().map(String::as_str), Some("session ended"));
}

#[test]
fn the_project_file_says_what_a_program_needs() {
    let house = House::with_daemon();
    house.write(
        ".secrets.json",
        br#"{"client_id":"web","ttl":"2h",
            "secrets":[{"name":"a","env_var":"ONE","ttl":"5m"},{"name":"b","env_var":"TWO"}]}"#,
    );
    let ran = house.run(&["exec", "--", "sh", "-c", r#"test "$ONE$TWO" = lse_alse_b"#]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let asked = house.asked().concat();
    assert!(asked.contains(r#"ClientId("web")"#) && asked.contains("ttl: Some(TimeToLive(300s))"), "{asked}");
    assert!(asked.contains("ttl: Some(TimeToLive(7200s))"), "{asked}");
}

#[test]
fn without_a_project_every_secret_of_a_service_is_there() {
    let house = House::with_daemon();
    let ran = house.run(&["exec", "sh", "-c", r#"test "$A_KEY" = lse_a"#]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(!house.asked().concat().contains(r#"SecretName("text")"#), "the one without a service is not asked for");
}

#[test]
fn what_cannot_run_ends_as_in_a_shell_and_ends_the_session() {
    let house = House::with_daemon();
    let ran = house.run(&["exec", "--secret", "a", "--", "/no/such/program"]);
    assert_eq!((ran.code, ran.out.as_str()), (127, ""));
    assert!(ran.err.contains("`/no/such/program` is not found"), "{}", ran.err);
    assert_eq!(house.asked().last().map(String::as_str), Some("session ended"));
}

#[test]
fn two_secrets_for_one_variable_run_nothing() {
    let house = House::with_daemon();
    let mark = house.project.path().join("mark");
    let line = ["exec", "--secret", "a", "--secret", "b", "--", "touch", mark.to_str().unwrap()];
    let ran = house.run(&line);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert!(ran.err.contains("both want to be `A_KEY`"), "{}", ran.err);
    assert!(!mark.exists());
}

#[test]
fn flags_of_the_program_are_not_ours_and_ours_are_not_the_programs() {
    let house = House::with_daemon();
    assert_eq!(house.run(&["exec", "--secret", "a", "sh", "-c", "exit 3"]).code, 3);
    assert_eq!(house.run(&["exec", "--no-such-flag", "sh"]).code, 2);
    assert_eq!(house.run(&["exec"]).code, 2);
}

#[test]
fn an_environment_file_is_private_and_holds_tokens() {
    let house = House::with_daemon();
    house.write(".secrets.json", br#"{"secrets":[{"name":"a","env_var":"ONE"}]}"#);
    let file = house.project.path().join(".env");
    let result = house.run(&["env"]).result();
    assert_eq!((&result["mode"], &result["vars"]), (&json!("store"), &json!(["HTTPS_PROXY", "ONE"])));
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        format!(
            "# secrets-managed: true\n# secrets-ttl: {TIME}\n# secrets-source: store\n# secrets-leases: {ID}\n\
             # lease tokens; the proxy at 127.0.0.1:4000 takes them until the daemon ends; \
             `[proxy] listen = \"127.0.0.1:4000\"` in config.toml keeps the port\n\
             HTTPS_PROXY=http://127.0.0.1:4000\nONE=lse_token\n"
        )
    );
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    let again = house.run(&["env"]);
    assert_eq!((again.code, &again.json()["fix"]), (1, &json!("secrets env --force")));
    assert_eq!(house.run(&["env", "--force"]).code, 0);
}

#[test]
fn raw_values_are_quoted_and_only_given_when_asked_for() {
    let house = House::with_daemon();
    house.write(".secrets.json", br#"{"secrets":[{"name":"text","env_var":"ONE"}]}"#);
    let refused = house.run(&["env", "--print"]);
    assert_eq!((refused.code, refused.out.as_str()), (1, ""));
    assert!(refused.err.contains("fix: secrets env --print --raw\n"), "{}", refused.err);
    let printed = house.run(&["env", "--print", "--raw"]);
    assert_eq!(printed.out, "export ONE='it'\\''s\ntwo'\n");
    let json = house.run(&["env", "--print", "--raw", "--format", "json"]);
    assert_eq!(json.json(), json!({"ONE": "it's\ntwo"}));
}

#[test]
fn an_environment_that_fails_half_way_leaves_no_lease_and_no_file() {
    let house = House::with_daemon();
    house.write(".secrets.json", br#"{"secrets":[{"name":"a","env_var":"ONE"},{"name":"none","env_var":"TWO"}]}"#);
    assert_eq!(house.run(&["env"]).json()["fix"], "secrets list");
    assert!(!house.project.path().join(".env").exists());
    assert!(house.asked().last().unwrap().starts_with("RevokeLease("));
}

#[test]
fn a_dry_run_leases_nothing() {
    let house = House::with_daemon();
    house.write(".secrets.json", br#"{"secrets":[{"name":"a","env_var":"ONE","ttl":"5m"}]}"#);
    assert_eq!(house.run(&["env", "--dry-run"]).result()["vars"][0]["ttl"], "5m");
    assert!(house.asked().is_empty());
}
