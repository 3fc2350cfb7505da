//! Needs of agents on the real program: shown to a person with the lines that give them, and given by those lines alone.

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
[param.account]
about = "Which"
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
allow = [{ method = "GET", path = "/status/{account}" }]
[cap.everything]
about = "All of it"
risk = "admin"
allow = [{ method = ["GET", "POST"] }]
"#;

/// A secret that is granted to nobody of ours.
fn world() -> (Origin, Hand) {
    let ca = TestCa::new();
    let origin = Origin::builder(ca.leaf_for(&[HOST])).speaks(Speaks::Both).start();
    let hand = Hand::in_front_of(&ca, &origin, &[HOST]);
    let policies = hand.home.join("policies");
    fs::create_dir_all(&policies).unwrap();
    fs::write(policies.join("acme.toml"), SERVICE).unwrap();
    let grant =
        "schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"acme\"\nitem = \"acme_key\"\nagents = [\"other\"]\n";
    fs::write(policies.join("mine.toml"), format!("{grant}allow = [\"read\"]\n")).unwrap();
    let (code, added) = hand.envelope(&["add", "acme_key", "--service", "acme"], SECRET.as_bytes());
    assert_eq!(code, 0, "{added}");
    let (code, added) = hand.envelope(&["add", "none", "--host", "none.acme.test"], b"nothing-of-importance-0123");
    assert_eq!(code, 0, "{added}");
    (origin, hand)
}

fn need(hand: &Hand) -> serde_json::Value {
    let first = || hand.envelope(&["approvals"], b"").1["result"]["needs"][0].clone();
    until_blocking("a need is there", || first().is_object());
    first()
}

#[test]
fn a_person_sees_a_need_with_the_lines_that_give_it_and_the_agent_has_it_once_they_are_written() {
    let (Some(shell), Some(_)) = (find_program("sh"), find_program("curl")) else { return };
    let (origin, hand) = world();
    let secrets =
        format!("'{}' --timeout 60 --home '{}' --no-autostart", env!("CARGO_BIN_EXE_secrets"), hand.home.display());
    let need_of = r#"{"method":"GET","url":"https://api.acme.test/status/201","why":"to look at 201"}"#;
    let script = format!(
        "curl -s -d '{need_of}' http://leasehold.internal/v1/needs > asked\n\
         until [ -e written ]; do sleep .05; done\n\
         token=$({secrets} lease acme_key --token --output json | tr -d ' \\n' | sed 's/.*\"token\":\"\\([^\"]*\\)\".*/\\1/')\n\
         curl -sk -o got -w '%{{http_code}}' -H \"Authorization: Bearer $token\" https://api.acme.test/status/201 > code\n\
         curl -sk -o other -w '%{{http_code}}' -H \"Authorization: Bearer $token\" https://api.acme.test/status/202 >> code\n"
    );
    let mut command = hand.command(&["exec", "--client-id", "web", "--secret", "none", "--"]);
    let running = Program::start(command.arg(shell).args(["-c", &script]));
    let shown = need(&hand);
    let (id, lines) = (shown["id"].as_str().unwrap(), shown["grant"]["new"]["lines"].as_str().unwrap());
    assert_eq!(
        (&shown["capabilities"][0]["name"], &shown["why"]),
        (&"read".into(), &"to look at 201".into()),
        "{shown}"
    );
    let (code, refused) = hand.envelope(&["approvals", "allow", id], b"");
    assert!(
        code != 0 && refused["error"]["message"].as_str().unwrap().contains("is a need and no request"),
        "{refused}"
    );
    assert_eq!(refused["fix"], format!("secrets approvals show {id}"), "{refused}");
    let (code, one) = hand.envelope(&["approvals", "show", id], b"");
    assert_eq!((code, &one["result"]["id"]), (0, &id.into()), "{one}");
    let human = hand.run(&["approvals", "show", id, "--output", "human"], b"").stdout;
    let human = String::from_utf8_lossy(&human);
    assert!(human.contains(lines) && human.contains("nothing waits, and nothing here gives it"), "{human}");

    let file = hand.home.join("policies/mine.toml");
    fs::write(&file, format!("{}\n{lines}", fs::read_to_string(&file).unwrap())).unwrap();
    let (code, reloaded) = hand.envelope(&["policy", "reload"], b"");
    assert_eq!(code, 0, "what is shown can be written as it is: {lines} {reloaded}");
    fs::write(hand.work.join("written"), "").unwrap();
    let _out = running.finish().expect_success();
    assert_eq!(fs::read_to_string(hand.work.join("code")).unwrap(), "201403", "what it asked for, and nothing else");
    assert_eq!(origin.only_request().target, "/status/201");
    let (_, list) = hand.envelope(&["approvals"], b"");
    assert!(list["result"]["needs"].as_array().unwrap().is_empty(), "{list}");
    assert_eq!((hand.records_of("need_sent").len(), hand.records_of("need_ended").len()), (1, 1));
}

#[test]
fn whoever_watches_is_told_of_a_need_and_dismisses_it() {
    let (Some(shell), Some(_), Some(script)) = (find_program("sh"), find_program("curl"), find_program("script"))
    else {
        return;
    };
    let (_origin, hand) = world();
    let secrets = format!("'{}' --timeout 60 --home '{}'", env!("CARGO_BIN_EXE_secrets"), hand.home.display());
    fs::write(hand.work.join("typed"), "a\n?\nd\n").unwrap(); // nothing allows a need
    let watch = format!("exec '{}' -qefc \"{secrets} approvals --watch\" /dev/null < typed > said", script.display());
    let _person = Program::start(std::process::Command::new(&shell).args(["-c", &watch]).current_dir(&hand.work));
    let ask =
        r#"curl -s -d '{"service":"acme","caps":["everything"],"why":"I say so"}' http://leasehold.internal/v1/needs"#;
    let ask = format!("{ask}; until [ -e over ]; do sleep .05; done");
    let mut command = hand.command(&["exec", "--client-id", "web", "--secret", "none", "--"]);
    let running = Program::start(command.arg(&shell).args(["-c", &ask]));
    until_blocking("it is dismissed", || hand.records_of("need_ended").len() == 1);
    let said = || fs::read_to_string(hand.work.join("said")).unwrap();
    until_blocking("all was said", || said().contains("is dismissed by"));
    fs::write(hand.work.join("over"), "").unwrap();
    let _out = running.finish().expect_success();
    let said = said();
    assert!(said.contains("web says that it needs acme/everything (admin); nothing waits for this"), "{said:?}");
    assert!(said.contains("I say so") && said.contains("ask      = [\"everything\"]"), "{said:?}");
    assert!(hand.records_of("need_ended")[0].details.as_ref().unwrap().contains(", dismissed, by "));
}
