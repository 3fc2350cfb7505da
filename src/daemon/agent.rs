//! What a process inside a session may ask for over the control socket.
//!
//! Invariant: it gets lease tokens of what the session's grants name, bound to the session and to its client, and no raw
//! value but of secrets that the session was opened with raw; it changes nothing that outlives the session. Whatever it
//! asks for beyond that is recorded.

use std::sync::Arc;

use super::{
    policy_calls::variables,
    service::{Desk, Outcome, whole},
    translate::failure,
};
use crate::{
    audit,
    base::{SecretName, SessionId},
    broker::{Asked, Session},
    control::{self, Call, Failure, FailureCode},
};

impl Desk {
    /// The answer to an agent's call; `None` where it is the same as an operator's. The session is known only while it
    /// lives.
    pub(super) fn agent_call(&self, call: &Call, session: Option<SessionId>) -> Option<Outcome> {
        let session = session.and_then(|id| self.broker.session(id));
        match (call, &session) {
            (
                Call::ListSecrets(_)
                | Call::StatusQuery(_)
                | Call::Ping(_)
                | Call::ShowCa(_)
                | Call::ListPolicy(_)
                | Call::GetSecret(_)
                | Call::FlushAudit(_)
                | Call::HealthQuery(_)
                | Call::Note(control::Note::Scan { .. }),
                _,
            )
            | (Call::ExplainPolicy(_), None) => None,
            (Call::Revoke(control::Revoke::Session(id)), Some(session)) if *id == session.id() => None,
            (Call::RevokeLease(revoke), Some(session)) if self.holds(session, revoke) => None,
            (Call::ExplainPolicy(explain), Some(session)) => Some(self.explain_to(session, explain)),
            (Call::CheckProject(check), Some(session)) => {
                let environment = session.environment().cloned();
                Some(self.check_project(&control::CheckProject { environment, tokens_of: Vec::new(), ..check.clone() }))
            }
            (Call::LeaseToken(lease), Some(session)) => Some(self.agent_token(session, lease)),
            (Call::LeaseSecret(lease), Some(session)) if session.has_raw(&lease.secret_name) => {
                Some(self.agent_reveal(session, lease))
            }
            _ => Some(Err(self.refuse_agent(call, session.as_ref()))),
        }
    }

    fn holds(&self, session: &Session, revoke: &control::RevokeLease) -> bool {
        let lease = revoke.lease_id.parse().ok().and_then(|id| self.broker.leases().get(&id));
        lease.is_some_and(|lease| lease.session == Some(session.id()))
    }

    /// For whom it asks is the session's to say, whatever it wrote.
    fn agent_token(&self, session: &Session, lease: &control::LeaseToken) -> Outcome {
        let asked = Asked { ttl: lease.ttl, environment: lease.environment.as_ref(), less: &lease.narrow_to };
        let issued = self.broker.issue_agent_token(&lease.secret_name, session, &asked).map_err(failure)?;
        Ok(control::TokenLeased {
            lease_id: issued.lease.id,
            token: (&issued.token).into(),
            expires_at: issued.lease.deadline.wall(),
            ttl: Some(whole(&issued.lease)),
            replaces: issued.replaced,
            client_id: Some(session.client().clone()),
            env: variables(issued.env, &lease.secret_name),
            beside: issued.beside,
            hosts: issued.hosts,
        }
        .into())
    }

    fn agent_reveal(&self, session: &Session, lease: &control::LeaseSecret) -> Outcome {
        let revealed =
            self.broker.reveal(&lease.secret_name, session.client(), Some(session), lease.ttl).map_err(failure)?;
        Ok(control::Leased {
            lease_id: revealed.lease.id,
            value: control::WireValue::new(revealed.value),
            expires_at: revealed.lease.deadline.wall(),
            ttl: Some(whole(&revealed.lease)),
        }
        .into())
    }

    fn refuse_agent(&self, call: &Call, session: Option<&Arc<Session>>) -> Failure {
        let message = format!("`{}` is not for processes inside a session of `secrets exec`", call.method());
        let mut event = audit::Event::new(audit::Action::CallRefused).details(call.method()).error(&message);
        if let Some(session) = session {
            event = event.session(session.id()).client(session.client());
        }
        if let Some(secret) = secret_of(call) {
            event = event.secret(secret);
        }
        self.broker.audit().append_lazily(&event.outcome(audit::Outcome::Refused));
        Failure::new(FailureCode::Unauthorized, message).with_fix("secrets status")
    }
}

/// Which secret a call is about.
const fn secret_of(call: &Call) -> Option<&SecretName> {
    match call {
        Call::AddSecret(add) => Some(&add.name),
        Call::DeleteSecret(delete) => Some(&delete.name),
        Call::LeaseSecret(lease) => Some(&lease.secret_name),
        Call::LeaseToken(lease) => Some(&lease.secret_name),
        Call::Revoke(control::Revoke::Secret(name)) => Some(name),
        Call::RotateSecret(rotate) => Some(&rotate.secret_name),
        Call::UpdateSecret(update) => Some(&update.name),
        _ => None,
    }
}
