//! Every variable a client needs to find the proxy and to believe our root, merged with what the user has.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{
    Error, Note, key_store, no_proxy,
    roots::Bundle,
    support::Support,
    table::{Append, Leading, SupportFile, TABLE, Table, Value, When},
};
use crate::base::{read_bounded, read_pem_certificates};

const PRELOAD: &str = include_str!("../../certs/preload.cjs");
/// The largest start file of wget that is taken over.
const LARGEST_WGETRC: u64 = 1024 * 1024;

/// What an environment is made from.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// Where the proxy listens for this session; a literal address, clear HTTP.
    pub proxy: SocketAddr,
    /// What clients are to say to it of whose requests these are. Left out where nothing hangs on it: clients that cannot
    /// send it, such as Java's, work all the same, and some say the URL aloud.
    pub login: Option<Login<'a>>,
    /// The folder of support files (`Home::support`), made when missing; has to outlive every session.
    pub support: &'a Path,
    /// Our root certificate as PEM text.
    pub root_pem: &'a str,
    /// The environment that the user has.
    pub inherited: &'a BTreeMap<OsString, OsString>,
    /// Hosts and host patterns that have a secret: these must go through the proxy.
    pub secret_hosts: &'a [String],
}

/// User and password for the proxy's URL, of letters, digits, `-`, `.`, `_` and `~`; neither may be empty.
#[derive(Clone, Copy)]
pub struct Login<'a> {
    /// The user.
    pub user: &'a str,
    /// The password.
    pub password: &'a str,
}

impl fmt::Debug for Login<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A prepared environment.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The variables to set; all others stay as they are.
    pub variables: Vec<(OsString, OsString)>,
    /// What could not be taken over from the user's environment.
    pub notes: Vec<Note>,
    /// The combined bundle: system roots, the user's, ours.
    pub bundle: PathBuf,
    /// Our root alone, for tools that are told by hand.
    pub root: PathBuf,
}

/// The variables of [`prepare`]; what it notes goes to the log.
pub fn environment(setup: &Setup<'_>) -> Result<Vec<(OsString, OsString)>, Error> {
    let prepared = prepare(setup)?;
    for note in &prepared.notes {
        tracing::warn!(%note, "a setting of the environment is left out");
    }
    Ok(prepared.variables)
}

/// Writes the support files and says which variables to set. Files have mode 0600, in a folder of mode 0700, under
/// paths that stay; whatever the user's own variables name is merged in, and what cannot be read is noted.
pub fn prepare(setup: &Setup<'_>) -> Result<Prepared, Error> {
    prepare_by(&TABLE, setup)
}

pub(super) fn prepare_by(table: &Table, setup: &Setup<'_>) -> Result<Prepared, Error> {
    let ours = read_pem_certificates(setup.root_pem.as_bytes()).certificates;
    if ours.is_empty() {
        return Err(Error::NoRoot);
    }
    let support = Support::open(setup.support)?;
    let mut bundle = Bundle::gather(table, setup.inherited, &ours);
    let path = support.addressed("bundle", ".pem", bundle.pem().as_bytes())?;
    let mut notes = std::mem::take(&mut bundle.notes);
    notes.extend(own_java_trust_store(setup.inherited));
    let root = support.stable("root.pem", setup.root_pem.as_bytes())?;
    let values = Values {
        java_trust_store: support.addressed("truststore", ".jks", &key_store::write(&bundle.certificates))?,
        no_proxy: no_proxy::merge(setup.inherited, setup.secret_hosts),
        php_folder: support.addressed_folder("php", "zz-ca.ini", php_ini(&path).as_bytes())?,
        preload: support.stable("preload.cjs", PRELOAD.as_bytes())?,
        wgetrc: support.addressed("wgetrc", "", &wgetrc(setup.inherited, &path, &mut notes))?,
        bundle: path,
        setup,
    };
    let mut variables = Vec::new();
    for variable in &table.variables {
        for name in &variable.names {
            let own = setup.inherited.get(OsStr::new(name)).filter(|value| !value.is_empty());
            if variable.when == When::Always || own.is_some() {
                variables.push((name.into(), values.of(&variable.value, own.map(OsString::as_os_str))));
            }
        }
    }
    if setup.login.is_some() {
        // Git sends a login only once it was asked for one, which nobody does here (http.proxyAuthMethod of git-config(1)).
        variables.push(("GIT_HTTP_PROXY_AUTHMETHOD".into(), "basic".into()));
    }
    Ok(Prepared { variables, notes, bundle: values.bundle, root })
}

/// What the kinds of value stand for in this session.
struct Values<'a> {
    bundle: PathBuf,
    java_trust_store: PathBuf,
    no_proxy: Vec<String>,
    php_folder: PathBuf,
    preload: PathBuf,
    setup: &'a Setup<'a>,
    wgetrc: PathBuf,
}

impl Values<'_> {
    fn of(&self, value: &Value, own: Option<&OsStr>) -> OsString {
        match value {
            Value::Append(append) => self.append(append, own),
            Value::Bundle => self.bundle.clone().into(),
            Value::File(SupportFile::Wgetrc) => self.wgetrc.clone().into(),
            Value::Literal(text) => text.into(),
            Value::NoProxy => self.no_proxy.join(",").into(),
            Value::Proxy => match self.setup.login {
                Some(Login { user, password }) => format!("http://{user}:{password}@{}", self.setup.proxy).into(),
                None => format!("http://{}", self.setup.proxy).into(),
            },
        }
    }

    fn append(&self, append: &Append, own: Option<&OsStr>) -> OsString {
        let text = [
            ("{java_no_proxy}", no_proxy::for_java(&self.no_proxy)),
            ("{java_trust_store}", quoted(&self.java_trust_store)),
            ("{php_folder}", self.php_folder.display().to_string()),
            ("{preload}", quoted(&self.preload)),
            ("{proxy_host}", self.setup.proxy.ip().to_string()),
            ("{proxy_port}", self.setup.proxy.port().to_string()),
        ]
        .iter()
        .fold(append.text.clone(), |text, (place, value)| text.replace(place, value));
        match own {
            // A session inside a session has our part already.
            Some(own) if own.to_string_lossy().contains(&text) => own.to_owned(),
            Some(own) => [own, OsStr::new(&append.separator), OsStr::new(&text)].into_iter().collect(),
            None if append.leading == Leading::Always => format!("{}{text}", append.separator).into(),
            None => text.into(),
        }
    }
}

/// A path as a word of `NODE_OPTIONS` and `JAVA_TOOL_OPTIONS`, which split at blanks and know double quotes. What
/// would need escaping has been refused with the folder.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    if text.contains(char::is_whitespace) { format!("\"{text}\"") } else { text }
}

/// Named `zz-…` by its caller so that it is read last and wins. Single quotes: PHP takes the content as it is.
fn php_ini(bundle: &Path) -> String {
    let bundle = bundle.display();
    format!("; roots for PHP behind the proxy\ncurl.cainfo = '{bundle}'\nopenssl.cafile = '{bundle}'\n")
}

/// The user's start file with our bundle, and without what would lead wget past the proxy.
fn wgetrc(inherited: &BTreeMap<OsString, OsString>, bundle: &Path, notes: &mut Vec<Note>) -> Vec<u8> {
    let named = inherited.get(OsStr::new("WGETRC")).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || inherited.get(OsStr::new("HOME")).map(|home| Path::new(home).join(".wgetrc"));
    let is_named = named.is_some();
    let mut text = Vec::new();
    if let Some(path) = named.or_else(home) {
        let real = path.canonicalize().unwrap_or_else(|_| path.clone());
        match read_bounded(&real, LARGEST_WGETRC) {
            Ok((content, _)) => text = content,
            Err(error) if error.is_missing() && !is_named => {}
            Err(error) => notes.push(Note { variable: "WGETRC".to_owned(), path, why: error.to_string() }),
        }
    }
    let mut kept: Vec<u8> =
        text.split_inclusive(|&b| b == b'\n').filter(|line| !is_ours(line)).flatten().copied().collect();
    if kept.last().is_some_and(|&last| last != b'\n') {
        kept.push(b'\n');
    }
    kept.extend_from_slice(format!("ca_certificate = {}\n", bundle.display()).as_bytes());
    kept
}

/// Whether a line of a start file sets what the session has to set. wget reads names without case, `-` and `_`.
fn is_ours(line: &[u8]) -> bool {
    let name = line.split(|&b| b == b'=').next().unwrap_or_default();
    let name: Vec<u8> = name.iter().filter(|b| b.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase).collect();
    let is_comment = line.trim_ascii_start().starts_with(b"#");
    !is_comment && [&b"cacertificate"[..], b"httpproxy", b"httpsproxy", b"noproxy", b"useproxy"].contains(&&*name)
}

/// A JVM has one trust store; the user's own cannot be read without knowing its kind and password.
fn own_java_trust_store(inherited: &BTreeMap<OsString, OsString>) -> Option<Note> {
    let options = inherited.get(OsStr::new("JAVA_TOOL_OPTIONS"))?.to_string_lossy();
    let (_, rest) = options.rsplit_once("-Djavax.net.ssl.trustStore=")?;
    let path = rest.split_whitespace().next().unwrap_or("").trim_matches('"');
    let is_ours = Path::new(path).file_name()?.to_string_lossy().starts_with("truststore-");
    (!is_ours).then(|| Note {
        variable: "JAVA_TOOL_OPTIONS".to_owned(),
        path: path.into(),
        why: "a JVM believes one trust store only; name its roots in `NODE_EXTRA_CA_CERTS` as PEM to keep them"
            .to_owned(),
    })
}
