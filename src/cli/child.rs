//! Running the user's program as if we were not there: its streams, its signals, its exit code.
//!
//! In the terminal's foreground the child stays in our process group, so that Ctrl-C, Ctrl-Z and terminal input work as
//! without us; anywhere else it leads a group of its own and every signal that we get is passed on to that group.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io,
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::ExitStatus,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::{
    process::{Child, Command},
    signal::unix::{Signal as Stream, SignalKind, signal},
    time::{Instant, sleep_until},
};

use super::{context::Tenancy, orphans::Orphans, sanitize::shell_word};
use crate::base::Rank;

/// Why a program did not run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotRun {
    kind: NotRunKind,
    message: String,
    fix: String,
}

/// The shell's exit codes for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NotRunKind {
    /// 126: found, and not a program that may be run.
    NotExecutable,
    /// 127: not found.
    NotFound,
}

impl NotRun {
    fn of(program: &OsStr, error: &io::Error) -> Self {
        let shown = program.to_string_lossy();
        let word = shell_word(&shown);
        if error.kind() == io::ErrorKind::NotFound {
            let message = format!("`{shown}` is not found");
            return Self { kind: NotRunKind::NotFound, message, fix: format!("command -v {word}") };
        }
        let is_file = Path::new(program).is_file();
        let fix = if is_file { format!("chmod +x {word}") } else { format!("ls -ld {word}") };
        Self { kind: NotRunKind::NotExecutable, message: format!("`{shown}` cannot be run: {error}"), fix }
    }

    fn unprepared(what: &str, error: &io::Error) -> Self {
        let message = format!("{what}: {error}");
        Self { kind: NotRunKind::NotExecutable, message, fix: "secrets doctor".to_owned() }
    }

    /// The exit code that a shell gives.
    pub(super) const fn code(&self) -> u8 {
        match self.kind {
            NotRunKind::NotExecutable => 126,
            NotRunKind::NotFound => 127,
        }
    }

    /// One sentence.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// The command that mends it, or shows more.
    pub(super) fn fix(&self) -> &str {
        &self.fix
    }
}

/// Whose signals a terminal's keys are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    /// The child leads its own.
    Own,
    /// The child shares ours, which the terminal's keys reach.
    Terminal,
}

/// The signals that end programs, caught before the child starts so that none is lost between. One that is ignored, by
/// `nohup` or for a background job, stays so: the child inherits that.
pub(super) struct Signals {
    hangup: Option<Stream>,
    interrupt: Option<Stream>,
    quit: Option<Stream>,
    terminate: Option<Stream>,
}

impl Signals {
    pub(super) fn catch() -> io::Result<Self> {
        let ignored = ignored_signals();
        let caught = |kind: SignalKind| {
            let bit = 1_u64.checked_shl(kind.as_raw_value().unsigned_abs().saturating_sub(1)).unwrap_or(0);
            (ignored & bit == 0).then(|| signal(kind)).transpose()
        };
        Ok(Self {
            hangup: caught(SignalKind::hangup())?,
            interrupt: caught(SignalKind::interrupt())?,
            quit: caught(SignalKind::quit())?,
            terminate: caught(SignalKind::terminate())?,
        })
    }

    pub(super) async fn next(&mut self) -> Signal {
        tokio::select! {
            () = arrival(&mut self.hangup) => Signal::HUP,
            () = arrival(&mut self.interrupt) => Signal::INT,
            () = arrival(&mut self.quit) => Signal::QUIT,
            () = arrival(&mut self.terminate) => Signal::TERM,
        }
    }
}

async fn arrival(stream: &mut Option<Stream>) {
    let arrived = match stream {
        Some(stream) => stream.recv().await,
        None => None,
    };
    if arrived.is_none() {
        std::future::pending::<()>().await;
    }
}

/// The mask of ignored signals where the system shows it (proc(5), `SigIgn`); elsewhere none.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// Does some work, unless a signal that ends programs comes first; then the work is dropped, so that it can tidy up, and
/// there is the exit code that a shell gives for it.
pub(super) async fn unless_signalled<T>(work: impl Future<Output = T>) -> Result<T, u8> {
    let Ok(mut signals) = Signals::catch() else { return Ok(work.await) };
    tokio::select! {
        biased;
        done = work => Ok(done),
        signal = signals.next() => Err(u8::try_from(128 + signal.as_raw()).unwrap_or(1)),
    }
}

/// The exit code when a program's time was over, as `timeout` has it.
pub(super) const OVERDUE: u8 = 124;
/// Between asking a program to end and ending it.
const GRACE: Duration = Duration::from_secs(5);

/// A program that was started, with its signals.
pub(super) struct Running {
    child: Child,
    group: Group,
    signals: Signals,
    time: Time,
    /// None where others share the process and wait for children of their own.
    orphans: Option<Orphans>,
}

/// How long a program may still run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Time {
    /// It was asked to end, and is killed at this time.
    Over(Instant),
    Unlimited,
    Until(Instant),
}

/// Starts a program with exactly these variables, in the caller's folder and with the caller's streams. Whatever it
/// starts in turn stays below this process, also when it lets go of its parent, and is known for it when this one is gone.
pub(super) fn start<'a>(
    tenancy: Tenancy,
    program: &OsStr,
    arguments: &[OsString],
    variables: impl IntoIterator<Item = (&'a OsString, &'a OsString)>,
) -> Result<Running, NotRun> {
    let orphans = match tenancy {
        Tenancy::Alone => {
            Rank::descend();
            Some(Orphans::adopt())
        }
        Tenancy::Shared => None,
    };
    let orphans =
        orphans.transpose().map_err(|error| NotRun::unprepared("cannot keep its descendants together", &error))?;
    start_in(if in_foreground() { Group::Terminal } else { Group::Own }, orphans, program, arguments, variables)
}

fn start_in<'a>(
    group: Group,
    orphans: Option<Orphans>,
    program: &OsStr,
    arguments: &[OsString],
    variables: impl IntoIterator<Item = (&'a OsString, &'a OsString)>,
) -> Result<Running, NotRun> {
    let signals = Signals::catch().map_err(|error| NotRun::unprepared("cannot catch signals", &error))?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(variables);
    if group == Group::Own {
        command.process_group(0);
    }
    let child = command.spawn().map_err(|error| NotRun::of(program, &error))?;
    Ok(Running { child, group, signals, time: Time::Unlimited, orphans })
}

/// Whether our group is the one that the controlling terminal's keys reach.
fn in_foreground() -> bool {
    let ours = rustix::process::getpgrp();
    File::open("/dev/tty").is_ok_and(|terminal| rustix::termios::tcgetpgrp(&terminal) == Ok(ours))
}

impl Running {
    /// Ends the program after this time: asked first, killed 5 s later.
    pub(super) fn limit(&mut self, time: Duration) {
        self.time = Instant::now().checked_add(time).map_or(Time::Unlimited, Time::Until);
    }

    /// Waits for the end and passes signals on meanwhile. The child's exit code, 128 and the signal that ended it, or
    /// [`OVERDUE`]. Safe to drop and call again.
    pub(super) async fn wait(&mut self) -> io::Result<u8> {
        let own = self.child.id();
        loop {
            let time = self.time;
            tokio::select! {
                biased;
                status = self.child.wait() => {
                    return status.map(|status| if matches!(time, Time::Over(_)) { OVERDUE } else { exit_code(status) });
                }
                () = reap(&mut self.orphans, own) => {}
                signal = self.signals.next() => self.pass_on(signal),
                () = end_of(time) => self.end(),
            }
        }
    }

    /// Whether it was ended because its time was over.
    pub(super) const fn was_overdue(&self) -> bool {
        matches!(self.time, Time::Over(_))
    }

    /// Its time, or its time after that, is over.
    fn end(&mut self) {
        if let Time::Over(_) = self.time {
            self.send(Signal::KILL);
            self.time = Time::Over(Instant::now() + GRACE);
        } else {
            self.send(Signal::TERM);
            self.send(Signal::CONT); // one that is stopped could not hear it
            self.time = Time::Over(Instant::now() + GRACE);
        }
    }

    fn pass_on(&self, signal: Signal) {
        // The terminal has sent these to the child itself; twice would end programs that ask on the first.
        let is_sent = self.group == Group::Terminal && matches!(signal, Signal::INT | Signal::QUIT);
        if !is_sent {
            self.send(signal);
        }
    }

    fn send(&self, signal: Signal) {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let Some(pid) = pid else { return }; // it has ended
        let sent = match self.group {
            Group::Own => kill_process_group(pid, signal),
            Group::Terminal => kill_process(pid, signal),
        };
        let _ = sent; // it may end in this very moment
    }
}

async fn end_of(time: Time) {
    match time {
        Time::Over(at) | Time::Until(at) => sleep_until(at).await,
        Time::Unlimited => std::future::pending().await,
    }
}

async fn reap(orphans: &mut Option<Orphans>, child: Option<u32>) {
    match orphans {
        Some(orphans) => orphans.reap(child).await,
        None => std::future::pending().await,
    }
}

fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn sh(script: &str) -> Running {
        let variables: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
        start_in(Group::Own, None, OsStr::new("sh"), &["-c".into(), script.into()], &variables).unwrap()
    }

    #[tokio::test]
    async fn exit_codes_pass_through_and_signals_are_128_more() {
        assert_eq!(sh("exit 0").wait().await.unwrap(), 0);
        assert_eq!(sh("exit 7").wait().await.unwrap(), 7);
        assert_eq!(sh("exit 255").wait().await.unwrap(), 255);
        assert_eq!(sh("kill -KILL $$").wait().await.unwrap(), 137);
        assert_eq!(sh("kill -TERM $$").wait().await.unwrap(), 143);
    }

    #[tokio::test]
    async fn what_cannot_run_ends_as_in_a_shell() {
        let none = BTreeMap::new();
        let start_none = |program: &OsStr| start_in(Group::Own, None, program, &[], &none);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("not-a-program");
        std::fs::write(&file, "x").unwrap();
        assert_eq!(start_none(OsStr::new("/no/such/program")).err().unwrap().code(), 127);
        assert_eq!(start_none(file.as_os_str()).err().unwrap().code(), 126);
        assert_eq!(start_none(folder.path().as_os_str()).err().unwrap().code(), 126);
    }

    #[tokio::test]
    async fn a_child_gets_exactly_the_variables_that_it_was_given() {
        let variables = BTreeMap::from([(OsString::from("ONLY"), OsString::from("this"))]);
        let script = r#"test "$ONLY" = this && test -z "$HOME""#;
        let arguments = ["-c".into(), script.into()];
        let mut running = start_in(Group::Own, None, OsStr::new("/bin/sh"), &arguments, &variables).unwrap();
        assert_eq!(running.wait().await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_signal_reaches_the_whole_group() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("ready");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        // The shell itself survives; the grandchild that it waits for ends only by a signal to the group. The grandchild
        // says that it is ready, because between fork and exec it still has the shell's trap, which would swallow it.
        let script = format!(
            "exec 2>/dev/null; trap : TERM; sh -c 'echo x > {}; exec sleep 1000' & wait $!; status=$?
             while kill -0 $!; do wait $!; status=$?; done; exit $status",
            fifo.display()
        );
        let mut running = sh(&script);
        let ready = tokio::task::spawn_blocking(move || std::fs::read(fifo).unwrap());
        ready.await.unwrap();
        running.pass_on(Signal::TERM);
        assert_eq!(running.wait().await.unwrap(), 143);
    }

    #[tokio::test]
    async fn a_program_whose_time_is_over_is_asked_and_then_killed() {
        let mut asked = sh("sleep 1000");
        asked.limit(Duration::from_millis(1));
        assert_eq!(asked.wait().await.unwrap(), OVERDUE);
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("ready");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let mut deaf = sh(&format!("trap '' TERM; echo x > {}; while :; do sleep 1000; done", fifo.display()));
        tokio::task::spawn_blocking(move || std::fs::read(fifo).unwrap()).await.unwrap();
        deaf.limit(Duration::ZERO);
        deaf.end();
        deaf.time = Time::Over(Instant::now()); // its grace is over too
        assert_eq!(deaf.wait().await.unwrap(), OVERDUE);
        let mut quick = sh("exit 3");
        quick.limit(Duration::from_secs(1000));
        assert_eq!(quick.wait().await.unwrap(), 3);
    }

    #[test]
    fn the_mask_of_ignored_signals_is_read() {
        if cfg!(target_os = "linux") {
            assert_ne!(ignored_signals() & 1 << 12, 0, "SIGPIPE is ignored in every Rust program");
        }
    }
}
