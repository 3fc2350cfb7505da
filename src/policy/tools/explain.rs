//! Every layer's verdict on one request, in words: what `secrets policy explain` shows.
//!
//! Invariant: all verdicts come from `decide`; nothing here judges on its own.

use std::path::Path;

use http::HeaderName;
use serde::Serialize;

use crate::base::{ClientId, RefusalCode, ServiceId, TimeToLive};

use crate::policy::{
    Asked, Body, BodySeen,
    decide::{Bench, Hit, LeaseFacts, RequestFacts},
    decision::Decision,
    grants::{Layer, Narrow, Verdict},
    rules::Met,
    services::{Capability, Risk},
    set::PolicySet,
};

/// What the policy says of one request under one grant.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// The service.
    pub service: ServiceId,
    /// Which credential of it.
    pub credential: String,
    /// The secret behind it.
    pub secret: String,
    /// Where the grant is written; `None` when none fits.
    pub grant: Option<String>,
    /// The origin of the service that the request goes to; `None` when it is none of its own.
    pub host: Option<String>,
    /// What the grant alone says, then what each narrowing would leave of it, in order.
    pub layers: Vec<LayerView>,
    /// The capabilities that the request touches.
    pub capabilities: Vec<CapabilityView>,
    /// All layers together.
    pub verdict: Verdict,
    /// The code of the refusal.
    pub code: Option<RefusalCode>,
    /// Why.
    pub reason: String,
    /// The nearest call that is allowed.
    pub nearest: Option<String>,
    /// Where the credential would go.
    pub places: Vec<String>,
    /// How long a lease may live, when the policy limits it.
    pub ttl: Option<TimeToLive>,
    /// What the request would count towards: `requests = 60/min of the grant at mine.toml:12`.
    pub limits: Vec<String>,
    /// What the proxy would do with its body before it judges.
    #[serde(skip)]
    pub body: BodySeen,
    /// The fields of its head that rules look at.
    #[serde(skip)]
    pub looked_at: Vec<HeaderName>,
}

/// One layer's verdict.
#[derive(Clone, Debug, Serialize)]
pub struct LayerView {
    /// `policy`, `project`, `session` or `lease`.
    pub layer: &'static str,
    /// What the grant under this layer alone says.
    pub verdict: Verdict,
    /// Why; empty when allowed.
    pub reason: String,
}

/// One capability that the request touches.
#[derive(Clone, Debug, Serialize)]
pub struct CapabilityView {
    /// Its name.
    pub name: String,
    /// Its risk.
    pub risk: Risk,
    /// What the layers leave of it; `None` when it is not granted.
    pub verdict: Option<Verdict>,
    /// How its rules met the request.
    pub matched: &'static str,
}

impl PolicySet {
    /// Explains one decision; the body is read as far as the proxy would read it for this lease.
    pub fn explain(&self, lease: &LeaseFacts<'_>, asked: &Asked) -> Explanation {
        let unread = Body::unread();
        let head = asked.with_head(&unread);
        let (body, seen) = asked.read(self.peek(lease, &head));
        let looked_at = self.looked_at(lease, &head);
        let (explanation, most) = self.explain_facts(lease, &asked.with_head(&body));
        let longer = |most: usize| asked.body_length().is_some_and(|length| length > most as u64);
        let explanation = match seen {
            BodySeen::TooLong { most } => {
                let why = format!("the rules for this request look into its body, and it has more than {most} bytes");
                // It is refused before any layer is asked.
                Explanation { layers: Vec::new(), ..explanation.too_long(why) }
            }
            _ if explanation.verdict > Verdict::Deny && most.is_some_and(longer) => {
                explanation.too_long("the body is longer than the rule for this request allows".to_owned())
            }
            _ => explanation,
        };
        Explanation { body: seen, looked_at, ..explanation }
    }

    /// The explanation, and the most bytes that the body of what is allowed may have.
    fn explain_facts(&self, lease: &LeaseFacts<'_>, request: &RequestFacts<'_>) -> (Explanation, Option<usize>) {
        let decision = self.decide(lease, request);
        let grant = self.grant(lease).map(|grant| grant.place().to_owned());
        let host = self.service(lease.service).and_then(|s| s.block(request.scheme, request.authority));
        let host = host.map(|(_, _, origin)| origin.to_string());
        let inject = decision.inject.as_ref();
        let most = decision.body_max;
        let explanation = Explanation {
            service: lease.service.clone(),
            credential: lease.credential.to_owned(),
            secret: lease.secret.to_string(),
            grant,
            host,
            layers: self.layers(lease, request),
            capabilities: self.with_bench(lease, request, capabilities).unwrap_or_default(),
            places: inject.map_or_else(Vec::new, |inject| inject.places.iter().map(ToString::to_string).collect()),
            verdict: decision.verdict,
            code: decision.code,
            reason: decision.reason,
            nearest: decision.nearest,
            ttl: decision.ttl,
            limits: decision.limits.iter().map(ToString::to_string).collect(),
            body: BodySeen::Unneeded,
            looked_at: Vec::new(),
        };
        (explanation, most)
    }

    /// Explains a request without a lease at hand: one explanation per secret of every grant whose service has
    /// this host, also when the grant is not meant for this client. Empty when no granted service has the host,
    /// so that [`PolicySet::unknown_host`] applies.
    pub fn explain_all(
        &self,
        client: &ClientId,
        project: Option<&Path>,
        environment: Option<&str>,
        narrow: &[Narrow],
        asked: &Asked,
    ) -> Vec<Explanation> {
        let here = self.host(asked.origin().scheme, &asked.origin().authority);
        let services = here.as_ref().map_or(&[][..], |host| host.services());
        let grants = self.grants().filter(|grant| services.contains(grant.service()));
        let mut all: Vec<Explanation> = Vec::new();
        for grant in grants {
            for (credential, secret) in grant.items() {
                let service = grant.service();
                let lease = LeaseFacts { service, credential, secret, client, project, environment, narrow };
                let explanation = self.explain(&lease, asked);
                let same = |one: &Explanation| {
                    one.grant == explanation.grant
                        && one.secret == explanation.secret
                        && one.credential == explanation.credential
                };
                if !all.iter().any(same) {
                    all.push(explanation);
                }
            }
        }
        all
    }

    fn layers(&self, lease: &LeaseFacts<'_>, request: &RequestFacts<'_>) -> Vec<LayerView> {
        let view = |layer, decision: Decision| LayerView { layer, verdict: decision.verdict, reason: decision.reason };
        let mut layers = vec![view("policy", self.decide(&LeaseFacts { narrow: &[], ..*lease }, request))];
        for narrow in lease.narrow.iter().filter(|narrow| narrow.service() == lease.service) {
            let layer = match narrow.layer() {
                Layer::Lease => "lease",
                Layer::Project => "project",
                Layer::Session => "session",
            };
            let alone = std::slice::from_ref(narrow);
            layers.push(view(layer, self.decide(&LeaseFacts { narrow: alone, ..*lease }, request)));
        }
        layers
    }
}

impl Explanation {
    /// As the proxy refuses a body that goes beyond its rules.
    fn too_long(self, reason: String) -> Self {
        let code = Some(RefusalCode::BodyTooLarge);
        Self { verdict: Verdict::Deny, code, reason, nearest: None, places: Vec::new(), limits: Vec::new(), ..self }
    }
}

fn capabilities(bench: &Bench<'_>) -> Vec<CapabilityView> {
    let all = bench.service.capabilities.iter().enumerate();
    all.filter_map(|(index, capability)| view(bench, capability, bench.hit(index, capability))).collect()
}

fn view(bench: &Bench<'_>, capability: &Capability, hit: Hit) -> Option<CapabilityView> {
    let would = || {
        capability.allow.iter().any(|rule| rule.is_exactly(&bench.call))
            && !capability.deny.iter().any(|rule| rule.takes(&bench.call))
    };
    let matched = match hit {
        Hit { met: Met::Yes, .. } => "gives",
        Hit { takes: true, .. } => "takes away",
        Hit { met: Met::OutOfScope, .. } => "out of scope",
        Hit { met: Met::Unread, .. } => "gives if the body fits",
        _ if would() => "would give",
        _ => return None,
    };
    Some(CapabilityView { name: capability.name().to_owned(), risk: capability.risk(), verdict: hit.verdict, matched })
}
