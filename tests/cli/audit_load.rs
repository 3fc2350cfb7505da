//! The record of a daemon under load: small files, and the daemon killed in the middle.

use crate::{
    hand::{Hand, SECRET},
    support::{Origin, Program, Speaks, TestCa, count, find_program, until_blocking},
};

const HOST: &str = "api.acme.test";

fn rolled(hand: &Hand) -> Vec<String> {
    let names = std::fs::read_dir(&hand.home).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut rolled: Vec<String> = names.filter(|name| name.starts_with("audit.log.0")).collect();
    rolled.sort();
    rolled
}

#[test]
fn attack_104_small_files_are_whole_after_kill_9_in_the_middle_of_load() {
    let (Some(sh), Some(_)) = (find_program("sh"), find_program("curl")) else { return };
    let ca = TestCa::new();
    let origin = Origin::builder(ca.leaf_for(&[HOST])).speaks(Speaks::Both).start();
    let hand = Hand::in_front_of(&ca, &origin, &[HOST]);
    let config = hand.home.join("config.toml");
    let settings = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{settings}[audit]\nmax_size = \"4KiB\"\ncheckpoint = \"1s\"\n")).unwrap();
    let mut daemon = hand.serve();
    hand.acme(HOST);
    let script = format!(
        "while curl --silent --fail -o /dev/null -H \"Authorization: Bearer $ACME_KEY\" 'https://{HOST}/echo'; do :; done"
    );
    let clients: Vec<_> = (0..3)
        .map(|_| {
            let mut command = hand.command(&["--no-autostart", "exec", "--secret", "acme_key=ACME_KEY", "--"]);
            Program::start(command.arg(&sh).args(["-c", &script]))
        })
        .collect();
    until_blocking("files were rolled over", || rolled(&hand).len() >= 3);
    daemon.kill();
    for client in clients {
        client.finish(); // the loops end with their first failure
    }
    let whole = |says: &str| {
        let (code, verified) = hand.envelope(&["audit", "verify"], b"");
        assert_eq!((code, &verified["result"]["first_break"]), (0, &serde_json::Value::Null), "{says}: {verified}");
        assert_eq!(verified["result"]["note"], "agrees", "{says}: {verified}");
        assert!(verified["result"]["files"].as_u64().unwrap() >= 4, "{verified}");
    };
    whole("after the kill");
    let _again = hand.serve();
    whole("after the next start");
    let records = hand.records();
    let ids = |action: &str| {
        let mut ids: Vec<_> = records.iter().filter(|r| r.action == action).map(|r| r.request_id.clone()).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids("request_begun"), ids("request_ended"), "every beginning has one end, of whatever kind");
    assert!(ids("request_begun").len() >= origin.requests().len(), "nothing reached the origin unrecorded");
    for name in rolled(&hand).iter().map(String::as_str).chain(["audit.log", "audit.head"]) {
        assert_eq!(count(&hand.read(name), SECRET.as_bytes()), 0, "{name}");
    }
}

#[test]
fn older_files_go_when_the_settings_keep_fewer() {
    let hand = Hand::with_home();
    std::fs::write(hand.home.join("config.toml"), "[audit]\nmax_size = \"4KiB\"\nkeep = 1\n").unwrap();
    assert_eq!(hand.envelope(&["add", "key"], b"value").0, 0);
    until_blocking("a file was removed", || {
        let leased = hand.run(&["lease", "key"], b"");
        assert_eq!(leased.stdout, b"value");
        !hand.records_of("log_remove").is_empty()
    });
    assert_eq!(hand.envelope(&["stop"], b"").0, 0);
    assert_eq!(rolled(&hand).len(), 1);
    let (code, whole) = hand.envelope(&["audit", "verify"], b"");
    assert!(code == 0 && whole["result"]["begins_at"].as_u64().unwrap() > 1, "{whole}");
    let shown = hand.run(&["--output", "human", "audit", "verify"], b"");
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(text.contains("older files were removed by the settings"), "{text}");
    std::fs::remove_file(hand.home.join(&rolled(&hand)[0])).unwrap();
    let (code, broken) = hand.envelope(&["audit", "verify"], b"");
    assert!(code == 64 && broken["error"]["message"].as_str().unwrap().contains("were removed"), "{broken}");
}
