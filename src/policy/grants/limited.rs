//! Which limits apply to a request that may pass, and whose each of them is.

use std::{fmt, sync::Arc};

use crate::base::SecretName;

use super::{
    grant::{Grant, Layer, Narrow},
    limit::{Limit, Measure},
};
use crate::policy::{
    decide::{Bench, LeaseFacts},
    rules::Met,
    services::{Meter, Risk},
    set::PolicySet,
};

/// `[[budget]]`: what all grants of one secret may use together.
#[derive(Clone, Debug)]
pub struct Budget {
    pub(in crate::policy) secret: SecretName,
    pub(in crate::policy) limits: Vec<Arc<Limit>>,
    pub(in crate::policy) place: Box<str>,
}

/// A limit that a request counts towards.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The limit.
    pub limit: Arc<Limit>,
    /// Whose it is, in words: `the grant at mine.toml:12`.
    pub owner: String,
    /// Whose it is, for the counter: requests with the same text share it. Holds no line number, so that an edit
    /// elsewhere in the file forgives nothing.
    pub scope: String,
    /// Where the answer says what counts; `None` for what is counted without it.
    pub meter: Option<Arc<Meter>>,
}

impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.limit, self.owner)
    }
}

impl Narrow {
    /// Shrinks how much may be used: `("requests", "30/min")`. The error says what is wrong, and is the caller's.
    pub fn limited(mut self, measure: &str, amount: &str) -> Result<Self, String> {
        let limit = Limit::parse(measure, amount, None).map_err(|(message, fix)| format!("{message}; {fix}"))?;
        self.limits.push(Arc::new(limit));
        Ok(self)
    }

    /// Every capability that its limits name.
    pub(in crate::policy) fn limited_names(&self) -> impl Iterator<Item = &str> {
        self.limits.iter().filter_map(|limit| match limit.measure() {
            Measure::Capability(name) => Some(&**name),
            _ => None,
        })
    }

    /// Every meter that its limits name.
    pub(in crate::policy) fn limited_meters(&self) -> impl Iterator<Item = &str> {
        self.limits.iter().filter_map(|limit| match limit.measure() {
            Measure::Meter(name) => Some(&**name),
            _ => None,
        })
    }
}

impl Grant {
    /// What may be used under it; empty for any amount.
    pub fn limits(&self) -> impl Iterator<Item = &Limit> {
        self.limits.iter().map(|limit| &**limit)
    }

    /// All agents of the grant share its counters, one for each secret.
    fn applied(&self, limit: &Arc<Limit>, secret: &SecretName) -> Applied {
        let whom = [self.agents(), self.projects(), self.environments()].map(|list| list.join(","));
        Applied {
            limit: Arc::clone(limit),
            owner: format!("the grant at {}", self.place),
            scope: format!("grant|{}|{secret}|{}", self.service, whom.join("|")),
            meter: None,
        }
    }
}

impl Bench<'_> {
    /// The limits of the grant and of every narrowing that this request counts towards. Nothing is looked at again, and
    /// nothing allocated, where there is none.
    pub(in crate::policy) fn applied(&self, lease: &LeaseFacts<'_>) -> Vec<Applied> {
        if self.grant.limits.is_empty() && self.narrows().all(|narrow| narrow.limits.is_empty()) {
            return Vec::new();
        }
        let all = self.service.capabilities.iter().enumerate();
        let touched: Vec<(&str, Risk)> = all
            .filter(|(index, capability)| self.hit(*index, capability).met == Met::Yes)
            .map(|(_, capability)| (&*capability.name, capability.risk))
            .collect();
        let meter = |limit: &Arc<Limit>| match limit.measure() {
            Measure::Meter(name) => self.service.meter(name, &self.call).cloned(),
            _ => None,
        };
        let counts = |limit: &&Arc<Limit>| match limit.measure() {
            Measure::Requests | Measure::AtOnce | Measure::Bytes => true,
            Measure::Capability(name) => touched.iter().any(|(touched, _)| **touched == **name),
            Measure::Risk(risk) => touched.iter().any(|(_, touched)| touched == risk),
            Measure::Meter(_) => meter(limit).is_some(),
        };
        let own = self.grant.limits.iter().filter(counts);
        let own = own.map(|limit| Applied { meter: meter(limit), ..self.grant.applied(limit, lease.secret) });
        let narrowed = self.narrows().flat_map(|narrow| {
            let limits = narrow.limits.iter().filter(counts);
            limits.map(|limit| Applied { meter: meter(limit), ..of_narrow(narrow.layer, limit, lease) })
        });
        own.chain(narrowed).collect()
    }
}

/// A project's limit is for all who work in its folder; that of a session or lease is for its holder.
fn of_narrow(layer: Layer, limit: &Arc<Limit>, lease: &LeaseFacts<'_>) -> Applied {
    let (kind, whom) = match layer {
        Layer::Project => ("project", lease.project.map(|folder| folder.display().to_string()).unwrap_or_default()),
        Layer::Session => ("session", lease.client.to_string()),
        Layer::Lease => ("lease", lease.client.to_string()),
    };
    let owner = format!("the {kind} {} {whom}", if layer == Layer::Project { "in" } else { "of" });
    let scope = format!("{kind}|{}|{}|{whom}", lease.service, lease.secret);
    Applied { limit: Arc::clone(limit), owner, scope, meter: None }
}

impl PolicySet {
    /// Every limit that a request with this lease can count towards, whatever it touches.
    pub(in crate::policy) fn limits_of<'a>(
        &'a self,
        grant: &'a Grant,
        lease: &'a LeaseFacts<'_>,
    ) -> impl Iterator<Item = Applied> {
        let own = grant.limits.iter().map(|limit| grant.applied(limit, lease.secret));
        let narrows = lease.narrow.iter().filter(|narrow| *narrow.service() == grant.service);
        let narrowed =
            narrows.flat_map(|narrow| narrow.limits.iter().map(|limit| of_narrow(narrow.layer, limit, lease)));
        own.chain(narrowed).chain(self.budget_of(lease.secret))
    }

    /// What all grants of this secret share.
    pub(in crate::policy) fn budget_of<'a>(&'a self, secret: &'a SecretName) -> impl Iterator<Item = Applied> {
        let of_secret = self.budgets.iter().filter(move |budget| budget.secret == *secret);
        of_secret.flat_map(move |budget| {
            budget.limits.iter().map(move |limit| Applied {
                limit: Arc::clone(limit),
                owner: format!("the budget at {}", budget.place),
                scope: format!("secret|{secret}"),
                meter: None,
            })
        })
    }
}
