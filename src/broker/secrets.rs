//! Secrets: add, update, remove; each recorded, each with what policy needs for it.

use std::{sync::Arc, time::Duration};

use super::{Broker, Error};
use crate::{
    audit::{Action, Event, Outcome},
    base::{CutReason, SecretBytes, SecretName, ServiceId, TimeToLive},
    inject,
    policy::{EasyService, NewGrant, write_grant, write_service},
    store::{Binding, NewSecret, RawReveal, RotationPlan, SecretChange, SecretRecord},
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

/// What adding did.
pub struct Added {
    /// The record.
    pub record: Arc<SecretRecord>,
    /// The grant file that was written, if one was.
    pub grant: Option<std::path::PathBuf>,
}

impl Broker {
    /// Stores a new secret. When it belongs to a service, a grant for it is written, so that it can be leased at once.
    pub fn add(&self, new: NewValue) -> Result<Added, Error> {
        let name = new.name.clone();
        self.noting(Event::new(Action::SecretAdd).secret(&name), || self.add_now(new))
    }

    fn add_now(&self, new: NewValue) -> Result<Added, Error> {
        self.parts.store.check_new(&new.name, &new.value)?;
        let policy = self.policy();
        let binding = new.binding.or_else(|| {
            let (service, credential) = policy.recognise(new.name.as_str(), new.value.expose())?;
            Some(Binding { service, credential })
        });
        if let Some(binding) = &binding {
            self.check_binding(binding)?;
            self.check_fits(&new.name, binding, &new.value)?;
        }
        check_schedule(new.plan.every)?;
        let mut event = Event::new(Action::SecretAdd).secret(&new.name);
        if let Some(binding) = &binding {
            event = event.service(&binding.service);
        }
        self.parts.audit.append(&event)?;
        let mut secret = NewSecret::new(new.name, new.value).raw(new.raw).plan(new.plan);
        if let Some(hook) = new.rotate_via {
            secret = secret.rotate_via(hook);
        }
        if let Some(binding) = &binding {
            secret = secret.binding(binding.clone());
        }
        let record = self.parts.store.insert(secret)?;
        let grant = match binding {
            Some(binding) => self.grant_for(&record.name, &binding)?,
            None => None,
        };
        Ok(Added { record, grant })
    }

    /// Changes a secret's value or metadata, and its binding when one is given.
    pub fn update(
        &self,
        name: &SecretName,
        change: SecretChange,
        binding: Option<Binding>,
    ) -> Result<Arc<SecretRecord>, Error> {
        self.noting(Event::new(Action::SecretUpdate).secret(name), || self.update_now(name, change, binding))
    }

    fn update_now(
        &self,
        name: &SecretName,
        mut change: SecretChange,
        binding: Option<Binding>,
    ) -> Result<Arc<SecretRecord>, Error> {
        let old = self.record(name)?;
        if let Some(binding) = &binding {
            self.check_binding(binding)?;
        }
        if let Some(binding) = binding.as_ref().or(old.binding.as_ref()) {
            self.check_fits(name, binding, change.new_value().unwrap_or(&old.value))?;
        }
        if let Some(binding) = binding {
            change = change.binding(Some(binding));
        }
        check_schedule(change.new_schedule())?;
        self.parts.audit.append(&Event::new(Action::SecretUpdate).secret(name))?;
        let (gives_value, sets_hook) = (change.is_giving_value(), change.is_setting_hook());
        let record = self.parts.store.update(name, change)?;
        if gives_value {
            self.rotations.forget(name);
        }
        if sets_hook {
            self.rotations.forget_health(name);
        }
        self.echoes.forget(name);
        Ok(record)
    }

    /// Removes a secret, after its leases; says how many leases those were.
    pub fn remove(&self, name: &SecretName) -> Result<usize, Error> {
        self.noting(Event::new(Action::SecretDelete).secret(name), || self.remove_now(name))
    }

    fn remove_now(&self, name: &SecretName) -> Result<usize, Error> {
        self.record(name)?;
        let revoked = self.revoke_secret(name)?;
        self.parts.audit.append(&Event::new(Action::SecretDelete).secret(name).reason(CutReason::Revoked))?;
        self.parts.store.remove(name)?;
        self.rotations.forget(name);
        self.echoes.forget(name);
        Ok(revoked)
    }

    /// Notes a use-case that was refused or failed; that it did stands whether or not it can be noted.
    pub(super) fn noting<T>(&self, event: Event<'_>, act: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        act().inspect_err(|error| {
            let why = error.to_string();
            self.parts.audit.append_lazily(&event.outcome(Outcome::Refused).error(&why));
        })
    }

    fn check_binding(&self, binding: &Binding) -> Result<(), Error> {
        let policy = self.policy();
        let service = policy.service(&binding.service).ok_or_else(|| {
            Error::Policy(format!("no service has the id `{}`; see `secrets policy list`", binding.service))
        })?;
        if service.credential(&binding.credential).is_none() {
            let known: Vec<&str> = service.credentials().iter().map(crate::policy::Credential::name).collect();
            return Err(Error::Policy(format!(
                "service `{}` has no credential `{}`; it has `{}`",
                binding.service,
                binding.credential,
                known.join("`, `")
            )));
        }
        Ok(())
    }

    /// A grant in the user's own folder, for everyone; a service with several credentials is granted when all are there.
    fn grant_for(&self, name: &SecretName, binding: &Binding) -> Result<Option<std::path::PathBuf>, Error> {
        let policy = self.policy();
        let Some(service) = policy.service(&binding.service) else { return Ok(None) };
        let mut items: Vec<(Box<str>, SecretName)> = Vec::new();
        for credential in service.credentials() {
            let secret = self.secret_of(&binding.service, credential.name(), name, binding);
            items.extend(secret.map(|secret| (credential.name().into(), secret)));
        }
        let whole = items.len() == service.credentials().len();
        let already = policy.grants().any(|grant| {
            *grant.service() == binding.service
                && grant.items().any(|(_, secret)| items.iter().any(|(_, i)| i == secret))
        });
        let grant = policy.default_grant(&binding.service, items).filter(|_| whole && !already);
        grant.map(|grant| self.write_grant(&grant)).transpose()
    }

    fn secret_of(&self, service: &ServiceId, credential: &str, new: &SecretName, own: &Binding) -> Option<SecretName> {
        if &*own.credential == credential {
            return Some(new.clone());
        }
        let bound = |record: &Arc<SecretRecord>| {
            record.binding.as_ref().is_some_and(|b| b.service == *service && &*b.credential == credential)
        };
        self.parts.store.list().iter().find(|record| bound(record)).map(|record| record.name.clone())
    }

    /// Writes a service with one host and one place, and binds and grants the secret to it.
    pub fn write_easy(&self, secret: &SecretName, service: &EasyService) -> Result<Vec<std::path::PathBuf>, Error> {
        let record = self.record(secret)?;
        inject::check(&(&service.place).into(), record.value.expose())
            .map_err(|error| Error::Unfit { secret: secret.clone(), error })?;
        let details = format!("service {} and a grant for it", service.id);
        self.parts
            .audit
            .append(&Event::new(Action::PolicyChange).service(&service.id).secret(secret).details(&details))?;
        let folder = self.parts.policy.folder();
        let file = write_service(folder, service).map_err(|error| Error::Policy(error.to_string()))?;
        self.parts.policy.reload().map_err(|errors| Error::Policy(errors.to_string()))?;
        let policy = self.policy();
        let credential = policy.service(&service.id).and_then(|service| service.credentials().first());
        let credential = credential.map_or("key", crate::policy::Credential::name);
        let binding = Binding { service: service.id.clone(), credential: credential.into() };
        self.parts.store.update(secret, SecretChange::new().binding(Some(binding.clone())))?;
        let grant = self.grant_for(secret, &binding)?;
        Ok(std::iter::once(file).chain(grant).collect())
    }

    /// Writes a grant and puts it in force.
    pub fn write_grant(&self, grant: &NewGrant) -> Result<std::path::PathBuf, Error> {
        let details = format!("grant for service {}", grant.service);
        self.parts.audit.append(&Event::new(Action::PolicyChange).service(&grant.service).details(&details))?;
        let written =
            write_grant(self.parts.policy.folder(), grant).map_err(|error| Error::Policy(error.to_string()))?;
        self.parts.policy.reload().map_err(|errors| Error::Policy(errors.to_string()))?;
        Ok(written)
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
