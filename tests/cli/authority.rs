//! Attack 97: nothing that started under `exec` gets an operator's authority, however it lets go of its parents.

use std::{fs, path::PathBuf, process::Stdio};

use leasehold::base::Process;

use crate::{
    hand::{Hand, SECRET},
    support::{Program, count, find_program, until_blocking},
};

/// What an agent may not do when its session is gone, each as a command whose exit code is written down; while the session
/// lives, the first of them is allowed.
const DENIED: [&str; 6] =
    ["lease acme_key --token", "lease acme_key", "add other", "revoke --all", "stop", "policy reload"];

fn world() -> Hand {
    let hand = Hand::with_home();
    hand.acme("api.acme.test");
    hand
}

/// A shell function `attempt` that tries everything denied and writes `output` and then `codes`.
fn attempts(hand: &Hand) -> String {
    attempts_of(hand, &DENIED)
}

fn attempts_of(hand: &Hand, denied: &[&str]) -> String {
    let one = format!(
        "s() {{ printf value | '{}' --home '{}' --timeout 60 --no-autostart \"$@\" >> output 2>&1; echo \"$?\" >> attempted; }}\n",
        env!("CARGO_BIN_EXE_secrets"),
        hand.home.display()
    );
    one + "attempt() {\ns " + &denied.join("\ns ") + "\nmv attempted codes\n}\n"
}

fn exec(hand: &Hand, script: &str) -> std::process::Command {
    let shell = find_program("sh").unwrap();
    let mut command = hand.command(&["exec", "--secret", "acme_key=ACME_KEY", "--"]);
    command.arg(shell).args(["-c", script]);
    command
}

/// Everything was tried, nothing worked, and nothing was done.
fn assert_denied(hand: &Hand) {
    assert_all_denied(hand, &DENIED);
}

fn assert_all_denied(hand: &Hand, denied: &[&str]) {
    let codes = hand.work.join("codes");
    until_blocking("everything was tried", || codes.exists());
    let output = fs::read(hand.work.join("output")).unwrap();
    let shown = String::from_utf8_lossy(&output).into_owned();
    let codes = fs::read_to_string(codes).unwrap();
    assert!(codes.lines().count() == denied.len() && codes.lines().all(|code| code != "0"), "{codes}: {shown}");
    assert_eq!(shown.matches("is not for processes inside a session").count(), denied.len(), "{shown}");
    assert_eq!(hand.records_of("call_refused").len(), denied.len());
    assert_eq!(count(&output, SECRET.as_bytes()), 0, "{shown}");
    // Not `policy_reload`: the daemon's own look, once a second, may have come upon what `world` was writing.
    for action in ["secret_reveal", "revoke_all"] {
        assert_eq!(hand.records_of(action).len(), 0, "{action}");
    }
    let (code, listed) = hand.envelope(&["--no-autostart", "list"], b"");
    assert!(code == 0 && !listed.to_string().contains("\"other\""), "{listed}");
}

#[test]
fn attack_97_a_process_that_lets_go_of_its_parents_stays_an_agent() {
    let hand = world();
    fs::write(hand.work.join("attempts"), attempts_of(&hand, &DENIED[1..])).unwrap();
    let script = "(env -u LEASEHOLD_SESSION setsid sh -c '. ./attempts; (sleep .05; attempt) &' &)
        until [ -e codes ]; do sleep .01; done";
    let _out = Program::start(&mut exec(&hand, script)).finish().expect_success();
    assert_all_denied(&hand, &DENIED[1..]);
}

#[test]
fn attack_97_a_killed_exec_leaves_agents_behind() {
    let hand = world();
    let script =
        format!("{}\nkill -9 $PPID; while kill -0 $PPID; do sleep .01; done; sleep .2; attempt", attempts(&hand));
    let finished = Program::start(&mut exec(&hand, &script)).finish();
    assert!(!finished.status.success(), "it was killed: {finished:?}");
    until_blocking("the daemon notices", || hand.records_of("session_end").len() == 1);
    assert_denied(&hand);
}

#[test]
fn attack_97_a_process_that_clears_its_variables_and_kills_exec_at_once_stays_an_agent() {
    for _ in 0..5 {
        let hand = world();
        fs::write(hand.work.join("attempts"), attempts(&hand)).unwrap();
        // Nobody has looked yet when it kills; what then asks was started without variables, by parents that are gone.
        let ask = "(setsid sh -c '(setsid sh -c \". ./attempts; attempt\" &)' &)";
        let script =
            format!("kill -9 $PPID; while kill -0 $PPID; do :; done; {ask}; until [ -e codes ]; do sleep .01; done");
        let (env, path) = (find_program("env").unwrap(), std::env::var("PATH").unwrap());
        let mut command = hand.command(&["exec", "--secret", "acme_key=ACME_KEY", "--"]);
        command.arg(env).args(["-i", &format!("PATH={path}"), "sh", "-c", &script]);
        let finished = Program::start(&mut command).finish();
        assert!(!finished.status.success(), "it was killed: {finished:?}");
        until_blocking("the daemon notices", || hand.records_of("session_end").len() == 1);
        assert_denied(&hand);
    }
}

#[test]
fn attack_97_a_caller_that_leaves_its_connection_to_another_is_an_agent() {
    let Some(python) = find_program("python3") else { return };
    let hand = world();
    let script = format!(
        "import os, socket, time\n\
         s = socket.socket(socket.AF_UNIX); s.connect('{}')\n\
         own = os.getpid()\n\
         if os.fork(): os._exit(0)\n\
         while os.path.exists('/proc/%d' % own): time.sleep(.01)\n\
         f = s.makefile('rw')\n\
         f.write('{{\"id\":1,\"method\":\"secrets.lease\",\"params\":{{\"secret_name\":\"acme_key\",\"client_id\":\"x\"}}}}\\n')\n\
         f.flush(); open('said', 'w').write(f.readline()); os.rename('said', 'codes')\n",
        hand.home.join("agent-secrets.sock").display()
    );
    fs::write(hand.work.join("ask.py"), script).unwrap();
    let wait = format!("'{}' ask.py; until [ -e codes ]; do sleep .01; done", python.display());
    let _out = Program::start(&mut exec(&hand, &wait)).finish().expect_success();
    let said = fs::read_to_string(hand.work.join("codes")).unwrap();
    assert!(said.contains("inside a session") && !said.contains(SECRET), "{said}");
    assert_eq!(hand.records_of("secret_reveal").len(), 0);
}

#[test]
fn attack_97_what_outlives_exec_stays_an_agent_also_without_its_mark() {
    let hand = world();
    fs::write(hand.work.join("attempts"), attempts(&hand)).unwrap();
    let wait = "touch up; until [ -e go ]; do sleep .01; done; . ./attempts; attempt";
    let script =
        format!("(env -i PATH=\"$PATH\" setsid sh -c '{wait}' &); until [ -e up ]; do sleep .01; done; exit 3");
    let mut command = exec(&hand, &script);
    // What outlives the command keeps its outputs open; nobody may wait for their end.
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(3), "the exit code is the command's own");
    assert_eq!(hand.records_of("session_end").len(), 1, "the session ends before the command does");
    fs::write(hand.work.join("go"), "").unwrap();
    assert_denied(&hand);
    // An operator is still one.
    assert_eq!(hand.run(&["lease", "acme_key"], b"").stdout, SECRET.as_bytes());
}

#[test]
fn attack_97_a_new_daemon_knows_the_agents_of_the_one_before() {
    let hand = world();
    let script = format!("{}\ntouch up; until [ -e go ]; do sleep .01; done; attempt", attempts(&hand));
    let exec = Program::start(&mut exec(&hand, &script));
    until_blocking("the program runs", || hand.work.join("up").exists());
    hand.stop();
    let again = hand.serve();
    fs::write(hand.work.join("go"), "").unwrap();
    assert!(exec.finish().stderr.contains("the daemon has gone"));
    let (_, status) = hand.envelope(&["--no-autostart", "status"], b"");
    assert_eq!(status["result"]["pid"], again.id(), "{status}");
    assert_denied(&hand);
}

#[test]
fn orphans_are_adopted_and_leave_no_zombies() {
    let hand = world();
    let script = "for i in 1 2 3 4 5; do (setsid sh -c 'exit 7' &); done
        (setsid sh -c 'echo $$ > orphan; until [ -e done ]; do sleep .01; done' &)
        until [ -e done ]; do sleep .01; done; exit 9";
    let running = Program::start(&mut exec(&hand, script));
    let own = i32::try_from(running.id()).unwrap();
    let orphan: PathBuf = hand.work.join("orphan");
    let id = || fs::read_to_string(&orphan).ok()?.trim().parse().ok();
    until_blocking("the orphan is adopted", || id().and_then(Process::find).is_some_and(|found| found.parent == own));
    let below = |zombie: bool| Process::all().iter().filter(|p| p.parent == own && p.is_zombie == zombie).count();
    until_blocking("the others are gone, the command and one orphan stay", || (below(true), below(false)) == (0, 2));
    fs::write(hand.work.join("done"), "").unwrap();
    assert_eq!(running.finish().status.code(), Some(9), "the exit code is the command's own");
}

#[test]
fn an_agent_sees_that_there_is_a_hook_and_not_which() {
    let hand = world();
    assert_eq!(hand.envelope(&["update", "acme_key", "--rotate-via", "vault read canary"], b"").0, 0);
    let (_, listed) = hand.envelope(&["list"], b"");
    assert_eq!(listed["result"]["secrets"][0]["has_rotation"], true, "{listed}");
    let script = format!("'{}' --timeout 60 --home '{}' list", env!("CARGO_BIN_EXE_secrets"), hand.home.display());
    let finished = Program::start(&mut exec(&hand, &script)).finish().expect_success();
    assert!(finished.stdout.contains("\"has_rotation\": true"), "{finished:?}");
    let Some(python) = find_program("python3") else { return };
    let ask = format!(
        "import socket; s = socket.socket(socket.AF_UNIX); s.connect('{}'); f = s.makefile('rw'); \
         f.write('{{\"id\":1,\"method\":\"secrets.list\"}}\\n'); f.flush(); print(f.readline())",
        hand.home.join("agent-secrets.sock").display()
    );
    let mut command = hand.command(&["exec", "--secret", "acme_key=ACME_KEY", "--"]);
    let said = Program::start(command.arg(python).args(["-c", &ask])).finish().expect_success().stdout;
    assert!(said.contains("acme_key") && !said.contains("canary"), "{said}");
}
