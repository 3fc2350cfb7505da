//! Which hosts to intercept: every host that a granted service names, found with one probe for exact names.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use crate::{
    base::{Authority, Host, Scheme, ServiceId},
    net::Roots,
    recipe::Place,
};

use super::{
    block::{Carries, OriginPattern},
    service::{Missing, Service},
};
use crate::policy::rules::EncodedSlash;

/// One place where a lease of one credential may stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedPlace {
    /// The service.
    pub service: ServiceId,
    /// Which credential of it.
    pub credential: Arc<str>,
    /// Where.
    pub place: Place,
}

/// What is known of a host before a lease is.
#[derive(Clone, Debug, Default)]
struct Entry {
    services: Vec<ServiceId>,
    places: Vec<ListedPlace>,
    missing: Option<Missing>,
    slash: EncodedSlash,
    /// Why nothing is dialled there.
    closed: Option<Arc<str>>,
    /// The only certificates that vouch for it, as every service here says.
    roots: Option<Roots>,
    /// Why some credential is not written into requests to it.
    unwritten: Option<Arc<str>>,
    /// Of rules that set a credential where there is none, or where it comes later, which and where.
    begins: Vec<ListedPlace>,
}

impl Entry {
    /// Adds what one service says of the host.
    fn add(&mut self, service: &Service, scheme: Scheme, authority: &Authority) {
        let Some((index, block, _)) = service.block(scheme, authority) else { return };
        if self.services.contains(&service.id) {
            return;
        }
        if let Some(not_yet) = &block.not_yet {
            self.closed.get_or_insert_with(|| Arc::clone(not_yet));
        }
        if self.services.is_empty() {
            self.roots.clone_from(&block.roots);
        } else if self.roots != block.roots {
            // One of them would have its credential sent to whom it does not trust.
            let others = self.services.iter().map(|other| format!("`{other}`")).collect::<Vec<_>>().join(", ");
            let why = format!("{others} and `{}` name different certificates (`tls.ca`) for it", service.id);
            self.closed.get_or_insert_with(|| why.into());
        }
        self.services.push(service.id.clone());
        if block.slash == EncodedSlash::Keep {
            self.slash = EncodedSlash::Keep;
        }
        for rule in
            service.injects.iter().filter(|rule| rule.blocks.contains(&index) && block.carries == Carries::Lease)
        {
            let inject = &rule.inject;
            if let Some(not_yet) = &rule.not_yet {
                // Without what it needs there is neither a credential nor a way round it.
                self.missing = Some(Missing::Refuse);
                self.unwritten.get_or_insert_with(|| Arc::clone(not_yet));
                continue;
            }
            let missing = if inject.missing == Missing::Inject { Missing::Refuse } else { inject.missing };
            self.missing = self.missing.max(Some(missing));
            if let Some(place) = inject.begins_at() {
                let (service, credential) = (service.id.clone(), inject.credential.clone());
                self.begins.push(ListedPlace { service, credential, place: place.clone() });
            }
            // Where a credential is moved to, nothing may come from a client.
            let moved_to = inject.places.iter().map(Place::target).filter(|to| !inject.places.contains(to));
            for place in inject.places.iter().chain(moved_to) {
                let listed = ListedPlace {
                    service: service.id.clone(),
                    credential: inject.credential.clone(),
                    place: place.clone(),
                };
                if !self.places.contains(&listed) {
                    self.places.push(listed);
                }
            }
        }
    }
}

/// A host that some grant's service names.
#[derive(Debug)]
pub struct GrantedHost<'a>(Cow<'a, Entry>);

impl GrantedHost<'_> {
    /// Where leases of any granted service on this host may stand, each once; empty for hosts that never get a
    /// credential, such as those of signed URLs.
    pub fn places(&self) -> &[ListedPlace] {
        &self.0.places
    }

    /// What to do with a request without a lease: refuse unless every service here passes such requests.
    pub fn missing(&self) -> Missing {
        self.0.missing.unwrap_or(Missing::Pass)
    }

    /// Whether no credential ever goes here; such a host may as well be tunnelled untouched.
    pub fn carries_nothing(&self) -> bool {
        self.0.places.is_empty() && self.0.unwritten.is_none()
    }

    /// Why nothing is dialled there: the service needs something for this host that is not built yet, or two services
    /// trust different certificates.
    pub fn closed(&self) -> Option<&str> {
        self.0.closed.as_deref()
    }

    /// The only certificates that vouch for it; `None` for the usual ones.
    pub fn roots(&self) -> Option<&Roots> {
        self.0.roots.as_ref()
    }

    /// Why some credential is not written into requests to it yet.
    pub fn unwritten(&self) -> Option<&str> {
        self.0.unwritten.as_deref()
    }

    /// Which credentials are set in requests without a lease that come by a session's own way in, and where; each of
    /// a service that says `missing = "inject"`, or that takes it in a message of the WebSocket to come.
    pub fn begins(&self) -> &[ListedPlace] {
        &self.0.begins
    }

    /// Whether paths on this host may hold `%2f`; for [`crate::policy::NormalPath::parse_with`].
    pub fn encoded_slash(&self) -> EncodedSlash {
        self.0.slash
    }

    /// The granted services on this host.
    pub fn services(&self) -> &[ServiceId] {
        &self.0.services
    }
}

impl Service {
    /// Its origins as written, such as `https://*.example.com`; those that never get a credential left out.
    pub fn origins(&self) -> impl Iterator<Item = String> {
        let carrying = self.hosts.iter().filter(|block| block.carries == Carries::Lease);
        carrying.flat_map(|block| block.origins.iter().map(OriginPattern::to_string))
    }

    /// The only certificates that vouch for this host; `None` for the usual ones.
    pub fn roots(&self, authority: &Authority) -> Option<&Roots> {
        self.block(Scheme::Https, authority)?.1.roots.as_ref()
    }
}

/// `b.c` and `c` of `a.b.c`.
fn suffixes(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(name.split_once('.'), |(_, rest)| rest.split_once('.')).map(|(_, suffix)| suffix)
}

/// The hosts of all granted services.
#[derive(Debug, Default)]
pub(in crate::policy) struct HostIndex {
    exact: HashMap<Box<str>, Vec<(Scheme, u16, Entry)>>,
    /// By the literal end of the pattern.
    wild: HashMap<Box<str>, Vec<(OriginPattern, Arc<Service>)>>,
}

impl HostIndex {
    pub(in crate::policy) fn new(granted: &[Arc<Service>]) -> Self {
        let mut index = Self::default();
        let origins = || {
            granted.iter().flat_map(|service| {
                service.hosts.iter().flat_map(|block| &block.origins).map(move |origin| (origin, service))
            })
        };
        // By name, so that loading looks at no pair of services that have nothing to do with each other.
        let mut named: HashMap<&str, Vec<&Arc<Service>>> = HashMap::new();
        for (origin, service) in origins() {
            if let Some(name) = origin.pattern.exact() {
                named.entry(name).or_default().push(service);
            } else {
                let all = index.wild.entry(origin.pattern.suffix().into()).or_default();
                all.push((origin.clone(), service.clone()));
            }
        }
        for (origin, _) in origins() {
            let Some(name) = origin.pattern.exact() else { continue };
            let wild = suffixes(name).filter_map(|suffix| index.wild.get(suffix)).flatten();
            let mut here: Vec<Arc<Service>> = wild.map(|(_, service)| service.clone()).collect();
            here.extend(named.get(name).into_iter().flatten().map(|service| (*service).clone()));
            here.sort_by(|a, b| a.id.cmp(&b.id)); // as the services are
            here.dedup_by(|a, b| a.id == b.id);
            index.add_exact(name, origin, &here);
        }
        index
    }

    fn add_exact(&mut self, name: &str, origin: &OriginPattern, granted: &[Arc<Service>]) {
        let Ok(host) = name.parse::<Host>() else { return };
        let known = self.exact.entry(name.into()).or_default();
        if known.iter().any(|(scheme, port, _)| (*scheme, *port) == (origin.scheme, origin.port)) {
            return;
        }
        let authority = Authority { host, port: origin.port };
        let mut entry = Entry::default();
        for service in granted {
            entry.add(service, origin.scheme, &authority);
        }
        known.push((origin.scheme, origin.port, entry));
    }

    pub(in crate::policy) fn find(&self, scheme: Scheme, authority: &Authority) -> Option<GrantedHost<'_>> {
        let name = authority.host.name()?;
        let exact = self.exact.get(name).into_iter().flatten();
        if let Some((.., entry)) = exact.into_iter().find(|(s, port, _)| *s == scheme && *port == authority.port) {
            return (!entry.services.is_empty()).then_some(GrantedHost(Cow::Borrowed(entry)));
        }
        if self.wild.is_empty() {
            return None;
        }
        let mut found = Entry::default();
        for (origin, service) in suffixes(name).filter_map(|suffix| self.wild.get(suffix)).flatten() {
            if origin.matches(scheme, authority) {
                found.add(service, scheme, authority);
            }
        }
        (!found.services.is_empty()).then_some(GrantedHost(Cow::Owned(found)))
    }
}
