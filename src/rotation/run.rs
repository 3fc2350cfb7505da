//! Running one hook: its surroundings, its time, its bounded output.

use std::{
    io,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    pin::pin,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    io::AsyncReadExt as _,
    process::{ChildStdout, Command},
    time::timeout,
};
use zeroize::Zeroizing;

use super::{Error, Given, Shape, Trigger, output, process::Process};
use crate::{
    base::{SecretBytes, SecretName, Timestamp},
    store::{Binding, HookFormat},
};

/// A command that obtains a new value.
#[derive(Clone, Copy, Debug)]
pub struct Hook<'a> {
    /// The operator's text, for `/bin/sh -c`.
    pub command: &'a str,
    /// What it prints.
    pub format: &'a HookFormat,
    /// What the new value must look like.
    pub shape: Shape,
    /// How long it may take.
    pub timeout: Duration,
}

/// What a hook is told.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Which secret.
    pub name: &'a SecretName,
    /// What the secret is bound to.
    pub binding: Option<&'a Binding>,
    /// Why it is rotated.
    pub trigger: Trigger,
    /// The time, which ends are measured against.
    pub now: Timestamp,
}

/// What a hook keeps of the daemon's own environment.
const KEPT: [&str; 10] =
    ["PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"];
/// Where programs are when the daemon has no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// How long a hook's output may stay open after the hook has ended: 1 s.
const HELD: Duration = Duration::from_secs(1);
/// A value and its line end.
const MOST: usize = SecretBytes::MAX_LEN + 2;

/// Runs a hook to its end, which is within its time and a few seconds of grace. Whatever it started
/// is killed, whether it succeeded or not.
///
/// # Errors
/// Everything but exit status 0 with a usable value; nothing was changed then.
pub async fn run(hook: Hook<'_>, facts: Facts<'_>) -> Result<Given, Error> {
    let around = |command: &mut Command| {
        command.env_clear().envs(environment(facts)).current_dir(home());
        command.stdout(if *hook.format == HookFormat::Nothing { Stdio::null() } else { Stdio::piped() });
    };
    let mut process = Process::start(hook.command, around).map_err(|error| Error::NotRun(error.kind()))?;
    let output = timeout(hook.timeout, output_of(&mut process)).await;
    let status = process.end().await;
    let output = output.unwrap_or(Err(Error::Timeout(hook.timeout)))?;
    judge(status)?;
    output::read(&output, hook.format, hook.shape, facts.now)
}

fn environment(facts: Facts<'_>) -> Vec<(&'static str, std::ffi::OsString)> {
    let mut variables: Vec<_> = KEPT.iter().filter_map(|name| Some((*name, std::env::var_os(name)?))).collect();
    if !variables.iter().any(|(name, _)| *name == "PATH") {
        variables.push(("PATH", DEFAULT_PATH.into()));
    }
    let (service, credential) = facts.binding.map_or(("", ""), |b| (b.service.as_str(), &*b.credential));
    variables.extend([
        ("SECRETS_NAME", facts.name.as_str().into()),
        ("SECRETS_SERVICE", service.into()),
        ("SECRETS_CREDENTIAL", credential.into()),
        ("SECRETS_REASON", facts.trigger.as_str().into()),
    ]);
    variables
}

/// The user's home folder; the root folder when there is none.
fn home() -> PathBuf {
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute() && home.is_dir());
    home.unwrap_or_else(|| Path::new("/").to_owned())
}

/// The whole output of a process that has ended.
async fn output_of(process: &mut Process) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut reading = pin!(read_bounded(process.take_stdout()));
    tokio::select! {
        output = reading.as_mut() => {
            let output = output?;
            process.ended().await;
            Ok(output)
        }
        () = process.ended() => timeout(HELD, reading).await.unwrap_or(Err(Error::Held)),
    }
}

/// Reads to the end, into a buffer that never moves: no part of it stays behind unwiped.
async fn read_bounded(stdout: Option<ChildStdout>) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut output = Zeroizing::new(Vec::new());
    let Some(mut stdout) = stdout else { return Ok(output) };
    output.reserve_exact(MOST + 64);
    while output.len() <= MOST {
        let room = MOST + 1 - output.len();
        match (&mut stdout).take(room as u64).read_buf(&mut *output).await {
            Ok(0) => return Ok(output),
            Ok(_) => {}
            Err(error) => return Err(Error::NotRun(error.kind())),
        }
    }
    Err(Error::TooLong)
}

fn judge(status: io::Result<ExitStatus>) -> Result<(), Error> {
    let status = status.map_err(|error| Error::NotRun(error.kind()))?;
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(Error::ExitStatus(code)),
        (None, signal) => Err(Error::Signal(signal.unwrap_or_default())),
    }
}

#[cfg(test)]
mod tests;
