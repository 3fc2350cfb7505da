//! One service: where it is, what credential it takes and where, which capabilities it has. Grants nothing.

use std::{fmt, ops::Range, sync::Arc};

use serde::Serialize;

use crate::{
    base::{Authority, Host, HostPattern, Scheme, ServiceId},
    net::Roots,
    recipe::Place,
};

use super::{
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
    rules::{Call, EncodedSlash, Param, Rule},
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
    pub(in crate::policy) vectors: Vec<Vector>,
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

/// Whether a pattern matches; allocates nothing, unlike [`HostPattern::matches`] for patterns with parameters.
pub(in crate::policy) fn matches(pattern: &HostPattern, host: &Host) -> bool {
    let Some(name) = host.name() else { return false };
    if let Some(exact) = pattern.exact() {
        return exact == name;
    }
    let (mut want, mut have) = (pattern.as_str().rsplit('.'), name.rsplit('.'));
    loop {
        match (want.next(), have.next()) {
            (None, None) | (Some("**"), Some(_)) => return true,
            (Some(label), Some(found)) if label == found || label == "*" || label.starts_with('{') => {}
            _ => return false,
        }
    }
}

/// The value that a matching host shows for a parameter of its pattern.
pub(in crate::policy) fn host_value<'h>(pattern: &HostPattern, host: &'h Host, param: &str) -> Option<&'h str> {
    let labels = pattern.as_str().rsplit('.').zip(host.name()?.rsplit('.'));
    let is_param = |label: &str| label.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) == Some(param);
    labels.into_iter().find(|(label, _)| is_param(label)).map(|(_, value)| value)
}

/// Hosts that are treated alike.
#[derive(Debug)]
pub(in crate::policy) struct HostBlock {
    pub(in crate::policy) name: Box<str>,
    pub(in crate::policy) origins: Vec<OriginPattern>,
    pub(in crate::policy) except: Vec<HostPattern>,
    pub(in crate::policy) carries: Carries,
    pub(in crate::policy) slash: EncodedSlash,
    /// The parameters of its patterns whose values must have a form.
    pub(in crate::policy) params: Vec<Param>,
    /// Why it is never dialled: something that it needs is not built yet.
    pub(in crate::policy) not_yet: Option<Arc<str>>,
    /// The only certificates that vouch for its hosts, unless the usual ones do.
    pub(in crate::policy) roots: Option<Roots>,
    /// Where it says that a client certificate is shown to them.
    pub(in crate::policy) shows: Option<Range<usize>>,
}

impl HostBlock {
    /// Whether it has the host at some port; what `except` or the form of a parameter keeps out is another host.
    pub(in crate::policy) fn names(&self, host: &Host) -> bool {
        let names = |origin: &OriginPattern| matches(&origin.pattern, host) && self.shows(origin, host);
        self.origins.iter().any(names) && !self.excepts(host)
    }

    fn excepts(&self, host: &Host) -> bool {
        self.except.iter().any(|except| matches(except, host))
    }

    /// Whether what a matching host shows has the form of its parameter; anything else is another host.
    fn shows(&self, origin: &OriginPattern, host: &Host) -> bool {
        self.params.iter().all(|param| {
            let shown = host_value(&origin.pattern, host, &param.name);
            shown.is_none_or(|value| param.takes(value))
        })
    }
}

/// Whether a host may ever be sent a credential.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::policy) enum Carries {
    #[default]
    Lease,
    Never,
}

/// Scheme, host pattern and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) struct OriginPattern {
    pub(in crate::policy) scheme: Scheme,
    pub(in crate::policy) pattern: HostPattern,
    pub(in crate::policy) port: u16,
    /// The protocol, where it is no HTTP.
    pub(in crate::policy) raw: Option<&'static str>,
}

impl OriginPattern {
    pub(in crate::policy) fn matches(&self, scheme: Scheme, authority: &Authority) -> bool {
        self.scheme == scheme && self.port == authority.port && matches(&self.pattern, &authority.host)
    }

    /// Whether some host could match both.
    pub(in crate::policy) fn overlaps(&self, other: &Self) -> bool {
        self.is_like(&other.pattern) && self.scheme == other.scheme && self.port == other.port
    }

    /// The same for its name alone.
    pub(in crate::policy) fn is_like(&self, other: &HostPattern) -> bool {
        let (mut a, mut b) = (self.pattern.as_str().rsplit('.'), other.as_str().rsplit('.'));
        let wild = |label: &str| label == "*" || label.starts_with('{');
        loop {
            match (a.next(), b.next()) {
                (None, None) | (Some("**"), Some(_)) | (Some(_), Some("**")) => return true,
                (Some(x), Some(y)) if x == y || wild(x) || wild(y) => {}
                _ => return false,
            }
        }
    }
}

impl fmt::Display for OriginPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.raw.unwrap_or(self.scheme.as_str()), self.pattern)?;
        if self.raw.is_none() && self.port == self.scheme.default_port() { Ok(()) } else { write!(f, ":{}", self.port) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_80_our_matching_agrees_with_the_pattern_s_own() {
        let patterns = [
            "a.example.com",
            "*.example.com",
            "**.example.com",
            "{x}.example.com",
            "{x}.s.example.com",
            "**.{y}.b.example.com",
        ];
        let hosts = [
            "example.com",
            "a.example.com",
            "b.a.example.com",
            "s.example.com",
            "q.s.example.com",
            "evilexample.com",
            "example.com.evil.com",
            "10.0.0.1",
            "x.y.b.example.com",
            "y.b.example.com",
        ];
        for pattern in patterns {
            let pattern: HostPattern = pattern.parse().unwrap();
            for host in hosts {
                let host: Host = host.parse().unwrap();
                let found = pattern.matches(&host);
                assert_eq!(matches(&pattern, &host), found.is_some(), "{pattern} {host}");
                for (param, value) in found.into_iter().flatten() {
                    assert_eq!(host_value(&pattern, &host, &param), Some(&*value), "{pattern} {host}");
                }
            }
        }
    }

    #[test]
    fn overlap_is_seen_from_both_sides() {
        let origin =
            |text: &str| OriginPattern { scheme: Scheme::Https, pattern: text.parse().unwrap(), port: 443, raw: None };
        for (a, b, overlap) in [
            ("*.x.com", "a.x.com", true),
            ("{p}.x.com", "*.x.com", true),
            ("**.x.com", "*.y.x.com", true),
            ("a.x.com", "b.x.com", false),
            ("*.x.com", "*.y.x.com", false),
            ("**.x.com", "x.com", false),
        ] {
            assert_eq!(origin(a).overlaps(&origin(b)), overlap, "{a} {b}");
            assert_eq!(origin(b).overlaps(&origin(a)), overlap, "{b} {a}");
        }
    }
}
