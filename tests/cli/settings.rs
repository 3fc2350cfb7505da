//! Settings as the program finds them: both forms, moved files, and what `config` says about them.

use std::os::unix::fs::PermissionsExt as _;

use crate::hand::Hand;

/// The value and the source of one key.
fn setting(hand: &Hand, key: &str) -> (String, String) {
    let (code, shown) = hand.envelope(&["config"], b"");
    assert_eq!(code, 0, "{shown}");
    let all = shown["result"]["settings"].as_array().unwrap();
    let one = all.iter().find(|one| one["key"] == key).unwrap_or_else(|| panic!("{key}: {shown}"));
    (one["value"].as_str().unwrap().to_owned(), one["source"].as_str().unwrap().to_owned())
}

#[test]
fn init_writes_a_commented_file_that_changes_nothing() {
    let hand = Hand::with_home();
    let file = hand.home.join("config.toml");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(String::from_utf8(hand.read("config.toml")).unwrap().contains("# max_lease_ttl = \"24h\""));
    assert_eq!(setting(&hand, "max_lease_ttl"), ("\"24h\"".to_owned(), "default".to_owned()));
    std::fs::write(&file, "max_lease_ttl = \"2h\"\n").unwrap();
    assert_eq!(hand.envelope(&["init"], b"").0, 0);
    assert_eq!(hand.read("config.toml"), b"max_lease_ttl = \"2h\"\n", "what is there stays");
    assert_eq!(setting(&hand, "max_lease_ttl"), ("\"2h\"".to_owned(), "file".to_owned()));
}

#[test]
fn a_home_with_agent_secrets_settings_keeps_them() {
    let hand = Hand::new();
    std::fs::create_dir(&hand.home).unwrap();
    std::fs::set_permissions(&hand.home, std::fs::Permissions::from_mode(0o700)).unwrap();
    let text = format!(
        r#"{{"directory": "{home}", "socket_path": "{home}/other.sock", "secrets_path": "{home}/vault/s.age",
            "leases_path": "{home}/leases.json", "default_lease_ttl": "10m", "max_lease_ttl": 1200000000000,
            "heartbeat": null}}"#,
        home = hand.home.display()
    );
    std::fs::write(hand.home.join("config.json"), &text).unwrap();
    std::fs::write(hand.home.join("leases.json"), "[]").unwrap();
    assert_eq!(hand.envelope(&["init"], b"").0, 0);
    assert!(!hand.home.join("config.toml").exists(), "one form of settings is enough");
    assert_eq!(hand.envelope(&["add", "key"], b"value").0, 0);
    assert!(hand.home.join("other.sock").exists() && hand.home.join("vault/s.age").exists());
    assert!(!hand.home.join("secrets.age").exists() && !hand.home.join("agent-secrets.sock").exists());
    let (code, leased) = hand.envelope(&["lease", "key", "--json"], b"");
    assert_eq!((code, &leased["result"]["value"]), (0, &"value".into()), "{leased}");
    let refused = hand.run(&["lease", "key", "--ttl", "30m"], b"");
    assert!(!refused.status.success() && refused.stdout.is_empty(), "the maximum of the file holds: {refused:?}");
    assert_eq!(hand.envelope(&["stop"], b"").0, 0);
    assert_eq!(hand.read("leases.json"), b"[]", "what agent-secrets wrote is left alone");
    assert!(hand.home.join("leases.age").exists());
}

#[test]
fn a_restart_is_recorded_waited_for_and_not_repeated_at_once() {
    let hand = Hand::with_home();
    assert_eq!(hand.envelope(&["add", "key"], b"value").0, 0);
    let before = hand.envelope(&["status"], b"").1["result"]["pid"].clone();
    let (code, restarted) = hand.envelope(&["daemon", "restart"], b"");
    assert_eq!((code, &restarted["result"]["previous_pid"]), (0, &before), "{restarted}");
    assert_ne!(restarted["result"]["pid"], before);
    assert_eq!(hand.run(&["lease", "key"], b"").stdout, b"value", "nothing is lost");
    let (code, again) = hand.envelope(&["daemon", "restart"], b"");
    assert_eq!((code, &again["error"]["code"]), (69, &"daemon_unavailable".into()), "{again}");
    assert_eq!(hand.records_of("daemon_restart").len(), 1);
    assert_eq!(hand.records_of("daemon_start").len(), 2);
}

#[test]
fn a_daemon_that_could_not_start_again_is_not_stopped_for_a_restart() {
    let hand = Hand::with_home();
    assert_eq!(hand.envelope(&["add", "key"], b"value").0, 0);
    for (file, fix) in [("policies/broken.toml", "secrets policy check"), ("config.toml", "${EDITOR:-vi} ")] {
        let path = hand.home.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "what = is this").unwrap();
        let (code, refused) = hand.envelope(&["daemon", "restart"], b"");
        assert!(code != 0 && refused["fix"].as_str().unwrap().starts_with(fix), "{refused}");
        std::fs::remove_file(path).unwrap();
    }
    assert_eq!(hand.run(&["lease", "key"], b"").stdout, b"value");
    assert!(hand.records_of("daemon_stop").is_empty() && hand.records_of("daemon_restart").is_empty());
}

#[test]
fn the_socket_can_be_opened_to_a_group() {
    let hand = Hand::with_home();
    let group = std::process::Command::new("id").arg("-gn").output().unwrap();
    let group = String::from_utf8(group.stdout).unwrap();
    let config = hand.home.join("config.toml");
    std::fs::write(&config, format!("socket_mode = \"0660\"\nsocket_group = \"{}\"\n", group.trim())).unwrap();
    assert_eq!(hand.envelope(&["list"], b"").0, 0);
    let socket = hand.home.join("agent-secrets.sock");
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o660);
    assert_eq!(hand.envelope(&["stop"], b"").0, 0);
    std::fs::write(&config, "socket_mode = \"0660\"\nsocket_group = \"no such group\"\n").unwrap();
    let (code, refused) = hand.envelope(&["list"], b"");
    assert!(code != 0 && refused["error"]["message"].as_str().unwrap().contains("no such group"), "{refused}");
    assert!(!socket.exists(), "nobody is let in instead");
}
