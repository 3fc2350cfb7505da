//! Writes the small files that `secrets add` makes: a service for the easy case, a grant for any.
//!
//! Invariant: what is left written loads together with the rest of the folder; an existing file is never touched
//! and is an error unless it says the same.

use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use crate::{
    base::{Origin, Scheme, SecretName, ServiceId, hex, read_bounded, replace, sha256},
    recipe::{BasicPart, Place, Wording},
};

use super::{Error, LoadErrors, Risk, set::PolicySet};

/// A grant to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewGrant {
    /// The service.
    pub service: ServiceId,
    /// Which secret serves as which credential.
    pub items: Vec<(Box<str>, SecretName)>,
    /// Globs of client ids; empty for all.
    pub agents: Vec<String>,
    /// Globs of project folders; empty for all.
    pub projects: Vec<String>,
    /// Capabilities that are used without asking.
    pub allow: Vec<String>,
    /// Capabilities that a person is asked about.
    pub ask: Vec<String>,
}

/// Where the credential of an easy service stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EasyPlace {
    /// One part of basic credentials.
    Basic(BasicPart),
    /// A header in one wording.
    Header(http::HeaderName, Wording),
    /// A query parameter.
    Query(Box<str>),
}

impl From<&EasyPlace> for Place {
    fn from(place: &EasyPlace) -> Self {
        match place {
            EasyPlace::Basic(part) => Self::Basic { part: *part, other: None },
            EasyPlace::Header(name, wording) => Self::Header { name: name.clone(), wordings: vec![wording.clone()] },
            EasyPlace::Query(name) => Self::Query { name: name.clone() },
        }
    }
}

/// A service with one origin, one token and one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EasyService {
    /// Its id: lower-case letters, digits, `-` and `_`.
    pub id: ServiceId,
    /// Where it is; an exact host.
    pub origin: Origin,
    /// Where the credential stands.
    pub place: EasyPlace,
    /// The variables that agents read it from; may be empty.
    pub env: Vec<String>,
}

impl EasyService {
    /// The id for a host: `api.acme.test` becomes `api-acme-test`, with the port if it is not the usual one.
    pub fn id_for(origin: &Origin) -> Option<ServiceId> {
        let mut text = origin.authority.host.to_string().replace(['.', ':'], "-").replace(['[', ']'], "");
        if origin.authority.port != origin.scheme.default_port() {
            let _ = write!(text, "-{}", origin.authority.port); // a String takes everything
        }
        text.truncate(64);
        text.parse().ok()
    }
}

impl PolicySet {
    /// A grant of everything of a service that can be given lightly: read, write and spend are allowed, destroy and
    /// admin ask, secret is left out. `None` for a service that is not known.
    pub fn default_grant(&self, service: &ServiceId, items: Vec<(Box<str>, SecretName)>) -> Option<NewGrant> {
        let known = self.service(service)?;
        let of = |risks: &[Risk]| {
            let fitting = known.capabilities().iter().filter(|capability| risks.contains(&capability.risk()));
            fitting.map(|capability| capability.name().to_owned()).collect()
        };
        Some(NewGrant {
            service: known.id().clone(),
            items,
            agents: Vec::new(),
            projects: Vec::new(),
            allow: of(&[Risk::Read, Risk::Write, Risk::Spend]),
            ask: of(&[Risk::Destroy, Risk::Admin]),
        })
    }
}

/// Writes a grant as a file of its own (0600) and returns its path. Refuses what would not load together with the
/// files that are there, such as a grant that overlaps with another.
pub fn write_grant(folder: &Path, grant: &NewGrant) -> Result<PathBuf, Error> {
    let first = grant.items.first().map_or("none", |(_, secret)| secret.as_str());
    let name = format!("grant-{}-{}.toml", file_word(grant.service.as_str()), file_word(first));
    write_checked(folder, &name, &grant_text(grant))
}

/// Writes a service as a file of its own (0600) and returns its path.
pub fn write_service(folder: &Path, service: &EasyService) -> Result<PathBuf, Error> {
    let name = format!("service-{}.toml", file_word(service.id.as_str()));
    write_checked(folder, &name, &service_text(service))
}

fn grant_text(grant: &NewGrant) -> String {
    let list = |texts: &[String]| format!("[{}]", texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", "));
    let mut text = String::from("# What agents may do with this secret; written by `secrets add`, yours to edit.\n");
    text.push_str("schema = 1\nkind   = \"policy\"\n\n[[grant]]\n");
    let mut line = |key: &str, value: String, why: &str| {
        let comment = if why.is_empty() { String::new() } else { format!(" # {why}") };
        let _ = writeln!(text, "{key:<8} = {value}{comment}"); // a String takes everything
    };
    line("service", quoted(grant.service.as_str()), "");
    let items: Vec<String> = grant
        .items
        .iter()
        .map(|(credential, secret)| format!("{} = {}", quoted(credential), quoted(secret.as_str())))
        .collect();
    line("item", format!("{{ {} }}", items.join(", ")), "credential = name of the stored secret");
    for (key, texts) in [("agents", &grant.agents), ("projects", &grant.projects)] {
        if !texts.is_empty() {
            line(key, list(texts), "");
        }
    }
    line("allow", list(&grant.allow), "used without asking");
    if !grant.ask.is_empty() {
        line("ask", list(&grant.ask), "a person is asked first");
    }
    text
}

fn service_text(service: &EasyService) -> String {
    let origin = quoted(&service.origin.to_string());
    let id = quoted(service.id.as_str());
    let place = match &service.place {
        EasyPlace::Basic(BasicPart::Password) => "{ basic = \"password\" }".to_owned(),
        EasyPlace::Basic(BasicPart::User) => "{ basic = \"user\" }".to_owned(),
        EasyPlace::Header(name, wording) => {
            format!("{{ header = {}, as = {} }}", quoted(name.as_str()), quoted(&wording.to_string()))
        }
        EasyPlace::Query(name) => format!("{{ query = {} }}", quoted(name)),
    };
    let env: Vec<String> = service.env.iter().map(|variable| quoted(variable)).collect();
    let clear = if service.origin.scheme == Scheme::Http {
        "# Clear text: whoever is on the way reads the credential.\n"
    } else {
        ""
    };
    // A client of Basic asks without, is challenged, and asks again (RFC 7617, 2): git does.
    let missing = match &service.place {
        EasyPlace::Basic(_) => "missing = \"pass\" # without a lease it goes out without a credential\n",
        EasyPlace::Header(..) | EasyPlace::Query(_) => "",
    };
    format!(
        "# A service with one host and one token; written by `secrets add`, yours to edit.\n\
         schema = 1\nkind   = \"service\"\nid     = {id}\nname   = {name}\n\n\
         [host.api]\n{clear}origin = {origin}\n\n\
         [credential.key]\ntype = \"token\"\nenv  = [{env}]\n\n\
         [[inject]]\nhost = \"api\"\nuse  = \"key\"\nat   = [{place}]\n{missing}\n\
         [cap.read]\nabout = \"Look\"\nrisk  = \"read\"\nallow = [{{ method = [\"GET\", \"HEAD\", \"OPTIONS\"] }}]\n\n\
         [cap.write]\nabout = \"Create and change\"\nrisk  = \"write\"\n\
         allow = [{{ method = [\"POST\", \"PUT\", \"PATCH\"] }}]\n\n\
         [cap.delete]\nabout = \"Delete\"\nrisk  = \"destroy\"\nallow = [{{ method = \"DELETE\" }}]\n",
        name = quoted(&service.origin.authority.host.to_string()),
        env = env.join(", "),
    )
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
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

fn write_checked(folder: &Path, name: &str, text: &str) -> Result<PathBuf, Error> {
    let path = folder.join(name);
    if path.symlink_metadata().is_ok() {
        // A secret that was deleted and added again finds its own file.
        let same = read_bounded(&path, 1024 * 1024).is_ok_and(|(content, _)| content == text.as_bytes());
        return if same { Ok(path) } else { Err(Error::Exists(path)) };
    }
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|source| Error::Folder { path: folder.to_owned(), source })?;
    replace(&path, text.as_bytes(), 0o600, None)?;
    let Err(errors) = PolicySet::load(folder) else { return Ok(path) };
    let ours = errors.faults().iter().any(|fault| *fault.file == *path.display().to_string());
    if ours {
        return Err(take_back(&path, errors));
    }
    // A fault elsewhere may be older than our file, or an overlap that our file brought about.
    let _ = fs::remove_file(&path);
    if PolicySet::load(folder).is_ok() {
        return Err(Error::Unusable(errors));
    }
    replace(&path, text.as_bytes(), 0o600, None)?;
    Ok(path)
}

fn take_back(path: &Path, errors: LoadErrors) -> Error {
    let _ = fs::remove_file(path); // the faults are what is worth telling
    Error::Unusable(errors)
}
