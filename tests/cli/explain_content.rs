//! `secrets policy explain` of requests that rules tell apart by their heads and bodies, with the flags that curl has.

use std::fs;

use serde_json::Value;

use crate::{
    explain::{done, explained},
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
[cap.ask]
about = "Ask by GraphQL"
risk = "read"
allow = [{ method = "POST", path = "/graphql", graphql = { operation = "query" } }]
[cap.comment]
about = "Comment by GraphQL"
risk = "write"
allow = [{ method = "POST", path = "/graphql", graphql = { operation = "mutation", field = ["addComment"] } }]
[cap.run]
about = "Run what is small"
risk = "spend"
allow = [
  { method = "POST", path = "/run", json = { "/size" = "small" } },
  { method = "POST", path = "/short", json = { "/size" = "small" }, body_max = "16B" },
  { method = "POST", path = "/long", json = { "/size" = "small" }, body_max = "4MiB" },
]
[cap.form]
about = "Send a form"
risk = "write"
allow = [{ method = "POST", path = "/form", form = { kind = "note" } }]
[cap.mode]
about = "Do it safely"
risk = "write"
allow = [{ method = "POST", path = "/mode", header = { "x-mode" = "safe" } }]
[cap.put]
about = "Put what is short"
risk = "write"
allow = [{ method = "POST", path = "/put", body_max = "1KiB" }]
"#;

const JSON: &str = "content-type: application/json";
const FORM: &str = "content-type: application/x-www-form-urlencoded";

/// What is asked, as flags of curl, what comes of it, and what becomes of the body.
const REQUESTS: [(&str, &[&str], &str, &str); 14] = [
    ("/graphql", &["-H", JSON, "-d", r#"{"query":"{viewer{login}}"}"#], "allow", "read"),
    ("/graphql", &["-H", JSON, "-d", r#"{"query":"mutation{addComment{id}}"}"#], "allow", "read"),
    ("/graphql", &["-H", JSON, "-d", r#"{"query":"mutation{dropAll{id}}"}"#], "cap_denied", "read"),
    ("/graphql", &["-H", JSON, "-d", "@lines.json"], "allow", "read"),
    ("/run", &["-H", JSON, "-d", r#"{"size":"small"}"#], "allow", "read"),
    ("/run", &["-H", JSON, "-d", r#"{"size":"large"}"#], "cap_denied", "read"),
    ("/run", &["-H", "content-type: text/plain", "-d", r#"{"size":"small"}"#], "cap_denied", "read"),
    ("/short", &["-H", JSON, "-d", r#"{"size":"small"}"#], "allow", "read"),
    ("/short", &["-H", JSON, "-d", r#"{ "size":"small"}"#], "body_too_large", "too_long"),
    ("/form", &["-H", FORM, "-d", "kind=note", "-d", "text=x"], "allow", "read"),
    ("/form", &["-H", FORM, "-d", "kind=order", "-d", "text=x"], "cap_denied", "read"),
    ("/mode", &["-H", "x-mode: safe"], "allow", "unneeded"),
    ("/mode", &["-H", "x-mode: fast"], "cap_denied", "unneeded"),
    ("/put", &["-H", FORM, "-d", "@thousands"], "body_too_large", "unneeded"),
];

fn world() -> (Origin, Hand) {
    let ca = TestCa::new();
    let origin = Origin::builder(ca.leaf_for(&[HOST])).speaks(Speaks::Both).start();
    let hand = Hand::in_front_of(&ca, &origin, &[HOST]);
    let policies = hand.home.join("policies");
    fs::create_dir_all(&policies).unwrap();
    fs::write(policies.join("acme.toml"), SERVICE).unwrap();
    let grant = "schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"acme\"\nitem = { key = \"acme_key\" }\n\
                 allow = [\"ask\", \"comment\", \"run\", \"form\", \"mode\", \"put\"]\n";
    fs::write(policies.join("grant.toml"), grant).unwrap();
    let (code, added) = hand.envelope(&["add", "acme_key", "--service", "acme"], SECRET.as_bytes());
    assert_eq!(code, 0, "{added}");
    fs::write(hand.work.join("lines.json"), "{\n\"query\":\r\n \"{viewer{login}}\"}\n").unwrap();
    fs::write(hand.work.join("thousands"), "x".repeat(2_000)).unwrap();
    (origin, hand)
}

fn url(path: &str) -> String {
    format!("https://{HOST}{path}")
}

/// What is said of one request.
fn explain(hand: &Hand, path: &str, flags: &[&str], input: &[u8]) -> Value {
    let url = url(path);
    let (code, said) = hand.envelope(&[&["policy", "explain", "POST", &url], flags].concat(), input);
    assert_eq!(code, 0, "{path} {flags:?}: {said}");
    said["result"].clone()
}

#[test]
fn explain_and_proxy_agree_about_heads_and_bodies_given_as_to_curl() {
    let (Some(shell), Some(_)) = (find_program("sh"), find_program("curl")) else { return };
    let (origin, hand) = world();
    let curl = |at: usize, path: &str, flags: &[&str]| {
        let flags = flags.iter().map(|flag| format!(" '{flag}'")).collect::<Vec<_>>().concat();
        let lease = "-H \"Authorization: Bearer $ACME_KEY\"";
        format!("curl -sk -o body.{at} -D head.{at} -X POST {lease}{flags} '{}' || true\n", url(path))
    };
    let script: String = REQUESTS.iter().enumerate().map(|(at, (path, flags, ..))| curl(at, path, flags)).collect();
    let mut command = hand.command(&["exec", "--secret", "acme_key", "--"]);
    let _out = Program::start(command.arg(shell).args(["-c", &script])).finish().expect_success();
    for (at, (path, flags, expected, seen)) in REQUESTS.into_iter().enumerate() {
        let url = url(path);
        let arguments = [&["POST", &url], flags].concat();
        assert_eq!(explained(&hand, &arguments), expected, "explained: {path} {flags:?}");
        assert_eq!(explain(&hand, path, flags, b"")["body"]["seen"], seen, "{path} {flags:?}");
        let expected = if expected == "allow" { "passed" } else { expected };
        assert_eq!(done(&hand, at), expected, "done: {path} {flags:?}");
        if expected == "cap_denied" {
            let refusal = fs::read_to_string(hand.work.join(format!("body.{at}"))).unwrap();
            let told = if path == "/mode" { "`x-mode` (`--header`)" } else { "rules look at its body (`--data-file`)" };
            assert!(refusal.contains(told), "the fix says what decides: {refusal}");
        }
    }
    let passed = REQUESTS.iter().filter(|request| request.2 == "allow").count();
    assert_eq!(origin.requests().len(), passed, "what was refused did not leave");
    assert_eq!(hand.records_of("request_refused").len(), REQUESTS.len() - passed);
}

#[test]
fn what_is_not_given_is_said_to_decide() {
    let (_origin, hand) = world();
    let none = explain(&hand, "/run", &[], b"");
    assert_eq!((&none["code"], &none["body"]["seen"]), (&"cap_denied".into(), &"missing".into()), "{none}");
    assert!(none["reason"].as_str().unwrap().contains("only if its body fits"), "{none}");
    assert_eq!(none["fields"], serde_json::json!([{"name": "content-type", "given": false}]), "{none}");
    let empty = explain(&hand, "/run", &["-d", ""], b"");
    assert_eq!((&empty["body"]["seen"], &empty["body"]["length"]), (&"read".into(), &0.into()), "{empty}");
    let mode = explain(&hand, "/mode", &["-d", "abc"], b"");
    assert_eq!(mode["fields"], serde_json::json!([{"name": "x-mode", "given": false}]), "{mode}");
    assert_eq!((&mode["body"]["seen"], &mode["body"]["length"]), (&"unneeded".into(), &3.into()), "{mode}");

    let human = |path: &str, flags: &[&str]| {
        let url = url(path);
        let arguments = [&["--output", "human", "policy", "explain", "POST", &url], flags].concat();
        String::from_utf8(hand.run(&arguments, b"").stdout).unwrap()
    };
    let shown = human("/run", &[]);
    assert!(shown.contains("--data-file") && shown.contains("content-type: not given; --header"), "{shown}");
    let shown = human("/run", &["-H", JSON, "-d", r#"{"size":"small"}"#]);
    assert!(shown.contains("16 bytes, read") && shown.contains("content-type: given"), "{shown}");
    let shown = human("/short", &["-H", JSON, "-d", r#"{ "size":"small"}"#]);
    assert!(shown.contains("17 bytes; rules look into 16 at most") && shown.contains("body_too_large"), "{shown}");
}

#[test]
fn a_body_comes_from_a_file_or_from_standard_input_within_a_bound() {
    let (_origin, hand) = world();
    let small = |length: usize| format!("{{\"size\":\"small\",\"x\":\"{}\"}}", "x".repeat(length));
    let piped = explain(&hand, "/run", &["-H", JSON, "--data-file", "-"], small(10).as_bytes());
    assert_eq!((&piped["verdict"], &piped["body"]["seen"]), (&"allow".into(), &"read".into()), "{piped}");
    let said = |path: &str, length: usize| {
        fs::write(hand.work.join("body"), small(length)).unwrap();
        let said = explain(&hand, path, &["-H", JSON, "--data-file", "body"], b"");
        let code = said["code"].as_str().or(said["verdict"].as_str()).unwrap().to_owned();
        (code, said["body"]["seen"].as_str().unwrap().to_owned())
    };
    let is = |code: &str, seen: &str| (code.to_owned(), seen.to_owned());
    assert_eq!(said("/run", (1 << 20) - 100), is("allow", "read"));
    assert_eq!(said("/run", 1 << 20), is("body_too_large", "too_long"), "a rule looks into 1 MiB");
    assert_eq!(said("/long", 1 << 20), is("cap_denied", "cut"), "more is looked into than can be handed over");
    assert_eq!(said("/long", 5 << 20), is("body_too_large", "too_long"));

    let file = fs::File::create(hand.work.join("huge")).unwrap();
    file.set_len((16 << 20) + 1).unwrap();
    let huge = ["policy", "explain", "POST", &url("/run"), "--data-file", "huge"];
    let (code, refused) = hand.envelope(&huge, b"");
    assert!(code != 0 && refused["error"]["message"].as_str().unwrap().contains("no rule looks further"), "{refused}");
    let (code, missing) = hand.envelope(&["policy", "explain", "POST", &url("/run"), "-d", "@nowhere"], b"");
    assert!(code != 0 && missing["error"]["message"].as_str().unwrap().contains("nowhere"), "{missing}");
    let both = hand.run(&["policy", "explain", "POST", &url("/run"), "-d", "a", "--data-file", "body"], b"");
    assert_eq!(both.status.code(), Some(2), "{both:?}");
}

#[test]
fn nothing_that_a_field_or_a_body_holds_is_printed() {
    let (_origin, hand) = world();
    let token = String::from_utf8(hand.run(&["lease", "acme_key", "--token"], b"").stdout).unwrap();
    let token = token.trim();
    let github = "ghp_0123456789abcdefghijklmnopqrstuvwxyz";
    let url = url("/run");
    let bearer = format!("authorization: Bearer {token}");
    let (key, body) = (format!("x-api-key: {github}"), format!("{{\"size\":\"{github}\"}}"));
    let (odd_name, odd_value) = (format!("Bearer {token}"), format!("x-key: {github}\n{token}"));
    for flags in [
        &["-H", &bearer, "-H", &key, "-H", JSON, "-d", &body][..],
        &["-H", &odd_name],
        &["-H", &format!("{token} {github}: x")],
        &["-H", &odd_value],
        &["-H", &key, "-H"],
    ] {
        for form in ["human", "json"] {
            let arguments = [&["--output", form, "policy", "explain", "POST", &url], flags].concat();
            let ran = hand.run(&arguments, b"");
            let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
            assert!(!said.is_empty() && !said.contains(token) && !said.contains(github), "{flags:?}: {said}");
        }
    }
    let log = String::from_utf8(hand.read("audit.log")).unwrap();
    assert!(!log.contains(token) && !log.contains(github));
}
