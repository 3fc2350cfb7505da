//! Sessions of `secrets exec`, lease tokens, and ending rights by client, secret or session.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{WireToken, WireValue, empty_is_none};
use crate::{
    base::{
        ClientId, Environment, LeaseId, Namespace, SecretName, ServiceId, SessionId, TimeToLive, Timestamp,
        null_is_default,
    },
    policy::Less,
};

/// `session.open`: a session with its leases and its way into the proxy; it lives as long as the connection that
/// opened it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenSession {
    /// For whom; a label. The daemon makes one up when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientId>,
    /// What to lease, in the order in which to do it; all or nothing.
    pub secrets: Vec<SessionSecret>,
    /// What to reveal instead, for programs that do not speak HTTP; recorded as reveals, ended with the session.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub raw: Vec<SessionSecret>,
    /// The folder of the project file, or the caller's own; absolute.
    pub project_dir: PathBuf,
    /// The text of a policy file of kind `project`; it can only narrow, and one that cannot be read is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub narrow: Option<String>,
    /// What the session works on; grants may be for some environments only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    /// What is given up at once of the services that it is for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub narrow_to: Vec<Less>,
    /// Whether those that no grant gives this client here, or of which no lease can be made yet, are left out, unless that
    /// leaves none; for whoever names none and takes all.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub granted_only: bool,
}

/// One secret that a session wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionSecret {
    /// Which secret.
    pub name: SecretName,
    /// The variable that holds its token; the service's own names when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env_var: Option<String>,
    /// How long; the grant's or the setting's default when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<TimeToLive>,
}

/// The answer to `session.open`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionOpened {
    /// The session.
    pub session_id: SessionId,
    /// What [`crate::base::SESSION_VARIABLE`] is set to, so that the daemon knows the session's processes even when their parents
    /// are gone. No secret: having it takes rights away and gives none.
    pub mark: String,
    /// Its own port of the proxy on 127.0.0.1.
    pub proxy_port: u16,
    /// The user for clients that can send proxy credentials; only unreserved URI characters.
    pub proxy_user: String,
    /// The password to it; only unreserved URI characters.
    pub proxy_password: WireToken,
    /// Whether the proxy's URL is to hold both: requests that carry no token get a credential only with them, and so do
    /// questions about hosts get their proof.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wants_proof: bool,
    /// The root that the proxy's leaves descend from, in PEM.
    pub root_pem: String,
    /// Where support files for clients are kept; absolute.
    pub support_folder: PathBuf,
    /// What the session may do, as a JSON file that is there as long as the session; absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<PathBuf>,
    /// The hosts that the session's credentials are for; they must not bypass the proxy.
    pub secret_hosts: Vec<String>,
    /// One per secret, in the order of the request.
    pub leases: Vec<SessionLease>,
    /// One per secret that was to be revealed, in the order of the request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<SessionValue>,
}

/// One lease of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionLease {
    /// Which secret.
    pub secret: SecretName,
    /// The variables that hold the token.
    pub env: Vec<String>,
    /// Variables that go along with it, with the texts that its service gives them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub beside: BTreeMap<String, String>,
    /// What the agent presents.
    pub token: WireToken,
    /// The lease.
    pub lease_id: LeaseId,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// The service that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceId>,
}

/// One raw value of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionValue {
    /// Which secret.
    pub secret: SecretName,
    /// The variables that hold the value.
    pub env: Vec<String>,
    /// The value itself.
    pub value: WireValue,
    /// The lease that records it; ending it takes nothing back.
    pub lease_id: LeaseId,
}

/// `lease.token`: an opaque token, usable on the main listener by whoever presents it. For a process inside a session it
/// is one of the session: for the session's client, usable through the session only, and ended with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaseToken {
    /// Which secret.
    pub secret_name: SecretName,
    /// For whom; a label. Inside a session it is the session's client all the same.
    pub client_id: ClientId,
    /// How long; the grant's or the setting's default when empty.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "empty_is_none")]
    pub ttl: Option<TimeToLive>,
    /// What it works on. Inside a session that is what the session does, and another one is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    /// What is given up of its service, beyond what the session gives up: for whoever it is handed on to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub narrow_to: Vec<Less>,
}

impl LeaseToken {
    /// A token of this secret for this client, with nothing said beyond.
    pub const fn of(secret_name: SecretName, client_id: ClientId) -> Self {
        Self { secret_name, client_id, ttl: None, environment: None, narrow_to: Vec::new() }
    }
}

/// The answer to `lease.token`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenLeased {
    /// The lease.
    pub lease_id: LeaseId,
    /// What the client presents.
    pub token: WireToken,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// How long it lives at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<TimeToLive>,
    /// The lease that ends with this one beginning: a client holds one token per secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<LeaseId>,
    /// For whom it is, where that is not for the caller to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientId>,
    /// The variables under which clients of the service look for it.
    pub env: Vec<String>,
    /// Variables that go along with it, with the texts that its service gives them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub beside: BTreeMap<String, String>,
    /// The hosts that it is for.
    #[serde(default, deserialize_with = "null_is_default")]
    pub hosts: Vec<String>,
}

/// `revoke`: ends every lease of one client, secret or session, written `{"client": "…"}` and so on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Revoke {
    /// All leases of this client.
    Client(ClientId),
    /// All leases of the secrets of this namespace.
    Namespace(Namespace),
    /// All leases of this secret.
    Secret(SecretName),
    /// All leases of this session.
    Session(SessionId),
}
