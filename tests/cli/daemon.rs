//! The daemon as other processes see it: started once, never twice, replaced when it is gone, and cut off in mid-work.

use std::os::unix::{fs::FileTypeExt as _, net::UnixListener};

use crate::{hand::Hand, load::Killed, support::Program};

fn pid(hand: &Hand) -> u64 {
    let (code, status) = hand.envelope(&["--no-autostart", "status"], b"");
    assert_eq!(code, 0, "{status}");
    status["result"]["pid"].as_u64().unwrap_or_else(|| panic!("{status}"))
}

#[test]
fn commands_that_come_at_once_start_one_daemon() {
    let hand = Hand::with_home();
    let commands: Vec<_> = (0..6).map(|_| Program::start(&mut hand.command(&["list"]))).collect();
    for command in commands {
        let _out = command.finish().expect_success();
    }
    pid(&hand);
    assert_eq!(hand.records_of("daemon_start").len(), 1);
}

#[test]
fn a_second_daemon_says_so_and_disturbs_nothing() {
    let hand = Hand::with_home();
    let _first = hand.serve();
    let before = pid(&hand);
    let (code, second) = hand.envelope(&["serve"], b"");
    assert!(code != 0, "{second}");
    let error = second["error"]["message"].as_str().unwrap();
    assert!(error.contains("another daemon serves"), "{second}");
    assert!(second["fix"].as_str().unwrap().starts_with("secrets "), "{second}");
    assert_eq!(pid(&hand), before);
    assert_eq!(hand.records_of("daemon_start").len(), 1);
}

#[test]
fn a_stale_socket_is_replaced_and_a_file_of_another_kind_is_not() {
    let hand = Hand::with_home();
    let socket = hand.home.join("agent-secrets.sock");
    drop(UnixListener::bind(&socket).unwrap());
    assert!(socket.exists(), "the socket outlives its listener");
    hand.run(&["list"], b"").status.success().then_some(()).unwrap();
    assert!(std::fs::metadata(&socket).unwrap().file_type().is_socket());
    assert_eq!(hand.envelope(&["stop"], b"").0, 0);

    std::fs::write(&socket, b"somebody's notes").unwrap();
    let (code, refused) = hand.envelope(&["serve"], b"");
    assert!(code != 0 && refused.to_string().contains("agent-secrets.sock"), "{refused}");
    assert_eq!(std::fs::read(&socket).unwrap(), b"somebody's notes");
}

#[test]
fn the_record_is_whole_after_kill_9_in_the_middle_of_load() {
    let Some(killed) = Killed::when("", |_, origin| origin.requests().len() >= 20) else { return };
    killed.verified();
    let _again = killed.hand.serve();
    killed.verified();
    killed.assert_recorded(&["audit.log".to_owned()]);
    let hand = &killed.hand;
    let (_, listed) = hand.envelope(&["list"], b"");
    assert!(listed.to_string().contains("acme_key"), "no secret is lost: {listed}");
}

/// agent-secrets' default client id is the machine's name, so that its workers replaced each other's leases.
#[test]
fn workers_at_the_command_line_lease_and_revoke_at_once() {
    const WORKERS: usize = 200;
    let hand = Hand::with_home();
    assert_eq!(hand.envelope(&["add", "shared"], b"v").0, 0);
    let workers: Vec<_> = (0..WORKERS)
        .map(|worker| {
            let client = format!("worker-{worker}");
            Program::start(&mut hand.command(&[
                "lease",
                "shared",
                "--client-id",
                &client,
                "--ttl",
                "10m",
                "--timeout",
                "60",
            ]))
        })
        .collect();
    for worker in workers {
        assert_eq!(worker.finish().expect_success().stdout, "v");
    }
    assert_eq!(hand.envelope(&["status"], b"").1["result"]["active_leases"], WORKERS);
    assert_eq!(hand.envelope(&["revoke", "--client", "worker-3"], b"").1["result"]["leases_revoked"], 1);
    assert_eq!(hand.envelope(&["revoke", "--secret", "shared"], b"").1["result"]["leases_revoked"], WORKERS - 1);
    assert_eq!(hand.envelope(&["status"], b"").1["result"]["active_leases"], 0);
}
