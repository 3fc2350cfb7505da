//! `session.open`: a client id, leases, a way into the proxy, and an end that comes with the connection's.

use std::{path::PathBuf, sync::Arc};

use super::{
    authority::Agents,
    manifests,
    policy_calls::variables,
    service::{Desk, Outcome},
    translate::failure,
};
use crate::{
    base::{ClientId, CutReason, Origin, ServiceId, SessionId, blocking},
    broker::{self, Asked, Broker, Session},
    control::{self, Connection, Failure, FailureCode, Peer, SessionLease, SessionSecret, SessionValue, WireToken},
    policy::{self, UnknownHost},
};

/// Ends its session when the connection that opened it goes away, however it goes.
struct SessionGuard {
    broker: Arc<Broker>,
    agents: Arc<Agents>,
    session: SessionId,
    folder: PathBuf,
}

impl Drop for SessionGuard {
    fn drop(&mut self) {
        self.agents.look(&self.broker); // while the session is there to be looked below
        self.broker.end_session(self.session, CutReason::SessionEnded);
        blocking(|| manifests::remove(&self.folder));
    }
}

impl Desk {
    pub(super) async fn open_session(
        &self,
        peer: &Peer,
        connection: &Connection,
        open: control::OpenSession,
    ) -> Outcome {
        let mut around = self.around_with(&open.project_dir, open.narrow.as_deref(), open.environment.as_ref())?;
        around.opener = peer.pid;
        around.raw = open.raw.iter().map(|wanted| wanted.name.clone()).collect();
        around.narrow.extend(self.given_up(&open)?);
        let client = open.client_id.map_or_else(|| default_client(peer), Ok)?;
        let session = self.broker.open_session(client, around).map_err(failure)?;
        // From here on every way out ends the session.
        connection.hold(SessionGuard {
            broker: Arc::clone(&self.broker),
            agents: Arc::clone(&self.agents),
            session: session.id(),
            folder: manifests::folder(&self.home, session.id()),
        });
        let mut hosts = Vec::new();
        let (given, others): (Vec<_>, Vec<_>) = open
            .secrets
            .into_iter()
            .partition(|wanted| !open.granted_only || self.broker.gives(&wanted.name, &session));
        let mut leases = Vec::with_capacity(given.len());
        // Where none is given, the first says why.
        for wanted in if given.is_empty() { others } else { given } {
            leases.push(self.session_lease(&session, wanted, &mut hosts)?);
        }
        let values = open.raw.into_iter().map(|wanted| self.session_value(&session, wanted));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        let address = self
            .proxy
            .listen_for(Arc::clone(&session))
            .await
            .map_err(|error| Failure::new(FailureCode::Io, error.to_string()))?;
        let manifest = manifests::write(&self.home, &self.broker, &session)?;
        let (user, password) = session.proxy_credentials();
        let policy = self.broker.policy();
        let wants_proof = policy.unknown_host() == UnknownHost::Ask || policy.wants_sessions();
        Ok(control::SessionOpened {
            session_id: session.id(),
            mark: self.agents.mark(session.id()),
            proxy_port: address.port(),
            proxy_user: user.to_owned(),
            proxy_password: WireToken::new(password.to_owned()),
            wants_proof,
            root_pem: self.ca.certificate_pem().to_owned(),
            manifest: Some(manifest),
            support_folder: self.home.support(),
            secret_hosts: hosts,
            leases,
            values,
        }
        .into())
    }

    /// What whoever opens the session gives up. A value that is handed out cannot be narrowed.
    fn given_up(&self, open: &control::OpenSession) -> Result<Vec<policy::Narrow>, Failure> {
        if open.narrow_to.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(raw) = open.raw.first() {
            let message = format!("`{}` would be handed out as it is, and a value cannot be narrowed", raw.name);
            return Err(Failure::new(FailureCode::InvalidParams, message).with_fix("secrets exec --help"));
        }
        let mut services: Vec<ServiceId> = Vec::new();
        for wanted in &open.secrets {
            let record = self.broker.store().get(&wanted.name);
            let binding = record.as_ref().and_then(|record| record.binding.as_ref());
            services.extend(binding.map(|binding| binding.service.clone()).filter(|id| !services.contains(id)));
        }
        let policy = self.broker.policy();
        policy
            .narrows(policy::Layer::Session, &open.narrow_to, &services)
            .map_err(|error| failure(broker::Error::NotLess(error)))
    }

    fn session_lease(
        &self,
        session: &Session,
        wanted: SessionSecret,
        hosts: &mut Vec<String>,
    ) -> Result<SessionLease, Failure> {
        let asked = Asked { ttl: wanted.ttl, ..Asked::default() };
        let issued = self.broker.issue_token(&wanted.name, session.client(), Some(session), &asked).map_err(failure)?;
        let origins = issued.hosts.iter().filter_map(|origin| origin.parse::<Origin>().ok());
        hosts.extend(origins.map(|origin| origin.authority.host.to_string()));
        let usual = variables(issued.env, &wanted.name);
        let env = wanted.env_var.map_or(usual, |var| vec![var]);
        session.note_variables(issued.lease.id, &env);
        Ok(SessionLease {
            secret: wanted.name,
            env,
            beside: issued.beside,
            token: (&issued.token).into(),
            lease_id: issued.lease.id,
            expires_at: issued.lease.deadline.wall(),
            service: issued.lease.scope().map(|scope| scope.service.clone()),
        })
    }

    fn session_value(&self, session: &Session, wanted: SessionSecret) -> Result<SessionValue, Failure> {
        let revealed =
            self.broker.reveal(&wanted.name, session.client(), Some(session), wanted.ttl).map_err(failure)?;
        Ok(SessionValue {
            env: wanted.env_var.map_or_else(|| self.variables_of(&wanted.name), |var| vec![var]),
            secret: wanted.name,
            value: control::WireValue::new(revealed.value),
            lease_id: revealed.lease.id,
        })
    }

    /// Under which names programs look for a secret: those of its service, else its own in capitals.
    fn variables_of(&self, name: &crate::base::SecretName) -> Vec<String> {
        let policy = self.broker.policy();
        let record = self.broker.store().get(name);
        let binding = record.as_ref().and_then(|record| record.binding.as_ref());
        let service = binding.and_then(|binding| policy.service(&binding.service));
        let credential = service.zip(binding).and_then(|(service, binding)| service.credential(&binding.credential));
        let known: Vec<String> = credential.into_iter().flat_map(policy::Credential::env).map(str::to_owned).collect();
        variables(known, name)
    }
}

fn default_client(peer: &Peer) -> Result<ClientId, Failure> {
    format!("exec-{}", peer.pid.unwrap_or_default())
        .parse()
        .map_err(|error: crate::base::IdError| Failure::new(FailureCode::Internal, error.to_string()))
}
