//! What whoever starts a session or a lease gives up at once: capabilities, values of parameters, and how much is used.
//!
//! Invariant: it only becomes a [`Narrow`], which takes away and gives nothing; a name that no service has is told then,
//! since it would take away less than was meant.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{base::ServiceId, lease::Terms};

use super::{
    grant::{Layer, Narrow},
    limit::{Limit, Measure, unpriced},
};
use crate::policy::{files::expected, services::Service, set::PolicySet};

/// What is given up of one service, as people and agents write it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Less {
    /// The service; may be left out where only one is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The capabilities that stay usable; all of the grant's without a list, none with an empty one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caps: Option<Vec<String>>,
    /// The globs that values of a parameter must match; an empty list is nothing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub only: BTreeMap<String, Vec<String>>,
    /// How much may be used, as in a `limit` of a grant: what is counted, and amounts such as `50/min`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limit: BTreeMap<String, Vec<String>>,
}

/// Why something cannot be given up like this; the writer's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NotLess {
    /// What is wrong.
    pub message: String,
    /// The service that was meant, where that is known.
    pub service: Option<ServiceId>,
}

impl PolicySet {
    /// What is left, for a session whose secrets are for `services`, or for a token, which is for one.
    pub fn narrows(&self, layer: Layer, less: &[Less], services: &[ServiceId]) -> Result<Vec<Narrow>, NotLess> {
        less.iter().map(|less| self.narrowed(layer, less, services)).collect()
    }

    fn narrowed(&self, layer: Layer, less: &Less, services: &[ServiceId]) -> Result<Narrow, NotLess> {
        let service = self.meant(less, services)?;
        let fault = |message| NotLess { message, service: Some(service.id().clone()) };
        let mut narrow = Narrow::new(layer, service.id().clone());
        if let Some(caps) = &less.caps {
            let known: Vec<&str> = service.capabilities().iter().map(crate::policy::Capability::name).collect();
            known_as(service, "capability", &known, caps).map_err(fault)?;
            narrow = narrow.keeping(caps.iter().map(String::as_str));
        }
        let params: Vec<&str> = service.params.iter().map(|param| &*param.name).collect();
        known_as(service, "parameter", &params, less.only.keys()).map_err(fault)?;
        for (param, values) in &less.only {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            narrow = narrow.limiting(param, &values).map_err(fault)?;
        }
        for (measure, amounts) in &less.limit {
            for amount in amounts {
                narrow.limits.push(Arc::new(self.limit(service, measure, amount).map_err(fault)?));
            }
        }
        Ok(narrow)
    }

    fn limit(&self, service: &Service, measure: &str, amount: &str) -> Result<Limit, String> {
        let said = |(message, fix)| format!("{message}; {fix}");
        let meters: Vec<&str> = service.meter_names().collect();
        let limit = Limit::parse(measure, amount, Some(&meters)).map_err(said)?;
        match limit.measure() {
            Measure::Capability(name) => {
                let known: Vec<&str> = service.capabilities().iter().map(crate::policy::Capability::name).collect();
                known_as(service, "capability", &known, [&name.to_string()])?;
            }
            Measure::Money if self.tariff(service.id()).is_none() => return Err(said(unpriced(service))),
            _ => {}
        }
        Ok(limit)
    }

    fn meant(&self, less: &Less, services: &[ServiceId]) -> Result<&Service, NotLess> {
        let fault = |message: String| NotLess { message, service: None };
        let id = match (&less.service, services) {
            (Some(text), _) => text.as_str(),
            (None, [one]) => one.as_str(),
            (None, []) => return Err(fault("there is no service that could be narrowed".to_owned())),
            (None, several) => {
                let all = several.iter().map(ServiceId::as_str).collect::<Vec<_>>().join("`, `");
                let example = less
                    .caps
                    .iter()
                    .flatten()
                    .chain(less.only.keys())
                    .chain(less.limit.keys())
                    .next()
                    .map_or("read", String::as_str);
                let service = several.first().map_or("", |service| service.as_str());
                let message = format!(
                    "`{}` could be of `{all}`; write it with its service, `{service}:{}`",
                    shown(example),
                    shown(example)
                );
                return Err(fault(message));
            }
        };
        self.find_service(id).map(|service| &**service).ok_or_else(|| {
            let known: Vec<&str> = self.services().map(|service| service.id().as_str()).collect();
            let near = expected(id, &known);
            let near = if near.starts_with("did") { format!("; {near}") } else { String::new() };
            fault(format!("there is no service `{}`{near}", shown(id)))
        })
    }
}

impl std::fmt::Display for Narrow {
    /// What it leaves and takes, for the record.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kept = self.kept().map(|caps| format!("cap {}", caps.join(", ")));
        let only = self.only.iter().map(ToString::to_string);
        let limits = self.limits.iter().map(|limit| format!("limit {limit}"));
        let parts: Vec<String> = kept.into_iter().chain(only).chain(limits).collect();
        write!(f, "{}: {}", self.service, parts.join("; "))
    }
}

impl Narrow {
    /// What was kept with a lease, as a narrowing again; `None` where it takes nothing away. The error is a glob or a limit
    /// that is unusable, which was checked when the lease was made.
    pub fn of_terms(service: &ServiceId, terms: &Terms) -> Result<Option<Self>, String> {
        if !terms.narrows() {
            return Ok(None);
        }
        let mut narrow = Self::of_lease(service.clone());
        if let Some(caps) = &terms.caps {
            narrow = narrow.keeping(caps.iter().cloned());
        }
        for (param, values) in &terms.only {
            let values: Vec<&str> = values.iter().map(|value| &**value).collect();
            narrow = narrow.limiting(param, &values)?;
        }
        for (measure, amount) in &terms.limits {
            narrow = narrow.limited(measure, amount)?;
        }
        Ok(Some(narrow))
    }

    /// Adds what this takes away to what is kept with a lease.
    pub fn add_to(&self, terms: &mut Terms) {
        if let Some(kept) = self.kept() {
            let both = |before: &Vec<Box<str>>| kept.iter().filter(|name| before.contains(name)).cloned().collect();
            terms.caps = Some(terms.caps.as_ref().map_or_else(|| kept.to_vec(), both));
        }
        let only = self.only.iter();
        terms
            .only
            .extend(only.map(|only| (only.param.clone(), only.values.iter().map(|v| v.as_str().into()).collect())));
        let limits = self.limits.iter();
        terms.limits.extend(limits.map(|limit| (limit.measure().to_string().into(), limit.text().into())));
    }
}

fn known_as<'a>(
    service: &Service,
    what: &str,
    known: &[&str],
    named: impl IntoIterator<Item = &'a String>,
) -> Result<(), String> {
    let Some(unknown) = named.into_iter().find(|name| !known.contains(&name.as_str())) else { return Ok(()) };
    let near = if known.is_empty() { "it has none".to_owned() } else { expected(unknown, known) };
    Err(format!("`{}` has no {what} `{}`; {near}", service.id(), shown(unknown)))
}

/// A name as somebody wrote it: cut, and with nothing that a terminal obeys.
fn shown(text: &str) -> String {
    text.chars().take(60).flat_map(char::escape_debug).collect()
}
