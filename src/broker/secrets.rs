//! Secrets: add, update, remove; each recorded, each with what policy needs for it, one after the other.

use std::{
    path::PathBuf,
    sync::{Arc, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    Broker, Error,
    bind::{Bound, Wish},
};
use crate::{
    audit::{Action, Event, Outcome},
    base::{CutReason, SecretBytes, SecretName, TimeToLive, blocking},
    policy::{EasyService, Left},
    store::{self, Binding, NewSecret, RawReveal, RotationPlan, SecretChange, SecretRecord},
};

/// A secret to be stored.
pub struct NewValue {
    /// Its name.
    pub name: SecretName,
    /// Its bytes.
    pub value: SecretBytes,
    /// The program that obtains the next value.
    pub rotate_via: Option<String>,
    /// Which credential of which service it is; recognised by name and shape when not given.
    pub binding: Option<Binding>,
    /// Whether its raw value may be revealed.
    pub raw: RawReveal,
    /// When and how the next value is obtained.
    pub plan: RotationPlan,
}

/// A secret that was stored or changed, and what that took.
#[derive(Debug)]
pub struct Stored {
    /// The record.
    pub record: Arc<SecretRecord>,
    /// The policy files that were written for it.
    pub files: Vec<PathBuf>,
    /// The grants that were there and give it already, by place; somebody wrote them, or left them behind.
    pub granted_by: Vec<String>,
}

/// A secret that was removed, and what became of what it had.
#[derive(Debug)]
pub struct Removed {
    /// How many leases ended.
    pub leases: usize,
    /// The policy files that named it.
    pub left: Left,
}

impl Broker {
    /// Stores a new secret. When it belongs to a service, a grant for it is written, so that it can be leased at once:
    /// both, or nothing.
    pub fn add(&self, new: NewValue) -> Result<Stored, Error> {
        let name = new.name.clone();
        self.noting(Event::new(Action::SecretAdd).secret(&name), || self.add_now(new, None))
    }

    /// The same for one host and one place, with the service that it takes; the value's shape and name say nothing.
    pub fn add_easy(&self, new: NewValue, service: &EasyService) -> Result<Stored, Error> {
        let name = new.name.clone();
        self.noting(Event::new(Action::SecretAdd).secret(&name), || self.add_now(new, Some(service)))
    }

    fn add_now(&self, new: NewValue, easy: Option<&EasyService>) -> Result<Stored, Error> {
        let _turn = self.secrets_turn();
        self.parts.store.check_new(&new.name, &new.value)?;
        check_schedule(new.plan.every)?;
        if new.plan != RotationPlan::default() && new.rotate_via.as_ref().is_none_or(String::is_empty) {
            return Err(Error::NoHook(new.name));
        }
        let recognised = || {
            let (service, credential) = self.policy().recognise(new.name.as_str(), new.value.expose())?;
            Some(Binding { service, credential })
        };
        let bound = if let Some(easy) = easy {
            Some(self.bind(&new.name, &new.value, Wish::Easy(easy))?)
        } else {
            let binding = new.binding.clone().or_else(recognised);
            binding.map(|binding| self.bind(&new.name, &new.value, Wish::Known(&binding))).transpose()?
        };
        let mut event = Event::new(Action::SecretAdd).secret(&new.name);
        if let Some(bound) = &bound {
            event = event.service(&bound.binding.service);
        }
        self.parts.audit.append(&event)?;
        let mut secret = NewSecret::new(new.name.clone(), new.value).raw(new.raw).plan(new.plan);
        if let Some(hook) = new.rotate_via {
            secret = secret.rotate_via(hook);
        }
        if let Some(bound) = &bound {
            secret = secret.binding(bound.binding.clone());
        }
        self.store_bound(&new.name, bound, || self.parts.store.insert(secret))
    }

    /// Writes the policy, then the secret, and takes the policy back when the secret cannot be written.
    fn store_bound(
        &self,
        name: &SecretName,
        bound: Option<Bound>,
        store: impl FnOnce() -> Result<Arc<SecretRecord>, store::Error>,
    ) -> Result<Stored, Error> {
        let Some(mut bound) = bound else {
            return Ok(Stored { record: store()?, files: Vec::new(), granted_by: Vec::new() });
        };
        let written = self.write_down(name, &mut bound)?;
        let files = written.paths().to_vec();
        match store() {
            Ok(record) => Ok(Stored { record, files, granted_by: bound.granted_by }),
            Err(error) => {
                self.take_back(name, written);
                Err(error.into())
            }
        }
    }

    /// Changes a secret's value or metadata, and its binding when one is given.
    pub fn update(&self, name: &SecretName, change: SecretChange, binding: Option<&Binding>) -> Result<Stored, Error> {
        let event = Event::new(Action::SecretUpdate).secret(name);
        self.noting(event, || self.update_now(name, change, binding.map(Wish::Known)))
    }

    /// The same, and binds it to one host and one place.
    pub fn update_easy(&self, name: &SecretName, change: SecretChange, service: &EasyService) -> Result<Stored, Error> {
        let event = Event::new(Action::SecretUpdate).secret(name);
        self.noting(event, || self.update_now(name, change, Some(Wish::Easy(service))))
    }

    fn update_now(&self, name: &SecretName, mut change: SecretChange, wish: Option<Wish<'_>>) -> Result<Stored, Error> {
        let _turn = self.secrets_turn();
        let old = self.record(name)?;
        check_schedule(change.new_schedule())?;
        if change.is_setting_plan() && !change.leaves_hook(&old) {
            return Err(Error::NoHook(name.clone()));
        }
        let value = change.new_value().unwrap_or(&old.value).clone();
        let bound = match (wish, &old.binding) {
            (Some(wish), _) => Some(self.bind(name, &value, wish)?),
            (None, Some(binding)) => {
                self.check_fits(name, binding, &value)?;
                None
            }
            (None, None) => None,
        };
        if let Some(bound) = &bound {
            change = change.binding(Some(bound.binding.clone()));
        }
        self.parts.audit.append(&Event::new(Action::SecretUpdate).secret(name))?;
        let (gives_value, sets_hook) = (change.is_giving_value(), change.is_setting_hook());
        let stored = self.store_bound(name, bound, || self.parts.store.update(name, change))?;
        if gives_value {
            self.rotations.forget(name);
        }
        if sets_hook {
            self.rotations.forget_health(name);
        }
        self.echoes.forget(name);
        Ok(stored)
    }

    /// Removes a secret after its leases, and then the generated files that grant it.
    pub fn remove(&self, name: &SecretName) -> Result<Removed, Error> {
        self.noting(Event::new(Action::SecretDelete).secret(name), || self.remove_now(name))
    }

    fn remove_now(&self, name: &SecretName) -> Result<Removed, Error> {
        let _turn = self.secrets_turn();
        let mut leases = self.revoke_secret(name)?;
        self.parts.audit.append(&Event::new(Action::SecretDelete).secret(name).reason(CutReason::Revoked))?;
        self.parts.store.remove(name)?;
        self.rotations.forget(name);
        self.echoes.forget(name);
        let meanwhile = self.revoke_leases_of(name); // whoever issues one looks for the secret afterwards
        let left = self.leave(name);
        leases += meanwhile?;
        Ok(Removed { leases, left })
    }

    /// While it is held, nobody else adds, changes or removes a secret, and nothing is wiped.
    pub(super) fn secrets_turn(&self) -> MutexGuard<'_, ()> {
        blocking(|| self.secrets.lock().unwrap_or_else(PoisonError::into_inner)) // it guards no data of its own
    }

    /// Notes a use-case that was refused or failed; that it did stands whether or not it can be noted.
    pub(super) fn noting<T>(&self, event: Event<'_>, act: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        act().inspect_err(|error| {
            let why = error.to_string();
            self.parts.audit.append_lazily(&event.outcome(Outcome::Refused).error(&why));
        })
    }

    /// Binds a secret that is there to a service with one host and one place; the files that were written for it.
    pub fn write_easy(&self, secret: &SecretName, service: &EasyService) -> Result<Vec<PathBuf>, Error> {
        Ok(self.update_easy(secret, SecretChange::new(), service)?.files)
    }
}

/// A hook that runs all the time obtains keys all the time.
fn check_schedule(every: Option<TimeToLive>) -> Result<(), Error> {
    const SHORTEST: Duration = Duration::from_mins(1);
    match every {
        Some(every) if every.get() < SHORTEST => Err(Error::Schedule(every)),
        _ => Ok(()),
    }
}
