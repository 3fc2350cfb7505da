//! Settings of other programs that win over the variables of a session, found before they surprise.

use std::path::Path;

use crate::{base::read_bounded, cli::sanitize::shell_word};

/// One setting that beats a variable.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// Where and what, such as `~/.gitconfig sets http.proxy`.
    pub(super) what: String,
    /// The command that removes it.
    pub(super) fix: String,
}

/// The largest settings file that is looked at.
const MAX_LEN: u64 = 1024 * 1024;

/// Looks into the user's and the project's own files.
pub(super) fn find(user: &Path, project: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    for path in [user.join(".gitconfig"), user.join(".config/git/config"), project.join(".git/config")] {
        findings.extend(look(&path, git));
    }
    for path in [user.join(".npmrc"), project.join(".npmrc")] {
        findings.extend(look(&path, npm));
    }
    for path in [user.join(".cargo/config.toml"), project.join(".cargo/config.toml")] {
        findings.extend(look(&path, cargo));
    }
    for path in [user.join(".claude/settings.json"), project.join(".claude/settings.json")] {
        findings.extend(look(&path, claude));
    }
    let mut seen = Vec::with_capacity(findings.len());
    for finding in findings {
        if !seen.contains(&finding) {
            seen.push(finding); // in the user's own folder the project's files are the user's
        }
    }
    seen
}

fn look(path: &Path, keys: fn(&str) -> Vec<String>) -> Vec<Finding> {
    // A file that is not there, or not to be read, cannot beat anything that we could name.
    let Ok((content, _)) = read_bounded(path, MAX_LEN) else { return vec![] };
    let found = keys(&String::from_utf8_lossy(&content));
    let fix = format!("${{EDITOR:-vi}} {}", shell_word(&path.to_string_lossy()));
    found
        .into_iter()
        .map(|key| Finding { what: format!("`{}` sets {key}", path.display()), fix: fix.clone() })
        .collect()
}

/// `[http] proxy`, `[http "https://…"] proxy`, `sslCAInfo`, `sslVerify`.
fn git(content: &str) -> Vec<String> {
    let mut section = String::new();
    let mut found = Vec::new();
    for line in content.lines().map(str::trim) {
        if let Some(heading) = line.strip_prefix('[') {
            section = heading.split([']', ' ']).next().unwrap_or("").to_lowercase();
        }
        let key = line.split('=').next().unwrap_or("").trim().to_lowercase();
        if section == "http" && matches!(key.as_str(), "proxy" | "sslcainfo" | "sslverify" | "sslcapath") {
            found.push(format!("http.{key}"));
        }
    }
    found
}

fn npm(content: &str) -> Vec<String> {
    let keys = content.lines().filter_map(|line| line.split_once('=')).map(|(key, _)| key.trim().to_lowercase());
    keys.filter(|key| matches!(key.as_str(), "proxy" | "https-proxy" | "cafile" | "ca" | "ca[]" | "strict-ssl"))
        .collect()
}

fn cargo(content: &str) -> Vec<String> {
    let Ok(table) = toml::from_str::<toml::Table>(content) else { return vec![] };
    let Some(http) = table.get("http").and_then(toml::Value::as_table) else { return vec![] };
    ["proxy", "cainfo"].into_iter().filter(|key| http.contains_key(*key)).map(|key| format!("http.{key}")).collect()
}

fn claude(content: &str) -> Vec<String> {
    let Ok(value) = serde_json::from_str::<serde_json::Value>(content) else { return vec![] };
    let Some(variables) = value.get("env").and_then(serde_json::Value::as_object) else { return vec![] };
    let beaten = |name: &&String| {
        let name = name.to_uppercase();
        name.ends_with("_PROXY") || matches!(name.as_str(), "NODE_EXTRA_CA_CERTS" | "SSL_CERT_FILE")
    };
    variables.keys().filter(beaten).map(|name| format!("env.{name}")).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn settings_that_beat_variables_are_found_and_others_are_not() {
        let (user, project) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let write = |path: PathBuf, content: &str| {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        };
        write(
            user.path().join(".gitconfig"),
            "[user]\nname = x\nproxy = no\n[http \"https://x\"]\n\tProxy = http://p\n",
        );
        write(user.path().join(".npmrc"), "registry=https://r\nhttps-proxy=http://p\n");
        write(project.path().join(".cargo/config.toml"), "[http]\ncainfo = 'x'\n[net]\nretry = 2\n");
        write(user.path().join(".claude/settings.json"), r#"{"env":{"https_proxy":"x","FOO":"1"}}"#);
        write(project.path().join(".claude/settings.json"), "not json");
        let found = find(user.path(), project.path());
        let keys: Vec<_> = found.iter().filter_map(|f| f.what.rsplit(' ').next()).collect();
        assert_eq!(keys, ["http.proxy", "https-proxy", "http.cainfo", "env.https_proxy"]);
        assert_eq!(find(user.path(), user.path()).len(), 3, "each once");
    }
}
