//! Every key with the value in force and where that comes from, for `secrets config`.

use std::path::{Path, PathBuf};

use super::{KEYS, Settings, file::SettingsFile, keys::Kind, places};
use crate::{base::Home, daemon::Error};

/// One key as it is in force.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Setting {
    /// Its full name.
    pub key: &'static str,
    /// Its value as TOML writes it; empty where it is not set and has no default.
    pub value: String,
    /// Whether the file says so, or it is the default.
    pub source: &'static str,
    /// What it does.
    pub about: &'static str,
}

/// All settings as they are in force.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Effective {
    /// The file that was read, if there is one.
    pub file: Option<PathBuf>,
    /// Every key.
    pub settings: Vec<Setting>,
    /// Keys of a `config.json` that nobody here knows.
    pub ignored: Vec<String>,
}

/// Reads and checks the settings as the daemon would.
pub fn effective(home: &Home, named: Option<&Path>) -> Result<Effective, Error> {
    Settings::load(home, named)?;
    let file = SettingsFile::find(home, named)?;
    let home = places(home.clone(), named)?;
    let settings = KEYS.iter().map(|key| {
        let set = file.as_ref().and_then(|file| file.value(key.name));
        let value = match set {
            Some(value) if key.kind != Kind::Path => value.to_string(),
            Some(value) => path_of(&home, key.name).unwrap_or_else(|| value.to_string()),
            None => path_of(&home, key.name).unwrap_or_else(|| key.default.to_owned()),
        };
        Setting { key: key.name, value, source: if set.is_some() { "file" } else { "default" }, about: key.about }
    });
    Ok(Effective {
        settings: settings.collect(),
        ignored: file.as_ref().map(|file| file.ignored.clone()).unwrap_or_default(),
        file: file.map(|file| file.path),
    })
}

fn path_of(home: &Home, key: &str) -> Option<String> {
    let path = match key {
        "directory" => home.folder().to_owned(),
        "socket_path" => home.socket(),
        "identity_path" => home.identity(),
        "secrets_path" => home.store(),
        "audit_path" => home.audit(),
        "leases_path" => home.leases(),
        _ => return None,
    };
    Some(format!("\"{}\"", path.display()))
}
