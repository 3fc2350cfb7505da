//! Station 5: from the text at a listed place to a permit.
//!
//! Invariant: watch, then check. The watch is taken before the lease is looked at, so a revocation in between cuts.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::{Broker, Error, OnStray, Permit, Refusal, Session, error::AGAIN};
use crate::{
    base::{CutReason, CutWatch, RefusalCode, ServiceId, SessionId},
    lease::{Found, Lease, looks_like_lease},
    policy::Narrow,
};

impl Broker {
    /// A permit for the lease that this text is the token of, presented by way of `session`.
    pub fn authorize(&self, text: &[u8], session: Option<SessionId>) -> Result<Permit, Refusal> {
        self.ready()?;
        let lease = match self.parts.leases.find(text) {
            Found::Live(lease) => lease,
            Found::Ended(CutReason::Killed) => {
                let detail = "the lease ended when the kill switch was tripped";
                return Err(Refusal::new(RefusalCode::Killed, detail, AGAIN));
            }
            Found::Ended(reason) => return Err(Refusal::of_cut(reason)),
            Found::Unknown if looks_like_lease(text) => {
                return Err(self.unknown(session));
            }
            Found::Unknown => {
                return Err(Refusal::new(RefusalCode::ForeignCredential, "the credential is no lease token", AGAIN));
            }
        };
        let watch = lease.watch();
        self.lives(&lease, &watch)?;
        if lease.session.is_some() && lease.session != session {
            let detail = "the lease belongs to a session and was presented outside it";
            return Err(Refusal::new(RefusalCode::TokenForeignSession, detail, AGAIN));
        }
        let narrowed = match lease.scope() {
            Some(scope) => Narrow::of_terms(&scope.service, &lease.terms),
            None => Ok(None),
        };
        let narrowed = narrowed.map_err(|why| Refusal::new(RefusalCode::CapDenied, why, AGAIN))?;
        Ok(Permit::new(lease, watch, Zeroizing::new(text.to_vec())).narrowed(narrowed))
    }

    /// Whether a permit is still one: for requests that have waited since.
    pub fn still(&self, permit: &Permit) -> Result<(), Refusal> {
        self.ready()?;
        self.lives(permit.lease(), permit.watch())
    }

    fn lives(&self, lease: &Lease, watch: &CutWatch) -> Result<(), Refusal> {
        if let Some(reason) = watch.reason() {
            return Err(Refusal::of_cut(reason));
        }
        if lease.deadline.is_past(&self.parts.clock) {
            return Err(Refusal::of_cut(CutReason::Expired));
        }
        Ok(())
    }

    /// A permit for the one lease of a session that is for this credential of this service; `None` when there is none,
    /// or more than one. For requests that carry no token and came by the session's own credentials; what stands for
    /// the token is [`Self::NO_TOKEN`].
    pub fn authorize_session(&self, session: &Session, service: &ServiceId, credential: &str) -> Option<Permit> {
        let fits = |lease: &Arc<Lease>| {
            let scope =
                lease.scope().is_some_and(|scope| scope.service == *service && *scope.credential == *credential);
            scope && lease.session == Some(session.id()) && lease.client == *session.client()
        };
        let mut fitting = self.parts.leases.list().into_iter().filter(fits);
        let (lease, None) = (fitting.next()?, fitting.next()) else { return None };
        let watch = lease.watch();
        self.lives(&lease, &watch).ok()?;
        let own = Narrow::of_terms(service, &lease.terms).ok()?;
        Some(Permit::new(lease, watch, Zeroizing::new(Self::NO_TOKEN.to_vec())).narrowed(own))
    }

    /// What an echo is replaced by where the client presented no token.
    pub const NO_TOKEN: &[u8] = b"[scrubbed]";

    /// A miss; too many of them by one way in are answered without saying even that (attack 48).
    fn unknown(&self, session: Option<SessionId>) -> Refusal {
        let session = session.and_then(|id| self.session(id));
        let guesses = session.as_deref().map_or(&self.main_guesses, Session::guesses);
        if guesses.miss(&self.parts.clock) {
            let detail = "too many unknown lease tokens came this way";
            return Refusal::new(RefusalCode::Limit, detail, AGAIN);
        }
        let detail = "the lease token is none that this proxy knows";
        Refusal::new(RefusalCode::TokenUnknown, detail, AGAIN)
    }

    /// Does what the settings say about a lease whose token was found out of place.
    pub fn on_stray(&self, lease: &Lease) {
        if self.parts.on_stray == OnStray::Revoke
            && let Err(error) = self.revoke_lease_now(&lease.id, CutReason::Revoked)
        {
            tracing::error!(%error, lease = %lease.id, "a stray lease could not be revoked");
        }
    }

    /// The session that these proxy credentials open.
    pub fn session_by_credentials(&self, user: &[u8], password: &[u8]) -> Option<Arc<Session>> {
        self.sessions.by_credentials(user, password)
    }

    pub(super) fn revoke_lease_now(&self, id: &crate::base::LeaseId, reason: CutReason) -> Result<(), Error> {
        self.revoke_recorded(id, reason).map(drop)
    }
}
