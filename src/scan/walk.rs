//! Which files a scan looks at: those that git would take, and env files even where it would not.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use ignore::{
    WalkBuilder,
    gitignore::{Gitignore, GitignoreBuilder},
};

use super::Error;
use crate::project::is_env_name;

/// What is left out when nothing else is said; agent-secrets' list.
pub const DEFAULT_EXCLUDES: [&str; 7] = ["node_modules", ".git", ".hg", ".svn", "vendor", "dist", "build"];

/// How deep a scan goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The folder's own files.
    Folder,
    /// Everything below it.
    Tree,
}

/// What happens to files that `.gitignore` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// They are looked at like others.
    Scan,
    /// They are left out, env files excepted: those are where secrets are, and ignoring them is what one should do.
    Skip,
}

/// Whether a file is one that programs read their environment from, by its name.
pub fn is_env_file(path: &Path) -> bool {
    is_env_name(&path.file_name().unwrap_or_default().to_string_lossy())
}

/// The files below a root in a fixed order, and what could not be looked into. Links are not followed, and only regular
/// files are taken; a root that is a file is taken whatever its name.
pub(super) fn files(
    root: &Path,
    reach: Reach,
    ignored: Ignored,
    excludes: &[String],
) -> Result<(BTreeSet<PathBuf>, Vec<Error>), Error> {
    let metadata = root.metadata().map_err(Error::io(root))?;
    if !metadata.is_dir() {
        return Ok((BTreeSet::from([root.to_owned()]), Vec::new()));
    }
    let left_out = names(root, excludes)?;
    let is_taken = {
        let left_out = left_out.clone();
        move |path: &Path, is_folder: bool| !left_out.matched(path, is_folder).is_ignore()
    };
    let (mut found, mut unreadable) = (BTreeSet::new(), Vec::new());
    let mut walk = WalkBuilder::new(root);
    walk.standard_filters(false).follow_links(false).require_git(false);
    let skips = ignored == Ignored::Skip;
    walk.git_ignore(skips).git_exclude(skips).parents(skips);
    walk.max_depth((reach == Reach::Folder).then_some(1));
    walk.filter_entry({
        let is_taken = is_taken.clone();
        move |entry| entry.depth() == 0 || is_taken(entry.path(), entry.file_type().is_some_and(|kind| kind.is_dir()))
    });
    for entry in walk.build() {
        match entry {
            Ok(entry) if entry.file_type().is_some_and(|kind| kind.is_file()) => drop(found.insert(entry.into_path())),
            Ok(entry) if entry.file_type().is_some_and(|kind| kind.is_dir()) => {
                let goes_in = reach == Reach::Tree || entry.depth() == 0;
                found.extend(env_files(entry.path()).filter(|path| goes_in && is_taken(path, false)));
            }
            Ok(_) => {} // a link, a pipe, a device
            Err(error) => unreadable.push(unread(root, error)),
        }
    }
    Ok((found, unreadable))
}

/// The env files that stand right in a folder; what cannot be listed is reported by the walk itself.
fn env_files(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    files.map(|entry| entry.path()).filter(|path| is_env_file(path))
}

fn names(root: &Path, excludes: &[String]) -> Result<Gitignore, Error> {
    let wrong = |text: &str, error: &ignore::Error| Error::Exclude { text: text.to_owned(), what: error.to_string() };
    let mut builder = GitignoreBuilder::new(root);
    for exclude in excludes {
        builder.add_line(None, exclude).map_err(|error| wrong(exclude, &error))?;
    }
    builder.build().map_err(|error| wrong("", &error))
}

fn unread(root: &Path, error: ignore::Error) -> Error {
    let mut path = root.to_owned();
    let mut inner = &error;
    loop {
        inner = match inner {
            ignore::Error::WithPath { path: at, err } => {
                path.clone_from(at);
                err
            }
            ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => err,
            _ => break,
        };
    }
    let text = inner.to_string();
    let source = error.into_io_error().unwrap_or_else(|| std::io::Error::other(text));
    Error::Io { path, source }
}
