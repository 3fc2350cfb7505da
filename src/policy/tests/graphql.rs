//! Tests of rules over GraphQL: every root field counts, however it is written, and what is unclear gives nothing.

use serde_json::json as value;

use super::super::{PolicySet, Verdict};
use super::content::{Sent, json};
use crate::base::RefusalCode;

const SERVICE: &str = r#"
schema = 1
kind   = "service"
id     = "chat"
name   = "Chat"
[host.api]
origin = "https://chat.example"
[param.room]
about = "a room"
[credential.key]
type = "token"
[[inject]]
host = "api"
use  = "key"
at   = [{ header = "x-key" }]
[cap.read]
about = "Queries"
risk  = "read"
allow = [{ method = ["GET", "POST"], path = "/graphql", graphql = { operation = "query" } }]
[cap.issues]
about = "Issues"
risk  = "write"
allow = [{ method = ["GET", "POST"], path = "/graphql", graphql = { operation = "mutation", field = ["addComment", "create*"] } }]
[cap.rest]
about = "Every other mutation"
risk  = "admin"
allow = [{ path = "/graphql", graphql = { operation = "mutation" } }]
deny  = [{ path = "/graphql", graphql = { operation = "mutation", field = ["addComment", "create*"] } }]
[cap.some]
about = "Some queries, in batches too"
risk  = "read"
allow = [{ method = "POST", path = "/some", graphql = { operation = ["query", "subscription"], field = ["viewer", "node"], batch = true } }]
[cap.known]
about = "Known documents"
risk  = "read"
allow = [{ path = "/known", graphql = { operation = "query", persisted = ["abc123", "7"] } }]
[cap.anything]
about = "All of it"
risk  = "write"
allow = [{ path = "/**" }]
"#;

fn set(lists: &str) -> PolicySet {
    let policy = format!("schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"chat\"\nitem = \"k\"\n{lists}\n");
    PolicySet::of_texts(&[("chat.toml", SERVICE), ("mine.toml", &policy)]).unwrap_or_else(|errors| panic!("{errors}"))
}

/// What becomes of a document that is posted.
fn post(set: &PolicySet, path: &str, document: &str) -> Verdict {
    json(&format!("POST {path}"), &value!({ "query": document }).to_string()).judge(set).verdict
}

/// Documents that only look at `viewer` and `node`.
const QUERIES: &[&str] = &[
    "{ viewer { login } }",
    "query { viewer { login } }",
    "query Mine($id: ID! = 1 @x, $l: [[Int!]!] = [[1]]) @cached(ttl: 5) { me: viewer { login } node(id: $id) { id } }",
    "{ viewer { mutation } node(id: \"mutation { deleteIssue }\") { id } }",
    "{ ...Both } fragment Both on Query { viewer { x } ... on Query { ...Deep } } fragment Deep on Query { node { x } }",
    "{ ... @include(if: false) { viewer { x } } ... { node { x } } }",
    "{ ...A viewer } fragment A on Query { ...B } fragment B on Query { ...A node }",
    "# mutation { deleteIssue }\n{ viewer # } mutation {\n }",
    "{ node(id: \"\"\"a \"quoted\" } mutation { \"\"\") { id } }",
    "{ node(id: \"\\\" } mutation { deleteIssue } #\") { id } }",
    "{ node(id: \"\\u0022 } mutation { x } \\u{1F4A9} é\") { id } }",
    ",,, query,Q,{,viewer,{,login,},__typename,},",
    "\t\r\n{\rviewer\n}",
    "query A { viewer }",
    "{ node(o: {a: [1, -2.5e3, true, null, RED], b: $v}) { id } }",
];

/// Documents that do or could do something else.
const OTHERS: &[&str] = &[
    "",
    "{}",
    "{ viewer",
    "{ viewer } }",
    "query",
    "{ me: deleteIssue }",
    "{ viewer: deleteIssue viewer }",
    "{ viewer secrets }",
    "{ __schema { types { name } } }",
    "{ __type(name: \"x\") { name } }",
    "{ viewer @include(if: true) other @skip(if: true) }",
    "{ ...F } fragment F on Query { viewer other }",
    "{ ...F } fragment F on Query { ... { ... on Query { ...G } } } fragment G on Query { x: other }",
    "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A other }",
    "{ viewer ...Missing }",
    "{ ...F } fragment F on Query { viewer } fragment F on Query { viewer }",
    "{ ...on } fragment on on Query { viewer }",
    "fragment F on Query { viewer }",
    "query A { viewer } query B { viewer }",
    "{ viewer } { node }",
    "query A { viewer } query A { node }",
    "# comment\nmutation { viewer }",
    "mutation { viewer }",
    "mutation M { node }",
    "subscription { other }",
    "QUERY { viewer }",
    "Mutation { viewer }",
    "{ viewer } type Query { viewer: Int }",
    "{ viewer } extend schema @x { query: Q }",
    "schema { query: Q }",
    "{ viewer } # \u{2028} mutation { deleteIssue }",
    "{ viewer } # \u{85} mutation { deleteIssue }",
    "{ viewer } # \u{b} mutation { deleteIssue }",
    "\u{feff}{ viewer }",
    "{ viewer\u{0} }",
    "{ vi\u{65b9}ewer }",
    "{ viewer\u{a0}}",
    "{ node(id: \"a\nb\") { id } }",
    "{ node(id: \"\nb\") { id } }",
    "{ node(id: \"\\x\") { id } }",
    "{ node(id: \"\"\" \\\"\"\" } mutation { x } \"\"\") { id } }",
    "{ node(id: \"\"\"unended) { id } }",
    "{ node(id: \"\\ud800\") { id } }",
    "{ node(id: 01) { id } }",
    "{ viewer { ...} }",
    "{ viewer; node }",
    "{ viewer } garbage",
];

#[test]
fn every_root_field_of_every_operation_counts() {
    let set = set("allow = [\"some\"]");
    for document in QUERIES {
        assert_eq!(post(&set, "/some", document), Verdict::Allow, "{document}");
    }
    for document in OTHERS {
        assert_eq!(post(&set, "/some", document), Verdict::Deny, "{document}");
    }
    assert_eq!(post(&set, "/some", "subscription { viewer }"), Verdict::Allow);
    assert_eq!(post(&set, "/some", "{ __typename }"), Verdict::Allow, "tells nothing");
    assert_eq!(post(&set, "/some", "mutation { __typename }"), Verdict::Deny);
}

#[test]
fn what_takes_away_is_found_in_every_corner() {
    let set = set("allow = [\"anything\"]\ndeny = [\"issues\"]");
    for taken in [
        "mutation { addComment }",
        "mutation { x: addComment }",
        "mutation { ADDCOMMENT }",
        "mutation { other createAnything }",
        "mutation { ...F } fragment F on Mutation { ... @skip(if: true) { a: createIssue } }",
        "query A { viewer } mutation B { addComment }",
        // What cannot be read may be anything.
        "mutation { addComment ",
        "",
        "{ viewer } type X { a: Int }",
        "{ ...Missing }",
    ] {
        assert_eq!(post(&set, "/graphql", taken), Verdict::Deny, "{taken}");
    }
    for kept in ["{ viewer }", "query { addComment }", "mutation { deleteIssue }", "{ viewer { addComment } }"] {
        assert_eq!(post(&set, "/graphql", kept), Verdict::Allow, "{kept}");
    }
    let send = |call, fields, body| Sent { call, fields, body }.judge(&set).verdict;
    let json: &[(&str, &str)] = &[("content-type", "application/json")];
    let query = r#"{"query":"{viewer}"}"#;
    assert_eq!(send("POST /graphql", json, Some(query)), Verdict::Allow);
    assert_eq!(send("GET /graphql?query={viewer}", &[], Some("")), Verdict::Allow);
    assert_eq!(send("GET /graphql", &[], Some("")), Verdict::Allow, "asks for nothing");
    for (call, fields, body) in [
        ("POST /graphql", json, None),
        ("POST /graphql", &[], Some(query)),
        ("POST /graphql", &[("content-type", "application/graphql")], Some("{ viewer }")),
        ("POST /graphql", &[("content-type", "multipart/form-data; boundary=x")], Some(query)),
        ("POST /graphql", &[("content-type", "application/json"), ("content-encoding", "gzip")], Some(query)),
        ("POST /graphql?query=mutation{addComment}", json, Some(query)),
        ("POST /graphql?QUERY=x", json, Some(query)),
        ("POST /graphql", json, Some(r#"{"query":"{viewer}","id":"abc"}"#)),
        ("POST /graphql", json, Some(r#"{"query":"{viewer}","Query":"{viewer}"}"#)),
        ("POST /graphql", json, Some(r#"[{"query":"{viewer}"},{"query":"mutation{addComment}"}]"#)),
        ("GET /graphql?query=mutation{addComment}", &[], Some("")),
        ("GET /graphql?query={viewer}", json, Some(query)),
        ("GET /graphql?query={viewer}", &[], None),
        ("GET /graphql?query={viewer}&query={node}", &[], Some("")),
        ("GET /graphql?a;query=mutation{addComment}", &[], Some("")),
        ("GET /graphql?%51uery=mutation{addComment}", &[], Some("")),
    ] {
        assert_eq!(send(call, fields, body), Verdict::Deny, "{call} {fields:?} {body:?}");
    }
    let rest = self::set("allow = [\"anything\"]\ndeny = [\"rest\"]");
    let put = |query: &str| Sent { call: "PUT /graphql", fields: json, body: Some(query) }.judge(&rest).verdict;
    assert_eq!(put(query), Verdict::Deny, "who knows what a server makes of this method");
}

#[test]
fn one_capability_can_hold_what_another_does_not() {
    let both = "mutation { addComment deleteIssue }";
    let rest = set("allow = [\"rest\"]");
    assert_eq!(post(&rest, "/graphql", "mutation { deleteIssue }"), Verdict::Allow);
    assert_eq!(post(&rest, "/graphql", "mutation { addComment }"), Verdict::Deny);
    let asks = set("allow = [\"read\", \"issues\"]\nask = [\"rest\"]");
    assert_eq!(post(&asks, "/graphql", "{ viewer }"), Verdict::Allow);
    assert_eq!(post(&asks, "/graphql", "mutation { x: addComment createIssue }"), Verdict::Allow);
    assert_eq!(post(&asks, "/graphql", "mutation { deleteIssue }"), Verdict::Ask);
    assert_eq!(post(&asks, "/graphql", both), Verdict::Deny, "no capability holds both");
    assert_eq!(post(&asks, "/graphql", "{ viewer"), Verdict::Deny);
}

#[test]
fn a_body_is_one_request_in_one_reading() {
    let set = set("allow = [\"read\"]");
    let send = |body: &str| json("POST /graphql", body).judge(&set).verdict;
    for body in [
        r#"{"query":"{viewer}"}"#,
        r#"{"query":"{viewer}","variables":null,"operationName":null,"extensions":null}"#,
        r#"{"query":"query A{viewer}","operationName":"A","variables":{"Query":"x"},"extensions":{"trace":true}}"#,
        r#"{"query":"query A{viewer} query B{node}","operationName":"B"}"#,
        r#"{"qu\u0065ry":"{\u0076iewer}"}"#,
        r#"{"query":"{viewer}","id":null}"#,
    ] {
        assert_eq!(send(body), Verdict::Allow, "{body}");
    }
    for body in [
        "",
        "{}",
        "[]",
        "null",
        "\"{viewer}\"",
        "query={viewer}",
        r#"{"query":null}"#,
        r#"{"query":["{viewer}"]}"#,
        r#"{"query":{"a":"{viewer}"}}"#,
        r#"{"Query":"{viewer}"}"#,
        r#"{"query":"{viewer}","query":"mutation{x}"}"#,
        r#"{"query":"{viewer}","qu\u0065ry":"mutation{x}"}"#,
        r#"{"query":"{viewer}","QUERY":"mutation{x}"}"#,
        r#"{"query":"{viewer}","queries":["mutation{x}"]}"#,
        r#"{"query":"{viewer}","operationName":"B"}"#,
        r#"{"query":"query A{viewer}","operationName":"a"}"#,
        r#"{"query":"query A{viewer}","operationName":["A"]}"#,
        r#"{"query":"query A{viewer} query B{node}"}"#,
        r#"{"query":"query A{viewer} query B{node}","operationName":""}"#,
        r#"{"query":"query A{viewer} query B{node}","operationName":"C"}"#,
        r#"{"query":"query A{viewer} mutation B{x}","operationName":"A"}"#,
        r#"{"query":"query A{viewer} mutation B{x}","operationName":"B"}"#,
        r#"[{"query":"{viewer}"}]"#,
        r#"{"query":"{viewer}","extensions":[]}"#,
        r#"{"query":"{viewer}","extensions":{"persistedQuery":{"version":1,"sha256Hash":"abc123"}}}"#,
        r#"{"query":"{viewer}","extensions":{"PersistedQuery":{"version":1,"sha256Hash":"abc123"}}}"#,
        r#"{"query":"{viewer}","extensions":{"persistedQuery":{"md5Hash":"abc123"}}}"#,
        r#"{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"abc123"}}}"#,
        r#"{"id":"abc123"}"#,
        r#"{"documentId":"abc123"}"#,
        r#"{"query":"{viewer}","doc_id":7}"#,
    ] {
        assert_eq!(send(body), Verdict::Deny, "{body}");
    }
}

#[test]
fn a_batch_gives_only_where_it_may_and_only_whole() {
    let set = set("allow = [\"some\"]");
    let send = |body: &str| json("POST /some", body).judge(&set).verdict;
    assert_eq!(send(r#"[{"query":"{viewer}"},{"query":"{node}"}]"#), Verdict::Allow);
    assert_eq!(send(r#"{"query":"{viewer}"}"#), Verdict::Allow);
    for body in [
        "[]",
        r#"[{"query":"{viewer}"},{"query":"mutation{x}"}]"#,
        r#"[{"query":"{viewer}"},{"query":"mutation{viewer:x}"}]"#,
        r#"[{"query":"{viewer}"},{}]"#,
        r#"[{"query":"{viewer}"},null]"#,
        r#"[[{"query":"{viewer}"}]]"#,
        r#"[{"query":"{viewer}"},{"query":"{viewer}","query":"{x}"}]"#,
    ] {
        assert_eq!(send(body), Verdict::Deny, "{body}");
    }
}

#[test]
fn known_documents_give_when_they_are_listed() {
    let set = set("allow = [\"known\"]");
    let send = |call: &str, body: &str| json(call, body).judge(&set).verdict;
    for body in [
        r#"{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"abc123"}}}"#,
        r#"{"query":null,"id":"abc123","variables":{}}"#,
        r#"{"documentId":7}"#,
        r#"{"query":"{viewer}","id":"abc123"}"#,
        r#"{"query":"{viewer}"}"#,
    ] {
        assert_eq!(send("POST /known", body), Verdict::Allow, "{body}");
    }
    for body in [
        r#"{"id":"ABC123"}"#,
        r#"{"id":"abc124"}"#,
        r#"{"id":"abc123","documentId":"x"}"#,
        r#"{"id":["abc123"]}"#,
        r#"{"query":"mutation{x}","id":"abc123"}"#,
        r#"{"id":"abc123","extensions":{"persistedQuery":{"version":1,"sha256Hash":"x"}}}"#,
        r#"[{"id":"abc123"}]"#,
    ] {
        assert_eq!(send("POST /known", body), Verdict::Deny, "{body}");
    }
    let url =
        "GET /known?extensions=%7B%22persistedQuery%22%3A%7B%22version%22%3A1%2C%22sha256Hash%22%3A%22abc123%22%7D%7D";
    assert_eq!(send(url, ""), Verdict::Allow);
    assert_eq!(send(&url.replace("abc123", "abc124"), ""), Verdict::Deny);
}

#[test]
fn a_url_asks_queries_only_and_alone() {
    let set = set("allow = [\"read\", \"issues\"]");
    let send = |call: &str, body: &str| json(call, body).judge(&set).verdict;
    for call in [
        "GET /graphql?query={viewer}",
        "GET /graphql?query=query+A%7Bviewer%7D&operationName=A&variables=%7B%7D",
        "GET /graphql?x=1&query=%7B%20viewer%20%7D",
    ] {
        assert_eq!(send(call, ""), Verdict::Allow, "{call}");
    }
    for call in [
        "GET /graphql",
        "GET /graphql?query=",
        "GET /graphql?query=mutation{addComment}",
        "GET /graphql?query={viewer}&query={viewer}",
        "GET /graphql?query={viewer}&QUERY=mutation{x}",
        "GET /graphql?query={viewer}&query[]=mutation{x}",
        "GET /graphql?query={viewer};query=mutation{x}",
        "GET /graphql?query={viewer}&id=abc",
        "GET /graphql?query={viewer}&operationName=B",
        "GET /graphql?query={viewer}&extensions=x",
        "GET /graphql?query=%7Bviewer",
        "GET /graphql?query=%ff",
    ] {
        assert_eq!(send(call, ""), Verdict::Deny, "{call}");
    }
    assert_eq!(send("GET /graphql?query={viewer}", r#"{"query":"mutation{x}"}"#), Verdict::Deny);
    assert_eq!(send("POST /graphql?query={viewer}", ""), Verdict::Deny);
    assert_eq!(send("POST /graphql?query={viewer}", r#"{"query":"{viewer}"}"#), Verdict::Deny);
    assert_eq!(send("POST /graphql?opname=x", r#"{"query":"{viewer}"}"#), Verdict::Allow);
    let head = Sent { call: "GET /graphql?query={viewer}", fields: &[], body: None };
    assert!(head.judge(&set).reason.contains("only if its body fits"), "a body would make it unclear");
    assert!(head.peek(&set).is_some());
}

#[test]
fn a_document_shows_no_parameter() {
    let limited = set("allow = [\"read\"]\nonly = { room = [\"7\"] }");
    let sent = json("POST /graphql", r#"{"query":"{viewer}"}"#);
    assert_eq!(sent.judge(&limited).code, Some(RefusalCode::OutOfScope));
    let unscoped = set("allow = [\"read\"]\nonly = { room = [\"7\"] }\nunscoped = [\"read\"]");
    assert_eq!(sent.judge(&unscoped).verdict, Verdict::Allow);
}

#[test]
fn rules_that_cannot_be_meant_are_faults() {
    for (rule, why) in [
        ("{ graphql = {} }", "names no `operation`"),
        ("{ graphql = { field = \"a\" } }", "names no `operation`"),
        ("{ graphql = { batch = true } }", "names no `operation`"),
        ("{ graphql = { operation = \"Query\" } }", "is no operation of GraphQL"),
        ("{ graphql = { operation = [] } }", "`operation` lists nothing"),
        ("{ graphql = { operation = \"query\", field = [] } }", "`field` lists nothing"),
        ("{ graphql = { operation = \"query\", persisted = [] } }", "`persisted` lists nothing"),
        ("{ graphql = { operation = \"query\", field = \"issue.title\" } }", "is no root field"),
        ("{ graphql = { operation = \"query\", field = \"{room}\" } }", "is no root field"),
        ("{ graphql = { operation = \"query\", batch = \"yes\" } }", "expected `true` or `false`"),
        ("{ graphql = { operation = \"query\", fields = \"a\" } }", "unknown key `fields`"),
        ("{ graphql = \"query\" }", "expected a table"),
        ("{ graphql = { operation = \"query\" }, body_max = \"17MiB\" }", "16 MiB at most"),
    ] {
        let service = SERVICE.replace("[{ path = \"/**\" }]", &format!("[{rule}]"));
        let errors = PolicySet::of_texts(&[("chat.toml", &service)]).unwrap_err().to_string();
        assert!(errors.contains(why), "{rule}: {errors}");
    }
}
