//! From a folder upwards: the project file, and the files that narrow what the project may do.

use std::path::{Path, PathBuf};

use super::{Error, ProjectFile};

/// What belongs to the project that a folder lies in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Project {
    /// The nearest `.secrets.json`, if there is one.
    pub file: Option<ProjectFile>,
    /// Every `.secrets.toml` on the way up, the nearest first. They only narrow, so all of them count; `policy` reads them.
    pub narrowing: Vec<PathBuf>,
}

impl Project {
    /// The name of the files that narrow.
    pub const NARROWING: &str = ".secrets.toml";

    /// The folder that the project is known by: that of its nearest file, if it has one.
    pub fn folder(&self) -> Option<&Path> {
        let narrowing = self.narrowing.first().and_then(|path| path.parent());
        let file = self.file.as_ref().map(ProjectFile::folder);
        match (file, narrowing) {
            (Some(file), Some(narrowing)) if narrowing.starts_with(file) => Some(narrowing),
            (file, narrowing) => file.or(narrowing),
        }
    }
}

/// Looks in `folder` and every folder above it. A file that is there and cannot be read is an error, not a missing one.
pub fn find(folder: &Path) -> Result<Project, Error> {
    let start = std::path::absolute(folder).map_err(Error::io("find the folder", folder))?;
    let mut project = Project::default();
    for folder in start.ancestors() {
        if project.file.is_none() {
            project.file = read_if_there(&folder.join(ProjectFile::NAME))?;
        }
        let narrowing = folder.join(Project::NARROWING);
        match narrowing.symlink_metadata() {
            Ok(_) => project.narrowing.push(narrowing), // whatever it is: not being readable is for its reader to say
            Err(error) if is_absence(&error) => {}
            Err(error) => return Err(Error::io("look for", narrowing)(error)),
        }
    }
    Ok(project)
}

fn read_if_there(path: &Path) -> Result<Option<ProjectFile>, Error> {
    match path.symlink_metadata() {
        Ok(_) => ProjectFile::read(path).map(Some),
        Err(error) if is_absence(&error) => Ok(None),
        Err(error) => Err(Error::io("look for", path)(error)),
    }
}

fn is_absence(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}
