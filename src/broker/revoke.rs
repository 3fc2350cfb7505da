//! Taking rights back: one lease, all of a client, a secret or a session, or every one.
//!
//! Invariant: the cut comes first, then the record; a record that fails does not keep a lease alive. A lease that is
//! taken back or runs out takes along the tunnels of its session that are open then: what a tunnel carries cannot be
//! told apart by lease.

use std::sync::Arc;

use super::{Broker, Error};
use crate::{
    audit::{Action, Event},
    base::{ClientId, CutReason, LeaseId, Namespace, SecretName, SessionId, counted},
    lease::Lease,
};

impl Broker {
    /// Revokes one lease and cuts its live exchanges.
    pub fn revoke_lease(&self, id: &LeaseId) -> Result<Arc<Lease>, Error> {
        self.revoke_recorded(id, CutReason::Revoked)
    }

    /// Revokes every lease of a client; says how many.
    pub fn revoke_client(&self, client: &ClientId) -> Result<usize, Error> {
        self.revoke_each(|lease| lease.client == *client)
    }

    /// Revokes every lease of a secret; says how many.
    pub fn revoke_secret(&self, secret: &SecretName) -> Result<usize, Error> {
        self.record(secret)?; // a slip of the pen must not pass for a revocation
        self.revoke_leases_of(secret)
    }

    /// Revokes every lease of the secrets of a namespace; says how many. One that has neither secret nor lease is an error:
    /// a slip of the pen must not pass for a revocation.
    pub fn revoke_namespace(&self, namespace: &Namespace) -> Result<usize, Error> {
        let is_known = self.parts.store.list().iter().any(|record| namespace.contains(&record.name));
        let count = self.revoke_each(|lease| namespace.contains(&lease.secret))?;
        if is_known || count > 0 { Ok(count) } else { Err(Error::NamespaceUnknown(namespace.clone())) }
    }

    /// The same for a secret that may be gone.
    pub(super) fn revoke_leases_of(&self, secret: &SecretName) -> Result<usize, Error> {
        self.revoke_each(|lease| lease.secret == *secret)
    }

    /// Ends a session and its leases; says how many leases.
    pub fn revoke_session(&self, id: SessionId) -> Result<usize, Error> {
        self.session(id).ok_or(Error::SessionUnknown(id))?;
        let leases = self.parts.leases.list().iter().filter(|lease| lease.session == Some(id)).count();
        self.end_session(id, CutReason::Revoked);
        self.parts.audit.flush()?;
        Ok(leases)
    }

    /// Revokes every lease and cuts every exchange and tunnel; says how many leases.
    pub fn revoke_all(&self) -> Result<usize, Error> {
        let revoked = self.parts.leases.revoke_where(|_| true, CutReason::Revoked);
        self.cut_tunnels(CutReason::Revoked);
        for lease in &revoked {
            self.parts.audit.append_lazily(&Self::revoke_event(lease, CutReason::Revoked));
        }
        let details = counted(revoked.len() as u64, "lease");
        let event = Event::new(Action::RevokeAll).reason(CutReason::Revoked).details(&details);
        let recorded = self.parts.audit.append(&event);
        self.persist_all()?;
        recorded?;
        Ok(revoked.len())
    }

    fn revoke_each(&self, pick: impl Fn(&Lease) -> bool) -> Result<usize, Error> {
        let revoked = self.parts.leases.revoke_where(pick, CutReason::Revoked);
        self.cut_tunnels_of(&revoked, CutReason::Revoked);
        for lease in &revoked {
            self.parts.audit.append_lazily(&Self::revoke_event(lease, CutReason::Revoked));
        }
        let recorded = self.parts.audit.flush();
        self.persist_all()?;
        recorded?;
        Ok(revoked.len())
    }

    pub(super) fn revoke_recorded(&self, id: &LeaseId, reason: CutReason) -> Result<Arc<Lease>, Error> {
        let lease = self.parts.leases.revoke(id, reason).ok_or(Error::LeaseUnknown(*id))?;
        self.cut_tunnels_of(std::slice::from_ref(&lease), reason);
        let recorded = self.parts.audit.append(&Self::revoke_event(&lease, reason));
        self.persist(&lease)?;
        recorded?;
        Ok(lease)
    }

    /// Cuts the tunnels that are open in the sessions of these leases; later ones live.
    pub(super) fn cut_tunnels_of(&self, ended: &[Arc<Lease>], reason: CutReason) {
        for session in ended.iter().filter_map(|lease| self.session(lease.session?)) {
            session.tunnels().cut(reason);
        }
    }

    pub(super) fn revoke_event(lease: &Lease, reason: CutReason) -> Event<'_> {
        let event = Event::new(Action::LeaseRevoke).lease(lease.id).secret(&lease.secret).client(&lease.client);
        let event = event.reason(reason);
        match lease.session {
            Some(session) => event.session(session),
            None => event,
        }
    }
}
