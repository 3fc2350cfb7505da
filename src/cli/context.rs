//! What every command works with: home, socket, flags, parts, and the way to the daemon.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    autostart,
    globals::Globals,
    parts::Parts,
    printer::Printer,
    report::{Report, Subject},
};
use crate::{
    base::{ClientId, Home, Process, SecretName, TimeToLive},
    control::{Client, Error, Method},
    daemon,
};

/// One run of one command.
pub(super) struct Context {
    pub(super) globals: Globals,
    pub(super) parts: Parts,
    pub(super) home: Home,
    pub(super) socket: PathBuf,
    pub(super) printer: Printer,
    /// The caller's own.
    pub(super) folder: PathBuf,
    pub(super) tenancy: Tenancy,
    /// As typed, such as `secrets policy explain`.
    pub(super) command: String,
}

/// What a command finds around it.
pub(super) struct Surroundings {
    pub(super) printer: Printer,
    pub(super) folder: PathBuf,
    pub(super) tenancy: Tenancy,
}

/// Whose the process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tenancy {
    /// The command's alone.
    Alone,
    /// Others in it start children too, and wait for them.
    #[cfg_attr(not(test), expect(dead_code, reason = "only tests run commands inside a process of others"))]
    Shared,
}

impl Context {
    /// Weighs flags, configuration and defaults.
    pub(super) fn new(
        globals: Globals,
        parts: Parts,
        around: Surroundings,
        command: String,
    ) -> Result<Self, Box<(Report, Printer)>> {
        let Surroundings { printer, folder, tenancy } = around;
        match places(&globals) {
            Ok((home, socket)) => Ok(Self { globals, parts, home, socket, printer, folder, tenancy, command }),
            Err(report) => Err(Box::new((report, printer))),
        }
    }

    /// What errors of this command are about.
    pub(super) fn subject<'a>(&'a self, secret: Option<&'a SecretName>) -> Subject<'a> {
        Subject { home: &self.home, command: &self.command, secret: secret.map(SecretName::as_str) }
    }

    /// A connection to the daemon, which is started first if it has to be.
    pub(super) async fn connect(&self) -> Result<Client, Report> {
        self.connect_within(self.globals.deadline()).await
    }

    /// The same for calls that may take longer than was asked for on the command line.
    pub(super) async fn connect_within(&self, patience: Duration) -> Result<Client, Report> {
        let deadline = patience.max(self.globals.deadline());
        match Client::connect(&self.socket, deadline).await {
            Err(Error::NotRunning(_)) if !self.globals.no_autostart => {
                autostart::start(self).await?;
            }
            Err(error) => return Err(self.subject(None).control(error)),
            Ok(client) => return Ok(client),
        }
        let connected = Client::connect(&self.socket, deadline).await;
        connected.map_err(|error| self.subject(None).control(error))
    }

    /// One call on a connection of its own.
    pub(super) async fn call<M: Method>(&self, request: M, secret: Option<&SecretName>) -> Result<M::Answer, Report> {
        let mut client = self.connect().await?;
        client.call(request).await.map_err(|error| self.subject(secret).control(error))
    }
}

/// The home folder and the socket; both absolute, because a daemon that is started has its own working directory.
fn places(globals: &Globals) -> Result<(Home, PathBuf), Report> {
    let home = Home::find(globals.home.as_deref())
        .ok_or_else(|| Report::misuse("there is no home folder", "secrets --home .agent-secrets init"))?;
    let root = Home::at(absolute(home.folder())?);
    let home = daemon::places(root.clone(), globals.config.as_deref()).map_err(|error| {
        let subject = Subject { home: &root, command: "secrets", secret: None };
        subject.failure(daemon::failure(&error))
    })?;
    let socket = globals.socket.clone().unwrap_or_else(|| home.socket());
    Ok((home, absolute(&socket)?))
}

pub(super) fn absolute(path: &Path) -> Result<PathBuf, Report> {
    std::path::absolute(path).map_err(|error| Report::io("find", path, &error))
}

/// How long a lease may last, as the settings say now; the daemon has read them at its start.
pub(super) fn longest(context: &Context) -> Option<TimeToLive> {
    daemon::Settings::load(&context.home, context.globals.config.as_deref()).ok().map(|settings| settings.max_lease_ttl)
}

/// The client id that was given, or one of the caller's own. agent-secrets takes the machine's name, under which callers
/// take each other's leases away.
/// `without` is the command that gives none.
pub(super) fn client_id(given: Option<&str>, without: &str) -> Result<ClientId, Report> {
    let misuse = |error: crate::base::IdError| Report::misuse(error.to_string(), without);
    match given {
        Some(text) => text.parse().map_err(misuse),
        None => caller().parse().map_err(misuse),
    }
}

/// Who runs this program: the user, and the name and id of the process that started it.
fn caller() -> String {
    let user =
        ["USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()));
    let user = user.unwrap_or_else(|| format!("uid{}", rustix::process::getuid().as_raw()));
    let parent = rustix::process::getppid().map_or(0, rustix::process::Pid::as_raw_pid);
    let name = Process::name(parent).unwrap_or_else(|| "process".to_owned());
    format!("{}-{}-{parent}", word(&user), word(&name))
}

/// What fits into an id that is shown in tables and named in policies.
fn word(text: &str) -> String {
    let fitting = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') { c } else { '_' };
    text.chars().take(32).map(fitting).collect()
}

/// A secret's name as typed.
pub(super) fn secret_name(text: &str, command: &str) -> Result<SecretName, Report> {
    text.parse().map_err(|error: crate::base::IdError| Report::misuse(error.to_string(), format!("{command} --help")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::ExitStatus;

    #[test]
    fn the_default_client_id_names_the_caller() {
        let id = client_id(None, "secrets lease").unwrap();
        let parent = rustix::process::getppid().unwrap().as_raw_pid();
        assert!(id.as_str().ends_with(&format!("-{parent}")) && id.as_str().matches('-').count() == 2, "{id}");
        assert_eq!(word("a b/c-d\n\u{202e}"), "a_b_c_d__");
        assert_eq!(client_id(Some(""), "secrets lease").unwrap_err().status, ExitStatus::Misuse);
    }
}
