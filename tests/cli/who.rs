//! On what a session or a lease works and what it gives up when it is made, and namespaces of secrets, by hand.

use std::path::PathBuf;

use serde_json::Value;

use crate::{
    hand::Hand,
    support::{Origin, Program, Speaks, TestCa, find_program},
};

const HOST: &str = "api.acme.test";

/// An origin, and a hand in front of it with its key.
pub(crate) fn world() -> (Origin, Hand) {
    let ca = TestCa::new();
    let origin = Origin::builder(ca.leaf_for(&[HOST])).speaks(Speaks::Both).start();
    let hand = Hand::in_front_of(&ca, &origin, &[HOST]);
    hand.acme(HOST);
    (origin, hand)
}

/// One request with the token that a shell variable holds; prints its status.
pub(crate) fn ask(method: &str, variable: &str) -> String {
    format!(
        "curl --silent -o /dev/null -w '%{{http_code}} ' -X {method} -H \"Authorization: Bearer ${variable}\" https://{HOST}/echo"
    )
}

/// Runs a script under `exec` with `s` as the program at this home.
pub(crate) fn inside(hand: &Hand, flags: &[&str], script: &str) -> Program {
    let program = env!("CARGO_BIN_EXE_secrets");
    let script =
        format!("s() {{ '{program}' --timeout 60 --home '{}' --no-autostart \"$@\"; }}\n{script}", hand.home.display());
    let flags = [&["exec", "--secret", "acme_key=ACME"], flags, &["--"]].concat();
    Program::start(hand.command(&flags).arg(find_program("sh").unwrap()).args(["-c", &script]))
}

/// The error and the fix of a command that fails.
pub(crate) fn refused(hand: &Hand, arguments: &[&str]) -> (String, String) {
    let (code, said) = hand.envelope(arguments, b"");
    assert_ne!(code, 0, "{arguments:?}: {said}");
    (said["error"]["message"].to_string(), said["fix"].to_string())
}

/// The file of the only grant.
pub(crate) fn grant_file(hand: &Hand) -> PathBuf {
    let files = std::fs::read_dir(hand.home.join("policies")).unwrap().map(|entry| entry.unwrap().path());
    let mut grants = files.filter(|path| std::fs::read_to_string(path).unwrap().contains("[[grant]]"));
    grants.next().unwrap()
}

/// Makes the grant one for some environments.
fn only_in(hand: &Hand, environments: &str) {
    let file = grant_file(hand);
    let grant = std::fs::read_to_string(&file).unwrap();
    let limited = format!("[[grant]]\nenvironments = {environments}\n");
    std::fs::write(&file, grant.replacen("[[grant]]\n", &limited, 1)).unwrap();
    assert_eq!(hand.envelope(&["policy", "reload"], b"").0, 0);
}

#[test]
fn an_environment_opens_the_grants_that_are_for_it_and_no_others() {
    let Some(_) = find_program("curl") else { return };
    let (origin, hand) = world();
    only_in(&hand, "[\"dev\"]");
    for flags in [&[][..], &["--environment", "prod"]] {
        let ran = inside(&hand, flags, "touch ran").finish();
        assert!(!ran.status.success() && ran.stderr.contains("no grant gives"), "{flags:?}: {ran:?}");
    }
    assert!(!hand.work.join("ran").exists());

    let script = format!(
        "{}; s lease acme_key --token --environment prod; T=$(s lease acme_key --token) && {}",
        ask("GET", "ACME"),
        ask("GET", "T")
    );
    let ran = inside(&hand, &["--environment", "dev"], &script).finish().expect_success();
    assert_eq!(ran.stdout, "200 200 ", "{ran:?}");
    assert!(ran.stderr.contains("does not work on the environment `prod`"), "{ran:?}");
    assert_eq!(origin.requests().len(), 2);
    let opened = hand.records_of("session_open");
    assert_eq!(opened.last().unwrap().details.as_deref(), Some("environment dev"), "{opened:?}");

    let explain = |more: &[&str]| {
        let url = format!("https://{HOST}/echo");
        let (_, said) = hand.envelope(&[&["policy", "explain", "GET", &url], more].concat(), b"");
        said["result"]["verdict"].clone()
    };
    assert_eq!((explain(&[]), explain(&["--environment", "dev"])), (Value::from("deny"), Value::from("allow")));
    let (_, listed) = hand.envelope(&["policy", "list"], b"");
    assert_eq!(listed["result"]["grants"][0]["environments"], serde_json::json!(["dev"]), "{listed}");
}

/// One grant for some kept everybody else from `secrets exec -- sh`, which is what refusals advise.
#[test]
fn who_names_no_secret_gets_those_that_a_grant_gives_here() {
    let (_origin, hand) = world();
    only_in(&hand, "[\"dev\"]");
    assert_eq!(hand.envelope(&["add", "other_key", "--host", "other.acme.test"], b"another value").0, 0);
    let names = |flags: &[&str]| {
        let script = ["-c", "printf %s \"${ACME_KEY:+acme}${OTHER_KEY:+other}\""];
        let line = [&["exec"], flags, &["--", "sh"], &script].concat();
        let ran = Program::start(&mut hand.command(&line)).finish();
        (ran.status.code(), ran.stdout)
    };
    assert_eq!(names(&[]), (Some(0), "other".to_owned()));
    assert_eq!(names(&["--environment", "dev"]), (Some(0), "acmeother".to_owned()));
    assert_ne!(names(&["--secret", "acme_key"]).0, Some(0), "what is named must be given");
    assert_eq!(hand.envelope(&["delete", "other_key"], b"").0, 0);
    let ran = Program::start(&mut hand.command(&["exec", "--", "touch", "ran"])).finish();
    assert!(!ran.status.success() && ran.stderr.contains("no grant gives"), "{ran:?}");
    assert!(!hand.work.join("ran").exists());
}

/// Inside a session it is about that session, whatever client and environment are named.
#[test]
fn explain_inside_a_session_is_about_the_session() {
    let (_origin, hand) = world();
    only_in(&hand, "[\"dev\"]");
    let explain = |flags: &str| format!("s policy explain GET https://{HOST}/echo {flags}");
    let script = [explain(""), explain("--environment prod --client somebody"), explain("--project /")].join("\n");
    let ran = inside(&hand, &["--environment", "dev"], &script).finish().expect_success();
    let verdicts: Vec<Value> = serde_json::Deserializer::from_str(&ran.stdout)
        .into_iter::<Value>()
        .map(|said| said.unwrap()["result"]["verdict"].clone())
        .collect();
    assert_eq!(verdicts, ["allow", "allow", "allow"], "{ran:?}");
    assert_eq!(
        hand.envelope(&["policy", "explain", "GET", &format!("https://{HOST}/echo")], b"").1["result"]["verdict"],
        "deny"
    );
}

#[test]
fn a_project_file_asks_for_an_environment_and_selects_none() {
    let (_origin, hand) = world();
    only_in(&hand, "[\"dev\"]");
    std::fs::write(hand.work.join(".secrets.toml"), "schema = 1\nkind = \"project\"\nenvironment = \"dev\"\n").unwrap();
    for flags in [&[][..], &["--environment", "prod"]] {
        let ran = inside(&hand, flags, "touch ran").finish();
        let said = "is worked on in the environment `dev` only";
        assert!(!ran.status.success() && ran.stderr.contains(said), "{flags:?}: {ran:?}");
        assert!(ran.stderr.contains("fix: secrets exec --environment dev -- sh"), "{ran:?}");
    }
    assert!(!hand.work.join("ran").exists());
    let ran = inside(&hand, &["--environment", "dev"], "touch ran").finish();
    assert!(ran.status.success(), "{ran:?}");
    assert!(hand.work.join("ran").exists());
}

#[test]
fn files_that_want_different_environments_are_told_as_that() {
    let (_origin, hand) = world();
    let inner = hand.work.join("inner");
    std::fs::create_dir(&inner).unwrap();
    for (folder, environment) in [(&hand.work, "dev"), (&inner, "prod")] {
        let text = format!("schema = 1\nkind = \"project\"\nenvironment = \"{environment}\"\n");
        std::fs::write(folder.join(".secrets.toml"), text).unwrap();
    }
    for environment in ["dev", "prod"] {
        for words in [
            ["exec", "--environment", environment, "--", "true"],
            ["lease", "acme_key", "--token", "--environment", environment],
        ] {
            let ran = crate::support::Program::start(hand.command(&words).current_dir(&inner)).finish();
            let told = ran.stderr.clone();
            assert!(
                !ran.status.success() && told.contains("so the project can be worked on in none"),
                "{words:?}: {ran:?}"
            );
            assert!(told.contains("wants the environment `prod` and") && told.contains("wants `dev`"), "{told}");
            assert!(told.contains("fix: ${EDITOR:-vi} ") && !told.contains("--environment"), "{told}");
        }
    }
    assert!(hand.records_of("session_open").is_empty() && hand.records_of("lease_acquire").is_empty());
}

#[test]
fn env_and_tokens_keep_to_the_environment_of_the_project() {
    let (_origin, hand) = world();
    std::fs::write(hand.work.join(".secrets.toml"), "schema = 1\nkind = \"project\"\nenvironment = \"dev\"\n").unwrap();
    let wants = r#"{"secrets": [{"name": "acme_key", "env_var": "ACME"}]}"#;
    std::fs::write(hand.work.join(".secrets.json"), wants).unwrap();
    let other = ["--environment", "prod"];
    for (command, fix) in [
        (&["env"][..], "secrets env --environment dev"),
        (&["env", "--raw"], "secrets env --raw --environment dev"),
        (&["env", "--ttl", "5m", "--force"], "secrets env --force --ttl 5m --environment dev"),
        (&["lease", "acme_key", "--token", "--json"], "secrets lease acme_key --token --environment dev"),
    ] {
        for arguments in [command.to_vec(), [command, &other].concat()] {
            let (why, said) = refused(&hand, &arguments);
            assert!(why.contains("is worked on in the environment `dev` only"), "{arguments:?}: {why}");
            assert_eq!(said, format!("\"{fix}\""), "{arguments:?}");
        }
    }
    assert!(!hand.work.join(".env").exists());
    assert!(hand.records_of("lease_acquire").is_empty() && hand.records_of("secret_reveal").is_empty());

    assert_eq!(hand.envelope(&["env", "--environment", "dev"], b"").0, 0);
    let token = ["lease", "acme_key", "--token", "--json", "--environment", "dev", "--client-id", "other"];
    assert_eq!(hand.envelope(&token, b"").0, 0);
    let environments: Vec<_> = hand.records_of("lease_acquire").into_iter().map(|lease| lease.environment).collect();
    assert_eq!(environments, [Some("dev".to_owned()), Some("dev".to_owned())]);

    // What the project narrows holds in a session; a token outside of one would be good for more.
    let (_, listed) = hand.envelope(&["list"], b"");
    let service = listed["result"]["secrets"][0]["service"].as_str().unwrap().to_owned();
    let narrow = format!(
        "schema = 1\nkind = \"project\"\nenvironment = \"dev\"\n[[narrow]]\nservice = \"{service}\"\nttl = \"5m\"\n"
    );
    std::fs::write(hand.work.join(".secrets.toml"), narrow).unwrap();
    let before = hand.records_of("lease_acquire").len();
    for command in [&["env", "--force", "--environment", "dev"][..], &token] {
        let (why, said) = refused(&hand, command);
        assert!(why.contains(&format!("the project narrows `{service}`, which holds in a session")), "{why}");
        assert_eq!(said, "\"secrets exec --secret acme_key --environment dev -- sh\"");
    }
    assert_eq!(hand.records_of("lease_acquire").len(), before);

    // Inside a session it is what the session works on, whatever is said.
    let script = "s lease acme_key --token > token && cd elsewhere && s lease acme_key --token; echo $?";
    let elsewhere = hand.work.join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::write(elsewhere.join(".secrets.toml"), "schema = 1\nkind = \"project\"\nenvironment = \"prod\"\n")
        .unwrap();
    let ran = inside(&hand, &["--environment", "dev"], script).finish().expect_success();
    assert!(hand.work.join("token").metadata().unwrap().len() > 0, "{ran:?}");
    assert!(ran.stdout == "64\n" && ran.stderr.contains("can be worked on in none"), "{ran:?}");
    std::fs::write(elsewhere.join(".secrets.toml"), "schema = 1\n").unwrap();
    let mut broken = hand.command(&["lease", "acme_key", "--token"]);
    let broken = Hand::feed(broken.current_dir(&elsewhere), b"");
    assert!(!broken.status.success() && broken.stdout.is_empty(), "what cannot be read may want another: {broken:?}");
}

#[test]
fn a_session_and_a_token_that_is_handed_on_give_up_what_their_flags_say() {
    let Some(_) = find_program("curl") else { return };
    let (origin, hand) = world();
    let script = format!(
        "{}; {}; {}
         T=$(s lease acme_key --token --cap read --ttl 5m); {}; {}
         s lease acme_key --token --cap delete; s lease acme_key --token --cap raed",
        ask("GET", "ACME"),
        ask("POST", "ACME"),
        ask("DELETE", "ACME"),
        ask("GET", "T"),
        ask("POST", "T"),
    );
    let ran = inside(&hand, &["--cap", "read", "--cap", "write"], &script).finish();
    assert_eq!(ran.stdout, "200 200 403 200 403 ", "{ran:?}");
    assert!(ran.stderr.contains("gives up every use of `acme_key`"), "{ran:?}");
    assert!(ran.stderr.contains("has no capability `raed`; did you mean `read`?"), "{ran:?}");
    assert_eq!(origin.requests().len(), 3, "what was given up did not leave");
    let opened = hand.records_of("session_open").pop().unwrap();
    assert!(opened.details.as_deref().is_some_and(|said| said.ends_with(": cap read, write")), "{opened:?}");
    let leased = hand.records_of("lease_acquire");
    assert!(leased.iter().any(|record| record.details.as_deref() == Some("cap read")), "{leased:?}");
}

#[test]
fn a_narrowed_lease_is_no_wider_after_a_restart() {
    let Some(_) = find_program("curl") else { return };
    let (_origin, hand) = world();
    only_in(&hand, "[\"dev\"]");
    let flags = ["lease", "acme_key", "--token", "--environment", "dev", "--cap", "read"];
    let token = String::from_utf8(hand.run(&flags, b"").stdout).unwrap();
    let asked = || {
        let (_, status) = hand.envelope(&["status"], b"");
        let proxy = format!("--insecure --proxy http://{} -X", status["result"]["proxy_addr"].as_str().unwrap());
        let script = [ask("GET", "T"), ask("POST", "T")].join("; ").replace("-X", &proxy);
        let mut shell = std::process::Command::new("sh");
        Program::start(shell.env("T", token.trim()).args(["-c", &script])).finish().expect_success().stdout
    };
    assert_eq!(asked(), "200 403 ");
    assert_eq!(hand.envelope(&["stop"], b"").0, 0);
    assert_eq!(asked(), "200 403 ", "after a restart");
}

#[test]
fn what_cannot_be_narrowed_is_refused_with_what_can() {
    let (_origin, hand) = world();
    let (why, fix) = refused(&hand, &["lease", "acme_key", "--cap", "read", "--json"]);
    assert!(why.contains("cannot be narrowed"), "{why}");
    assert_eq!(fix, "\"secrets lease acme_key --token --cap read\"");
    let raw = ["exec", "--raw", "--secret", "acme_key=K", "--cap", "read", "--", "true"];
    let ran = hand.run(&raw, b"");
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.code() == Some(2) && said.contains("cannot be narrowed"), "{ran:?}");
    assert!(said.contains("fix: secrets exec --secret acme_key=K --cap read -- true"), "{said}");
    for flags in [["--only", "repo"], ["--cap", ""]] {
        let ran = hand.run(&["exec", "--secret", "acme_key=K", flags[0], flags[1], "--", "touch", "ran"], b"");
        assert_eq!(ran.status.code(), Some(2), "{flags:?}: {ran:?}");
    }
    assert!(!hand.work.join("ran").exists());
    assert!(hand.records_of("secret_reveal").is_empty());
}

#[test]
fn secrets_in_namespaces_work_in_every_command() {
    let (_origin, hand) = world();
    for name in ["prod/github", "prod/eu/db", "production"] {
        assert_eq!(hand.envelope(&["add", name, "--rotate-via", "echo new"], b"old").0, 0, "{name}");
    }
    let names = |arguments: &[&str]| {
        let (code, list) = hand.envelope(arguments, b"");
        assert_eq!(code, 0, "{list}");
        let all = list["result"]["secrets"].as_array().unwrap().clone();
        all.into_iter().map(|secret| secret["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&["list"]).len(), 4);
    assert_eq!(names(&["list", "--namespace", "prod"]), ["prod/eu/db", "prod/github"]);
    assert_eq!(names(&["list", "--namespace", "prod/eu/"]), ["prod/eu/db"]);
    assert!(names(&["list", "--namespace", "pro"]).is_empty());

    for name in ["prod/github", "prod/eu/db", "production"] {
        assert_eq!(hand.run(&["lease", name, "--client-id", "ops/deploy"], b"").stdout, b"old");
    }
    let (code, revoked) = hand.envelope(&["revoke", "--namespace", "prod"], b"");
    assert_eq!((code, &revoked["result"]["leases_revoked"]), (0, &Value::from(2)), "{revoked}");
    let (_, status) = hand.envelope(&["status"], b"");
    assert_eq!(status["result"]["active_leases"], 1, "{status}");
    let (why, _) = refused(&hand, &["revoke", "--namespace", "pro"]);
    assert!(why.contains("no secret is in the namespace `pro`"), "{why}");

    std::fs::write(
        hand.work.join(".secrets.json"),
        r#"{"secrets": [{"name": "prod/github", "env_var": "GITHUB_TOKEN"}]}"#,
    )
    .unwrap();
    let (_, written) = hand.envelope(&["env", "--raw"], b"");
    let written = written["result"]["env_file"].as_str().unwrap().to_owned();
    assert!(std::fs::read_to_string(written).unwrap().contains("GITHUB_TOKEN="));
    assert_eq!(hand.envelope(&["rotate", "prod/github"], b"").0, 0);
    assert_eq!(hand.run(&["lease", "prod/github"], b"").stdout, b"new");
    let (_, audit) = hand.envelope(&["audit", "--secret", "prod/github", "--client", "ops/deploy"], b"");
    let entries = audit["result"]["entries"].as_array().unwrap();
    assert!(!entries.is_empty() && entries.iter().all(|one| one["secret_name"] == "prod/github"), "{audit}");
    assert_eq!(hand.envelope(&["delete", "prod/github"], b"").0, 0);
    assert_eq!(names(&["list", "--namespace", "prod"]), ["prod/eu/db"]);
}

#[test]
fn a_grant_for_a_group_of_agents_is_for_ids_below_it() {
    let (_origin, hand) = world();
    let file = grant_file(&hand);
    let grant = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, grant.replacen("[[grant]]\n", "[[grant]]\nagents = [\"ops/*\"]\n", 1)).unwrap();
    assert_eq!(hand.envelope(&["policy", "reload"], b"").0, 0);
    for (client, expected) in [("ops/deploy", true), ("ops", false), ("ops/eu/deploy", false), ("dev/ops/x", false)] {
        let ran = hand.run(&["lease", "acme_key", "--token", "--client-id", client], b"");
        assert_eq!(ran.status.success(), expected, "{client}: {ran:?}");
    }
}
