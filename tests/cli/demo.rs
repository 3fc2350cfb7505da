//! The demonstration as a person runs it: it holds, it shows no key, and it leaves nothing behind.

use std::{fs, process::Command};

use crate::support::{Program, count};

#[test]
fn the_demonstration_holds_and_leaves_nothing_behind() {
    let folder = crate::support::short_folder();
    let [temporary, home] = ["t", "h"].map(|name| folder.path().join(name));
    for folder in [&temporary, &home] {
        fs::create_dir(folder).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_secrets"));
    command.arg("demo").env("TMPDIR", &temporary).env("HOME", &home).current_dir(&home);
    let told = Program::start(command.env_remove("AGENT_SECRETS_HOME")).finish().expect_success();

    let headings: Vec<&str> = told
        .stdout
        .lines()
        .filter_map(|line| line.strip_prefix("  "))
        .filter(|line| line.starts_with(|first: char| first.is_ascii_digit()))
        .collect();
    let expected = [
        "1 What the agent's environment holds",
        "2 One request, as the agent sent it and as the upstream received it",
        "3 An API that echoes the credential",
        "4 The same token on its way to another host",
        "5 A stream: its first event is here, the stream is still open.",
        "6 A stream: its first event is here, the stream is still open.",
        "7 The audit log",
    ];
    assert_eq!(headings, expected, "{}", told.stdout);
    assert!(told.stdout.ends_with("\nAll of it held.\n"), "{}", told.stdout);
    assert_eq!((told.stdout.matches("FAILED").count(), told.stderr.as_str()), (0, ""), "{}", told.stdout);
    for shown in ["DEMO_API_KEY=", "(the real key)", "stray_lease", "the live stream was cut", "the chain is whole"] {
        assert!(told.stdout.contains(shown), "`{shown}`: {}", told.stdout);
    }
    // What is shown of a key is its first two random letters; a key has 32.
    for begun in ["demo-live-", "demo-other-"] {
        for (at, _) in told.stdout.match_indices(begun) {
            let rest = &told.stdout[at + begun.len()..];
            let random = rest.chars().take_while(char::is_ascii_hexdigit).count();
            assert!(random <= 2, "a key is in the transcript: {}", told.stdout);
        }
    }
    assert!(count(told.stdout.as_bytes(), b"demo-live-") > 0, "the test knows what a key looks like");
    for folder in [temporary, home] {
        let left: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
