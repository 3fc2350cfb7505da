//! Invariant 7: what `secrets policy explain` says is what the proxy does.

use std::fs;

use crate::{
    hand::{Hand, SECRET},
    support::{Origin, Program, Speaks, TestCa, find_program},
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
[cap.read]
about = "Look"
risk = "read"
allow = [{ method = ["GET", "OPTIONS"] }]
[cap.write]
about = "Create"
risk = "write"
allow = [{ method = ["POST", "PUT"] }]
[cap.upload]
about = "Put"
risk = "write"
allow = [{ method = "PUT", path = "/files/**" }]
[cap.live]
about = "Listen"
risk = "read"
allow = [{ method = "GET", path = "/ws", upgrade = "websocket" }]
[cap.delete]
about = "Delete"
risk = "destroy"
allow = [{ method = "DELETE" }]
"#;

/// A request, whether it carries its lease, and the verdict with its code.
const REQUESTS: [(&str, &str, bool, &str); 18] = [
    ("GET", "https://api.acme.test/echo", true, "allow"),
    ("GET", "https://api.acme.test/echo?a=b", true, "allow"),
    ("GET", "https://api.acme.test", true, "allow"),
    ("get", "https://api.acme.test/echo", true, "cap_denied"),
    ("OPTIONS", "https://api.acme.test/echo", true, "allow"),
    ("POST", "https://api.acme.test/echo", true, "cap_denied"), // the project gives it up
    ("DELETE", "https://api.acme.test/echo", true, "needs_approval"),
    ("PURGE", "https://api.acme.test/echo", true, "cap_denied"),
    ("TRACE", "https://api.acme.test/echo", true, "method_denied"),
    ("GET", "https://api.acme.test/a%00b", true, "bad_request"),
    ("GET", "https://api.acme.test/a/%2e%2e/echo", true, "bad_request"),
    ("GET", "https://api.acme.test:8443/echo", false, "host_denied"),
    ("GET", "http://api.acme.test/echo", false, "host_denied"),
    ("TRACE", "http://api.acme.test/echo", false, "method_denied"),
    ("GET", "https://tunnel.test/echo", false, "tunnel"),
    ("GET", "wss://api.acme.test/ws", true, "allow"),
    ("GET", "wss://api.acme.test/other", true, "cap_denied"),
    ("POST", "wss://api.acme.test/ws", true, "bad_request"),
];

fn world() -> (Origin, Hand) {
    let ca = TestCa::new();
    let origin = Origin::builder(ca.leaf_for(&[HOST, "tunnel.test"])).speaks(Speaks::Both).start();
    let hand = Hand::in_front_of(&ca, &origin, &[HOST, "tunnel.test"]);
    let policies = hand.home.join("policies");
    fs::create_dir_all(&policies).unwrap();
    fs::write(policies.join("acme.toml"), SERVICE).unwrap();
    let config = fs::read_to_string(hand.home.join("config.toml")).unwrap();
    // Nobody answers what is asked.
    fs::write(hand.home.join("config.toml"), config + "[approvals]\nwithin = \"100ms\"\n").unwrap();
    let work = hand.work.canonicalize().unwrap();
    let grant = format!(
        "schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"acme\"\nitem = {{ key = \"acme_key\" }}\n\
         projects = [\"{}\"]\nallow = [\"read\", \"write\", \"live\"]\nask = [\"delete\"]\n",
        work.display()
    );
    fs::write(policies.join("grant.toml"), grant).unwrap();
    let (code, added) = hand.envelope(&["add", "acme_key", "--service", "acme"], SECRET.as_bytes());
    assert_eq!(code, 0, "{added}");
    let narrow = "schema = 1\nkind = \"project\"\n[[narrow]]\nservice = \"acme\"\ndeny = [\"write\"]\n";
    fs::write(work.join(".secrets.toml"), narrow).unwrap();
    (origin, hand)
}

/// The verdict, or the code when there is one.
pub(crate) fn explained(hand: &Hand, arguments: &[&str]) -> String {
    let (code, envelope) = hand.envelope(&[&["policy", "explain"], arguments].concat(), b"");
    assert_eq!(code, 0, "{arguments:?}: {envelope}");
    let result = &envelope["result"];
    result["code"].as_str().or(result["verdict"].as_str()).unwrap().to_owned()
}

/// One request of a shell script; its answer's heads go to a file.
fn curl(at: usize, (method, url, leased, _): (&str, &str, bool, &str)) -> String {
    let lease = if leased { "-H \"Authorization: Bearer $ACME_KEY\"" } else { "" };
    let curl = format!("curl -sk --path-as-is -o /dev/null -D head.{at} -X {method} {lease}");
    let Some(rest) = url.strip_prefix("wss://") else { return format!("{curl} '{url}' || true\n") };
    // One that is let pass stays open: it ends once the heads are there, the tunnel's and the answer's.
    format!(
        "{curl} --http1.1 -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' \
         -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' 'https://{rest}' &\n\
         while kill -0 $! 2> /dev/null && [ \"$(cat head.{at} 2> /dev/null | grep -c '^.$')\" -lt 2 ]; do sleep .02; done\n\
         kill $! 2> /dev/null; wait $! || true\n"
    )
}

/// What the proxy made of it, in the words of [`explained`].
pub(crate) fn done(hand: &Hand, at: usize) -> String {
    let heads = fs::read_to_string(hand.work.join(format!("head.{at}"))).unwrap().to_ascii_lowercase();
    if let Some(code) = heads.lines().rev().find_map(|line| line.strip_prefix("x-leasehold-code: ")) {
        return code.trim().to_owned();
    }
    assert!(heads.lines().any(|line| line.starts_with("http/")), "{at}: no answer");
    "passed".to_owned()
}

#[test]
fn explain_and_proxy_agree() {
    let (Some(shell), Some(_)) = (find_program("sh"), find_program("curl")) else { return };
    let (origin, hand) = world();
    let script: String = REQUESTS.into_iter().enumerate().map(|(at, request)| curl(at, request)).collect();
    let mut command = hand.command(&["exec", "--secret", "acme_key", "--"]);
    let _out = Program::start(command.arg(shell).args(["-c", &script])).finish().expect_success();
    for (at, (method, url, _, expected)) in REQUESTS.into_iter().enumerate() {
        assert_eq!(explained(&hand, &[method, url]), expected, "explained: {method} {url}");
        let expected = if matches!(expected, "allow" | "tunnel") { "passed" } else { expected };
        assert_eq!(done(&hand, at), expected, "done: {method} {url}");
    }
    let passed = REQUESTS.iter().filter(|request| matches!(request.3, "allow" | "tunnel")).count();
    assert_eq!(origin.requests().len(), passed, "what was refused did not leave");
    let refused = hand.records_of("request_refused").len() + hand.records_of("tunnel_refused").len();
    assert_eq!(refused, REQUESTS.len() - passed, "{:?}", hand.records());
}

#[test]
fn explain_and_proxy_agree_about_a_host_that_a_person_is_asked_about() {
    let (Some(shell), Some(_)) = (find_program("sh"), find_program("curl")) else { return };
    let (origin, hand) = world();
    let defaults = "schema = 1\nkind = \"policy\"\n[defaults]\nunknown_host = \"ask\"\n";
    fs::write(hand.home.join("policies/defaults.toml"), defaults).unwrap();
    let (code, reloaded) = hand.envelope(&["policy", "reload"], b"");
    assert_eq!(code, 0, "{reloaded}");
    let requests = [
        ("GET", "https://tunnel.test/echo"),
        ("GET", "http://tunnel.test/echo"),
        ("GET", "https://api.acme.test:8443/"),
    ];
    let curls = requests.iter().enumerate().map(|(at, (method, url))| curl(at, (method, url, false, "")));
    let mut command = hand.command(&["exec", "--secret", "acme_key", "--"]);
    let _out = Program::start(command.arg(shell).args(["-c", &curls.collect::<String>()])).finish().expect_success();
    for (at, expected) in ["needs_approval", "needs_approval", "host_denied"].into_iter().enumerate() {
        let (method, url) = requests[at];
        assert_eq!(explained(&hand, &[method, url]), expected, "explained: {method} {url}");
        assert_eq!(done(&hand, at), expected, "done: {method} {url}");
    }
    assert!(origin.connections().is_empty());
    assert_eq!(hand.records_of("approval_expired").len(), 2, "{:?}", hand.records());
    let (_, list) = hand.envelope(&["policy", "list"], b"");
    assert_eq!(list["result"]["unknown_host"], "ask");
}

#[test]
fn explain_is_asked_in_a_folder_as_exec_is_run_in_one() {
    let (_origin, hand) = world();
    let elsewhere = hand.work.parent().unwrap().join("elsewhere");
    let inside = hand.work.join("inside");
    for folder in [&elsewhere, &inside] {
        fs::create_dir(folder).unwrap();
    }
    let ask = |method: &str, folder: &std::path::Path| {
        explained(&hand, &[method, "https://api.acme.test/echo", "--project", folder.to_str().unwrap()])
    };
    assert_eq!(ask("GET", &inside), "allow");
    assert_eq!(ask("POST", &inside), "cap_denied", "the project of the folder above narrows");
    assert_eq!(ask("GET", &elsewhere), "no_grant");
    for (folder, message) in [("nowhere", "cannot look at"), (".secrets.toml", "is no folder")] {
        let folder = hand.work.join(folder);
        let words = ["policy", "explain", "GET", "https://api.acme.test/echo", "--project", folder.to_str().unwrap()];
        let (code, wrong) = hand.envelope(&words, b"");
        assert!(code != 0 && wrong["error"]["message"].as_str().unwrap().contains(message), "{wrong}");
        assert!(wrong["fix"].as_str().unwrap().starts_with("ls -l"), "{wrong}");
    }
    let mut command = hand.command(&["exec", "--secret", "acme_key", "--", "true"]);
    let refused = Program::start(command.current_dir(&elsewhere)).finish();
    assert!(!refused.status.success() && refused.stderr.contains("no grant"), "{refused:?}");
}

#[test]
fn a_refusal_names_the_command_that_explains_it() {
    let (Some(shell), Some(_)) = (find_program("sh"), find_program("curl")) else { return };
    let (_origin, hand) = world();
    let script = "curl -sk -X POST -H \"Authorization: Bearer $ACME_KEY\" https://api.acme.test/echo";
    let mut command = hand.command(&["exec", "--secret", "acme_key", "--client-id", "its me", "--"]);
    let ran = Program::start(command.arg(&shell).args(["-c", script])).finish().expect_success();
    let problem: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
    let fix = problem["fix"].as_str().unwrap();
    let arguments = fix.strip_prefix("secrets policy explain ").unwrap();
    assert!(arguments.contains("--client 'its me'") && arguments.contains("--project "), "{fix}");
    let run = format!(
        "'{}' --timeout 60 --home '{}' policy explain {arguments}",
        env!("CARGO_BIN_EXE_secrets"),
        hand.home.display()
    );
    let shown = Program::start(std::process::Command::new(shell).args(["-c", &run])).finish().expect_success();
    assert!(shown.stdout.contains("cap_denied") && shown.stdout.contains("project"), "{shown:?}");
}
