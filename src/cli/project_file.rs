//! `.secrets.json`: which secrets a project wants under which names. It holds no values and gives no rights.

use std::{
    collections::BTreeSet,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{exit::ExitStatus, report::Report};
use crate::base::{ClientId, SecretName, TimeToLive, read_bounded};

/// The file's name, looked for from the caller's folder upwards.
const NAME: &str = ".secrets.json";
/// The largest that is read.
const MAX_LEN: u64 = 1024 * 1024;

/// A project's wishes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ProjectFile {
    /// Where the file stands; relative outputs go here.
    pub(super) folder: PathBuf,
    pub(super) secrets: Vec<Wish>,
    pub(super) client_id: Option<ClientId>,
    pub(super) ttl: Option<TimeToLive>,
    /// Where `secrets env` writes to.
    pub(super) env_file: PathBuf,
}

/// One secret that a project wants.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Wish {
    pub(super) name: SecretName,
    pub(super) env_var: String,
    #[serde(default)]
    pub(super) ttl: Option<TimeToLive>,
}

#[derive(Deserialize)]
struct Shape {
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    secrets: Vec<Wish>,
    #[serde(default)]
    client_id: Option<ClientId>,
    #[serde(default)]
    ttl: Option<TimeToLive>,
    #[serde(default)]
    env_file: Option<PathBuf>,
}

impl ProjectFile {
    /// The nearest project file at or above a folder; `None` when there is none.
    pub(super) fn find(from: &Path) -> Result<Option<Self>, Report> {
        for folder in from.ancestors() {
            let path = folder.join(NAME);
            match read_bounded(&path, MAX_LEN) {
                Err(error) if error.is_missing() => {}
                Err(error) => return Err(error.into()),
                Ok((content, metadata)) => {
                    let own = rustix::process::geteuid().as_raw();
                    if ![own, 0].contains(&metadata.uid()) {
                        return Err(unusable(&path, "it belongs to another user"));
                    }
                    return Self::parse(folder, &content).map(Some);
                }
            }
        }
        Ok(None)
    }

    fn parse(folder: &Path, content: &[u8]) -> Result<Self, Report> {
        let path = folder.join(NAME);
        let shape: Shape = serde_json::from_slice(content).map_err(|error| unusable(&path, &error.to_string()))?;
        if let Some(source) = shape.source {
            return Err(unusable(&path, &format!("the source `{source}` is not supported; list `secrets` instead")));
        }
        if shape.secrets.is_empty() {
            return Err(unusable(&path, "it lists no `secrets`"));
        }
        let mut seen = BTreeSet::new();
        for wish in &shape.secrets {
            check_variable(&wish.env_var).map_err(|why| unusable(&path, &why))?;
            if !seen.insert(wish.env_var.as_str()) {
                return Err(unusable(&path, &format!("`{}` is named twice as `env_var`", wish.env_var)));
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
            secrets: shape.secrets,
            client_id: shape.client_id,
            ttl: shape.ttl,
            env_file: folder.join(shape.env_file.unwrap_or_else(|| PathBuf::from(".env"))),
        })
    }

    /// What a project could look like; the fix when there is none.
    pub(super) fn example(secret: &str) -> String {
        format!(r#"printf '{{"secrets":[{{"name":"{secret}","env_var":"API_KEY"}}]}}' > {NAME}"#)
    }
}

/// Whether a text can name a variable: letters, digits and `_`, no digit first.
pub(super) fn check_variable(name: &str) -> Result<(), String> {
    let usable = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if usable { Ok(()) } else { Err(format!("`{}` is not a name for a variable", name.escape_default())) }
}

fn unusable(path: &Path, why: &str) -> Report {
    let fix = format!("${{EDITOR:-vi}} {}", super::sanitize::shell_word(&path.to_string_lossy()));
    Report::new(ExitStatus::Data, format!("`{}` cannot be used: {why}", path.display()), fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<ProjectFile, Report> {
        ProjectFile::parse(Path::new("/p"), json.as_bytes())
    }

    #[test]
    fn the_store_shape_of_agent_secrets_is_read() {
        let file = parse(
            r#"{"secrets":[{"name":"openai_key","env_var":"OPENAI_API_KEY","ttl":"30m"}],"client_id":"ci","ttl":"2h"}"#,
        )
        .unwrap();
        assert_eq!(file.secrets[0].env_var, "OPENAI_API_KEY");
        assert_eq!(file.secrets[0].ttl, "30m".parse().ok());
        assert_eq!(file.env_file, Path::new("/p/.env"));
        assert_eq!(file.client_id.unwrap().as_str(), "ci");
    }

    #[test]
    fn what_cannot_be_used_says_which_file_and_why() {
        for (json, why) in [
            ("{", "line 1"),
            ("{}", "lists no"),
            (r#"{"source":"vercel","ttl":"1h"}"#, "`vercel` is not supported"),
            (r#"{"secrets":[{"name":"a","env_var":"A"},{"name":"b","env_var":"A"}]}"#, "`A` is named twice"),
            (r#"{"secrets":[{"name":"a","env_var":"LD PRELOAD"}]}"#, "not a name for a variable"),
            (r#"{"secrets":[{"name":"a","env_var":"A","ttl":"soon"}]}"#, "not a duration"),
        ] {
            let report = parse(json).unwrap_err();
            assert!(report.message.contains("/p/.secrets.json") && report.message.contains(why), "{}", report.message);
        }
    }

    #[test]
    fn the_nearest_file_upwards_is_found() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("a/b");
        std::fs::create_dir_all(&deep).unwrap();
        assert_eq!(ProjectFile::find(&deep).unwrap(), None);
        std::fs::write(root.path().join(NAME), r#"{"secrets":[{"name":"x","env_var":"X"}]}"#).unwrap();
        assert_eq!(ProjectFile::find(&deep).unwrap().unwrap().folder, root.path());
    }
}
