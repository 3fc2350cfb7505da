//! What works, and how it fails, before anything was made.

use crate::shell::Shell;

#[test]
fn the_root_command_is_a_tree_for_programs() {
    let shell = Shell::open();
    let tree = shell.types("secrets").quiet().result();
    assert!(tree["description"].is_string() && tree["version"].is_string(), "{tree}");
    let names: Vec<&str> = tree["commands"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    for name in [
        "init", "serve", "add", "update", "delete", "list", "lease", "revoke", "audit", "status", "health", "env",
        "exec", "version", "daemon",
    ] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    let next = shell.types("secrets").quiet().envelope()["next_actions"].clone();
    assert_eq!(next.as_array().unwrap().len(), 3, "{next}");
}

#[test]
fn without_a_store_every_command_says_init() {
    let shell = Shell::open();
    for line in ["secrets list", "secrets status", "secrets revoke --all", "secrets health"] {
        let said = shell.types(line);
        assert_ne!(said.code, 0, "{line}");
        assert_eq!(said.envelope()["fix"], "secrets init", "{line}: {said:?}");
    }
    let leased = shell.types("secrets lease key");
    assert!(leased.code != 0 && leased.stdout.is_empty() && leased.stderr.contains("secrets init"), "{leased:?}");
    assert!(!shell.home("").exists(), "nothing was made");
}

#[test]
fn without_a_daemon_the_exit_code_is_69_where_none_may_be_started() {
    let shell = Shell::open();
    shell.types("secrets init").quiet();
    let said = shell.types("secrets --no-autostart list").ends(69);
    assert_eq!(said.envelope()["error"]["code"], "daemon_unavailable");
    assert_eq!(said.envelope()["fix"], "secrets serve &");
}

/// As in v0.5: a script that still says them reads the envelope all the same.
#[test]
fn old_output_flags_change_nothing_and_warn() {
    let shell = Shell::open();
    shell.types("secrets init").quiet();
    for flag in ["--human", "--output table", "--output raw"] {
        let said = shell.types(&format!("secrets {flag} status")).ends(0);
        assert!(said.stderr.contains("deprecated and does nothing"), "{flag}: {said:?}");
        assert_eq!(said.result()["running"], true, "{flag}: {said:?}");
    }
    shell.types("secrets --output json status").quiet().envelope();
}

#[test]
fn flags_about_what_is_not_there_are_taken_in_silence() {
    let shell = Shell::open();
    shell.types("secrets init").quiet();
    for flag in ["--no-update-check", "--skip-permission-check", "--timeout 5"] {
        shell.types(&format!("secrets {flag} status")).quiet();
    }
}

#[test]
fn version_says_what_was_built_from_what() {
    let version = Shell::open().types("secrets version").quiet().result();
    for field in ["version", "commit", "build_date", "os", "arch"] {
        assert!(version[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {version}");
    }
    assert!(version["rustc"].as_str().unwrap().starts_with("rustc 1."), "in place of `go`: {version}");
}

#[test]
fn the_words_that_cobra_brings_are_there() {
    let shell = Shell::open();
    for line in ["secrets help", "secrets --help"] {
        assert!(shell.types(line).quiet().stdout.contains("Usage: secrets"), "{line}");
    }
    assert!(shell.types("secrets help policy explain").quiet().stdout.contains("<METHOD> <URL>"));
    for name in ["completion", "completions"] {
        assert!(shell.types(&format!("secrets {name} bash")).quiet().stdout.contains("_secrets"), "{name}");
    }
}

/// Nothing is downloaded, so that nothing but what the user installs ever runs.
#[test]
fn self_update_says_how_and_does_nothing() {
    let shell = Shell::open();
    let said = shell.types("secrets self-update").ends(1);
    assert_eq!(said.envelope()["fix"].as_str().unwrap().split(' ').next(), Some("cargo"), "{said:?}");
    assert!(!shell.home("").exists());
}

#[test]
fn a_command_that_lacks_its_word_says_which_there_are() {
    let shell = Shell::open();
    for (line, words) in [
        (
            "policy",
            "`accept`, `check`, `diff`, `dump`, `explain`, `lint`, `list`, `new`, `prove`, `record`, `reload`, `show` or \
             `test`",
        ),
        ("daemon", "`restart`"),
        ("ca", "`path` or `show`"),
        ("heartbeat", "`status` or `test`"),
    ] {
        let said = shell.types(&format!("secrets {line}")).ends(2);
        let message = format!("`secrets {line}` is not complete; {words} has to follow");
        assert_eq!(said.envelope()["error"]["message"], message, "{said:?}");
        let human = shell.types(&format!("secrets {line} --output human")).ends(2);
        assert_eq!(human.stderr, format!("secrets: {message}\n  fix: secrets {line} --help\n"));
    }
}

#[test]
fn a_wrong_line_is_misuse() {
    let shell = Shell::open();
    for line in ["secrets nothing", "secrets lease", "secrets status --no-such-flag", "secrets lease a --ttl soon"] {
        shell.types(line).ends(2);
    }
}
