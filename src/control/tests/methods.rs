//! Every method of the socket, asked in raw JSON, and its answer to the letter.

use super::*;

type Exchange = (&'static str, Value, Value);

fn error(code: i32, message: &str, kind: &str) -> Value {
    json!({"code": code, "message": message, "data": {"kind": kind}})
}

fn done(message: &str) -> Value {
    json!({"success": true, "message": message})
}

fn about_secrets() -> Vec<Exchange> {
    vec![
        ("secrets.init", json!(null), done("exists")),
        (
            "secrets.add",
            json!({"name": "a", "value": "vé", "service": "github", "credential": "token", "rotate_via": ""}),
            json!({"success": true, "message": "3 bytes", "service": "github", "credential": "token"}),
        ),
        (
            "secrets.update",
            json!({"name": "a", "value": {"base64": "/w=="},
                "easy": {"host": "acme.test", "place": {"header": {"name": "x-api-key", "wording": "{}"}}}}),
            json!({"success": true, "message": "Keep", "files": ["/h/policies/x.toml"], "granted_by": ["mine.toml:3"]}),
        ),
        ("secrets.get", json!({"name": "a"}), error(-32_006, "lease it instead", "unauthorized")),
        ("secrets.delete", json!({"name": "a"}), done("a")),
        ("secrets.list", json!({}), json!({"secrets": []})),
        (
            "secrets.lease",
            json!({"secret_name": "a", "client_id": "c", "ttl": ""}),
            json!({"lease_id": ID, "value": {"base64": "c2st/w=="}, "expires_at": TIME}),
        ),
        ("secrets.revoke", json!({"lease_id": ID}), error(-32_001, "no such lease", "lease_not_found")),
        ("secrets.revokeAll", json!({}), json!({"success": true, "leases_revoked": 3, "message": "all"})),
        (
            "secrets.rotate",
            json!({"secret_name": "a"}),
            json!({"success": true, "output": "rotated", "error": "", "executed_at": TIME}),
        ),
        (
            "secrets.audit",
            json!({"tail": 7}),
            json!({"entries": [{"timestamp": TIME, "action": "tail 7", "success": true}]}),
        ),
        (
            "secrets.status",
            json!({}),
            json!({"running": true, "started_at": TIME, "secrets_count": 1, "active_leases": 0, "sessions": 0, "pid": 1,
                "version": "0", "proxy_addr": "127.0.0.1:1", "audit_healthy": true, "policy_faults": []}),
        ),
        ("secrets.health", json!({}), error(-32_601, "not available yet", "not_available")),
        ("daemon.restart", json!({}), error(-32_601, "not available yet", "not_available")),
        ("rotation.run", json!({"which": "due"}), json!({"rotations": []})),
        (
            "session.open",
            json!({"client_id": "c", "secrets": [{"name": "a", "env_var": "A", "ttl": "5m"}], "project_dir": "/p"}),
            json!({"session_id": ID, "mark": "s.h", "proxy_port": 1234, "proxy_user": "s", "proxy_password": "p", "root_pem": "PEM",
                "support_folder": "/p", "secret_hosts": [], "leases": []}),
        ),
        (
            "lease.token",
            json!({"secret_name": "a", "client_id": "c", "ttl": "5m"}),
            json!({"lease_id": ID, "token": "lse_x", "expires_at": TIME, "env": ["X_KEY"], "hosts": []}),
        ),
        (
            "revoke",
            json!({"client": "c"}),
            json!({"success": true, "leases_revoked": 2, "message": format!("{:?}", Revoke::Client(client_id("c")))}),
        ),
        (
            "kill.trip",
            json!({"wipe": true}),
            json!({"success": false, "leases_revoked": 1,
                "kill": {"state": "tripped", "since": TIME, "by": "operator", "reason": "told to"},
                "steps": [{"step": "wipe_store", "success": false, "message": "rotate: false"}]}),
        ),
        ("kill.reset", json!({}), done("ready")),
        ("heartbeat.status", json!({}), json!({"heartbeat": {"enabled": false}, "kill": {"state": "ready"}})),
        (
            "heartbeat.test",
            json!({}),
            json!({"success": true, "url": "https://a.test/", "took_ms": 3, "message": "it beats"}),
        ),
    ]
}

fn about_policy() -> Vec<Exchange> {
    vec![
        (
            "policy.explain",
            json!({"method": "GET", "url": "https://a.test/", "client_id": "c",
                "headers": [{"name": "x-a", "value": "b"}], "body": {"front": {"base64": "/w=="}, "length": 7}}),
            json!({"verdict": "deny", "code": "no_grant", "reason": "https://a.test/", "layers": []}),
        ),
        ("policy.project", json!({"project_dir": "/p", "environment": "dev"}), done("it may be worked on")),
        ("policy.list", json!({}), json!({"services": [], "grants": [], "unknown_host": "tunnel", "faults": []})),
        ("policy.reload", json!({}), json!({"services": 2, "grants": 1})),
        (
            "policy.accept",
            json!({"file": "/p/.secrets.toml", "hash": "ab"}),
            error(-32_601, "not available yet", "not_available"),
        ),
        ("limits.list", json!({"secret": "k"}), json!({"limits": []})),
        ("approvals.list", json!({}), json!({"version": 1, "approvals": [], "needs": []})),
        ("approvals.show", json!({"id": "a"}), error(-32_601, "not available yet", "not_available")),
        ("approvals.allow", json!({"id": "a", "remember": "10m"}), done("allowed a")),
        ("approvals.deny", json!({"id": "a"}), done("denied a")),
        ("approvals.wait", json!({"version": 7, "seconds": 1}), json!({"version": 7, "approvals": [], "needs": []})),
        ("ca.show", json!({}), json!({"pem": "PEM", "fingerprint": "AB", "path": "/h/ca/root.pem"})),
        ("audit.flush", json!({}), done("flushed")),
        ("audit.note", json!({"cleanup": {"files": 1, "leases": 2}}), done("noted")),
        ("daemon.ping", json!({}), json!({"pid": 1, "version": "0", "home": "/h", "proxy_addr": "127.0.0.1:1"})),
        ("daemon.stop", json!({}), done("stopping")),
    ]
}

#[tokio::test]
async fn every_method_is_answered_as_documented() {
    let house = House::open(Limits::default());
    let mut line = house.line().await;
    let table = [about_secrets(), about_policy()].concat();
    assert_eq!(table.iter().map(|(method, ..)| *method).collect::<Vec<_>>(), Call::METHODS);
    for (at, (method, params, expected)) in table.into_iter().enumerate() {
        let got = line.ask(json!({"id": at, "method": method, "params": params}).to_string()).await;
        let member = if expected.get("code").is_some_and(Value::is_i64) { "error" } else { "result" };
        assert_eq!(got, json!({"jsonrpc": "2.0", "id": at, member: expected}), "{method}");
    }
    drop(line);
    house.stop().await;
}
