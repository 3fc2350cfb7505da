//! Answers that carry a fresh credential: which requests have them, and what becomes of those.
//!
//! Invariant: an issue rule takes away. It is read widely, and what its engine cannot do yet is refused.

use std::sync::{Arc, LazyLock};

use crate::base::{Authority, RefusalCode, Scheme};

use super::{fields::Fields, service::Service};
use crate::policy::{
    Decision, PathError, PolicySet, RequestFacts,
    rules::{Call, NormalPath, Rule},
};

/// One `[[issue]]` of a service.
#[derive(Debug)]
pub(in crate::policy) struct Issue {
    pub(in crate::policy) on: Rule,
    pub(in crate::policy) then: Then,
}

/// What becomes of a request whose answer would carry a fresh credential.
#[derive(Debug)]
pub(in crate::policy) enum Then {
    /// It goes nowhere.
    Refuse,
    /// It goes nowhere, since what the file asks for is not built yet.
    NotYet(Arc<str>),
    /// It goes out, and its answer comes back without these fields.
    Scrub(Arc<Fields>),
}

/// What an answer is freed of, beyond echoes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withhold {
    /// Of JSON answers, these fields.
    pub fields: Arc<Fields>,
    /// Whether an answer that cannot be read whole as JSON is refused: a fresh credential is in it.
    pub whole: bool,
}

impl Default for Withhold {
    fn default() -> Self {
        // Shared, so that a decision which frees its answer of nothing allocates nothing.
        static NONE: LazyLock<Arc<Fields>> = LazyLock::new(Arc::default);
        Self { fields: Arc::clone(&NONE), whole: false }
    }
}

impl Withhold {
    /// Whether there is nothing to do.
    pub fn is_nothing(&self) -> bool {
        self.fields.is_empty()
    }

    /// What either withholds.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        let whole = self.whole || other.whole;
        if other.is_nothing() || self.fields == other.fields {
            return Self { whole, ..self };
        }
        if self.is_nothing() {
            return Self { fields: Arc::clone(&other.fields), whole };
        }
        Self { fields: Arc::new(Fields::clone(&self.fields).and(&other.fields)), whole }
    }
}

impl Service {
    /// The refusal of a request whose answer would carry a fresh credential, whatever is granted.
    pub(in crate::policy) fn issue_refused(&self, call: &Call<'_>) -> Option<Decision> {
        let reason = self.issues.iter().filter(|issue| issue.on.takes(call)).find_map(|issue| match &issue.then {
            Then::Refuse => Some(String::new()),
            Then::NotYet(what) => Some(format!("; {what}")),
            Then::Scrub(_) => None,
        })?;
        let asked: String = call.method.chars().take(40).flat_map(char::escape_default).collect();
        let reason = format!(
            "the answer to `{asked} {}` of `{}` would carry a fresh credential, which no agent is given{reason}",
            call.path, self.id
        );
        Some(Decision::refuse(RefusalCode::IssueRefused, reason))
    }

    /// The rules whose requests go nowhere.
    pub(in crate::policy) fn refused_issues(&self) -> impl Iterator<Item = &Rule> {
        self.issues.iter().filter(|issue| !matches!(issue.then, Then::Scrub(_))).map(|issue| &issue.on)
    }

    fn withheld_always(&self) -> Withhold {
        Withhold { fields: Arc::clone(&self.scrub), whole: false }
    }

    /// Looks at a request to one of its hosts, whoever sends it; `None` for another host.
    fn with_call<T>(
        &self,
        request: &RequestFacts<'_>,
        look: impl FnOnce(&Call<'_>) -> T,
    ) -> Option<Result<T, PathError>> {
        let (index, block, _) = self.block(request.scheme, request.authority)?;
        Some(NormalPath::parse_with(request.path, block.slash).map(|path| {
            let loose = path.loose();
            look(&Call::new(index, request, path.as_str(), &loose))
        }))
    }

    /// What the answer to a request is freed of.
    pub(in crate::policy) fn withheld(&self, call: &Call<'_>) -> Withhold {
        let always = self.withheld_always();
        let rules = self.issues.iter().filter_map(|issue| match &issue.then {
            Then::Scrub(fields) if issue.on.takes(call) => Some(Withhold { fields: Arc::clone(fields), whole: true }),
            _ => None,
        });
        rules.fold(always, |all, one| all.and(&one))
    }
}

impl PolicySet {
    /// The refusal of a request that carries no lease, by any granted service that has its host. Where a service has
    /// such answers, a path that two servers could read differently may be the path of one.
    pub fn issue_without_lease(&self, request: &RequestFacts<'_>) -> Option<Decision> {
        self.at_host(request.scheme, request.authority).find_map(|service| {
            let judged = service.with_call(request, |call| service.issue_refused(call))?;
            let unclear = |error: PathError| {
                let refused = Decision::refuse(RefusalCode::BadRequest, error.to_string());
                service.refused_issues().next().map(|_| refused)
            };
            judged.unwrap_or_else(unclear)
        })
    }

    /// What the answer to a request that carries no lease is freed of, by every granted service that has its host.
    pub fn withheld_without_lease(&self, request: &RequestFacts<'_>) -> Withhold {
        let services = self.at_host(request.scheme, request.authority);
        let each = services.filter_map(|service| {
            let withheld = service.with_call(request, |call| service.withheld(call))?;
            Some(withheld.unwrap_or_else(|_| service.withheld_always()))
        });
        each.fold(Withhold::default(), |all, one| all.and(&one))
    }

    fn at_host(&self, scheme: Scheme, authority: &Authority) -> impl Iterator<Item = &Arc<Service>> {
        let host = self.host(scheme, authority);
        let ids = host.map_or_else(Vec::new, |host| host.services().to_vec());
        ids.into_iter().filter_map(|id| self.service(&id))
    }
}
