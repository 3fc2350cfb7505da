//! Git repositories behind an origin: smart HTTP through `git http-backend`, with Basic authentication.

use std::{io, path::Path, process::Stdio, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Response, header, request::Parts};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt as _, process::Command};

use super::program::{Finished, Program};

/// Bare repositories in a temporary folder; clones share it, the last one deletes it.
#[derive(Clone, Debug)]
pub struct GitRepos(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: TempDir,
    user: String,
    password: String,
}

impl GitRepos {
    /// No repository yet; every request must bring this user and password.
    pub fn new(user: &str, password: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self(Arc::new(Inner { folder, user: user.to_owned(), password: password.to_owned() }))
    }

    /// Makes `NAME.git` with one commit on `main` that holds `README.md` with this text. Served as `/git/NAME.git`.
    pub fn create(&self, name: &str, readme: &str) {
        let bare = self.0.folder.path().join(format!("{name}.git"));
        let work = tempfile::tempdir().unwrap();
        let git = |args: &[&str]| drop(Self::run(work.path(), args).expect_success());
        git(&["init", "--quiet", "--bare", "--initial-branch=main", bare.to_str().unwrap()]);
        git(&["-C", bare.to_str().unwrap(), "config", "http.receivepack", "true"]);
        git(&["init", "--quiet", "--initial-branch=main"]);
        std::fs::write(work.path().join("README.md"), readme).unwrap();
        git(&["add", "README.md"]);
        git(&["commit", "--quiet", "--message=first"]);
        git(&["push", "--quiet", bare.to_str().unwrap(), "main"]);
    }

    /// A file's text at the head of `main` in the served repository.
    pub fn show(&self, name: &str, path: &str) -> String {
        let bare = self.0.folder.path().join(format!("{name}.git"));
        Self::run(&bare, &["show", &format!("main:{path}")]).expect_success().stdout
    }

    /// The refs of the served repository.
    pub fn list(&self, name: &str) -> Vec<String> {
        let bare = self.0.folder.path().join(format!("{name}.git"));
        let listed = Self::run(&bare, &["for-each-ref", "--format=%(refname)"]).expect_success();
        listed.stdout.lines().map(str::to_owned).collect()
    }

    /// Runs git in a folder, without the machine's and the user's settings.
    pub fn run(folder: &Path, args: &[&str]) -> Finished {
        Program::start(Self::command(folder).args(args)).finish()
    }

    /// Git in a folder, without the machine's and the user's settings, proxies and prompts; for more variables.
    pub fn command(folder: &Path) -> std::process::Command {
        let mut command = std::process::Command::new("git");
        command.current_dir(folder).env_clear();
        for kept in ["PATH", "LANG", "TMPDIR"] {
            if let Some(value) = std::env::var_os(kept) {
                command.env(kept, value);
            }
        }
        command.env("HOME", folder).env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
        command.env("GIT_TERMINAL_PROMPT", "0").env("GIT_AUTHOR_NAME", "A").env("GIT_AUTHOR_EMAIL", "a@example.test");
        command.env("GIT_COMMITTER_NAME", "A").env("GIT_COMMITTER_EMAIL", "a@example.test");
        command
    }

    /// Answers one request as the Common Gateway Interface (RFC 3875) asks.
    pub(super) async fn answer(
        &self,
        parts: &Parts,
        body: Bytes,
    ) -> io::Result<Response<UnsyncBoxBody<Bytes, io::Error>>> {
        let header = |name: header::HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let expected = format!("Basic {}", STANDARD.encode(format!("{}:{}", self.0.user, self.0.password)));
        if header(header::AUTHORIZATION) != Some(&expected) {
            let response = Response::builder().status(401).header(header::WWW_AUTHENTICATE, "Basic realm=\"git\"");
            return Ok(response.body(full("who are you?")).unwrap());
        }
        let path = parts.uri.path().strip_prefix("/git").unwrap_or_default();
        let mut command = Command::new("git");
        command.arg("http-backend").stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
        command.env("GIT_PROJECT_ROOT", self.0.folder.path()).env("GIT_HTTP_EXPORT_ALL", "1");
        command.env("PATH_INFO", path).env("REQUEST_METHOD", parts.method.as_str()).env("REMOTE_USER", &self.0.user);
        command.env("QUERY_STRING", parts.uri.query().unwrap_or_default());
        command.env("CONTENT_LENGTH", body.len().to_string());
        for (variable, name) in [
            ("CONTENT_TYPE", header::CONTENT_TYPE),
            ("HTTP_CONTENT_ENCODING", header::CONTENT_ENCODING),
            ("GIT_PROTOCOL", header::HeaderName::from_static("git-protocol")),
        ] {
            if let Some(value) = header(name) {
                command.env(variable, value);
            }
        }
        let mut child = command.spawn()?;
        let mut stdin = child.stdin.take().unwrap();
        let feed = async {
            let _ = stdin.write_all(&body).await; // it may answer without reading all
            drop(stdin);
        };
        let (output, ()) = tokio::join!(child.wait_with_output(), feed);
        Ok(from_cgi(&output?.stdout))
    }
}

/// Turns a script's output into an answer.
fn from_cgi(output: &[u8]) -> Response<UnsyncBoxBody<Bytes, io::Error>> {
    let end = memchr::memmem::find(output, b"\r\n\r\n").expect("`git http-backend` writes a head");
    let mut response = Response::builder();
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        let (name, value) = line.split_once(": ").unwrap();
        response = match name {
            "Status" => response.status(value.split(' ').next().unwrap()),
            _ => response.header(name, value),
        };
    }
    response.body(full(&output[end + 4..])).unwrap()
}

fn full(bytes: impl AsRef<[u8]>) -> UnsyncBoxBody<Bytes, io::Error> {
    Full::new(Bytes::copy_from_slice(bytes.as_ref())).map_err(|never| match never {}).boxed_unsync()
}
