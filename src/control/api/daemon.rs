//! The daemon about itself: status, health, audit, certificate, ping, stop, restart.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Kill, PolicyFault, empty_request};
use crate::base::{ClientId, Environment, LeaseId, SessionId, Timestamp, null_is_default};

empty_request! {
    /// `audit.flush`: answered when everything recorded so far is in the file.
    #[serde(deny_unknown_fields)]
    FlushAudit;
    /// `daemon.ping`: who answers.
    #[serde(deny_unknown_fields)]
    Ping;
    /// `daemon.restart`: a supervised restart.
    RestartDaemon;
    /// `daemon.stop`: drain, then stop; answered before it stops.
    #[serde(deny_unknown_fields)]
    StopDaemon;
    /// `ca.show`: the root certificate.
    #[serde(deny_unknown_fields)]
    ShowCa;
    /// `secrets.health`: counters and warnings.
    HealthQuery;
    /// `secrets.status`: what runs and what is leased.
    StatusQuery;
}

/// `secrets.audit`: the last events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditTail {
    /// How many; 100 when zero or missing.
    #[serde(default)]
    pub tail: u64,
}

/// The answer to `secrets.audit`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntries {
    /// Oldest first.
    #[serde(deserialize_with = "null_is_default")]
    pub entries: Vec<AuditEntry>,
}

/// One event, in agent-secrets' fields; requests fill `details` with method, host, path and status, never a query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When.
    pub timestamp: Timestamp,
    /// What.
    pub action: String,
    /// Of which secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,
    /// By whom; a label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Under which lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_id: Option<LeaseId>,
    /// One line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
    /// Whether it was done; false for refusals and failures.
    pub success: bool,
}

/// The answer to `secrets.status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Always true: it answered.
    pub running: bool,
    /// Since when.
    pub started_at: Timestamp,
    /// How many secrets the store holds.
    pub secrets_count: u64,
    /// How many leases are live.
    pub active_leases: u64,
    /// The heartbeat, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<Heartbeat>,
    /// `loaded` or `initialized`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_state: Option<String>,
    /// What was odd about the store but mended, such as its mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_warning: Option<String>,
    /// How many sessions are open.
    pub sessions: u64,
    /// Which ones, by client; to a process inside a session its own only.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub open_sessions: Vec<OpenedSession>,
    /// The process.
    pub pid: u32,
    /// The program's version.
    pub version: String,
    /// The main listener of the proxy, `127.0.0.1:PORT`.
    pub proxy_addr: String,
    /// Whether the audit log takes events; nothing is armed while it does not.
    pub audit_healthy: bool,
    /// Why the last policy reload was refused; empty when the files on disk are the set in force.
    #[serde(default, deserialize_with = "null_is_default")]
    pub policy_faults: Vec<PolicyFault>,
    /// What the kill switch is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kill: Option<Kill>,
    /// Whether `approvals.notify` tells anybody: `off`, `none` where the desktop has no program for it, `missing` where
    /// the program that the settings name is not there, or `by` and the program's path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notices: Option<Notices>,
}

/// Who gives notice of requests that wait for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notices {
    /// Nobody; they are switched off.
    Off,
    /// Nobody; this desktop has no program for it.
    None,
    /// This program, by its path.
    By(String),
    /// Nobody; this program of the settings is not on the daemon's path.
    Missing(String),
}

/// A session that is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenedSession {
    /// The session.
    pub session_id: SessionId,
    /// For whom; a label.
    pub client_id: ClientId,
    /// The folder of its project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<PathBuf>,
    /// What it works on, if that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
}

/// The heartbeat: its settings and how it has been.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Whether it beats.
    pub enabled: bool,
    /// What it asks, without the query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// How often, as a duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// How many misses in a row fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<u32>,
    /// How many there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub misses: Option<u32>,
    /// Whether a failure would trip the kill switch now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub armed: Option<bool>,
    /// Whether an answer has to be signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<bool>,
    /// What a failure does, in agent-secrets' words; empty when it is only recorded.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub fail_action: Vec<String>,
    /// When it last was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_beat: Option<Timestamp>,
    /// When it was last missed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_miss: Option<Timestamp>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// The answer to `secrets.health`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// How many secrets.
    pub total_secrets: u64,
    /// How many live leases.
    pub active_leases: u64,
    /// How many of them end soon.
    pub expiring_soon: u64,
    /// How many secrets were never rotated.
    pub never_rotated: u64,
    /// How many secrets nobody has used for long.
    pub stale_secrets: u64,
    /// What deserves a look.
    #[serde(deserialize_with = "null_is_default")]
    pub warnings: Vec<HealthWarning>,
}

/// One warning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthWarning {
    /// Its kind, such as `expiring_soon`.
    #[serde(rename = "type")]
    pub kind: String,
    /// About which secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,
    /// About which lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_id: Option<LeaseId>,
    /// One sentence.
    pub message: String,
    /// `warning` or `info`.
    pub severity: String,
    /// When it was found, or what it is about happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,
}

/// The answer to `daemon.restart`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartAccepted {
    /// Whether a restart was begun.
    pub accepted: bool,
    /// One sentence.
    pub message: String,
}

/// The answer to `ca.show`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The root in PEM.
    pub pem: String,
    /// SHA-256 of its DER, as tools print it.
    pub fingerprint: String,
    /// The file that holds it.
    pub path: PathBuf,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The names that it may vouch for, with everything below them; missing when there is no such limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<Vec<String>>,
    /// Granted hosts that it may not vouch for, so that their requests fail; the next start makes a new root.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub uncovered: Vec<String>,
}

/// The answer to `daemon.ping`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pong {
    /// The process.
    pub pid: u32,
    /// The program's version.
    pub version: String,
    /// Its home folder.
    pub home: PathBuf,
    /// The main listener of the proxy, `127.0.0.1:PORT`.
    pub proxy_addr: String,
}
