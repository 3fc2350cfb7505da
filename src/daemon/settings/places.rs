//! Where the home's files are: the part of the settings that every command reads before it can reach a daemon.
//!
//! A fault elsewhere in the file is the daemon's to report, and must not keep a command from reaching it.

use std::path::{Path, PathBuf};

use toml::Value;

use super::file::SettingsFile;
use crate::{
    base::{Home, MovedFiles},
    daemon::Error,
};

/// The home with its files where the settings put them. Relative paths stand beside the settings; `~/` is the user's own
/// folder.
pub fn places(home: Home, named: Option<&Path>) -> Result<Home, Error> {
    let Some(file) = SettingsFile::find(&home, named)? else { return Ok(home) };
    let path = |name: &str| match file.value(name) {
        None => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => Ok(Some(expanded(home.root(), text))),
        Some(_) => Err(file.fault(None, format!("`{name}` is not a path; write it as text"))),
    };
    let files = MovedFiles {
        audit: path("audit_path")?,
        identity: path("identity_path")?,
        leases: path("leases_path")?,
        secrets: path("secrets_path")?,
        socket: path("socket_path")?,
    };
    Ok(home.clone().moved(path("directory")?, files))
}

/// A path as settings write it, made absolute.
pub(super) fn expanded(root: &Path, text: &str) -> PathBuf {
    match (text.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(user)) => user.join(rest),
        _ => root.join(text),
    }
}
