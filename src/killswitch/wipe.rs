//! Destroying what a home keeps secret: store, identity, leases, the keys of authority and audit log, and the generated
//! policies, which name secrets. The log stays, and so does what a person wrote and what everybody may know.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

use crate::{
    base::{Generated, Home, read_bounded, wipe},
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
    for file in generated(&home.policies(), &mut faults) {
        match wipe(&file) {
            Ok(()) => gone += 1,
            Err(error) => faults.push(error.to_string()),
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

/// The generated files of policy: every grant, whoever edited it since, services that nobody has edited, and what a write
/// that broke off left of either.
fn generated(folder: &Path, faults: &mut Vec<String>) -> Vec<PathBuf> {
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_part = path.extension().is_some_and(|ending| ending == "tmp")
            && ["grant-", "service-"].iter().any(|kind| name.starts_with(kind));
        let read = || Generated::read(&read_bounded(path, LARGEST).ok()?.0);
        is_part || read().is_some_and(|generated| generated.kind == "grant" || !generated.is_edited)
    };
    match std::fs::read_dir(folder) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).filter(is_ours).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            faults.push(format!("cannot list `{}`: {error}", folder.display()));
            Vec::new()
        }
    }
}

/// No file of policy is larger.
const LARGEST: u64 = 1024 * 1024;

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
    fn generated_policies_go_and_what_a_person_wrote_stays() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        std::fs::create_dir(home.policies()).unwrap();
        let (grant, service) =
            (Generated::write("grant", "# G", "a = 1\n"), Generated::write("service", "# S", "b = 1\n"));
        for (name, text) in [
            ("grant-a-one.toml", grant.clone()),
            ("grant-a-two.toml", grant.replace("a = 1", "a = 2")),
            ("renamed.toml", grant),
            ("service-a.toml", service.clone()),
            ("grant-a-one.toml.12.tmp", "half".to_owned()),
            ("service-edited.toml", service.replace("b = 1", "b = 2")),
            ("grant-mine.toml", "schema = 1\n".to_owned()),
        ] {
            std::fs::write(home.policies().join(name), text).unwrap();
        }
        assert_eq!(wipe_home(&home), Ok(5));
        let entries = std::fs::read_dir(home.policies()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut left: Vec<_> = entries.collect();
        left.sort();
        assert_eq!(left, ["grant-mine.toml", "service-edited.toml"]);
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
