//! One line as it is read back: our own, or one that agent-secrets wrote.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Action, Outcome, Row, action::Phase};
use crate::base::Timestamp;

/// The fields of a line. Texts, not types: a log outlives the program that wrote it, and must stay readable.
/// Unknown fields are ignored for the same reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The line's number in the chain; lines of agent-secrets have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// SHA-256 of the line before, in hexadecimal; lines of agent-secrets have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev: Option<String>,
    /// When it was recorded.
    pub timestamp: Timestamp,
    /// What happened; see [`Action`](super::Action).
    pub action: String,
    /// The exchange.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The client, as a label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_id: Option<String>,
    /// The secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,
    /// The service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// The folder of the session's project; older lines say none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// What the session or the lease works on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The capability that allowed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capability: Option<String>,
    /// The method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The path without its query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The status that the client got.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Why it was cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Body bytes towards the upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_sent: Option<u64>,
    /// Body bytes from the upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_received: Option<u64>,
    /// How long it took, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_us: Option<u64>,
    /// How it ended; see [`Outcome`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What else there is to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
    /// Whether it was done.
    #[serde(default)]
    pub success: bool,
}

impl Record {
    /// How it ended: its outcome, or what its success says; `None` for what only begins.
    pub fn result(&self) -> Option<&str> {
        let begins = Action::find(&self.action).is_some_and(|action| action.phase() == Phase::Begins);
        let by_success = if self.success { Outcome::Ok } else { Outcome::Failed };
        self.outcome.as_deref().or((!begins).then(|| by_success.as_str()))
    }
}

/// Which records are wanted; a new filter wants all of them, each condition fewer.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    client: Option<String>,
    secret: Option<String>,
    host: Option<String>,
    action: Option<String>,
    outcome: Option<Outcome>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl Filter {
    /// Wants every record.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only those of this client id.
    #[must_use]
    pub fn client(mut self, client: impl Into<String>) -> Self {
        self.client = Some(client.into());
        self
    }

    /// Only those about this secret.
    #[must_use]
    pub fn secret(mut self, name: impl Into<String>) -> Self {
        self.secret = Some(name.into());
        self
    }

    /// Only those for this host, in any case of letters.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// Only those with this action, as it is written; agent-secrets has words that we lack.
    #[must_use]
    pub fn action(mut self, action: impl Into<String>) -> Self {
        self.action = Some(action.into());
        self
    }

    /// Only those that ended so; what has no outcome of its own ended as its success says.
    #[must_use]
    pub fn outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = Some(outcome);
        self
    }

    /// Only those recorded at this time or later.
    #[must_use]
    pub fn since(mut self, time: Timestamp) -> Self {
        self.since = Some(time);
        self
    }

    /// Only those recorded at this time or earlier.
    #[must_use]
    pub fn until(mut self, time: Timestamp) -> Self {
        self.until = Some(time);
        self
    }

    /// Whether a record meets every condition.
    pub fn wants(&self, record: &Record) -> bool {
        self.wants_whatever_it_does(record)
            && self.action.as_ref().is_none_or(|wanted| *wanted == record.action)
            && self.wants_outcome(record)
            && self.until.is_none_or(|until| record.timestamp <= until)
    }

    /// Whether a row meets every condition: `since` is about its newest record, `until` about its beginning, and an
    /// action may be that of either. What is still open has no outcome yet.
    pub fn wants_row(&self, row: &Row) -> bool {
        let is_action = |wanted: &String| *wanted == row.record.action || row.begun_as.as_ref() == Some(wanted);
        self.wants_whatever_it_does(&row.record)
            && self.action.as_ref().is_none_or(is_action)
            && self.wants_outcome(&row.record)
            && self.until.is_none_or(|until| row.began <= until)
    }

    /// Whether nothing that was recorded at this time or earlier can be wanted, however clocks were set meanwhile.
    pub(super) fn is_long_before(&self, time: Timestamp) -> bool {
        const CLOCKS_ERR_BY: Duration = Duration::from_hours(24);
        self.since.is_some_and(|since| time.plus(CLOCKS_ERR_BY) < since)
    }

    fn wants_whatever_it_does(&self, record: &Record) -> bool {
        fn is(wanted: Option<&str>, found: Option<&str>) -> bool {
            wanted.is_none_or(|wanted| found == Some(wanted))
        }
        let host = record.host.as_deref();
        is(self.client.as_deref(), record.client_id.as_deref())
            && is(self.secret.as_deref(), record.secret_name.as_deref())
            && self.host.as_ref().is_none_or(|wanted| host.is_some_and(|host| host.eq_ignore_ascii_case(wanted)))
            && self.since.is_none_or(|since| record.timestamp >= since)
    }

    fn wants_outcome(&self, record: &Record) -> bool {
        self.outcome.is_none_or(|wanted| record.result() == Some(wanted.as_str()))
    }
}
