//! An env file: variables with an end, private from its first byte.

use std::{
    fmt::Write as _,
    fs::OpenOptions,
    io::{Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use rustix::fs::OFlags;

use zeroize::Zeroizing;

use super::{
    Error, Variable,
    cleanup::overwrite,
    quote::{Reach, write_value},
};
use crate::base::{LeaseId, Timestamp, VariableName, replace};

/// Variables to be written to a file that ends with the earliest of its leases. The values are wiped on drop.
pub struct EnvFile {
    source: String,
    expires: Timestamp,
    leases: Vec<LeaseId>,
    notes: Vec<String>,
    variables: Vec<Variable>,
}

/// What to do with a file that is already there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Leave it and fail.
    Keep,
    /// Replace it, whatever it is.
    Replace,
}

impl EnvFile {
    /// An env file without variables. `source` says where they come from; it is one line, other characters become `?`.
    pub fn new(source: &str, expires: Timestamp) -> Self {
        Self { source: one_line(source), expires, leases: Vec::new(), notes: Vec::new(), variables: Vec::new() }
    }

    /// Names a lease that ends with the file; `cleanup` revokes it.
    pub fn lease(&mut self, id: LeaseId) {
        self.leases.push(id);
    }

    /// Adds a comment for people, one line.
    pub fn note(&mut self, text: &str) {
        self.notes.push(one_line(text));
    }

    /// The names of its variables, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().map(|(name, _)| name.as_str())
    }

    /// Adds a variable, or gives it another value. Any bytes but zero.
    pub fn set(&mut self, variable: &VariableName, value: &[u8]) -> Result<(), Error> {
        if value.contains(&0) {
            return Err(Error::ZeroByte(variable.to_string()));
        }
        let value = Zeroizing::new(value.to_vec());
        match self.variables.iter_mut().find(|(known, _)| known == variable) {
            Some((_, old)) => *old = value,
            None => self.variables.push((variable.clone(), value)),
        }
        Ok(())
    }

    /// Variables whose values only shells read back byte for byte; dotenv readers have no spelling for them that all agree on.
    pub fn only_for_shells(&self) -> Vec<&VariableName> {
        let is_limited = |value: &[u8]| write_value(&mut Zeroizing::new(Vec::new()), value) == Reach::Shells;
        self.variables.iter().filter(|(_, value)| is_limited(value)).map(|(variable, _)| variable).collect()
    }

    /// The file's content.
    pub fn render(&self) -> Zeroizing<Vec<u8>> {
        let longest: usize = self.variables.iter().map(|(name, value)| name.as_str().len() + 4 * value.len() + 4).sum();
        // Room for the worst case from the start: a buffer that grows leaves copies of secrets behind.
        let header = self.header();
        let mut out = Zeroizing::new(Vec::with_capacity(longest + header.len()));
        out.extend_from_slice(header.as_bytes());
        for (variable, value) in &self.variables {
            out.extend_from_slice(variable.as_str().as_bytes());
            out.push(b'=');
            write_value(&mut out, value);
            out.push(b'\n');
        }
        out
    }

    fn header(&self) -> String {
        let Self { source, expires, .. } = self;
        let mut header = format!("# secrets-managed: true\n# secrets-ttl: {expires}\n# secrets-source: {source}\n");
        for some in self.leases.chunks(LEASES_PER_LINE) {
            let ids: Vec<String> = some.iter().map(ToString::to_string).collect();
            let _ = writeln!(header, "# secrets-leases: {}", ids.join(" ")); // writing to a `String` cannot fail
        }
        for note in &self.notes {
            let _ = writeln!(header, "# {note}");
        }
        header
    }

    /// Writes the file with mode 0600; a failure leaves no part of it.
    pub fn write(&self, path: &Path, existing: Existing) -> Result<(), Error> {
        match existing {
            Existing::Keep => write_new(path, &self.render()),
            Existing::Replace => Ok(replace(path, &self.render(), 0o600, None)?),
        }
    }
}

/// How many ids stand in one line of the header.
const LEASES_PER_LINE: usize = 10;

fn one_line(text: &str) -> String {
    text.chars().map(|c| if matches!(c, ' '..='~') { c } else { '?' }).collect()
}

impl std::fmt::Debug for EnvFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.variables.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("EnvFile").field("expires", &self.expires).field("variables", &names).finish_non_exhaustive()
    }
}

/// Replaces a file that a person wrote, atomically and with mode 0600, unless it is not what it was; then wipes the old
/// content where the file system lets it. No copy is kept: it would hold what was to go.
pub fn exchange(path: &Path, old: &[u8], new: &[u8]) -> Result<(), Error> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC).bits().cast_signed();
    let opened = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path);
    let mut file = opened.map_err(Error::io("open", path))?;
    let mut now = Zeroizing::new(Vec::with_capacity(old.len() + 1));
    let bound = old.len() as u64 + 1;
    (&mut file).take(bound).read_to_end(&mut now).map_err(Error::io("read", path))?;
    if *now != old {
        return Err(Error::Changed(path.to_owned()));
    }
    replace(path, new, 0o600, None)?;
    // Under another name too it would be somebody else's to keep.
    let is_gone = file.metadata().is_ok_and(|metadata| metadata.nlink() == 0);
    if is_gone {
        let _ = overwrite(&mut file, old.len() as u64); // the file itself is replaced, which is what counts
    }
    Ok(())
}

/// `create_new` decides and creates in one step, so that nothing can come to stand there in between, links included.
fn write_new(path: &Path, content: &[u8]) -> Result<(), Error> {
    let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Err(Error::Exists(path.to_owned())),
        other => other.map_err(Error::io("create", path))?,
    };
    let written = file.write_all(content).and_then(|()| file.sync_all());
    if let Err(error) = written {
        let _ = std::fs::remove_file(path); // the first error is the one worth telling
        return Err(Error::io("write", path)(error));
    }
    Ok(())
}
