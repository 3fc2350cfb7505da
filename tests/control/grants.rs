//! `secrets.health` about grants that give a lot: over the socket, from real files, and gone when they are mended.

use std::fs;

use serde_json::{Value, json};

use crate::line::{Desk, RawLine};

async fn broad(line: &mut RawLine) -> Vec<Value> {
    line.ok("policy.reload", json!({})).await;
    let health = line.ok("secrets.health", json!({})).await;
    let all = health["warnings"].as_array().unwrap().clone();
    all.into_iter().filter(|warning| warning["type"] == "broad_grant").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_of_everything_to_everyone_is_a_warning_until_it_is_narrowed() {
    let desk = Desk::open().await;
    let mut line = desk.line().await;
    line.ok("secrets.add", json!({"name": "gh", "value": "v", "service": "github", "credential": "token"})).await;
    fs::create_dir_all(desk.home.policies()).unwrap();
    let file = desk.home.policies().join("github.toml");
    let write = |more: &str| {
        for entry in fs::read_dir(desk.home.policies()).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        let grant = "schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"github\"\nitem = \"gh\"\n";
        fs::write(&file, format!("{grant}{more}\n")).unwrap();
    };
    write("allow = [\"read\"]");
    assert_eq!(broad(&mut line).await, [] as [Value; 0], "reading is no danger");

    write("allow = [\"read\", \"delete\"]");
    let found = broad(&mut line).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((&found[0]["severity"], &found[0]["secret_name"]), (&"warning".into(), &"gh".into()), "{found:?}");
    let message = found[0]["message"].as_str().unwrap();
    assert!(message.contains("github.toml") && message.contains("list `agents`"), "{message}");

    for narrower in ["agents = [\"ci\"]\nallow = [\"read\", \"delete\"]", "allow = [\"read\"]\nask = [\"delete\"]"] {
        write(narrower);
        assert_eq!(broad(&mut line).await, [] as [Value; 0], "{narrower}");
    }
}
