//! Single commands as programs: what they print where, and that every fix is a command.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{
    hand::{Hand, SECRET},
    support::{Program, find_program, until_blocking},
};

/// With a user folder of its own, so that nobody's settings are looked at.
fn doctor(hand: &Hand) -> (i32, Value) {
    let output = Hand::feed(hand.command(&["doctor"]).env("HOME", &hand.work), b"");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let envelope = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{output:?}"));
    (output.status.code().unwrap(), envelope)
}

fn checks(envelope: &Value) -> Vec<Value> {
    envelope["result"]["checks"].as_array().unwrap_or_else(|| panic!("{envelope}")).clone()
}

/// What a shell takes for a command: its first word is one.
fn assert_is_command(fix: &str) {
    let first = fix.split(' ').next().unwrap_or_default();
    let known = ["secrets", "chmod", "sudo", "ls", "date", "df", "command", "${EDITOR:-vi}"];
    assert!(known.contains(&first), "this is no command: {fix}");
    let mut shell = Command::new("sh");
    assert!(Hand::feed(shell.args(["-n", "-c", fix]), b"").status.success(), "no shell reads this: {fix}");
}

#[test]
fn a_healthy_home_is_found_healthy() {
    let hand = Hand::with_home();
    hand.acme("api.acme.test");
    let (code, found) = doctor(&hand);
    assert_eq!((code, &found["result"]["healthy"]), (0, &true.into()), "{found}");
    for name in ["home", "identity", "store", "clock", "socket", "daemon", "values", "audit", "policies", "certificate"]
    {
        let check = checks(&found).into_iter().find(|check| check["name"] == name);
        assert_eq!(check.map(|check| check["verdict"].clone()), Some("ok".into()), "{name}: {found}");
    }
    assert!(found.to_string().contains("1 secret can be read") && found.to_string().contains("1 grant\""), "{found}");
}

#[test]
fn every_fault_that_the_doctor_finds_has_a_command() {
    let hand = Hand::with_home();
    hand.acme("api.acme.test");
    let second = "schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"api-acme-test\"\nitem = { key = \"acme_key\" }\n\
                  allow = [\"read\"]\n";
    std::fs::write(hand.home.join("policies/overlap.toml"), second).unwrap();
    assert_ne!(hand.envelope(&["policy", "reload"], b"").0, 0);
    std::fs::write(hand.work.join(".npmrc"), "https-proxy=http://p\n").unwrap();
    let (code, found) = doctor(&hand);
    assert_ne!(code, 0, "{found}");
    assert_eq!(found["fix"], "secrets policy check", "{found}");
    let bad: Vec<Value> = checks(&found).into_iter().filter(|check| check["verdict"] != "ok").collect();
    let names: Vec<&str> = bad.iter().map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["policies", "settings"], "{found}");
    for check in bad {
        assert_is_command(check["fix"].as_str().unwrap());
    }
    let human = Hand::feed(hand.command(&["--output", "human", "doctor"]).env("HOME", &hand.work), b"");
    assert!(String::from_utf8_lossy(&human.stdout).contains("policies"), "{human:?}");
    assert!(String::from_utf8_lossy(&human.stderr).contains("\n  fix: secrets policy check"), "{human:?}");
}

#[test]
fn the_record_is_followed_as_it_grows() {
    let hand = Hand::with_home();
    hand.acme("api.acme.test");
    for (form, wanted) in [("json", "\"action\":\"secret_reveal\""), ("human", "secret_reveal")] {
        let mut command = hand.command(&["--output", form, "audit", "--follow", "--tail", "1"]);
        let mut follower = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines().map(Result::unwrap);
        let last = lines.next().unwrap(); // it follows from before this line on
        assert!(!last.is_empty(), "{form}");
        assert_eq!(hand.run(&["lease", "acme_key"], b"").stdout, SECRET.as_bytes());
        let seen = lines.find(|line| line.contains(wanted)).unwrap();
        assert!(seen.contains("acme_key") && !seen.contains(SECRET), "{seen}");
        assert!(form != "json" || serde_json::from_str::<Value>(&seen).is_ok(), "one object a line: {seen}");
        follower.kill().unwrap();
        follower.wait().unwrap();
    }
}

#[test]
fn completions_need_no_home_and_are_scripts() {
    let hand = Hand::new();
    for (shell, program) in [("bash", Some("bash")), ("zsh", None), ("fish", None), ("elvish", None)] {
        let output = hand.run(&["completions", shell], b"");
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{shell}");
        for word in ["exec", "revoke", "--output"] {
            assert!(script.contains(word.trim_start_matches('-')), "{shell} does not know {word}");
        }
        if let Some(program) = program.and_then(find_program) {
            let mut read = Command::new(program);
            assert!(Hand::feed(read.args(["-n"]), script.as_bytes()).status.success(), "{shell} cannot read it");
        }
    }
    assert!(!hand.home.exists(), "nothing was made");
    assert_eq!(hand.run(&["completions", "cmd.exe"], b"").status.code(), Some(2));
}

#[test]
fn a_mistyped_command_line_has_its_tip_as_a_sentence() {
    let hand = Hand::new();
    let (code, refused) = hand.envelope(&["--output", "json", "lits"], b"");
    let message = refused["error"]["message"].as_str().unwrap();
    assert_eq!(
        (code, message),
        (2, "unrecognized subcommand 'lits'; some similar subcommands exist: 'limits', 'list'")
    );
    assert_is_command(refused["fix"].as_str().unwrap());
    let (_, refused) = hand.envelope(&["--output", "json", "add"], b"");
    assert_eq!(refused["error"]["message"], "the following required arguments were not provided: <NAME>", "{refused}");
}

#[test]
fn a_program_that_cannot_run_has_its_code_and_a_fix() {
    let hand = Hand::with_home();
    hand.acme("api.acme.test");
    let file = hand.work.join("no program");
    std::fs::write(&file, "x").unwrap();
    for (program, code, says, fix) in [
        ("no-such-program", 127, "`no-such-program` is not found", "command -v no-such-program".to_owned()),
        (file.to_str().unwrap(), 126, "cannot be run", format!("chmod +x '{}'", file.display())),
        (hand.work.to_str().unwrap(), 126, "cannot be run", format!("ls -ld {}", hand.work.display())),
    ] {
        let mut command = hand.command(&["exec", "--secret", "acme_key=K", "--", program]);
        // A folder on the path that may not be looked into leaves open what it holds.
        let ran = Program::start(command.env("PATH", "/usr/bin:/bin")).finish();
        assert_eq!((ran.status.code(), ran.stdout.as_str()), (Some(code), ""), "{ran:?}");
        assert!(ran.stderr.contains(says) && ran.stderr.ends_with(&format!("\n  fix: {fix}\n")), "{ran:?}");
        assert_is_command(&fix);
    }
}

#[test]
fn one_is_said_in_the_singular() {
    let hand = Hand::with_home();
    hand.acme("api.acme.test");
    let lease = || assert_eq!(hand.envelope(&["lease", "acme_key", "--token", "--json"], b"").0, 0);
    lease();
    let (_, revoked) = hand.envelope(&["revoke", "--all"], b"");
    assert_eq!(revoked["result"]["message"], "1 lease revoked", "{revoked}");
    lease();
    let health = hand.run(&["--output", "human", "health"], b"");
    let said = String::from_utf8_lossy(&health.stdout).into_owned();
    assert!(
        said.starts_with("1 secret, 1 live lease, 0 of them ending soon; 1 secret never rotated, 0 stale"),
        "{said}"
    );
    assert_eq!(hand.envelope(&["add", "fails", "--rotate-via", "exit 3"], b"v").0, 0);
    assert_eq!(hand.envelope(&["rotate", "fails"], b"").0, 1);
    let (_, run) = hand.envelope(&["rotate", "--all"], b"");
    assert_eq!(run["error"]["message"], "1 of 1 rotation failed", "{run}");
    let (_, health) = hand.envelope(&["health"], b"");
    assert!(health.to_string().contains("rotation failed "), "{health}");
    assert!(!health.to_string().contains("1 times"), "{health}");
    let (_, deleted) = hand.envelope(&["delete", "acme_key", "--force"], b"");
    assert_eq!(deleted["result"]["message"], "secret `acme_key` is deleted; 1 lease ended", "{deleted}");
}

#[test]
fn what_cannot_be_written_is_no_success() {
    let hand = Hand::with_home();
    assert_eq!(hand.envelope(&["add", "key"], b"value").0, 0);
    for command in [&["lease", "key"][..], &["lease", "key", "--json"], &["list"], &["completions", "bash"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = hand.command(command);
        let output = command.stdout(full).stderr(std::process::Stdio::piped()).spawn().unwrap().wait_with_output();
        let output = output.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(66), "{command:?}: {said}");
        assert!(said.contains("cannot write the output"), "{said}");
    }
}

#[test]
fn a_name_in_a_fix_is_one_word_of_the_shell() {
    let hand = Hand::with_home();
    let name = "x; touch PWNED #";
    assert_eq!(hand.envelope(&["add", name, "--raw", "deny"], b"value").0, 0);
    for command in [&["lease", name, "--ttl", "48h", "--json"][..], &["lease", name, "--json"], &["rotate", name]] {
        let (code, refused) = hand.envelope(command, b"");
        assert_ne!(code, 0, "{refused}");
        let fix = refused["fix"].as_str().unwrap();
        assert!(fix.contains("'x; touch PWNED #'"), "{fix}");
        let mut sh = std::process::Command::new("sh");
        Hand::feed(sh.args(["-c", &fix.replace("secrets ", "true ")]).current_dir(&hand.work), b"");
    }
    let (_, health) = hand.envelope(&["health"], b"");
    assert!(health.to_string().contains("secrets update 'x; touch PWNED #'"), "{health}");
    assert!(!hand.work.join("PWNED").exists());
}

#[test]
fn slips_are_told_and_change_nothing() {
    let hand = Hand::with_home();
    let (code, refused) = hand.envelope(&["add", "key", "--rotate-every", "5m"], b"value");
    assert!(code == 2 && refused["error"]["message"].as_str().unwrap().contains("--rotate-via"), "{refused}");
    assert_eq!(hand.envelope(&["add", "key"], b"value").0, 0);
    let (code, refused) = hand.envelope(&["revoke", "--secret", "kee"], b"");
    assert!(code == 1 && refused["fix"] == "secrets list", "{refused}");
}

/// A pipe that stays open must not keep anybody from hearing that the name is wrong.
#[test]
fn a_wrong_name_is_told_before_a_value_is_waited_for() {
    let hand = Hand::with_home();
    assert_eq!(hand.envelope(&["add", "taken"], b"v").0, 0);
    for (command, says) in [(["add", "taken"], "exists already"), (["update", "unknown"], "not in the store")] {
        let mut command = hand.command(&command);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let open = child.stdin.take();
        let ended = std::cell::RefCell::new(&mut child);
        until_blocking(says, || ended.borrow_mut().try_wait().unwrap().is_some());
        drop(open);
        let said = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
        assert!(said.contains(says), "{said}");
    }
}

#[test]
fn help_has_the_commands_own_options_first() {
    let hand = Hand::new();
    for (command, own) in [("add", "--value-file"), ("lease", "--ttl"), ("exec", "--secret"), ("audit", "--follow")] {
        let help = String::from_utf8(hand.run(&[command, "--help"], b"").stdout).unwrap();
        let at = |text: &str| help.find(text).unwrap_or_else(|| panic!("{text} is not in: {help}"));
        assert!(at("\nOptions:") < at(own) && at(own) < at("\nGlobal options:"), "{help}");
        assert!(at("\nGlobal options:") < at("--home") && at("--home") < at("--socket"), "{help}");
        assert_eq!(help.matches("--home").count(), 1, "{help}");
    }
}

#[test]
fn a_heartbeat_that_is_not_enabled_is_not_to_be_tested() {
    let hand = Hand::with_home();
    let (code, status) = hand.envelope(&["heartbeat", "status"], b"");
    assert_eq!((code, &status["next_actions"][0]["command"]), (0, &"secrets config".into()), "{status}");
}

#[test]
fn a_path_that_is_not_there_is_not_found_faultless() {
    let hand = Hand::with_home();
    let (code, checked) = hand.envelope(&["policy", "check", "nowhere"], b"");
    assert!(code == 66 && checked["error"]["message"].as_str().unwrap().contains("nowhere"), "{checked}");
}
