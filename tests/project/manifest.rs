//! `SECRETS_MANIFEST`: what a session may do, as a file for its program, there as long as the session.

use super::*;
use crate::support::{Program, until_blocking};

const SERVICE: &str = r#"schema = 1
kind = "service"
id = "acme"
name = "Acme"
[host.api]
origin = "https://api.acme.test"
[credential.key]
type = "token"
env = ["ACME_KEY"]
[[inject]]
host = "api"
use = "key"
at = [{ header = "authorization", as = "Bearer {}" }]
[cap.read]
about = "Look"
risk = "read"
allow = [{ method = "GET" }]
[cap.write]
about = "Create"
risk = "write"
allow = [{ method = "POST" }]
[cap.erase]
about = "Delete"
risk = "destroy"
allow = [{ method = "DELETE" }]
"#;

const GRANT: &str = r#"schema = 1
kind = "policy"
[[grant]]
service = "acme"
item = "acme_key"
allow = ["read"]
ask = ["write"]
deny = ["erase"]
limit = { requests = "60/min", "cap:write" = "5/hour", "cap:erase" = "1/day" }
[[budget]]
secret = "acme_key"
limit = { requests = "1K/day" }
"#;

const NARROW: &str = r#"schema = 1
kind = "project"
[[narrow]]
service = "acme"
limit = { at_once = 2 }
"#;

fn house() -> Hand {
    let hand = Hand::with_home();
    let policies = hand.home.join("policies");
    std::fs::create_dir_all(&policies).unwrap();
    std::fs::write(policies.join("acme.toml"), SERVICE).unwrap();
    std::fs::write(policies.join("mine.toml"), GRANT).unwrap();
    let (code, added) = hand.envelope(&["add", "acme_key", "--service", "acme"], SECRET.as_bytes());
    assert_eq!(code, 0, "{added}");
    put(&hand, ".secrets.toml", NARROW);
    hand
}

/// Nothing of any session is there.
fn is_empty(hand: &Hand) -> bool {
    std::fs::read_dir(hand.home.join("sessions")).map_or(true, |mut all| all.next().is_none())
}

#[test]
fn a_program_finds_what_it_may_do_in_a_private_file_that_ends_with_its_session() {
    let hand = house();
    let script = "cat \"$SECRETS_MANIFEST\" > copy; printf %s \"$SECRETS_MANIFEST\" > where; \
                  stat -c %a \"$SECRETS_MANIFEST\" \"${SECRETS_MANIFEST%/*}\" > modes; printf %s \"$ACME_KEY\" > token";
    let output = hand.run(&["exec", "--secret", "acme_key", "--", "sh", "-c", script], b"");
    assert!(output.status.success(), "{output:?}");
    let read = |name: &str| std::fs::read_to_string(hand.work.join(name)).unwrap();
    let copy = read("copy");
    let manifest: Value = serde_json::from_str(&copy).unwrap();
    let service = &manifest["services"][0];
    let caps = service["capabilities"].as_array().unwrap();
    let caps: Vec<_> =
        caps.iter().map(|cap| (cap["name"].as_str().unwrap(), cap["verdict"].as_str().unwrap())).collect();
    assert_eq!((service["service"].as_str(), caps), (Some("acme"), vec![("read", "allow"), ("write", "ask")]));
    assert_eq!(service["hosts"][0], "https://api.acme.test");
    let limits: Vec<&str> = service["limits"].as_array().unwrap().iter().map(|limit| limit.as_str().unwrap()).collect();
    let begins = |text: &str| limits.iter().any(|limit| limit.starts_with(text));
    assert!(
        begins("requests = 60/min of the grant at ") && begins("cap:write = 5/hour of the grant at "),
        "{limits:?}"
    );
    assert!(begins("at_once = 2 of the project in ") && begins("requests = 1K/day of the budget at "), "{limits:?}");
    assert!(limits.len() == 4 && !copy.contains("erase"), "nothing of what is denied: {copy}");
    let token = read("token");
    assert!(!token.is_empty() && !copy.contains(&token) && !copy.contains(SECRET), "{copy}");
    assert_eq!(read("modes"), "600\n700\n");
    let path = PathBuf::from(read("where"));
    assert!(path.starts_with(&hand.home) && path.is_absolute());
    until_blocking("the manifest is gone", || !path.exists() && is_empty(&hand));
}

#[test]
fn a_manifest_goes_also_when_exec_or_the_daemon_is_killed_and_when_everything_is() {
    let hand = house();
    let start = |hand: &Hand| {
        let _ = std::fs::remove_file(hand.work.join("id"));
        let program = ["exec", "--secret", "acme_key", "--", "sh", "-c", "echo $$ > id; exec sleep 300"];
        let running = Program::start(&mut hand.command(&program));
        let text = || std::fs::read_to_string(hand.work.join("id")).ok().filter(|text| text.ends_with('\n'));
        until_blocking("the program runs", || text().is_some());
        assert!(!is_empty(hand), "it is there while the program runs");
        (running, text().unwrap().trim().parse::<u32>().unwrap())
    };
    let mut daemon = hand.serve();
    let (mut exec, pid) = start(&hand);
    exec.kill();
    until_blocking("it is gone with exec", || is_empty(&hand));
    send(pid, rustix::process::Signal::KILL);

    let (_exec, pid) = start(&hand);
    daemon.kill();
    send(pid, rustix::process::Signal::KILL);
    assert!(!is_empty(&hand), "nobody was left to remove it");
    let _daemon = hand.serve();
    assert!(is_empty(&hand), "the next start does");

    let (_exec, pid) = start(&hand);
    let (code, killed) = hand.envelope(&["revoke", "--all"], b"");
    assert_eq!(code, 0, "{killed}");
    send(pid, rustix::process::Signal::KILL);
    until_blocking("it is gone with the session", || is_empty(&hand));
}

#[test]
fn a_manifest_names_the_variables_that_hold_the_tokens() {
    let hand = house();
    for (wish, variable) in [("acme_key", "ACME_KEY"), ("acme_key=OTHER", "OTHER")] {
        let ran = hand.run(&["exec", "--secret", wish, "--", "sh", "-c", "cat \"$SECRETS_MANIFEST\""], b"");
        let manifest: Value = serde_json::from_slice(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
        assert_eq!(manifest["services"][0]["env"], serde_json::json!([variable]), "{manifest}");
    }
}
