//! What `exec` gives a program and what it does not, and that nothing of it outlives the command.

use std::path::PathBuf;

use crate::{
    hand::{Hand, SECRET},
    support::{Origin, Program, Speaks, TestCa, count, find_program, until_blocking},
};

const HOST: &str = "api.acme.test";

fn world() -> (Origin, Hand) {
    let ca = TestCa::new();
    let origin = Origin::builder(ca.leaf_for(&[HOST])).speaks(Speaks::Both).start();
    let hand = Hand::in_front_of(&ca, &origin, &[HOST]);
    hand.acme(HOST);
    (origin, hand)
}

fn shell() -> PathBuf {
    find_program("sh").unwrap()
}

#[test]
fn a_session_ends_when_exec_is_killed() {
    let (_origin, hand) = world();
    let mut command = hand.command(&["exec", "--secret", "acme_key=ACME_KEY", "--"]);
    let marker = hand.work.join("up");
    let mut exec = Program::start(command.arg(shell()).args(["-c", "touch up; sleep 300"]));
    until_blocking("the program runs", || marker.exists() && !hand.records_of("session_open").is_empty());
    exec.kill();
    until_blocking("the daemon notices", || hand.records_of("session_end").len() == 1);
    let (_, status) = hand.envelope(&["status"], b"");
    assert_eq!(status["result"]["active_leases"], 0, "{status}");
}

#[test]
fn attack_97_a_raw_value_is_not_to_be_had_under_exec() {
    let (_origin, hand) = world();
    let program = env!("CARGO_BIN_EXE_secrets");
    let script = format!("'{program}' --timeout 60 --home '{}' lease acme_key; echo \"code $?\"", hand.home.display());
    let mut command = hand.command(&["exec", "--secret", "acme_key=ACME_KEY", "--"]);
    let finished = Program::start(command.arg(shell()).args(["-c", &script])).finish().expect_success();
    assert!(finished.stdout.starts_with("code ") && !finished.stdout.contains("code 0"), "{finished:?}");
    for said in [&finished.stdout, &finished.stderr] {
        assert_eq!(count(said.as_bytes(), SECRET.as_bytes()), 0, "{said}");
    }
    assert!(finished.stderr.contains("fix: "), "{finished:?}");
}

#[test]
fn the_project_file_names_what_the_program_needs() {
    let (_origin, hand) = world();
    std::fs::write(hand.work.join(".secrets.json"), r#"{"secrets": [{"name": "acme_key", "env_var": "MY_KEY"}]}"#)
        .unwrap();
    let mut command = hand.command(&["exec", "--"]);
    let finished = Program::start(command.arg(shell()).args(["-c", "echo $MY_KEY; exit 7"])).finish();
    assert_eq!(finished.status.code(), Some(7), "{finished:?}");
    assert!(finished.stdout.starts_with("lse_"), "{finished:?}");
}

#[test]
fn attack_95_variables_that_programs_obey_hold_no_token() {
    let (_origin, hand) = world();
    for name in ["PATH", "LD_PRELOAD", "NODE_OPTIONS", "HTTPS_PROXY", "SSL_CERT_FILE", "GIT_CONFIG_COUNT"] {
        let wish = format!("acme_key={name}");
        let ran = hand.run(&["exec", "--secret", &wish, "--", "/bin/sh", "-c", "touch ran"], b"");
        assert_eq!(ran.status.code(), Some(2), "{name}: {ran:?}");
        assert!(String::from_utf8_lossy(&ran.stderr).contains("fix: secrets exec --secret acme_key="), "{ran:?}");
    }
    assert!(!hand.work.join("ran").exists(), "nothing was run");
    until_blocking("every session ended", || {
        hand.records_of("session_end").len() == hand.records_of("session_open").len()
    });
}

#[test]
fn attack_87_a_project_narrows_its_session_and_later_edits_do_not_widen_it() {
    let Some(_) = find_program("curl") else { return };
    let (origin, hand) = world();
    let project = hand.work.join(".secrets.toml");
    let (_, listed) = hand.envelope(&["policy", "list"], b"");
    let service = listed["result"]["grants"].as_array().unwrap().iter().find(|g| g["secret"] == "acme_key").unwrap();
    let service = service["service"].as_str().unwrap();
    let narrow = format!("schema = 1\nkind = \"project\"\n[[narrow]]\nservice = \"{service}\"\ndeny = [\"write\"]\n");
    std::fs::write(&project, narrow).unwrap();
    let ask = |method: &str| {
        format!(
            "curl --silent -o /dev/null -w '%{{http_code}} ' -X {method} -H \"Authorization: Bearer $K\" https://{HOST}/echo"
        )
    };
    let script = format!("{}; {}; rm .secrets.toml; {}", ask("GET"), ask("POST"), ask("POST"));
    let mut command = hand.command(&["exec", "--secret", "acme_key=K", "--"]);
    let finished = Program::start(command.arg(shell()).args(["-c", &script])).finish().expect_success();
    assert_eq!(finished.stdout, "200 403 403 ", "{finished:?}");
    assert_eq!(origin.requests().len(), 1, "what was denied did not leave");
    let denied = hand.records_of("request_refused");
    assert_eq!(denied.len(), 2, "{:?}", hand.records());
    assert!(denied.iter().all(|record| record.code.as_deref() == Some("cap_denied")), "{denied:?}");

    std::fs::write(&project, "schema = 1\nkind = \"project\"\n[[narrow]]\nservise = \"x\"\n").unwrap();
    let ran = hand.run(&["exec", "--secret", "acme_key=K", "--", "/bin/sh", "-c", "touch ran"], b"");
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.code() == Some(64) && said.contains(".secrets.toml") && said.contains("fix: "), "{ran:?}");
    assert!(!hand.work.join("ran").exists(), "a project that cannot be read runs nothing");
}

#[test]
fn age_reads_the_store() {
    let Some(age) = find_program("age") else { return };
    let hand = Hand::with_home();
    let value = b"line one\nline two\r\n\xff\x00 bytes\n";
    assert_eq!(hand.envelope(&["add", "plain", "--rotate-via", "true"], b"a b c").0, 0);
    assert_eq!(hand.envelope(&["add", "bytes", "--exact"], value).0, 0);
    let files = ["identity.age", "secrets.age"].map(|name| hand.home.join(name));
    let mut command = std::process::Command::new(age);
    let finished = Program::start(command.arg("-d").arg("-i").args(files)).finish().expect_success();
    let shape: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
    assert!(shape["version"].is_number(), "{shape}");
    let plain = &shape["secrets"]["plain"];
    assert_eq!(
        (&plain["name"], &plain["value"], &plain["rotate_via"]),
        (&"plain".into(), &"a b c".into(), &"true".into())
    );
    for field in ["created_at", "updated_at", "last_rotated"] {
        assert!(plain.get(field).is_some(), "{field} of {plain}");
    }
    assert_eq!(hand.run(&["lease", "bytes"], b"").stdout, value, "every byte comes back");

    // And back: what `age` seals to the same identity is a store.
    let (Some(age), Some(keygen)) = (find_program("age"), find_program("age-keygen")) else { return };
    assert_eq!(hand.envelope(&["stop"], b"").0, 0);
    let mut shape = shape;
    let mut theirs = shape["secrets"]["plain"].clone();
    (theirs["name"], theirs["value"]) = ("theirs".into(), "by age".into());
    shape["secrets"]["theirs"] = theirs;
    let mut recipient = std::process::Command::new(keygen);
    let recipient = Program::start(recipient.arg("-y").arg(hand.home.join("identity.age"))).finish().expect_success();
    let mut seal = std::process::Command::new(age);
    seal.args(["-r", recipient.stdout.trim(), "-o"]).arg(hand.home.join("secrets.age"));
    assert!(Hand::feed(&mut seal, shape.to_string().as_bytes()).status.success());
    assert_eq!(hand.run(&["lease", "theirs"], b"").stdout, b"by age");
    assert_eq!(hand.run(&["lease", "bytes"], b"").stdout, value, "and what was there is still there");
}
