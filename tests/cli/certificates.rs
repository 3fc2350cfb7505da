//! The root, held to the granted hosts: what it then vouches for, and how it is told that it does not suffice.

use std::io::Write as _;

use serde_json::Value;

use crate::{
    hand::{Hand, SECRET},
    support::{Origin, Program, Speaks, TestCa, find_program},
};

const HOSTS: [&str; 2] = ["api.acme.test", "api.later.test"];

fn shown(hand: &Hand) -> Value {
    let (code, shown) = hand.envelope(&["ca", "show"], b"");
    assert_eq!(code, 0, "{shown}");
    shown["result"].clone()
}

fn set(hand: &Hand, line: &str) {
    let mut config = std::fs::OpenOptions::new().append(true).open(hand.home.join("config.toml")).unwrap();
    writeln!(config, "[ca]\n{line}").unwrap();
}

#[test]
fn a_root_that_is_held_to_the_granted_hosts_says_when_it_does_not_suffice() {
    let (Some(sh), Some(_)) = (find_program("sh"), find_program("curl")) else { return };
    let ca = TestCa::new();
    let origin = Origin::builder(ca.leaf_for(&HOSTS)).speaks(Speaks::Both).start();
    let hand = Hand::in_front_of(&ca, &origin, &HOSTS);
    hand.acme(HOSTS[0]);
    assert!(shown(&hand).get("names").is_none(), "by default there is no limit");
    hand.stop();
    set(&hand, "name_constraints = true");
    let held = shown(&hand);
    assert_eq!((&held["names"], held.get("uncovered")), (&serde_json::json!([HOSTS[0]]), None), "{held}");
    let ask = |secret: &str, host: &str| {
        let script = format!(
            "curl -sS -o answer -D head -w '%{{http_code}}' -H \"Authorization: Bearer $K\" https://{host}/echo; cat head"
        );
        let wish = format!("{secret}=K");
        let mut command = hand.command(&["exec", "--secret", &wish, "--"]);
        Program::start(command.arg(&sh).args(["-c", &script])).finish().stdout
    };
    assert!(ask("acme_key", HOSTS[0]).starts_with("200"), "clients believe it for the granted host");

    let (code, added) = hand.envelope(&["add", "later_key", "--host", HOSTS[1]], SECRET.as_bytes());
    assert_eq!(code, 0, "{added}");
    let refused = ask("later_key", HOSTS[1]);
    assert!(refused.contains("credential_unavailable"), "{refused}");
    assert_eq!(origin.requests().len(), 1, "what was refused did not leave");
    assert_eq!(hand.records_of("tunnel_refused").len(), 1, "{:?}", hand.records());
    assert_eq!(shown(&hand)["uncovered"], serde_json::json!([HOSTS[1]]));
    let human = hand.run(&["--output", "human", "ca", "show"], b"");
    let human = String::from_utf8(human.stdout).unwrap();
    assert!(human.contains("missing: api.later.test") && human.contains("`secrets daemon restart`"), "{human}");
    let (code, doctor) = hand.envelope(&["doctor"], b"");
    assert!(code != 0 && doctor["fix"] == "secrets daemon restart", "{doctor}");
    let (code, restarted) = hand.envelope(&["daemon", "restart"], b"");
    assert_eq!(code, 0, "{restarted}");

    let renewed = shown(&hand);
    assert_eq!((&renewed["names"], renewed.get("uncovered")), (&serde_json::json!(HOSTS), None), "{renewed}");
    assert_ne!(renewed["fingerprint"], held["fingerprint"]);
    assert!(ask("later_key", HOSTS[1]).starts_with("200"));
    assert_eq!(hand.envelope(&["doctor"], b"").0, 0);
    hand.stop();
    assert_eq!(shown(&hand)["fingerprint"], renewed["fingerprint"], "a root that suffices stays");
}
