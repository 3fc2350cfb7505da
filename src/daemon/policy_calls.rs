//! The control plane's calls about policy: list, reload, what the easy case asks for, and what a project narrows.

use std::{path::Path, sync::Arc};

use super::{
    service::{Desk, Outcome},
    translate::failure,
};
use crate::{
    audit,
    base::{Environment, Origin, SecretName, shell_word},
    broker::{self, Around},
    control::{self, Failure, FailureCode},
    policy::{self, EasyService},
    project,
    recipe::BasicPart,
};

impl Desk {
    /// What a session's project is and gives up, read once: later edits of its files do not reach a running session.
    pub(super) fn around(&self, folder: &Path, environment: Option<&Environment>) -> Result<Around, Failure> {
        self.around_with(folder, None, environment)
    }

    /// The same with a text that narrows like one more of the project's files.
    pub(super) fn around_with(
        &self,
        folder: &Path,
        narrow: Option<&str>,
        environment: Option<&Environment>,
    ) -> Result<Around, Failure> {
        let found = project::find(folder).map_err(|error| Failure::new(FailureCode::Settings, error.to_string()))?;
        let policy = self.broker.policy();
        let (mut narrows, mut wanted) = (Vec::new(), Vec::new());
        let mut take = |file: Option<&Path>, read: Result<policy::Project, policy::LoadErrors>| {
            let place = &file.map_or_else(|| "narrow".to_owned(), |file| file.display().to_string());
            let read = read.map_err(|errors| project_failure(file, errors.brief()))?;
            for one in &read.narrows {
                policy.check_narrow(one).map_err(|why| project_failure(file, format!("{place}: {why}")))?;
            }
            wanted.extend(read.environment.map(|wanted| (place.clone(), wanted)));
            narrows.extend(read.narrows);
            Ok::<_, Failure>(())
        };
        for path in &found.narrowing {
            take(Some(path), policy.read_project(path))?;
        }
        if let Some(text) = narrow {
            take(None, policy.parse_project("narrow", text))?;
        }
        check_environment(&wanted, environment)?;
        let project = found.folder().unwrap_or(folder).to_owned();
        Ok(Around { project: Some(project), narrow: narrows, environment: environment.cloned(), ..Around::default() })
    }

    /// Whether a folder's project may be worked on in this environment, by the rule of sessions.
    pub(super) fn check_project(&self, check: &control::CheckProject) -> Outcome {
        let around = self.around(&check.project_dir, check.environment.as_ref())?;
        for secret in &check.tokens_of {
            let record = self.broker.store().get(secret);
            let bound = record.as_ref().and_then(|record| record.binding.as_ref());
            let is_narrowed =
                |bound: &crate::store::Binding| around.narrow.iter().any(|one| *one.service() == bound.service);
            let Some(bound) = bound.filter(|bound| is_narrowed(bound)) else { continue };
            let message = format!(
                "the project narrows `{}`, which holds in a session; a token outside of one would be good for more",
                bound.service
            );
            let environment = check.environment.as_ref();
            let environment =
                environment.map_or_else(String::new, |is| format!(" --environment {}", shell_word(is.as_str())));
            let fix = format!("secrets exec --secret {}{environment} -- sh", shell_word(secret.as_str()));
            return Err(Failure::new(FailureCode::Policy, message).with_fix(fix));
        }
        Ok(control::Done::new("the project may be worked on").into())
    }

    pub(super) fn list_policy(&self) -> control::PolicyList {
        let policy = self.broker.policy();
        let service = |service: &Arc<policy::Service>| control::ServiceEntry {
            id: service.id().clone(),
            source: service.file().to_owned(),
            hosts: service.origins().collect(),
            credentials: service.credentials().iter().map(|c| c.name().to_owned()).collect(),
            capabilities: service
                .capabilities()
                .iter()
                .map(|cap| control::CapabilityEntry {
                    name: cap.name().to_owned(),
                    risk: cap.risk().to_string(),
                    about: cap.about().to_owned(),
                })
                .collect(),
        };
        let grant = |grant: &policy::Grant| control::GrantEntry {
            service: grant.service().clone(),
            secret: grant.items().next().map(|(_, secret)| secret.to_string()),
            agents: grant.agents(),
            projects: grant.projects(),
            environments: grant.environments(),
            nobody: grant.is_for_nobody(),
            allow: policy.capabilities_of(grant, policy::Verdict::Allow),
            ask: policy.capabilities_of(grant, policy::Verdict::Ask),
            source: grant.place().to_owned(),
        };
        let costs = |service: &Arc<policy::Service>, price: &policy::Price, currency: &str| control::PriceEntry {
            service: service.id().clone(),
            models: price.models(),
            costs: price.units().map(|(name, money)| (name.to_owned(), money.to_string())).collect(),
            currency: (!currency.is_empty()).then(|| currency.to_owned()),
            source: price.place().to_owned(),
        };
        let with_prices = policy.services().filter_map(|service| Some((service, policy.tariff(service.id())?)));
        let prices = with_prices
            .flat_map(|(service, tariff)| tariff.prices().map(move |one| costs(service, one, tariff.currency())));
        control::PolicyList {
            prices: prices.collect(),
            services: policy.services().map(service).collect(),
            grants: policy.grants().map(grant).collect(),
            unknown_host: policy.unknown_host().to_string(),
            faults: self.broker.live_policy().status().failure.as_ref().map(faults).unwrap_or_default(),
        }
    }

    pub(super) fn list_limits(&self, list: &control::ListLimits) -> control::LimitList {
        let mut limits = self.broker.limits_in_force();
        if let Some(secret) = &list.secret {
            limits.retain(|limit| limit.secret == *secret);
        }
        let entry = |broker::LimitInForce { secret, applied, standing }| {
            let limit = &applied.limit;
            control::LimitEntry {
                secret,
                limit: limit.to_string(),
                measure: limit.measure().to_string(),
                most: limit.most(),
                used: standing.used,
                left: standing.left,
                currency: applied.tariff.as_ref().map(|t| t.currency().to_owned()).filter(|word| !word.is_empty()),
                next_in_s: standing.next.seconds(),
                owner: applied.owner,
            }
        };
        control::LimitList { limits: limits.into_iter().map(entry).collect() }
    }

    pub(super) fn reload_policy(&self) -> Outcome {
        self.reload_with(&audit::Event::new(audit::Action::PolicyReload))?;
        let status = self.broker.live_policy().status();
        Ok(control::PolicyReloaded { services: status.services as u64, grants: status.grants as u64 }.into())
    }

    /// Reads the files again; what comes of it is recorded, a success as this event.
    pub(super) fn reload_with(&self, event: &audit::Event<'_>) -> Result<(), Failure> {
        match self.broker.live_policy().reload() {
            Ok(()) => self.broker.audit().append(event).map_err(|error| failure(error.into())),
            Err(errors) => {
                let event = audit::Event::new(audit::Action::PolicyReloadFailed).outcome(audit::Outcome::Failed);
                self.broker.audit().append(&event).map_err(|error| failure(error.into()))?;
                Err(Failure::new(FailureCode::Settings, errors.brief()).with_fix("secrets policy check"))
            }
        }
    }
}

/// The service that the easy case asks for. Its variable is the secret's own name in capitals, whichever secret it is.
pub(super) fn easy_service(easy: control::EasyBinding) -> Result<EasyService, Failure> {
    let invalid = |message: String| Failure::new(FailureCode::InvalidParams, message);
    let text = if easy.host.contains("://") { easy.host.clone() } else { format!("https://{}", easy.host) };
    let origin: Origin = text.parse().map_err(|error: crate::base::HostError| invalid(error.to_string()))?;
    let id = EasyService::id_for(&origin).ok_or_else(|| invalid(format!("no service id fits `{}`", easy.host)))?;
    Ok(EasyService { id, origin, place: easy_place(easy.place)?, env: Vec::new() })
}

/// Whether it is the environment that the project's files want. One that comes with the code selects none, or it could
/// select a broader grant than none.
fn check_environment(wanted: &[(String, Environment)], is: Option<&Environment>) -> Result<(), Failure> {
    let Some((place, first)) = wanted.first() else { return Ok(()) };
    if let Some((other, second)) = wanted.iter().find(|(_, other)| other != first) {
        let message = format!(
            "{place} wants the environment `{first}` and {other} wants `{second}`, so the project can be worked on in none"
        );
        return Err(
            Failure::new(FailureCode::Settings, message).with_fix(format!("${{EDITOR:-vi}} {}", shell_word(place)))
        );
    }
    if Some(first) == is {
        return Ok(());
    }
    let is = is.map_or_else(|| "none was said".to_owned(), |is| format!("this is `{is}`"));
    let message = format!("{place}: the project is worked on in the environment `{first}` only, and {is}");
    let again = format!("secrets exec --environment {} -- sh", shell_word(first.as_str()));
    Err(Failure::new(FailureCode::Policy, message).with_fix(again))
}

/// The fault of a project's file, which may lie in a folder above.
fn project_failure(file: Option<&Path>, message: String) -> Failure {
    let named = file.map_or_else(String::new, |file| format!(" {}", shell_word(&file.to_string_lossy())));
    Failure::new(FailureCode::Settings, message).with_fix(format!("secrets policy check{named}"))
}

fn easy_place(place: control::EasyPlace) -> Result<policy::EasyPlace, Failure> {
    let invalid = |message: String| Failure::new(FailureCode::InvalidParams, message);
    Ok(match place {
        control::EasyPlace::Basic { part, other } => {
            let part = match part.as_str() {
                "password" => BasicPart::Password,
                "user" => BasicPart::User,
                _ => {
                    return Err(invalid(format!(
                        "`{part}` is no part of basic credentials; it is `user` or `password`"
                    )));
                }
            };
            policy::EasyPlace::Basic(part, other.map(String::into_boxed_str))
        }
        control::EasyPlace::Header { name, wording } => policy::EasyPlace::Header(
            name.parse().map_err(|_| invalid(format!("`{name}` is no header name")))?,
            wording.parse().map_err(|error: crate::recipe::WordingError| invalid(error.to_string()))?,
        ),
        control::EasyPlace::Query { name } => policy::EasyPlace::Query(name.into()),
    })
}

/// The variables that programs look for a secret in: those of its service, or else its own name in capitals.
pub(super) fn variables(known: Vec<String>, secret: &SecretName) -> Vec<String> {
    if !known.is_empty() {
        return known;
    }
    let word = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let name: String = secret.as_str().chars().map(word).collect();
    vec![if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }]
}

pub(super) fn faults(errors: &policy::LoadErrors) -> Vec<control::PolicyFault> {
    let fault = |fault: &policy::Fault| control::PolicyFault {
        place: format!("{}:{}:{}", fault.file, fault.line, fault.column),
        message: fault.message.clone(),
        fix: (!fault.fix.is_empty()).then(|| fault.fix.clone()),
    };
    errors.faults().iter().map(fault).collect()
}
