//! The folder of files that clients are pointed at.
//!
//! Invariant: a path that was handed out keeps its content, or a newer one, long after the session that got it: a
//! missing bundle or preload breaks every tool that was told of it. So names are stable, or made from the content.

use std::{
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Component, Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::Error;
use crate::base::{hex, read_bounded, replace, sha256, touch};

/// How many files of one kind are kept whatever their age.
const KEPT: usize = 16;
/// A file that was used this shortly before the latest one is kept too.
const KEPT_FOR: Duration = Duration::from_hours(720);
const LARGEST_FILE: u64 = 64 * 1024 * 1024;

/// The folder, checked.
pub(super) struct Support<'a> {
    folder: &'a Path,
}

impl<'a> Support<'a> {
    /// Makes the folder (0700), or refuses one that others may write to or that some client would misread.
    pub(super) fn open(folder: &'a Path) -> Result<Self, Error> {
        // Quotes, backslashes and dollars mean something in some variable's language, a colon ends a path, a star is
        // a pattern. Blanks are quoted where they matter.
        let plain = |c: char| !c.is_control() && !"\"'\\$`:*%".contains(c);
        let is_plain = folder.to_str().is_some_and(|text| text.chars().all(plain) && text == text.trim());
        if !is_plain || !folder.is_absolute() || folder.components().any(|part| part == Component::ParentDir) {
            return Err(Error::AwkwardPath(folder.to_owned()));
        }
        let failed = |source| Error::Folder { path: folder.to_owned(), source };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        let mode = std::fs::metadata(folder).map_err(failed)?.permissions().mode();
        if mode & 0o022 == 0 { Ok(Self { folder }) } else { Err(Error::Loose(folder.to_owned())) }
    }

    /// A file of a fixed name, brought up to date.
    pub(super) fn stable(&self, name: &str, content: &[u8]) -> Result<PathBuf, Error> {
        let path = self.folder.join(name);
        keep(&path, content)?;
        Ok(path)
    }

    /// A file named after its content: `bundle-0123456789abcdef.pem`.
    pub(super) fn addressed(&self, kind: &str, ending: &str, content: &[u8]) -> Result<PathBuf, Error> {
        let path = self.folder.join(format!("{kind}-{}{ending}", short_hash(content)));
        keep(&path, content)?;
        self.prune(kind)?;
        Ok(path)
    }

    /// A folder named after its only file's content.
    pub(super) fn addressed_folder(&self, kind: &str, name: &str, content: &[u8]) -> Result<PathBuf, Error> {
        let path = self.folder.join(format!("{kind}-{}", short_hash(content)));
        let failed = |source| Error::Folder { path: path.clone(), source };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(failed)?;
        keep(&path.join(name), content)?;
        touch(&path).map_err(failed)?;
        self.prune(kind)?;
        Ok(path)
    }

    /// Removes what has not been used for long; what cannot be removed is tried again next time.
    fn prune(&self, kind: &str) -> Result<(), Error> {
        let failed = |source| Error::Folder { path: self.folder.to_owned(), source };
        let prefix = format!("{kind}-");
        let mut found: Vec<(SystemTime, PathBuf)> = Vec::new();
        for entry in std::fs::read_dir(self.folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_name().to_string_lossy().starts_with(&prefix)
                && let Ok(used) = entry.metadata().and_then(|metadata| metadata.modified())
            {
                found.push((used, entry.path()));
            }
        }
        found.sort_by(|a, b| b.cmp(a));
        let Some(latest) = found.first().map(|(used, _)| *used) else { return Ok(()) };
        for (used, path) in found.iter().skip(KEPT) {
            if latest.duration_since(*used).is_ok_and(|age| age > KEPT_FOR) {
                let _ = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
            }
        }
        Ok(())
    }
}

fn short_hash(content: &[u8]) -> String {
    hex(sha256(content).get(..8).unwrap_or_default())
}

/// Writes the file unless it is there as it should be; either way it counts as used now.
fn keep(path: &Path, content: &[u8]) -> Result<(), Error> {
    let is_right = |(have, metadata): (Vec<u8>, std::fs::Metadata)| {
        have == content && metadata.permissions().mode() & 0o777 == 0o600
    };
    if read_bounded(path, LARGEST_FILE).is_ok_and(is_right) && touch(path).is_ok() {
        return Ok(());
    }
    Ok(replace(path, content, 0o600, None)?)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn files_are_private_stable_and_put_right() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("support");
        let support = Support::open(&folder).unwrap();
        let path = support.addressed("bundle", ".pem", b"one").unwrap();
        assert_eq!(support.addressed("bundle", ".pem", b"one").unwrap(), path);
        assert_ne!(support.addressed("bundle", ".pem", b"two").unwrap(), path);
        assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        std::fs::write(&path, "tampered with").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        support.addressed("bundle", ".pem", b"one").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn only_what_is_old_and_beyond_the_newest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let support = Support::open(folder.path()).unwrap();
        let day = Duration::from_hours(24);
        let newest = SystemTime::UNIX_EPOCH + day * 20_000;
        let write = |kind: &str, age: u32| {
            let path = folder.path().join(format!("{kind}-{age:02}"));
            std::fs::write(&path, "x").unwrap();
            File::options().write(true).open(&path).unwrap().set_modified(newest - day * age).unwrap();
        };
        for age in 0..40 {
            write("bundle", age);
        }
        write("other", 90);
        support.prune("bundle").unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 31 + 1, "30 days and the other kind");
        for age in 0..31 {
            write("bundle", age * 50);
        }
        for age in 1..50 {
            let _ = std::fs::remove_file(folder.path().join(format!("bundle-{age:02}")));
        }
        support.prune("bundle").unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), KEPT + 1);
    }

    #[test]
    fn attack_92_a_folder_open_to_others_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let error = Support::open(folder.path()).err().unwrap();
        assert!(error.to_string().contains("chmod 700"), "{error}");
    }

    #[test]
    fn a_path_that_some_client_would_misread_is_refused() {
        let home = tempfile::tempdir().unwrap();
        for name in ["a:b", "a\"b", "a'b", "a\\b", "a$b", "a\nb", "a*b", "a ", "../x"] {
            assert!(matches!(Support::open(&home.path().join(name)), Err(Error::AwkwardPath(_))), "{name:?}");
        }
        assert!(matches!(Support::open(Path::new("support")), Err(Error::AwkwardPath(_))));
        assert!(Support::open(&home.path().join("my files, é")).is_ok());
    }
}
