//! What the commands make of a project's files: which one counts, which names are refused, what its errors come to.

use std::path::{Path, PathBuf};

use super::{context::Context, exit::ExitStatus, report::Report, sanitize::shell_word};
use crate::{
    base::{Environment, SESSION_VARIABLE, SecretName, VariableName, read_bounded},
    control::{CheckProject, Client},
    project::{self, ProjectFile, ProviderSource},
};

/// The nearest project file at or above a folder; `None` when there is none.
pub(super) fn find(from: &Path) -> Result<Option<ProjectFile>, Report> {
    project::find(from).map(|project| project.file).map_err(report)
}

/// Asks whether the folder's project may be worked on in this environment, and whether tokens for these secrets may be
/// leased outside of a session, before any is. `again` is
/// the command with another one.
pub(super) async fn check_environment(
    context: &Context,
    client: &mut Client,
    environment: Option<&Environment>,
    tokens_of: Vec<SecretName>,
    again: impl FnOnce(Environment) -> String,
) -> Result<(), Report> {
    let check = CheckProject { project_dir: context.folder.clone(), environment: environment.cloned(), tokens_of };
    let Err(error) = client.call(check).await else { return Ok(()) };
    let report = context.subject(None).control(error);
    // What a session works on is said when it is opened, and the daemon's fix says how.
    let is_inside = std::env::var_os(SESSION_VARIABLE).is_some();
    let wanted = wanted_environment(&context.folder).filter(|wanted| !is_inside && Some(wanted) != environment);
    Err(Report { fix: wanted.map_or(report.fix, again), ..report })
}

/// The environment that the files want, if they agree; for what to do next, since the daemon has the say.
fn wanted_environment(folder: &Path) -> Option<Environment> {
    let read = |path: PathBuf| {
        let (bytes, _) = read_bounded(&path, MAX_FILE).ok()?;
        let table: toml::Table = toml::from_str(std::str::from_utf8(&bytes).ok()?).ok()?;
        table.get("environment")?.as_str()?.parse().ok()
    };
    let mut wanted = project::find(folder).ok()?.narrowing.into_iter().filter_map(read);
    let first = wanted.next()?;
    wanted.all(|other| other == first).then_some(first)
}

/// The largest project file that is read.
const MAX_FILE: u64 = 64 * 1024;

/// A project that wants one secret; the fix when there is none.
pub(super) fn example(secret: &str) -> String {
    let variable = variable_for(secret);
    let file = serde_json::json!({"secrets": [{"name": secret, "env_var": variable}]});
    format!("printf %s {} > {}", shell_word(&file.to_string()), ProjectFile::NAME)
}

/// The variable that a secret may be in when nobody says: its name in capitals.
pub(super) fn variable_for(secret: &str) -> String {
    let fitting = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let name: String = secret.chars().take(100).map(fitting).collect();
    let is_free = name.parse::<VariableName>().is_ok_and(|name| !name.is_obeyed());
    if is_free { name } else { format!("SECRET_{name}") }
}

/// Whether a text can name a variable: letters, digits and `_`, no digit first.
pub(super) fn check_variable(name: &str) -> Result<(), String> {
    name.parse::<VariableName>().map(|_| ())
}

/// The error for such a name.
pub(super) fn obeyed(name: &str, fix: String) -> Report {
    let message = format!("`{name}` is obeyed by programs or leads them to the proxy; it cannot hold a secret");
    Report::misuse(message, fix)
}

/// The program that opens a file for mending.
pub(super) fn edit(path: &Path) -> String {
    format!("${{EDITOR:-vi}} {}", shell_word(&path.to_string_lossy()))
}

/// A fault of a project's files, or of the keeper of its variables.
pub(super) fn report(error: project::Error) -> Report {
    use project::Error;
    let message = error.to_string();
    let look = |path: &PathBuf| format!("ls -ld {}", shell_word(&path.to_string_lossy()));
    match error {
        Error::Changed(_) => Report::new(ExitStatus::Generic, message, "secrets scan --migrate"),
        Error::Exists(_) => Report::new(ExitStatus::Generic, message, "secrets env --force"),
        Error::File(error) => error.into(),
        Error::Io { action, path, source } => Report::io(action, &path, &source),
        Error::Keeper { program, .. } => Report::new(ExitStatus::Generic, message, format!("{program} login")),
        Error::KeeperMissing { program } => Report::new(ExitStatus::Generic, message, install(program)),
        Error::Lacking { program, names } => {
            let name = names.first().map(String::as_str).unwrap_or_default();
            let fix = if program == ProviderSource::Vercel.as_str() { "vercel env add" } else { "doppler secrets set" };
            Report::new(ExitStatus::Data, message, format!("{fix} {name}"))
        }
        Error::NotOurs { path, .. } => Report::new(ExitStatus::Data, message, look(&path)),
        Error::Outside { folder, .. } => Report::new(ExitStatus::Data, message, edit(&folder.join(ProjectFile::NAME))),
        Error::Syntax { path, .. } => Report::new(ExitStatus::Data, message, edit(&path)),
        Error::ZeroByte(_) => Report::new(ExitStatus::Data, message, edit(Path::new(ProjectFile::NAME))),
    }
}

fn install(program: &str) -> String {
    if program == ProviderSource::Vercel.as_str() {
        "npm install --global vercel && vercel login".to_owned()
    } else {
        "brew install dopplerhq/cli/doppler && doppler login".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_mended_by_one_command() {
        let fix = |program| report(project::Error::KeeperMissing { program }).fix;
        assert_eq!(fix("vercel"), "npm install --global vercel && vercel login");
        assert!(fix("doppler").ends_with("doppler login"));
    }

    #[test]
    fn a_broken_file_says_where_and_how_to_mend_it() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(find(root.path()).unwrap(), None);
        let path = root.path().join(ProjectFile::NAME);
        std::fs::write(&path, "{\n \"secrets\": []}").unwrap();
        let broken = find(root.path()).unwrap_err();
        assert_eq!((broken.status, broken.fix), (ExitStatus::Data, edit(&path)));
        assert!(broken.message.contains("line 2, column 14: `secrets` is empty"), "{}", broken.message);
    }
}
