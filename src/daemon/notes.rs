//! Acts of the commands themselves, put into the record in our own words.

use std::time::Duration;

use super::{
    Error, record_key,
    service::{Desk, Outcome},
    translate::failure,
};
use crate::{
    audit::{self, Action, AuditLog, Event},
    base::{Clock, FileLock, Home, counted},
    control::{Done, Failure, FailureCode, Note, RefusedChange},
    store,
};

/// How long the lock of a daemon that is just ending is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Records an act in a home whose daemon does not run, and starts none. Nothing is made where there is no store.
pub fn note_offline(home: &Home, note: &Note, clock: &Clock) -> Result<(), Error> {
    if !home.identity().exists() {
        return Err(store::Error::NotInitialised(home.folder().to_owned()).into());
    }
    let _lock = FileLock::acquire_within(&home.daemon_lock(), PATIENCE)?;
    // Without the key the newest line stays noted as it was; the record may be longer than its note.
    let witness = record_key::found(home).unwrap_or_default();
    let settings = audit::Settings { witness, ..audit::Settings::default() };
    let (log, _) = AuditLog::open(&home.audit(), settings, clock.clone())?;
    let (action, details) = words(note);
    log.append(&of(note, Event::new(action).details(&details)))?;
    log.note_head()?;
    Ok(())
}

/// An act in the words of the record.
fn words(note: &Note) -> (Action, String) {
    match note {
        Note::Cleanup { files, leases } => {
            (Action::Cleanup, format!("{}, {}", counted(*files, "file"), counted(*leases, "lease")))
        }
        Note::EnvWrite { variables, raw, .. } => {
            let kind = if *raw { "raw values" } else { "lease tokens" };
            (Action::EnvWrite, format!("{}, {kind}", counted(*variables, "variable")))
        }
        Note::ProviderPull { source, scope, names } => {
            let listed: Vec<&str> = names.iter().map(crate::base::VariableName::as_str).collect();
            let (source, scope) = (source.as_str(), scope.as_str());
            (Action::ProviderPull, format!("{source} {scope}, {} raw values: {}", names.len(), listed.join(" ")))
        }
        Note::Refused { change, .. } => {
            let action = match change {
                RefusedChange::Add => Action::SecretAdd,
                RefusedChange::Update => Action::SecretUpdate,
            };
            (action, "refused by the command".to_owned())
        }
        Note::Scan { files, critical, high, medium, low, migrated } => {
            let found = format!("{critical} critical, {high} high, {medium} medium, {low} low");
            (Action::Scan, format!("{}: {found}; {migrated} migrated", counted(*files, "file")))
        }
    }
}

/// What the record says beside the words.
fn of<'a>(note: &'a Note, event: Event<'a>) -> Event<'a> {
    match note {
        Note::EnvWrite { client_id, .. } => event.client(client_id),
        Note::Refused { secret, error, .. } => {
            let event = event.outcome(audit::Outcome::Refused).error(error);
            match secret {
                Some(secret) => event.secret(secret),
                None => event,
            }
        }
        Note::Cleanup { .. } | Note::ProviderPull { .. } | Note::Scan { .. } => event,
    }
}

impl Desk {
    /// Records an act; the answer comes when it is recorded.
    pub(super) fn note(&self, note: &Note) -> Outcome {
        if let Note::ProviderPull { names, .. } = note
            && names.len() > Note::MAX_NAMES
        {
            let message = format!("at most {} names are recorded at once", Note::MAX_NAMES);
            return Err(Failure::new(FailureCode::InvalidParams, message));
        }
        if let Note::Refused { error, .. } = note
            && error.len() > Note::MAX_WHY
        {
            let message = format!("a reason has at most {} bytes", Note::MAX_WHY);
            return Err(Failure::new(FailureCode::InvalidParams, message));
        }
        let (action, details) = words(note);
        let event = of(note, Event::new(action).details(&details));
        self.broker.audit().append(&event).map_err(|error| failure(error.into()))?;
        Ok(Done::new("it is recorded").into())
    }
}
