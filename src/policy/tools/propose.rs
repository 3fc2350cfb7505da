//! `[[propose]]` of a project's file: services that a person may accept.
//!
//! Invariant: a proposal is part of no set and nobody who opens a session reads it; accepted, it is a file of the user's
//! own with the very text that was shown, and an edit of it waits again.

use std::{
    fs,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use crate::base::{ServiceId, hex, read_bounded, replace, sha256};

use crate::policy::{
    Error, Fault, LoadErrors,
    files::{Source, head, service_of},
    load::{MAX_FILE, read_file},
    services::Service,
    set::{MAX_PROJECT, PolicySet},
};

/// A service that a project proposes.
#[derive(Debug)]
pub struct Proposal {
    service: Service,
    text: String,
    hash: String,
    project: PathBuf,
    line: usize,
}

/// What has become of a proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A file of the user's own has this very text.
    Accepted,
    /// It cannot be accepted; why not, in one sentence.
    Refused(String),
    /// An older version was accepted, and this one would take its place.
    Replaces,
    /// Nobody has accepted it yet.
    Waits,
}

/// How the first line of an accepted file begins.
const MARK: &str = "# accepted proposal; sha256 ";

/// What a project's file proposes. The faults of a proposed service are told where they stand in the project's file.
pub fn proposals(path: &Path) -> Result<Vec<Proposal>, LoadErrors> {
    let mut faults = Vec::new();
    let text = read_file(path, MAX_PROJECT, &mut faults).map(|text| text.text).unwrap_or_default();
    LoadErrors::check(faults)?;
    let (read, faults) = read(path, &text);
    LoadErrors::check(faults)?;
    Ok(read)
}

fn read(path: &Path, text: &str) -> (Vec<Proposal>, Vec<Fault>) {
    let outer = Source::new(&path.display().to_string(), text);
    let table = outer.parse(text);
    let mut root = outer.root(&table);
    let mut found: Vec<Proposal> = Vec::new();
    let mut faults = Vec::new();
    if head(&mut root, &["project"]).is_some() {
        for mut table in root.tables("propose") {
            let at = table.required_text("service");
            table.finish();
            let Some(at) = at else { continue };
            let inner = Source::new(outer.file(), at.value);
            let service = service_of(&inner, at.value);
            let raw = text.get(at.span.clone()).unwrap_or_default();
            let begin = outer.position(at.span.start + before(raw));
            faults.extend(inner.into_faults().into_iter().map(|fault| moved(fault, begin)));
            let Some(service) = service else { continue };
            if found.iter().any(|other| other.service.id == service.id) {
                let message = format!("service `{}` is proposed twice", service.id);
                outer.fault(at.span.clone(), message, "keep one of the two");
            }
            found.push(Proposal {
                service,
                text: at.value.to_owned(),
                hash: hex(&sha256(at.value.as_bytes())),
                project: path.to_owned(),
                line: outer.position(at.span.start).0,
            });
        }
    }
    faults.extend(outer.into_faults());
    (found, faults)
}

/// How many bytes stand before a text: its quotes, and the line break that TOML leaves out.
fn before(raw: &str) -> usize {
    let is_long = raw.starts_with("'''") || raw.starts_with("\"\"\"");
    let quotes = if is_long { 3 } else { 1 };
    let rest = raw.get(quotes..).unwrap_or_default();
    quotes + ["\r\n", "\n"].iter().find(|end| is_long && rest.starts_with(**end)).map_or(0, |end| end.len())
}

/// A fault of the inner text where it stands in the outer one.
fn moved(fault: Fault, (line, column): (usize, usize)) -> Fault {
    let column = if fault.line == 1 { column + fault.column - 1 } else { fault.column };
    Fault { line: line + fault.line - 1, column, ..fault }
}

impl Proposal {
    /// The service as it would be.
    pub const fn service(&self) -> &Service {
        &self.service
    }

    /// Its file, byte for byte.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// SHA-256 of [`Proposal::text`] in 64 hex digits.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Where it stands: file and line.
    pub fn place(&self) -> String {
        format!("{}:{}", self.project.display(), self.line)
    }

    fn id(&self) -> &ServiceId {
        &self.service.id
    }

    /// The file that it is once accepted.
    pub fn path(&self, folder: &Path) -> PathBuf {
        folder.join(format!("proposed-{}.toml", self.id()))
    }

    /// What has become of it in a folder of policy files and their set.
    pub fn standing(&self, folder: &Path, set: &PolicySet) -> Standing {
        let path = self.path(folder);
        let content = match read_bounded(&path, MAX_FILE) {
            Ok((content, _)) => content,
            Err(error) if error.is_missing() => return self.unaccepted(set, None),
            Err(error) => return Standing::Refused(error.to_string()),
        };
        let Some((hash, of)) = accepted(&content) else {
            return Standing::Refused(format!(
                "`{}` is no longer what was accepted; move it away first",
                path.display()
            ));
        };
        if of != self.origin() {
            return Standing::Refused(format!("service `{}` was accepted from another project, {of}", self.id()));
        }
        if hash == self.hash { Standing::Accepted } else { self.unaccepted(set, Some(&path)) }
    }

    /// No word for it may be one for another service: people type them, and grants are made of what they find.
    fn unaccepted(&self, set: &PolicySet, older: Option<&Path>) -> Standing {
        let words = [self.id().as_str(), self.service.name()].into_iter().chain(self.service.aliases());
        let is_older = |file: &str| older.is_some_and(|path| path.display().to_string() == file);
        let mut others = words.filter_map(|word| set.find_service(word).map(|other| (word, other)));
        match others.find(|(_, other)| !is_older(other.file())) {
            Some((word, other)) => Standing::Refused(format!(
                "`{}` is a word for service `{}` in `{}` already",
                word.escape_debug(),
                other.id(),
                other.file()
            )),
            None if older.is_some() => Standing::Replaces,
            None => Standing::Waits,
        }
    }

    /// The project as it stands in the accepted file.
    fn origin(&self) -> String {
        format!("{:?}", self.project.display().to_string())
    }

    /// Makes it a file of the user's own (0600), in the place of an accepted older version. What would not load together
    /// with the rest of the folder is not written.
    pub fn accept(&self, folder: &Path) -> Result<PathBuf, Error> {
        let path = self.path(folder);
        let text = format!("{MARK}{}; of {}\n{}", self.hash, self.origin(), self.text);
        PolicySet::load_with(folder, &[(path.clone(), text.clone())]).map_err(Error::Unusable)?;
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|source| Error::Folder { path: folder.to_owned(), source })?;
        replace(&path, text.as_bytes(), 0o600, None)?;
        Ok(path)
    }
}

/// The hash and the project of an accepted file that nobody has edited since.
fn accepted(content: &[u8]) -> Option<(&str, &str)> {
    let (first, rest) = std::str::from_utf8(content).ok()?.split_once('\n')?;
    let (hash, of) = first.strip_prefix(MARK)?.split_once("; of ")?;
    (hex(&sha256(rest.as_bytes())) == hash).then_some((hash, of))
}
