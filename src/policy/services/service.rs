//! One service: where it is, what credential it takes and where, which capabilities it has. Grants nothing.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use serde::Serialize;

use crate::{
    base::{Authority, Scheme, ServiceId},
    recipe::Place,
};

use super::{
    block::{Carries, HostBlock, OriginPattern},
    credential::{Check, Credential},
    fields::Fields,
    issue::Issue,
    meter::Metered,
    vector::Vector,
};
use crate::policy::rules::InjectRule;
use crate::policy::{
    Fault,
    matchers::Attribute,
    rules::{Call, Param, Rule},
};

/// What a capability may do to the world; decides how a new grant treats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Risk {
    /// Looks.
    Read,
    /// Changes what can be changed back.
    Write,
    /// Costs money.
    Spend,
    /// Cannot be undone.
    Destroy,
    /// Changes who may do what.
    Admin,
    /// Hands out credentials.
    Secret,
}

impl Risk {
    pub(in crate::policy) const WORDS: [(&'static str, Self); 6] = [
        ("read", Self::Read),
        ("write", Self::Write),
        ("spend", Self::Spend),
        ("destroy", Self::Destroy),
        ("admin", Self::Admin),
        ("secret", Self::Secret),
    ];
}

impl fmt::Display for Risk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Self::WORDS.iter().find(|(_, risk)| risk == self).map_or("", |(word, _)| word);
        f.write_str(word)
    }
}

/// What happens to a request that carries no lease where the service wants one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Missing {
    /// Forwarded without a credential, for services that serve anonymous clients too.
    Pass,
    /// Refused; the default.
    #[default]
    Refuse,
    /// Sent with the credential of the session's one lease, if the request came by that session's own way in; else refused.
    Inject,
}

/// One provider as its file describes it.
#[derive(Debug)]
pub struct Service {
    pub(in crate::policy) id: ServiceId,
    pub(in crate::policy) name: Box<str>,
    pub(in crate::policy) aliases: Vec<Box<str>>,
    pub(in crate::policy) file: Arc<str>,
    pub(in crate::policy) hosts: Vec<HostBlock>,
    pub(in crate::policy) params: Vec<Param>,
    /// Those of them that follow from what a request is.
    pub(in crate::policy) attributes: Vec<Attribute>,
    pub(in crate::policy) credentials: Vec<Credential>,
    pub(in crate::policy) injects: Vec<InjectRule>,
    pub(in crate::policy) capabilities: Vec<Capability>,
    pub(in crate::policy) issues: Vec<Issue>,
    /// Fields that none of its answers shows.
    pub(in crate::policy) scrub: Arc<Fields>,
    /// What its answers say was used.
    pub(in crate::policy) meters: Vec<Metered>,
    /// Of a shipped one read when they are asked for.
    pub(in crate::policy) vectors: OnceLock<Vec<Vector>>,
    /// What its file asks for that is not built yet.
    pub(in crate::policy) not_yet: Vec<Fault>,
}

impl Service {
    /// The id that grants name.
    pub fn id(&self) -> &ServiceId {
        &self.id
    }

    /// The name for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Other words under which people look for it.
    pub fn aliases(&self) -> impl Iterator<Item = &str> {
        self.aliases.iter().map(|alias| &**alias)
    }

    /// The file that describes it; `catalogue:…` for a shipped one.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Its credentials, in the order of the file.
    pub fn credentials(&self) -> &[Credential] {
        &self.credentials
    }

    /// One credential by name.
    pub fn credential(&self, name: &str) -> Option<&Credential> {
        self.credentials.iter().find(|credential| *credential.name == *name)
    }

    /// What its file asks for that is not built yet, in the order of the file's blocks.
    pub fn not_yet(&self) -> &[Fault] {
        &self.not_yet
    }

    /// Its capabilities, in the order of the file.
    pub fn capabilities(&self) -> &[Capability] {
        &self.capabilities
    }

    /// The block for a host: the most particular pattern; ties were refused at load.
    pub(in crate::policy) fn block(
        &self,
        scheme: Scheme,
        authority: &Authority,
    ) -> Option<(usize, &HostBlock, &OriginPattern)> {
        let fitting = self.hosts.iter().enumerate().filter_map(|(index, block)| {
            let fits =
                |origin: &&OriginPattern| origin.matches(scheme, authority) && block.shows(origin, &authority.host);
            let best = block.origins.iter().filter(fits);
            let best = best.max_by_key(|origin| origin.pattern.rank())?;
            (!block.excepts(&authority.host)).then_some((index, block, best))
        });
        fitting.max_by_key(|(_, _, origin)| origin.pattern.rank())
    }

    /// How a credential goes into a request: of the rules that fit, the one with the more literal `when`.
    pub(in crate::policy) fn inject(&self, credential: &str, call: &Call<'_>) -> Option<&InjectRule> {
        let fitting = self.injects.iter().filter(|rule| *rule.inject.credential == *credential);
        let ranked = fitting.filter_map(|rule| Some((rule.rank_for(call)?, rule)));
        ranked.max_by_key(|(rank, _)| *rank).map(|(_, rule)| rule)
    }
}

impl Service {
    /// Whether some of its requests carry no lease of this credential by themselves, so that only the proxy credentials of
    /// a session tell whose it is.
    pub fn wants_session(&self, credential: &str) -> bool {
        let mut of_it = self.injects.iter().map(|rule| &rule.inject).filter(|inject| *inject.credential == *credential);
        of_it.any(|inject| inject.begins_at().is_some())
    }

    /// The request that tells whether a value of this credential works, with where the value is written in it.
    pub fn check(&self, credential: &str) -> Option<(&Check, &Place)> {
        let check = self.credential(credential)?.check()?;
        let (index, block, _) = self.block(Scheme::Https, check.authority())?;
        let call = Call::of_head(index, check.method().as_str(), &check.authority().host, check.path());
        let rule = self.inject(credential, &call)?;
        let is_usable = rule.not_yet.is_none() && block.not_yet.is_none();
        self.check_as_written(credential).filter(|_| is_usable)
    }

    /// The same, whether what it needs is built or not.
    pub(in crate::policy) fn check_as_written(&self, credential: &str) -> Option<(&Check, &Place)> {
        let check = self.credential(credential)?.check()?;
        let (index, block, _) = self.block(Scheme::Https, check.authority())?;
        let call = Call::of_head(index, check.method().as_str(), &check.authority().host, check.path());
        let rule = self.inject(credential, &call).filter(|_| block.carries == Carries::Lease)?;
        // A check has no body, and its path is its own.
        let place = |place: &&Place| !place.is_in_body() && !place.is_later() && !matches!(place, Place::Path { .. });
        Some((check, rule.inject.places.iter().map(Place::target).find(place)?))
    }
}

/// How one credential is written into requests.
#[derive(Debug)]
pub struct Inject {
    /// The service.
    pub service: ServiceId,
    /// Which credential of it.
    pub credential: Arc<str>,
    /// Where a lease is looked for and replaced; the client picks one of them.
    pub places: Vec<Place>,
    /// What happens without a lease.
    pub missing: Missing,
}

impl Inject {
    /// The place of it at which a request gets a credential that carries none, or only later.
    pub(in crate::policy) fn begins_at(&self) -> Option<&Place> {
        self.places.iter().find(|place| place.is_later() || place.can_begin() && self.missing == Missing::Inject)
    }
}

/// A named part of a service.
#[derive(Debug)]
pub struct Capability {
    pub(in crate::policy) name: Arc<str>,
    pub(in crate::policy) about: Box<str>,
    pub(in crate::policy) risk: Risk,
    pub(in crate::policy) allow: Vec<Rule>,
    pub(in crate::policy) deny: Vec<Rule>,
    pub(in crate::policy) show: Vec<Box<str>>,
}

impl Capability {
    /// The name that grants list.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One sentence for prompts and listings.
    pub fn about(&self) -> &str {
        &self.about
    }

    /// Its risk.
    pub fn risk(&self) -> Risk {
        self.risk
    }

    /// Pointers (RFC 6901) to the values of a JSON body that a prompt quotes.
    pub fn show(&self) -> &[Box<str>] {
        &self.show
    }
}
