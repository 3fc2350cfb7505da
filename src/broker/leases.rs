//! Issuing leases: tokens for the proxy, raw values for what is no HTTP, sessions for commands.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use super::{Around, Broker, Error, Session};
use crate::{
    audit::{Action, Event},
    base::{ClientId, CutReason, Environment, LeaseId, SecretBytes, SecretName, SessionId, TimeToLive},
    lease::{AskedBy, Issued, Lease, LeaseToken, NewLease, Right, Scope, Terms},
    policy::{Credential, Layer, LeaseFacts, Less, Narrow, NotLess},
    recipe::TokenShape,
    store::{RawReveal, SecretRecord},
};

/// A lease token and where it is of use.
pub struct TokenIssued {
    /// The lease.
    pub lease: Arc<Lease>,
    /// Shown once.
    pub token: LeaseToken,
    /// The lease of the same client and secret that ended for it.
    pub replaced: Option<LeaseId>,
    /// The variables that programs look for it in.
    pub env: Vec<String>,
    /// Variables that go along with those, with their texts.
    pub beside: BTreeMap<String, String>,
    /// The hosts that take it.
    pub hosts: Vec<String>,
}

/// How a token is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    /// How long; the grant's or the setting's default when not given.
    pub ttl: Option<TimeToLive>,
    /// What it is to work on. In a session that is said already, and another one is refused.
    pub environment: Option<&'a Environment>,
    /// What is given up of its service.
    pub less: &'a [Less],
}

/// A raw value and the lease that records its hand-out.
pub struct Revealed {
    /// The lease.
    pub lease: Arc<Lease>,
    /// The value.
    pub value: SecretBytes,
}

impl Broker {
    /// Issues a lease token for a secret that belongs to a service, within policy. In a session it works on what the
    /// session works on, whatever is asked.
    pub fn issue_token(
        &self,
        name: &SecretName,
        client: &ClientId,
        session: Option<&Session>,
        asked: &Asked<'_>,
    ) -> Result<TokenIssued, Error> {
        let event = within(Event::new(Action::LeaseAcquire).secret(name).client(client), session);
        self.noting(event, || self.issue_token_now(name, client, session, AskedBy::Opener, asked))
    }

    /// The same for a process inside a session, which cannot say for whom. It ends no lease that the session was opened
    /// with.
    pub fn issue_agent_token(
        &self,
        name: &SecretName,
        session: &Session,
        asked: &Asked<'_>,
    ) -> Result<TokenIssued, Error> {
        let (client, inside) = (session.client(), Some(session));
        let event = within(Event::new(Action::LeaseAcquire).secret(name).client(client), inside);
        self.noting(event, || self.issue_token_now(name, client, inside, AskedBy::Agent, asked))
    }

    /// Whether some grant gives a session the use of a secret, and a lease of it can be made.
    pub fn gives(&self, name: &SecretName, session: &Session) -> bool {
        let (policy, record) = (self.policy(), self.record(name).ok());
        let Some(binding) = record.as_ref().and_then(|record| record.binding.as_ref()) else { return false };
        let facts = LeaseFacts {
            service: &binding.service,
            credential: &binding.credential,
            secret: name,
            client: session.client(),
            project: session.project(),
            environment: session.environment().map(Environment::as_str),
            narrow: session.narrow(),
        };
        let credential = policy.service(&binding.service).and_then(|service| service.credential(&binding.credential));
        policy.grant(&facts).is_some() && credential.is_some_and(|credential| credential.not_yet().is_none())
    }

    fn issue_token_now(
        &self,
        name: &SecretName,
        client: &ClientId,
        session: Option<&Session>,
        asked_by: AskedBy,
        asked: &Asked<'_>,
    ) -> Result<TokenIssued, Error> {
        let record = self.record(name)?;
        let binding = record.binding.as_ref().ok_or_else(|| Error::NoService(name.clone()))?;
        let policy = self.policy();
        let environment = environment(session, asked.environment)?;
        let own = policy.narrows(Layer::Lease, asked.less, std::slice::from_ref(&binding.service))?;
        if let Some(other) = own.iter().map(Narrow::service).find(|service| **service != binding.service) {
            let message =
                format!("`{name}` is for `{}`, so nothing of `{other}` can be taken from it", binding.service);
            return Err(Error::NotLess(NotLess { message, service: Some(binding.service.clone()) }));
        }
        let narrow: Vec<Narrow> = session.map_or(&[][..], Session::narrow).iter().chain(&own).cloned().collect();
        let facts = LeaseFacts {
            service: &binding.service,
            credential: &binding.credential,
            secret: name,
            client,
            project: session.and_then(Session::project),
            environment: environment.map(Environment::as_str),
            narrow: &narrow,
        };
        if policy.grant(&facts).is_none() {
            let environment = environment.cloned();
            return Err(Error::NotGranted { secret: name.clone(), client: client.clone(), environment });
        }
        if (asked_by == AskedBy::Agent || !own.is_empty()) && !policy.leaves_any(&facts) {
            return Err(Error::GivenUp(name.clone()));
        }
        let service = policy.service(&binding.service);
        let credential = service.and_then(|service| service.credential(&binding.credential));
        if let Some(what) = credential.and_then(Credential::not_yet) {
            return Err(Error::NotYet { secret: name.clone(), what: what.to_owned() });
        }
        let ttl = self.parts.bounds.resolve(asked.ttl)?;
        let ttl = policy.ttl(&facts).map_or(ttl, |most| most.min(ttl));
        let mut terms = Terms { environment: environment.cloned(), ..Terms::default() };
        for narrow in &own {
            narrow.add_to(&mut terms);
        }
        let new = NewLease {
            secret: name.clone(),
            right: Right::Token(Scope { service: binding.service.clone(), credential: binding.credential.clone() }),
            client: client.clone(),
            session: session.map(Session::id),
            asked_by,
            ttl,
            terms,
            shape: credential.map_or_else(TokenShape::plain, |credential| credential.shape().clone()),
        };
        let issued = self.issue_recorded(new, session, Action::LeaseAcquire, &record)?;
        let token = issued.token.ok_or_else(|| Error::NoService(name.clone()))?;
        Ok(TokenIssued {
            lease: issued.lease,
            token,
            replaced: issued.replaced.map(|replaced| replaced.id),
            env: credential.map(|c| c.env().map(str::to_owned).collect()).unwrap_or_default(),
            beside: credential.map(Credential::beside_owned).unwrap_or_default(),
            hosts: service.map(|service| service.origins().collect()).unwrap_or_default(),
        })
    }

    /// Hands out a raw value, recorded as its own kind of event.
    pub fn reveal(
        &self,
        name: &SecretName,
        client: &ClientId,
        session: Option<&Session>,
        ttl: Option<TimeToLive>,
    ) -> Result<Revealed, Error> {
        let event = within(Event::new(Action::SecretReveal).secret(name).client(client), session);
        self.noting(event, || self.reveal_now(name, client, session, ttl))
    }

    fn reveal_now(
        &self,
        name: &SecretName,
        client: &ClientId,
        session: Option<&Session>,
        ttl: Option<TimeToLive>,
    ) -> Result<Revealed, Error> {
        let record = self.record(name)?;
        if record.raw == RawReveal::Deny {
            return Err(Error::RawDenied(name.clone()));
        }
        let new = NewLease {
            secret: name.clone(),
            right: Right::Raw,
            client: client.clone(),
            session: session.map(Session::id),
            asked_by: AskedBy::Opener,
            ttl: self.parts.bounds.resolve(ttl)?,
            terms: Terms::default(),
            shape: TokenShape::plain(),
        };
        let lease = self.issue_recorded(new, session, Action::SecretReveal, &record)?.lease;
        Ok(Revealed { lease, value: self.current(&record).value })
    }

    /// Opens a session; its leases are issued with [`Broker::issue_token`] and end with it.
    pub fn open_session(&self, client: ClientId, around: Around) -> Result<Arc<Session>, Error> {
        let session = self.sessions.open(client, around);
        let said = said(session.environment(), session.narrow());
        let mut event = Event::new(Action::SessionOpen).session(session.id()).client(session.client());
        if let Some(project) = session.project().and_then(Path::to_str) {
            event = event.project(project);
        }
        if let Some(environment) = session.environment() {
            event = event.environment(environment);
        }
        if !said.is_empty() {
            event = event.details(&said);
        }
        // The latch is asked after the session is there to be cut.
        let opened = self.unlatched().and_then(|()| Ok(self.parts.audit.append(&event)?));
        if let Err(error) = opened {
            self.sessions.close(session.id(), CutReason::SessionEnded);
            return Err(error);
        }
        Ok(session)
    }

    /// Ends a session: its leases, exchanges, tunnels and port. Ending one twice is no error.
    pub fn end_session(&self, id: SessionId, reason: CutReason) {
        // Its leases after it: one that is issued meanwhile sees its end, or is seen here.
        let closed = self.sessions.close(id, reason);
        self.end_needs("its session has ended", |need| need.session.id() == id);
        self.approvals.forget_session(id);
        let revoked = self.parts.leases.revoke_where(|lease| lease.session == Some(id), reason);
        for lease in &revoked {
            self.parts.audit.append_lazily(&Self::revoke_event(lease, reason));
        }
        if let Some(session) = closed {
            let event = Event::new(Action::SessionEnd).session(id).client(session.client()).reason(reason);
            self.parts.audit.append_lazily(&event);
        }
    }

    /// Ends every session.
    pub fn end_sessions(&self, reason: CutReason) {
        for session in self.sessions.all() {
            self.end_session(session.id(), reason);
        }
    }

    /// The session that this process opened.
    pub fn session_of_process(&self, pid: i32) -> Option<SessionId> {
        self.sessions.all().iter().find(|session| session.opener() == Some(pid)).map(|session| session.id())
    }

    /// The processes that opened the sessions that live.
    pub fn session_openers(&self) -> Vec<i32> {
        self.sessions.all().iter().filter_map(|session| session.opener()).collect()
    }

    /// Every live session.
    pub fn sessions(&self) -> Vec<Arc<Session>> {
        self.sessions.all()
    }

    /// A live session.
    pub fn session(&self, id: SessionId) -> Option<Arc<Session>> {
        self.sessions.get(id)
    }

    pub(super) fn record(&self, name: &SecretName) -> Result<Arc<SecretRecord>, Error> {
        self.parts.store.get(name).ok_or_else(|| Error::SecretUnknown(name.clone()))
    }

    /// Whether a secret is the one that it was: a lease of a removed one must not be of use for the next of its name.
    /// Removing ends leases afterwards, so that one of both sees the other.
    fn still_there(&self, was: &SecretRecord) -> Result<(), Error> {
        let is = self.record(&was.name)?;
        if is.created_at == was.created_at { Ok(()) } else { Err(Error::SecretUnknown(was.name.clone())) }
    }

    /// A lease that cannot be recorded is taken back before anybody has it.
    fn issue_recorded(
        &self,
        new: NewLease,
        session: Option<&Session>,
        action: Action,
        of: &SecretRecord,
    ) -> Result<Issued, Error> {
        self.unlatched()?;
        let issued = self.parts.leases.issue(new)?;
        if let Some(replaced) = &issued.replaced {
            let event = Event::new(Action::LeaseReplace).lease(replaced.id).secret(&replaced.secret);
            self.parts.audit.append_lazily(&event.client(&replaced.client));
        }
        let lease = &issued.lease;
        let mut event = Event::new(action).lease(lease.id).secret(&lease.secret).client(&lease.client);
        if let Some(session) = lease.session {
            event = event.session(session);
        }
        if let Some(scope) = lease.scope() {
            event = event.service(&scope.service);
        }
        if let Some(environment) = &lease.terms.environment {
            event = event.environment(environment);
        }
        let said = terms_said(&lease.terms);
        if !said.is_empty() {
            event = event.details(&said);
        }
        let recorded = self.parts.audit.append(&event).map_err(Error::from);
        let lives = || match session {
            Some(session) if session.watch().reason().is_some() => Err(Error::SessionUnknown(session.id())),
            _ => Ok(()),
        };
        let kept = recorded.and_then(|()| self.persist(lease)).and_then(|()| self.unlatched()).and_then(|()| lives());
        if let Err(error) = kept.and_then(|()| self.still_there(of)) {
            self.parts.leases.revoke(&lease.id, CutReason::Revoked);
            if matches!(error, Error::Killed(_) | Error::SecretUnknown(_)) {
                self.persist(lease)?; // it is on disk already
            }
            return Err(error);
        }
        Ok(issued)
    }
}

fn within<'a>(event: Event<'a>, session: Option<&Session>) -> Event<'a> {
    match session {
        Some(session) => event.session(session.id()),
        None => event,
    }
}

/// What a token works on: what its session does, or what was asked for outside of one.
fn environment<'a>(
    session: Option<&'a Session>,
    asked: Option<&'a Environment>,
) -> Result<Option<&'a Environment>, Error> {
    let Some(session) = session else { return Ok(asked) };
    match asked {
        Some(other) if session.environment() != Some(other) => Err(Error::OtherEnvironment(other.clone())),
        _ => Ok(session.environment()),
    }
}

/// For the record: the environment, and the narrowings that whoever opened the session gave.
fn said(environment: Option<&Environment>, narrow: &[Narrow]) -> String {
    let given = narrow.iter().filter(|narrow| narrow.layer() == Layer::Session).map(ToString::to_string);
    let environment = environment.map(|environment| format!("environment {environment}"));
    environment.into_iter().chain(given).collect::<Vec<_>>().join("; ")
}

/// The same of one lease.
fn terms_said(terms: &Terms) -> String {
    let environment = terms.environment.as_ref().map(|environment| format!("environment {environment}"));
    let caps = terms.caps.as_ref().map(|caps| format!("cap {}", caps.join(", ")));
    let only = terms.only.iter().map(|(param, values)| format!("only {param} = [{}]", values.join(", ")));
    let limits = terms.limits.iter().map(|(measure, amount)| format!("limit {measure} = {amount}"));
    environment.into_iter().chain(caps).chain(only).chain(limits).collect::<Vec<_>>().join("; ")
}
