//! Lease tokens without a session: who holds them, what ends them, and what outlives a restart.

use std::{fs, net::TcpListener};

use crate::{
    hand::{Hand, SECRET},
    support::{HeldPort, Origin, Program, Speaks, TestCa, find_program},
};

const HOST: &str = "api.acme.test";

fn world() -> (Origin, Hand) {
    let ca = TestCa::new();
    let origin = Origin::builder(ca.leaf_for(&[HOST])).speaks(Speaks::Both).start();
    let hand = Hand::in_front_of(&ca, &origin, &[HOST]);
    hand.acme(HOST);
    (origin, hand)
}

fn proxy(hand: &Hand) -> String {
    let (_, status) = hand.envelope(&["--no-autostart", "status"], b"");
    status["result"]["proxy_addr"].as_str().unwrap_or_else(|| panic!("{status}")).to_owned()
}

/// Stops the daemon and sees to it that nobody else takes its port.
fn stop_and_hold(hand: &Hand) -> HeldPort {
    let address = proxy(hand).parse().unwrap();
    hand.stop();
    HeldPort::at(address).unwrap()
}

/// A shell that runs these words after `secrets --home HOME`, several times; it stays, so that it is one caller.
fn shell(hand: &Hand, commands: &[&str]) -> Program {
    let secrets = format!("'{}' --timeout 60 --home '{}'", env!("CARGO_BIN_EXE_secrets"), hand.home.display());
    let script: Vec<String> = commands.iter().map(|command| format!("{secrets} {command}")).collect();
    let mut shell = std::process::Command::new(find_program("sh").unwrap());
    Program::start(shell.args(["-c", &format!("{}; true", script.join("; "))]).env("USER", "alice"))
}

#[test]
fn the_main_port_stays_the_same_over_restarts_while_it_is_free() {
    let (_origin, hand) = world();
    let first = proxy(&hand);
    let held = stop_and_hold(&hand);
    let _again = hand.serve();
    assert_eq!(proxy(&hand), first);
    hand.stop();

    let taken = TcpListener::bind(&first).unwrap();
    drop(held);
    let _third = hand.serve();
    let second = proxy(&hand);
    assert_ne!(second, first, "somebody else has it");
    let _held = stop_and_hold(&hand);
    drop(taken);
    let _fourth = hand.serve();
    assert_eq!(proxy(&hand), second, "the last one counts");
}

#[test]
fn an_environment_file_outlives_a_restart() {
    let (Some(sh), Some(_)) = (find_program("sh"), find_program("curl")) else { return };
    let (origin, hand) = world();
    fs::write(hand.work.join(".secrets.json"), r#"{"secrets": [{"name": "acme_key", "env_var": "MY_KEY"}]}"#).unwrap();
    let (code, made) = hand.envelope(&["env"], b"");
    assert_eq!(code, 0, "{made}");
    let file = made["result"]["env_file"].as_str().unwrap().to_owned();
    let ask = || {
        let script = format!(
            "set -a; . '{file}'; curl -sS -o /dev/null -w '%{{http_code}}' -H \"Authorization: Bearer $MY_KEY\" https://{HOST}/echo"
        );
        Program::start(std::process::Command::new(&sh).args(["-c", &script])).finish()
    };
    assert_eq!(ask().stdout, "200");
    let _held = stop_and_hold(&hand);
    let _again = hand.serve();
    let answered = ask();
    assert_eq!(answered.stdout, "200", "{answered:?}");
    assert_eq!(origin.requests().len(), 2);
}

#[test]
fn callers_do_not_take_each_others_leases_away_and_one_caller_is_told() {
    let (_origin, hand) = world();
    let one = shell(&hand, &["lease acme_key --token --json"]).finish().expect_success();
    let one: serde_json::Value = serde_json::from_str(&one.stdout).unwrap();
    let client = one["result"]["client_id"].as_str().unwrap();
    assert!(client.starts_with("alice-sh-"), "{client}");
    let _two = shell(&hand, &["lease acme_key --token"]).finish().expect_success();
    let active = || hand.envelope(&["status"], b"").1["result"]["active_leases"].as_u64();
    assert_eq!(active(), Some(2), "each caller has its own");
    assert!(hand.records_of("lease_replace").is_empty());

    let again = shell(&hand, &["lease acme_key --token", "lease acme_key --token"]).finish().expect_success();
    assert_eq!(active(), Some(3), "the same caller has one");
    let replaced = hand.records_of("lease_replace");
    assert_eq!(replaced.len(), 1);
    let id = replaced[0].lease_id.as_ref().unwrap().clone();
    assert!(again.stderr.contains(&id) && again.stderr.contains("--client-id"), "{again:?}");
    assert_eq!(again.stdout.matches("lse_").count(), 2, "standard output holds the tokens alone: {again:?}");

    let shown = hand.envelope(&["lease", "acme_key", "--token", "--json"], b"").1;
    assert!(shown["result"].get("replaces").is_none(), "{shown}");
    let (_, second) = hand.envelope(&["lease", "acme_key", "--token", "--json"], b"");
    assert_eq!(second["result"]["replaces"], shown["result"]["lease_id"], "{second}");
    assert!(!second.to_string().contains(SECRET));
}
