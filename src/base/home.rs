//! Every path on disk, derived from one home folder (`~/.agent-secrets` unless told otherwise).

use std::path::{Path, PathBuf};

/// The home folder and the paths in it; the layout of agent-secrets plus our own files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home(PathBuf);

impl Home {
    /// The variable that moves the home folder.
    pub const VARIABLE: &str = "AGENT_SECRETS_HOME";

    /// A home at this folder.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
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

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// The age identity that opens the store.
    pub fn identity(&self) -> PathBuf {
        self.0.join("identity.age")
    }

    /// The store.
    pub fn store(&self) -> PathBuf {
        self.0.join("secrets.age")
    }

    /// The lock that one daemon holds.
    pub fn daemon_lock(&self) -> PathBuf {
        self.0.join("daemon.lock")
    }

    /// Sealed live leases.
    pub fn leases(&self) -> PathBuf {
        self.0.join("leases.age")
    }

    /// The audit log.
    pub fn audit(&self) -> PathBuf {
        self.0.join("audit.log")
    }

    /// Settings as people write them.
    pub fn config(&self) -> PathBuf {
        self.0.join("config.toml")
    }

    /// The user's own services and grants.
    pub fn policies(&self) -> PathBuf {
        self.0.join("policies")
    }

    /// The control socket.
    pub fn socket(&self) -> PathBuf {
        self.0.join("agent-secrets.sock")
    }

    /// The certificate authority: public certificate, sealed key.
    pub fn ca(&self) -> PathBuf {
        self.0.join("ca")
    }

    /// Files that clients are pointed at: bundles, trust stores, the node preload. Stable, so that they outlive a session.
    pub fn support(&self) -> PathBuf {
        self.0.join("support")
    }

    /// What a daemon that started itself says on stderr.
    pub fn daemon_log(&self) -> PathBuf {
        self.0.join("daemon.log")
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
}
