//! Sessions: what one `secrets exec` opens. A client id, a project, its own way into the proxy, and an end.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use super::guesses::Guesses;
use crate::{
    base::{
        ClientId, CutReason, CutSwitch, CutWatch, Environment, LeaseId, SecretName, SessionId, constant_time_eq, hex,
        random,
    },
    policy::Narrow,
};

/// One session.
pub struct Session {
    id: SessionId,
    client: ClientId,
    project: Option<PathBuf>,
    narrow: Vec<Narrow>,
    environment: Option<Environment>,
    opener: Option<i32>,
    raw: Vec<SecretName>,
    user: String,
    password: String,
    ended: CutSwitch,
    tunnels: Tunnels,
    guesses: Guesses,
    variables: Mutex<HashMap<LeaseId, Vec<String>>>,
}

/// What a session begins with besides its client.
#[derive(Clone, Debug, Default)]
pub struct Around {
    /// The folder of the project; grants may be for some projects only.
    pub project: Option<PathBuf>,
    /// What the project gives up, and whoever opens it.
    pub narrow: Vec<Narrow>,
    /// What it works on; grants may be for some environments only.
    pub environment: Option<Environment>,
    /// The process that opens it, as the kernel names it.
    pub opener: Option<i32>,
    /// The secrets whose values its program gets as they are.
    pub raw: Vec<SecretName>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({})", self.id)
    }
}

impl Session {
    /// Its public id.
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// The client that it is recorded under.
    pub const fn client(&self) -> &ClientId {
        &self.client
    }

    /// The folder that the command was started in.
    pub fn project(&self) -> Option<&std::path::Path> {
        self.project.as_deref()
    }

    /// What its project gives up, and whoever opened it, as it was when the session began.
    pub fn narrow(&self) -> &[Narrow] {
        &self.narrow
    }

    /// What it works on, if that was said.
    pub const fn environment(&self) -> Option<&Environment> {
        self.environment.as_ref()
    }

    /// The process that opened it, as the kernel named it.
    pub const fn opener(&self) -> Option<i32> {
        self.opener
    }

    /// Whether it was opened with the raw value of this secret.
    pub fn has_raw(&self, secret: &SecretName) -> bool {
        self.raw.contains(secret)
    }

    /// Notes in which variables its program finds a lease's token.
    pub fn note_variables(&self, lease: LeaseId, variables: &[String]) {
        let mut all = self.variables.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(lease, variables.to_vec());
    }

    /// The variables that hold a lease's token, where it was opened with that lease.
    pub(super) fn variables_of(&self, lease: LeaseId) -> Option<Vec<String>> {
        self.variables.lock().unwrap_or_else(PoisonError::into_inner).get(&lease).cloned()
    }

    /// The user name and password for a proxy URL; both of `[0-9a-f]`.
    pub fn proxy_credentials(&self) -> (&str, &str) {
        (&self.user, &self.password)
    }

    /// Fires when the session ends.
    pub fn watch(&self) -> CutWatch {
        self.ended.watch()
    }

    /// What cuts the session's tunnels.
    pub const fn tunnels(&self) -> &Tunnels {
        &self.tunnels
    }

    pub(super) const fn guesses(&self) -> &Guesses {
        &self.guesses
    }
}

/// The tunnels of one way in: cut together, and usable again afterwards.
#[derive(Debug, Default)]
pub struct Tunnels(Mutex<CutSwitch>);

impl Tunnels {
    /// A watch for a tunnel that opens now.
    pub fn watch(&self) -> CutWatch {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).watch()
    }

    /// Cuts every tunnel that is open.
    pub fn cut(&self, reason: CutReason) {
        let old = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        old.cut(reason);
    }
}

/// All live sessions.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<SessionId, Arc<Session>>>);

impl Sessions {
    pub(super) fn open(&self, client: ClientId, around: Around) -> Arc<Session> {
        let Around { project, narrow, environment, opener, raw } = around;
        let session = Arc::new(Session {
            id: SessionId::generate(),
            client,
            project,
            narrow,
            environment,
            opener,
            raw,
            user: hex(&random::<8>()),
            password: hex(&random::<16>()),
            ended: CutSwitch::new(),
            tunnels: Tunnels::default(),
            guesses: Guesses::default(),
            variables: Mutex::default(),
        });
        self.lock().insert(session.id, Arc::clone(&session));
        session
    }

    pub(super) fn close(&self, id: SessionId, reason: CutReason) -> Option<Arc<Session>> {
        let session = self.lock().remove(&id)?;
        session.ended.cut(reason);
        session.tunnels.cut(reason);
        Some(session)
    }

    pub(super) fn get(&self, id: SessionId) -> Option<Arc<Session>> {
        self.lock().get(&id).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<Session>> {
        self.lock().values().cloned().collect()
    }

    /// The session that these proxy credentials open.
    pub(super) fn by_credentials(&self, user: &[u8], password: &[u8]) -> Option<Arc<Session>> {
        let sessions = self.lock();
        let session = sessions.values().find(|session| session.user.as_bytes() == user)?;
        constant_time_eq(session.password.as_bytes(), password).then(|| Arc::clone(session))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<SessionId, Arc<Session>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn closing_a_session_cuts_its_tunnels_and_forgets_its_credentials() {
        let sessions = Sessions::default();
        let session = sessions.open("agent".parse().unwrap(), Around::default());
        let (user, password) = session.proxy_credentials();
        assert!(sessions.by_credentials(user.as_bytes(), password.as_bytes()).is_some());
        assert!(sessions.by_credentials(user.as_bytes(), b"guess").is_none());
        let tunnel = session.tunnels().watch();
        sessions.close(session.id(), CutReason::SessionEnded).unwrap();
        assert_eq!(tunnel.wait().await, CutReason::SessionEnded);
        assert!(sessions.by_credentials(user.as_bytes(), password.as_bytes()).is_none());
    }

    #[tokio::test]
    async fn tunnels_that_open_after_a_cut_live() {
        let tunnels = Tunnels::default();
        let before = tunnels.watch();
        tunnels.cut(CutReason::Revoked);
        assert_eq!(before.reason(), Some(CutReason::Revoked));
        assert_eq!(tunnels.watch().reason(), None);
    }
}
