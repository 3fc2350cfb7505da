//! Files of policy that are to be written: judged together with the rest of the folder before anything is.
//!
//! Invariant: what is written loads together with the rest of the folder; an existing file is never touched; what cannot
//! be written whole leaves nothing.

use std::{
    fs,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use crate::base::{SecretName, ServiceId, hex, read_bounded, replace, sha256};

use super::write::{EasyService, GRANT, NewGrant, SERVICE, grant_text, service_text};
use crate::policy::{Credential, Error, Grant, load::MAX_FILE, set::PolicySet};

/// What a secret needs besides itself; nothing is on disk yet.
#[derive(Debug)]
pub struct Draft {
    folder: PathBuf,
    files: Vec<(PathBuf, String)>,
    set: PolicySet,
}

/// Files that were written, for as long as they can be taken back.
#[derive(Debug, Default)]
pub struct Written(Vec<PathBuf>);

impl Draft {
    /// How many files or services of one name there may be.
    const MAX_NUMBER: usize = 99;

    /// A draft over the files of a folder; an error when those have faults themselves.
    pub fn new(folder: &Path) -> Result<Self, Error> {
        let set = PolicySet::load(folder).map_err(Error::Broken)?;
        Ok(Self { folder: folder.to_owned(), files: Vec::new(), set })
    }

    /// The set as it will be.
    pub const fn set(&self) -> &PolicySet {
        &self.set
    }

    /// Whether there is nothing to write.
    pub const fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// A service for one host and one place, and its credential: the one that says the same already, or a new one. A
    /// host that takes another credential in another place has a service for each.
    pub fn service(&mut self, easy: &EasyService) -> Result<(ServiceId, Box<str>), Error> {
        for easy in (1..=Self::MAX_NUMBER).map_while(|number| easy.numbered(number)) {
            let is_known = self.set.service(&easy.id).is_some();
            if !is_known {
                self.add(&format!("{SERVICE}-{}", file_word(easy.id.as_str())), service_text(&easy))?;
            }
            let Some(service) = self.set.service(&easy.id) else { continue };
            let own = || service.credentials().first().filter(|_| !is_known).map(Credential::name);
            if let Some(credential) = easy.credential_in(service).or_else(own).map(Box::from) {
                return Ok((easy.id, credential));
            }
        }
        Err(Error::Exists(self.folder.clone()))
    }

    /// A grant as a file of its own. One that overlaps with another is refused.
    pub fn grant(&mut self, grant: &NewGrant) -> Result<(), Error> {
        let first = grant.items.first().map_or("none", |(_, secret)| secret.as_str());
        let name = format!("{GRANT}-{}-{}", file_word(grant.service.as_str()), file_word(first));
        self.add(&name, grant_text(grant))
    }

    /// A file of one's own under exactly this name, without `.toml`; refused when there is one.
    pub fn file(&mut self, name: &str, text: String) -> Result<PathBuf, Error> {
        let path = self.folder.join(format!("{name}.toml"));
        if path.symlink_metadata().is_ok() {
            return Err(Error::Taken(path));
        }
        self.files.push((path.clone(), text));
        self.set = PolicySet::load_with(&self.folder, &self.files).map_err(Error::Unusable)?;
        Ok(path)
    }

    /// The grants that give this secret, for whomever.
    pub fn grants_of<'a>(&'a self, secret: &'a SecretName) -> impl Iterator<Item = &'a Grant> {
        self.set.grants().filter(move |grant| grant.items().any(|(_, item)| item == secret))
    }

    fn add(&mut self, name: &str, text: String) -> Result<(), Error> {
        let Some(path) = self.free_path(name, &text) else { return Ok(()) };
        self.files.push((path, text));
        self.set = PolicySet::load_with(&self.folder, &self.files).map_err(Error::Unusable)?;
        Ok(())
    }

    /// A name that no file has; `None` when a file says the same already, as one that was left behind does.
    fn free_path(&self, name: &str, text: &str) -> Option<PathBuf> {
        let mut number = 1;
        loop {
            let ending = if number == 1 { String::new() } else { format!("-{number}") };
            let path = self.folder.join(format!("{name}{ending}.toml"));
            if path.symlink_metadata().is_err() {
                return Some(path);
            }
            if read_bounded(&path, MAX_FILE).is_ok_and(|(content, _)| content == text.as_bytes()) {
                return None;
            }
            number += 1;
        }
    }

    /// Writes the files (0600), all or none.
    pub fn write(self) -> Result<Written, Error> {
        let mut written = Written::default();
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder);
        made.map_err(|source| Error::Folder { path: self.folder.clone(), source })?;
        for (path, text) in &self.files {
            written.0.push(path.clone());
            if let Err(error) = replace(path, text.as_bytes(), 0o600, None) {
                let _ = written.take_back(); // the first error is the one worth telling
                return Err(error.into());
            }
        }
        Ok(written)
    }
}

impl Written {
    /// Where they are.
    pub fn paths(&self) -> &[PathBuf] {
        &self.0
    }

    /// Removes them again; gives those that could not be removed.
    pub fn take_back(self) -> Vec<PathBuf> {
        let mut left = self.0;
        left.retain(|path| matches!(fs::remove_file(path), Err(error) if error.kind() != std::io::ErrorKind::NotFound));
        left
    }
}

/// A word that is safe in a file name; what had to be changed is told apart by a hash.
fn file_word(text: &str) -> String {
    let safe: String = text
        .chars()
        .take(80)
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '-' })
        .collect();
    if safe == text { safe } else { format!("{safe}-{}", hex(&sha256(text.as_bytes())).get(..8).unwrap_or("")) }
}
