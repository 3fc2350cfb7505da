//! The one rule engine: from a lease and a request to a verdict, purely.
//!
//! Invariants: adding a narrowing never raises a verdict; nothing that matches no granted capability is allowed;
//! an allowed decision allocates nothing unless the path needs decoding.

use std::{borrow::Cow, path::Path};

use http::HeaderName;

use crate::base::{Authority, ClientId, Host, RefusalCode, Scheme, SecretName, ServiceId, TimeToLive};

use super::{
    decision::Decision,
    grants::{Budget, Grant, Narrow, Only, Tariff, Verdict},
    matchers::{Content, Peek},
    rules::{Call, Met, NormalPath, Protocol, Rule, Seen},
    services::{Capability, Carries, OriginPattern, Service, Withhold, host_value},
    set::PolicySet,
};

/// What a lease says about a request.
#[derive(Clone, Copy, Debug)]
pub struct LeaseFacts<'a> {
    /// The service it is for.
    pub service: &'a ServiceId,
    /// Which credential of that service.
    pub credential: &'a str,
    /// The secret that stands behind it.
    pub secret: &'a SecretName,
    /// Who holds it.
    pub client: &'a ClientId,
    /// The folder that the client works in, if one is known.
    pub project: Option<&'a Path>,
    /// What they work on, if that was said; grants may be for some environments only.
    pub environment: Option<&'a str>,
    /// What project, session and lease take away.
    pub narrow: &'a [Narrow],
}

/// What is asked, before anything is changed.
#[derive(Clone, Copy, Debug)]
pub struct RequestFacts<'a> {
    /// `http` or `https`.
    pub scheme: Scheme,
    /// The one authority that CONNECT, SNI, `Host` and target agree on.
    pub authority: &'a Authority,
    /// The method as sent.
    pub method: &'a str,
    /// The raw path as sent, without the query.
    pub path: &'a str,
    /// Request or upgrade.
    pub protocol: Protocol,
    /// What it says beyond that.
    pub content: Content<'a>,
}

/// How one capability and a request met, for `explain`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hit {
    /// What the layers leave of it; `None` when the grant does not list it.
    pub(super) verdict: Option<Verdict>,
    /// Whether its rules give.
    pub(super) met: Met,
    /// Whether it lowers what others give.
    pub(super) takes: bool,
    /// The most bytes of a body that its matching rules allow; `None` for any number.
    pub(super) body_max: Option<usize>,
}

/// Everything that judging needs, found once.
pub(super) struct Bench<'a> {
    pub(super) service: &'a Service,
    pub(super) grant: &'a Grant,
    pub(super) narrow: &'a [Narrow],
    pub(super) call: Call<'a>,
    pub(super) origin: &'a OriginPattern,
}

impl PolicySet {
    /// Judges a request that carries this lease. Pure; `path` without its query.
    pub fn decide(&self, lease: &LeaseFacts<'_>, request: &RequestFacts<'_>) -> Decision {
        let Some(service) = self.service(lease.service) else {
            return Decision::refuse(RefusalCode::NoGrant, format!("there is no service `{}`", lease.service));
        };
        let Some(grant) = self.grant(lease) else {
            let reason = format!(
                "no grant gives `{}` of `{}` with the secret `{}` to `{}` here",
                lease.credential, lease.service, lease.secret, lease.client
            );
            return Decision::refuse(RefusalCode::NoGrant, reason);
        };
        judge(service, grant, &self.budgets, lease, request)
    }

    /// How long a lease with these facts may live; `None` when no grant fits or none limits it.
    pub fn ttl(&self, lease: &LeaseFacts<'_>) -> Option<TimeToLive> {
        ttl(self.grant(lease)?, lease)
    }

    /// What must be read of the request's body before this lease can be judged; `None` when its head is enough.
    pub fn peek(&self, lease: &LeaseFacts<'_>, request: &RequestFacts<'_>) -> Option<Peek> {
        self.with_bench(lease, request, peek).flatten()
    }

    /// The fields of the head that the rules with a say about this request look at, each once; for `explain`.
    pub fn looked_at(&self, lease: &LeaseFacts<'_>, request: &RequestFacts<'_>) -> Vec<HeaderName> {
        let named = self.with_bench(lease, request, |bench| {
            let rules = with_a_say(bench).filter(|rule| rule.takes_head(&bench.call));
            let mut named: Vec<HeaderName> = rules.flat_map(|rule| rule.matchers.header_names()).collect();
            named.sort_by(|one, other| one.as_str().cmp(other.as_str()));
            named.dedup();
            named
        });
        named.unwrap_or_default()
    }

    /// Runs the part of judging that looks at capabilities, for `explain`; the error is the refusal before it.
    pub(super) fn with_bench<T>(
        &self,
        lease: &LeaseFacts<'_>,
        request: &RequestFacts<'_>,
        look: impl FnOnce(&Bench<'_>) -> T,
    ) -> Option<T> {
        let (service, grant) = (self.service(lease.service)?, self.grant(lease)?);
        let (block, slash, origin) =
            service.block(request.scheme, request.authority).map(|(i, b, o)| (i, b.slash, o))?;
        let path = NormalPath::parse_with(request.path, slash).ok()?;
        let loose: Cow<'_, str> = path.loose();
        let call = Call::new(block, request, path.as_str(), &loose);
        Some(look(&Bench { service, grant, narrow: lease.narrow, call, origin }))
    }
}

/// Judges a request under one grant, whoever the lease says it belongs to.
pub(super) fn judge(
    service: &Service,
    grant: &Grant,
    budgets: &[Budget],
    lease: &LeaseFacts<'_>,
    request: &RequestFacts<'_>,
) -> Decision {
    let (index, block, origin) = match service.block(request.scheme, request.authority) {
        Some(found) if found.1.carries == Carries::Lease => found,
        _ => {
            let reason = format!("`{}` is no host of `{}` that gets its credential", request.authority, service.id);
            return Decision::refuse(RefusalCode::StrayLease, reason);
        }
    };
    let path = match NormalPath::parse_with(request.path, block.slash) {
        Ok(path) => path,
        Err(error) => return Decision::refuse(RefusalCode::BadRequest, error.to_string()),
    };
    if let Some(reason) = misnamed(service, grant, lease.narrow) {
        return Decision::refuse(RefusalCode::CapDenied, reason);
    }
    let loose = path.loose();
    let call = Call::new(index, request, path.as_str(), &loose);
    if let Some(refused) = service.issue_refused(&call) {
        return refused;
    }
    let bench = Bench { service, grant, narrow: lease.narrow, call, origin };
    let mut decision = bench.judge();
    decision.ttl = ttl(grant, lease);
    if decision.verdict == Verdict::Ask {
        decision.asks = bench.asks();
    }
    if decision.verdict != Verdict::Deny {
        let Some(rule) = service.inject(lease.credential, &call) else {
            let reason = format!("`{}` takes no `{}` at `{}`", service.id, lease.credential, call.path);
            return Decision::refuse(RefusalCode::StrayLease, reason);
        };
        if let Some(not_yet) = block.not_yet.as_ref().or(rule.not_yet.as_ref()) {
            return Decision::refuse(RefusalCode::NotYet, not_yet.to_string());
        }
        decision.inject = Some(rule.inject.clone());
        decision.withhold = service.withheld(&call);
    }
    if decision.verdict > Verdict::Deny {
        decision.limits = bench.applied(budgets, lease);
    }
    decision
}

fn ttl(grant: &Grant, lease: &LeaseFacts<'_>) -> Option<TimeToLive> {
    let narrowed =
        lease.narrow.iter().filter(|narrow| narrow.service == *lease.service).filter_map(|narrow| narrow.ttl);
    narrowed.chain(grant.ttl).min()
}

/// A narrowing that names what does not exist would silently take away less than was meant.
fn misnamed(service: &Service, grant: &Grant, narrow: &[Narrow]) -> Option<String> {
    let mut ours = narrow.iter().filter(|narrow| narrow.service == service.id);
    ours.find_map(|narrow| service.misnamed(narrow, grant.tariff.as_deref()))
}

impl Service {
    /// The name in a narrowing that this service does not have, or the money that it has no prices for.
    pub(super) fn misnamed(&self, narrow: &Narrow, tariff: Option<&Tariff>) -> Option<String> {
        let known = |name: &str| self.capabilities.iter().any(|capability| *capability.name == *name);
        if let Some(name) = narrow.names().find(|name| !known(name)) {
            return Some(format!("a narrowing names the capability `{name}`, which `{}` does not have", self.id));
        }
        if let Some(name) = narrow.limited_meters().find(|name| self.meter_names().all(|known| known != *name)) {
            return Some(format!("a narrowing limits `{name}`, which `{}` has no meter for", self.id));
        }
        if tariff.is_none() && narrow.limits_money() {
            return Some(format!("a narrowing limits `money`, and no price says what `{}` costs", self.id));
        }
        let declared = |only: &&Only| self.params.iter().any(|param| *param.name == *only.param);
        let only = narrow.only.iter().find(|only| !declared(only))?;
        Some(format!("a narrowing names the parameter `{}`, which `{}` does not have", only.param, self.id))
    }
}

impl<'a> Call<'a> {
    /// A request without a content, such as a check.
    pub(super) fn of_head(block: usize, method: &'a str, host: &'a Host, path: &'a str) -> Self {
        let (protocol, content) = (Protocol::Http, Content::unknown());
        Self { block, host, method, path, loose: path, protocol, content }
    }

    pub(super) fn new(block: usize, request: &RequestFacts<'a>, path: &'a str, loose: &'a str) -> Self {
        let RequestFacts { authority, method, protocol, content, .. } = *request;
        Self { block, host: &authority.host, method, path, loose, protocol, content }
    }
}

impl Capability {
    /// How its own `deny` rules stand to a request: whether one would tell only from a body that nobody has read, and
    /// whether another takes it away.
    fn denied(&self, call: &Call<'_>) -> (bool, bool) {
        let taking = || self.deny.iter().filter(|rule| rule.takes(call));
        let open = |rule: &&Rule| call.content.body.is_unread() && rule.peek(call).is_some();
        (taking().any(|rule| open(&rule)), taking().any(|rule| !open(&rule)))
    }
}

/// Every rule that could have a say is one that must be able to look.
fn peek(bench: &Bench<'_>) -> Option<Peek> {
    with_a_say(bench).filter_map(|rule| rule.peek(&bench.call)).reduce(Peek::and)
}

/// Every rule of the capabilities that could decide, and of what is never answered.
fn with_a_say<'b>(bench: &'b Bench<'_>) -> impl Iterator<Item = &'b Rule> {
    let all = bench.service.capabilities.iter().enumerate();
    let with_a_say = all.filter(|(index, capability)| {
        let (listed, lowered) = bench.standing(*index, capability);
        let counts = listed.is_some() || lowered < Verdict::Allow;
        counts && capability.allow.iter().any(|rule| rule.takes_head(&bench.call))
    });
    let rules = with_a_say.flat_map(|(_, capability)| capability.allow.iter().chain(&capability.deny));
    rules.chain(bench.service.issues.iter().map(|issue| &issue.on))
}

impl Bench<'_> {
    fn judge(&self) -> Decision {
        let mut given = false;
        let mut body_max = Some(0);
        let mut strictest: Option<(Verdict, &Capability)> = None;
        let (mut outside, mut unread, mut faint) = (None, None, None);
        for (index, capability) in self.service.capabilities.iter().enumerate() {
            let hit = self.hit(index, capability);
            if hit.met == Met::Yes {
                given = true;
                body_max = body_max.zip(hit.body_max).map(|(one, other)| one.max(other));
            }
            if hit.met == Met::OutOfScope {
                outside = outside.or(Some(capability));
            }
            if hit.met == Met::Unread {
                unread = unread.or(Some(capability));
            }
            let verdict = hit.verdict.unwrap_or(Verdict::Deny);
            if hit.met == Met::Yes && verdict == Verdict::Ask && !hit.takes {
                // It changes nothing of itself, so whoever allows it decides first.
                faint = faint.or(Some((verdict, capability)));
                continue;
            }
            let counts = hit.met == Met::Yes || hit.takes;
            if counts && strictest.is_none_or(|(least, _)| verdict < least) {
                strictest = Some((verdict, capability));
            }
        }
        match strictest.or(faint) {
            Some((Verdict::Allow, capability)) if given => Decision {
                verdict: Verdict::Allow,
                code: None,
                capability: Some(capability.name.clone()),
                risk: Some(capability.risk),
                reason: String::new(),
                nearest: None,
                asks: Vec::new(),
                inject: None,
                ttl: None,
                body_max,
                withhold: Withhold::default(),
                limits: Vec::new(),
            },
            Some((Verdict::Ask, capability)) if given => {
                let reason = format!("capability `{}` of `{}` asks a person first", capability.name, self.service.id);
                let refused = Decision::refuse(RefusalCode::NeedsApproval, reason).about(Some(capability));
                Decision { body_max, ..refused }
            }
            Some((Verdict::Deny, capability)) => {
                let reason = format!("capability `{}` of `{}` is denied", capability.name, self.service.id);
                self.with_nearest(Decision::refuse(RefusalCode::CapDenied, reason).about(Some(capability)))
            }
            _ => self.refuse_unmatched(outside, unread),
        }
    }

    /// How one capability stands to the request.
    pub(super) fn hit(&self, index: usize, capability: &Capability) -> Hit {
        let (listed, lowered) = self.standing(index, capability);
        let gives =
            listed.is_some() && lowered > Verdict::Deny && self.narrows().all(|narrow| narrow.keeps(&capability.name));
        let (mut met, mut body_max) = (Met::No, Some(0));
        let (open, denied) = capability.denied(&self.call);
        if gives && !denied {
            for rule in &capability.allow {
                let found = rule.gives(&self.call, |seen| self.is_in_scope(index, seen));
                met = met.max(found);
                if found == Met::Yes {
                    body_max = body_max.zip(rule.body_max).map(|(one, other)| one.max(other));
                }
            }
        }
        if open && met == Met::Yes {
            met = Met::Unread;
        }
        // What takes away does so whatever `only` and `keep` say: otherwise an added limit could remove the very
        // rule that asked or denied, and so widen.
        let takes = lowered < Verdict::Allow
            && capability.allow.iter().any(|rule| rule.takes(&self.call))
            && !capability.deny.iter().any(|rule| rule.is_exactly(&self.call));
        let verdict = (listed.is_some() || lowered < Verdict::Allow).then_some(lowered);
        Hit { verdict, met, takes, body_max }
    }

    /// The list that a capability stands in, and what the narrowings leave of that.
    fn standing(&self, index: usize, capability: &Capability) -> (Option<Verdict>, Verdict) {
        let listed = self.grant.listed.iter().find(|(other, _)| *other == index).map(|(_, verdict)| *verdict);
        let start = listed.unwrap_or(Verdict::Allow);
        (listed, self.narrows().fold(start, |verdict, narrow| narrow.lower(&capability.name, verdict)))
    }

    pub(super) fn narrows(&self) -> impl Iterator<Item = &Narrow> {
        self.narrow.iter().filter(|narrow| narrow.service == self.service.id)
    }

    pub(super) fn limits(&self) -> impl Iterator<Item = &Only> {
        self.grant.only.iter().chain(self.narrows().flat_map(|narrow| &narrow.only))
    }

    /// Every value that the request shows for a limited parameter lies inside, and there is one.
    fn is_in_scope(&self, index: usize, seen: &Seen<'_, '_>) -> bool {
        self.limits().all(|only| {
            let attribute = self.service.attributes.iter().find(|attribute| *attribute.param == *only.param);
            if attribute.is_some_and(|attribute| !attribute.judges(&self.call)) {
                return true;
            }
            let by_itself = attribute.map_or_else(Vec::new, |attribute| attribute.values(&self.call));
            let in_path = seen.path.and_then(|(path, shown)| {
                shown.get(path.params().iter().position(|name| **name == *only.param)?).copied()
            });
            let elsewhere = seen.values.iter().filter(|(name, _)| *name == only.param).map(|(_, value)| &**value);
            let in_host = host_value(&self.origin.pattern, self.call.host, &only.param);
            let mut any = false;
            let declared = self.service.params.iter().find(|param| *param.name == *only.param);
            let formed = |value: &str| declared.is_none_or(|param| param.takes(value));
            if !by_itself.iter().all(|value| formed(value)) {
                return false;
            }
            let inside =
                in_path.into_iter().chain(elsewhere).chain(in_host).chain(by_itself.iter().map(String::as_str)).all(
                    |value| {
                        any = true;
                        only.contains(value)
                    },
                );
            inside && (any || self.grant.unscoped.contains(&index))
        })
    }
}
