//! Hooks of every kind, as real shell commands.

use std::time::Duration;

use super::*;

fn facts(name: &SecretName) -> Facts<'_> {
    Facts { name, binding: None, trigger: Trigger::Manual, now: Timestamp::from_millis(0) }
}

async fn run_in(command: &str, format: &str, time: Duration) -> Result<Given, Error> {
    let name = "k".parse().unwrap();
    let format = format.parse().unwrap();
    run(Hook { command, format: &format, shape: Shape::OneLine, timeout: time }, facts(&name)).await
}

async fn value(command: &str) -> Result<Vec<u8>, Error> {
    match run_in(command, "value", Duration::from_mins(1)).await? {
        Given::Elsewhere => panic!("a value was expected"),
        Given::Value { value, .. } => Ok(value.expose().to_vec()),
    }
}

/// Whether a process that wrote its number to this file has ended, zombies included.
fn is_gone(pid_file: &std::path::Path) -> bool {
    let Some(pid) = std::fs::read_to_string(pid_file).ok().filter(|pid| !pid.is_empty()) else { return false };
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.is_empty() || stat.rsplit_once(')').is_some_and(|(_, rest)| rest.starts_with(" Z"))
}

/// Runs a hook that hangs, with more time each time, until it had enough for what is to be seen of it.
async fn hang(hook: &str, is_seen: impl Fn() -> bool) {
    let mut time = Duration::from_millis(300);
    loop {
        assert_eq!(run_in(hook, "value", time).await, Err(Error::Timeout(time)));
        if is_seen() {
            return;
        }
        time *= 2;
        assert!(time < Duration::from_mins(1), "{hook}");
    }
}

fn is_written(file: &std::path::Path) -> bool {
    std::fs::read(file).is_ok_and(|content| !content.is_empty())
}

/// Drops a run as soon as its hook has written a number of a process, which then ends.
async fn dropped<T>(running: tokio::task::JoinHandle<T>, pid_file: &std::path::Path) {
    while !is_written(pid_file) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    running.abort();
    until_gone(pid_file).await;
}

async fn until_gone(pid_file: &std::path::Path) {
    tokio::time::timeout(Duration::from_mins(1), async {
        while !is_gone(pid_file) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("{} still runs", pid_file.display()));
}

#[tokio::test]
async fn standard_output_is_the_value_and_standard_error_is_nothing() {
    assert_eq!(value("echo new-value; echo canary >&2").await.unwrap(), b"new-value");
    assert_eq!(value("sleep 0.2; printf '%s' a; sleep 0.2; printf '%s' b").await.unwrap(), b"ab");
    assert_eq!(run_in("echo whatever", "none", Duration::from_mins(1)).await, Ok(Given::Elsewhere));
    let json = run_in(r#"echo '{"t":"v"}'"#, "json:/t", Duration::from_mins(1)).await.unwrap();
    assert_eq!(json, Given::Value { value: SecretBytes::new(b"v".to_vec()), expires_at: None });
}

#[tokio::test]
async fn attack_125_whatever_was_printed_counts_only_with_exit_status_0() {
    assert_eq!(value("printf half; exit 1").await, Err(Error::ExitStatus(1)));
    assert_eq!(value("echo canary; exit 255").await, Err(Error::ExitStatus(255)));
    assert_eq!(value("no-such-program-at-all").await, Err(Error::ExitStatus(127)));
    assert_eq!(value("echo v; kill -9 $$").await, Err(Error::Signal(9)));
    assert_eq!(value("true").await, Err(Error::Empty));
    assert_eq!(value("syntax error (").await, Err(Error::ExitStatus(2)));
    assert_eq!(run_in("exit 3", "none", Duration::from_mins(1)).await, Err(Error::ExitStatus(3)));
    assert_eq!(value("x\0").await, Err(Error::NotRun(std::io::ErrorKind::InvalidInput)));
}

#[tokio::test]
async fn attack_125_a_hook_that_prints_without_end_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let hook = format!("echo $$ > '{}'; exec cat /dev/zero", pid.display());
    assert_eq!(value(&hook).await, Err(Error::TooLong));
    assert!(is_gone(&pid));
    assert_eq!(value("head -c 100000000 /dev/zero | tr '\\0' x").await, Err(Error::TooLong));
    let most = value(&format!("head -c {} /dev/zero | tr '\\0' x; echo", SecretBytes::MAX_LEN)).await.unwrap();
    assert_eq!(most.len(), SecretBytes::MAX_LEN);
    assert_eq!(run_in("head -c 100000000 /dev/zero", "none", Duration::from_mins(1)).await, Ok(Given::Elsewhere));
}

#[tokio::test]
async fn attack_124_a_hanging_hook_ends_with_its_children_though_it_ignores_the_signal() {
    let folder = tempfile::tempdir().unwrap();
    let (parent, child) = (folder.path().join("parent"), folder.path().join("child"));
    let hook = format!(
        "trap '' TERM; echo $$ > '{}'; sh -c 'trap \"\" TERM; echo $$ > '{}'; while :; do sleep 1; done' & wait",
        parent.display(),
        child.display()
    );
    hang(&hook, || is_written(&parent) && is_written(&child)).await;
    for pid in [&parent, &child] {
        until_gone(pid).await;
    }
}

#[tokio::test]
async fn a_hanging_hook_that_heeds_the_signal_may_tidy_up() {
    let folder = tempfile::tempdir().unwrap();
    let tidied = folder.path().join("tidied");
    let hook = format!("trap 'echo x > {}; exit 0' TERM; while :; do sleep 0.05; done", tidied.display());
    hang(&hook, || tidied.exists()).await;
}

#[tokio::test]
async fn attack_124_a_child_that_holds_the_output_is_not_awaited_and_the_value_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let hook = format!("sleep 1000 & echo $! > '{}'; echo half-of-it", pid.display());
    assert_eq!(run_in(&hook, "value", Duration::from_hours(1)).await, Err(Error::Held));
    until_gone(&pid).await;
}

#[tokio::test]
async fn what_a_hook_leaves_in_the_background_ends_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let hook = format!("sleep 1000 >/dev/null & echo $! > '{}'; echo v", pid.display());
    assert_eq!(value(&hook).await.unwrap(), b"v");
    until_gone(&pid).await;
}

/// Ways out of a process group: a session of its own, no parent, no variables.
const ESCAPES: [&str; 4] = [
    "setsid sh -c 'echo $$ > PID; exec sleep 1000' >/dev/null &",
    "(setsid sh -c 'echo $$ > PID; exec sleep 1000' >/dev/null &) &",
    "(env -i setsid /bin/sh -c 'echo $$ > PID; exec /bin/sleep 1000' >/dev/null &) &",
    // Three generations, each of which lets go of the one before and of what it had.
    "(setsid sh -c '(env -i setsid /bin/sh SCRIPT &)' >/dev/null &) &",
];

#[tokio::test]
async fn attack_124_what_leaves_the_group_ends_with_the_hook_however_that_ends() {
    let wait = "until test -s PID; do sleep 0.01; done;";
    for escape in ESCAPES {
        for end in ["echo v", "exit 3", "kill -9 $$", "sleep 1000"] {
            let folder = tempfile::tempdir().unwrap();
            let (pid, script) = (folder.path().join("pid"), folder.path().join("script"));
            std::fs::write(&script, format!("(sh -c 'echo $$ > {}; exec /bin/sleep 1000' &)", pid.display())).unwrap();
            let hook = format!("{escape} {wait} {end}").replace("PID", &pid.display().to_string());
            let hook = hook.replace("SCRIPT", &script.display().to_string());
            if end == "sleep 1000" {
                hang(&hook, || is_written(&pid)).await;
            } else {
                let ran = run_in(&hook, "value", Duration::from_mins(1)).await;
                assert!(is_written(&pid), "{hook}: {ran:?}");
            }
            until_gone(&pid).await;
        }
    }
}

#[tokio::test]
async fn attack_124_what_left_the_group_may_tidy_up_when_time_is_over_and_is_killed_if_it_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let (pid, tidied) = (folder.path().join("pid"), folder.path().join("tidied"));
    let stray = format!(
        "trap \"echo x > {}\" TERM; echo $$ > {}; while :; do sleep 0.05; done",
        tidied.display(),
        pid.display()
    );
    let hook = format!("(setsid sh -c '{stray}' >/dev/null &); trap '' TERM; while :; do sleep 0.05; done");
    hang(&hook, || tidied.exists()).await;
    until_gone(&pid).await;
}

/// Whether a process lives that has this text among its arguments.
fn is_named(text: &str) -> bool {
    crate::base::Process::all().iter().filter(|process| !process.is_zombie).any(|process| {
        let arguments = std::fs::read(format!("/proc/{}/cmdline", process.id)).unwrap_or_default();
        String::from_utf8_lossy(&arguments).contains(text)
    })
}

#[tokio::test]
async fn attack_124_a_hook_that_goes_on_starting_others_out_of_its_group_leaves_none() {
    let folder = tempfile::tempdir().unwrap();
    let up = folder.path().join("up");
    let name = format!("{}/stray", folder.path().display());
    // Each lets go of its parent at once and has no variables; the one that starts them does so until it is stopped.
    let stray = format!("(env -i setsid /bin/sh -c \"sleep 1000; : {name}\" & ) 2>/dev/null");
    let hook = format!(
        "setsid sh -c 'trap \"\" TERM; while :; do {stray}; echo x > {}; sleep 0.01; done' >/dev/null & sleep 1000",
        up.display()
    );
    hang(&hook, || up.exists()).await;
    tokio::time::timeout(Duration::from_secs(20), async {
        while is_named(&name) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    // Nobody is left who could start another.
    tokio::task::yield_now().await;
    assert!(!is_named(&name));
}

#[tokio::test]
async fn attack_124_a_dropped_run_takes_along_what_left_its_group() {
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let hook = format!("(env -i setsid /bin/sh -c 'echo $$ > {}; exec /bin/sleep 1000' &); sleep 1000", pid.display());
    let running = tokio::spawn(async move { value(&hook).await });
    dropped(running, &pid).await;
}

#[tokio::test]
async fn one_run_does_not_end_what_another_started() {
    let folder = tempfile::tempdir().unwrap();
    let (up, go) = (folder.path().join("up"), folder.path().join("go"));
    let wait = format!(
        "(setsid sh -c 'echo x > {0}; until test -e {1}; do sleep 0.01; done; echo v > {0}.v' &) ",
        up.display(),
        go.display()
    );
    let first = format!("{wait} >/dev/null; until test -s {0}.v; do sleep 0.01; done; cat {0}.v", up.display());
    let first = tokio::spawn(async move { value(&first).await });
    while !up.exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(value("echo other").await.unwrap(), b"other");
    std::fs::write(&go, b"").unwrap();
    assert_eq!(first.await.unwrap().unwrap(), b"v");
}

#[tokio::test]
async fn a_dropped_run_takes_its_processes_along() {
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let hook = format!("sleep 1000 & echo $! > '{}'; wait", pid.display());
    let running = tokio::spawn(async move { value(&hook).await });
    dropped(running, &pid).await;
}

#[tokio::test]
async fn attack_127_a_name_is_a_fact_and_never_a_command() {
    let folder = crate::base::short_folder();
    let marks = folder.path().join("marks");
    let name: SecretName = format!("$(touch {0})`touch {0}`;touch {0};'\"", marks.display()).parse().unwrap();
    let format = HookFormat::Value;
    let command = r#"printf '%s' "$SECRETS_NAME""#;
    let hook = Hook { command, format: &format, shape: Shape::OneLine, timeout: Duration::from_mins(1) };
    let Given::Value { value, .. } = run(hook, facts(&name)).await.unwrap() else { panic!("a value was expected") };
    assert_eq!(value.expose(), name.as_str().as_bytes());
    assert!(!marks.exists());
}

#[tokio::test]
async fn a_hook_sees_the_documented_surroundings_and_nothing_else() {
    let name: SecretName = "gh".parse().unwrap();
    let binding = Binding { service: "github".parse().unwrap(), credential: "token".into() };
    let facts = Facts { binding: Some(&binding), trigger: Trigger::Schedule, ..facts(&name) };
    let format = HookFormat::Value;
    let command = "env | cut -d= -f1 | grep -v '^_$' | grep -v '^PWD$' | grep -v '^SHLVL$' | grep -v '^OLDPWD$' | \
                   tr '\\n' ' '; printf '%s' \"$SECRETS_SERVICE $SECRETS_CREDENTIAL $SECRETS_REASON \"; cat; pwd";
    let hook = Hook { command, format: &format, shape: Shape::OneLine, timeout: Duration::from_mins(1) };
    let Given::Value { value, .. } = run(hook, facts).await.unwrap() else { panic!("a value was expected") };
    let text = String::from_utf8(value.expose().to_vec()).unwrap();
    assert!(text.ends_with(&format!("github token schedule {}", home().display())), "{text}");
    let (variables, _) = text.split_once("github token").unwrap();
    let known = ["SECRETS_NAME", "SECRETS_SERVICE", "SECRETS_CREDENTIAL", "SECRETS_REASON"];
    for variable in variables.split_whitespace() {
        assert!(KEPT.contains(&variable) || known.contains(&variable), "{variable}");
    }
    assert!(variables.contains("PATH") && known.iter().all(|name| variables.contains(name)), "{variables}");
}
