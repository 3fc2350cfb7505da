//! Starting the daemon from a command that needs it, and the daemon's side of that: detach, say one line, let go.
//!
//! Two commands may do this at the same time: the daemon's lock decides, and the loser uses the winner's daemon.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, timeout};

use super::{context::Context, exit::ExitStatus, parts::Ready, report::Report};
use crate::control::{Client, Failure, FailureCode};

/// How long a daemon may take until it says that it is ready, or why it is not.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two attempts to reach a daemon that somebody else is starting.
const PAUSE: Duration = Duration::from_millis(25);
/// How long another command's daemon is waited for before we try again ourselves.
const MOMENT: Duration = Duration::from_millis(500);
/// The longest line that a daemon says.
const MAX_LINE: u64 = 64 * 1024;

/// What the daemon gets from the environment of whichever command happened to start it (attack 98).
const INHERITED: [&str; 14] = [
    "AGENT_SECRETS_HOME",
    "HOME",
    "LANG",
    "LC_ALL",
    "LOGNAME",
    "NIX_SSL_CERT_FILE",
    "PATH",
    "RUST_BACKTRACE",
    "RUST_LOG",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TMPDIR",
    "TZ",
    "USER",
];

/// The one line that a detached daemon says on its standard output.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Failed { code: FailureCode, message: String, fix: Option<String> },
    Ready(Ready),
}

/// Starts a daemon for this home and waits until it answers; `None` when another command's daemon does.
pub(super) async fn start(context: &Context) -> Result<Option<Ready>, Report> {
    if !context.home.identity().exists() && !context.home.store().exists() {
        let message = format!("there is no store in `{}`", context.home.folder().display());
        return Err(context.subject(None).failure(Failure::new(FailureCode::StoreMissing, message)));
    }
    let ends = Instant::now() + PATIENCE;
    loop {
        let failure = match attempt(context).await? {
            Line::Ready(ready) => return Ok(Some(ready)),
            Line::Failed { code, message, fix } => Failure { code, message, fix },
        };
        let is_taken = failure.code == FailureCode::AlreadyRunning;
        if !is_taken || Instant::now() >= ends {
            return Err(context.subject(None).failure(failure));
        }
        // Another command's daemon that is starting will answer; one that is stopping will make room.
        if reachable(context).await {
            return Ok(None);
        }
    }
}

/// One process, and the line that it says.
async fn attempt(context: &Context) -> Result<Line, Report> {
    let line = tokio::task::spawn_blocking({
        let mut command = command(context)?;
        move || first_line(&mut command)
    });
    let line = match timeout(PATIENCE, line).await {
        Ok(Ok(line)) => line,
        Ok(Err(_)) => return Err(Report::internal("starting the daemon broke off")),
        Err(_) => {
            let message = format!("the daemon did not get ready within {} s", PATIENCE.as_secs());
            return Err(Report::new(ExitStatus::Timeout, message, log_fix(context)));
        }
    };
    let line = line.map_err(|error| Report::io("start the daemon for", context.home.folder(), &error))?;
    serde_json::from_str(&line)
        .map_err(|_| Report::new(ExitStatus::Unavailable, "the daemon ended before it was ready", log_fix(context)))
}

fn log_fix(context: &Context) -> String {
    format!("tail {}", super::sanitize::shell_word(&context.home.daemon_log().to_string_lossy()))
}

fn command(context: &Context) -> Result<Command, Report> {
    let program = std::env::current_exe().map_err(|error| Report::io("find", Path::new("secrets"), &error))?;
    let log =
        open_log(&context.home.daemon_log()).map_err(|error| Report::io("open", &context.home.daemon_log(), &error))?;
    let mut command = Command::new(program);
    command.arg("serve").arg("--detached").arg("--home").arg(context.home.root());
    command.arg("--socket").arg(&context.socket);
    if let Some(config) = &context.globals.config {
        command.arg("--config").arg(super::context::absolute(config)?);
    }
    if context.globals.skip_permission_check {
        command.arg("--skip-permission-check");
    }
    command.env_clear();
    for name in INHERITED {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.current_dir(context.home.folder());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
    Ok(command)
}

/// Appends, follows no link, and is nobody else's to read.
fn open_log(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::CLOEXEC).bits().cast_signed();
    OpenOptions::new().create(true).append(true).mode(0o600).custom_flags(flags).open(path)
}

fn first_line(command: &mut Command) -> io::Result<String> {
    let mut child = command.spawn()?;
    let mut said = String::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(MAX_LINE).read_to_string(&mut said)?; // the daemon lets go of the pipe after its line
    }
    Ok(said)
}

/// Whether the daemon that another command is starting answers within a moment.
async fn reachable(context: &Context) -> bool {
    let ends = Instant::now() + MOMENT;
    while Instant::now() < ends {
        if Client::connect(&context.socket, context.globals.deadline()).await.is_ok() {
            return true;
        }
        sleep(PAUSE).await;
    }
    false
}

/// The daemon's side: its own session, so that no terminal's Ctrl-C or hang-up reaches it.
pub(super) fn detach() {
    let _ = rustix::process::setsid(); // fails only for a process that leads its group, which nothing reaches either
}

/// The daemon's side: says that it is ready.
pub(super) fn ready_line(ready: &Ready) -> String {
    written(&Line::Ready(ready.clone()))
}

/// The daemon's side: says why it is not.
pub(super) fn failed_line(failure: &Failure) -> String {
    let Failure { code, message, fix } = failure.clone();
    written(&Line::Failed { code, message, fix })
}

fn written(line: &Line) -> String {
    let mut text = serde_json::to_string(line).unwrap_or_default(); // an empty line reads as a failed start
    text.push('\n');
    text
}

/// The daemon's side: lets go of the pipe, so that whoever waits for its end goes on.
pub(super) fn release_stdout() -> io::Result<()> {
    let nowhere = OpenOptions::new().write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdout(&nowhere).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_daemon_says_is_one_line_and_reads_back() {
        let failure = Failure::new(FailureCode::StoreUnreadable, "two\nlines").with_fix("x");
        let text = failed_line(&failure);
        assert_eq!(text.matches('\n').count(), 1);
        let Line::Failed { code, message, fix } = serde_json::from_str(&text).unwrap() else { panic!("{text}") };
        assert_eq!(Failure { code, message, fix }, failure);
    }

    #[test]
    fn attack_91_the_log_is_private_and_no_link_is_followed() {
        use std::os::unix::fs::{MetadataExt as _, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (log, link) = (folder.path().join("log"), folder.path().join("link"));
        assert_eq!(open_log(&log).unwrap().metadata().unwrap().mode() & 0o077, 0);
        symlink(&log, &link).unwrap();
        assert!(open_log(&link).is_err());
    }
}
