//! `secrets exec`: where a program runs, how it ends, and that its leases end with it.

use rustix::process::Signal;

use super::*;
use crate::support::{Program, until_blocking};

/// A program that says in a file that it runs.
fn start(hand: &Hand, flags: &[&str], script: &str) -> Program {
    let mark = hand.work.join("mark");
    let script = format!("echo $$ > {}; {script}", mark.display());
    let arguments = [&["exec"], flags, &["--", "sh", "-c", &script]].concat();
    let program = Program::start(&mut hand.command(&arguments));
    until_blocking("the program runs", || std::fs::read(&mark).is_ok_and(|text| text.ends_with(b"\n")));
    program
}

#[test]
fn a_program_runs_where_its_caller_is_and_has_standard_output_for_itself() {
    let hand = project();
    let deep = hand.work.join("a/b");
    std::fs::create_dir_all(&deep).unwrap();
    let mut command = hand.command(&["exec", "--", "sh", "-c", "pwd; printf %s \"$ACME\" | wc -c; exit 7"]);
    let output = Hand::feed(command.current_dir(&deep), b"");
    assert_eq!(output.status.code(), Some(7));
    let text = String::from_utf8(output.stdout).unwrap();
    let folder = deep.canonicalize().unwrap();
    assert_eq!(text.split_whitespace().collect::<Vec<_>>(), [folder.to_str().unwrap(), "31"]);
    assert!(output.stderr.is_empty());
    let sessions = (hand.records_of("session_open"), hand.records_of("session_end"));
    assert_eq!((sessions.0.len(), sessions.1.len()), (1, 1));
    assert_eq!(sessions.0[0].client_id.as_deref(), Some("web"), "the project file's client");
    assert_eq!(live_leases(&hand), 0);
}

/// The other end of a pipe that `cat` reads, once it does: between fork and exec a shell's child may swallow a signal.
fn opened(fifo: &Path) -> std::fs::File {
    use std::os::unix::fs::OpenOptionsExt as _;
    let nonblock = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let open = || std::fs::OpenOptions::new().write(true).custom_flags(nonblock).open(fifo);
    let end = std::cell::RefCell::new(None);
    until_blocking("`cat` reads", || {
        *end.borrow_mut() = open().ok();
        end.borrow().is_some()
    });
    end.into_inner().unwrap()
}

#[test]
fn a_signal_reaches_the_program_and_its_ending_is_128_more() {
    let hand = project();
    let fifo = hand.work.join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)] {
        if is_ignored(signal) {
            continue; // as under `nohup` or in a shell's background: then the program ignores it too, by design
        }
        let _ = std::fs::remove_file(hand.work.join("mark"));
        let program = start(&hand, &[], "exec cat fifo");
        let _held = opened(&fifo);
        send(program.id(), signal);
        assert_eq!(program.finish().status.code(), Some(code), "{signal:?}");
    }
    let _ = std::fs::remove_file(hand.work.join("mark"));
    let program = start(&hand, &[], "trap 'exit 5' TERM; cat fifo > /dev/null 2>&1 & wait");
    let _held = opened(&fifo);
    send(program.id(), Signal::TERM);
    assert_eq!(program.finish().status.code(), Some(5), "a program may have its own answer");
    let opened = hand.records_of("session_open").len();
    until_blocking("every session has ended", || hand.records_of("session_end").len() == opened);
    assert_eq!(live_leases(&hand), 0);
}

/// Whether this process ignores a signal, and with it every program that it starts; proc(5), `SigIgn`.
fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).map_or("0", str::trim);
    u64::from_str_radix(mask, 16).unwrap() & 1 << (signal.as_raw() - 1) != 0
}

#[test]
fn leases_end_also_when_exec_is_killed() {
    let hand = project();
    let mut program = start(&hand, &[], "exec sleep 300");
    assert_eq!(live_leases(&hand), 1);
    let pid: u32 = std::fs::read_to_string(hand.work.join("mark")).unwrap().trim().parse().unwrap();
    program.kill();
    until_blocking("the session has ended", || hand.records_of("session_end").len() == 1);
    assert_eq!(live_leases(&hand), 0);
    send(pid, Signal::KILL); // it lives on, without a way to anything
}

#[test]
fn a_program_whose_time_is_over_ends_with_124() {
    let hand = project();
    for flags in [&["--timeout", "1"][..], &["--timeout", "1s"], &["--ttl", "1s"]] {
        let output = hand.run(&[&["exec"], flags, &["--", "sleep", "1000"]].concat(), b"");
        assert_eq!(output.status.code(), Some(124), "{flags:?}");
        assert!(output.stdout.is_empty() && String::from_utf8_lossy(&output.stderr).contains("was over"));
    }
    assert_eq!(hand.run(&["exec", "--timeout", "10m", "--", "sh", "-c", "exit 3"], b"").status.code(), Some(3));
    assert_eq!(hand.run(&["--timeout", "9", "exec", "--", "sh", "-c", "exit 4"], b"").status.code(), Some(4));
    assert_eq!(hand.run(&["exec", "--timeout", "soon", "--", "true"], b"").status.code(), Some(2));
    until_blocking("every session has ended", || hand.records_of("session_end").len() == 5);
    assert_eq!(live_leases(&hand), 0);
}

#[test]
fn time_to_live_is_the_flag_s_else_the_entry_s_else_the_file_s() {
    let hand = Hand::with_home();
    for name in ["one", "two"] {
        let host = format!("api.{name}.test");
        assert_eq!(hand.envelope(&["add", name, "--host", &host], b"v4lue-of-it").0, 0);
    }
    let text = r#"{"secrets":[{"name":"one","env_var":"A","ttl":"2m"},{"name":"two","env_var":"B"}],"ttl":"3m"}"#;
    put(&hand, ".secrets.json", text);
    let ttls = |flags: &[&str]| {
        let (_, planned) = hand.envelope(&[&["env", "--dry-run"], flags].concat(), b"");
        let vars = planned["result"]["vars"].as_array().unwrap().clone();
        vars.iter().map(|var| var["ttl"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ttls(&[]), ["2m", "3m"]);
    assert_eq!(ttls(&["--ttl", "5m"]), ["5m", "5m"]);
    put(&hand, ".secrets.json", r#"{"secrets":[{"name":"one","env_var":"A"},{"name":"two","env_var":"A"}]}"#);
    let refused = hand.run(&["exec", "--", "true"], b"");
    assert!(
        refused.status.code() == Some(64) && String::from_utf8_lossy(&refused.stderr).contains("`A` is wanted twice")
    );
}

#[test]
fn a_program_in_a_session_may_have_its_scans_recorded_and_nothing_else() {
    let hand = project();
    let program = env!("CARGO_BIN_EXE_secrets");
    let expired = "# secrets-managed: true\n# secrets-ttl: 2020-01-01T00:00:00Z\nA=1\n";
    let path = put(&hand, "old.env", expired);
    let inside = |line: &[&str]| {
        let home = hand.home.to_str().unwrap();
        hand.run(&[&["exec", "--", program, "--timeout", "60", "--home", home], line].concat(), b"").status.code()
    };
    assert_eq!(inside(&["scan"]), Some(0));
    assert_eq!(hand.records_of("scan").len(), 1);
    assert_ne!(inside(&["cleanup"]), Some(0));
    assert!(!path.exists() && hand.records_of("cleanup").is_empty(), "it may remove its own files, unrecorded");
    assert_ne!(inside(&["env", "--raw"]), Some(0));
    assert_ne!(inside(&["env"]), Some(0));
    assert!(!hand.work.join(".env").exists() && hand.records_of("env_write").is_empty());
}
