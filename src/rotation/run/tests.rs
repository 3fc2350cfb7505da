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
    match run_in(command, "value", Duration::from_secs(20)).await? {
        Given::Elsewhere => panic!("a value was expected"),
        Given::Value { value, .. } => Ok(value.expose().to_vec()),
    }
}

/// Whether a process that wrote its number to this file has ended, zombies included.
fn is_gone(pid_file: &std::path::Path) -> bool {
    let Ok(pid) = std::fs::read_to_string(pid_file) else { return false };
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.is_empty() || stat.rsplit_once(')').is_some_and(|(_, rest)| rest.starts_with(" Z"))
}

async fn until_gone(pid_file: &std::path::Path) {
    tokio::time::timeout(Duration::from_secs(20), async {
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
    assert_eq!(run_in("echo whatever", "none", Duration::from_secs(20)).await, Ok(Given::Elsewhere));
    let json = run_in(r#"echo '{"t":"v"}'"#, "json:/t", Duration::from_secs(20)).await.unwrap();
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
    assert_eq!(run_in("exit 3", "none", Duration::from_secs(20)).await, Err(Error::ExitStatus(3)));
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
    assert_eq!(run_in("head -c 100000000 /dev/zero", "none", Duration::from_secs(20)).await, Ok(Given::Elsewhere));
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
    let time = Duration::from_millis(300);
    assert_eq!(run_in(&hook, "value", time).await, Err(Error::Timeout(time)));
    for pid in [&parent, &child] {
        until_gone(pid).await;
    }
}

#[tokio::test]
async fn a_hanging_hook_that_heeds_the_signal_may_tidy_up() {
    let folder = tempfile::tempdir().unwrap();
    let tidied = folder.path().join("tidied");
    let hook = format!("trap 'echo x > {}; exit 0' TERM; while :; do sleep 0.05; done", tidied.display());
    let time = Duration::from_millis(300);
    assert_eq!(run_in(&hook, "value", time).await, Err(Error::Timeout(time)));
    assert!(tidied.exists());
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

#[tokio::test]
async fn a_dropped_run_takes_its_processes_along() {
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let hook = format!("sleep 1000 & echo $! > '{}'; wait", pid.display());
    let running = tokio::spawn(async move { value(&hook).await });
    while std::fs::read_to_string(&pid).unwrap_or_default().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    running.abort();
    until_gone(&pid).await;
}

#[tokio::test]
async fn attack_127_a_name_is_a_fact_and_never_a_command() {
    let folder = tempfile::tempdir().unwrap();
    let marks = folder.path().join("marks");
    let name: SecretName = format!("$(touch {0})`touch {0}`;touch {0};'\"", marks.display()).parse().unwrap();
    let format = HookFormat::Value;
    let command = r#"printf '%s' "$SECRETS_NAME""#;
    let hook = Hook { command, format: &format, shape: Shape::OneLine, timeout: Duration::from_secs(20) };
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
    let hook = Hook { command, format: &format, shape: Shape::OneLine, timeout: Duration::from_secs(20) };
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
