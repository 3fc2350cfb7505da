//! `secrets.health`: counters and warnings, in agent-secrets' fields.

use super::{
    service::{Desk, Outcome},
    translate::failure,
};
use crate::{
    audit,
    broker::{Warning, WarningKind},
    control::{Failure, FailureCode, Health, HealthWarning},
};

impl Desk {
    /// Reads the log once, off the runtime's threads: it may be long.
    pub(super) async fn health(&self) -> Outcome {
        self.broker.audit().flush().map_err(|error| failure(error.into()))?;
        let path = self.home.audit();
        let read = tokio::task::spawn_blocking(move || audit::last_uses(&path)).await;
        let broken = |_| Failure::new(FailureCode::Internal, "reading the audit log broke off");
        let uses = read.map_err(broken)?.map_err(|error| failure(error.into()))?;
        let warnings = self.broker.warnings(&uses);
        let count = |kind: WarningKind| warnings.iter().filter(|warning| warning.kind == kind).count() as u64;
        let secrets = self.broker.store().list();
        let now = self.broker.clock().now();
        let entry = |warning: &Warning| HealthWarning {
            kind: warning.kind.as_str().to_owned(),
            secret_name: warning.secret.as_ref().map(ToString::to_string),
            lease_id: warning.lease,
            message: warning.message.clone(),
            severity: warning.kind.severity().as_str().to_owned(),
            timestamp: Some(now),
        };
        Ok(Health {
            total_secrets: secrets.len() as u64,
            active_leases: self.broker.leases().list().len() as u64,
            expiring_soon: count(WarningKind::ExpiringSoon),
            never_rotated: secrets.iter().filter(|secret| secret.last_rotated.is_none()).count() as u64,
            stale_secrets: count(WarningKind::StaleSecret),
            warnings: warnings.iter().map(entry).collect(),
        }
        .into())
    }
}
