//! Tests of what takes away: a body that is said to be something else, what is spelt brokenly, what comes later by a
//! WebSocket. All of it could be what a rule looks for.

use http::HeaderMap;

use super::super::{Body, Content, LeaseFacts, PolicySet, Protocol, RequestFacts, Verdict};
use crate::base::{Authority, Scheme};

const SERVICE: &str = r#"
schema = 1
kind   = "service"
id     = "chat"
name   = "Chat"
[host.api]
origin = "https://chat.example"
[credential.key]
type = "token"
[[inject]]
host = "api"
use  = "key"
at   = [{ header = "x-key" }]
[cap.all]
about = "All but what is taken"
risk  = "write"
allow = [{ path = "/**" }, { path = "/**", upgrade = "websocket" }]
deny = [
  { path = "/form", form = { role = "admin*" } },
  { path = "/json", json = { "/role" = "admin" } },
  { path = "/both", form = { role = "admin*" }, json = { "/role" = "admin*" } },
  { path = "/query", query = { role = "admin*" } },
  { path = "/field", header = { x-role = "admin" } },
  { path = "/graphql", graphql = { operation = "mutation" } },
  { path = "/rpc", jsonrpc = { method = "drop" } },
]
[cap.live]
about = "What is not live"
risk  = "read"
allow = [{ method = "POST", path = "/live", json = { "/live" = "false", "/name" = "**" } }]
[cap.text]
about = "What says so in a text"
risk  = "read"
allow = [{ method = "POST", path = "/live", json = { "/live" = '"false"' } }]
deny  = [{ path = "/live", json = { "/name" = '"null"' } }]
"#;

fn set(allow: &str) -> PolicySet {
    let policy =
        format!("schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"chat\"\nitem = \"k\"\nallow = [\"{allow}\"]\n");
    PolicySet::of_texts(&[("chat.toml", SERVICE), ("mine.toml", &policy)]).unwrap_or_else(|errors| panic!("{errors}"))
}

/// The verdict on a request with these fields and, unless it is a handshake, this body.
fn judge(set: &PolicySet, call: &str, fields: &[(&'static str, &str)], body: &str, protocol: Protocol) -> Verdict {
    let (method, target) = call.split_once(' ').unwrap();
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, value.parse().unwrap());
    }
    let body = Body::read(body.to_owned().into(), &headers);
    let (service, secret, client) = ("chat".parse().unwrap(), "k".parse().unwrap(), "codex".parse().unwrap());
    let lease = LeaseFacts {
        service: &service,
        credential: "key",
        secret: &secret,
        client: &client,
        project: None,
        environment: None,
        narrow: &[],
    };
    let authority = Authority::parse("chat.example", Some(443)).unwrap();
    let content = Content { query, headers: &headers, body: &body };
    let request = RequestFacts { scheme: Scheme::Https, authority: &authority, method, path, protocol, content };
    assert!(protocol == Protocol::Http || set.peek(&lease, &request).is_none(), "a handshake has no body to read");
    set.decide(&lease, &request).verdict
}

const JSON: (&str, &str) = ("content-type", "application/json");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const PARTS: (&str, &str) = ("content-type", "multipart/form-data; boundary=x");
const TEXT: (&str, &str) = ("content-type", "text/plain");
const CODED: (&str, &str) = ("content-encoding", "br");

/// An endpoint that takes a form and JSON: each is read as what it says it is, and anything else is taken.
#[test]
fn a_rule_with_form_and_json_takes_away_from_both() {
    let set = set("all");
    for (fields, body, verdict) in [
        (&[FORM][..], "role=admin", Verdict::Deny),
        (&[FORM], "role=user", Verdict::Allow),
        (&[JSON], r#"{"role":"admin-2"}"#, Verdict::Deny),
        (&[JSON], r#"{"role":"user"}"#, Verdict::Allow),
        (&[TEXT], "role=user", Verdict::Deny),
        (&[], r#"{"role":"user"}"#, Verdict::Deny),
        (&[], "", Verdict::Allow),
    ] {
        assert_eq!(judge(&set, "POST /both", fields, body, Protocol::Http), verdict, "{fields:?} {body}");
    }
}

#[test]
fn a_body_that_is_said_to_be_something_else_is_taken_to_hold_what_a_rule_looks_for() {
    let set = set("all");
    let parts = "--x\r\nContent-Disposition: form-data; name=\"role\"\r\n\r\nadmin\r\n--x--";
    for (path, fields, body) in [
        ("POST /form", &[FORM][..], "role=admin"),
        ("POST /form", &[PARTS], parts),
        ("POST /form", &[JSON], r#"{"role":"admin"}"#),
        ("POST /form", &[FORM, CODED], "role=user"),
        ("POST /form", &[FORM, FORM], "role=user"),
        ("POST /form", &[], "role=user"),
        ("POST /json", &[JSON], r#"{"role":"admin"}"#),
        ("POST /json", &[FORM], r#""&role=admin&""#),
        ("POST /json", &[PARTS], parts),
        ("POST /json", &[TEXT], r#"{"role":"user"}"#),
        ("POST /json", &[JSON, CODED], r#"{"role":"user"}"#),
    ] {
        assert_eq!(judge(&set, path, fields, body, Protocol::Http), Verdict::Deny, "{path} {fields:?} {body}");
    }
    for (path, fields, body) in [
        ("POST /form", &[FORM][..], "role=user"),
        ("POST /json", &[JSON], r#"{"role":"user"}"#),
        ("POST /form", &[PARTS], ""),
        ("POST /other", &[PARTS], parts),
    ] {
        assert_eq!(judge(&set, path, fields, body, Protocol::Http), Verdict::Allow, "{path} {fields:?} {body}");
    }
}

#[test]
fn what_is_spelt_brokenly_could_be_anything() {
    let set = set("all");
    for (call, fields, body, verdict) in [
        ("GET /query?role=admin%", &[][..], "", Verdict::Deny),
        ("GET /query?%=admin", &[], "", Verdict::Deny),
        ("GET /query?role=%ff", &[], "", Verdict::Deny),
        ("GET /query?x=%&role=user", &[], "", Verdict::Allow),
        ("POST /form", &[FORM], "role=%61dmin%zz", Verdict::Deny),
        ("POST /form", &[FORM], "text=100%&role=user", Verdict::Allow),
        ("GET /field", &[("x-role", "user, Admin")], "", Verdict::Deny),
        ("GET /field", &[("x-role", "user,admin;q=1")], "", Verdict::Allow),
        ("GET /field", &[("x-role", "user")], "", Verdict::Allow),
    ] {
        assert_eq!(judge(&set, call, fields, body, Protocol::Http), verdict, "{call} {fields:?} {body}");
    }
}

#[test]
fn what_messages_of_a_websocket_hold_is_taken_to_be_what_a_rule_looks_for() {
    let set = set("all");
    for path in ["/form", "/json", "/graphql", "/rpc"] {
        assert_eq!(judge(&set, &format!("GET {path}"), &[], "", Protocol::WebSocket), Verdict::Deny, "{path}");
    }
    for path in ["/query", "/other"] {
        assert_eq!(judge(&set, &format!("GET {path}"), &[], "", Protocol::WebSocket), Verdict::Allow, "{path}");
    }
}

#[test]
fn a_text_is_not_the_word_that_it_spells() {
    let set = set("live");
    for (body, verdict) in [
        (r#"{"live":false,"name":"x"}"#, Verdict::Allow),
        (r#"{"live":false,"name":"true"}"#, Verdict::Allow),
        (r#"{"live":"false","name":"x"}"#, Verdict::Deny),
        (r#"{"live":null,"name":"x"}"#, Verdict::Deny),
    ] {
        assert_eq!(judge(&set, "POST /live", &[JSON], body, Protocol::Http), verdict, "{body}");
    }
    let set = self::set("text");
    for (body, verdict) in [
        (r#"{"live":"false","name":"x"}"#, Verdict::Allow),
        (r#"{"live":false,"name":"x"}"#, Verdict::Deny),
        (r#"{"live":"false","name":"null"}"#, Verdict::Deny),
    ] {
        assert_eq!(judge(&set, "POST /live", &[JSON], body, Protocol::Http), verdict, "{body}");
    }
}
