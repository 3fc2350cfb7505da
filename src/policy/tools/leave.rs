//! What a secret that goes leaves behind: its generated files go with it, whatever a person wrote or edited stays.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use crate::base::{Generated, SecretName, read_bounded};

use super::write::{GRANT, SERVICE};
use crate::policy::load::{MAX_FILE, policy_files};

/// What became of the files that named a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Generated and unedited: gone.
    pub removed: Vec<PathBuf>,
    /// Written or edited by a person: there as before, and granting the secret to whoever gets its name.
    pub kept: Vec<PathBuf>,
    /// Generated, and yet there: with what the system said.
    pub failed: Vec<(PathBuf, String)>,
}

/// A file that grants or describes something, as far as that matters here.
struct Found {
    path: PathBuf,
    generated: Option<Generated>,
    /// The services that its grants name.
    granted: BTreeSet<String>,
    /// The service that it describes.
    described: Option<String>,
    names_secret: bool,
}

/// Removes the generated grants of a secret, and the generated services that nobody uses any more: no grant names them
/// and `is_used` does not say so. A file that cannot be read is nobody's and stays.
pub fn leave(folder: &Path, secret: &SecretName, is_used: impl Fn(&str) -> bool) -> Left {
    let paths = policy_files(folder).unwrap_or_default();
    let mut found: Vec<Found> = paths.into_iter().filter_map(|path| look(path, secret)).collect();
    let mut left = Left::default();
    let mut orphans = BTreeSet::new();
    found.retain(|file| {
        if !file.names_secret {
            return true;
        }
        if !file.is_as_written(GRANT) {
            left.kept.push(file.path.clone());
            return true;
        }
        orphans.extend(file.granted.iter().cloned());
        !left.remove(&file.path)
    });
    let granted: BTreeSet<String> = found.iter().flat_map(|file| file.granted.iter().cloned()).collect();
    let is_orphan = |id: &String| orphans.contains(id) && !granted.contains(id) && !is_used(id);
    for file in found.iter().filter(|file| file.described.as_ref().is_some_and(is_orphan)) {
        if file.is_as_written(SERVICE) {
            left.remove(&file.path);
        }
    }
    left
}

impl Left {
    fn remove(&mut self, path: &Path) -> bool {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                self.failed.push((path.to_owned(), error.to_string()));
                false
            }
            _ => {
                self.removed.push(path.to_owned());
                true
            }
        }
    }
}

impl Found {
    fn is_as_written(&self, kind: &str) -> bool {
        self.generated.as_ref().is_some_and(|generated| generated.kind == kind && !generated.is_edited)
    }
}

fn look(path: PathBuf, secret: &SecretName) -> Option<Found> {
    let (content, _) = read_bounded(&path, MAX_FILE).ok()?;
    let generated = Generated::read(&content);
    let table: toml::Table = toml::from_str(std::str::from_utf8(&content).ok()?).ok()?;
    let grants = table.get("grant").and_then(toml::Value::as_array).map_or(&[][..], Vec::as_slice);
    let text = |value: &toml::Value, key: &str| value.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    let is_it = |value: &toml::Value| value.as_str() == Some(secret.as_str());
    let are = |value: &toml::Value| value.as_array().map_or_else(|| is_it(value), |all| all.iter().any(is_it));
    let names = |grant: &toml::Value| match grant.get("item") {
        Some(toml::Value::Table(items)) => items.values().any(are),
        Some(item) => are(item),
        None => false,
    };
    Some(Found {
        path,
        generated,
        granted: grants.iter().filter_map(|grant| text(grant, "service")).collect(),
        described: table.get("id").and_then(toml::Value::as_str).map(str::to_owned),
        names_secret: grants.iter().any(names),
    })
}
