//! Disks that are full or may not be written: each on a file system of its own, in a mount namespace of its own, so that
//! nothing outside notices.
//!
//! They need `unshare` and a system that lets this user make user and mount namespaces and mount a tmpfs inside; most
//! containers do not. Without, each says on standard error that it looked at nothing and why, and fails where
//! `LEASEHOLD_REQUIRE_CLIENTS` lists `namespaces`.

use crate::{
    hand::Hand,
    support::{Program, find_program, skip},
};

/// Runs a script in which `s` is the program with a home on the new file system; what it said, or `None` where this
/// system gives no namespaces.
fn on_a_disk_of_its_own(size: &str, script: &str) -> Option<String> {
    let unshare = find_program("unshare")?;
    let program = env!("CARGO_BIN_EXE_secrets");
    let hand = Hand::new();
    let work = hand.work.display();
    let script = format!(
        "set -e; mount -t tmpfs -o size={size} tmpfs {work} || {{ echo unsupported: no tmpfs can be mounted; exit 0; }}
         s() {{ '{program}' --timeout 60 --home {work}/h \"$@\"; }}
         trap 's --no-autostart stop > /dev/null' EXIT; cd {work}
         {script}"
    );
    let mut command = std::process::Command::new(unshare);
    command
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
        .current_dir(hand.home.parent().unwrap());
    let finished = Program::start(&mut command).finish();
    let unsupported = finished.stdout.lines().find_map(|line| line.strip_prefix("unsupported: "));
    let refused = finished.stderr.lines().find(|line| line.starts_with("unshare:"));
    if let Some(why) = unsupported.or(refused) {
        skip("namespaces", &format!("no disk of its own here: {why}"));
        return None;
    }
    Some(finished.expect_success().stdout)
}

fn says_every(said: &str, lines: &[&str]) {
    for line in lines {
        assert!(said.lines().any(|l| l == *line), "`{line}` is missing: {said}");
    }
}

#[test]
fn a_full_disk_loses_nothing_and_says_so() {
    let script = r#"s init > /dev/null; printf first | s add first > /dev/null
         sum=$(sha256sum h/secrets.age)
         dd if=/dev/zero of=fill bs=4k 2> /dev/null || true
         head -c 300000 /dev/urandom | s --output json add second && echo added || echo "failed $?"
         [ "$sum" = "$(sha256sum h/secrets.age)" ] && echo unchanged
         rm fill
         head -c 300000 /dev/urandom | s add second > /dev/null && echo again
         s lease first; echo; s audit verify > /dev/null && echo verified; ls -A h"#;
    let Some(said) = on_a_disk_of_its_own("2m", script) else { return };
    assert!(said.contains("failed 66") && said.contains("No space left") && said.contains("\"fix\""), "{said}");
    says_every(&said, &["unchanged", "again", "first", "verified"]);
    assert!(!said.lines().any(|line| line.strip_suffix(".tmp").is_some()), "no half-written file stays: {said}");
    assert!(said.contains("h/secrets.age`: No space"), "the error names the file that was meant: {said}");
}

/// A disk on which the daemon holds its log open cannot be made read-only, but what is mounted over the home can.
#[test]
fn a_disk_that_may_not_be_written_loses_nothing_and_says_so() {
    let script = r#"s init > /dev/null; printf first | s add first > /dev/null
         read_only() { mount --bind h h && mount -o remount,bind,ro h; }
         read_only || { echo unsupported: nothing can be made read-only; exit 0; }
         printf second | s --output json add second && echo added || echo "failed $?"
         s --output json lease first > leased 2>&1 || true
         umount -l h; s stop > /dev/null; read_only
         s --output json list && echo listed || echo "not started $?"
         umount -l h
         s lease first; echo; s list > listed; grep -c second listed || echo none
         s audit verify > /dev/null && echo verified"#;
    let Some(said) = on_a_disk_of_its_own("4m", script) else { return };
    assert!(said.contains("failed 66") && said.contains("Read-only file system"), "{said}");
    assert!(said.contains("not started 66"), "{said}");
    says_every(&said, &["first", "none", "verified"]);
}

#[test]
fn a_policy_that_no_disk_takes_leaves_no_secret_behind_and_no_file() {
    let script = r#"s init > /dev/null; printf first | s add first --host a.acme.test > /dev/null; ls h/policies > before
         mount -t tmpfs -o size=4k tmpfs h/policies && printf x > h/policies/fill || { echo unsupported: no second tmpfs can be mounted; exit 0; }
         printf second | s --output json add second --host b.acme.test && echo added || echo "failed $?"
         ls h/policies | grep -v fill || echo "nothing is left"
         mount -o remount,ro h/policies
         printf second | s --output json add second --host b.acme.test && echo added || echo "failed $?"
         s --output json delete first && echo deleted || echo "not deleted $?"
         umount h/policies
         s --output json list > listed; grep -c '"second"' listed || echo none
         printf second | s add second --host b.acme.test > /dev/null && echo again
         s lease second --token > /dev/null && echo leased; s audit verify > /dev/null && echo verified"#;
    let Some(said) = on_a_disk_of_its_own("4m", script) else { return };
    assert!(said.contains("No space left") && said.contains("Read-only file system"), "{said}");
    assert_eq!(said.matches("failed 66").count(), 2, "{said}");
    assert_eq!(said.matches("`second` was not stored").count(), 2, "{said}");
    says_every(&said, &["nothing is left", "deleted", "0", "none", "again", "leased", "verified"]);
}

#[test]
fn a_grant_that_cannot_be_removed_is_named_when_its_secret_goes() {
    let script = r#"s init > /dev/null; mkdir p; mkdir -p h/policies; mount --bind p h/policies || { echo unsupported: no folder can be bound; exit 0; }
         printf first | s add first --host a.acme.test > /dev/null
         mount -o remount,bind,ro h/policies || { echo unsupported: no bound folder can be made read-only; exit 0; }
         s --output json delete first && echo deleted || echo "not deleted $?"
         s --output json list > listed; grep -c '"first"' listed || echo gone"#;
    let Some(said) = on_a_disk_of_its_own("4m", script) else { return };
    assert!(said.contains("cannot be removed: Read-only file system"), "{said}");
    assert!(said.contains("\"kept\"") && said.contains("grant-a-acme-test-first.toml"), "{said}");
    says_every(&said, &["deleted", "0", "gone"]);
}
