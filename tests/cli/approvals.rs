//! `secrets approvals`: a person outside answers what an agent inside wants, and the agent cannot.

use std::fs;

use crate::{
    hand::{Hand, SECRET},
    support::{Origin, Program, Speaks, TestCa, find_program, until_blocking},
};

const HOST: &str = "api.acme.test";

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
[cap.write]
about = "Create"
risk = "write"
allow = [{ method = "POST" }]
show = ["/amount"]
"#;

fn world() -> (Origin, Hand) {
    let ca = TestCa::new();
    let origin = Origin::builder(ca.leaf_for(&[HOST])).speaks(Speaks::Both).start();
    let hand = Hand::in_front_of(&ca, &origin, &[HOST]);
    let policies = hand.home.join("policies");
    fs::create_dir_all(&policies).unwrap();
    fs::write(policies.join("acme.toml"), SERVICE).unwrap();
    let grant =
        "schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"acme\"\nitem = \"acme_key\"\nask = [\"write\"]\n";
    fs::write(policies.join("grant.toml"), grant).unwrap();
    let notify = hand.work.join("notify");
    crate::support::write_script(
        &notify,
        &format!("#!/bin/sh\nprintf '%s\\n' \"$@\" > '{}'\n", hand.work.join("noticed").display()),
    );
    let config = fs::read_to_string(hand.home.join("config.toml")).unwrap();
    let config = format!("{config}[approvals]\nnotify = '{}'\n", notify.display());
    fs::write(hand.home.join("config.toml"), config).unwrap();
    let (code, added) = hand.envelope(&["add", "acme_key", "--service", "acme"], SECRET.as_bytes());
    assert_eq!(code, 0, "{added}");
    (origin, hand)
}

/// What waits, once something does.
fn waiting(hand: &Hand) -> String {
    let first = || {
        let (_, list) = hand.envelope(&["approvals"], b"");
        list["result"]["approvals"][0]["id"].as_str().map(str::to_owned)
    };
    until_blocking("a request waits", || first().is_some());
    first().unwrap()
}

#[test]
fn a_person_sees_and_answers_what_an_agent_wants_and_the_agent_cannot() {
    let (Some(shell), Some(_)) = (find_program("sh"), find_program("curl")) else { return };
    let (origin, hand) = world();
    let ask = "curl -sk -H \"Authorization: Bearer $ACME_KEY\" -d '{\"amount\":7}' https://api.acme.test/echo";
    let script = format!(
        "s() {{ '{}' --timeout 60 --home '{}' --no-autostart \"$@\"; }}\n{ask} -o first & \n\
         until [ -e id ]; do sleep .05; done\n\
         s approvals allow \"$(cat id)\" > refused; s approvals list >> refused; touch tried; wait\n{ask} > second\n",
        env!("CARGO_BIN_EXE_secrets"),
        hand.home.display()
    );
    let mut command = hand.command(&["exec", "--secret", "acme_key", "--client-id", "web", "--"]);
    let running = Program::start(command.arg(shell).args(["-c", &script]));
    let id = waiting(&hand);
    fs::write(hand.work.join("id.new"), &id).unwrap();
    fs::rename(hand.work.join("id.new"), hand.work.join("id")).unwrap();
    until_blocking("the agent has tried", || hand.work.join("tried").exists());
    assert!(origin.requests().is_empty(), "its own answer is none");
    let refused = hand.records_of("call_refused");
    let methods: Vec<_> = refused.iter().map(|record| record.details.as_deref().unwrap()).collect();
    assert_eq!(methods, ["approvals.allow", "approvals.list"]);

    let (code, shown) = hand.envelope(&["approvals", "show", &id], b"");
    let entry = &shown["result"];
    assert_eq!((code, &entry["client_id"], &entry["method"]), (0, &"web".into(), &"POST".into()), "{shown}");
    assert_eq!((&entry["shown"][0]["value"], &entry["capabilities"][0]["risk"]), (&"7".into(), &"write".into()));
    assert!(!shown.to_string().contains(SECRET), "{shown}");
    let (code, allowed) = hand.envelope(&["approvals", "allow", &id], b"");
    assert_eq!(code, 0, "{allowed}");
    let (code, late) = hand.envelope(&["approvals", "deny", &id], b"");
    assert!(code != 0 && late["error"]["message"].as_str().unwrap().contains("does not wait any more"), "{late}");

    let second = waiting(&hand);
    let (code, denied) = hand.envelope(&["approvals", "deny", &second], b"");
    assert_eq!(code, 0, "{denied}");
    let _out = running.finish().expect_success();
    assert_eq!(origin.only_request().body, b"{\"amount\":7}");
    let problem = fs::read_to_string(hand.work.join("second")).unwrap();
    assert!(problem.contains("approval_denied"), "{problem}");
    let by = hand.records_of("approval_allowed")[0].details.clone().unwrap();
    assert!(by.contains("(uid ") || by.contains("by uid "), "{by}");
    assert!(allowed["result"]["message"].as_str().unwrap().contains("is allowed by "), "{allowed}");

    until_blocking("the desktop was told", || hand.work.join("noticed").exists());
    until_blocking("all of it", || {
        let noticed = fs::read_to_string(hand.work.join("noticed")).unwrap();
        noticed.contains("secrets approvals show") && noticed.contains("web wants to use acme")
    });
    let noticed = fs::read_to_string(hand.work.join("noticed")).unwrap();
    assert!(!noticed.contains("amount") && !noticed.contains(SECRET), "{noticed}");
}

#[test]
fn a_person_sees_and_answers_to_which_host_an_agent_wants() {
    let (Some(shell), Some(_)) = (find_program("sh"), find_program("curl")) else { return };
    let (origin, hand) = world();
    let defaults = "schema = 1\nkind = \"policy\"\n[defaults]\nunknown_host = \"ask\"\n";
    fs::write(hand.home.join("policies/defaults.toml"), defaults).unwrap();
    let (code, reloaded) = hand.envelope(&["policy", "reload"], b"");
    assert_eq!(code, 0, "{reloaded}");
    let ask = "curl -sk -o said -D head https://elsewhere.test/x; true";
    let mut command = hand.command(&["exec", "--secret", "acme_key", "--client-id", "web", "--"]);
    let running = Program::start(command.arg(shell).args(["-c", ask]));
    let id = waiting(&hand);
    let (code, shown) = hand.envelope(&["approvals", "show", &id], b"");
    let entry = &shown["result"];
    assert_eq!(
        (code, &entry["method"], &entry["origin"]),
        (0, &"CONNECT".into(), &"https://elsewhere.test:443".into())
    );
    assert_eq!((entry.get("lease_id"), &entry["capabilities"]), (None, &serde_json::json!([])), "{shown}");
    let human = |words: &[&str]| {
        let run = hand.run(&[&["--output", "human"], words].concat(), b"");
        String::from_utf8(run.stdout).unwrap()
    };
    let list = human(&["approvals"]);
    assert!(
        list.contains("a host that no grant names") && list.contains("CONNECT https://elsewhere.test:443"),
        "{list}"
    );
    let details = human(&["approvals", "show", &id]);
    assert!(
        details.contains("no credential goes there") && details.contains("what passes is not looked at"),
        "{details}"
    );
    let (code, denied) = hand.envelope(&["approvals", "deny", &id], b"");
    assert_eq!(code, 0, "{denied}");
    let _out = running.finish().expect_success();
    let head = fs::read_to_string(hand.work.join("head")).unwrap().to_ascii_lowercase();
    assert!(head.contains("x-leasehold-code: approval_denied"), "{head}");
    assert!(origin.connections().is_empty(), "nothing was dialled");
    until_blocking("the desktop was told", || {
        fs::read_to_string(hand.work.join("noticed"))
            .is_ok_and(|text| text.contains("web wants to reach a host that no grant names"))
    });
}

/// One user of this machine is one person, however often it answers.
#[test]
fn the_same_person_counts_once_where_two_must_allow() {
    let (Some(shell), Some(_)) = (find_program("sh"), find_program("curl")) else { return };
    let (origin, hand) = world();
    let grant = hand.home.join("policies/grant.toml");
    let text = fs::read_to_string(&grant).unwrap();
    fs::write(&grant, text + "approve = { quorum = 2 }\n").unwrap();
    let (code, reloaded) = hand.envelope(&["policy", "reload"], b"");
    assert_eq!(code, 0, "{reloaded}");
    let ask = "curl -sk -H \"Authorization: Bearer $ACME_KEY\" -d x https://api.acme.test/echo > said";
    let mut command = hand.command(&["exec", "--secret", "acme_key", "--client-id", "web", "--"]);
    let running = Program::start(command.arg(shell).args(["-c", ask]));
    let id = waiting(&hand);
    let (code, first) = hand.envelope(&["approvals", "allow", &id], b"");
    let message = first["result"]["message"].as_str().unwrap();
    assert!(code == 0 && message.contains("waits for another person: 1 of 2 people allow it"), "{first}");
    let (code, again) = hand.envelope(&["approvals", "allow", &id], b"");
    let message = again["error"]["message"].as_str().unwrap();
    assert!(code != 0 && message.contains("the same person counts once"), "{again}");
    let (_, list) = hand.envelope(&["approvals"], b"");
    let entry = &list["result"]["approvals"][0];
    assert_eq!((&entry["quorum"], entry["allowed_by"].as_array().unwrap().len()), (&2.into(), 1), "{list}");
    assert!(origin.requests().is_empty(), "one person is not enough");
    let (code, denied) = hand.envelope(&["approvals", "deny", &id], b"");
    assert_eq!(code, 0, "{denied}");
    let _out = running.finish().expect_success();
    assert!(fs::read_to_string(hand.work.join("said")).unwrap().contains("approval_denied"));
    assert_eq!((hand.records_of("approval_counted").len(), hand.records_of("approval_allowed").len()), (1, 0));
    assert!(origin.requests().is_empty());
}

#[test]
fn the_doctor_says_that_the_program_of_notices_is_not_there() {
    let (_origin, hand) = world();
    let config = fs::read_to_string(hand.home.join("config.toml")).unwrap();
    let notify = hand.work.join("notify");
    fs::write(hand.home.join("config.toml"), config.replace(&*notify.to_string_lossy(), "no-such-program")).unwrap();
    let (code, restarted) = hand.envelope(&["daemon", "restart"], b"");
    assert_eq!(code, 0, "{restarted}");
    let (_, looked) = hand.envelope(&["doctor"], b"");
    let checks = looked["result"]["checks"].as_array().unwrap();
    let notices = checks.iter().find(|check| check["name"] == "notices").unwrap();
    assert_eq!((&notices["verdict"], &notices["fix"]), (&"warning".into(), &"secrets config".into()), "{notices}");
    assert!(notices["detail"].as_str().unwrap().contains("`no-such-program`"), "{notices}");
}

/// A prompt whose request had ended stayed, and the next one was never shown.
#[test]
fn whoever_watches_is_told_that_a_request_has_ended_and_asked_about_the_next() {
    let (Some(shell), Some(_), Some(script)) = (find_program("sh"), find_program("curl"), find_program("script"))
    else {
        return;
    };
    let (origin, hand) = world();
    let secrets = format!("'{}' --timeout 60 --home '{}'", env!("CARGO_BIN_EXE_secrets"), hand.home.display());
    // A line that was on its way to the first, and what the person then says of the second.
    let types = "until grep -q 'does not wait' said 2> /dev/null; do sleep .05; done; echo a; echo a";
    let watch = format!(
        "({types}; until [ -e over ]; do sleep .05; done) | '{}' -qefc \"{secrets} approvals --watch\" said",
        script.display()
    );
    let _person = Program::start(std::process::Command::new(&shell).args(["-c", &watch]).current_dir(&hand.work));
    let ask = "curl -sk -H \"Authorization: Bearer $ACME_KEY\" https://api.acme.test/echo -d";
    let both = format!("{ask} 'first' & until [ -e shown ]; do sleep .05; done; kill $!; {ask} 'second' > second");
    let mut command = hand.command(&["exec", "--secret", "acme_key", "--client-id", "web", "--"]);
    let running = Program::start(command.arg(&shell).args(["-c", &both]));
    let said = || fs::read_to_string(hand.work.join("said")).unwrap_or_default();
    until_blocking("the first is shown", || said().contains("web wants"));
    fs::write(hand.work.join("shown"), "").unwrap();
    let _out = running.finish().expect_success();
    assert_eq!(origin.only_request().body, b"second");
    fs::write(hand.work.join("over"), "").unwrap();
    assert!(said().contains("Enter, to answer this one"), "{}", said());
}

/// On a terminal of its own: what is typed answers one question after the other.
#[test]
fn a_person_who_watches_answers_each_request_as_it_comes() {
    let (Some(shell), Some(_), Some(script)) = (find_program("sh"), find_program("curl"), find_program("script"))
    else {
        return;
    };
    let (origin, hand) = world();
    let secrets = format!("'{}' --timeout 60 --home '{}'", env!("CARGO_BIN_EXE_secrets"), hand.home.display());
    fs::write(hand.work.join("typed"), "a\nd\n").unwrap();
    let watch = format!("exec '{}' -qefc \"{secrets} approvals --watch\" /dev/null < typed > said", script.display());
    let _person = Program::start(std::process::Command::new(&shell).args(["-c", &watch]).current_dir(&hand.work));
    let ask = "curl -sk -H \"Authorization: Bearer $ACME_KEY\" -d '{\"amount\":7}' https://api.acme.test/echo";
    let both = format!("{ask} > first; {ask} > second");
    let mut command = hand.command(&["exec", "--secret", "acme_key", "--client-id", "web", "--"]);
    let _out = Program::start(command.arg(&shell).args(["-c", &both])).finish().expect_success();
    assert_eq!(origin.only_request().body, b"{\"amount\":7}");
    assert!(fs::read_to_string(hand.work.join("second")).unwrap().contains("approval_denied"));
    let said = || fs::read_to_string(hand.work.join("said")).unwrap();
    until_blocking("all was said", || said().matches("web wants").count() == 2);
    let said = said();
    assert!(said.contains("web wants acme/write (write)") && said.contains("/amount = 7"), "{said:?}");
    assert!(!said.contains(SECRET), "{said:?}");
}
