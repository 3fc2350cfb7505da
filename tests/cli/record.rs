//! `secrets policy record`: what a program used becomes a project's need; observing grants nothing.

use std::fs;

use crate::{
    hand::Hand,
    support::{Origin, Speaks, TestCa, find_program},
};

const HOST: &str = "api.acme.test";

#[test]
fn what_a_program_used_and_was_refused_becomes_the_smallest_need() {
    let (Some(shell), Some(_)) = (find_program("sh"), find_program("curl")) else { return };
    let ca = TestCa::new();
    let origin = Origin::builder(ca.leaf_for(&[HOST])).speaks(Speaks::Both).start();
    let hand = Hand::in_front_of(&ca, &origin, &[HOST]);
    hand.acme(HOST);
    let grants = hand.home.join("policies");
    for entry in fs::read_dir(&grants).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("ask      = [\"delete\"]", "deny     = [\"delete\"]")).unwrap();
    }
    assert_eq!(hand.envelope(&["policy", "reload"], b"").0, 0);
    let call = |method: &str| {
        format!("curl -sk -o /dev/null -X {method} -H \"Authorization: Bearer $ACME_KEY\" https://{HOST}/echo\n")
    };
    let script = format!("{}{}{}echo of-the-program\nexit 3", call("GET"), call("GET"), call("DELETE"));
    let out = hand.work.join(".secrets.toml");
    let record = ["policy", "record", "--out", out.to_str().unwrap(), "--", shell.to_str().unwrap(), "-c", &script];
    let done = hand.run(&record, b"");
    assert_eq!(done.status.code(), Some(3), "the program's own: {done:?}");
    assert_eq!(String::from_utf8_lossy(&done.stdout), "of-the-program\n", "standard output is the program's");
    let text = fs::read_to_string(&out).unwrap();
    assert!(text.contains("[[need]]\nservice = \"api-acme-test\"\ncaps    = [\"delete\", \"read\"]\n"), "{text}");
    assert_eq!(origin.requests().len(), 2, "what was refused was not sent");
    assert_eq!(hand.envelope(&["policy", "check"], b"").0, 0, "the file is one that loads");

    let (code, taken) = hand.envelope(&["policy", "record", "--out", out.to_str().unwrap()], b"");
    assert_eq!(code, 2, "nothing is written over: {taken}");
    let session = hand.records_of("session_open").pop().unwrap().session_id.unwrap();
    let (code, past) = hand.envelope(&["policy", "record", "--session", &session], b"");
    assert_eq!(code, 0, "{past}");
    let one = &past["result"]["services"][0];
    assert_eq!((&one["used"][0], &one["refused"][0], &one["requests"]), (&"read".into(), &"delete".into(), &3.into()));
    let (code, none) = hand.envelope(&["policy", "record", "--session", "nobody"], b"");
    assert_eq!((code, &none["fix"]), (64, &"secrets audit".into()), "{none}");
    let under = hand.run(&["exec", "--", shell.to_str().unwrap(), "-c", &call("GET")], b"");
    assert_eq!(
        (under.status.code(), origin.requests().len()),
        (Some(0), 3),
        "the need is enough to run under: {under:?}"
    );
    hand.stop();
}
