//! Acts of the commands themselves, put into the record in our own words.

use super::{
    service::{Desk, Outcome},
    translate::failure,
};
use crate::{
    audit::{Action, Event},
    base::counted,
    control::{Done, Failure, FailureCode, Note},
};

impl Desk {
    /// Records an act; the answer comes when it is recorded.
    pub(super) fn note(&self, note: &Note) -> Outcome {
        let (action, details) = match note {
            Note::Cleanup { files, leases } => {
                (Action::Cleanup, format!("{}, {}", counted(*files, "file"), counted(*leases, "lease")))
            }
            Note::EnvWrite { variables, raw, .. } => {
                let kind = if *raw { "raw values" } else { "lease tokens" };
                (Action::EnvWrite, format!("{}, {kind}", counted(*variables, "variable")))
            }
            Note::ProviderPull { names, .. } if names.len() > Note::MAX_NAMES => {
                let message = format!("at most {} names are recorded at once", Note::MAX_NAMES);
                return Err(Failure::new(FailureCode::InvalidParams, message));
            }
            Note::ProviderPull { source, scope, names } => {
                let listed: Vec<&str> = names.iter().map(crate::project::VariableName::as_str).collect();
                let (source, scope) = (source.as_str(), scope.as_str());
                (Action::ProviderPull, format!("{source} {scope}, {} raw values: {}", names.len(), listed.join(" ")))
            }
            Note::Scan { files, critical, high, medium, low, migrated } => {
                let found = format!("{critical} critical, {high} high, {medium} medium, {low} low");
                (Action::Scan, format!("{}: {found}; {migrated} migrated", counted(*files, "file")))
            }
        };
        let mut event = Event::new(action).details(&details);
        if let Note::EnvWrite { client_id, .. } = note {
            event = event.client(client_id);
        }
        self.broker.audit().append(&event).map_err(|error| failure(error.into()))?;
        Ok(Done::new("it is recorded").into())
    }
}
