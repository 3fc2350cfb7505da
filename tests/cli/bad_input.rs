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
    refused(&hand, &["policy", "check"], b"", 64, &["broken.toml:4:1", "did you mean `service`?"]);
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

/// Stops the daemon, spoils something, and has the error's own fix mend it.
fn mended(hand: &Hand, spoil: &dyn Fn(), says: &str, fix: &str) {
    assert_eq!(hand.envelope(&["list"], b"").0, 0);
    hand.stop();
    spoil();
    let (code, refused) = hand.envelope(&["list"], b"");
    let message = refused["error"]["message"].as_str().unwrap_or_default();
    assert!(code != 0 && message.contains(says), "{says}: {refused}");
    assert!(!message.contains(".previous"), "nothing that is not there is advised: {message}");
    let given = refused["fix"].as_str().unwrap();
    assert!(given.starts_with(fix), "{given}");
    let mut sh = std::process::Command::new("sh");
    assert!(Hand::feed(sh.args(["-c", given]), b"").status.success(), "{given}");
    let (code, listed) = hand.envelope(&["list"], b"");
    assert!(code == 0 && listed.to_string().contains("acme_key"), "the fix mends it and loses nothing: {listed}");
}

#[test]
fn what_is_open_or_damaged_is_mended_by_the_command_that_is_told() {
    let hand = Hand::with_home();
    hand.acme("api.acme.test");
    assert_eq!(hand.envelope(&["lease", "acme_key", "--token", "--json"], b"").0, 0);
    let chmod = |name: &str, mode| {
        std::fs::set_permissions(hand.home.join(name), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let damage = |name: &str| {
        let path = hand.home.join(name);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();
    };
    mended(&hand, &|| chmod("", 0o777), "mode 777", "chmod 700 ");
    mended(&hand, &|| chmod("ca/root.key.age", 0o644), "root.key.age", "chmod 600 ");
    mended(&hand, &|| chmod("ca", 0o777), "ca", "chmod 700 ");
    mended(&hand, &|| chmod("secrets.age", 0o640), "secrets.age", "chmod 600 ");
    mended(&hand, &|| damage("leases.age"), "leases.age", "mv ");
    mended(&hand, &|| damage("ca/root.key.age"), "root.key.age", "mv ");
    mended(&hand, &|| std::fs::remove_file(hand.home.join("ca/root.key.age")).unwrap(), "root.key.age", "mv ");
}

#[test]
fn attack_41_a_value_that_its_place_cannot_carry_is_not_stored() {
    let hand = Hand::with_home();
    for value in [&b"two\r\nlines"[..], b"two\nlines", b"a\0b", "sch\u{f6}n".as_bytes()] {
        refused(&hand, &["add", "bad", "--host", "api.acme.test"], value, 2, &["`bad`", "never reach its service"]);
        refused(&hand, &["add", "bad", "--service", "openai"], value, 2, &["`bad`", "never reach its service"]);
    }
    let basic = ["add", "bad", "--host", "api.acme.test", "--basic=user"];
    refused(&hand, &basic, b"a:b", 2, &["a user name holds no colon"]);
    let (_, listed) = hand.envelope(&["list"], b"");
    assert_eq!(listed["result"]["secrets"].as_array().map(Vec::len), Some(0), "{listed}");
    let attempts = hand.records_of("secret_add");
    assert!(attempts.len() == 9 && attempts.iter().all(|attempt| !attempt.success), "{attempts:?}");
    assert!(hand.records_of("policy_change").is_empty());

    // What can carry it may have it, and what belongs to no service is nobody's business.
    let query = ["add", "parameter", "--host", "query.acme.test", "--query", "key"];
    assert_eq!(hand.envelope(&query, b"two\nlines").0, 0);
    assert_eq!(hand.envelope(&["add", "pem"], b"two\nlines").0, 0);
    refused(&hand, &["update", "pem", "--service", "openai"], b"", 2, &["`pem`"]);
    refused(&hand, &["update", "pem", "--host", "api.acme.test"], b"", 2, &["`pem`"]);
    hand.acme("api.acme.test");
    refused(&hand, &["update", "acme_key"], b"two\nlines", 2, &["`acme_key`"]);
    assert_eq!(hand.run(&["lease", "acme_key"], b"").stdout, crate::hand::SECRET.as_bytes(), "the old value stays");
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
fn a_damaged_store_is_restored_by_the_command_that_is_told() {
    let hand = Hand::with_home();
    for name in ["first", "second"] {
        assert_eq!(hand.envelope(&["add", name], b"v").0, 0);
    }
    assert_eq!(hand.envelope(&["stop"], b"").0, 0);
    let store = hand.home.join("secrets.age");
    let whole = std::fs::read(&store).unwrap();
    let half = whole.get(..whole.len() / 2).unwrap();
    std::fs::write(&store, half).unwrap();
    let (code, refused) = hand.envelope(&["list"], b"");
    assert_eq!(code, 64, "{refused}");
    let mut sh = std::process::Command::new("sh");
    assert!(Hand::feed(sh.args(["-c", refused["fix"].as_str().unwrap()]), b"").status.success(), "{refused}");
    assert_eq!(hand.run(&["lease", "first"], b"").stdout, b"v", "all but the last change is back");
    assert_eq!(hand.read("secrets.age.damaged"), half, "nothing is lost");
}

/// One fault, one command: from the doctor, from a daemon that does not start, and from one that still runs.
#[test]
fn a_store_that_is_damaged_or_gone_has_one_fix_everywhere() {
    let hand = Hand::with_home();
    for name in ["first", "second"] {
        assert_eq!(hand.envelope(&["add", name], b"v").0, 0);
    }
    let store = hand.home.join("secrets.age");
    let whole = std::fs::read(&store).unwrap();
    let cut = || std::fs::write(&store, &whole[..whole.len() / 2]).unwrap();
    let doctor = |hand: &Hand| {
        let (code, found) = hand.envelope(&["doctor"], b"");
        let checks = found["result"]["checks"].as_array().unwrap().clone();
        let row = checks.into_iter().find(|check| check["name"] == "store").unwrap();
        assert!(code == 1 && row["verdict"] == "fault" && row["fix"] == found["fix"], "{found}");
        row["fix"].as_str().unwrap().to_owned()
    };
    let copy = format!("cp {0}.previous {0}", store.display());
    let restore = format!("mv {0} {0}.damaged && {copy}", store.display());
    cut();
    assert_eq!(doctor(&hand), restore, "while a daemon still has it");
    let third = refused(&hand, &["add", "third"], b"v", 66, &["secrets.age"]);
    assert_eq!(third["fix"], restore.as_str());
    std::fs::write(&store, &whole).unwrap();
    hand.stop();
    cut();
    assert_eq!(doctor(&hand), restore);
    assert_eq!(refused(&hand, &["list"], b"", 64, &["secrets.age"])["fix"], restore.as_str());
    std::fs::remove_file(&store).unwrap();
    assert_eq!(doctor(&hand), copy, "an empty store would not be a remedy");
    assert_eq!(refused(&hand, &["list"], b"", 64, &["secrets.age"])["fix"], copy.as_str());
    assert_eq!(refused(&hand, &["init"], b"", 64, &["secrets.age"])["fix"], copy.as_str());
    let mut sh = std::process::Command::new("sh");
    assert!(Hand::feed(sh.args(["-c", &copy]), b"").status.success());
    assert_eq!(hand.envelope(&["list"], b"").1["result"]["count"], 1);

    hand.stop();
    std::fs::remove_file(hand.home.join("identity.age")).unwrap();
    for command in [&["list"][..], &["init"], &["doctor"]] {
        let (code, lost) = hand.envelope(command, b"");
        assert!(code != 0 && lost.to_string().contains("put the identity back"), "{lost}");
        assert_eq!(lost["fix"], format!("ls -la {}", hand.home.display()), "no new home is advised: {lost}");
    }
}

#[test]
fn values_names_and_bounds() {
    let hand = Hand::with_home();
    refused(&hand, &["add", "empty"], b"", 1, &["empty"]); // as agent-secrets ends here
    assert_eq!(hand.envelope(&["add", "key"], b"v").0, 0);
    refused(&hand, &["add", "large"], &vec![b'x'; (1 << 20) + 1], 2, &["1048576 bytes"]);
    let (code, leased) = hand.envelope(&["lease", "key", "--json", "--ttl", ""], b"");
    assert_eq!((code, &leased["result"]["ttl"]), (0, &"1h".into()), "an empty one is none: {leased}");
    let ran = hand.run(&["lease", "key", "--ttl", "25h"], b"");
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(
        !ran.status.success() && ran.stdout.is_empty() && said.contains("at most `1d`") && said.contains("fix: "),
        "{ran:?}"
    );
    let (_, listed) = hand.envelope(&["list"], b"");
    assert_eq!(listed["result"]["secrets"].as_array().map(Vec::len), Some(1), "{listed}");
}

#[test]
fn a_new_name_that_looks_like_a_flag_is_refused_and_an_empty_ttl_is_none() {
    let hand = Hand::with_home();
    let (code, refused) = hand.envelope(&["add", "--", "-dash"], b"a value of some length");
    assert_eq!((code, &refused["fix"]), (2, &"secrets add dash".into()), "{refused}");
    let (_, listed) = hand.envelope(&["list"], b"");
    assert_eq!(listed["result"]["count"], 0, "{listed}");
    assert_eq!(hand.envelope(&["add", "dash"], b"a value of some length").0, 0);
    let done = hand
        .run(&["exec", "--ttl", "", "--raw", "--secret", "dash=DASH", "--", "sh", "-c", "printf %s \"$DASH\""], b"");
    assert_eq!((done.status.code(), &*done.stdout), (Some(0), &b"a value of some length"[..]), "{done:?}");
    std::fs::write(
        hand.work.join(".secrets.json"),
        br#"{"secrets": [{"name": "dash", "env_var": "DASH"}], "client_id": "web"}"#,
    )
    .unwrap();
    let (code, written) = hand.envelope(&["env", "--raw", "--ttl", ""], b"");
    assert_eq!(code, 0, "{written}");
    hand.stop();
}
