//! Which service a secret belongs to and which files that takes: judged before anything is stored, written before the
//! secret is, and taken back when it cannot be.

use std::sync::Arc;

use super::{Broker, Error};
use crate::{
    audit::{Action, Event, Outcome},
    base::{SecretBytes, SecretName, ServiceId, blocking},
    inject,
    policy::{Credential, Draft, EasyService, Left, PolicySet, Written, leave},
    store::{Binding, SecretRecord},
};

/// What a secret is to belong to.
#[derive(Clone, Copy)]
pub(super) enum Wish<'a> {
    /// A service that policy knows.
    Known(&'a Binding),
    /// One host and one place.
    Easy(&'a EasyService),
}

/// What a secret will belong to.
pub(super) struct Bound {
    pub(super) binding: Binding,
    /// The files that are missing.
    pub(super) draft: Option<Draft>,
    /// Grants that are there and give it already, by place.
    pub(super) granted_by: Vec<String>,
}

impl Broker {
    /// Judges a binding and the value that it is for; writes nothing.
    pub(super) fn bind(&self, name: &SecretName, value: &SecretBytes, wish: Wish<'_>) -> Result<Bound, Error> {
        let (binding, draft) = match wish {
            Wish::Known(binding) => {
                self.check_binding(binding)?;
                self.check_fits(name, binding, value)?;
                (binding.clone(), None)
            }
            Wish::Easy(easy) => {
                let unfit = |error| Error::Unfit { secret: name.clone(), error };
                inject::check(&(&easy.place).into(), value.expose()).map_err(unfit)?;
                let mut draft = self.draft()?;
                let (service, credential) = draft.service(easy)?;
                (Binding { service, credential }, Some(draft))
            }
        };
        let policy = self.policy();
        let set = draft.as_ref().map_or(&*policy, Draft::set);
        let Some(items) = self.items_of(set, name, &binding) else {
            return Ok(Bound { binding, draft, granted_by: Vec::new() });
        };
        let is_of = |grant: &&crate::policy::Grant| *grant.service() == binding.service;
        let gives = |grant: &&crate::policy::Grant| grant.items().any(|(_, item)| items.iter().any(|(_, i)| i == item));
        let granted_by: Vec<String> =
            set.grants().filter(is_of).filter(gives).map(|grant| grant.place().to_owned()).collect();
        if !granted_by.is_empty() {
            return Ok(Bound { binding, draft, granted_by });
        }
        let mut draft = draft.map_or_else(|| self.draft(), Ok)?;
        if let Some(grant) = draft.set().default_grant(&binding.service, items) {
            draft.grant(&grant)?;
        }
        Ok(Bound { binding, draft: Some(draft), granted_by })
    }

    fn draft(&self) -> Result<Draft, Error> {
        Ok(blocking(|| Draft::new(self.parts.policy.folder()))?)
    }

    /// Which secret would serve as which credential; a service with several is granted when all are there.
    fn items_of(&self, set: &PolicySet, name: &SecretName, own: &Binding) -> Option<Vec<(Box<str>, SecretName)>> {
        let credentials = set.service(&own.service)?.credentials();
        let secret_of = |credential: &Credential| {
            let secret = self.secret_of(&own.service, credential.name(), name, own)?;
            Some((credential.name().into(), secret))
        };
        credentials.iter().map(secret_of).collect()
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

    fn check_binding(&self, binding: &Binding) -> Result<(), Error> {
        let policy = self.policy();
        let service = policy.service(&binding.service).ok_or_else(|| {
            Error::Policy(format!("no service has the id `{}`; see `secrets policy list`", binding.service))
        })?;
        if service.credential(&binding.credential).is_none() {
            let known: Vec<&str> = service.credentials().iter().map(Credential::name).collect();
            return Err(Error::Policy(format!(
                "service `{}` has no credential `{}`; it has `{}`",
                binding.service,
                binding.credential,
                known.join("`, `")
            )));
        }
        Ok(())
    }

    /// Writes what a binding takes and puts it in force; all of it, or nothing.
    pub(super) fn write_down(&self, secret: &SecretName, bound: &mut Bound) -> Result<Written, Error> {
        let Some(draft) = bound.draft.take().filter(|draft| !draft.is_empty()) else { return Ok(Written::default()) };
        let service = &bound.binding.service;
        let details = format!("a grant for service {service}");
        let event = Event::new(Action::PolicyChange).service(service).secret(secret).details(&details);
        self.parts.audit.append(&event)?;
        let written = blocking(|| draft.write())?;
        if let Err(errors) = blocking(|| self.parts.policy.reload()) {
            self.take_back(secret, written);
            return Err(Error::Policy(errors.brief()));
        }
        Ok(written)
    }

    /// Removes what was written for a secret that could not be stored.
    pub(super) fn take_back(&self, secret: &SecretName, written: Written) {
        if written.paths().is_empty() {
            return;
        }
        let left = blocking(|| {
            let left = written.take_back();
            let _ = self.parts.policy.reload(); // what is wrong with the files is told where they are looked at
            left
        });
        let mut event = Event::new(Action::PolicyChange).secret(secret).details("taken back: nothing was stored");
        if !left.is_empty() {
            tracing::error!(?left, "policy files that nothing belongs to could not be removed");
            event = event.outcome(Outcome::Failed);
        }
        self.parts.audit.append_lazily(&event);
    }

    /// Takes the generated files of a removed secret away, and puts that in force.
    pub(super) fn leave(&self, secret: &SecretName) -> Left {
        let records = self.parts.store.list();
        let is_used =
            |id: &str| records.iter().any(|r| r.binding.as_ref().is_some_and(|binding| binding.service.as_str() == id));
        let left = blocking(|| {
            let left = leave(self.parts.policy.folder(), secret, is_used);
            if !left.removed.is_empty() {
                let _ = self.parts.policy.reload(); // what is wrong with the files is told where they are looked at
            }
            left
        });
        let names = |paths: &mut dyn Iterator<Item = &std::path::PathBuf>| {
            let names = paths.filter_map(|path| path.file_name()).map(|name| name.to_string_lossy().into_owned());
            names.collect::<Vec<_>>().join(", ")
        };
        for (what, outcome, names) in [
            ("removed", Outcome::Ok, names(&mut left.removed.iter())),
            ("kept", Outcome::Ok, names(&mut left.kept.iter())),
            ("not removed", Outcome::Failed, names(&mut left.failed.iter().map(|(path, _)| path))),
        ] {
            if !names.is_empty() {
                let details = format!("{what}: {names}");
                let event = Event::new(Action::PolicyChange).secret(secret).outcome(outcome).details(&details);
                self.parts.audit.append_lazily(&event);
            }
        }
        left
    }
}
