//! Destroying what a home keeps secret: store, identity, leases, the keys of authority and audit log. The log stays.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

use crate::{
    base::{Home, wipe},
    ca::root_files,
};

/// Destroys them, the identity first, and says how many files there were, or everything that could not be done. Whatever
/// can be destroyed is, whatever else cannot.
pub fn wipe_home(home: &Home) -> Result<usize, String> {
    let mut faults = Vec::new();
    let mut gone = 0;
    let legacy_leases = home.leases().with_extension("json");
    let secret = [home.identity(), home.store(), home.leases(), legacy_leases, home.audit_key()];
    for file in secret.into_iter().chain(root_files(&home.ca())) {
        for file in generations(&file, &mut faults) {
            match wipe(&file) {
                Ok(()) => gone += 1,
                Err(error) => faults.push(error.to_string()),
            }
        }
    }
    if faults.is_empty() { Ok(gone) } else { Err(faults.join("; ")) }
}

/// The file, its earlier generations, and whatever a write that broke off left of it: `secrets.age`,
/// `secrets.age.previous`, `secrets.age.1f2e.tmp`. Locks hold nothing and may be held.
fn generations(file: &Path, faults: &mut Vec<String>) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::from([file.to_owned()]);
    let (Some(folder), Some(name)) = (file.parent(), file.file_name().and_then(|name| name.to_str())) else {
        return found;
    };
    let is_of = |path: &PathBuf| {
        let other = path.file_name().and_then(|other| other.to_str()).unwrap_or_default();
        let is_lock = path.extension().is_some_and(|ending| ending == "lock");
        other.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')) && !is_lock
    };
    match std::fs::read_dir(folder) {
        Ok(entries) => found.extend(entries.flatten().map(|entry| entry.path()).filter(is_of)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => faults.push(format!("cannot list `{}`: {error}", folder.display())),
    }
    found.retain(|path| path.symlink_metadata().is_ok());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_generation_goes_and_the_rest_stays() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        std::fs::create_dir(home.ca()).unwrap();
        let gone = [
            "identity.age",
            "secrets.age",
            "secrets.age.previous",
            "secrets.age.12.tmp",
            "leases.age",
            "audit.key.age",
        ];
        let stays = ["audit.log", "audit.head", "config.toml", "kill.json", "secrets.age.lock", "secrets.aged"];
        for name in gone.iter().chain(&stays) {
            std::fs::write(folder.path().join(name), "x").unwrap();
        }
        for name in ["root.key.age", "root.pem", "root-0123.pem"] {
            std::fs::write(home.ca().join(name), "x").unwrap();
        }
        assert_eq!(wipe_home(&home), Ok(gone.len() + 2));
        let left = |folder: PathBuf| std::fs::read_dir(folder).unwrap().count();
        assert_eq!((left(home.folder().to_owned()), left(home.ca())), (stays.len() + 1, 1));
        assert_eq!(wipe_home(&home), Ok(0), "twice is the same");
    }

    #[test]
    fn what_cannot_be_wiped_is_named_and_stops_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        std::fs::create_dir(home.identity()).unwrap();
        std::fs::write(home.store(), "x").unwrap();
        let why = wipe_home(&home).unwrap_err();
        assert!(why.contains("identity.age"), "{why}");
        assert!(!home.store().exists());
    }
}
