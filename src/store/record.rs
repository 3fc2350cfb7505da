//! A secret as the store holds it, and the two ways to put one there: new, or changed.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::rotation::{Former, RotationHealth, RotationPlan};
use crate::base::{SecretBytes, SecretName, ServiceId, Timestamp};

/// One secret with its metadata. Immutable: a change makes a new record.
#[derive(Clone, Debug)]
pub struct SecretRecord {
    /// The name, which is also the key in the file.
    pub name: SecretName,
    /// The bytes; never empty when written by us.
    pub value: SecretBytes,
    /// When the secret was added.
    pub created_at: Timestamp,
    /// When value or metadata last changed.
    pub updated_at: Timestamp,
    /// The command that obtains a new value, if there is one.
    pub rotate_via: Option<String>,
    /// When a rotation last replaced the value, if one did.
    pub last_rotated: Option<Timestamp>,
    /// Which credential of which service this is, if it is known.
    pub binding: Option<Binding>,
    /// Whether the raw value may be handed out.
    pub raw: RawReveal,
    /// How many values this secret has had; the first is 1.
    pub generation: u64,
    /// When and how the hook is run.
    pub plan: RotationPlan,
    /// When the value ends, if its hook said so.
    pub expires_at: Option<Timestamp>,
    /// How the last rotations went.
    pub health: RotationHealth,
    /// The value before this one, while this one is not known to work.
    pub former: Option<Former>,
    /// Fields of other programs, kept as they are.
    pub(super) extra: Vec<KeptField>,
}

/// Which credential of which service a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The service.
    pub service: ServiceId,
    /// The name of the credential within the service file.
    pub credential: Box<str>,
}

/// Whether a raw value may be handed to whoever has the right to ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RawReveal {
    /// It may, as in agent-secrets.
    #[default]
    Allow,
    /// Never: the value only leaves through the proxy.
    Deny,
}

/// A field that we do not know, with the exact JSON text of its value.
#[derive(Clone)]
pub(super) struct KeptField {
    pub(super) key: Box<str>,
    pub(super) json: Arc<Zeroizing<String>>,
}

impl std::fmt::Debug for KeptField {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeptField({:?}, ..)", self.key)
    }
}

/// A secret to be added.
#[derive(Clone, Debug)]
pub struct NewSecret {
    pub(super) name: SecretName,
    pub(super) value: SecretBytes,
    pub(super) rotate_via: Option<String>,
    pub(super) binding: Option<Binding>,
    pub(super) raw: RawReveal,
    pub(super) plan: RotationPlan,
}

impl NewSecret {
    /// A secret with this name and value, no rotation, no binding, raw reveal allowed.
    pub fn new(name: SecretName, value: SecretBytes) -> Self {
        let plan = RotationPlan::default();
        Self { name, value, rotate_via: None, binding: None, raw: RawReveal::Allow, plan }
    }

    /// With this plan for its rotation command.
    #[must_use]
    pub fn plan(mut self, plan: RotationPlan) -> Self {
        self.plan = plan;
        self
    }

    /// With a rotation command; an empty one means none.
    #[must_use]
    pub fn rotate_via(mut self, command: impl Into<String>) -> Self {
        self.rotate_via = Some(command.into()).filter(|text| !text.is_empty());
        self
    }

    /// Bound to a credential of a service.
    #[must_use]
    pub fn binding(mut self, binding: Binding) -> Self {
        self.binding = Some(binding);
        self
    }

    /// With this rule for handing out the raw value.
    #[must_use]
    pub const fn raw(mut self, raw: RawReveal) -> Self {
        self.raw = raw;
        self
    }

    pub(super) fn into_record(self, now: Timestamp) -> SecretRecord {
        SecretRecord {
            name: self.name,
            value: self.value,
            created_at: now,
            updated_at: now,
            rotate_via: self.rotate_via,
            last_rotated: None,
            binding: self.binding,
            raw: self.raw,
            generation: 1,
            plan: self.plan,
            expires_at: None,
            health: RotationHealth::default(),
            former: None,
            extra: Vec::new(),
        }
    }
}
