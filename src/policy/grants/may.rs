//! What a lease may do, for its own holder: capabilities that are allowed or asked, and nothing of what is denied.

use super::{
    grant::{Only, Verdict},
    limit::{Limit, Measure},
    limited::Applied,
};
use crate::policy::{decide::LeaseFacts, rules::Glob, services::Risk, set::PolicySet};

/// What one lease may be used for.
#[derive(Clone, Debug)]
pub struct May {
    /// The service's name for people.
    pub name: String,
    /// Its origins.
    pub hosts: Vec<String>,
    /// The variables that its programs look for.
    pub env: Vec<String>,
    /// Its capabilities; those that are denied are left out.
    pub capabilities: Vec<MayUse>,
    /// Parameters and the values that they may have; all of them hold.
    pub only: Vec<(String, Vec<String>)>,
    /// How much of it; all of them hold.
    pub limits: Vec<Applied>,
}

/// One capability that may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MayUse {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub about: String,
    /// Its risk.
    pub risk: Risk,
    /// Allow or ask.
    pub verdict: Verdict,
}

impl PolicySet {
    /// What a lease with these facts may do; `None` when no grant fits it.
    pub fn may(&self, lease: &LeaseFacts<'_>) -> Option<May> {
        let (service, grant) = (self.service(lease.service)?, self.grant(lease)?);
        let narrows = || lease.narrow.iter().filter(|narrow| *narrow.service() == service.id);
        if narrows().any(|narrow| service.misnamed(narrow, grant.tariff.as_deref()).is_some()) {
            return None; // it denies everything
        }
        let listed = grant.listed.iter().filter_map(|(index, verdict)| {
            let capability = service.capabilities.get(*index)?;
            let name = capability.name();
            let left = narrows().fold(*verdict, |verdict, narrow| narrow.lower(name, verdict));
            (left > Verdict::Deny && narrows().all(|narrow| narrow.keeps(name))).then(|| MayUse {
                name: name.to_owned(),
                about: capability.about().to_owned(),
                risk: capability.risk(),
                verdict: left,
            })
        });
        let capabilities: Vec<MayUse> = listed.collect();
        let is_left = |limit: &Limit| match limit.measure() {
            Measure::Capability(name) => capabilities.iter().any(|left| *left.name == **name),
            Measure::Risk(risk) => capabilities.iter().any(|left| left.risk == *risk),
            Measure::Requests | Measure::AtOnce | Measure::Bytes | Measure::Money | Measure::Meter(_) => true,
        };
        let limits = self.limits_of(lease).into_iter().filter(|applied| is_left(&applied.limit)).collect();
        let only = |only: &Only| {
            (only.param.to_string(), only.values.iter().map(|value| Glob::as_str(value).to_owned()).collect())
        };
        Some(May {
            name: service.name().to_owned(),
            hosts: service.origins().collect(),
            env: service.credential(lease.credential)?.env().map(str::to_owned).collect(),
            only: grant.only.iter().chain(narrows().flat_map(|narrow| &narrow.only)).map(only).collect(),
            capabilities,
            limits,
        })
    }
}
