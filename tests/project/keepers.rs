//! Outside keepers, played by scripts on the PATH: their values reach the program and nothing else.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Output};

use rustix::process::Signal;

use super::*;
use crate::support::{Program, until_blocking, write_script};

const VALUE: &str = "kept-REAL-0123456789";

struct Kept {
    hand: Hand,
    bin: PathBuf,
    temp: PathBuf,
}

impl Kept {
    fn new(file: &str) -> Self {
        let hand = Hand::with_home();
        let (bin, temp) = (hand.work.join("bin"), hand.work.join("tmp"));
        fs::create_dir(&bin).unwrap();
        fs::create_dir(&temp).unwrap();
        put(&hand, ".secrets.json", file);
        Self { hand, bin, temp }
    }

    fn program(&self, name: &str, body: &str) {
        write_script(&self.bin.join(name), &format!("#!/bin/sh\n{body}\n"));
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.hand.command(arguments);
        let path = format!("{}:/usr/bin:/bin", self.bin.display());
        command.env("PATH", path).env("TMPDIR", &self.temp);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Hand::feed(&mut self.command(arguments), b"")
    }

    fn nothing_is_left(&self) {
        assert_eq!(fs::read_dir(&self.temp).unwrap().count(), 0, "temporary files");
        let log = String::from_utf8_lossy(&self.hand.read("audit.log")).into_owned();
        assert!(!log.contains(VALUE), "{log}");
    }
}

const VERCEL: &str = r#"{"source":"vercel","scope":"preview","ttl":"1h","required_vars":["KEPT"]}"#;
const DOPPLER: &str = r#"{"source":"doppler","project":"web","ttl":"1h"}"#;

#[test]
fn a_program_gets_the_values_and_the_record_their_names() {
    for (file, name, body) in [
        (
            VERCEL,
            "vercel",
            format!(
                "test \"$*\" = \"env pull $3 --yes --environment preview\" && printf 'KEPT=\"{VALUE}\"\\nOTHER=\"x\"\\n' > \"$3\""
            ),
        ),
        (
            DOPPLER,
            "doppler",
            format!(
                "test \"$*\" = 'secrets download --no-file --format json --project web --config development' && echo '{{\"KEPT\":\"{VALUE}\",\"OTHER\":\"x\"}}'"
            ),
        ),
    ] {
        let kept = Kept::new(file);
        kept.program(name, &body);
        let output = kept.run(&["exec", "--", "sh", "-c", "printf %s \"$KEPT\"; pwd >&2; exit 6"]);
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(6), VALUE.as_bytes()), "{output:?}");
        let records = kept.hand.records_of("provider_pull");
        assert_eq!(records.len(), 1);
        let details = records[0].details.clone().unwrap();
        assert!(details.starts_with(name) && details.ends_with("2 raw values: KEPT OTHER"), "{details}");
        kept.nothing_is_left();

        let dry = kept.run(&["env", "--dry-run"]);
        assert!(dry.status.success() && kept.hand.records_of("provider_pull").len() == 1, "nothing is fetched for it");
        let written = kept.run(&["env"]);
        assert!(written.status.success(), "{written:?}");
        assert!(!String::from_utf8_lossy(&written.stdout).contains(VALUE));
        let path = kept.hand.work.join(".env.local");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(sourced(&path)["KEPT"], VALUE.as_bytes());
        assert!(fs::read_to_string(&path).unwrap().contains(&format!("# secrets-source: {name}\n")));
        assert!(kept.hand.records_of("env_write")[0].details.as_ref().unwrap().ends_with("raw values"));
        kept.nothing_is_left();
    }
}

#[test]
fn a_program_with_a_keeper_s_values_runs_in_a_session_as_any_other() {
    let kept = Kept::new(VERCEL);
    kept.hand.acme("api.acme.test");
    kept.program("vercel", &format!("echo 'KEPT=\"{VALUE}\"' > \"$3\""));
    let (program, home) = (env!("CARGO_BIN_EXE_secrets"), kept.hand.home.display());
    let script = format!(
        "printf '%s\n' \"$KEPT\" \"$HTTPS_PROXY\" \"$LEASEHOLD_SESSION\" \"$NODE_EXTRA_CA_CERTS\"
         '{program}' --timeout 60 --home '{home}' lease acme_key; echo \"code $?\"
         '{program}' --timeout 60 --home '{home}' lease acme_key --token"
    );
    let output = kept.run(&["exec", "--client-id", "web", "--", "sh", "-c", &script]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<&str> = said.lines().collect();
    let [value, proxy, mark, roots, code, token] = lines[..] else { panic!("{output:?}") };
    assert!(value == VALUE && proxy.contains("127.0.0.1:") && PathBuf::from(roots).is_absolute(), "{said}");
    assert_ne!(code, "code 0", "what runs in a session gets no raw value");
    assert!(token.starts_with("lse_") && !said.contains(SECRET), "{said}");
    let opened = kept.hand.records_of("session_open");
    assert_eq!((opened.len(), opened[0].client_id.as_deref()), (1, Some("web")));
    assert!(mark.starts_with(opened[0].session_id.as_deref().unwrap()), "{mark}");
    until_blocking("the session has ended", || kept.hand.records_of("session_end").len() == 1);
    assert_eq!(live_leases(&kept.hand), 0);
    kept.nothing_is_left();

    kept.program("vercel", "printf 'KEPT=\"x\"\nHTTPS_PROXY=\"http://elsewhere:1\"\n' > \"$3\"");
    let refused = kept.run(&["exec", "--", "touch", "ran"]);
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && text.contains("`HTTPS_PROXY`"), "{text}");
    assert!(!kept.hand.work.join("ran").exists());
}

#[test]
fn leases_of_a_file_that_an_outside_keeper_replaces_end() {
    let kept = Kept::new(r#"{"secrets":[{"name":"acme_key","env_var":"ACME"}],"env_file":".env.local"}"#);
    kept.hand.acme("api.acme.test");
    assert!(kept.run(&["env"]).status.success());
    assert_eq!(live_leases(&kept.hand), 1);
    put(&kept.hand, ".secrets.json", VERCEL);
    kept.program("vercel", "echo 'KEPT=\"x\"' > \"$3\"");
    assert!(kept.run(&["env", "--force"]).status.success());
    assert_eq!((live_leases(&kept.hand), kept.hand.records_of("lease_revoke").len()), (0.into(), 1));
}

#[test]
fn a_keeper_that_is_missing_or_fails_runs_nothing_and_says_how_to_mend_it() {
    for (file, name, install) in [(VERCEL, "vercel", "npm install"), (DOPPLER, "doppler", "brew install")] {
        let kept = Kept::new(file);
        let mark = kept.hand.work.join("mark");
        let line = ["exec", "--", "touch", mark.to_str().unwrap()];
        let missing = kept.run(&line);
        let text = String::from_utf8_lossy(&missing.stderr).into_owned();
        assert_eq!(missing.status.code(), Some(1), "{text}");
        assert!(text.contains(&format!("`{name}` is not installed")) && text.contains(install), "{text}");
        kept.program(name, &format!("echo {VALUE}; echo {VALUE} >&2; exit 3"));
        let failed = kept.run(&line);
        let text = String::from_utf8_lossy(&failed.stderr).into_owned();
        assert_eq!((failed.status.code(), failed.stdout.len()), (Some(1), 0), "{text}");
        assert!(
            text.contains("exit code 3") && text.contains(&format!("{name} login")) && !text.contains(VALUE),
            "{text}"
        );
        assert!(!mark.exists() && kept.hand.records_of("provider_pull").is_empty());
        kept.nothing_is_left();
    }
}

#[test]
fn what_a_project_requires_must_be_there_and_nothing_that_programs_obey() {
    let kept = Kept::new(VERCEL);
    kept.program("vercel", "echo 'OTHER=\"x\"' > \"$3\"");
    let lacking = kept.run(&["exec", "--", "true"]);
    assert_eq!(lacking.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&lacking.stderr).contains("has no `KEPT`"));
    kept.program("vercel", "printf 'KEPT=\"x\"\\nLD_PRELOAD=\"/x.so\"\\n' > \"$3\"");
    assert_eq!(kept.run(&["exec", "--", "true"]).status.code(), Some(2));
    assert!(kept.hand.records_of("provider_pull").is_empty());
    kept.nothing_is_left();
}

#[test]
fn a_signal_during_the_fetching_leaves_nothing_behind() {
    let kept = Kept::new(VERCEL);
    kept.program("vercel", &format!("echo 'KEPT=\"{VALUE}\"' > \"$3\"; echo x > running; sleep 1000"));
    let program = Program::start(&mut kept.command(&["exec", "--", "true"]));
    until_blocking("the keeper runs", || kept.hand.work.join("running").exists());
    send(program.id(), Signal::TERM);
    assert_eq!(program.finish().status.code(), Some(143));
    assert!(kept.hand.records_of("provider_pull").is_empty());
    kept.nothing_is_left();
}
