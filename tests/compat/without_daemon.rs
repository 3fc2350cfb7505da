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

#[test]
fn old_flags_do_nothing_but_warn() {
    let shell = Shell::open();
    shell.types("secrets init").quiet();
    for flag in ["--human", "--output table", "--output raw"] {
        let said = shell.types(&format!("secrets {flag} status")).ends(0);
        assert!(said.stderr.contains("deprecated"), "{flag}: {said:?}");
    }
    for flag in ["--no-update-check", "--skip-permission-check", "--timeout 5"] {
        shell.types(&format!("secrets {flag} status")).quiet();
    }
}

#[test]
fn a_wrong_line_is_misuse() {
    let shell = Shell::open();
    for line in ["secrets nothing", "secrets lease", "secrets status --no-such-flag", "secrets lease a --ttl soon"] {
        shell.types(line).ends(2);
    }
}
