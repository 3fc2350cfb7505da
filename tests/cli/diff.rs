//! `secrets policy diff`: the requests of the audit log under another set of files.

use std::fs;

use crate::{
    hand::{Hand, SECRET},
    support::{Origin, Program, Speaks, TestCa, find_program},
};

const HOST: &str = "api.acme.test";

#[test]
fn past_requests_that_would_be_decided_otherwise_are_shown_and_nothing_is_sent() {
    let (Some(shell), Some(_)) = (find_program("sh"), find_program("curl")) else { return };
    let ca = TestCa::new();
    let origin = Origin::builder(ca.leaf_for(&[HOST])).speaks(Speaks::Both).start();
    let hand = Hand::in_front_of(&ca, &origin, &[HOST]);
    let (code, added) = hand.envelope(&["add", "acme_key", "--host", HOST], SECRET.as_bytes());
    assert_eq!(code, 0, "{added}");
    let get = "curl -sk -o /dev/null -H \"Authorization: Bearer $ACME_KEY\" https://api.acme.test/echo\n";
    let post = "curl -sk -o /dev/null -X POST -H \"Authorization: Bearer $ACME_KEY\" https://api.acme.test/things\n";
    let mut command = hand.command(&["exec", "--secret", "acme_key", "--", shell.to_str().unwrap(), "-c"]);
    let _out = Program::start(command.arg(format!("{get}{get}{post}"))).finish().expect_success();
    let made = origin.requests().len();
    assert_eq!(made, 3);

    // The same files, but for a grant that asks before it writes.
    let stricter = hand.work.join("stricter");
    fs::create_dir(&stricter).unwrap();
    for entry in fs::read_dir(hand.home.join("policies")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let text = text
            .replace("allow    = [\"read\", \"write\"]", "allow    = [\"read\"]")
            .replace("[\"delete\"]", "[\"delete\", \"write\"]");
        fs::write(stricter.join(path.file_name().unwrap()), text).unwrap();
    }
    let (code, diff) = hand.envelope(&["policy", "diff", stricter.to_str().unwrap()], b"");
    assert_eq!(code, 0, "{diff}");
    let result = &diff["result"];
    assert_eq!((&result["requests"], result["changes"].as_array().unwrap().len()), (&3.into(), 1), "{diff}");
    let change = &result["changes"][0];
    assert_eq!((&change["method"], &change["path"], &change["times"]), (&"POST".into(), &"/things".into(), &1.into()));
    assert_eq!((&change["before"]["verdict"], &change["after"]["verdict"]), (&"allow".into(), &"ask".into()));

    // Both named, the other way round; a folder without grants takes everything.
    let own = hand.home.join("policies");
    let (_, back) = hand.envelope(&["policy", "diff", stricter.to_str().unwrap(), own.to_str().unwrap()], b"");
    assert_eq!(back["result"]["changes"][0]["after"]["verdict"], "allow", "{back}");
    let empty = hand.work.join("empty");
    fs::create_dir(&empty).unwrap();
    let (_, none) = hand.envelope(&["policy", "diff", empty.to_str().unwrap()], b"");
    assert_eq!(none["result"]["changes"].as_array().unwrap().len(), 2, "each request once, however often made: {none}");
    assert_eq!(none["result"]["changes"][0]["times"], 2);
    assert_eq!(none["result"]["changes"][0]["after"]["code"], "no_grant");
    let (_, since) =
        hand.envelope(&["policy", "diff", empty.to_str().unwrap(), "--since", "2099-01-01T00:00:00Z"], b"");
    assert_eq!(since["result"]["requests"], 0);
    assert_eq!(origin.requests().len(), made, "nothing was sent again");

    let (code, missing) = hand.envelope(&["policy", "diff", "nowhere"], b"");
    assert_ne!(code, 0, "{missing}");
    fs::write(empty.join("broken.toml"), "schema = 2").unwrap();
    let (code, broken) = hand.envelope(&["policy", "diff", empty.to_str().unwrap()], b"");
    assert_eq!(code, 64, "{broken}");
    assert!(broken["fix"].as_str().unwrap().starts_with("secrets policy check "), "{broken}");
    hand.stop();
}
