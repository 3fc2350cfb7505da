//! Every fix is one command that can be typed as it is: each is run in a shell, where it may fail but is no misuse.

use std::{
    os::unix::fs::symlink,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

use crate::{
    hand::Hand,
    support::{until_blocking, write_script},
};

/// A home that has to be named, and a shell that finds the program and, for what else fixes name, something harmless.
struct Desk {
    hand: Hand,
    programs: PathBuf,
}

impl Desk {
    fn new() -> Self {
        let hand = Hand::with_home();
        let programs = hand.work.join("bin");
        std::fs::create_dir(&programs).unwrap();
        symlink(env!("CARGO_BIN_EXE_secrets"), programs.join("secrets")).unwrap();
        let desk = Self { hand, programs };
        for name in ["brew", "cargo", "doppler", "npm", "sudo", "vi"] {
            desk.program(name, "exit 0");
        }
        desk
    }

    fn program(&self, name: &str, does: &str) {
        let path = self.programs.join(name);
        write_script(&path, &format!("#!/bin/sh\n{does}\n"));
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.hand.work.join(name), text).unwrap();
    }

    fn around(&self, mut command: Command) -> Command {
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", self.programs.display())).env("HOME", &self.hand.work);
        command.env_remove("EDITOR").env_remove("AGENT_SECRETS_HOME").current_dir(&self.hand.work);
        command
    }

    fn types(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_secrets"));
        command.args(["--timeout", "60"]).arg("--home").arg(&self.hand.home).args(arguments);
        Hand::feed(&mut self.around(command), input.as_bytes())
    }

    fn does(&self, arguments: &[&str], input: &str) {
        let output = self.types(arguments, input);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }

    /// What the failing command says, its fix, and how the shell likes that.
    fn fix(&self, arguments: &[&str], input: &str) -> String {
        let output = self.types(arguments, input);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!output.status.success(), "{arguments:?}: {out}");
        let envelope: Option<Value> = serde_json::from_str(&out).ok();
        let told = envelope.as_ref().and_then(|envelope| envelope["fix"].as_str());
        let told = told.or_else(|| err.split_once("\n  fix: ").map(|(_, fix)| fix.trim_end()));
        let fix = told.unwrap_or_else(|| panic!("{arguments:?} has no fix: {out}{err}")).to_owned();
        let mut shell = Command::new("sh");
        shell.args(["-c", &fix]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let code = self.around(shell).status().unwrap().code();
        assert!(code != Some(2) && code.is_some(), "{arguments:?}: `{fix}` ends with {code:?}");
        let home = format!("secrets --home {} ", self.hand.home.display());
        for part in fix.split("&& ").filter(|part| part.starts_with("secrets")) {
            assert!(part.starts_with(&home), "the fix keeps the home: {fix}");
        }
        for word in ["NAME", "FILE", "SERVICE", "COMMAND", "VARIABLE", "HOST", " ID", "FOLDER", "<", "…"] {
            assert!(!fix.contains(word), "{arguments:?}: a blank is left to fill in: {fix}");
        }
        fix.replace(&home, "secrets ")
    }
}

#[test]
fn every_fix_about_secrets_and_leases_can_be_run() {
    let desk = Desk::new();
    desk.does(&["add", "plain"], "v");
    desk.does(&["add", "denied", "--raw", "deny", "--service", "openai"], "sk-1");
    desk.does(&["add", "it's", "--host", "api.acme.test"], "v");
    for (arguments, input, fix) in [
        (&["lits"][..], "", "secrets --help"),
        (&["add", "plain"], "v", "secrets update plain"),
        (&["add", "new"], "", "secrets add new"),
        (
            &["add", "new", "--host", "api.test", "--header", "x-key"],
            "",
            "secrets add new --host api.test --header x-key",
        ),
        (&["add", "new", "--host", "api.test"], "two\nlines", "secrets add new --host api.test"),
        (&["add", "new", "--host", "https://api.test/v1?x"], "v", "secrets add new --host https://api.test"),
        (&["add", "new", "--host", "no host"], "v", "secrets add --help"),
        (&["add", "new", "--service", "openai"], "two\nlines", "secrets add new --service openai"),
        (&["add", "new", "--service", "nothing"], "v", "secrets policy list"),
        (&["add", "new", "--rotate-every", "1d"], "v", "secrets add new"),
        (&["add", " "], "v", "secrets add --help"),
        (&["update", "none"], "v", "secrets list"),
        (&["update", "plain"], "", "secrets update plain"),
        (&["update", "plain", "--service", "nothing"], "v", "secrets policy list"),
        (&["lease", "none"], "", "secrets list"),
        (&["lease", "plain", "--token"], "", "secrets policy list"),
        (&["lease", "plain", "--ttl", "48h"], "", "secrets lease plain --ttl 1d"),
        (&["lease", "it's", "--token", "--ttl", "48h"], "", r"secrets lease 'it'\''s' --token --ttl 1d"),
        (&["lease", "plain", "--ttl", "soon"], "", "secrets lease plain"),
        (&["lease", "plain", "--client-id", " "], "", "secrets lease plain"),
        (&["lease", "denied"], "", "secrets lease denied --token"),
        (&["rotate", "plain"], "", "secrets update plain"),
        (&["rotate", "none"], "", "secrets list"),
        (&["delete", "none"], "", "secrets list"),
        (&["delete", "it's", "--force=false"], "", r"secrets delete 'it'\''s'"),
        (&["revoke", "none"], "", "secrets status"),
        (&["revoke", "--secret", "none"], "", "secrets list"),
    ] {
        assert_eq!(desk.fix(arguments, input), fix, "{arguments:?}");
    }
    let several = desk.fix(&["add", "new", "--service", "datadog"], "v");
    assert!(several.starts_with("secrets add new --service datadog --credential "), "{several}");
}

#[test]
fn every_fix_about_programs_and_projects_can_be_run() {
    let desk = Desk::new();
    let env_fix = desk.fix(&["env"], "");
    assert_eq!(env_fix, "secrets add api_key", "without a secret there is nothing to name");
    desk.does(&["add", "plain"], "v");
    assert!(desk.fix(&["env"], "").contains(r#"{"env_var":"PLAIN","name":"plain"}"#));
    assert!(desk.hand.work.join(".secrets.json").exists(), "the fix made it");
    desk.does(&["add", "acme", "--host", "api.acme.test"], "v");
    for (arguments, fix) in [
        (&["env"][..], "secrets env --raw"),
        (&["env", "--force"], "secrets env --force --raw"),
        (&["env", "--ttl", "48h"], "secrets env --raw --ttl 1d"),
        (&["env", "--raw", "--ttl", "48h"], "secrets env --raw --ttl 1d"),
        (&["exec", "--", "echo", "it's"], r"secrets exec --raw -- echo 'it'\''s'"),
        (&["exec", "--secret", "plain=A", "--", "true"], "secrets exec --secret plain=A --raw -- true"),
        (&["exec", "--secret", "acme", "--ttl", "48h", "--", "true"], "secrets exec --secret acme --ttl 1d -- true"),
        (&["exec", "--secret", "acme=PATH", "--", "true"], "secrets exec --secret acme=ACME -- true"),
        (&["exec", "--secret", "acme=1X", "--", "true"], "secrets exec --secret acme -- true"),
        (&["exec", "--secret", "=X", "--", "true"], "secrets list"),
        (&["exec", "--secret", "none", "--", "true"], "secrets list"),
        (
            &["exec", "--secret", "acme=A", "--secret", "plain=A", "--raw", "--", "true"],
            "secrets exec --secret acme=A --raw -- true",
        ),
        (&["exec"], "secrets exec --help"),
        (&["exec", "--secret", "acme", "--", "no-such-program"], "command -v no-such-program"),
    ] {
        assert_eq!(desk.fix(arguments, ""), fix, "{arguments:?}");
        let _ = std::fs::remove_file(desk.hand.work.join(".env"));
    }
    desk.does(&["env", "--raw"], "");
    assert_eq!(desk.fix(&["env", "--raw"], ""), "secrets env --force --raw");
    let edit = format!("${{EDITOR:-vi}} {}/.secrets.json", desk.hand.work.display());
    desk.write(".secrets.json", "{");
    assert_eq!(desk.fix(&["env"], ""), edit);
    desk.write(".secrets.json", r#"{"secrets":[{"name":"acme","env_var":"PATH"}]}"#);
    assert_eq!(desk.fix(&["env", "--force"], ""), edit);
    assert_eq!(desk.fix(&["exec", "--", "true"], ""), edit);
    desk.program("vercel", "for last; do :; done; [ \"$1\" = env ] && echo PATH=/evil > \"$3\"; exit 0");
    desk.write(".secrets.json", r#"{"source":"vercel","scope":"development","ttl":"1h"}"#);
    assert_eq!(desk.fix(&["exec", "--", "true"], ""), edit);
    desk.write(".secrets.json", r#"{"source":"vercel","scope":"development","ttl":"1h","required_vars":["LACKING"]}"#);
    assert_eq!(desk.fix(&["exec", "--", "true"], ""), "vercel env add LACKING");
    std::fs::remove_file(desk.hand.work.join(".secrets.json")).unwrap();
    desk.does(&["delete", "acme"], "");
    assert_eq!(desk.fix(&["exec", "--", "true"], ""), "secrets exec --secret plain --raw -- true");
}

#[test]
fn every_fix_about_the_set_up_can_be_run() {
    let desk = Desk::new();
    desk.does(&["add", "plain"], "v");
    let at = |path: &str| format!("ls -la {path}");
    let work = desk.hand.work.display().to_string();
    for (arguments, fix) in [
        (&["policy"][..], "secrets policy --help".to_owned()),
        (&["daemon"], "secrets daemon --help".to_owned()),
        (&["serve"], "secrets stop".to_owned()),
        (&["heartbeat", "test"], "secrets config".to_owned()),
        (&["scan", "--path", "nowhere/at/all"], at(&work)),
        (&["cleanup", "/nowhere"], at("/")),
        (&["policy", "check", "nowhere"], at(&work)),
        (&["policy", "explain", "GET", "no-url"], "secrets policy explain --help".to_owned()),
        (&["--config", "/nowhere/x", "status"], at("/")),
        (&["audit", "--action", "nothing"], "secrets audit --action request_ended".to_owned()),
        (&["kill", "--wipe"], "secrets kill --wipe --force".to_owned()),
        (&["list"], "secrets init".to_owned()), // it was wiped
        (
            &["self-update"],
            "cargo install --locked --git https://github.com/leasehold/leasehold && secrets daemon restart".to_owned(),
        ),
    ] {
        assert_eq!(desk.fix(arguments, ""), fix, "{arguments:?}");
    }
    desk.does(&["stop"], "");
    assert_eq!(desk.fix(&["--no-autostart", "list"], ""), "secrets serve &");
    until_blocking("the daemon answers", || desk.types(&["--no-autostart", "status"], "").status.success());
    desk.hand.stop();
    let long = desk.hand.work.join("x".repeat(120));
    let kept = format!("secrets --socket {} config", long.display());
    assert_eq!(desk.fix(&["--socket", long.to_str().unwrap(), "status"], ""), kept);
    desk.write("socket", "no socket");
    let file = desk.hand.work.join("socket");
    let moved = format!("mv {0} {0}.old", file.display());
    assert_eq!(desk.fix(&["--socket", file.to_str().unwrap(), "status"], ""), moved);
}
