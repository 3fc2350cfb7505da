//! `secrets policy accept`: what a project proposes is the user's own after somebody has seen it, and not before.

use std::{fs, os::unix::fs::PermissionsExt as _};

use serde_json::Value;

use crate::{
    hand::Hand,
    support::{Program, find_program},
};

const ACME: &str = r#"schema = 1
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
[cap.erase]
about = "ABOUT"
risk = "destroy"
allow = [{ method = "DELETE" }]
"#;

fn propose(hand: &Hand, about: &str) {
    let text = ACME.replace("ABOUT", about);
    let file = format!("schema = 1\nkind = \"project\"\n[[propose]]\nservice = '''\n{text}'''\n");
    fs::write(hand.work.join(".secrets.toml"), file).unwrap();
}

/// The first proposal as `policy check` tells of it.
fn standing(hand: &Hand) -> (String, String) {
    let (code, checked) = hand.envelope(&["policy", "check"], b"");
    assert_eq!(code, 0, "{checked}");
    let first = &checked["result"]["proposals"][0];
    let text = |key: &str| first[key].as_str().unwrap().to_owned();
    (text("standing"), text("hash"))
}

fn message(envelope: &Value) -> &str {
    envelope["error"]["message"].as_str().unwrap()
}

#[test]
fn a_proposal_is_nothing_until_it_is_accepted_by_the_hash_of_the_text_that_was_shown() {
    let hand = Hand::with_home();
    propose(&hand, "Delete");
    let accepted = hand.home.join("policies/proposed-acme.toml");
    let (waits, hash) = standing(&hand);
    assert_eq!((waits.as_str(), hash.len()), ("waits for acceptance", 64));
    let (code, unknown) = hand.envelope(&["policy", "show", "acme"], b"");
    assert_ne!(code, 0, "{unknown}");

    let (code, asked) = hand.envelope(&["policy", "accept"], b"y\n");
    assert!(code == 2 && asked["fix"].as_str().unwrap().ends_with(&format!("--hash {hash}")), "{asked}");
    let shown = &asked["result"]["proposals"][0]["service"];
    assert_eq!(shown["hosts"][0]["origins"][0], "https://api.acme.test");
    assert_eq!(
        (&shown["capabilities"][0]["name"], &shown["capabilities"][0]["risk"]),
        (&"erase".into(), &"destroy".into())
    );
    for wrong in [&hash[..11], "not a hash at all"] {
        assert_eq!(hand.run(&["policy", "accept", "--hash", wrong], b"").status.code(), Some(2), "{wrong}");
    }
    propose(&hand, "Delete everything");
    let (code, edited) = hand.envelope(&["policy", "accept", "--hash", &hash], b"");
    assert!(code != 0 && message(&edited).contains("edited since"), "{edited}");
    assert!(!accepted.exists());

    assert_eq!(hand.envelope(&["status"], b"").0, 0, "a daemon runs");
    let (_, hash) = standing(&hand);
    let (code, done) = hand.envelope(&["policy", "accept", ".secrets.toml", "--hash", &hash[..12]], b"");
    assert_eq!((code, &done["result"]["in_force"]), (0, &true.into()), "{done}");
    assert_eq!(fs::metadata(&accepted).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(fs::read_to_string(&accepted).unwrap().lines().next().unwrap().contains(&hash));
    assert!(!hand.records_of("policy_reload").is_empty(), "the change is recorded");
    assert_eq!(hand.envelope(&["policy", "show", "acme"], b"").0, 0);
    assert_eq!(standing(&hand).0, "accepted");
    assert_eq!(hand.envelope(&["policy", "accept", "--yes"], b"").0, 0, "there is nothing to do");

    propose(&hand, "Delete nothing");
    assert_eq!(standing(&hand).0, "waits for acceptance", "an edit waits again");
    assert!(fs::read_to_string(&accepted).unwrap().contains("Delete everything"), "and what was accepted stays");
    assert_eq!(hand.envelope(&["policy", "accept", "--yes"], b"").0, 0);
    assert!(fs::read_to_string(&accepted).unwrap().contains("Delete nothing"));
}

#[test]
fn a_service_that_is_there_and_a_faulty_proposal_are_refused_with_their_place() {
    let hand = Hand::with_home();
    let policies = hand.home.join("policies");
    fs::create_dir_all(&policies).unwrap();
    fs::write(policies.join("own.toml"), ACME).unwrap();
    propose(&hand, "Delete");
    let (code, refused) = hand.envelope(&["policy", "accept", "--yes"], b"");
    assert!(
        code != 0 && message(&refused).contains(".secrets.toml:4: `acme` is a word for service `acme`"),
        "{refused}"
    );
    assert!(!policies.join("proposed-acme.toml").exists());

    propose(&hand, "Delete\"\nwrong = \"");
    for act in ["check", "accept"] {
        let (code, faulty) = hand.envelope(&["policy", act], b"");
        assert!(code == 64 && message(&faulty).contains(".secrets.toml:20:1: unknown key `wrong`"), "{faulty}");
    }
    let ran = hand.run(&["exec", "--raw", "--secret", "none", "--", "true"], b"");
    assert!(!String::from_utf8_lossy(&ran.stderr).contains("wrong"), "a session does not read it: {ran:?}");
}

#[test]
fn a_process_inside_a_session_accepts_nothing() {
    let hand = Hand::with_home();
    propose(&hand, "Delete");
    let mut command = hand.command(&["policy", "accept", "--yes"]);
    let refused = Hand::feed(command.env("LEASEHOLD_SESSION", "s.h"), b"");
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stdout).contains("a person outside"), "{refused:?}");
    assert!(!hand.home.join("policies/proposed-acme.toml").exists());
}

#[test]
fn attack_97_who_clears_the_variable_of_its_session_accepts_nothing_either() {
    let Some(shell) = find_program("sh") else { return };
    let hand = Hand::with_home();
    hand.acme("api.other.test");
    propose(&hand, "Delete");
    let (_, hash) = standing(&hand);
    let line = format!("'{}' --home '{}' --timeout 60", env!("CARGO_BIN_EXE_secrets"), hand.home.display());
    let attempt = |flags: &str| format!("env -u LEASEHOLD_SESSION {line} policy accept {flags}; echo \"code $?\"");
    // The last lets go of its parents besides, and takes nothing of its variables along.
    fs::write(hand.work.join("alone.sh"), format!("({line} policy accept --yes > alone; mv alone done) &")).unwrap();
    let alone = "env -i PATH=\"$PATH\" setsid sh alone.sh; until [ -e done ]; do sleep .01; done; cat done";
    let script = format!("{}; {}; {alone}", attempt("--yes"), attempt(&format!("--hash {hash}")));
    let mut command = hand.command(&["exec", "--secret", "acme_key=ACME_KEY", "--"]);
    let ran = Program::start(command.arg(shell).args(["-c", &script])).finish().expect_success();
    assert_eq!(ran.stdout.matches("is not for processes inside a session").count(), 3, "{ran:?}");
    assert!(!ran.stdout.contains("code 0"), "{ran:?}");
    let refused = hand.records_of("call_refused");
    assert!(
        refused.len() == 3 && refused.iter().all(|one| one.details.as_deref() == Some("policy.accept")),
        "{refused:?}"
    );
    assert!(!hand.home.join("policies/proposed-acme.toml").exists());
    assert!(hand.records_of("policy_reload").iter().all(|one| one.service.is_none()));

    // A person outside can, and the record names what came into force.
    assert_eq!(hand.envelope(&["policy", "accept", "--hash", &hash], b"").0, 0);
    let reloads = hand.records_of("policy_reload");
    let named = reloads.iter().find(|one| one.service.as_deref() == Some("acme")).unwrap();
    let details = named.details.as_deref().unwrap();
    assert!(details.contains(&hash) && details.contains(".secrets.toml:4"), "{details}");
}

/// On a terminal of its own, as a person sees it.
#[test]
fn a_person_on_a_terminal_sees_all_of_it_harmless_and_says_yes_or_no() {
    let Some(script) = find_program("script") else { return };
    let hand = Hand::with_home();
    propose(&hand, "Delete\\u001b[2J\\u202egnihton");
    let line =
        format!("'{}' --timeout 60 --home '{}' policy accept", env!("CARGO_BIN_EXE_secrets"), hand.home.display());
    let person = |answer: &str| {
        let (typed, said) = (hand.work.join("typed"), hand.work.join("said"));
        fs::write(&typed, format!("{answer}\n")).unwrap();
        let direct = format!("exec '{}' -qefc \"{line}\" /dev/null < typed > said", script.display());
        let ended = Program::start(hand_shell(&hand, &direct).current_dir(&hand.work)).finish();
        (ended.status.success(), fs::read_to_string(said).unwrap())
    };
    let (accepted, said) = person("n");
    assert!(!accepted && said.contains("https://api.acme.test") && said.contains("erase (destroy)"), "{said:?}");
    assert!(!said.contains("\u{1b}[2J") && !said.contains('\u{202e}') && said.contains("sha256: "), "{said:?}");
    assert!(!hand.home.join("policies/proposed-acme.toml").exists());
    let (accepted, said) = person("y");
    assert!(accepted && said.contains("accepted acme"), "{said:?}");
    assert!(hand.home.join("policies/proposed-acme.toml").exists());
}

fn hand_shell(hand: &Hand, script: &str) -> std::process::Command {
    let mut command = std::process::Command::new("sh");
    command.args(["-c", script]).env("AGENT_SECRETS_HOME", &hand.home);
    command
}
