//! A person at a shell.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::Value;

/// What a line did.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Said {
    /// The line succeeded and said nothing on standard error: plugins take any word there for a failure.
    pub(crate) fn quiet(self) -> Self {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""), "{self:?}");
        self
    }

    /// The line ended with this code.
    pub(crate) fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    /// Standard output as an envelope, whose two flags must say the same.
    pub(crate) fn envelope(&self) -> Value {
        let envelope: Value = serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("{self:?}"));
        assert_eq!(envelope["ok"], envelope["success"], "{self:?}");
        assert_eq!(envelope["ok"], self.code == 0, "{self:?}");
        assert!(envelope["command"].as_str().unwrap().starts_with("secrets"), "{self:?}");
        assert!(envelope["next_actions"].is_array(), "{self:?}");
        if self.code != 0 {
            assert!(envelope["error"]["message"].is_string() && envelope["error"]["code"].is_string(), "{self:?}");
            assert!(!envelope["fix"].as_str().unwrap().is_empty(), "{self:?}");
        }
        envelope
    }

    /// The result of an envelope.
    pub(crate) fn result(&self) -> Value {
        self.envelope()["result"].clone()
    }
}

/// A user folder, a project folder, and the program on the path.
pub(crate) struct Shell {
    pub(crate) user: PathBuf,
    pub(crate) project: PathBuf,
    programs: PathBuf,
    _folder: tempfile::TempDir,
}

impl Shell {
    pub(crate) fn open() -> Self {
        let folder = crate::support::short_folder();
        let [user, project, programs] = ["user", "project", "bin"].map(|name| folder.path().join(name));
        for path in [&user, &project, &programs] {
            std::fs::create_dir(path).unwrap();
        }
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_secrets"), programs.join("secrets")).unwrap();
        Self { user, project, programs, _folder: folder }
    }

    /// The line as a command of its own, in the project's folder, with no terminal.
    pub(crate) fn command(&self, line: &str) -> Command {
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", line]).current_dir(&self.project).env_clear();
        command.env("HOME", &self.user).env("PATH", format!("{}:{path}", self.programs.display()));
        command.stdin(Stdio::null());
        command
    }

    /// Types a line and waits for its end.
    pub(crate) fn types(&self, line: &str) -> Said {
        let output = self.command(line).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// A file of the home.
    pub(crate) fn home(&self, name: &str) -> PathBuf {
        self.user.join(".agent-secrets").join(name)
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.types("secrets --no-autostart stop"); // there may be none
    }
}
