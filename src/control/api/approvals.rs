//! Approvals over the socket: what waits for a person, and the person's answer. Never for processes inside a session.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::empty_request;
use crate::base::{ClientId, LeaseId, RequestId, ServiceId, SessionId, Timestamp, null_is_default};

empty_request! {
    /// `approvals.list`: what waits now.
    #[serde(deny_unknown_fields)]
    ListApprovals;
}

/// `approvals.show`: one that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShowApproval {
    /// Its id.
    pub id: String,
}

/// `approvals.allow`: lets one pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowApproval {
    /// Its id.
    pub id: String,
    /// `session`, or a duration such as `10m`: the same is not asked again for so long. Once when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remember: Option<String>,
    /// What the caller calls itself, for the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientId>,
}

/// `approvals.deny`: refuses one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DenyApproval {
    /// Its id.
    pub id: String,
    /// What the caller calls itself, for the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientId>,
}

/// `approvals.wait`: the list as soon as it is another than the one with this number, or after some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaitApprovals {
    /// The number of the list that is known.
    pub version: u64,
    /// How many seconds to wait at most; 30 is the longest.
    pub seconds: u64,
}

/// The answer to `approvals.list` and `approvals.wait`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalList {
    /// A number that changes with the list.
    pub version: u64,
    /// Oldest first.
    pub approvals: Vec<ApprovalEntry>,
    /// What agents say that they need, oldest first. Nothing waits for these, and none can be allowed.
    #[serde(default, deserialize_with = "null_is_default")]
    pub needs: Vec<NeedEntry>,
}

/// What an agent says that it needs. Its texts were made harmless for terminals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeedEntry {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub client_id: ClientId,
    /// In which session.
    pub session_id: SessionId,
    /// In which folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<PathBuf>,
    /// The service.
    pub service: ServiceId,
    /// The capabilities that it lacks: those that it names, or the smallest that gives the request that it names.
    pub capabilities: Vec<NeededCapability>,
    /// That request, without its query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// Whether the body of such a request decides too.
    #[serde(default)]
    pub hangs_on_body: bool,
    /// The parameters that the request shows.
    #[serde(default, deserialize_with = "null_is_default")]
    pub params: Vec<ShownField>,
    /// Why, in the agent's words.
    pub why: String,
    /// What would give it.
    pub grant: NeededGrant,
    /// Since when.
    pub sent_at: Timestamp,
}

/// One capability of a need.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeededCapability {
    /// Its name.
    pub name: String,
    /// Its risk.
    pub risk: String,
}

/// What a person does to give what is needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NeededGrant {
    /// A command that stores the service's credential, which nobody has done yet.
    Command(String),
    /// Lines that take the place of those of the same names in a grant that is there.
    Edit {
        /// `file:line` of the grant.
        place: String,
        /// The lines.
        lines: String,
    },
    /// Policy gives it, and the project or whoever opened the session has given it up: only another session can have it.
    GivenUp,
    /// A grant for one of the home's policy files.
    New {
        /// The folder of those files.
        folder: PathBuf,
        /// The lines.
        lines: String,
    },
}

/// A request that waits. Its texts come from the request and were made harmless for terminals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalEntry {
    /// Its id.
    pub id: String,
    /// Who asks.
    pub client_id: ClientId,
    /// In which session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<SessionId>,
    /// In which folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<PathBuf>,
    /// The id of the request in the record.
    pub request_id: RequestId,
    /// With which lease; none where the host itself is asked about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_id: Option<LeaseId>,
    /// Every capability that asks; the answer is for all of them. Empty: no grant names the host, to which no credential
    /// goes, and `unknown_host` asks about it.
    #[serde(default, deserialize_with = "null_is_default")]
    pub capabilities: Vec<AskingCapability>,
    /// The method.
    pub method: String,
    /// Scheme, host and port.
    pub origin: String,
    /// Path and query.
    pub target: String,
    /// What the capabilities want shown of the body.
    #[serde(default, deserialize_with = "null_is_default")]
    pub shown: Vec<ShownField>,
    /// How many bytes the body has.
    pub body_bytes: u64,
    /// The beginning of the body.
    pub body: String,
    /// SHA-256 of head and body: what is shown is what is sent.
    pub sha256: String,
    /// For how long the answer may be remembered: `never`, `session` or a duration.
    pub remember: String,
    /// How many different people must allow it; people are OS users.
    #[serde(default = "one")]
    pub quorum: u64,
    /// Who allows it so far: `alice (uid 1000)`.
    #[serde(default, deserialize_with = "null_is_default")]
    pub allowed_by: Vec<String>,
    /// Since when it waits.
    pub asked_at: Timestamp,
    /// When it is refused.
    pub expires_at: Timestamp,
}

const fn one() -> u64 {
    1
}

/// One capability that asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskingCapability {
    /// Its service.
    pub service: ServiceId,
    /// Its name.
    pub name: String,
    /// What it is for.
    #[serde(default, deserialize_with = "null_is_default")]
    pub about: String,
    /// Its risk.
    pub risk: String,
    /// The parameters that the request shows.
    #[serde(default, deserialize_with = "null_is_default")]
    pub params: Vec<ShownField>,
}

/// A name, or a JSON pointer, and its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownField {
    /// The name.
    pub name: String,
    /// The value, cut where it is long.
    pub value: String,
}
