//! `--host`: a secret and its policy come together, stay together and go together.

use std::{collections::BTreeSet, process::Output};

use serde_json::{Value, json};

use crate::{
    hand::{Hand, SECRET},
    support::{Origin, Program, Speaks, TestCa, find_program},
};

const HOST: &str = "api.acme.test";
const SECOND: &str = "acme-SECOND-0123456789-abcdefghij-KEY";

fn world() -> (Origin, Hand) {
    let ca = TestCa::new();
    let origin = Origin::builder(ca.leaf_for(&[HOST])).speaks(Speaks::Both).start();
    let hand = Hand::in_front_of(&ca, &origin, &[HOST]);
    (origin, hand)
}

#[track_caller]
fn added(hand: &Hand, arguments: &[&str], value: &str) -> Value {
    let (code, added) = hand.envelope(&[&["add"], arguments].concat(), value.as_bytes());
    assert_eq!(code, 0, "{added}");
    added["result"].clone()
}

fn policies(hand: &Hand) -> BTreeSet<String> {
    let Ok(entries) = std::fs::read_dir(hand.home.join("policies")) else { return BTreeSet::new() };
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn secrets(hand: &Hand) -> Vec<String> {
    let (_, listed) = hand.envelope(&["list"], b"");
    let secrets = listed["result"]["secrets"].as_array().unwrap();
    secrets.iter().map(|secret| secret["name"].as_str().unwrap().to_owned()).collect()
}

fn in_shell(hand: &Hand, arguments: &[&str], script: &str) -> crate::support::Finished {
    let shell = find_program("sh").unwrap();
    let mut command = hand.command(&[&["exec"], arguments, &["--"]].concat());
    Program::start(command.arg(shell).args(["-c", script])).finish()
}

#[test]
fn two_secrets_of_one_host_are_swapped_each_for_its_own() {
    let (origin, hand) = world();
    if find_program("curl").is_none() {
        return;
    }
    let first = added(&hand, &["first_key", "--host", HOST], SECRET);
    let second = added(&hand, &["second_key", "--host", HOST], SECOND);
    assert_eq!((&first["service"], &second["service"]), (&json!("api-acme-test"), &json!("api-acme-test")));
    let third = added(&hand, &["third_key", "--host", HOST, "--header", "x-api-key"], "third-value-0123456789");
    assert_eq!(third["service"], "api-acme-test-2");
    // Every secret has a variable of its own, without a word about it.
    let ask = |header: &str, variable: &str| {
        format!("curl -sS -o /dev/null -w '%{{http_code}} ' -H \"{header}${variable}\" https://{HOST}/echo; ")
    };
    let script = [
        ("Authorization: Bearer ", "SECOND_KEY"),
        ("Authorization: Bearer ", "FIRST_KEY"),
        ("x-api-key: ", "THIRD_KEY"),
    ]
    .map(|(header, variable)| ask(header, variable))
    .concat();
    let finished = in_shell(&hand, &[], &script).expect_success();
    assert_eq!(finished.stdout, "200 200 200 ", "{finished:?}");
    let seen: Vec<_> = origin
        .requests()
        .iter()
        .map(|request| (request.header("authorization"), request.header("x-api-key")))
        .collect();
    let bearer = |value: &str| (Some(format!("Bearer {value}")), None);
    assert_eq!(seen, [bearer(SECOND), bearer(SECRET), (None, Some("third-value-0123456789".to_owned()))]);
    let swapped: Vec<_> =
        hand.records_of("request_ended").into_iter().filter_map(|record| record.secret_name).collect();
    assert_eq!(swapped, ["second_key", "first_key", "third_key"], "the record names the right one");
    // The token of one place is of no use in the other's.
    let misplaced = in_shell(&hand, &[], &ask("x-api-key: ", "FIRST_KEY"));
    assert!(!misplaced.stdout.contains("200"), "{misplaced:?}");
}

#[test]
fn a_deleted_secret_takes_its_policy_along_and_its_name_is_free_of_it() {
    let (_origin, hand) = world();
    added(&hand, &["acme_key", "--host", HOST], SECRET);
    added(&hand, &["other_key", "--host", HOST], SECOND);
    let (code, deleted) = hand.envelope(&["delete", "acme_key"], b"");
    assert_eq!(code, 0, "{deleted}");
    let removed = deleted["result"]["removed"].as_array().unwrap();
    assert_eq!((removed.len(), deleted["result"].get("kept")), (1, None), "{deleted}");
    let left = ["grant-api-acme-test-other_key.toml", "service-api-acme-test.toml"].map(str::to_owned);
    assert_eq!(policies(&hand), BTreeSet::from(left));

    let again = added(&hand, &["acme_key"], "another value");
    assert_eq!(again.get("service"), None, "it is recognised as nothing: {again}");
    let (code, refused) = hand.envelope(&["lease", "acme_key", "--token", "--json"], b"");
    assert_eq!((code, &refused["ok"]), (1, &json!(false)), "nothing grants it: {refused}");

    assert_eq!(hand.envelope(&["delete", "other_key"], b"").0, 0);
    assert!(policies(&hand).is_empty(), "{:?}", policies(&hand));
    let (_, listed) = hand.envelope(&["policy", "list"], b"");
    assert_eq!(listed["result"]["grants"], json!([]), "it is out of force too");
    let details: Vec<_> = hand.records_of("policy_change").into_iter().filter_map(|record| record.details).collect();
    let gone = "removed: grant-api-acme-test-other_key.toml, service-api-acme-test.toml";
    assert!(details.iter().any(|line| line == gone), "{details:?}");
}

#[test]
fn a_grant_that_was_edited_stays_and_everybody_is_told() {
    let (_origin, hand) = world();
    added(&hand, &["acme_key", "--host", HOST], SECRET);
    let grant = hand.home.join("policies/grant-api-acme-test-acme_key.toml");
    let text = std::fs::read_to_string(&grant).unwrap();
    let edited = text.replace("\"read\", \"write\"", "\"read\"");
    assert_ne!(edited, text);
    std::fs::write(&grant, &edited).unwrap();
    let (code, deleted) = hand.envelope(&["delete", "acme_key"], b"");
    let path = grant.to_str().unwrap();
    assert_eq!((code, &deleted["result"]["kept"]), (0, &json!([path])), "{deleted}");
    assert!(deleted["result"]["message"].as_str().unwrap().contains("by hand and stays"), "{deleted}");
    assert!(deleted["next_actions"].to_string().contains(&format!("rm {path}")), "{deleted}");
    assert_eq!(std::fs::read_to_string(&grant).unwrap(), edited);

    let again = added(&hand, &["acme_key", "--host", HOST], SECOND);
    let granted_by = again["granted_by"][0].as_str().unwrap();
    assert!(granted_by.starts_with(path), "whoever stores it hears which grant applies: {again}");
    assert_eq!(std::fs::read_to_string(&grant).unwrap(), edited, "the person's word holds");
}

#[test]
fn what_cannot_be_granted_is_not_stored() {
    let (_origin, hand) = world();
    added(&hand, &["there", "--host", HOST], SECRET);
    let before = policies(&hand);
    for (arguments, code) in [
        (&["x", "--host", "no host"][..], 2),
        (&["x", "--host", HOST, "--as", "Bearer"], 2),
        (&["x", "--host", HOST, "--header", "not a header"], 2),
        (&["there", "--host", "other.acme.test"], 1),
    ] {
        let (got, refused) = hand.envelope(&[&["add"], arguments].concat(), b"a value");
        assert_eq!(got, code, "{arguments:?}: {refused}");
        assert_eq!((secrets(&hand), policies(&hand)), (vec!["there".to_owned()], before.clone()), "{refused}");
    }
    let broken = hand.home.join("policies/broken.toml");
    std::fs::write(&broken, "kind = 1").unwrap();
    for arguments in [&["add", "x", "--host", "b.acme.test"][..], &["add", "OPENAI_API_KEY"]] {
        let (code, refused) = hand.envelope(arguments, b"sk-proj-0123456789abcdefghij0123456789abcdefghij");
        let message = refused["error"]["message"].as_str().unwrap();
        assert!(code == 1 && message.contains("was not stored") && message.contains("broken.toml"), "{refused}");
        assert_eq!(refused["fix"], "secrets policy check", "{refused}");
        assert_eq!(secrets(&hand), ["there"]);
    }
    let (code, refused) = hand.envelope(&["update", "there", "--host", "c.acme.test"], b"");
    assert_eq!((code, &refused["fix"]), (1, &json!("secrets policy check")), "{refused}");
    std::fs::remove_file(&broken).unwrap();
    assert_eq!(policies(&hand), before);
    assert_eq!(hand.run(&["lease", "there", "--token"], b"").status.code(), Some(0), "it belongs where it did");
    // Something that is no folder stands where the policies belong.
    hand.stop();
    std::fs::rename(hand.home.join("policies"), hand.home.join("aside")).unwrap();
    std::fs::write(hand.home.join("policies"), "").unwrap();
    let (code, refused) = hand.envelope(&["add", "x", "--host", "d.acme.test"], b"a value");
    assert_ne!(code, 0, "{refused}");
    std::fs::remove_file(hand.home.join("policies")).unwrap();
    assert_eq!(secrets(&hand), ["there"]);
}

#[test]
fn a_service_named_in_an_update_is_granted_too() {
    let (_origin, hand) = world();
    added(&hand, &["plain"], "sk-or-anything-at-all");
    let (code, updated) = hand.envelope(&["update", "plain", "--host", HOST], b"");
    assert_eq!((code, &updated["result"]["service"]), (0, &json!("api-acme-test")), "{updated}");
    assert_eq!(updated["result"]["files"].as_array().unwrap().len(), 2, "{updated}");
    assert_eq!(hand.run(&["lease", "plain", "--token"], b"").status.code(), Some(0));
    added(&hand, &["second"], SECOND);
    let (code, updated) = hand.envelope(&["update", "second", "--service", "api-acme-test"], b"");
    assert_eq!(code, 0, "{updated}");
    assert_eq!(hand.run(&["lease", "second", "--token"], b"").status.code(), Some(0));
}

#[test]
fn many_who_add_and_delete_at_once_leave_store_and_policy_in_step() {
    let (_origin, hand) = world();
    added(&hand, &["stays", "--host", HOST], SECRET);
    let run = |arguments: Vec<String>| -> Output {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        hand.run(&arguments, b"some value")
    };
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    std::thread::scope(|scope| {
        for worker in 0..4 {
            scope.spawn(move || {
                for round in 0..3 {
                    run(words(&format!("add one --host {HOST}"))); // all want the same name
                    run(words(&format!("add own{worker}-{round} --host {HOST} --header x-h{worker}")));
                    run(words("delete one"));
                    if round == 1 {
                        run(words(&format!("delete own{worker}-0")));
                    }
                }
            });
        }
    });
    let stored = secrets(&hand);
    let (_, listed) = hand.envelope(&["policy", "list"], b"");
    let granted: BTreeSet<String> = listed["result"]["grants"]
        .as_array()
        .unwrap()
        .iter()
        .map(|grant| grant["secret"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(granted, stored.iter().cloned().collect(), "a grant for each secret and a secret for each grant");
    assert_eq!(listed["result"]["faults"], json!([]));
    for name in stored {
        assert_eq!(hand.run(&["lease", &name, "--token"], b"").status.code(), Some(0), "{name}");
        assert_eq!(hand.envelope(&["delete", &name], b"").0, 0);
    }
    assert!(policies(&hand).is_empty(), "{:?}", policies(&hand));
}

#[test]
fn the_other_part_of_basic_credentials_is_what_was_said_whatever_the_client_sends() {
    let (origin, hand) = world();
    if find_program("curl").is_none() {
        return;
    }
    added(&hand, &["acme_key", "--host", HOST, "--basic", "--other", "robot"], SECRET);
    let call = format!("curl -sS -o /dev/null -u \"someone:$ACME_KEY\" https://{HOST}/echo");
    let _out = in_shell(&hand, &["--secret", "acme_key"], &call).expect_success();
    let requests = origin.requests();
    let sent = requests[0].header("authorization").unwrap();
    let expected = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("robot:{SECRET}"));
    assert_eq!(sent, format!("Basic {expected}"));
    hand.stop();
}

/// The daemon looks at its files once a second; whoever had just written one was told that there is none.
#[test]
fn a_service_whose_file_was_just_written_is_there_and_a_fault_of_it_is_what_is_told() {
    let hand = Hand::with_home();
    assert_eq!(hand.envelope(&["list"], b"").0, 0, "the daemon runs");
    let (code, made) = hand.envelope(&["policy", "new", "acme", "--host", "api.acme.test"], b"");
    assert_eq!(code, 0, "{made}");
    let (code, added) = hand.envelope(&["add", "first", "--service", "acme"], b"a value of some length");
    assert_eq!(code, 0, "{added}");
    std::fs::write(hand.home.join("policies/other.toml"), "schema = 1\nkind = \"service\"\nid = \"other\"\n").unwrap();
    let (code, refused) = hand.envelope(&["add", "second", "--service", "other"], b"a value of some length");
    assert!(code != 0 && refused["fix"] == "secrets policy check", "{refused}");
}
