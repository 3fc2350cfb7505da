//! The combined bundle: system roots, what the user's own variables name, our root.
//!
//! Most variables make a client give up the roots it had, so a bundle of our root alone would break every connection
//! that we do not intercept, and a user's corporate root must survive (attack 129).

use std::{
    collections::{BTreeMap, HashSet},
    ffi::{OsStr, OsString},
    fmt,
    path::{Path, PathBuf},
};

use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::table::{SystemRoots, Table};
use crate::base::{read_bounded, read_pem_certificates, sha256, write_pem_certificate};

/// The largest file of roots that is read; the roots of all systems together are a tenth of it.
const LARGEST_FILE: u64 = 8 * 1024 * 1024;
/// How many files of a folder are read.
const MOST_FILES: usize = 1_000;
/// How many certificates a bundle holds at most; what comes later is left out and said.
const MOST_CERTIFICATES: usize = 5_000;

/// Something that could not be taken over from the user's environment; worth telling, no reason to stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The variable that named it.
    pub variable: String,
    /// What it named.
    pub path: PathBuf,
    /// Why it is left out.
    pub why: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { variable, path, why } = self;
        write!(f, "`{variable}` names `{}`, which is left out: {why}", path.display())
    }
}

/// Certificates without duplicates, in the order they were found.
#[derive(Default)]
pub(super) struct Bundle {
    /// As DER.
    pub(super) certificates: Vec<Vec<u8>>,
    pub(super) notes: Vec<Note>,
    known: HashSet<[u8; 32]>,
    read: HashSet<PathBuf>,
}

impl Bundle {
    /// Everything that clients shall believe; `ours` is DER.
    pub(super) fn gather(table: &Table, inherited: &BTreeMap<OsString, OsString>, ours: &[Vec<u8>]) -> Self {
        let mut bundle = Self::default();
        bundle.add_system(&table.system_roots);
        for (name, path) in own_paths(inherited, table.bundle_names()) {
            bundle.add_named_file(&name, &path);
        }
        for (name, paths) in own_paths(inherited, table.own_roots.folders.iter().map(String::as_str)) {
            for folder in std::env::split_paths(&paths) {
                bundle.add_named_folder(&name, &folder, &table.system_roots);
            }
        }
        for certificate in ours {
            bundle.add_within(certificate.clone(), usize::MAX); // without ours the rest is of no use
        }
        bundle
    }

    /// The bundle as PEM text.
    pub(super) fn pem(&self) -> String {
        self.certificates.iter().map(|der| write_pem_certificate(der)).collect()
    }

    /// A machine without roots is no error: containers often have none.
    fn add_system(&mut self, places: &SystemRoots) {
        let before = self.certificates.len();
        for file in &places.files {
            if self.add_file(file).is_ok() && self.certificates.len() > before {
                return;
            }
        }
        for folder in &places.folders {
            let _ = self.add_folder(folder); // the next one may do
            if self.certificates.len() > before {
                return;
            }
        }
    }

    fn add_named_file(&mut self, variable: &str, path: &Path) {
        if let Err(why) = self.add_file(path) {
            self.note(variable, path, why);
        }
    }

    fn add_named_folder(&mut self, variable: &str, folder: &Path, system: &SystemRoots) {
        if system.folders.iter().any(|known| known == folder) && !self.certificates.is_empty() {
            return; // the system's own folder holds the system's own roots
        }
        if let Err(why) = self.add_folder(folder) {
            self.note(variable, folder, why);
        }
    }

    fn note(&mut self, variable: &str, path: &Path, why: String) {
        if self.notes.iter().all(|note| note.path != path) {
            self.notes.push(Note { variable: variable.to_owned(), path: path.to_owned(), why });
        }
    }

    /// Adds the certificates of a file, links followed: distributions and Nix name bundles by links.
    fn add_file(&mut self, path: &Path) -> Result<(), String> {
        let real = path.canonicalize().map_err(|error| error.to_string())?;
        if self.read.contains(&real) {
            return Ok(());
        }
        let (text, _) = read_bounded(&real, LARGEST_FILE).map_err(|error| error.to_string())?;
        self.read.insert(real);
        let found = read_pem_certificates(&text);
        let mut damaged = found.damaged;
        let count = found.certificates.len();
        for certificate in found.certificates {
            // One that does not parse would make OpenSSL and Java give up on the whole file.
            if X509Certificate::from_der(&certificate).is_ok_and(|(rest, _)| rest.is_empty()) {
                self.add(certificate);
            } else {
                damaged += 1;
            }
        }
        match (count, damaged) {
            (0, 0) => Err("it holds no certificate in PEM form".to_owned()),
            (_, 0) if self.certificates.len() >= MOST_CERTIFICATES => Err("there are too many certificates".to_owned()),
            (_, 0) => Ok(()),
            _ => Err(format!("{damaged} of its certificates are damaged")),
        }
    }

    /// Adds the certificates of the files of a folder; files of other kinds lie in such folders too.
    fn add_folder(&mut self, folder: &Path) -> Result<(), String> {
        let entries = std::fs::read_dir(folder).map_err(|error| error.to_string())?;
        let mut paths: Vec<PathBuf> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths.iter().take(MOST_FILES).filter(|path| path.is_file()) {
            let _ = self.add_file(path); // a key, a list of revoked ones, a note: not for us
        }
        if paths.len() > MOST_FILES { Err(format!("only its first {MOST_FILES} files were read")) } else { Ok(()) }
    }

    fn add(&mut self, certificate: Vec<u8>) {
        self.add_within(certificate, MOST_CERTIFICATES);
    }

    fn add_within(&mut self, certificate: Vec<u8>, most: usize) {
        if self.certificates.len() < most && self.known.insert(sha256(&certificate)) {
            self.certificates.push(certificate);
        }
    }
}

/// What these variables of the user name; relative paths start at the user's working folder.
fn own_paths<'a>(
    inherited: &BTreeMap<OsString, OsString>,
    variables: impl IntoIterator<Item = &'a str>,
) -> Vec<(String, PathBuf)> {
    let folder = inherited.get(OsStr::new("PWD")).map(PathBuf::from).unwrap_or_default();
    let named = variables.into_iter().filter_map(|name| Some((name, inherited.get(OsStr::new(name))?)));
    let named = named.filter(|(_, value)| !value.is_empty());
    named.map(|(name, value)| (name.to_owned(), folder.join(value))).collect()
}
