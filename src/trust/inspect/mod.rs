//! Settings that win over the variables of a session, so that a tool goes past the proxy or does not believe our root.
//!
//! Reads files, changes none. Never shows a value: addresses of proxies often hold passwords.

mod settings;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    fmt,
    path::{Path, PathBuf},
};

use self::settings::settings;
use super::table::variables;
use crate::base::read_bounded;

const LARGEST_FILE: u64 = 1024 * 1024;

/// Where to look.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// The user's own folder.
    pub home: &'a Path,
    /// The folder that tools will run in.
    pub project: &'a Path,
    /// The environment that the user has.
    pub inherited: &'a BTreeMap<OsString, OsString>,
}

/// A setting that wins over ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file or variable.
    pub place: String,
    /// The setting in it.
    pub setting: String,
    /// What goes wrong.
    pub problem: &'static str,
    /// What to do about it.
    pub fix: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` in `{}`: {}; {}", self.setting, self.place, self.problem, self.fix)
    }
}

const PAST_THE_PROXY: &str = "wins over the proxy variables, so requests do not pass the proxy and get no credential";
const OTHER_ROOTS: &str = "wins over the variables that name our roots, so connections through the proxy are refused";
const UNVERIFIED: &str = "switches verification off, so anyone on the way can read what is sent";

/// Looks at variables and at the files of git, npm, cargo, pip, curl and Claude Code.
pub fn inspect(around: &Surroundings<'_>) -> Vec<Finding> {
    [variables_that_harm, git, npm, cargo, pip, curl, claude_code].iter().flat_map(|look| look(around)).collect()
}

impl Surroundings<'_> {
    fn variable(&self, name: &str) -> Option<&OsStr> {
        self.inherited.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// The folder that a variable names, or this one in the user's folder.
    fn folder(&self, variable: &str, otherwise: &str) -> PathBuf {
        self.variable(variable).map_or_else(|| self.home.join(otherwise), PathBuf::from)
    }
}

/// The texts of those files that are there and can be read.
fn texts(paths: impl IntoIterator<Item = PathBuf>) -> Vec<(String, String)> {
    let mut seen = BTreeSet::new();
    let resolved = paths.into_iter().filter_map(|path| Some((path.canonicalize().ok()?, path)));
    let fresh = resolved.filter(|(target, _)| seen.insert(target.clone()));
    let found = fresh.filter_map(|(target, path)| Some((path, read_bounded(&target, LARGEST_FILE).ok()?.0)));
    found.map(|(path, text)| (path.display().to_string(), String::from_utf8_lossy(&text).into_owned())).collect()
}

fn variables_that_harm(around: &Surroundings<'_>) -> Vec<Finding> {
    let off: fn(&str) -> bool = |value| matches!(value, "0" | "false");
    let any: fn(&str) -> bool = |_| true;
    let harmful = [
        ("NODE_TLS_REJECT_UNAUTHORIZED", off, UNVERIFIED),
        ("PYTHONHTTPSVERIFY", off, UNVERIFIED),
        ("npm_config_strict_ssl", off, UNVERIFIED),
        ("GIT_SSL_NO_VERIFY", any, UNVERIFIED),
        ("GIT_SSL_CAPATH", any, "makes git give up the system's roots"),
        ("GIT_CONFIG_PARAMETERS", (|value| value.contains("http.proxy")) as fn(&str) -> bool, PAST_THE_PROXY),
    ];
    let is_set = |name, harms: fn(&str) -> bool| around.variable(name).is_some_and(|v| harms(&v.to_string_lossy()));
    let found = harmful.into_iter().filter(|(name, harms, _)| is_set(name, *harms));
    let finding = |(name, _, problem): (&str, _, _)| Finding {
        place: "the environment".to_owned(),
        setting: name.to_owned(),
        problem,
        fix: format!("run `unset {name}`"),
    };
    found.map(finding).collect()
}

fn git(around: &Surroundings<'_>) -> Vec<Finding> {
    let global = around.folder("GIT_CONFIG_GLOBAL", ".gitconfig");
    let shared = around.folder("XDG_CONFIG_HOME", ".config").join("git/config");
    let files = [PathBuf::from("/etc/gitconfig"), shared, global, around.project.join(".git/config")];
    let mut findings = Vec::new();
    for (place, text) in texts(files) {
        for setting in settings(&text) {
            let problem = match (setting.section_kind(), setting.name.as_str()) {
                ("http" | "remote", "proxy") => PAST_THE_PROXY,
                ("http", "sslverify") if matches!(setting.value.as_str(), "false" | "0" | "no" | "off") => UNVERIFIED,
                _ => continue,
            };
            let name = setting.dotted();
            let fix = format!("run `git config --file {place} --unset-all {name}`");
            findings.push(Finding { place: place.clone(), setting: name, problem, fix });
        }
    }
    findings
}

fn npm(around: &Surroundings<'_>) -> Vec<Finding> {
    let user = around.folder("npm_config_userconfig", ".npmrc");
    plain_settings([user, around.project.join(".npmrc")], |name, value| match name {
        "proxy" | "https-proxy" | "http-proxy" if value != "null" => Some(PAST_THE_PROXY),
        "strict-ssl" if value == "false" => Some(UNVERIFIED),
        "ca" | "ca[]" => Some(OTHER_ROOTS),
        _ => None,
    })
}

fn pip(around: &Surroundings<'_>) -> Vec<Finding> {
    let shared = around.folder("XDG_CONFIG_HOME", ".config").join("pip/pip.conf");
    let files = [shared, around.home.join(".pip/pip.conf"), PathBuf::from("/etc/pip.conf")];
    plain_settings(files, |name, _| match name {
        "proxy" => Some(PAST_THE_PROXY),
        "trusted-host" => Some(UNVERIFIED),
        _ => None,
    })
}

fn curl(around: &Surroundings<'_>) -> Vec<Finding> {
    let folder = around.folder("CURL_HOME", "");
    let shared = around.folder("XDG_CONFIG_HOME", ".config").join("curlrc");
    plain_settings([folder.join(".curlrc"), shared], |name, _| match name.trim_start_matches('-') {
        "proxy" | "x" | "noproxy" | "preproxy" => Some(PAST_THE_PROXY),
        "cacert" | "capath" => Some(OTHER_ROOTS),
        "insecure" | "k" => Some(UNVERIFIED),
        _ => None,
    })
}

/// Files of one setting a line, judged by name and value; sections do not matter.
fn plain_settings(
    files: impl IntoIterator<Item = PathBuf>,
    judge: impl Fn(&str, &str) -> Option<&'static str>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (place, text) in texts(files) {
        for setting in settings(&text) {
            if let Some(problem) = judge(&setting.name, &setting.value) {
                let fix = format!("take the line with `{}` out of `{place}`", setting.name);
                findings.push(Finding { place: place.clone(), setting: setting.name, problem, fix });
            }
        }
    }
    findings
}

fn cargo(around: &Surroundings<'_>) -> Vec<Finding> {
    let user = around.folder("CARGO_HOME", ".cargo");
    let folders = around.project.ancestors().map(|folder| folder.join(".cargo")).chain([user]);
    let files = folders.flat_map(|folder| [folder.join("config.toml"), folder.join("config")]);
    let mut findings = Vec::new();
    for (place, text) in texts(files) {
        let Ok(file) = text.parse::<toml::Table>() else { continue };
        if file.get("http").is_some_and(|http| http.get("proxy").is_some()) {
            let fix = format!("take `proxy` out of `[http]` in `{place}`");
            findings.push(Finding { place, setting: "http.proxy".to_owned(), problem: PAST_THE_PROXY, fix });
        }
    }
    findings
}

fn claude_code(around: &Surroundings<'_>) -> Vec<Finding> {
    let own = around.folder("CLAUDE_CONFIG_DIR", ".claude").join("settings.json");
    let project = around.project.join(".claude");
    let files = [own, project.join("settings.json"), project.join("settings.local.json")];
    let ours: BTreeSet<&str> = variables().iter().flat_map(|variable| &variable.names).map(String::as_str).collect();
    let mut findings = Vec::new();
    for (place, text) in texts(files) {
        let Ok(file) = serde_json::from_str::<serde_json::Value>(&text) else { continue };
        let names = file.get("env").and_then(serde_json::Value::as_object).into_iter().flat_map(|env| env.keys());
        for name in names.filter(|name| ours.contains(name.as_str())) {
            let is_proxy = name.to_ascii_lowercase().ends_with("_proxy");
            findings.push(Finding {
                place: place.clone(),
                setting: format!("env.{name}"),
                problem: if is_proxy { PAST_THE_PROXY } else { OTHER_ROOTS },
                fix: format!("take `{name}` out of `env` in `{place}`"),
            });
        }
    }
    findings
}
