//! `secrets rotate` as a person and a program have it, and the socket as agent-secrets' clients do.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
};

use serde_json::{Value, json};

use crate::{
    hand::Hand,
    kit::{NEW, Script},
    support::count,
};

fn hand_with(name: &str, hook: &str, more: &[&str]) -> Hand {
    let hand = Hand::with_home();
    add(&hand, name, hook, more);
    hand
}

fn add(hand: &Hand, name: &str, hook: &str, more: &[&str]) {
    let arguments = [&["add", name, "--rotate-via", hook], more].concat();
    let (code, added) = hand.envelope(&arguments, b"old-value");
    assert_eq!(code, 0, "{added}");
}

fn raw(hand: &Hand, name: &str) -> String {
    String::from_utf8(hand.run(&["lease", name], b"").stdout).unwrap()
}

/// No file of the home that is not sealed holds this.
fn assert_nowhere(hand: &Hand, text: &str) {
    for entry in std::fs::read_dir(&hand.home).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file())
    {
        let content = std::fs::read(&entry).unwrap();
        assert_eq!(count(&content, text.as_bytes()), 0, "{}", entry.display());
    }
}

#[test]
fn a_secret_is_rotated_by_name_and_its_value_is_said_nowhere() {
    let script = Script::new();
    let hand = hand_with("k", &script.hook(&format!("echo {NEW}; echo {NEW} >&2")), &[]);
    let output = hand.run(&["rotate", "k"], b"");
    assert_eq!((count(&output.stdout, NEW.as_bytes()), count(&output.stderr, NEW.as_bytes())), (0, 0));
    let envelope: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&envelope["ok"], &envelope["success"]), (&true.into(), &true.into()), "{envelope}");
    assert!(envelope["result"]["message"].as_str().unwrap().starts_with("value replaced"), "{envelope}");
    assert_eq!(raw(&hand, "k"), NEW);
    assert_eq!(script.runs(), ["manual"]);
    let ended = hand.records_of("secret_rotate");
    assert!(ended.len() == 1 && ended[0].success, "{ended:?}");
    assert_nowhere(&hand, NEW);
    let (_, listed) = hand.envelope(&["list"], b"");
    assert!(!listed.to_string().contains(NEW), "{listed}");

    let human = hand.run(&["--output", "human", "rotate", "k"], b"");
    assert!(human.status.success() && human.stdout.starts_with(b"hook ran; it gave the value"), "{human:?}");
}

#[test]
fn a_failed_hook_ends_with_1_and_a_hanging_one_with_65() {
    let script = Script::new();
    let hand = Hand::with_home();
    std::fs::write(hand.home.join("config.toml"), "rotation_timeout = \"3s\"\n").unwrap();
    add(&hand, "fails", &script.hook("echo canary; exit 3"), &[]);
    add(&hand, "hangs", &script.hook("echo canary; sleep 1000"), &[]);
    add(&hand, "works", &script.hook(&format!("echo {NEW}")), &[]);
    hand.envelope(&["add", "plain"], b"v");

    let (code, failed) = hand.envelope(&["rotate", "fails"], b"");
    let message = failed["error"]["message"].as_str().unwrap();
    assert!(code == 1 && message.contains("`fails`") && message.contains("exit status 3"), "{failed}");
    assert_eq!(failed["fix"], "secrets audit --secret fails", "{failed}");
    let (code, hung) = hand.envelope(&["rotate", "hangs"], b"");
    assert_eq!((code, &hung["error"]["code"], &hung["fix"]), (65, &"timeout".into(), &"secrets rotate hangs".into()));
    let (code, none) = hand.envelope(&["rotate", "plain"], b"");
    assert!(code == 1 && none["error"]["message"].as_str().unwrap().contains("no rotation hook"), "{none}");
    let (code, unknown) = hand.envelope(&["rotate", "nobody"], b"");
    assert_eq!((code, &unknown["fix"]), (1, &"secrets list".into()), "{unknown}");
    assert_eq!(hand.envelope(&["rotate"], b"").0, 2);
    assert_eq!(hand.envelope(&["rotate", "works", "--all"], b"").0, 2);

    let (code, all) = hand.envelope(&["rotate", "--all"], b"");
    assert_eq!((code, &all["result"]["count"], &all["result"]["failed"]), (1, &3.into(), &2.into()), "{all}");
    let human = hand.run(&["--output", "human", "rotate", "--all"], b"");
    let table = String::from_utf8(human.stdout).unwrap();
    assert!(table.starts_with("NAME") && table.contains("works  yes") && table.contains("hangs  no"), "{table}");
    assert_eq!((raw(&hand, "works"), raw(&hand, "fails")), (NEW.to_owned(), "old-value".to_owned()));
    assert_nowhere(&hand, "canary");

    let (_, listed) = hand.envelope(&["list"], b"");
    let failing = listed["result"]["secrets"].as_array().unwrap().iter().find(|one| one["name"] == "fails").unwrap();
    assert_eq!(failing["rotation_failures"], 3, "{listed}");
    hand.envelope(&["delete", "fails"], b"");
    hand.envelope(&["delete", "works"], b"");
    assert_eq!(hand.envelope(&["rotate", "--all"], b"").0, 65, "nothing but time ran out");
}

#[test]
fn due_is_what_a_schedule_says() {
    let script = Script::new();
    let hand = hand_with("k", &script.hook(&format!("echo {NEW}")), &["--rotate-every", "90d"]);
    let (code, due) = hand.envelope(&["rotate", "--due"], b"");
    assert_eq!((code, &due["result"]["count"]), (0, &0.into()), "{due}");
    assert_eq!(hand.envelope(&["update", "k", "--rotate-every", "never"], b"").0, 0);
    for (flag, bad) in [("--rotate-every", "soon"), ("--rotate-format", "xml"), ("--on-lease-expiry", "explode")] {
        let (code, refused) = hand.envelope(&["update", "k", flag, bad], b"");
        assert_eq!(code, 2, "{refused}");
    }
    let (code, often) = hand.envelope(&["update", "k", "--rotate-every", "1s"], b"");
    assert!(code == 2 && often.to_string().contains("at least 1m"), "{often}");
    assert!(script.runs().is_empty());
}

#[test]
fn json_hooks_pick_a_field() {
    let script = Script::new();
    let hook = script.hook(&format!("echo '{{\"data\":{{\"token\":\"{NEW}\",\"expires_in\":3600}}}}'"));
    let hand = hand_with("k", &hook, &["--rotate-format", "json:/data/token"]);
    assert_eq!(hand.envelope(&["rotate", "k"], b"").0, 0);
    assert_eq!(raw(&hand, "k"), NEW);
    let (_, listed) = hand.envelope(&["list"], b"");
    assert!(listed["result"]["secrets"][0]["expires_at"].is_string(), "{listed}");
    hand.envelope(&["update", "k", "--rotate-format", "json:/data/none"], b"");
    let (code, failed) = hand.envelope(&["rotate", "k"], b"");
    assert!(code == 1 && failed.to_string().contains("nothing at `/data/none`"), "{failed}");
}

#[test]
fn the_socket_answers_as_agent_secrets_does_and_never_with_output() {
    let script = Script::new();
    let hand = hand_with("k", &script.hook(&format!("echo {NEW}")), &[]);
    add(&hand, "fails", &script.hook("echo canary; exit 3"), &[]);
    let mut socket = UnixStream::connect(hand.home.join("agent-secrets.sock")).unwrap();
    let mut answers = BufReader::new(socket.try_clone().unwrap());
    let mut ask = |method: &str, params: Value| {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        socket.write_all(format!("{request}\n").as_bytes()).unwrap();
        let mut line = String::new();
        answers.read_line(&mut line).unwrap();
        assert!(!line.contains(NEW) && !line.contains("canary"), "{line}");
        serde_json::from_str::<Value>(&line).unwrap()
    };
    let done = ask("secrets.rotate", json!({"secret_name": "k", "namespace": "default"}));
    let result = &done["result"];
    assert_eq!((&result["success"], &result["error"]), (&true.into(), &"".into()), "{done}");
    assert!(result["output"].as_str().unwrap().starts_with("value replaced") && result["executed_at"].is_string());
    let failed = ask("secrets.rotate", json!({"secret_name": "fails"}));
    assert_eq!((&failed["error"]["code"], failed.get("result")), (&(-32_003).into(), None), "{failed}");
    let unknown = ask("secrets.rotate", json!({"secret_name": "nobody"}));
    assert_eq!(unknown["error"]["code"], -32_000, "{unknown}");
    for bad in [json!({}), json!({"secret_name": ""}), json!({"secret_name": "a\u{1b}"}), json!({"secret_name": 5})] {
        assert_eq!(ask("secrets.rotate", bad)["error"]["code"], -32_602);
    }
    for bad in [json!({}), json!({"which": "some"}), json!({"which": "all", "x": 1})] {
        assert_eq!(ask("rotation.run", bad)["error"]["code"], -32_602);
    }
    let all = ask("rotation.run", json!({"which": "all"}));
    assert_eq!(all["result"]["rotations"].as_array().unwrap().len(), 2, "{all}");
    assert_eq!(script.runs().len(), 4);
}

#[test]
fn a_plan_for_a_hook_that_is_not_there_is_refused_by_add_and_update_alike() {
    let hand = Hand::with_home();
    assert_eq!(hand.envelope(&["add", "k"], b"v").0, 0);
    let plans = [["--rotate-every", "1h"], ["--rotate-format", "none"], ["--on-lease-expiry", "rotate"]];
    for plan in plans {
        for (command, name, fix) in [("add", "other", "secrets add other"), ("update", "k", "secrets update --help")] {
            let (code, refused) = hand.envelope(&[&[command, name], &plan[..]].concat(), b"v");
            assert_eq!(code, 2, "{refused}");
            assert!(refused["error"]["message"].as_str().unwrap().contains("no `--rotate-via`"), "{refused}");
            assert_eq!(refused["fix"], fix);
        }
        let (code, refused) = hand.envelope(&[&["update", "k", "--rotate-via", ""], &plan[..]].concat(), b"");
        assert_eq!(code, 2, "taking the hook away with a plan for it: {refused}");
    }
    assert_eq!(hand.records_of("secret_update").iter().filter(|record| record.success).count(), 0);
    let (code, set) = hand.envelope(&["update", "k", "--rotate-via", "true", "--rotate-every", "1h"], b"");
    assert_eq!(code, 0, "{set}");
    assert_eq!(hand.envelope(&["update", "k", "--rotate-every", "never"], b"").0, 0, "the hook is there");
    assert_eq!(hand.envelope(&["update", "k", "--rotate-via", ""], b"").0, 0, "a plan may stay behind its hook");
}

#[test]
fn attack_127_a_name_with_a_command_in_it_is_only_a_name() {
    let script = Script::new();
    let mark = script.path("mark");
    let name = format!("$(touch {0});`touch {0}`", mark.display());
    let hand = hand_with(&name, &script.hook("printf '%s' \"for $SECRETS_NAME\""), &[]);
    let (code, rotated) = hand.envelope(&["rotate", &name], b"");
    assert_eq!(code, 0, "{rotated}");
    assert_eq!(raw(&hand, &name), format!("for {name}"));
    assert!(!mark.exists());
}

#[test]
fn an_agent_cannot_run_hooks() {
    let script = Script::new();
    let hand = hand_with("acme_key", &script.hook(&format!("echo {NEW}")), &["--host", "api.acme.test"]);
    let secrets = env!("CARGO_BIN_EXE_secrets");
    let home = hand.home.to_str().unwrap().to_owned();
    for arguments in [["rotate", "acme_key"], ["rotate", "--all"]] {
        let inside =
            [&["exec", "--secret", "acme_key", "--", secrets, "--timeout", "60", "--home", &home], &arguments[..]]
                .concat();
        let output = hand.run(&inside, b"");
        assert!(!output.status.success(), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("inside a session"), "{output:?}");
    }
    assert!(script.runs().is_empty() && hand.records_of("rotation_begun").is_empty());
}
