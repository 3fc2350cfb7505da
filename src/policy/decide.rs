//! The one rule engine: from a lease and a request to a verdict, purely.
//!
//! Invariants: adding a narrowing never raises a verdict; nothing that matches no granted capability is allowed;
//! an allowed decision allocates nothing unless the path needs decoding.

use std::{borrow::Cow, path::Path, sync::Arc};

use crate::base::{Authority, ClientId, RefusalCode, Scheme, SecretName, ServiceId, TimeToLive};

use super::{
    grant::{Grant, Narrow, Only, Verdict},
    path::NormalPath,
    path_pattern::{PathPattern, Shown},
    rule::{Call, Met, Protocol},
    service::{Capability, Carries, Inject, OriginPattern, Risk, Service, host_value},
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
    /// What project and lease take away.
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
}

/// A verdict and everything that explains it or follows from it.
#[derive(Clone, Debug)]
pub struct Decision {
    /// What becomes of the request.
    pub verdict: Verdict,
    /// The code of the refusal; `None` exactly when allowed.
    pub code: Option<RefusalCode>,
    /// The capability that decided; when nothing granted matched, the one that would have.
    pub capability: Option<Arc<str>>,
    /// The risk of that capability.
    pub risk: Option<Risk>,
    /// Why, for people; empty when allowed.
    pub reason: String,
    /// The nearest call that is allowed, when there is one.
    pub nearest: Option<String>,
    /// How the credential goes in; `Some` exactly when allowed.
    pub inject: Option<Arc<Inject>>,
    /// How long a lease may live under the grant and all narrowings; `None` leaves it to the settings.
    pub ttl: Option<TimeToLive>,
}

impl Decision {
    fn refuse(code: RefusalCode, reason: String) -> Self {
        let verdict = if code == RefusalCode::NeedsApproval { Verdict::Ask } else { Verdict::Deny };
        Self { verdict, code: Some(code), capability: None, risk: None, reason, nearest: None, inject: None, ttl: None }
    }

    fn about(mut self, capability: Option<&Capability>) -> Self {
        self.capability = capability.map(|capability| capability.name.clone());
        self.risk = capability.map(|capability| capability.risk);
        self
    }
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
}

/// Everything that judging needs, found once.
pub(super) struct Bench<'a> {
    pub(super) service: &'a Service,
    pub(super) grant: &'a Grant,
    pub(super) narrow: &'a [Narrow],
    pub(super) call: Call<'a>,
    origin: &'a OriginPattern,
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
        if let Some(reason) = misnamed(service, lease.narrow) {
            return Decision::refuse(RefusalCode::CapDenied, reason);
        }
        let loose = path.loose();
        let (host, method, protocol) = (&request.authority.host, request.method, request.protocol);
        let call = Call { block: index, host, method, path: path.as_str(), loose: &loose, protocol };
        let bench = Bench { service, grant, narrow: lease.narrow, call, origin };
        let mut decision = bench.judge();
        decision.ttl = ttl(grant, lease);
        if decision.verdict == Verdict::Allow {
            let Some(rule) = service.inject(index, lease.credential, path.as_str()) else {
                let reason = format!("`{}` takes no `{}` at `{}`", service.id, lease.credential, call.path);
                return Decision::refuse(RefusalCode::StrayLease, reason);
            };
            decision.inject = Some(rule.inject.clone());
        }
        decision
    }

    /// How long a lease with these facts may live; `None` when no grant fits or none limits it.
    pub fn ttl(&self, lease: &LeaseFacts<'_>) -> Option<TimeToLive> {
        ttl(self.grant(lease)?, lease)
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
        let (host, method, protocol) = (&request.authority.host, request.method, request.protocol);
        let call = Call { block, host, method, path: path.as_str(), loose: &loose, protocol };
        Some(look(&Bench { service, grant, narrow: lease.narrow, call, origin }))
    }
}

fn ttl(grant: &Grant, lease: &LeaseFacts<'_>) -> Option<TimeToLive> {
    let narrowed =
        lease.narrow.iter().filter(|narrow| narrow.service == *lease.service).filter_map(|narrow| narrow.ttl);
    narrowed.chain(grant.ttl).min()
}

/// A narrowing that names what does not exist would silently take away less than was meant.
fn misnamed(service: &Service, narrow: &[Narrow]) -> Option<String> {
    let mut ours = narrow.iter().filter(|narrow| narrow.service == service.id);
    ours.find_map(|narrow| service.misnamed(narrow))
}

impl Service {
    /// The name in a narrowing that this service does not have.
    pub(super) fn misnamed(&self, narrow: &Narrow) -> Option<String> {
        let known = |name: &str| self.capabilities.iter().any(|capability| *capability.name == *name);
        if let Some(name) = narrow.names().find(|name| !known(name)) {
            return Some(format!("a narrowing names the capability `{name}`, which `{}` does not have", self.id));
        }
        let declared = |only: &&Only| self.params.iter().any(|param| *param.name == *only.param);
        let only = narrow.only.iter().find(|only| !declared(only))?;
        Some(format!("a narrowing names the parameter `{}`, which `{}` does not have", only.param, self.id))
    }
}

impl Bench<'_> {
    fn judge(&self) -> Decision {
        let mut given = false;
        let mut strictest: Option<(Verdict, &Capability)> = None;
        let mut outside = None;
        for (index, capability) in self.service.capabilities.iter().enumerate() {
            let hit = self.hit(index, capability);
            given |= hit.met == Met::Yes;
            if hit.met == Met::OutOfScope {
                outside = outside.or(Some(capability));
            }
            let verdict = hit.verdict.unwrap_or(Verdict::Deny);
            let counts = hit.met == Met::Yes || hit.takes;
            if counts && strictest.is_none_or(|(least, _)| verdict < least) {
                strictest = Some((verdict, capability));
            }
        }
        match strictest {
            Some((Verdict::Allow, capability)) if given => Decision {
                verdict: Verdict::Allow,
                code: None,
                capability: Some(capability.name.clone()),
                risk: Some(capability.risk),
                reason: String::new(),
                nearest: None,
                inject: None,
                ttl: None,
            },
            Some((Verdict::Ask, capability)) if given => {
                let reason = format!("capability `{}` of `{}` asks a person first", capability.name, self.service.id);
                Decision::refuse(RefusalCode::NeedsApproval, reason).about(Some(capability))
            }
            Some((Verdict::Deny, capability)) => {
                let reason = format!("capability `{}` of `{}` is denied", capability.name, self.service.id);
                self.with_nearest(Decision::refuse(RefusalCode::CapDenied, reason).about(Some(capability)))
            }
            _ => self.refuse_unmatched(outside),
        }
    }

    fn refuse_unmatched(&self, outside: Option<&Capability>) -> Decision {
        let asked = format!("{} {}", shown(self.call.method), self.call.path);
        if let Some(capability) = outside {
            let limits: Vec<String> = self.limits().map(ToString::to_string).collect();
            let reason = format!("`{asked}` lies outside `{}`", limits.join("; "));
            return self.with_nearest(Decision::refuse(RefusalCode::OutOfScope, reason).about(Some(capability)));
        }
        let would = |capability: &&Capability| {
            capability.allow.iter().any(|rule| rule.is_exactly(&self.call))
                && !capability.deny.iter().any(|rule| rule.takes(&self.call))
        };
        let would = self.service.capabilities.iter().find(would);
        let also = would.map_or_else(String::new, |capability| {
            format!("; capability `{}` would, and is not granted", capability.name)
        });
        let reason = format!("no granted capability of `{}` allows `{asked}`{also}", self.service.id);
        self.with_nearest(Decision::refuse(RefusalCode::CapDenied, reason).about(would))
    }

    /// How one capability stands to the request.
    pub(super) fn hit(&self, index: usize, capability: &Capability) -> Hit {
        let listed = self.grant.listed.iter().find(|(other, _)| *other == index).map(|(_, verdict)| *verdict);
        let lowered = self
            .narrows()
            .fold(listed.unwrap_or(Verdict::Allow), |verdict, narrow| narrow.lower(&capability.name, verdict));
        let gives =
            listed.is_some() && lowered > Verdict::Deny && self.narrows().all(|narrow| narrow.keeps(&capability.name));
        let mut met = Met::No;
        if gives && !capability.deny.iter().any(|rule| rule.takes(&self.call)) {
            let accept = |path: Option<&PathPattern>, shown: &Shown<'_>| self.is_in_scope(index, path, shown);
            met = capability.allow.iter().map(|rule| rule.gives(&self.call, accept)).max().unwrap_or(Met::No);
        }
        // What takes away does so whatever `only` and `keep` say: otherwise an added limit could remove the very
        // rule that asked or denied, and so widen.
        let takes = lowered < Verdict::Allow
            && capability.allow.iter().any(|rule| rule.takes(&self.call))
            && !capability.deny.iter().any(|rule| rule.is_exactly(&self.call));
        let verdict = (listed.is_some() || lowered < Verdict::Allow).then_some(lowered);
        Hit { verdict, met, takes }
    }

    fn narrows(&self) -> impl Iterator<Item = &Narrow> {
        self.narrow.iter().filter(|narrow| narrow.service == self.service.id)
    }

    fn limits(&self) -> impl Iterator<Item = &Only> {
        self.grant.only.iter().chain(self.narrows().flat_map(|narrow| &narrow.only))
    }

    fn is_in_scope(&self, index: usize, path: Option<&PathPattern>, shown: &Shown<'_>) -> bool {
        self.limits().all(|only| {
            let position = path.and_then(|path| path.params().iter().position(|name| **name == *only.param));
            let value = position.and_then(|at| shown.get(at).copied());
            match value.or_else(|| host_value(&self.origin.pattern, self.call.host, &only.param)) {
                Some(value) => only.contains(value),
                None => self.grant.unscoped.contains(&index),
            }
        })
    }

    /// Adds the allowed call that is most like the refused one.
    fn with_nearest(&self, mut decision: Decision) -> Decision {
        let allowed = self.service.capabilities.iter().enumerate().filter(|(index, capability)| {
            let listed = self.grant.listed.contains(&(*index, Verdict::Allow));
            listed
                && self
                    .narrows()
                    .all(|n| n.keeps(&capability.name) && n.lower(&capability.name, Verdict::Allow) == Verdict::Allow)
        });
        let rules = allowed.flat_map(|(_, capability)| capability.allow.iter().map(move |rule| (capability, rule)));
        let best = rules
            .map(|(capability, rule)| (rule.likeness(&self.call), capability, rule))
            .max_by_key(|(likeness, ..)| *likeness);
        decision.nearest = best
            .filter(|(likeness, ..)| *likeness > (0, 0))
            .map(|(_, capability, rule)| format!("`{}` (capability `{}`)", rule.example(&self.call), capability.name));
        decision
    }
}

/// Text of the client's, safe to show.
fn shown(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_default).collect()
}
