//! What a user's policy file gives: capabilities of one service, to some agents, in some projects.

use std::{fmt, path::Path, sync::Arc};

use serde::Serialize;

use crate::base::{SecretName, ServiceId, TimeToLive};

use super::{ask::Approve, limit::Limit, tariff::Tariff};
use crate::policy::{decide::LeaseFacts, rules::Glob};

/// What becomes of a request. The order is the strictness: the smallest of several wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Refused.
    Deny,
    /// A person is asked first.
    Ask,
    /// Forwarded with the credential.
    Allow,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deny => "deny",
            Self::Ask => "ask",
            Self::Allow => "allow",
        })
    }
}

/// Which texts are meant: all, or those that a list of globs matches. An empty list is nothing.
#[derive(Clone, Debug)]
pub(in crate::policy) enum Those {
    All,
    Listed(Vec<Glob>),
}

impl Those {
    pub(in crate::policy) fn contains(&self, text: Option<&str>) -> bool {
        match (self, text) {
            (Self::All, _) => true,
            (Self::Listed(globs), Some(text)) => globs.iter().any(|glob| glob.matches(text)),
            (Self::Listed(_), None) => false,
        }
    }

    /// Whether nothing can be in both; never wrongly `true`.
    pub(in crate::policy) fn is_disjoint(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Listed(a), _) | (_, Self::Listed(a)) if a.is_empty() => true,
            (Self::Listed(a), Self::Listed(b)) => a.iter().all(|a| b.iter().all(|b| a.is_disjoint(b))),
            _ => false,
        }
    }
}

/// A parameter and the values it may have; an empty list is nothing.
#[derive(Clone, Debug)]
pub(in crate::policy) struct Only {
    pub(in crate::policy) param: Box<str>,
    pub(in crate::policy) values: Vec<Glob>,
}

impl Only {
    pub(in crate::policy) fn contains(&self, value: &str) -> bool {
        // A kept `%2F` inside a segment means a slash to the host that takes it.
        let plain = value.contains("%2F").then(|| value.replace("%2F", "/"));
        let value = plain.as_deref().unwrap_or(value);
        self.values.iter().any(|glob| glob.matches(value))
    }
}

impl fmt::Display for Only {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: Vec<&str> = self.values.iter().map(Glob::as_str).collect();
        write!(f, "only {} = [{}]", self.param, values.join(", "))
    }
}

/// One `[[grant]]`.
#[derive(Debug)]
pub struct Grant {
    pub(in crate::policy) service: ServiceId,
    pub(in crate::policy) items: Vec<(Arc<str>, SecretName)>,
    pub(in crate::policy) agents: Those,
    pub(in crate::policy) projects: Those,
    pub(in crate::policy) environments: Those,
    /// Index of the capability in its service, and the list it stands in.
    pub(in crate::policy) listed: Vec<(usize, Verdict)>,
    pub(in crate::policy) only: Vec<Only>,
    pub(in crate::policy) unscoped: Vec<usize>,
    pub(in crate::policy) ttl: Option<TimeToLive>,
    pub(in crate::policy) limits: Vec<Arc<Limit>>,
    /// What its service costs, where the user has said so.
    pub(in crate::policy) tariff: Option<Arc<Tariff>>,
    /// How a person is asked.
    pub(in crate::policy) approve: Approve,
    pub(in crate::policy) place: Box<str>,
}

impl Grant {
    /// The service of which it gives capabilities.
    pub fn service(&self) -> &ServiceId {
        &self.service
    }

    /// Which secret serves as which credential.
    pub fn items(&self) -> impl Iterator<Item = (&str, &SecretName)> {
        self.items.iter().map(|(credential, secret)| (&**credential, secret))
    }

    /// How long a lease under this grant may live; `None` leaves it to the settings.
    pub fn ttl(&self) -> Option<TimeToLive> {
        self.ttl
    }

    /// Where it is written: `file:line`.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Whether it is meant for whoever holds this lease, where they work and on what; a grant with `projects` needs a
    /// project, and one with `environments` an environment.
    pub fn fits(&self, lease: &LeaseFacts<'_>) -> bool {
        self.agents.contains(Some(lease.client.as_str()))
            && self.projects.contains(lease.project.and_then(Path::to_str))
            && self.environments.contains(lease.environment)
    }

    /// Whether no lease fits both; never wrongly `true`.
    pub(in crate::policy) fn is_apart(&self, other: &Self) -> bool {
        self.agents.is_disjoint(&other.agents)
            || self.projects.is_disjoint(&other.projects)
            || self.environments.is_disjoint(&other.environments)
    }

    pub(in crate::policy) fn has_item(&self, credential: &str, secret: &SecretName) -> bool {
        self.items.iter().any(|(name, item)| **name == *credential && item == secret)
    }
}

/// Where a narrowing comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// Given when the lease was made.
    Lease,
    /// The project's file.
    Project,
    /// Given when the session was opened.
    Session,
}

/// A function on verdicts that can only lower them; see section 4.4 of the language.
///
/// Invariant: nothing in here can name an item, a host, an injection or `unscoped`.
#[derive(Clone, Debug)]
pub struct Narrow {
    pub(in crate::policy) layer: Layer,
    pub(in crate::policy) service: ServiceId,
    /// Capabilities that stay usable.
    pub(in crate::policy) keep: Keep,
    pub(in crate::policy) ask: Vec<Box<str>>,
    pub(in crate::policy) deny: Vec<Box<str>>,
    pub(in crate::policy) only: Vec<Only>,
    pub(in crate::policy) ttl: Option<TimeToLive>,
    pub(in crate::policy) limits: Vec<Arc<Limit>>,
}

/// Which capabilities a narrowing leaves usable.
#[derive(Clone, Debug)]
pub(in crate::policy) enum Keep {
    All,
    Listed(Vec<Box<str>>),
}

impl Narrow {
    /// A narrowing of one lease that takes nothing away yet.
    pub fn of_lease(service: ServiceId) -> Self {
        Self::new(Layer::Lease, service)
    }

    /// The same of a whole session.
    pub fn of_session(service: ServiceId) -> Self {
        Self::new(Layer::Session, service)
    }

    pub(in crate::policy) fn new(layer: Layer, service: ServiceId) -> Self {
        let (ask, deny, only, limits) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { layer, service, keep: Keep::All, ask, deny, only, ttl: None, limits }
    }

    /// The service it narrows; others are untouched.
    pub fn service(&self) -> &ServiceId {
        &self.service
    }

    /// Where it comes from.
    pub fn layer(&self) -> Layer {
        self.layer
    }

    /// Leaves only these capabilities usable; an empty list leaves none.
    #[must_use]
    pub fn keeping(mut self, capabilities: impl IntoIterator<Item = impl Into<Box<str>>>) -> Self {
        let named: Vec<Box<str>> = capabilities.into_iter().map(Into::into).collect();
        self.keep = match self.keep {
            Keep::All => Keep::Listed(named),
            Keep::Listed(before) => Keep::Listed(before.into_iter().filter(|name| named.contains(name)).collect()),
        };
        self
    }

    /// Lowers a capability to `ask`.
    #[must_use]
    pub fn asking(mut self, capability: &str) -> Self {
        self.ask.push(capability.into());
        self
    }

    /// Lowers a capability to `deny`.
    #[must_use]
    pub fn denying(mut self, capability: &str) -> Self {
        self.deny.push(capability.into());
        self
    }

    /// Limits a parameter to the values that the globs match; an empty list is nothing. The error says which glob
    /// is unusable, and is the caller's.
    pub fn limiting(mut self, param: &str, values: &[&str]) -> Result<Self, String> {
        let values = values.iter().map(|text| text.parse::<Glob>().map_err(|error| error.to_string()));
        self.only.push(Only { param: param.into(), values: values.collect::<Result<_, _>>()? });
        Ok(self)
    }

    /// Shortens the lease's life; the smallest of all wins.
    #[must_use]
    pub fn ending_within(mut self, ttl: TimeToLive) -> Self {
        self.ttl = Some(self.ttl.map_or(ttl, |before| before.min(ttl)));
        self
    }

    /// The verdict that is left for a capability.
    pub(in crate::policy) fn lower(&self, capability: &str, verdict: Verdict) -> Verdict {
        match () {
            () if is_named(&self.deny, capability) => Verdict::Deny,
            () if is_named(&self.ask, capability) => verdict.min(Verdict::Ask),
            () => verdict,
        }
    }

    /// Whether a capability may still give something.
    pub(in crate::policy) fn keeps(&self, capability: &str) -> bool {
        match &self.keep {
            Keep::All => true,
            Keep::Listed(list) => is_named(list, capability),
        }
    }

    /// The capabilities that it leaves usable, where it lists them.
    pub(in crate::policy) fn kept(&self) -> Option<&[Box<str>]> {
        match &self.keep {
            Keep::All => None,
            Keep::Listed(list) => Some(list),
        }
    }

    /// Every capability that it names.
    pub(in crate::policy) fn names(&self) -> impl Iterator<Item = &str> {
        let kept = match &self.keep {
            Keep::All => &[][..],
            Keep::Listed(list) => list,
        };
        self.ask.iter().chain(&self.deny).chain(kept).map(|name| &**name).chain(self.limited_names())
    }
}

fn is_named(list: &[Box<str>], capability: &str) -> bool {
    list.iter().any(|name| **name == *capability)
}
