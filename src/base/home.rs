//! Every path on disk, derived from one home folder (`~/.agent-secrets` unless told otherwise).

use std::path::{Path, PathBuf};

/// The home folder and the paths in it; the layout of agent-secrets plus our own files. Settings may move some of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    /// Where the settings are looked for.
    root: PathBuf,
    folder: PathBuf,
    moved: MovedFiles,
}

/// Files that do not stand in the home folder, under agent-secrets' names for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MovedFiles {
    /// `audit_path`
    pub audit: Option<PathBuf>,
    /// `identity_path`
    pub identity: Option<PathBuf>,
    /// `leases_path`; where agent-secrets keeps a plain `.json`, ours is sealed and ends in `.age` beside it.
    pub leases: Option<PathBuf>,
    /// `secrets_path`
    pub secrets: Option<PathBuf>,
    /// `socket_path`
    pub socket: Option<PathBuf>,
}

impl Home {
    /// The variable that moves the home folder.
    pub const VARIABLE: &str = "AGENT_SECRETS_HOME";

    /// A home at this folder.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        Self { root: folder.clone(), folder, moved: MovedFiles::default() }
    }

    /// The flag if given, else [`Home::VARIABLE`], else `.agent-secrets` in the user's own folder.
    /// `None` when there is no user folder either.
    pub fn find(flag: Option<&Path>) -> Option<Self> {
        if let Some(folder) = flag {
            return Some(Self::at(folder));
        }
        match std::env::var_os(Self::VARIABLE) {
            Some(folder) if !folder.is_empty() => Some(Self::at(folder)),
            _ => std::env::home_dir().map(|user| Self::at(user.join(".agent-secrets"))),
        }
    }

    /// The same home with everything in another folder, and these files elsewhere; settings stay where they were found.
    #[must_use]
    pub fn moved(self, folder: Option<PathBuf>, mut files: MovedFiles) -> Self {
        if let Some(leases) = files.leases.as_mut()
            && leases.extension().is_some_and(|ending| ending == "json")
        {
            leases.set_extension("age");
        }
        Self { root: self.root, folder: folder.unwrap_or(self.folder), moved: files }
    }

    /// The folder whose settings say where the rest is; the home folder itself unless they move it.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn file(&self, moved: Option<&PathBuf>, name: &str) -> PathBuf {
        moved.cloned().unwrap_or_else(|| self.folder.join(name))
    }

    /// The age identity that opens the store.
    pub fn identity(&self) -> PathBuf {
        self.file(self.moved.identity.as_ref(), "identity.age")
    }

    /// The store.
    pub fn store(&self) -> PathBuf {
        self.file(self.moved.secrets.as_ref(), "secrets.age")
    }

    /// The lock that one daemon holds.
    pub fn daemon_lock(&self) -> PathBuf {
        self.folder.join("daemon.lock")
    }

    /// Sealed live leases.
    pub fn leases(&self) -> PathBuf {
        self.file(self.moved.leases.as_ref(), "leases.age")
    }

    /// What limits have counted.
    pub fn limits(&self) -> PathBuf {
        self.folder.join("limits.json")
    }

    /// Whether the kill switch is tripped; readable without the identity, which it outlives.
    pub fn kill_state(&self) -> PathBuf {
        self.folder.join("kill.json")
    }

    /// The audit log.
    pub fn audit(&self) -> PathBuf {
        self.file(self.moved.audit.as_ref(), "audit.log")
    }

    /// The signed note of the audit log's newest line.
    pub fn audit_head(&self) -> PathBuf {
        self.folder.join("audit.head")
    }

    /// The sealed key that signs for the audit log.
    pub fn audit_key(&self) -> PathBuf {
        self.folder.join("audit.key.age")
    }

    /// Settings as people write them.
    pub fn config(&self) -> PathBuf {
        self.root.join("config.toml")
    }

    /// Settings as agent-secrets writes them; read when there are no others.
    pub fn legacy_config(&self) -> PathBuf {
        self.root.join("config.json")
    }

    /// The user's own services and grants.
    pub fn policies(&self) -> PathBuf {
        self.folder.join("policies")
    }

    /// The control socket.
    pub fn socket(&self) -> PathBuf {
        self.file(self.moved.socket.as_ref(), "agent-secrets.sock")
    }

    /// The certificate authority: public certificate, sealed key.
    pub fn ca(&self) -> PathBuf {
        self.folder.join("ca")
    }

    /// What is written for sessions while they last, a folder for each.
    pub fn sessions(&self) -> PathBuf {
        self.folder.join("sessions")
    }

    /// Files that clients are pointed at: bundles, trust stores, the node preload. Stable, so that they outlive a session.
    pub fn support(&self) -> PathBuf {
        self.folder.join("support")
    }

    /// The port of the main listener in the last run.
    pub fn proxy_port(&self) -> PathBuf {
        self.folder.join("proxy.port")
    }

    /// What a daemon that started itself says on stderr.
    pub fn daemon_log(&self) -> PathBuf {
        self.folder.join("daemon.log")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_wins() {
        let home = Home::find(Some(Path::new("/x"))).unwrap();
        assert_eq!(home.socket(), Path::new("/x/agent-secrets.sock"));
    }

    #[test]
    fn settings_move_the_folder_and_single_files() {
        let files = MovedFiles {
            leases: Some("/var/l/leases.json".into()),
            socket: Some("/run/s.sock".into()),
            ..MovedFiles::default()
        };
        let home = Home::at("/x").moved(Some("/y".into()), files);
        assert_eq!(home.config(), Path::new("/x/config.toml"), "settings stay where they were found");
        assert_eq!((home.store(), home.socket()), ("/y/secrets.age".into(), "/run/s.sock".into()));
        assert_eq!(home.leases(), Path::new("/var/l/leases.age"), "a sealed file is not called JSON");
    }
}
