//! Which limits apply to a request that may pass, and whose each of them is.

use std::{fmt, sync::Arc};

use crate::base::SecretName;

use super::{
    grant::{Grant, Layer, Narrow},
    limit::{Limit, Measure},
    tariff::Tariff,
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
    /// Where the answer says what counts; empty for what is counted without it.
    pub reads: Vec<Arc<Meter>>,
    /// What that costs; `None` for limits on anything but money.
    pub tariff: Option<Arc<Tariff>>,
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

    /// Whether it limits what is spent.
    pub(in crate::policy) fn limits_money(&self) -> bool {
        self.limits.iter().any(|limit| *limit.measure() == Measure::Money)
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
            reads: Vec::new(),
            tariff: self.tariff_for(limit),
        }
    }

    fn tariff_for(&self, limit: &Limit) -> Option<Arc<Tariff>> {
        self.tariff.clone().filter(|_| *limit.measure() == Measure::Money)
    }
}

/// What a request touches and what its answer says, as limits count it.
struct Counted<'a> {
    touched: Vec<(&'a str, Risk)>,
    meters: Vec<Arc<Meter>>,
    spends: bool,
}

impl Counted<'_> {
    /// The limit as this request counts towards it; `None` when it does not.
    fn towards(&self, applied: Applied) -> Option<Applied> {
        let touches = |name: &str| self.touched.iter().any(|(touched, _)| *touched == name);
        let counts = match applied.limit.measure() {
            Measure::Requests | Measure::AtOnce | Measure::Bytes => true,
            Measure::Capability(name) => touches(name),
            Measure::Risk(risk) => self.touched.iter().any(|(_, touched)| touched == risk),
            Measure::Meter(name) => {
                let reads: Vec<Arc<Meter>> =
                    self.meters.iter().filter(|meter| *meter.name() == **name).cloned().collect();
                return (!reads.is_empty()).then_some(Applied { reads, ..applied });
            }
            Measure::Money => {
                return self.spends.then(|| Applied { reads: self.meters.clone(), ..applied });
            }
        };
        counts.then_some(applied)
    }
}

impl Bench<'_> {
    /// The limits of the grant, of every narrowing and of the secret's budgets that this request counts towards. Nothing
    /// is looked at again, and nothing allocated, where there is none.
    pub(in crate::policy) fn applied(&self, budgets: &[Budget], lease: &LeaseFacts<'_>) -> Vec<Applied> {
        let budgets = || budgets.iter().filter(|budget| budget.secret == *lease.secret);
        let is_free = self.grant.limits.is_empty() && self.narrows().all(|narrow| narrow.limits.is_empty());
        if is_free && budgets().next().is_none() {
            return Vec::new();
        }
        let own = self.grant.limits.iter().map(|limit| self.grant.applied(limit, lease.secret));
        let narrowed = self.narrows().flat_map(|narrow| of_narrow(narrow, self.grant, lease));
        let all = own.chain(narrowed).chain(budgets().flat_map(|budget| of_budget(budget, self.grant)));
        let counted = self.counted();
        all.filter_map(|applied| counted.towards(applied)).collect()
    }

    /// What is touched is judged by the grant alone: what a narrowing takes away must not leave a limit uncounted.
    fn counted(&self) -> Counted<'_> {
        let alone = Bench { narrow: &[], ..*self };
        let all = self.service.capabilities.iter().enumerate();
        let touched: Vec<(&str, Risk)> = all
            .filter(|(index, capability)| alone.hit(*index, capability).met == Met::Yes)
            .map(|(_, capability)| (&*capability.name, capability.risk))
            .collect();
        let meters = self.service.meters_of(&self.call);
        let is_measured = self.service.meter_names().next().is_some();
        let spends = !meters.is_empty() || !is_measured || touched.iter().any(|(_, risk)| *risk == Risk::Spend);
        Counted { touched, meters, spends }
    }
}

/// A project's limits are for all who work in its folder; those of a session or lease are for its holder.
fn of_narrow<'a>(
    narrow: &'a Narrow,
    grant: &'a Grant,
    lease: &'a LeaseFacts<'_>,
) -> impl Iterator<Item = Applied> + 'a {
    let (kind, whom) = match narrow.layer {
        Layer::Project => ("project", lease.project.map(|folder| folder.display().to_string()).unwrap_or_default()),
        Layer::Session => ("session", lease.client.to_string()),
        Layer::Lease => ("lease", lease.client.to_string()),
    };
    let owner = format!("the {kind} {} {whom}", if narrow.layer == Layer::Project { "in" } else { "of" });
    let scope = format!("{kind}|{}|{}|{whom}", lease.service, lease.secret);
    narrow.limits.iter().map(move |limit| Applied {
        limit: Arc::clone(limit),
        owner: owner.clone(),
        scope: scope.clone(),
        reads: Vec::new(),
        tariff: grant.tariff_for(limit),
    })
}

/// What all grants of a secret share.
fn of_budget<'a>(budget: &'a Budget, grant: &'a Grant) -> impl Iterator<Item = Applied> + 'a {
    budget.limits.iter().map(move |limit| Applied {
        limit: Arc::clone(limit),
        owner: format!("the budget at {}", budget.place),
        scope: format!("secret|{}", budget.secret),
        reads: Vec::new(),
        tariff: grant.tariff_for(limit),
    })
}

impl PolicySet {
    /// Every limit that a request with this lease can count towards, whatever it touches; none where no grant fits.
    pub fn limits_of(&self, lease: &LeaseFacts<'_>) -> Vec<Applied> {
        let Some(grant) = self.grant(lease) else { return Vec::new() };
        let own = grant.limits.iter().map(|limit| grant.applied(limit, lease.secret));
        let narrows = lease.narrow.iter().filter(|narrow| *narrow.service() == grant.service);
        let narrowed = narrows.flat_map(|narrow| of_narrow(narrow, grant, lease));
        let budgets = self.budgets.iter().filter(|budget| budget.secret == *lease.secret);
        own.chain(narrowed).chain(budgets.flat_map(|budget| of_budget(budget, grant))).collect()
    }

    /// Every limit that the user's own files set, once for each secret: those of grants, and then the budgets.
    pub fn all_limits(&self) -> Vec<(SecretName, Applied)> {
        let mut all: Vec<(SecretName, Applied)> = Vec::new();
        let mut add = |secret: &SecretName, applied: Applied| {
            let same =
                |(_, other): &(SecretName, Applied)| other.scope == applied.scope && other.limit == applied.limit;
            if !all.iter().any(same) {
                all.push((secret.clone(), applied));
            }
        };
        for grant in self.grants() {
            for (_, secret) in &grant.items {
                grant.limits.iter().for_each(|limit| add(secret, grant.applied(limit, secret)));
            }
        }
        for grant in self.grants() {
            let of_grant = |budget: &&Budget| grant.items.iter().any(|(_, secret)| *secret == budget.secret);
            for budget in self.budgets.iter().filter(of_grant) {
                of_budget(budget, grant).for_each(|applied| add(&budget.secret, applied));
            }
        }
        all
    }
}
