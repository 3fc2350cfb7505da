//! One audit event: typed fields only, so that no header, body, query string or token has a way in.

use std::time::Duration;

use super::{Action, Outcome};
use crate::base::{
    Authority, ClientId, CutReason, Environment, Host, LeaseId, RefusalCode, RequestId, SecretName, ServiceId,
    SessionId,
};

/// What is to be recorded. Borrows everything, so that building one allocates nothing; time, number and chain are the
/// log's to add. A field that was not set is left out of the line.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    pub(super) action: Action,
    pub(super) outcome: Option<Outcome>,
    pub(super) request: Option<RequestId>,
    pub(super) client: Option<&'a ClientId>,
    pub(super) lease: Option<LeaseId>,
    pub(super) secret: Option<&'a SecretName>,
    pub(super) service: Option<&'a ServiceId>,
    pub(super) session: Option<SessionId>,
    pub(super) project: Option<&'a str>,
    pub(super) environment: Option<&'a Environment>,
    pub(super) capability: Option<&'a str>,
    pub(super) method: Option<&'a str>,
    pub(super) host: Option<HostField<'a>>,
    pub(super) port: Option<u16>,
    pub(super) path: Option<&'a str>,
    pub(super) status: Option<u16>,
    pub(super) code: Option<RefusalCode>,
    pub(super) reason: Option<CutReason>,
    pub(super) bytes: Option<(u64, u64)>,
    pub(super) duration: Option<Duration>,
    pub(super) error: Option<&'a str>,
    pub(super) details: Option<&'a str>,
}

/// A host as we know it: parsed, or as the peer wrote it.
#[derive(Clone, Copy, Debug)]
pub(super) enum HostField<'a> {
    Parsed(&'a Host),
    Written(&'a str),
}

impl<'a> Event<'a> {
    /// An event with nothing but its action.
    pub const fn new(action: Action) -> Self {
        Self {
            action,
            outcome: None,
            request: None,
            client: None,
            lease: None,
            secret: None,
            service: None,
            session: None,
            project: None,
            environment: None,
            capability: None,
            method: None,
            host: None,
            port: None,
            path: None,
            status: None,
            code: None,
            reason: None,
            bytes: None,
            duration: None,
            error: None,
            details: None,
        }
    }

    /// How it ended. The line's `success` is true without an outcome and with [`Outcome::Ok`], else false.
    #[must_use]
    pub const fn outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = Some(outcome);
        self
    }

    /// The exchange it belongs to; joins *begun* and *ended*.
    #[must_use]
    pub const fn request(mut self, id: RequestId) -> Self {
        self.request = Some(id);
        self
    }

    /// The client, as a label.
    #[must_use]
    pub const fn client(mut self, client: &'a ClientId) -> Self {
        self.client = Some(client);
        self
    }

    /// The lease's public id, never its token.
    #[must_use]
    pub const fn lease(mut self, id: LeaseId) -> Self {
        self.lease = Some(id);
        self
    }

    /// The secret's name.
    #[must_use]
    pub const fn secret(mut self, name: &'a SecretName) -> Self {
        self.secret = Some(name);
        self
    }

    /// The service whose credential is used.
    #[must_use]
    pub const fn service(mut self, id: &'a ServiceId) -> Self {
        self.service = Some(id);
        self
    }

    /// The session.
    #[must_use]
    pub const fn session(mut self, id: SessionId) -> Self {
        self.session = Some(id);
        self
    }

    /// The folder of the project that it works in; at most 1 KiB is kept.
    #[must_use]
    pub const fn project(mut self, folder: &'a str) -> Self {
        self.project = Some(folder);
        self
    }

    /// What it works on.
    #[must_use]
    pub const fn environment(mut self, name: &'a Environment) -> Self {
        self.environment = Some(name);
        self
    }

    /// The capability that allowed it; at most 128 bytes are kept.
    #[must_use]
    pub const fn capability(mut self, name: &'a str) -> Self {
        self.capability = Some(name);
        self
    }

    /// The method as the client wrote it; at most 32 bytes are kept.
    #[must_use]
    pub const fn method(mut self, method: &'a str) -> Self {
        self.method = Some(method);
        self
    }

    /// The host that the request is for.
    #[must_use]
    pub const fn host(mut self, host: &'a Host) -> Self {
        self.host = Some(HostField::Parsed(host));
        self
    }

    /// A host that does not parse, as the peer wrote it; at most 255 bytes are kept.
    #[must_use]
    pub const fn host_as_written(mut self, host: &'a str) -> Self {
        self.host = Some(HostField::Written(host));
        self
    }

    /// The port that the request is for.
    #[must_use]
    pub const fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Host and port in one.
    #[must_use]
    pub const fn authority(self, authority: &'a Authority) -> Self {
        self.host(&authority.host).port(authority.port)
    }

    /// The raw path; at most 1 KiB is kept, and nothing from the first `?` or `#` on. Whoever calls has taken lease
    /// tokens out of it.
    #[must_use]
    pub const fn path(mut self, path: &'a str) -> Self {
        self.path = Some(path);
        self
    }

    /// The status that the client got.
    #[must_use]
    pub const fn status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// Why it was refused.
    #[must_use]
    pub const fn code(mut self, code: RefusalCode) -> Self {
        self.code = Some(code);
        self
    }

    /// Why it was cut or revoked.
    #[must_use]
    pub const fn reason(mut self, reason: CutReason) -> Self {
        self.reason = Some(reason);
        self
    }

    /// Body bytes towards the upstream, and from it.
    #[must_use]
    pub const fn bytes(mut self, sent: u64, received: u64) -> Self {
        self.bytes = Some((sent, received));
        self
    }

    /// How long it took; recorded in microseconds.
    #[must_use]
    pub const fn duration(mut self, duration: Duration) -> Self {
        self.duration = Some(duration);
        self
    }

    /// What went wrong, in the words of one of our errors, which never hold a secret; at most 1 KiB is kept.
    #[must_use]
    pub const fn error(mut self, error: &'a str) -> Self {
        self.error = Some(error);
        self
    }

    /// What else a reader should know, in our own words; at most 1 KiB is kept.
    #[must_use]
    pub const fn details(mut self, details: &'a str) -> Self {
        self.details = Some(details);
        self
    }
}
