//! What is known and accepted: marks of findings, made with a key of the file's own, and never their values.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Error, Finding};
use crate::base::{HashKey, hex, random, read_bounded, replace};

/// The largest that is read.
const MAX_LEN: u64 = 16 << 20;
const VERSION: u32 = 1;

/// A baseline. A finding is known by its file, relative to the baseline's folder, its shape and its value; moving it to
/// another line does not make it new.
#[derive(Debug)]
pub struct Baseline {
    path: PathBuf,
    salt: String,
    key: HashKey,
    known: BTreeSet<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    salt: String,
    findings: BTreeSet<String>,
}

impl Baseline {
    /// An empty one, to be written to a path.
    pub fn new(path: &Path) -> Self {
        Self::with(path, hex(&random::<16>()), BTreeSet::new())
    }

    /// Reads one.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let (content, _) = read_bounded(path, MAX_LEN)?;
        let wrong = |what: String| Error::Baseline { path: path.to_owned(), what };
        let file: File = serde_json::from_slice(&content).map_err(|error| wrong(error.to_string()))?;
        if file.version != VERSION {
            return Err(wrong(format!("version {} is not known; this program writes {VERSION}", file.version)));
        }
        Ok(Self::with(path, file.salt, file.findings))
    }

    fn with(path: &Path, salt: String, known: BTreeSet<String>) -> Self {
        let key = HashKey::from_bytes(crate::base::sha256(salt.as_bytes()));
        Self { path: path.to_owned(), salt, key, known }
    }

    /// Whether a finding is in it.
    pub fn knows(&self, finding: &Finding) -> bool {
        self.known.contains(&self.mark(finding))
    }

    /// Takes a finding in.
    pub fn add(&mut self, finding: &Finding) {
        let mark = self.mark(finding);
        self.known.insert(mark);
    }

    /// How many findings are in it.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Writes it, whole or not at all.
    pub fn write(&self) -> Result<(), Error> {
        let file = File { version: VERSION, salt: self.salt.clone(), findings: self.known.clone() };
        let wrong = |error: serde_json::Error| Error::Baseline { path: self.path.clone(), what: error.to_string() };
        let text = serde_json::to_string_pretty(&file).map_err(wrong)? + "\n";
        Ok(replace(&self.path, text.as_bytes(), 0o644, None)?)
    }

    fn mark(&self, finding: &Finding) -> String {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        let file = finding.file.strip_prefix(folder).unwrap_or(&finding.file);
        let mut text = file.as_os_str().as_encoded_bytes().to_vec();
        text.push(0);
        text.extend_from_slice(finding.pattern_name.as_bytes());
        text.push(0);
        text.extend_from_slice(&finding.fingerprint.0);
        hex(&self.key.hash(&text).0)
    }
}
