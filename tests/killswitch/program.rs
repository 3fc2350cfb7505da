//! `secrets kill` and `secrets heartbeat` as a user has them, with a daemon, without one, and beside one that hangs.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::{
    hand::{Hand, SECRET},
    steps,
    support::{Finished, HeldPort, Program, count, find_program, until_blocking},
};

fn world() -> Hand {
    let hand = Hand::with_home();
    assert_eq!(hand.envelope(&["add", "a"], SECRET.as_bytes()).0, 0);
    hand
}

fn stop(hand: &Hand) {
    assert_eq!(hand.envelope(&["stop"], b"").0, 0);
    until_blocking("the daemon is gone", || !hand.run(&["--no-autostart", "status"], b"").status.success());
}

#[track_caller]
fn assert_latched(hand: &Hand) {
    let refused = hand.run(&["lease", "a"], b"");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!((refused.status.code(), refused.stdout.as_slice()), (Some(1), &b""[..]), "{said}");
    assert!(said.contains("kill switch") && said.contains("fix: secrets kill --reset"), "{said}");
}

fn tried(envelope: &Value) -> Vec<(&str, bool)> {
    let steps = envelope["result"]["steps"].as_array().unwrap();
    steps.iter().map(|step| (step["step"].as_str().unwrap(), step["success"].as_bool().unwrap())).collect()
}

#[test]
fn kill_latches_says_each_step_and_reset_ends_it() {
    let hand = world();
    assert_eq!(hand.run(&["lease", "a"], b"").stdout, SECRET.as_bytes());
    let (code, killed) = hand.envelope(&["kill"], b"");
    assert_eq!((code, &killed["result"]["leases_revoked"]), (0, &1.into()), "{killed}");
    let all = ["latch", "revoke_all", "cut", "keep", "record"].map(|step| (step, true));
    assert_eq!(tried(&killed), all);
    assert_latched(&hand);
    let (_, status) = hand.envelope(&["status"], b"");
    assert_eq!(status["result"]["kill"]["state"], "tripped", "{status}");
    assert_eq!(status["result"]["kill"]["by"], "operator", "{status}");
    let doctor = hand.envelope(&["doctor"], b"").1;
    assert!(doctor.to_string().contains("secrets kill --reset"), "{doctor}");

    let (code, reset) = hand.envelope(&["kill", "--reset"], b"");
    assert_eq!(code, 0, "{reset}");
    assert_eq!(hand.run(&["lease", "a"], b"").stdout, SECRET.as_bytes());
    assert_eq!(hand.envelope(&["status"], b"").1["result"]["kill"]["state"], "ready");
}

#[test]
fn attack_120_kill_9_right_after_the_answer_changes_nothing() {
    let hand = Hand::with_home();
    let mut daemon = hand.serve();
    assert_eq!(hand.envelope(&["add", "a"], SECRET.as_bytes()).0, 0);
    assert_eq!(hand.run(&["lease", "a"], b"").stdout, SECRET.as_bytes());
    assert_eq!(hand.envelope(&["kill"], b"").0, 0);
    daemon.kill();
    assert_latched(&hand); // by the daemon that this starts
    let (_, status) = hand.envelope(&["status"], b"");
    assert_eq!(
        (&status["result"]["active_leases"], &status["result"]["kill"]["state"]),
        (&0.into(), &"tripped".into())
    );
    let (code, verified) = hand.envelope(&["audit", "verify"], b"");
    assert_eq!(code, 0, "{verified}");
}

#[test]
fn without_a_daemon_it_latches_the_home_and_starts_none() {
    let hand = world();
    assert_eq!(hand.run(&["lease", "a"], b"").stdout, SECRET.as_bytes());
    stop(&hand);
    let (code, killed) = hand.envelope(&["kill"], b"");
    assert_eq!((code, tried(&killed)), (0, vec![("latch", true), ("record", true)]), "{killed}");
    assert!(!hand.run(&["--no-autostart", "status"], b"").status.success(), "no daemon was started");
    assert_latched(&hand);
    assert_eq!(steps(&hand.records()), ["latch", "latch"], "once by the command, once by the daemon that came later");
    assert_eq!(hand.records_of("lease_revoke").len(), 1, "the lease of the last run ended");
    assert_eq!(hand.envelope(&["audit", "verify"], b"").0, 0);
    assert_eq!(hand.envelope(&["kill", "--reset"], b"").0, 0);
    assert_eq!(hand.run(&["lease", "a"], b"").stdout, SECRET.as_bytes());
}

#[test]
fn a_daemon_that_cannot_be_reached_follows_the_file() {
    let hand = world();
    let (code, killed) = hand.envelope(&["--socket", "/nowhere/s.sock", "kill"], b"");
    assert_eq!((code, tried(&killed)), (1, vec![("latch", true), ("record", false)]), "{killed}");
    until_blocking("the daemon latches", || hand.envelope(&["status"], b"").1["result"]["kill"]["state"] == "tripped");
    assert_latched(&hand);
    until_blocking("it records all of it", || steps(&hand.records()).len() >= 4);
    assert_eq!(steps(&hand.records()), ["latch", "revoke_all", "cut", "keep"], "it records it itself");
}

#[test]
fn rotate_runs_every_hook_and_one_that_fails_does_not_stop_the_rest() {
    let hand = world();
    assert_eq!(hand.envelope(&["add", "good", "--rotate-via", "printf rotated"], b"old").0, 0);
    let (code, killed) = hand.envelope(&["kill", "--rotate"], b"");
    assert_eq!(code, 0, "{killed}");
    assert!(tried(&killed).contains(&("rotate_all", true)), "{killed}");
    assert!(killed.to_string().contains("1 secret rotated; 1 without a hook"), "{killed}");

    assert_eq!(hand.envelope(&["add", "bad", "--rotate-via", "exit 3"], b"old").0, 0);
    let (code, killed) = hand.envelope(&["kill", "--rotate", "--wipe", "--force"], b"");
    assert_eq!((code, &killed["fix"]), (1, &"secrets kill --rotate --wipe --force".into()), "{killed}");
    let all = ["latch", "revoke_all", "cut", "keep", "rotate_all", "wipe_store", "record"];
    assert_eq!(tried(&killed), all.map(|step| (step, step != "rotate_all")), "{killed}");
    assert!(killed["error"]["message"].as_str().unwrap().contains("`bad`"), "{killed}");
    let rotated = hand.records_of("killswitch").into_iter().filter(|record| !record.success);
    assert_eq!(rotated.map(|record| record.details.unwrap()).collect::<Vec<_>>(), ["rotate_all"]);
    assert_wiped(&hand);
}

#[test]
fn rotate_without_a_daemon_latches_first_and_starts_one_to_rotate_with() {
    let hand = Hand::with_home();
    assert_eq!(hand.envelope(&["add", "a", "--rotate-via", "printf rotated"], b"old").0, 0);
    stop(&hand);
    let (code, killed) = hand.envelope(&["kill", "--rotate"], b"");
    assert_eq!(code, 0, "{killed}");
    assert!(tried(&killed).contains(&("rotate_all", true)), "{killed}");
    assert_latched(&hand);
    assert_eq!(steps(&hand.records())[..2], ["latch", "latch"], "the file, then the daemon that found it");
    assert_eq!(hand.envelope(&["kill", "--reset"], b"").0, 0);
    assert_eq!(hand.run(&["lease", "a"], b"").stdout, b"rotated");
}

/// Nothing of what the home kept secret is left, and the audit log is whole.
fn assert_wiped(hand: &Hand) {
    for name in ["identity.age", "secrets.age", "secrets.age.previous", "leases.age", "ca/root.key.age"] {
        assert!(!hand.home.join(name).exists(), "{name}");
    }
    until_blocking("no daemon runs", || !hand.run(&["--no-autostart", "status"], b"").status.success());
    // The key that signs the record's end is sealed to the identity that is gone; its public half still tells.
    let (_, verified) = hand.envelope(&["audit", "verify"], b"");
    assert_eq!(verified["result"]["first_break"], serde_json::Value::Null, "{verified}");
    let fix = verified["fix"].as_str().unwrap().strip_prefix("secrets ").unwrap();
    let (code, verified) = hand.envelope(&fix.split(' ').collect::<Vec<_>>(), b"");
    assert_eq!((code, &verified["result"]["note"]), (0, &"agrees".into()), "{verified}");
}

/// A home that was wiped is of use again after `init` and `kill --reset`.
fn assert_usable_again(hand: &Hand) {
    let (code, refused) = hand.envelope(&["list"], b"");
    assert!(code != 0 && refused["fix"] == "secrets init", "{refused}");
    assert_eq!(hand.envelope(&["init"], b"").0, 0);
    let (code, added) = hand.envelope(&["add", "a"], b"a new value");
    assert_eq!(code, 0, "{added}");
    assert_latched(hand);
    assert_eq!(hand.envelope(&["kill", "--reset"], b"").0, 0);
    assert_eq!(hand.run(&["lease", "a"], b"").stdout, b"a new value");
    assert_eq!(hand.envelope(&["ca", "show"], b"").0, 0, "there is a new authority");
}

#[test]
fn wipe_destroys_and_the_home_can_begin_anew() {
    let hand = world();
    assert_eq!(hand.envelope(&["add", "acme_key", "--host", "api.acme.test"], SECRET.as_bytes()).0, 0);
    let mine = hand.home.join("policies/mine.toml");
    std::fs::write(&mine, "schema = 1\nkind = \"policy\"\n").unwrap();
    assert_eq!(hand.run(&["lease", "a"], b"").stdout, SECRET.as_bytes());
    let (code, killed) = hand.envelope(&["kill", "--wipe", "--force"], b"");
    assert_eq!(code, 0, "{killed}");
    assert!(tried(&killed).contains(&("wipe_store", true)), "{killed}");
    assert_wiped(&hand);
    let left: Vec<_> =
        std::fs::read_dir(hand.home.join("policies")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(left, [mine], "no generated file names a secret; what a person wrote stays");
    assert_usable_again(&hand);
}

#[test]
fn wipe_works_without_a_daemon_and_on_a_store_that_nobody_can_open() {
    let hand = world();
    stop(&hand);
    std::fs::write(hand.home.join("secrets.age"), "damaged").unwrap();
    let (code, killed) = hand.envelope(&["kill", "--wipe", "--force"], b"");
    assert_eq!(tried(&killed), [("latch", true), ("wipe_store", true), ("record", true)], "{code} {killed}");
    assert_wiped(&hand);
    assert_usable_again(&hand);
}

#[test]
fn wipe_asks_and_does_nothing_without_an_answer() {
    let Some(setsid) = find_program("setsid") else { return };
    let hand = world();
    let kill = hand.command(&["kill", "--wipe"]);
    let mut command = Command::new(setsid); // without a terminal
    command.arg("--wait").arg(kill.get_program()).args(kill.get_args()).stdin(Stdio::null()).current_dir(&hand.work);
    let refused = Program::start(&mut command).finish();
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(refused.stdout.contains("secrets kill --wipe --force"), "{refused:?}");
    assert_eq!(hand.run(&["lease", "a"], b"").stdout, SECRET.as_bytes());
    assert!(hand.records_of("killswitch").is_empty());
    let (code, misuse) = hand.envelope(&["kill", "--reset", "--wipe"], b"");
    assert_eq!(code, 2, "{misuse}");
}

#[test]
fn a_process_inside_a_session_can_neither_trip_nor_reset() {
    let hand = Hand::with_home();
    let (code, added) = hand.envelope(&["add", "acme_key", "--host", "api.acme.test"], SECRET.as_bytes());
    assert_eq!(code, 0, "{added}");
    let program = env!("CARGO_BIN_EXE_secrets");
    let own = format!("'{program}' --home '{}' --timeout 60 --output json", hand.home.display());
    let script = format!(
        "{own} kill; echo \"code $?\"; touch up; while [ ! -e go ]; do sleep 0.05; done; {own} kill --reset; echo \"code $?\""
    );
    let mut command = hand.command(&["exec", "--secret", "acme_key=K", "--"]);
    let inside = Program::start(command.arg(find_program("sh").unwrap()).args(["-c", &script]));
    until_blocking("it has tried to trip", || hand.work.join("up").exists());
    assert_eq!(hand.envelope(&["status"], b"").1["result"]["kill"]["state"], "ready");
    assert_eq!(hand.envelope(&["kill"], b"").0, 0);
    std::fs::write(hand.work.join("go"), "").unwrap();
    let Finished { stdout, stderr, .. } = inside.finish();
    assert_eq!(count(stdout.as_bytes(), b"code 1"), 2, "{stdout} {stderr}");
    assert_eq!(count(stdout.as_bytes(), b"inside a session"), 2, "{stdout}");
    assert_eq!(hand.envelope(&["status"], b"").1["result"]["kill"]["state"], "tripped");
}

#[test]
fn heartbeat_test_says_exactly_why_it_fails_and_status_how_it_has_been() {
    let hand = Hand::with_home();
    let (code, none) = hand.envelope(&["heartbeat", "test"], b"");
    assert!(code != 0 && none.to_string().contains("heartbeat.enabled"), "{none}");
    let (_, status) = hand.envelope(&["heartbeat", "status"], b"");
    assert_eq!(status["result"]["heartbeat"]["enabled"], false, "{status}");
    stop(&hand);

    let nobody = HeldPort::any();
    let url = format!("http://{}/alive", nobody.address());
    let config = format!("[heartbeat]\nenabled = true\nurl = \"{url}\"\ninterval = \"1h\"\ntimeout = \"5s\"\n");
    std::fs::write(hand.home.join("config.toml"), config).unwrap();
    let (code, failed) = hand.envelope(&["heartbeat", "test"], b"");
    assert_eq!(code, 1, "{failed}");
    assert!(failed["error"]["message"].as_str().unwrap().contains("cannot connect"), "{failed}");
    assert_eq!((&failed["result"]["url"], &failed["fix"]), (&url.into(), &"secrets heartbeat status".into()));
    let (code, status) = hand.envelope(&["heartbeat", "status"], b"");
    assert_eq!((code, &status["result"]["heartbeat"]["interval"]), (0, &"1h".into()), "{status}");
    assert!(hand.run(&["status", "--output", "human"], b"").stdout.starts_with(b"daemon:"));
}

#[test]
fn a_heartbeat_that_cannot_work_stops_the_start_and_is_named() {
    let hand = Hand::with_home();
    std::fs::write(hand.home.join("config.toml"), "[heartbeat]\nenabled = true\nurl = \"http://beat.test/\"\n")
        .unwrap();
    let (code, refused) = hand.envelope(&["status"], b"");
    assert_eq!(code, 64, "{refused}");
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.contains("config.toml") && message.contains("heartbeat.url"), "{refused}");
}

#[test]
fn the_proxies_of_the_environment_are_not_for_heartbeats() {
    let (Some(python), hand) = (find_program("python3"), Hand::with_home()) else { return };
    let mut server = Command::new(python);
    server.args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1"]).current_dir(&hand.work);
    let mut server = server.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(server.stdout.take().unwrap()), &mut line).unwrap();
    let port: u16 = line.split("port ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    let config = format!("[heartbeat]\nenabled = true\nurl = \"http://localhost:{port}/\"\ninterval = \"1h\"\n");
    std::fs::write(hand.home.join("config.toml"), config).unwrap();
    let dead = "http://127.0.0.1:1";
    let mut serve = hand.command(&["serve"]);
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        serve.env(name, dead);
    }
    let _daemon = Program::start(&mut serve);
    until_blocking("the daemon answers", || hand.run(&["--no-autostart", "status"], b"").status.success());
    let (code, tested) = hand.envelope(&["heartbeat", "test"], b"");
    let _ = server.kill();
    let _ = server.wait();
    assert_eq!(code, 0, "{tested}");
}

#[test]
fn a_folder_that_is_no_home_is_not_shown_as_stopped() {
    let hand = Hand::new();
    for is_made in [false, true] {
        if is_made {
            std::fs::create_dir(&hand.home).unwrap();
        }
        for arguments in [&["kill"][..], &["kill", "--wipe", "--force"]] {
            let (code, refused) = hand.envelope(arguments, b"");
            assert_eq!((code, refused.get("result")), (1, None), "{refused}");
            let message = refused["error"]["message"].as_str().unwrap();
            assert!(message.contains("there is no home in") && message.contains("nothing was stopped"), "{refused}");
        }
    }
    assert_eq!(std::fs::read_dir(&hand.home).unwrap().count(), 0, "nothing is left in it");
}

#[test]
fn a_latch_that_cannot_be_written_is_not_shown_as_tripped() {
    let hand = Hand::with_home();
    std::fs::create_dir(hand.home.join("kill.json")).unwrap(); // no file can take its place
    let (code, killed) = hand.envelope(&["kill"], b"");
    assert_eq!((code, tried(&killed)[0]), (1, ("latch", false)), "{killed}");
    // What cannot be read counts as tripped: that, and not our wish, is what the next daemon finds.
    assert_eq!(killed["result"]["kill"]["by"], "damaged_state", "{killed}");
}

#[test]
fn a_wipe_in_the_middle_of_adding_leaves_neither_secrets_nor_grants() {
    for _ in 0..3 {
        let hand = Hand::with_home();
        let daemon = hand.serve();
        std::thread::scope(|scope| {
            let hand = &hand;
            for worker in 0..3 {
                scope.spawn(move || {
                    for round in 0..4 {
                        let name = format!("k{worker}-{round}");
                        hand.run(&["--no-autostart", "add", &name, "--host", "api.acme.test"], SECRET.as_bytes());
                    }
                });
            }
            scope.spawn(|| {
                until_blocking("somebody adds", || {
                    std::fs::read_dir(hand.home.join("policies")).is_ok_and(|all| all.count() > 0)
                });
                let (code, killed) = hand.envelope(&["kill", "--wipe", "--force"], b"");
                assert_eq!(code, 0, "{killed}");
            });
        });
        drop(daemon.finish());
        let left = std::fs::read_dir(hand.home.join("policies")).map(Iterator::count).unwrap_or_default();
        assert_eq!(left, 0, "no generated file is written after the wipe");
        for name in ["identity.age", "secrets.age", "secrets.age.previous", "leases.age"] {
            assert!(!hand.home.join(name).exists(), "{name}");
        }
    }
}
