//! Parameters that are missing, of the wrong type, too large, or meant to do harm: a clear error, and nothing changed.

use serde_json::{Value, json};

use crate::line::Desk;

/// Every method that takes parameters, with what it cannot use.
fn unusable() -> Vec<(&'static str, Value)> {
    let mut all = Vec::new();
    for method in ["secrets.add", "secrets.update", "secrets.get", "secrets.delete"] {
        for name in [json!(null), json!(1), json!([]), json!({}), json!(""), json!("a\nb"), json!("\u{1b}[31m")] {
            all.push((method, json!({"name": name, "value": "v"})));
        }
        all.push((method, json!({"value": "v"})));
        all.push((method, json!({"name": "x".repeat(5000), "value": "v"})));
        all.push((method, json!("name")));
    }
    for value in [json!(null), json!(1), json!({"base64": "***"}), json!([1])] {
        all.push(("secrets.add", json!({"name": "new", "value": value})));
    }
    for params in [
        json!({}),
        json!({"secret_name": "a"}),
        json!({"secret_name": "a", "client_id": 5}),
        json!({"secret_name": "a", "client_id": "c\u{0}"}),
        json!({"secret_name": "a", "client_id": "c", "ttl": "soon"}),
        json!({"secret_name": "a", "client_id": "c", "ttl": "-1h"}),
        json!({"secret_name": "a", "client_id": "c", "ttl": 3600}),
    ] {
        all.push(("secrets.lease", params));
    }
    for params in [json!({}), json!({"lease_id": "x"}), json!({"lease_id": 7}), json!({"lease_id": "../../\u{1b}etc"})]
    {
        all.push(("secrets.revoke", params));
    }
    for params in [json!({"tail": -1}), json!({"tail": "all"}), json!({"tail": 1e30})] {
        all.push(("secrets.audit", params));
    }
    let asked = |more: Value| {
        let mut asked = json!({"method": "POST", "url": "https://a.test/", "client_id": "c"});
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        asked
    };
    for more in [
        json!({"headers": {"x": "hunter2"}}),
        json!({"headers": [{"name": "hunter2 x", "value": "a"}]}),
        json!({"headers": [{"name": "x", "value": "hunter2\r\ny: z"}]}),
        json!({"headers": [{"name": "x", "value": ["hunter2"]}]}),
        json!({"headers": vec![json!({"name": "x", "value": "hunter2"}); 201]}),
        json!({"body": "hunter2"}),
        json!({"body": {"front": {"base64": "hunter2"}, "length": 7}}),
        json!({"body": {"front": "hunter2", "length": -1}}),
    ] {
        all.push(("policy.explain", asked(more)));
    }
    for params in [json!({}), json!({"project_dir": 7}), json!({"project_dir": "/p", "environment": "a b\u{1b}"})] {
        all.push(("policy.project", params));
    }
    all.push(("policy.accept", json!({"file": "/nowhere"})));
    all.push(("secrets.rotate", json!({})));
    all.push(("secrets.rotate", json!({"secret_name": ["a"]})));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_used_is_said_and_changes_nothing() {
    let desk = Desk::open().await;
    let mut line = desk.line().await;
    line.ok("secrets.add", json!({"name": "a", "value": "hunter2"})).await;
    let before = std::fs::read(desk.home.store()).unwrap();
    for (method, params) in unusable() {
        let answer = line.call(method, params.clone()).await;
        let code = answer["error"]["code"].as_i64().unwrap_or_else(|| panic!("{method} {params}: {answer}"));
        assert!([-32_602, -32_000, -32_001, -32_006].contains(&code), "{method} {params}: {answer}");
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(!message.is_empty() && message.len() < 1000 && !message.contains('\u{1b}'), "{method}: {message}");
        assert!(!answer.to_string().contains("hunter2"), "{method}: {answer}");
    }
    assert_eq!(std::fs::read(desk.home.store()).unwrap(), before, "the store is as it was");
    assert_eq!(line.ok("secrets.status", json!({})).await["secrets_count"], 1);
    assert_eq!(line.ok("secrets.status", json!({})).await["active_leases"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_are_no_requests_are_answered_as_json_rpc_says() {
    let desk = Desk::open().await;
    let mut line = desk.line().await;
    for (bytes, code) in [
        (&b"{\"id\":1,\"method\":\n"[..], -32_700),
        (b"not json\n", -32_700),
        (b"\xff\xfe\n", -32_700),
        (b"[]\n", -32_600),
        (b"7\n", -32_600),
        (b"{\"id\":1}\n", -32_600),
        (b"{\"id\":1,\"method\":5}\n", -32_600),
    ] {
        line.send(bytes).await;
        let answer = line.read().await;
        assert_eq!(answer["error"]["code"], code, "{:?}: {answer}", String::from_utf8_lossy(bytes));
    }
    assert_eq!(line.ok("secrets.status", json!({})).await["running"], true, "the connection lives on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_of_two_mebibytes_is_taken_and_a_larger_one_is_not() {
    let desk = Desk::open().await;
    let mut line = desk.line().await;
    let value = "x".repeat(1 << 20);
    line.ok("secrets.add", json!({"name": "large", "value": value})).await;
    let leased = line.ok("secrets.lease", json!({"secret_name": "large", "client_id": "c", "ttl": ""})).await;
    assert_eq!(leased["value"].as_str().unwrap().len(), 1 << 20);
    line.fails("secrets.add", json!({"name": "larger", "value": "x".repeat((1 << 20) + 1)}), -32_602).await;

    let mut other = desk.line().await;
    let request = json!({"id": 1, "method": "secrets.add", "params": {"name": "huge", "value": "x".repeat(3 << 20)}});
    // The daemon may close before it has read all of it.
    let sent = tokio::spawn(async move {
        other.send(format!("{request}\n").as_bytes()).await;
        other.read().await
    })
    .await;
    if let Ok(answer) = sent {
        assert!(answer == Value::Null || answer["error"]["code"].is_i64(), "{answer}");
    }
    assert_eq!(line.ok("secrets.list", json!({})).await["secrets"].as_array().unwrap().len(), 1);
}
