//! What people are shown of grants and of sessions: for whom, where, on what, and how much.

use std::fs;

use serde_json::json;

use crate::{
    hand::Hand,
    support::{Program, find_program, until_blocking},
};

#[test]
fn a_grant_is_shown_with_all_that_it_says() {
    let hand = Hand::with_home();
    hand.acme("api.acme.test");
    let (_, listed) = hand.envelope(&["policy", "list"], b"");
    let service = listed["result"]["grants"][0]["service"].as_str().unwrap().to_owned();
    let entries = fs::read_dir(hand.home.join("policies")).unwrap().map(|entry| entry.unwrap().path());
    let grant = entries.into_iter().find(|path| fs::read_to_string(path).unwrap().contains("[[grant]]")).unwrap();
    let text = format!(
        "schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"{service}\"\nitem = \"acme_key\"\nagents = [\"codex\"]\n\
         projects = [\"/src/web\"]\nenvironments = [\"dev\"]\nallow = [\"read\"]\nask = [\"delete\"]\nttl = \"8h\"\n\
         limit = {{ requests = \"60/min\", at_once = 8 }}\napprove = {{ within = \"5m\", remember = \"session\" }}\n"
    );
    fs::write(&grant, text).unwrap();
    let (code, shown) = hand.envelope(&["policy", "show", &service], b"");
    assert_eq!(code, 0, "{shown}");
    let one = &shown["result"]["grants"][0];
    for (key, expected) in [
        ("secrets", json!(["acme_key"])),
        ("agents", json!(["codex"])),
        ("projects", json!(["/src/web"])),
        ("environments", json!(["dev"])),
        ("allow", json!(["read"])),
        ("ask", json!(["delete"])),
        ("ttl", json!("8h")),
        ("approve", json!({"within": "5m", "remember": "session"})),
    ] {
        assert_eq!(one[key], expected, "{key}: {shown}");
    }
    let limits: Vec<&str> = one["limits"].as_array().unwrap().iter().map(|limit| limit.as_str().unwrap()).collect();
    assert!(limits.len() == 2 && limits.contains(&"requests = 60/min"), "{shown}");
    let human = hand.run(&["--output", "human", "policy", "show", &service], b"").stdout;
    let human = String::from_utf8(human).unwrap();
    for said in ["codex", "/src/web", "dev", "requests = 60/min", "within 5m, remember session"] {
        assert!(human.contains(said), "{said}: {human}");
    }

    fs::write(&grant, "schema = 1\nkind = \"policy\"\n").unwrap();
    let none = hand.run(&["--output", "human", "policy", "show", &service], b"").stdout;
    assert!(String::from_utf8_lossy(&none).contains("no grant gives it"));
}

#[test]
fn status_shows_sessions_with_their_environment_and_an_agent_its_own() {
    let hand = Hand::with_home();
    hand.acme("api.acme.test");
    let status = || hand.envelope(&["status"], b"").1["result"].clone();
    assert_eq!(status()["sessions"], 0);
    let start = |client: &str, more: &[&str], script: &str| {
        let flags = [&["exec", "--secret", "acme_key=ACME", "--client-id", client], more, &["--"]].concat();
        Program::start(hand.command(&flags).arg(find_program("sh").unwrap()).args(["-c", script]))
    };
    let wait = "until [ -e go ]; do sleep .01; done";
    let dev = start("one", &["--environment", "dev"], &format!("touch up.one; {wait}"));
    let agent = format!(
        "'{}' --home '{}' --output json --timeout 60 status > seen; mv seen up.two; {wait}",
        env!("CARGO_BIN_EXE_secrets"),
        hand.home.display()
    );
    until_blocking("the first session is open", || hand.work.join("up.one").exists());
    let none = start("two", &[], &agent);
    until_blocking("the second session is open", || hand.work.join("up.two").exists());
    let shown = status();
    let work = hand.work.canonicalize().unwrap();
    let sessions = shown["open_sessions"].as_array().unwrap();
    assert_eq!((&shown["sessions"], sessions.len()), (&2.into(), 2), "{shown}");
    assert_eq!((&sessions[0]["client_id"], &sessions[0]["environment"]), (&"one".into(), &"dev".into()), "{shown}");
    assert!(sessions[1]["client_id"] == "two" && sessions[1].get("environment").is_none(), "{shown}");
    assert_eq!(fs::canonicalize(sessions[0]["project"].as_str().unwrap()).unwrap(), work);
    let human = String::from_utf8(hand.run(&["--output", "human", "status"], b"").stdout).unwrap();
    let row = |client: &str| human.lines().find(|line| line.contains(&format!("  {client} "))).unwrap();
    assert!(row("one").contains(" dev ") && row("two").contains(" none "), "{human}");

    let seen: serde_json::Value = serde_json::from_slice(&fs::read(hand.work.join("up.two")).unwrap()).unwrap();
    let own = seen["result"]["open_sessions"].as_array().unwrap();
    assert!(own.len() == 1 && own[0]["client_id"] == "two", "an agent sees its own: {seen}");
    fs::write(hand.work.join("go"), "").unwrap();
    for session in [dev, none] {
        let _out = session.finish().expect_success();
    }
    assert!(status().get("open_sessions").is_none());
}
