//! The store's and the leases' methods, named and shaped as agent-secrets has them; our additions are optional fields.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{EasyBinding, Schedule, WireValue, empty_is_none, empty_request};
use crate::{
    base::{ClientId, LeaseId, SecretName, ServiceId, TimeToLive, Timestamp, null_is_default},
    store::{HookFormat, OnLeaseExpiry},
};

/// A success with a sentence about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Always true; failures are JSON-RPC errors.
    pub success: bool,
    /// One sentence without a final stop.
    pub message: String,
}

impl Done {
    /// A success.
    pub fn new(message: impl Into<String>) -> Self {
        Self { success: true, message: message.into() }
    }
}

/// Whether the raw value of a secret may be revealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RawAccess {
    /// `secrets lease NAME` prints it; the default.
    Allow,
    /// Only its lease tokens can be used.
    Deny,
}

empty_request! {
    /// `secrets.init`: makes sure that the store exists; never empties one that does.
    InitStore;
    /// `secrets.list`: all secrets by name, without their values.
    ListSecrets;
    /// `secrets.revokeAll`: ends every lease.
    RevokeAll;
}

/// `secrets.add`: a new secret. The name must be free and the value not empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddSecret {
    /// Its name.
    pub name: SecretName,
    /// Its value.
    pub value: WireValue,
    /// The rotation hook; empty is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotate_via: Option<String>,
    /// The service to bind it to; recognised by the value's shape when not given.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "empty_is_none")]
    pub service: Option<ServiceId>,
    /// Which credential of the service it is; the service's only one when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// Whether the raw value may be revealed; yes when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<RawAccess>,
    /// What the hook prints; the value and nothing else when not given.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "empty_is_none")]
    pub rotate_format: Option<HookFormat>,
    /// How often the hook runs by itself.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "empty_is_none")]
    pub rotate_every: Option<Schedule>,
    /// What the end of a lease means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_lease_expiry: Option<OnLeaseExpiry>,
    /// One host and one place that it is for, instead of a service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub easy: Option<EasyBinding>,
}

/// The answer to `secrets.add` and `secrets.update`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Always true.
    pub success: bool,
    /// One sentence without a final stop.
    pub message: String,
    /// The service that the secret is bound to, given or recognised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceId>,
    /// Which credential of that service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// The policy files that were written for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub files: Vec<PathBuf>,
    /// The grants that give it already, by `FILE:LINE`.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub granted_by: Vec<String>,
}

/// `secrets.update`: a new value, new metadata, or both. The name must exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateSecret {
    /// Which secret.
    pub name: SecretName,
    /// The new value; the old one stays when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<WireValue>,
    /// The new hook; see [`UpdateSecret::hook`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotate_via: Option<String>,
    /// Whether `rotate_via` was given at all; an empty hook that was given clears the old one.
    #[serde(default)]
    pub rotate_via_set: bool,
    /// The service to bind it to from now on.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "empty_is_none")]
    pub service: Option<ServiceId>,
    /// Which credential of that service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// Whether the raw value may be revealed from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<RawAccess>,
    /// What the hook prints from now on.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "empty_is_none")]
    pub rotate_format: Option<HookFormat>,
    /// How often the hook runs by itself from now on.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "empty_is_none")]
    pub rotate_every: Option<Schedule>,
    /// What the end of a lease means from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_lease_expiry: Option<OnLeaseExpiry>,
    /// One host and one place that it is for from now on, instead of a service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub easy: Option<EasyBinding>,
}

/// What an update does to the rotation hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookChange {
    /// The hook goes.
    Clear,
    /// The hook stays as it is.
    Keep,
    /// This is the hook now.
    Set(String),
}

impl UpdateSecret {
    /// What happens to the hook: kept unless one was given; an empty one that was given clears it.
    pub fn hook(&self) -> HookChange {
        match &self.rotate_via {
            Some(hook) if !hook.is_empty() => HookChange::Set(hook.clone()),
            _ if self.rotate_via_set => HookChange::Clear,
            _ => HookChange::Keep,
        }
    }
}

/// `secrets.get`: always refused with [`super::super::FailureCode::Unauthorized`]; kept because clients may ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetSecret {
    /// Which secret.
    pub name: SecretName,
}

/// `secrets.delete`: ends the secret's leases, then removes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteSecret {
    /// Which secret.
    pub name: SecretName,
}

/// The answer to `secrets.delete`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deleted {
    /// Always true.
    pub success: bool,
    /// One sentence without a final stop.
    pub message: String,
    /// The generated policy files that went with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub removed: Vec<PathBuf>,
    /// The policy files that grant it to whoever gets its name, because a person wrote or edited them, or because they
    /// cannot be removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub kept: Vec<PathBuf>,
}

/// The answer to `secrets.list`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretList {
    /// By name.
    #[serde(deserialize_with = "null_is_default")]
    pub secrets: Vec<SecretEntry>,
}

/// One secret, without its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretEntry {
    /// Its name.
    pub name: SecretName,
    /// When it was added.
    pub created_at: Timestamp,
    /// When value or metadata last changed.
    pub updated_at: Timestamp,
    /// The rotation hook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotate_via: Option<String>,
    /// When the hook last replaced the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_rotated: Option<Timestamp>,
    /// How many live leases it has.
    #[serde(default, deserialize_with = "null_is_default")]
    pub active_leases: u64,
    /// The service that it is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceId>,
    /// Which credential of that service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// Whether the raw value may be revealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<RawAccess>,
    /// How often the hook runs by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotate_every: Option<TimeToLive>,
    /// When the value ends, if its hook said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// How many rotations failed since the last that did not.
    #[serde(default, deserialize_with = "null_is_default")]
    pub rotation_failures: u32,
    /// Why the last one failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation_error: Option<String>,
    /// When it is tried again by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_rotation: Option<Timestamp>,
}

/// `secrets.lease`: reveals the raw value, recorded as such.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseSecret {
    /// Which secret.
    pub secret_name: SecretName,
    /// For whom; a label.
    pub client_id: ClientId,
    /// How long; the setting's default when empty.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "empty_is_none")]
    pub ttl: Option<TimeToLive>,
}

/// The answer to `secrets.lease`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leased {
    /// The lease.
    pub lease_id: LeaseId,
    /// The raw value.
    pub value: WireValue,
    /// When the lease ends; the value itself cannot be taken back.
    pub expires_at: Timestamp,
    /// How long it lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<TimeToLive>,
}

/// `secrets.revoke`: ends one lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokeLease {
    /// Which lease. A text that is no id is the id of no lease.
    pub lease_id: String,
}

impl RevokeLease {
    /// Ends this lease.
    pub fn of(lease: LeaseId) -> Self {
        Self { lease_id: lease.to_string() }
    }
}

/// The answer to `secrets.revokeAll` and `revoke`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// Always true.
    pub success: bool,
    /// How many leases were live and are not any more.
    pub leases_revoked: u64,
    /// One sentence without a final stop.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_is_kept_unless_one_was_given() {
        let change = |json: &str| serde_json::from_str::<UpdateSecret>(json).unwrap().hook();
        assert_eq!(change(r#"{"name":"a","value":"v"}"#), HookChange::Keep);
        assert_eq!(change(r#"{"name":"a","rotate_via":""}"#), HookChange::Keep);
        assert_eq!(change(r#"{"name":"a","rotate_via":"","rotate_via_set":true}"#), HookChange::Clear);
        assert_eq!(change(r#"{"name":"a","rotate_via":"x"}"#), HookChange::Set("x".into()));
    }

    #[test]
    fn an_empty_ttl_is_the_default_and_a_bad_one_is_not() {
        let read = |ttl: &str| {
            serde_json::from_str::<LeaseSecret>(&format!(r#"{{"secret_name":"a","client_id":"c","ttl":"{ttl}"}}"#))
        };
        assert_eq!(read("").unwrap().ttl, None);
        assert_eq!(read("1h").unwrap().ttl, Some(TimeToLive::HOUR));
        assert!(read("-1h").is_err());
    }
}
