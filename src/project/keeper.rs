//! Variables that an outside keeper has, fetched through its own program: `vercel` or `doppler`.
//!
//! They are raw values; nothing of them is stored, and nothing that the program says is shown, since it may hold them.

use std::{
    ffi::OsStr,
    fs::{DirBuilder, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use serde::{
    Deserializer as _,
    de::{Error as _, MapAccess, Visitor},
};
use tokio::{
    io::AsyncReadExt as _,
    process::{Child, Command},
};
use zeroize::Zeroizing;

use super::{Error, ProviderProject, ProviderSource, Variable, cleanup::overwrite};
use crate::base::{hex, random, read_bounded};

/// The most that a program may give, in bytes.
const MAX_OUTPUT: u64 = 4 << 20;

/// Fetches the variables that a project wants, in the project's folder. The program gets our environment, no input, and
/// `patience` to end; it and what it started are killed when it does not, or when this is dropped.
pub async fn pull(project: &ProviderProject, folder: &Path, patience: Duration) -> Result<Vec<Variable>, Error> {
    pull_by(OsStr::new(project.source.as_str()), project, folder, patience).await
}

async fn pull_by(
    program: &OsStr,
    project: &ProviderProject,
    folder: &Path,
    patience: Duration,
) -> Result<Vec<Variable>, Error> {
    let name = project.source.as_str();
    let run = async {
        match project.source {
            ProviderSource::Doppler => doppler(program, project, folder).await,
            ProviderSource::Vercel => vercel(program, project, folder).await,
        }
    };
    let late = |_| Error::Keeper { program: name, how: format!("did not end within {} s", patience.as_secs()) };
    let variables = tokio::time::timeout(patience, run).await.map_err(late)??;
    let has = |wanted: &&crate::base::VariableName| !variables.iter().any(|(variable, _)| variable == *wanted);
    let lacking: Vec<String> = project.required_vars.iter().filter(has).map(ToString::to_string).collect();
    if lacking.is_empty() { Ok(variables) } else { Err(Error::Lacking { program: name, names: lacking }) }
}

/// `vercel` writes a file; it gets one that nobody else can open and that is gone afterwards, however this ends.
async fn vercel(program: &OsStr, project: &ProviderProject, folder: &Path) -> Result<Vec<Variable>, Error> {
    let file = PrivateFile::create()?;
    let mut command = Command::new(program);
    command.args(["env", "pull"]).arg(&file.path).args(["--yes", "--environment", project.scope.as_str()]);
    let mut running = start(&mut command, "vercel", folder, Stdio::null())?;
    running.end("vercel").await?;
    let (content, _) = read_bounded(&file.path, MAX_OUTPUT)?;
    parse_vercel(&Zeroizing::new(content))
}

async fn doppler(program: &OsStr, project: &ProviderProject, folder: &Path) -> Result<Vec<Variable>, Error> {
    let mut command = Command::new(program);
    command.args(["secrets", "download", "--no-file", "--format", "json"]);
    if let Some(name) = &project.project {
        command.args(["--project", name]);
    }
    command.args(["--config", project.scope.as_str()]);
    let mut running = start(&mut command, "doppler", folder, Stdio::piped())?;
    // Room for all of it from the start: a buffer that grows leaves copies of secrets behind.
    let mut output = Zeroizing::new(Vec::with_capacity(usize::try_from(MAX_OUTPUT).unwrap_or(0) + 1));
    if let Some(stdout) = running.child.stdout.take() {
        let read = stdout.take(MAX_OUTPUT + 1).read_to_end(&mut output).await;
        read.map_err(|error| Error::Keeper { program: "doppler", how: format!("could not be heard: {error}") })?;
    }
    if output.len() as u64 > MAX_OUTPUT {
        return Err(Error::Keeper { program: "doppler", how: format!("gave more than {MAX_OUTPUT} bytes") });
    }
    running.end("doppler").await?;
    parse_doppler(&output)
}

/// A program with whatever it starts; killed on drop unless it has ended.
struct Running {
    child: Child,
    group: Option<Pid>,
}

fn start(command: &mut Command, program: &'static str, folder: &Path, stdout: Stdio) -> Result<Running, Error> {
    command.current_dir(folder).process_group(0).stdin(Stdio::null()).stdout(stdout).stderr(Stdio::null());
    let child = command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::KeeperMissing { program },
        _ => Error::Keeper { program, how: format!("cannot be run: {error}") },
    })?;
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    Ok(Running { child, group })
}

impl Running {
    async fn end(&mut self, program: &'static str) -> Result<(), Error> {
        let failed = |how: String| Error::Keeper { program, how };
        let status = self.child.wait().await.map_err(|error| failed(format!("cannot be waited for: {error}")))?;
        self.group = None;
        if status.success() { Ok(()) } else { Err(failed(ending(status))) }
    }
}

fn ending(status: ExitStatus) -> String {
    status.code().map_or_else(|| "was ended by a signal".to_owned(), |code| format!("ended with exit code {code}"))
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            let _ = kill_process_group(group, Signal::KILL); // it may end in this very moment
        }
    }
}

/// A file in a folder of its own, both for nobody else; overwritten and removed on drop.
struct PrivateFile {
    folder: PathBuf,
    path: PathBuf,
}

impl PrivateFile {
    fn create() -> Result<Self, Error> {
        let folder = std::env::temp_dir().join(format!("secrets-{}", hex(&random::<16>())));
        DirBuilder::new().mode(0o700).create(&folder).map_err(Error::io("create", &folder))?;
        let file = Self { path: folder.join("env"), folder };
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file.path);
        made.map_err(Error::io("create", &file.path))?;
        Ok(file)
    }
}

impl Drop for PrivateFile {
    fn drop(&mut self) {
        // A program may have put another file in its place; whatever is there is overwritten as far as it can be.
        let size = self.path.symlink_metadata().ok().filter(std::fs::Metadata::is_file).map(|metadata| metadata.len());
        if let (Some(size), Ok(mut file)) = (size, OpenOptions::new().write(true).open(&self.path)) {
            let _ = overwrite(&mut file, size); // removing it is what counts
        }
        let _ = std::fs::remove_dir_all(&self.folder); // nothing is left to tell whom
    }
}

/// `NAME="value"`, one line each; inside, line ends are written `\n` and `\r`, and nothing else is escaped.
fn parse_vercel(content: &[u8]) -> Result<Vec<Variable>, Error> {
    let mut variables = Vec::new();
    for (at, line) in content.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.trim_ascii().is_empty() || line.starts_with(b"#") {
            continue;
        }
        let variable = vercel_variable(line);
        let odd = || Error::Keeper { program: "vercel", how: format!("wrote no variable into line {}", at + 1) };
        variables.push(variable.ok_or_else(odd)?);
    }
    Ok(variables)
}

fn vercel_variable(line: &[u8]) -> Option<Variable> {
    let at = line.iter().position(|byte| *byte == b'=')?;
    let (name, value) = (line.get(..at)?, line.get(at + 1..)?);
    let name = std::str::from_utf8(name).ok()?.parse().ok()?;
    let Some(quoted) = value.strip_prefix(b"\"") else { return Some((name, Zeroizing::new(value.to_vec()))) };
    let mut rest = quoted.strip_suffix(b"\"")?;
    let mut value = Zeroizing::new(Vec::with_capacity(rest.len()));
    loop {
        let (byte, after) = match rest {
            [] => break,
            [b'\\', b'n', after @ ..] => (b'\n', after),
            [b'\\', b'r', after @ ..] => (b'\r', after),
            [byte, after @ ..] => (*byte, after),
        };
        value.push(byte);
        rest = after;
    }
    Some((name, value))
}

/// One JSON object of texts. What is wrong is told by its place, never by what stands there.
fn parse_doppler(content: &[u8]) -> Result<Vec<Variable>, Error> {
    struct Variables;
    impl<'de> Visitor<'de> for Variables {
        type Value = Vec<Variable>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object of texts")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<Variable>, A::Error> {
            let mut all = Vec::new();
            while let Some((name, value)) = map.next_entry::<String, String>()? {
                let value = Zeroizing::new(value.into_bytes());
                all.push((name.parse().map_err(|_| A::Error::custom("no variable name"))?, value));
            }
            Ok(all)
        }
    }
    let mut json = serde_json::Deserializer::from_slice(content);
    let read = json.deserialize_map(Variables).and_then(|all| json.end().map(|()| all));
    read.map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Error::Keeper {
            program: "doppler",
            how: format!("gave no JSON object of texts (line {line}, column {column})"),
        }
    })
}

#[cfg(test)]
#[path = "tests/keeper.rs"]
mod tests;
