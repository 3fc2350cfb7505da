//! Tests of rules over JSON-RPC, MCP and gRPC: which methods and tools a request calls.

use super::super::{PolicySet, Verdict};
use super::content::{Sent, json};

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
[cap.chain]
about = "Look at a chain"
risk  = "read"
allow = [{ method = "POST", path = "/rpc", jsonrpc = { method = ["eth_get*", "net_version"] } }]
[cap.send]
about = "Send"
risk  = "spend"
allow = [{ method = "POST", path = "/rpc", jsonrpc = { method = "eth_send*" } }]
[cap.tools]
about = "Use tools that read"
risk  = "read"
allow = [
  { method = "POST", path = "/mcp", mcp = { method = ["initialize", "notifications/*", "tools/list", "response"], tool = ["get_*", "list_issues"] } },
  { method = ["GET", "DELETE"], path = "/mcp" },
]
[cap.delete]
about = "Tools that delete"
risk  = "destroy"
allow = [{ path = "/mcp", mcp = { tool = "delete_*" } }]
[cap.greet]
about = "Greet"
risk  = "read"
allow = [{ grpc = ["acme.greet.v1.Greeter/Say*", "acme.Status/Get"] }]
[cap.admin]
about = "All of the greeter"
risk  = "admin"
allow = [{ grpc = "acme.greet.v1.Greeter/*" }]
[cap.anything]
about = "All of it"
risk  = "write"
allow = [{ path = "/**" }]
"#;

fn set(lists: &str) -> PolicySet {
    let policy = format!("schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"chat\"\nitem = \"k\"\n{lists}\n");
    PolicySet::of_texts(&[("chat.toml", SERVICE), ("mine.toml", &policy)]).unwrap_or_else(|errors| panic!("{errors}"))
}

fn post(set: &PolicySet, path: &str, body: &str) -> Verdict {
    json(&format!("POST {path}"), body).judge(set).verdict
}

#[test]
fn every_message_must_be_a_listed_call() {
    let set = set("allow = [\"chain\"]");
    for body in [
        r#"{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["0x0","latest"]}"#,
        r#"{"jsonrpc":"2.0","method":"net_version"}"#,
        r#"[{"jsonrpc":"2.0","id":1,"method":"eth_getBalance"},{"jsonrpc":"2.0","id":2,"method":"net_version"}]"#,
    ] {
        assert_eq!(post(&set, "/rpc", body), Verdict::Allow, "{body}");
    }
    for body in [
        "",
        "[]",
        "{}",
        r#"{"jsonrpc":"2.0","id":1,"method":"eth_sendTransaction"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"NET_VERSION"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"net_version","Method":"eth_send"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"net_version","method":"eth_send"}"#,
        r#"{"jsonrpc":"2.0","id":1,"Method":"net_version"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":["net_version"]}"#,
        r#"{"jsonrpc":"1.0","id":1,"method":"net_version"}"#,
        r#"{"id":1,"method":"net_version"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"net_version","result":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":1}"#,
        r#"[{"jsonrpc":"2.0","method":"net_version"},{"jsonrpc":"2.0","method":"eth_send"}]"#,
        r#"[{"jsonrpc":"2.0","method":"net_version"},1]"#,
        r#"[[{"jsonrpc":"2.0","method":"net_version"}]]"#,
    ] {
        assert_eq!(post(&set, "/rpc", body), Verdict::Deny, "{body}");
    }
    let untold = Sent { fields: &[], ..json("POST /rpc", r#"{"jsonrpc":"2.0","method":"net_version"}"#) };
    assert_eq!(untold.judge(&set).verdict, Verdict::Deny);
}

#[test]
fn one_call_in_a_batch_is_enough_to_take_away() {
    let set = set("allow = [\"anything\"]\ndeny = [\"send\"]");
    for body in [
        r#"{"jsonrpc":"2.0","method":"eth_sendTransaction"}"#,
        r#"{"jsonrpc":"2.0","method":"ETH_SENDtransaction"}"#,
        r#"[{"jsonrpc":"2.0","method":"net_version"},{"jsonrpc":"2.0","method":"eth_sendRaw"}]"#,
        r#"{"method":"eth_sendTransaction"}"#,
        r#"{"jsonrpc":"2.0","Method":"eth_sendTransaction"}"#,
        "{",
    ] {
        assert_eq!(post(&set, "/rpc", body), Verdict::Deny, "{body}");
    }
    assert_eq!(post(&set, "/rpc", r#"{"jsonrpc":"2.0","method":"net_version"}"#), Verdict::Allow);
    let unread = Sent { body: None, ..json("POST /rpc", "") };
    assert_eq!((unread.judge(&set).verdict, unread.peek(&set).is_some()), (Verdict::Deny, true));
}

#[test]
fn tools_are_told_apart() {
    let set = set("allow = [\"tools\"]");
    let call = |params: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
    for body in [
        r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":5,"result":{}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":5,"error":{"code":1,"message":"x"}}"#.to_owned(),
        call(r#"{"name":"get_issue","arguments":{"Name":"x"}}"#),
        call(r#"{"name":"list_issues"}"#),
    ] {
        assert_eq!(post(&set, "/mcp", &body), Verdict::Allow, "{body}");
    }
    for body in [
        r#"{"jsonrpc":"2.0","id":1,"method":"resources/read"}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"method":"Tools/Call","params":{"name":"get_issue"}}"#.to_owned(),
        call(r#"{"name":"delete_repository"}"#),
        call(r#"{"name":"get_issue","Name":"delete_repository"}"#),
        call(r#"{"name":"get_issue","name":"delete_repository"}"#),
        call(r#"{"name":["get_issue"]}"#),
        call(r#"["get_issue"]"#),
        call("{}"),
        call("null"),
        format!("[{},{}]", call(r#"{"name":"get_issue"}"#), call(r#"{"name":"delete_x"}"#)),
    ] {
        assert_eq!(post(&set, "/mcp", &body), Verdict::Deny, "{body}");
    }
    let plain = |call| Sent { call, fields: &[], body: None }.judge(&set).verdict;
    assert_eq!((plain("GET /mcp"), plain("DELETE /mcp")), (Verdict::Allow, Verdict::Allow));
}

#[test]
fn tools_that_are_denied_are_seen_however_they_are_called() {
    let set = set("allow = [\"anything\"]\ndeny = [\"delete\"]");
    let call = |method: &str, params: &str| {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
        post(&set, "/mcp", &body)
    };
    assert_eq!(call("tools/call", r#"{"name":"get_issue"}"#), Verdict::Allow);
    assert_eq!(call("prompts/get", r#"{"name":"delete_x"}"#), Verdict::Allow);
    for (method, params) in [
        ("tools/call", r#"{"name":"delete_x"}"#),
        ("tools/call", r#"{"name":"DELETE_X"}"#),
        ("TOOLS/call", r#"{"name":"delete_x"}"#),
        ("tools/call", r#"{"Name":"delete_x"}"#),
        ("tools/call", r#"{"name":["delete_x"]}"#),
        ("tools/call", r#"["delete_x"]"#),
    ] {
        assert_eq!(call(method, params), Verdict::Deny, "{method} {params}");
    }
}

#[test]
fn grpc_calls_are_known_by_their_paths() {
    let greet = set("allow = [\"greet\"]");
    let send =
        |set: &PolicySet, call, kind| Sent { call, fields: &[("content-type", kind)], body: None }.judge(set).verdict;
    for (call, kind) in [
        ("POST /acme.greet.v1.Greeter/SayHello", "application/grpc"),
        ("POST /acme.greet.v1.Greeter/Say", "application/grpc+proto"),
        ("POST /acme.Status/Get", "Application/gRPC+json; x=1"),
    ] {
        assert_eq!(send(&greet, call, kind), Verdict::Allow, "{call} {kind}");
    }
    for (call, kind) in [
        ("POST /acme.greet.v1.Greeter/Delete", "application/grpc"),
        ("POST /acme.greet.v1.Greeter/sayHello", "application/grpc"),
        ("POST /acme.Status/Get/x", "application/grpc"),
        ("POST /x/acme.Status/Get", "application/grpc"),
        ("POST /acme.Status/Get/", "application/grpc"),
        ("GET /acme.Status/Get", "application/grpc"),
        ("POST /acme.Status/Get", "application/grpc-web"),
        ("POST /acme.Status/Get", "application/json"),
        ("POST /acme.Status/Get", ""),
    ] {
        assert_eq!(send(&greet, call, kind), Verdict::Deny, "{call} {kind}");
    }
    let other = Sent { call: "POST /acme.Status/Set", fields: &[], body: None };
    assert_eq!(other.peek(&greet), None, "the head says it all");
    assert!(other.judge(&greet).nearest.unwrap().contains("/acme.Status/Get"), "what is near is told");

    let denied = set("allow = [\"anything\"]\ndeny = [\"admin\"]");
    for (call, kind) in [
        ("POST /acme.greet.v1.Greeter/Delete", "application/grpc"),
        ("POST /ACME.greet.v1.greeter/delete/", "application/grpc"),
        ("POST /acme.greet.v1.Greeter/Delete", "application/grpc-web+proto"),
        ("POST /acme.greet.v1.Greeter/Delete", "application/json"),
        ("GET /acme.greet.v1.Greeter/Delete", ""),
    ] {
        assert_eq!(send(&denied, call, kind), Verdict::Deny, "{call} {kind}");
    }
    assert_eq!(send(&denied, "POST /acme.Status/Get", "application/grpc"), Verdict::Allow);
}

#[test]
fn rules_that_cannot_be_meant_are_faults() {
    for (rule, why) in [
        ("{ jsonrpc = {} }", "names no `method`"),
        ("{ jsonrpc = { method = [] } }", "`method` lists nothing"),
        ("{ jsonrpc = { method = \"a\", tool = \"b\" } }", "unknown key `tool`"),
        ("{ mcp = {} }", "neither `method` nor `tool`"),
        ("{ mcp = { method = \"tools/*\", tool = \"get_*\" } }", "`tool` limits nothing"),
        ("{ mcp = { tool = \"\" } }", "cannot be empty"),
        ("{ grpc = [] }", "`grpc` lists nothing"),
        ("{ grpc = \"Greeter\" }", "is no method of gRPC"),
        ("{ grpc = \"/acme.Greeter/Say\" }", "is no method of gRPC"),
        ("{ grpc = \"acme.*/Say\" }", "is no method of gRPC"),
        ("{ grpc = \"acme.Greeter/**\" }", "is no method of gRPC"),
        ("{ grpc = \"acme..Greeter/Say\" }", "is no method of gRPC"),
        ("{ grpc = \"acme.Greeter/Say/More\" }", "is no method of gRPC"),
        ("{ grpc = 1 }", "expected a text or a list"),
    ] {
        let service = SERVICE.replace("[{ path = \"/**\" }]", &format!("[{rule}]"));
        let errors = PolicySet::of_texts(&[("chat.toml", &service)]).unwrap_err().to_string();
        assert!(errors.contains(why), "{rule}: {errors}");
    }
}
