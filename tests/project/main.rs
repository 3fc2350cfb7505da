//! Project files at work: env files and their end, programs and theirs, outside keepers of variables.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../hand/mod.rs"]
mod hand;
#[path = "../support/mod.rs"]
mod support;

mod beside;
mod cleanup;
mod env;
mod exec;
mod keepers;
mod manifest;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use hand::{Hand, SECRET};
use serde_json::Value;

fn put(hand: &Hand, name: &str, content: &str) -> PathBuf {
    let path = hand.work.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, content).unwrap();
    path
}

/// A home with `acme_key` and a project that wants it as `ACME`.
fn project() -> Hand {
    let hand = Hand::with_home();
    hand.acme("api.acme.test");
    put(&hand, ".secrets.json", r#"{"secrets":[{"name":"acme_key","env_var":"ACME"}],"client_id":"web"}"#);
    hand
}

/// What a shell has in its environment after reading a file.
fn sourced(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let script = "set -a; . \"$1\"; exec env -0";
    let output = Command::new("sh").args(["-c", script, "sh"]).arg(path).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let lines = output.stdout.split(|byte| *byte == 0);
    let pair = |line: &[u8]| {
        let at = line.iter().position(|byte| *byte == b'=')?;
        Some((String::from_utf8_lossy(&line[..at]).into_owned(), line[at + 1..].to_vec()))
    };
    lines.filter_map(pair).collect()
}

fn send(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

fn live_leases(hand: &Hand) -> Value {
    hand.envelope(&["status"], b"").1["result"]["active_leases"].clone()
}
