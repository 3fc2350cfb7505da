//! The record of one exchange: opened before the credential exists, closed exactly once, also on drop.
//!
//! Invariant: no record, no credential. `Notes` are fed from what the client sent and never from an armed request.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, Method, Uri};

use super::{flow::Flow, gauge::Gauge, tongue::Tongue};
use crate::{
    audit::{Action, AuditLog, Event, Outcome as End},
    base::{Authority, ClientId, Clock, LeaseId, RefusalCode, RequestId, SecretName, ServiceId, SessionId},
    broker::{Refusal, Taken},
    policy::Usage,
};

/// Which kind of exchange is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Request,
    Tunnel,
}

/// What is known of an exchange so far; every station adds to it.
#[derive(Debug)]
pub(super) struct Notes {
    pub(super) kind: Kind,
    pub(super) id: RequestId,
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) authority: Option<Authority>,
    pub(super) client: Option<ClientId>,
    pub(super) session: Option<SessionId>,
    pub(super) lease: Option<LeaseId>,
    pub(super) secret: Option<SecretName>,
    pub(super) service: Option<ServiceId>,
    pub(super) capability: Option<Arc<str>>,
    /// The approval that lets it pass, in words.
    pub(super) approval: Option<Box<str>>,
    /// How the client is told of a refusal.
    pub(super) tongue: Tongue,
}

impl Notes {
    /// Notes of an exchange of which only the request line is known.
    pub(super) fn new(kind: Kind, method: Method, uri: Uri, authority: Option<Authority>) -> Self {
        Self {
            tongue: Tongue::of(&method, &uri),
            kind,
            id: RequestId::next(),
            method,
            uri,
            authority,
            client: None,
            session: None,
            lease: None,
            secret: None,
            service: None,
            capability: None,
            approval: None,
        }
    }

    /// A person let it pass.
    pub(super) fn let_pass(&mut self, approval: &str) {
        self.approval = Some(format!("approval {approval}").into());
    }

    /// Notes of nothing, where others were taken out.
    pub(super) fn blank() -> Self {
        Self::new(Kind::Request, Method::GET, Uri::default(), None)
    }

    fn event(&self, action: Action) -> Event<'_> {
        let mut event = Event::new(action).request(self.id).method(self.method.as_str());
        match (&self.authority, self.uri.host()) {
            (Some(authority), _) => event = event.authority(authority),
            (None, Some(host)) => event = event.host_as_written(host),
            (None, None) => {}
        }
        if self.kind == Kind::Request {
            event = event.path(self.uri.path());
        }
        if let Some(client) = &self.client {
            event = event.client(client);
        }
        if let Some(session) = self.session {
            event = event.session(session);
        }
        if let Some(lease) = self.lease {
            event = event.lease(lease);
        }
        if let Some(secret) = &self.secret {
            event = event.secret(secret);
        }
        if let Some(service) = &self.service {
            event = event.service(service);
        }
        if let Some(capability) = &self.capability {
            event = event.capability(capability);
        }
        if let Some(approval) = &self.approval {
            event = event.details(approval);
        }
        event
    }

    /// Records that the exchange was refused before it began. A refusal stands even when it cannot be recorded.
    pub(super) fn refused(&self, audit: &AuditLog, code: RefusalCode, status: u16) {
        let action = match self.kind {
            Kind::Request => Action::RequestRefused,
            Kind::Tunnel => Action::TunnelRefused,
        };
        let event = self.event(action).outcome(End::Refused).code(code).status(status);
        if let Err(error) = audit.append(&event) {
            tracing::error!(%error, request = %self.id, code = %code, "a refusal could not be recorded");
        }
    }

    /// Records that the exchange begins. Without the record there is no exchange.
    pub(super) fn begin(self, audit: AuditLog, flow: Arc<Flow>, clock: Clock) -> Result<Outcome, Box<(Self, Refusal)>> {
        let action = match self.kind {
            Kind::Request => Action::RequestBegun,
            Kind::Tunnel => Action::TunnelBegun,
        };
        if let Err(error) = audit.append(&self.event(action)) {
            let detail = format!("the request cannot be recorded: {error}");
            let refusal = Refusal::new(RefusalCode::AuditUnavailable, detail, "secrets doctor");
            return Err(Box::new((self, refusal)));
        }
        let begun = clock.boot();
        Ok(Outcome {
            notes: self,
            audit,
            flow,
            clock,
            begun,
            status: None,
            details: None,
            counted: None,
            gauge: None,
            closed: false,
        })
    }
}

/// The guard of a begun record. Dropping it records *aborted*, or *cut* when the watch fired.
#[derive(Debug)]
pub(super) struct Outcome {
    notes: Notes,
    audit: AuditLog,
    flow: Arc<Flow>,
    clock: Clock,
    begun: Duration,
    status: Option<u16>,
    details: Option<&'static str>,
    counted: Option<Box<Taken>>,
    gauge: Option<Box<Gauge>>,
    closed: bool,
}

impl Outcome {
    /// The notes, for answers that name the exchange.
    pub(super) const fn id(&self) -> RequestId {
        self.notes.id
    }

    /// How the client is told of a refusal.
    pub(super) const fn tongue(&self) -> &Tongue {
        &self.notes.tongue
    }

    /// The status that the client gets.
    pub(super) const fn status(&mut self, status: u16) {
        self.status = Some(status);
    }

    /// What the exchange was counted towards; it runs until the record is closed.
    pub(super) fn counts(&mut self, counted: Option<Box<Taken>>) {
        self.counted = counted;
    }

    /// The same, while it runs.
    pub(super) fn counted(&self) -> Option<&Taken> {
        self.counted.as_deref()
    }

    /// An answer with this head comes, which is read for what it says was used, if a limit counts that.
    pub(super) fn meters(&mut self, headers: &HeaderMap) {
        let meters = self.counted.as_ref().map_or(&[][..], |counted| counted.meters());
        self.gauge = Gauge::new(meters, headers).map(Box::new);
    }

    /// The next decoded bytes of that answer.
    pub(super) fn meter(&mut self, data: &[u8]) {
        if let Some(gauge) = &mut self.gauge {
            gauge.feed(data);
        }
    }

    /// Charges what passed, what the answer says was used, and what that costs; the latter two in words, for the record.
    fn settle(&mut self) -> Option<String> {
        let (counted, gauge) = (self.counted.take()?, self.gauge.take());
        let is_error = self.status.is_some_and(|status| status >= 400);
        let usage = gauge.map_or_else(Usage::default, |gauge| gauge.finish());
        let words = counted.used(&usage, is_error);
        counted.end(self.flow.sent().saturating_add(self.flow.received()));
        (!words.is_empty()).then(|| words.join(", "))
    }

    /// The request was made again.
    pub(super) const fn made_again(&mut self) {
        self.details = Some("answered with 401, and made again with a new value");
    }

    /// The credential was set in a request that carried none.
    pub(super) const fn set_by_us(&mut self) {
        self.details = Some("it carried no lease token; the session's own lease was used");
    }

    /// Fields of the answer were withheld.
    pub(super) const fn withheld(&mut self) {
        self.details = Some("fields of the answer were withheld");
    }

    /// The exchange ran to its end.
    pub(super) fn done(&mut self) {
        self.close(End::Ok, None, None);
    }

    /// The exchange could not go on.
    pub(super) fn failed(&mut self, error: &str) {
        self.close(End::Failed, None, Some(error));
    }

    /// The exchange was refused after it had begun.
    pub(super) fn refused(&mut self, refusal: &Refusal, status: u16) {
        self.status = Some(status);
        self.close(End::Refused, Some(refusal.code), None);
    }

    fn close(&mut self, end: End, code: Option<RefusalCode>, error: Option<&str>) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        let usage = self.settle();
        let action = match self.notes.kind {
            Kind::Request => Action::RequestEnded,
            Kind::Tunnel => Action::TunnelEnded,
        };
        let cut = self.flow.cut().filter(|_| end != End::Ok);
        let mut event = self
            .notes
            .event(action)
            .outcome(if cut.is_some() { End::Cut } else { end })
            .bytes(self.flow.sent(), self.flow.received())
            .duration(self.clock.boot().saturating_sub(self.begun));
        if let Some(reason) = cut {
            event = event.reason(reason);
        }
        if let Some(status) = self.status {
            event = event.status(status);
        }
        if let Some(code) = code {
            event = event.code(code);
        }
        if let Some(error) = error {
            event = event.error(error);
        }
        let details: Vec<&str> = self.details.into_iter().chain(usage.as_deref()).collect();
        let details = details.join("; ");
        if !details.is_empty() {
            event = event.details(&details);
        }
        self.audit.append_lazily(&event);
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        self.close(End::Aborted, None, None);
    }
}
