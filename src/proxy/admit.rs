//! Stations 5 to 7: who asks, whether it may, and the record that it will.

use std::sync::Arc;

use http::request::Parts;
use hyper::body::Body as _;

use super::{
    exchange::{Refused, Site},
    flow::Flow,
    hop::{self, Upgrading},
    outcome::{Notes, Outcome},
    places,
    request::Received,
    stray,
    upload::Source,
};
use crate::{
    base::{CutWatch, Environment, RefusalCode, Scheme, ServiceId, shell_word},
    broker::{Permit, Refusal, Taken},
    inject::{Held, Slot},
    net::Roots,
    policy::{
        Applied, Asking, Body, CHECK_FIX, Content, GrantedHost, Inject, LeaseFacts, Missing, PolicySet, Protocol,
        RequestFacts, Verdict, Withhold,
    },
};

/// A request with its permits; none for an anonymous request where the service lets those pass.
pub(super) struct Admitted {
    pub(super) received: Received,
    pub(super) permits: Vec<Permit>,
    held: Vec<Held>,
    /// Its body, if that was read to be judged.
    pub(super) seen: Body,
    /// How many of its permits, the last ones, are leases of its session that it carries no token of.
    begun: usize,
    /// The only certificates that vouch for the upstream, unless the usual ones do.
    roots: Option<Roots>,
}

/// A request that policy allows, with the places where its credentials go.
pub(super) struct Decided {
    pub(super) received: Received,
    pub(super) permits: Vec<Permit>,
    slots: Vec<Slot>,
    /// What stands there.
    pub(super) held: Vec<Held>,
    /// Its body, as far as it was read to be judged.
    pub(super) seen: Body,
    pub(super) body_max: Option<u64>,
    withhold: Withhold,
    begun: usize,
    roots: Option<Roots>,
    /// What it counts towards, if anything.
    pub(super) towards: Option<Box<Towards>>,
    /// What a person is asked before it goes on.
    pub(super) asks: Vec<(ServiceId, Asking)>,
    /// What explains it.
    pub(super) command: String,
}

/// The limits that a request counts towards, and the command that shows them.
#[derive(Default)]
pub(super) struct Towards {
    pub(super) limits: Vec<Applied>,
    pub(super) explained: String,
}

/// A request whose record is open.
pub(super) struct Opened {
    pub(super) parts: Parts,
    pub(super) body: Source,
    /// The most bytes that the body may have.
    pub(super) body_max: Option<u64>,
    pub(super) upgrading: Upgrading,
    pub(super) expects_continue: bool,
    pub(super) permits: Arc<[Permit]>,
    pub(super) slots: Vec<Slot>,
    /// What its answer is freed of.
    pub(super) withhold: Withhold,
    /// The only certificates that vouch for the upstream, unless the usual ones do.
    pub(super) roots: Option<Roots>,
    pub(super) flow: Arc<Flow>,
    pub(super) outcome: Outcome,
}

/// Station 5: every credential at a listed place is a live lease of a service at this host.
pub(super) fn authorize(
    site: &Site,
    granted: Option<&GrantedHost<'_>>,
    mut received: Received,
) -> Result<Admitted, Refused> {
    let mut permits = Vec::new();
    let mut all_held = Vec::new();
    for (at, held) in std::mem::take(&mut received.held) {
        let Some(listed) = granted.and_then(|granted| granted.places().get(at)) else { continue };
        match site.broker.authorize(&held.text, site.entrance.session_id()) {
            Ok(permit) => {
                let permit = permit.within(site.entrance.narrow());
                note_permit(&mut received.notes, &permit);
                if !serves(granted, &permit) {
                    site.broker.on_stray(permit.lease());
                    let refusal = stray::refusal(&site.authority.to_string(), &listed.place.to_string());
                    return Err(Refused::Before(Box::new(received.notes), refusal));
                }
                permits.push(permit);
                all_held.push(held);
            }
            Err(refusal) if refusal.code == RefusalCode::ForeignCredential => {
                return Err(Refused::Before(Box::new(received.notes), stray::foreign(&listed.place)));
            }
            Err(refusal) => return Err(Refused::Before(Box::new(received.notes), refusal)),
        }
    }
    let begun = places::begin(site, granted, &mut received, &permits);
    let count = begun.len();
    for (permit, held) in begun {
        if permits.is_empty() {
            note_permit(&mut received.notes, &permit);
        }
        permits.push(permit);
        all_held.push(held);
    }
    let may_pass = granted.is_none_or(|granted| granted.missing() == Missing::Pass);
    if let Some(reason) = granted.and_then(GrantedHost::closed) {
        let refusal = Refusal::new(RefusalCode::HostDenied, reason, CHECK_FIX);
        return Err(Refused::Before(Box::new(received.notes), refusal));
    }
    if permits.is_empty() && !may_pass {
        if let Some(reason) = granted.and_then(GrantedHost::unwritten) {
            let refusal = Refusal::new(RefusalCode::NotYet, reason, CHECK_FIX);
            return Err(Refused::Before(Box::new(received.notes), refusal));
        }
        return Err(Refused::Before(Box::new(received.notes), no_lease(site, granted)));
    }
    let roots = granted.and_then(GrantedHost::roots).cloned();
    Ok(Admitted { received, permits, held: all_held, seen: Body::unread(), begun: count, roots })
}

fn no_lease(site: &Site, granted: Option<&GrantedHost<'_>>) -> Refusal {
    let begins = granted.is_some_and(|granted| !granted.begins().is_empty());
    let or_else = match (begins, site.entrance.proven_session()) {
        (false, _) => "",
        (true, None) => {
            ", or the proxy credentials of a session that has one: they stand in the proxy's URL (`HTTPS_PROXY`) of a \
             program under `secrets exec`, and this request came without"
        }
        (true, Some(_)) => {
            "; one without passes only where its service says so, and where its session has exactly one lease for it"
        }
    };
    let detail = format!("requests to `{}` need a lease token{or_else}", site.authority);
    Refusal::new(RefusalCode::NoLease, detail, "secrets exec -- sh")
}

fn note_permit(notes: &mut Notes, permit: &Permit) {
    let lease = permit.lease();
    notes.client = Some(lease.client.clone());
    notes.lease = Some(lease.id);
    notes.secret = Some(lease.secret.clone());
    notes.service = lease.scope().map(|scope| scope.service.clone());
}

/// Whether the lease's own service takes its credential at this host; anywhere else the token is astray.
fn serves(granted: Option<&GrantedHost<'_>>, permit: &Permit) -> bool {
    let Some(scope) = permit.lease().scope() else { return false };
    let listed = granted.map_or(&[][..], |granted| granted.places());
    listed.iter().any(|place| place.service == scope.service && *place.credential == *scope.credential)
}

/// Station 6: the one rule engine says yes to every lease of the request.
pub(super) fn decide(policy: &PolicySet, site: &Site, mut admitted: Admitted) -> Result<Decided, Refused> {
    let (parts, request) = (&admitted.received.parts, admitted.request_facts(site));
    let mut body_max: Option<u64> = None;
    let mut refusal = None;
    let mut capability = None;
    let mut withhold = Withhold::default();
    if admitted.permits.is_empty() {
        withhold = policy.withheld_without_lease(&request);
        refusal = policy.issue_without_lease(&request).map(|decision| {
            let code = decision.code.unwrap_or(RefusalCode::IssueRefused);
            Refusal::new(code, decision.reason, "secrets policy list")
        });
    }
    let mut towards: Option<Box<Towards>> = None;
    let mut slots = Vec::with_capacity(admitted.permits.len());
    let (mut asks, mut command) = (Vec::new(), String::new());
    for (at, (permit, held)) in admitted.permits.iter().zip(&admitted.held).enumerate() {
        let lease = permit.lease();
        let (Some(scope), Some(facts)) = (lease.scope(), site.lease_facts(permit)) else { continue };
        let decision = policy.decide(&facts, &request);
        if decision.verdict != Verdict::Deny {
            if decision.verdict == Verdict::Ask {
                command = explain_command(site, &facts, &request);
                for asking in decision.asks.into_iter().map(|asking| (scope.service.clone(), asking)) {
                    if !asks.contains(&asking) {
                        asks.push(asking); // two leases of one grant ask once
                    }
                }
            }
            capability = decision.capability;
            withhold = withhold.and(&decision.withhold);
            if !decision.limits.is_empty() {
                let towards = towards.get_or_insert_default();
                towards.limits.extend(decision.limits);
                towards.explained = explain_command(site, &facts, &request);
            }
            body_max = body_max.into_iter().chain(decision.body_max.map(|most| most as u64)).min();
            if body_max.is_some_and(|most| admitted.received.body.size_hint().lower() > most) {
                refusal = Some(too_long(explain_command(site, &facts, &request)));
                break;
            }
            let earlier = admitted.permits.get(..at).unwrap_or_default();
            let again = earlier.iter().any(|other| other.lease().scope() == Some(scope));
            let whole = admitted.received.is_searched.then(|| admitted.received.body.front());
            let sets = |inject: &Arc<Inject>| inject.missing == Missing::Inject || held.slot.message().is_some();
            let is_begun = at + admitted.begun >= admitted.permits.len();
            if is_begun && !decision.inject.as_ref().is_some_and(sets) {
                refusal = Some(no_lease(site, None));
                break;
            }
            let found = places::place_of(parts, whole.as_deref(), held, decision.inject.as_deref());
            let two = |slot: &Slot| slot.presents() && slots.iter().any(Slot::presents); // of a connection there is one
            if let Some(slot) = found.filter(|slot| !again && !two(slot)) {
                slots.push(slot);
                continue;
            }
            site.broker.on_stray(lease);
            refusal = Some(stray::refusal(&site.authority.to_string(), "a place that its service does not list here"));
            break;
        }
        // What would have matched is in the record too, for those who are to decide whether to grant it.
        capability = decision.capability;
        refusal = Some(Refusal {
            code: decision.code.unwrap_or(RefusalCode::CapDenied),
            fix: explain_command(site, &facts, &request),
            nearest: decision.nearest,
            capability: capability.as_deref().map(Box::from),
            detail: decision.reason + &beyond_command(policy, &facts, &request),
            retry_after: None,
        });
        break;
    }
    admitted.received.notes.capability = capability;
    if let Some(refusal) = refusal {
        return Err(Refused::Before(Box::new(admitted.received.notes), refusal));
    }
    let Admitted { received, permits, held, seen, begun, roots } = admitted;
    Ok(Decided { received, permits, slots, held, seen, body_max, withhold, begun, roots, towards, asks, command })
}

impl Decided {
    /// The request as it was before policy had judged it, at a host of which this is known now.
    pub(super) fn undecided(self, granted: Option<&GrantedHost<'_>>) -> Admitted {
        let Self { received, permits, held, seen, begun, .. } = self;
        let roots = granted.and_then(GrantedHost::roots).cloned();
        Admitted { received, permits, held, seen, begun, roots }
    }
}

impl Admitted {
    /// The request as rules see it.
    pub(super) fn request_facts<'a>(&'a self, site: &'a Site) -> RequestFacts<'a> {
        self.received.facts(site, &self.seen)
    }
}

impl Received {
    /// The same, with what is known of its body.
    pub(super) fn facts<'a>(&'a self, site: &'a Site, body: &'a Body) -> RequestFacts<'a> {
        let Self { parts, path, upgrading, .. } = self;
        RequestFacts {
            scheme: site.scheme,
            authority: &site.authority,
            method: parts.method.as_str(),
            path: path.as_deref().unwrap_or_else(|| parts.uri.path()),
            protocol: upgrading.protocol(),
            content: Content { query: parts.uri.query(), headers: &parts.headers, body },
        }
    }
}

impl Site {
    /// What a lease says about requests that come this way; `None` for a lease of a bare value.
    pub(super) fn lease_facts<'a>(&'a self, permit: &'a Permit) -> Option<LeaseFacts<'a>> {
        let lease = permit.lease();
        let scope = lease.scope()?;
        Some(LeaseFacts {
            service: &scope.service,
            credential: &scope.credential,
            secret: &lease.secret,
            client: &lease.client,
            project: self.entrance.project(),
            environment: lease.terms.environment.as_ref().map(Environment::as_str),
            narrow: if permit.narrow().is_empty() { self.entrance.narrow() } else { permit.narrow() },
        })
    }
}

/// A body that is longer than the rule that lets it pass allows.
pub(super) fn too_long(command: impl Into<String>) -> Refusal {
    Refusal::new(RefusalCode::BodyTooLarge, "the body is longer than the rule for this request allows", command)
}

/// The command that shows why, as whoever holds the lease where they work. Quoted for a shell: method and path are the
/// client's.
pub(super) fn explain_command(site: &Site, facts: &LeaseFacts<'_>, request: &RequestFacts<'_>) -> String {
    let scheme = match (request.scheme, request.protocol) {
        (Scheme::Http, Protocol::Http) => "http",
        (Scheme::Http, Protocol::WebSocket) => "ws",
        (Scheme::Https, Protocol::Http) => "https",
        (Scheme::Https, Protocol::WebSocket) => "wss",
    };
    let mut url = format!("{scheme}://{}{}", site.authority, request.path.replace('\'', "%27"));
    // Queries can hold credentials; what git asks for is none, and decides.
    if let Some(query @ ("service=git-receive-pack" | "service=git-upload-pack")) = request.content.query {
        url.push('?');
        url.push_str(query);
    }
    let method = request.method.replace('\'', "'\\''");
    let mut command =
        format!("secrets policy explain '{method}' '{url}' --client {}", shell_word(facts.client.as_str()));
    if let Some(folder) = facts.project {
        command.push_str(" --project ");
        command.push_str(&shell_word(&folder.to_string_lossy()));
    }
    if let Some(environment) = facts.environment {
        command.push_str(" --environment ");
        command.push_str(&shell_word(environment));
    }
    command
}

/// What rules look at and the command does not carry, since it may hold credentials: whoever has it adds it.
fn beyond_command(policy: &PolicySet, facts: &LeaseFacts<'_>, request: &RequestFacts<'_>) -> String {
    let body = policy.peek(facts, request).map(|_| "its body (`--data-file`)".to_owned());
    let fields = policy.looked_at(facts, request).into_iter().map(|name| format!("its field `{name}` (`--header`)"));
    let all: Vec<String> = body.into_iter().chain(fields).collect();
    if all.is_empty() { String::new() } else { format!("; rules look at {}", all.join(", ")) }
}

/// Station 7: the record is open before the credential exists.
pub(super) fn open_record(site: &Site, decided: Decided, counted: Option<Box<Taken>>) -> Result<Opened, Refused> {
    let Decided { received, permits, slots, body_max, withhold, begun, roots, .. } = decided;
    let Received { notes, mut parts, body, upgrading, expects_continue, is_searched, .. } = received;
    if !permits.is_empty() || !withhold.is_nothing() {
        hop::ask_for_readable_answers(&mut parts.headers);
    }
    let flow = Flow::new(watches(site, &permits));
    let ended = flow.cut().filter(|_| permits.is_empty()).map(Refusal::of_cut);
    if let Some(refusal) = site.broker.ready().err().or(ended) {
        return Err(Refused::Before(Box::new(notes), refusal));
    }
    match notes.begin(site.broker.audit().clone(), Arc::clone(&flow), site.broker.clock().clone()) {
        Ok(mut outcome) => {
            if begun > 0 {
                outcome.set_by_us();
            }
            outcome.counts(counted);
            let body = if is_searched { Source::Kept(body.front()) } else { Source::Client(body, None) };
            let permits = permits.into();
            Ok(Opened {
                parts,
                body,
                body_max,
                upgrading,
                expects_continue,
                permits,
                slots,
                withhold,
                roots,
                flow,
                outcome,
            })
        }
        Err(refused) => {
            let (notes, refusal) = *refused;
            Err(Refused::Before(Box::new(notes), refusal))
        }
    }
}

/// What cuts the exchange: its leases, or the way in that an anonymous request came by.
fn watches(site: &Site, permits: &[Permit]) -> Vec<CutWatch> {
    if permits.is_empty() {
        return site.broker.ends_of_way(site.entrance.session());
    }
    permits.iter().map(|permit| permit.watch().clone()).collect()
}
