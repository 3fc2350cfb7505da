//! What deserves a look: leases and values about to end, secrets that nobody rotates or uses, grants that give a lot.

use std::{collections::BTreeMap, time::Duration};

use super::Broker;
use crate::{
    base::{LeaseId, SecretName, Timestamp, counted, shell_word},
    lease::Lease,
    store::{RotationHealth, SecretRecord},
};

/// Without a use for so long a secret is stale; younger than this it may just not have been needed yet.
const UNUSED: Duration = Duration::from_hours(30 * 24);

/// The kinds of warnings; the first four are agent-secrets'.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WarningKind {
    /// A lease has less than a tenth of its time left, and at most an hour.
    ExpiringSoon,
    /// A secret has no rotation hook.
    NoRotationHook,
    /// A secret was used, but not for 30 days.
    StaleSecret,
    /// A secret is older than 30 days, and the log knows no use of it.
    NeverAccessed,
    /// A rotation hook failed, and has not succeeded since.
    HookFailed,
    /// A value has ended, or ends within a day and nothing replaces it.
    ValueExpiring,
    /// A grant gives everyone what is dangerous, without asking.
    BroadGrant,
}

impl WarningKind {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ExpiringSoon => "expiring_soon",
            Self::NoRotationHook => "no_rotation_hook",
            Self::StaleSecret => "stale_secret",
            Self::NeverAccessed => "never_accessed",
            Self::HookFailed => "hook_failed",
            Self::ValueExpiring => "value_expiring",
            Self::BroadGrant => "broad_grant",
        }
    }

    /// Whether it is about something that will go wrong, or only worth knowing.
    pub const fn severity(self) -> Severity {
        match self {
            Self::ExpiringSoon | Self::HookFailed | Self::ValueExpiring | Self::BroadGrant => Severity::Warning,
            Self::NoRotationHook | Self::StaleSecret | Self::NeverAccessed => Severity::Info,
        }
    }
}

/// How much a warning matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Something will go wrong, or could.
    Warning,
}

impl Severity {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
        }
    }
}

/// One warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Its kind.
    pub kind: WarningKind,
    /// About which secret.
    pub secret: Option<SecretName>,
    /// About which lease.
    pub lease: Option<LeaseId>,
    /// One sentence that says what to do.
    pub message: String,
}

impl Broker {
    /// Everything that deserves a look, by kind. `uses` says when each secret was last used, as far as the log knows.
    pub fn warnings(&self, uses: &BTreeMap<String, Timestamp>) -> Vec<Warning> {
        let now = self.clock().now();
        let mut warnings: Vec<Warning> = self.leases().list().iter().filter_map(|lease| ending(lease, now)).collect();
        for record in self.store().list() {
            let health = self.rotation_health(&record);
            warnings.extend(without_hook(&record));
            warnings.extend(failed_hook(&record, &health));
            warnings.extend(expiring_value(&record, &health, now));
            warnings.extend(unused(&record, uses.get(record.name.as_str()).copied(), now));
        }
        warnings.extend(self.policy().broad_grants().into_iter().map(|broad| Warning {
            kind: WarningKind::BroadGrant,
            secret: broad.secret.and_then(|name| name.parse().ok()),
            lease: None,
            message: format!("{}: {}; list `agents`, or move them to `ask`", broad.place, broad.why),
        }));
        warnings.sort_by_key(|warning| warning.kind);
        warnings
    }
}

fn ending(lease: &Lease, now: Timestamp) -> Option<Warning> {
    let left = lease.deadline.wall().since(now);
    let whole = lease.deadline.wall().since(lease.created_at);
    let is_soon = left <= whole / 10 && left <= Duration::from_hours(1);
    is_soon.then(|| Warning {
        kind: WarningKind::ExpiringSoon,
        secret: Some(lease.secret.clone()),
        lease: Some(lease.id),
        message: format!(
            "the lease of `{}` for `{}` ends in {} s; its work should be done or a new one asked for",
            lease.secret,
            lease.client,
            left.as_secs()
        ),
    })
}

fn about(kind: WarningKind, record: &SecretRecord, message: String) -> Warning {
    Warning { kind, secret: Some(record.name.clone()), lease: None, message }
}

fn without_hook(record: &SecretRecord) -> Option<Warning> {
    record.rotate_via.is_none().then(|| {
        let word = shell_word(record.name.as_str());
        let message = format!("`{}` has no rotation hook; `secrets update {word} --rotate-via …`", record.name);
        about(WarningKind::NoRotationHook, record, message)
    })
}

fn failed_hook(record: &SecretRecord, health: &RotationHealth) -> Option<Warning> {
    record.rotate_via.as_ref()?;
    let (Some(error), 1..) = (&health.error, health.failures) else { return None };
    let (name, times) = (&record.name, counted(health.failures.into(), "time"));
    let message =
        format!("rotation failed {times}: {error}; mend the hook, then `secrets rotate {}`", shell_word(name.as_str()));
    Some(about(WarningKind::HookFailed, record, message))
}

fn expiring_value(record: &SecretRecord, health: &RotationHealth, now: Timestamp) -> Option<Warning> {
    let ends = record.expires_at?;
    let is_kept_fresh = record.rotate_via.is_some() && health.failures == 0;
    let is_worth_a_word = ends <= now || (!is_kept_fresh && ends.since(now) <= Duration::from_hours(24));
    is_worth_a_word.then(|| {
        let word = shell_word(record.name.as_str());
        let verb = if record.rotate_via.is_some() { "rotate" } else { "update" };
        let message = format!("the value of `{}` ends at {ends}; replace it with `secrets {verb} {word}`", record.name);
        about(WarningKind::ValueExpiring, record, message)
    })
}

fn unused(record: &SecretRecord, used: Option<Timestamp>, now: Timestamp) -> Option<Warning> {
    match used {
        Some(used) if now.since(used) > UNUSED => {
            let days = now.since(used).as_secs() / 86_400;
            let message = format!("`{}` was last used {days} days ago; delete it if nobody needs it", record.name);
            Some(about(WarningKind::StaleSecret, record, message))
        }
        None if now.since(record.created_at) > UNUSED => {
            let message = format!("`{}` was never used as far as the record goes; delete it if so", record.name);
            Some(about(WarningKind::NeverAccessed, record, message))
        }
        _ => None,
    }
}
