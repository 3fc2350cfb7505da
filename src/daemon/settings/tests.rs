//! Settings in both forms: what is read, what is refused, and where the fault stands.

use super::*;
use crate::{audit, base::Span};

fn load(text: &str) -> Result<Settings, String> {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path());
    std::fs::write(home.config(), text).unwrap();
    Settings::load(&home, None).map_err(|error| error.to_string())
}

#[test]
fn without_a_file_the_defaults_hold() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::load(&Home::at(folder.path()), None).unwrap();
    assert_eq!(settings.max_lease_ttl, TimeToLive::DAY);
    assert!(Settings::load(&Home::at(folder.path()), Some(Path::new("/nowhere/config.toml"))).is_err());
}

#[test]
fn every_section_is_read() {
    let settings = load(
        "default_lease_ttl = \"30m\"\non_stray = \"revoke\"\n[proxy]\nlisten = \"127.0.0.1:8019\"\n\
         [upstream]\nallow_addresses = [\"10.0.0.0/8\"]\n[upstream.hosts]\n\"api.acme.test\" = \"127.0.0.1:1\"\n\
         [audit]\ndurability = \"fsync\"\n",
    )
    .unwrap();
    assert_eq!(settings.on_stray, OnStray::Revoke);
    assert_eq!(settings.upstream.hosts.len(), 1);
    assert_eq!(settings.audit.durability, audit::Durability::Fsync);
}

#[test]
fn a_fault_names_file_and_line() {
    let error = load("default_lease_ttl = \"30m\"\nmax_lease_tll = \"1h\"\n").unwrap_err();
    assert!(
        error.contains("config.toml") && error.contains("config.toml:2:1") && error.contains("max_lease_tll"),
        "{error}"
    );
    assert!(load("max_lease_ttl = \"10m\"").unwrap_err().contains("default_lease_ttl"));
    assert!(load("[proxy]\nlisten = \"0.0.0.0:80\"").unwrap_err().contains("loopback"));
    assert!(load("default_lease_ttl = \"soon\"").unwrap_err().contains("soon"));
}

fn load_json(text: &str) -> Result<Settings, String> {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path());
    std::fs::write(home.legacy_config(), text).unwrap();
    Settings::load(&home, None).map_err(|error| error.to_string())
}

#[test]
fn agent_secrets_documented_form_and_its_nanoseconds_say_the_same() {
    let documented = load_json(r#"{"default_lease_ttl": "10m", "max_lease_ttl": "20m"}"#).unwrap();
    let nanoseconds = load_json(r#"{"default_lease_ttl": 600000000000, "max_lease_ttl": 1200000000000}"#).unwrap();
    assert_eq!(documented, nanoseconds);
    assert_eq!(documented.max_lease_ttl.to_string(), "20m");
    let error = load_json(r#"{"default_lease_ttl": "2h", "max_lease_ttl": "1h"}"#).unwrap_err();
    assert!(error.contains("config.json") && error.contains("max_lease_ttl"), "{error}");
    let error = load_json("{\n  \"default_lease_ttl\": \"1h\",\n  oops\n}").unwrap_err();
    assert!(error.contains("config.json:3:"), "{error}");
    assert!(load_json(r#"{"default_lease_ttl": -5}"#).unwrap_err().contains("write it like"));
}

#[test]
fn what_agent_secrets_writes_without_meaning_it_changes_nothing() {
    let whole = r#"{"directory": "", "socket_path": "", "default_lease_ttl": 0, "max_lease_ttl": 86400000000000,
        "new_in_some_version": {"a": 1}, "audit_path": null}"#;
    assert_eq!(load_json(whole).unwrap(), Settings::default());
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path());
    std::fs::write(home.legacy_config(), whole).unwrap();
    let found = effective(&home, None).unwrap();
    assert_eq!(found.ignored, ["new_in_some_version"]);
    assert_eq!(places(home.clone(), None).unwrap(), home);
}

#[test]
fn zero_is_taken_where_it_means_none_and_refused_by_place_elsewhere() {
    let beat = "[heartbeat]\nenabled = true\nurl = \"https://a.test/\"\n";
    let settings = load(&format!("{beat}grace = \"0s\"\njitter = \"0s\"")).unwrap();
    assert!(settings.heartbeat.grace.get().is_zero() && settings.heartbeat.jitter.get().is_zero());
    assert_eq!(load_json(r#"{"heartbeat": {"grace": 0, "jitter": "0s"}}"#).unwrap().heartbeat.grace, Span::default());
    for (text, place) in [
        ("default_lease_ttl = \"0s\"", ":1:21"),
        ("max_lease_ttl = \"0h\"", ":1:17"),
        ("rotation_timeout = \"0ms\"", ":1:20"),
        ("[audit]\ncheckpoint = \"0s\"", ":2:14"),
        ("[heartbeat]\ninterval = \"0s\"", ":2:12"),
        ("[heartbeat]\ntimeout = \"0s\"", ":2:11"),
    ] {
        let error = load(text).unwrap_err();
        assert!(error.contains(place) && error.contains("more than zero"), "{text}: {error}");
    }
}

#[test]
fn our_file_wins_over_agent_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path());
    std::fs::write(home.legacy_config(), r#"{"max_lease_ttl": "5h"}"#).unwrap();
    std::fs::write(home.config(), "max_lease_ttl = \"6h\"").unwrap();
    assert_eq!(Settings::load(&home, None).unwrap().max_lease_ttl.to_string(), "6h");
}

#[test]
fn the_written_file_has_every_key_and_changes_nothing() {
    let written = commented_file();
    assert_eq!(load(&written).unwrap(), Settings::default());
    let with_defaults: String = written
        .lines()
        .map(|line| line.strip_prefix("# ").filter(|rest| rest.contains(" = ")).unwrap_or(line))
        .filter(|line| !line.contains("socket_group"))
        .flat_map(|line| [line, "\n"])
        .collect();
    assert_eq!(load(&with_defaults).unwrap(), Settings::default(), "{with_defaults}");
    for key in KEYS {
        let last = key.name.rsplit('.').next().unwrap();
        assert!(written.contains(&format!("# {last} = ")), "{}", key.name);
    }
}

#[test]
fn every_key_says_its_value_and_where_it_comes_from() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path());
    std::fs::write(home.config(), "socket_path = \"run/s.sock\"\n[audit]\ndurability = \"fsync\"\n").unwrap();
    let found = effective(&home, None).unwrap();
    let of = |key: &str| {
        let setting = found.settings.iter().find(|setting| setting.key == key).unwrap();
        (setting.value.clone(), setting.source)
    };
    assert_eq!(of("audit.durability"), ("\"fsync\"".to_owned(), "file"));
    assert_eq!(of("max_lease_ttl"), ("\"24h\"".to_owned(), "default"));
    let socket = folder.path().join("run/s.sock");
    assert_eq!(of("socket_path"), (format!("\"{}\"", socket.display()), "file"));
    assert_eq!(of("secrets_path").1, "default");
}

#[test]
fn mistyped_keys_are_named_with_what_was_meant() {
    for (text, place, says) in [
        ("max_leas_ttl = \"1h\"", ":1:1", "did you mean `max_lease_ttl`?"),
        ("[proxy]\nlisten = \"127.0.0.1:1\"\nrequire_aut = true", ":3:1", "did you mean `require_auth`?"),
        ("[proxi]\nlisten = \"127.0.0.1:1\"", ":1:2", "did you mean `proxy`?"),
        ("[audit]\ndurability = \"never\"", ":2:14", "unknown variant `never`"),
        ("max_lease_ttl = 5", ":1:17", "string"),
    ] {
        let error = load(text).unwrap_err();
        assert!(error.contains(place) && error.contains(says), "{text}: {error}");
    }
    assert!(load("socket_mode = \"0660\"").unwrap_err().contains("socket_group"));
    assert!(load("socket_group = \"ops\"").unwrap_err().contains("socket_mode"));
    assert_eq!(load("socket_group = \"\"").unwrap().socket_group, None, "as agent-secrets has it by default");
    assert!(load("socket_mode = \"0660\"\nsocket_group = \"\"").unwrap_err().contains("name the group"));
}

#[test]
fn a_mode_is_text_or_the_number_that_it_stands_for() {
    for (text, mode) in [("\"0600\"", SocketMode::Owner), ("384", SocketMode::Owner), ("0o600", SocketMode::Owner)] {
        assert_eq!(load(&format!("socket_mode = {text}")).unwrap().socket_mode, mode, "{text}");
    }
    for text in ["\"0644\"", "600", "420", "-1"] {
        let error = load(&format!("socket_mode = {text}")).unwrap_err();
        assert!(error.contains("write \"0600\", or \"0660\" with `socket_group`"), "{text}: {error}");
    }
    let error = load("zzzzzzzzzz = 1").unwrap_err();
    assert_eq!(error.matches("`heartbeat`").count(), 1, "each key once: {error}");
    let error = load("[heartbeat]\nzzzzzzzzzz = 1").unwrap_err();
    assert_eq!(error.matches("`fail_action`").count(), 1, "each key once: {error}");
}

/// The table of the README between its markers; when it is out of date, the failure prints the right one.
#[test]
fn the_readme_has_the_table() {
    let cell = |text: &str| if text.is_empty() { String::new() } else { format!("`{}`", text.replace('|', "\\|")) };
    let rows = KEYS.iter().map(|key| format!("| `{}` | {} | {} |\n", key.name, cell(key.default), key.about));
    let table = format!("| key | default | what it does |\n|---|---|---|\n{}", rows.collect::<String>());
    let readme = include_str!("../../../README.md");
    let (_, rest) = readme.split_once("<!-- settings -->\n").unwrap();
    let (found, _) = rest.split_once("<!-- end of settings -->").unwrap();
    assert!(found == table, "the README should say:\n{table}");
}
