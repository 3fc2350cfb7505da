//! Acts of the commands themselves that belong into the record: counts and names, never values.

use serde::{Deserialize, Serialize};

use crate::{
    base::{ClientId, SecretName, VariableName},
    project::{ProviderScope, ProviderSource},
};

/// `audit.note`: a command did something that the daemon had no part in; answered when it is recorded. Only `scan` is
/// also for processes inside a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Note {
    /// Env files whose time was over were removed.
    Cleanup {
        /// How many.
        files: u64,
        /// How many leases that they held ended with them.
        leases: u64,
    },
    /// An env file was written.
    EnvWrite {
        /// For whom; a label.
        client_id: ClientId,
        /// How many variables it holds.
        variables: u64,
        /// Whether they are raw values.
        raw: bool,
    },
    /// Raw values were fetched from an outside keeper, for an env file or a program.
    ProviderPull {
        /// Who keeps them.
        source: ProviderSource,
        /// Which of its environments.
        scope: ProviderScope,
        /// Under which variables they were handed out; at most [`Note::MAX_NAMES`].
        names: Vec<VariableName>,
    },
    /// `add` or `update` was refused before there was anything to ask the daemon for.
    Refused {
        /// What was refused.
        change: RefusedChange,
        /// Of which secret; nothing where the name is no name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        secret: Option<SecretName>,
        /// Why, in one sentence; at most [`Note::MAX_WHY`] bytes.
        error: String,
    },
    /// Files were scanned for secrets.
    Scan {
        /// How many.
        files: u64,
        /// How many findings of this severity.
        critical: u64,
        /// The same.
        high: u64,
        /// The same.
        medium: u64,
        /// The same.
        low: u64,
        /// How many were moved into the store.
        migrated: u64,
    },
}

impl Note {
    /// The most names of one note.
    pub const MAX_NAMES: usize = 1_000;
    /// The longest reason of one note, in bytes.
    pub const MAX_WHY: usize = 1_000;
}

/// A change of the store that a command refuses by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusedChange {
    /// `secrets add`.
    Add,
    /// `secrets update`.
    Update,
}
