//! Tests of rules that look at queries, fields and bodies: what gives is read exactly, what takes is read widely.

use http::HeaderMap;

use super::super::{Body, Content, Decision, LeaseFacts, Peek, PolicySet, Protocol, RequestFacts, Until, Verdict};
use crate::base::{Authority, RefusalCode, Scheme};

pub(super) const SERVICE: &str = r#"
schema = 1
kind   = "service"
id     = "chat"
name   = "Chat"
[host.api]
origin = "https://chat.example"
[param.channel]
about = "channel id"
[credential.key]
type = "token"
[[inject]]
host = "api"
use  = "key"
at   = [{ header = "x-key" }]
[cap.cheap]
about = "Run the small models"
risk  = "read"
allow = [{ method = "POST", path = "/v1/run", json = { "/model" = ["small-*", "tiny"] }, body_max = "64KiB" }]
deny  = [{ json = { "/tools/*/type" = "shell" } }]
[cap.post]
about = "Post to a channel"
risk  = "write"
allow = [
  { method = "POST", path = "/v1/post", json = { "/channel" = "{channel}" } },
  { method = "POST", path = "/v1/form", form = { channel = "{channel}" } },
]
[cap.search]
about = "Search"
risk  = "read"
allow = [{ method = "GET", path = "/v1/search", query = { kind = ["public", "mine"] }, header = { "x-version" = "2*" } }]
[cap.admin]
about = "Anything with the admin flag"
risk  = "admin"
allow = [{ method = "POST", path = "/v1/**", json = { "/admin" = "true" } }]
[cap.rest]
about = "All the rest"
risk  = "write"
allow = [{ method = "POST", path = "/v1/rest" }]
"#;

fn set(lists: &str) -> PolicySet {
    let policy = format!("schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"chat\"\nitem = \"k\"\n{lists}\n");
    PolicySet::of_texts(&[("chat.toml", SERVICE), ("mine.toml", &policy)]).unwrap_or_else(|errors| panic!("{errors}"))
}

/// What is sent.
pub(super) struct Sent<'a> {
    pub(super) call: &'a str,
    pub(super) fields: &'a [(&'static str, &'a str)],
    pub(super) body: Option<&'a str>,
}

impl Sent<'_> {
    fn with<T>(&self, look: impl FnOnce(&LeaseFacts<'_>, &RequestFacts<'_>) -> T) -> T {
        let (method, target) = self.call.split_once(' ').unwrap();
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let mut headers = HeaderMap::new();
        for (name, value) in self.fields {
            headers.append(*name, value.parse().unwrap());
        }
        let body = self.body.map_or_else(Body::unread, |text| Body::read(text.to_owned().into(), &headers));
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
        let (scheme, protocol) = (Scheme::Https, Protocol::Http);
        look(&lease, &RequestFacts { scheme, authority: &authority, method, path, protocol, content })
    }

    pub(super) fn judge(&self, set: &PolicySet) -> Decision {
        self.with(|lease, request| set.decide(lease, request))
    }

    pub(super) fn peek(&self, set: &PolicySet) -> Option<Peek> {
        self.with(|lease, request| set.peek(lease, request))
    }
}

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

pub(super) fn json<'a>(call: &'a str, body: &'a str) -> Sent<'a> {
    Sent { call, fields: JSON, body: Some(body) }
}

#[test]
fn a_body_gives_when_it_says_what_the_rule_wants() {
    let set = set("allow = [\"cheap\"]");
    let run = |body| json("POST /v1/run", body).judge(&set);
    let allowed = run(r#"{"model":"small-1","input":"x"}"#);
    assert_eq!((allowed.verdict, allowed.body_max), (Verdict::Allow, Some(64 << 10)));
    for body in [
        "",
        "{}",
        r#"{"model":"large"}"#,
        r#"{"model":["small-1"]}"#,
        r#"{"model":"small-1","model":"large"}"#,
        r#"{"model":"small-1","Model":"large"}"#,
        r#"{"model":"small-1"} {}"#,
        r#"{"model":"small-1","tools":[{"type":"shell"}]}"#,
        r#"{"model":"small-1","tools":[{"Type":"SHELL"}]}"#,
        "model=small-1",
    ] {
        assert_eq!(run(body).code, Some(RefusalCode::CapDenied), "{body}");
    }
    let untold = Sent { fields: &[], ..json("POST /v1/run", r#"{"model":"tiny"}"#) };
    assert_eq!(untold.judge(&set).code, Some(RefusalCode::CapDenied), "a body that is not said to be JSON");
    let coded = [("content-type", "application/json"), ("content-encoding", "gzip")];
    let coded = Sent { fields: &coded, ..json("POST /v1/run", r#"{"model":"tiny"}"#) };
    assert_eq!(coded.judge(&set).code, Some(RefusalCode::CapDenied));
}

#[test]
fn what_is_unclear_where_no_rule_looks_gives_nothing_and_takes() {
    let run = set("allow = [\"cheap\"]");
    let post = set("allow = [\"post\"]\ndeny = [\"admin\"]");
    for value in [r#""\ud800""#, r#""\udc00\ud800""#, "1e999", "-1e999", r#"{"a":1,"a":1}"#] {
        let body = format!(r#"{{"model":"tiny","channel":"c","other":{value}}}"#);
        assert_eq!(json("POST /v1/run", &body).judge(&run).verdict, Verdict::Deny, "{value}");
        assert_eq!(json("POST /v1/post", &body).judge(&post).verdict, Verdict::Deny, "{value}");
    }
    for value in [r#""\ud83d\ude00""#, "1e99"] {
        let body = format!(r#"{{"model":"tiny","channel":"c","other":{value}}}"#);
        assert_eq!(json("POST /v1/run", &body).judge(&run).verdict, Verdict::Allow, "{value}");
        assert_eq!(json("POST /v1/post", &body).judge(&post).verdict, Verdict::Allow, "{value}");
    }
}

#[test]
fn what_takes_away_is_seen_however_it_is_written() {
    let set = set("allow = [\"rest\"]\ndeny = [\"admin\"]");
    let send = |body| json("POST /v1/rest", body).judge(&set).verdict;
    for plain in ["", "{}", r#"{"admin":false}"#, r#"{"x":{"admin":true}}"#] {
        assert_eq!(send(plain), Verdict::Allow, "{plain}");
    }
    for taken in [
        r#"{"admin":true}"#,
        r#"{"ADMIN":"True"}"#,
        r#"{"admin":[true]}"#,
        r#"{"admin":false,"Admin":true}"#,
        r#"{"admin":false,"admin":true}"#,
        "admin=true",
        "{'admin':true}",
    ] {
        assert_eq!(send(taken), Verdict::Deny, "{taken}");
        let untold = Sent { fields: &[], ..json("POST /v1/rest", taken) };
        assert_eq!(untold.judge(&set).verdict, Verdict::Deny, "{taken}");
    }
    let unread = Sent { body: None, ..json("POST /v1/rest", "") };
    assert_eq!(unread.judge(&set).verdict, Verdict::Deny, "what nobody has read may be anything");
}

#[test]
fn only_what_needs_a_body_has_it_read() {
    let cheap = set("allow = [\"cheap\", \"search\"]");
    let unread = |call| Sent { call, fields: JSON, body: None };
    assert_eq!(
        unread("POST /v1/run").peek(&cheap),
        Some(Peek { most: Peek::MOST, until: Until::End }),
        "its `deny` has no bound of its own"
    );
    assert_eq!(unread("GET /v1/search?kind=mine").peek(&cheap), None);
    assert_eq!(
        unread("POST /v1/post").peek(&set("allow = [\"post\"]")),
        Some(Peek { most: Peek::MOST, until: Until::End })
    );
    assert_eq!(unread("POST /v1/rest").peek(&set("allow = [\"rest\"]")), None, "nothing that is granted looks");
    assert!(unread("POST /v1/rest").peek(&set("allow = [\"rest\"]\nask = [\"admin\"]")).is_some());
    let told = unread("POST /v1/run").judge(&cheap);
    assert!(told.reason.contains("only if its body fits"), "{}", told.reason);
}

#[test]
fn a_parameter_in_a_body_is_held_to_its_limits() {
    let set = set("allow = [\"post\"]\nonly = { channel = [\"C1\", \"C2\"] }");
    assert_eq!(json("POST /v1/post", r#"{"channel":"C1"}"#).judge(&set).verdict, Verdict::Allow);
    assert_eq!(json("POST /v1/post", r#"{"channel":"C9"}"#).judge(&set).code, Some(RefusalCode::OutOfScope));
    assert_eq!(json("POST /v1/post", r#"{"channel":"C1","Channel":"C9"}"#).judge(&set).verdict, Verdict::Deny);
    assert_eq!(json("POST /v1/post", "{}").judge(&set).verdict, Verdict::Deny);
    let form = |body| Sent {
        call: "POST /v1/form",
        fields: &[("content-type", "application/x-www-form-urlencoded")],
        body: Some(body),
    };
    assert_eq!(form("channel=C2&text=hi").judge(&set).verdict, Verdict::Allow);
    for body in ["channel=C2&channel=C9", "channel=C9", "text=hi", "channel=C2;channel=C9", "channel=C2&channel[]=C9"] {
        assert_eq!(form(body).judge(&set).verdict, Verdict::Deny, "{body}");
    }
}

#[test]
fn queries_and_fields_are_looked_at_without_a_body() {
    let set = set("allow = [\"search\"]");
    let send = |call, fields| Sent { call, fields, body: None }.judge(&set).verdict;
    let version: &[(&'static str, &str)] = &[("x-version", "2026")];
    assert_eq!(send("GET /v1/search?kind=mine&q=x", version), Verdict::Allow);
    assert_eq!(send("GET /v1/search?q=x&kind=public&kind=mine", version), Verdict::Allow);
    assert_eq!(send("GET /v1/search?kind=secret", version), Verdict::Deny);
    assert_eq!(send("GET /v1/search?kind=mine&kind=secret", version), Verdict::Deny);
    assert_eq!(send("GET /v1/search?kind=mine&KIND=secret", version), Verdict::Deny);
    assert_eq!(send("GET /v1/search", version), Verdict::Deny);
    assert_eq!(send("GET /v1/search?kind=mine", &[]), Verdict::Deny);
    assert_eq!(send("GET /v1/search?kind=mine", &[("x-version", "2"), ("x-version", "1")]), Verdict::Deny);
}

#[test]
fn matchers_that_can_match_nothing_are_faults() {
    for (rule, why) in [
        ("{ json = { model = \"x\" } }", "must begin with `/`"),
        ("{ json = { \"/model\" = [] } }", "lists nothing"),
        ("{ header = { \"bad name\" = \"x\" } }", "no header name"),
        ("{ query = { \"\" = \"x\" } }", "no usable name"),
        ("{ json = { \"/model\" = \"{x}\" } }", "not declared"),
        ("{ form = { a = \"{channel}*\" } }", "another hole"),
        ("{ body_max = \"big\" }", "no size"),
        ("{ json = { \"/a\" = \"b\" }, body_max = \"17MiB\" }", "16 MiB at most"),
    ] {
        let service = SERVICE.replace("[{ method = \"POST\", path = \"/v1/rest\" }]", &format!("[{rule}]"));
        let errors = PolicySet::of_texts(&[("chat.toml", &service)]).unwrap_err().to_string();
        assert!(errors.contains(why), "{rule}: {errors}");
    }
}
