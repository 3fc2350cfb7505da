//! Bad input and bad surroundings: a clear error, the place, a fix that can be run, and nothing lost.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::hand::Hand;

/// The command fails like this, and its fix is a command.
fn refused(hand: &Hand, arguments: &[&str], input: &[u8], code: i32, says: &[&str]) -> Value {
    let (status, envelope) = hand.envelope(arguments, input);
    assert_eq!((status, &envelope["ok"]), (code, &false.into()), "{arguments:?}: {envelope}");
    let message = envelope["error"]["message"].as_str().unwrap();
    for part in says {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
    assert!(!envelope["fix"].as_str().unwrap_or_default().is_empty(), "{envelope}");
    envelope
}

#[test]
fn broken_settings_have_their_place_and_an_editor() {
    let hand = Hand::with_home();
    let config = hand.home.join("config.toml");
    for (text, says) in [
        ("default_lease_ttl = \"1h\"\ndefault_lease_ttl = \n", "config.toml:2"),
        ("default_lease_tll = \"1h\"\n", "default_lease_tll"),
        ("max_lease_ttl = \"soon\"\n", "soon"),
    ] {
        std::fs::write(&config, text).unwrap();
        let refused = refused(&hand, &["list"], b"", 64, &["config.toml", says]);
        assert!(refused["fix"].as_str().unwrap().contains("config.toml"), "{refused}");
        assert_eq!(std::fs::read_to_string(&config).unwrap(), text);
    }
}

#[test]
fn a_broken_policy_keeps_the_old_one_and_is_shown() {
    let hand = Hand::with_home();
    hand.acme("api.acme.test");
    let grants = |hand: &Hand| hand.envelope(&["policy", "list"], b"").1["result"]["grants"].as_array().unwrap().len();
    let before = grants(&hand);
    let broken = hand.home.join("policies/broken.toml");
    std::fs::write(&broken, "schema = 1\nkind = \"policy\"\n[[grant]]\nservise = \"acme\"\n").unwrap();
    refused(&hand, &["policy", "reload"], b"", 64, &["broken.toml:4", "servise"]);
    assert_eq!(grants(&hand), before);
    let (_, status) = hand.envelope(&["status"], b"");
    assert!(status.to_string().contains("broken.toml"), "{status}");
    refused(&hand, &["policy", "check"], b"", 64, &["broken.toml:3:1", "and 1 more"]);
    std::fs::remove_file(&broken).unwrap();
    assert_eq!(hand.envelope(&["policy", "reload"], b"").0, 0);
    assert_eq!(hand.envelope(&["policy", "check"], b"").0, 0);
    let (_, status) = hand.envelope(&["status"], b"");
    assert!(!status.to_string().contains("broken.toml"), "{status}");
}

#[test]
fn a_daemon_does_not_start_over_a_broken_policy_or_store() {
    let hand = Hand::with_home();
    let store = hand.home.join("secrets.age");
    let whole = std::fs::read(&store).unwrap();
    for broken in [&whole[..whole.len() / 2], b"", b"somebody's notes"] {
        std::fs::write(&store, broken).unwrap();
        for command in [&["list"][..], &["add", "x"], &["lease", "x"]] {
            let output = hand.run(command, b"value");
            assert!(!output.status.success(), "{command:?}: {output:?}");
            let said = [output.stdout, output.stderr].concat();
            assert!(String::from_utf8_lossy(&said).contains("secrets.age"), "{}", String::from_utf8_lossy(&said));
        }
        assert_eq!(std::fs::read(&store).unwrap(), broken, "a store that cannot be read is never replaced");
    }
    std::fs::write(&store, &whole).unwrap();
    assert_eq!(hand.envelope(&["list"], b"").0, 0);
}

#[test]
fn files_that_others_can_read_are_refused_with_the_command_that_mends_them() {
    let hand = Hand::with_home();
    let identity = hand.home.join("identity.age");
    std::fs::set_permissions(&identity, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (code, refused) = hand.envelope(&["list"], b"");
    assert!(code != 0 && refused.to_string().contains("identity.age"), "{refused}");
    let fix = refused["fix"].as_str().unwrap();
    assert!(fix.starts_with("chmod "), "{refused}");
    let mut sh = std::process::Command::new("sh");
    assert!(Hand::feed(sh.args(["-c", fix]), b"").status.success(), "{fix}");
    assert_eq!(hand.envelope(&["list"], b"").0, 0, "the fix mends it");
}

#[test]
fn files_that_others_can_read_are_tightened_when_that_is_asked_for() {
    let hand = Hand::with_home();
    assert_eq!(hand.envelope(&["add", "key"], b"v").0, 0);
    assert_eq!(hand.envelope(&["stop"], b"").0, 0);
    let store = hand.home.join("secrets.age");
    std::fs::set_permissions(&store, std::fs::Permissions::from_mode(0o666)).unwrap();
    assert_ne!(hand.envelope(&["status"], b"").0, 0);
    let (code, status) = hand.envelope(&["--skip-permission-check", "status"], b"");
    assert_eq!(code, 0, "{status}");
    let warning = status["result"]["store_warning"].as_str().unwrap();
    assert!(warning.contains("secrets.age") && warning.contains("666"), "{status}");
    assert_eq!(std::fs::metadata(&store).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(hand.run(&["lease", "key"], b"").stdout, b"v", "nothing is lost");
}

#[test]
fn values_names_and_bounds() {
    let hand = Hand::with_home();
    refused(&hand, &["add", "empty"], b"", 1, &["empty"]); // as agent-secrets ends here
    assert_eq!(hand.envelope(&["add", "key"], b"v").0, 0);
    refused(&hand, &["add", "large"], &vec![b'x'; (1 << 20) + 1], 2, &["1048576 bytes"]);
    let ran = hand.run(&["lease", "key", "--ttl", "25h"], b"");
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(
        !ran.status.success() && ran.stdout.is_empty() && said.contains("at most `1d`") && said.contains("fix: "),
        "{ran:?}"
    );
    let (_, listed) = hand.envelope(&["list"], b"");
    assert_eq!(listed["result"]["secrets"].as_array().map(Vec::len), Some(1), "{listed}");
}
