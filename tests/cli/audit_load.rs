//! The record of a daemon under load: small files, and the daemon killed in the middle.

use crate::{hand::Hand, load::Killed, support::until_blocking};

fn rolled(hand: &Hand) -> Vec<String> {
    let names = std::fs::read_dir(&hand.home).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut rolled: Vec<String> = names.filter(|name| name.starts_with("audit.log.0")).collect();
    rolled.sort();
    rolled
}

#[test]
fn attack_104_small_files_are_whole_after_kill_9_in_the_middle_of_load() {
    let settings = "[audit]\nmax_size = \"4KiB\"\ncheckpoint = \"1s\"\n";
    let Some(killed) = Killed::when(settings, |hand, _| rolled(hand).len() >= 3) else { return };
    assert!(killed.verified()["files"].as_u64().unwrap() >= 4);
    let _again = killed.hand.serve();
    until_blocking("the next daemon signs too", || {
        assert_eq!(killed.hand.envelope(&["revoke", "--all"], b"").0, 0); // something new to sign
        killed.verified()["checkpoints"].as_u64().unwrap() >= 2
    });
    let rest = ["audit.log", "audit.head", "audit.key.age"].map(str::to_owned);
    killed.assert_recorded(&[rolled(&killed.hand).as_slice(), rest.as_slice()].concat());
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
