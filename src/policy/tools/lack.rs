//! What somebody lacks, and the lines of the user's own file that would give it, and no more.
//!
//! Invariant: nothing is granted in here; which capability fits a request, the engine that judges requests says.

use std::fmt::Write as _;

use super::write::quoted;
use crate::{
    base::{ClientId, SecretName, ServiceId, expected},
    policy::{
        asked::Asked,
        decide::{Bench, LeaseFacts, judge},
        decision::Decision,
        grants::{Approve, Grant, Those, Verdict},
        matchers::Content,
        reach::never_forwarded,
        rules::{Call, Glob, Met, NormalPath},
        services::{Capability, Risk, Service},
        set::PolicySet,
    },
};

/// Capabilities of one service that somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    /// The service.
    pub service: ServiceId,
    /// Its capabilities with their risks; never empty.
    pub capabilities: Vec<(Box<str>, Risk)>,
    /// The parameters that the request shows, when it was asked for by one.
    pub params: Vec<(Box<str>, Box<str>)>,
    /// That request.
    pub asked: Option<Asked>,
    /// Whether its body decides too, which nobody has seen.
    pub hangs_on_body: bool,
}

/// Why nothing was found that could be given; the fault of whoever asks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoLack {
    /// No such capability.
    #[error("`{service}` has no capability `{name}`; {near}")]
    Capability {
        /// The service.
        service: ServiceId,
        /// What was asked for, safe to show.
        name: String,
        /// What was meant.
        near: String,
    },
    /// A service has the host, and its rules look at more than a method and a URL.
    #[error(
        "which capability of `{service}` gives `{call}` is not told by its method and URL alone; name the capability"
    )]
    Hidden {
        /// The service.
        service: ServiceId,
        /// What was asked for, safe to show.
        call: String,
    },
    /// The method goes nowhere.
    #[error("{0}")]
    Never(String),
    /// No capability fits.
    #[error("no capability of any service gives `{0}`")]
    Nothing(String),
    /// No such service.
    #[error("there is no service `{0}`")]
    Service(String),
    /// A value that would be a pattern in a policy file.
    #[error("the value of `{0}` in the URL has a `*`; name one that is there")]
    Wildcard(String),
}

/// What gives what is lacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// These lines in the place of those of a grant that is there.
    Edit {
        /// `file:line` of the grant.
        place: String,
        /// The lines.
        lines: String,
    },
    /// Policy gives it already; the project, or whoever opened the session, has given it up.
    GivenUp,
    /// These lines as a grant of their own.
    Grant(String),
}

impl PolicySet {
    /// Capabilities by name, of a service by id, name or alias.
    pub fn lack_of(&self, service: &str, names: &[String]) -> Result<Lack, NoLack> {
        let found = self.find_service(service).ok_or_else(|| NoLack::Service(shown(service)))?;
        let mut capabilities: Vec<(Box<str>, Risk)> = Vec::new();
        for name in names {
            let known = found.capabilities.iter().find(|capability| *capability.name == **name);
            let known = known.ok_or_else(|| {
                let all: Vec<&str> = found.capabilities.iter().map(Capability::name).collect();
                NoLack::Capability { service: found.id.clone(), name: shown(name), near: expected(name, &all) }
            })?;
            if capabilities.iter().all(|(other, _)| **other != *known.name) {
                capabilities.push(((*known.name).into(), known.risk));
            }
        }
        let service = found.id.clone();
        Ok(Lack { service, capabilities, params: Vec::new(), asked: None, hangs_on_body: false })
    }

    /// The smallest capability that gives a request: of the services that whoever asks uses already before others, then
    /// of the lowest risk, then of the fewest rules.
    pub fn smallest_lack(&self, asked: Asked, is_used: impl Fn(&ServiceId) -> bool) -> Result<Lack, NoLack> {
        if let Some(never) = never_forwarded(asked.method(), asked.protocol()) {
            return Err(NoLack::Never(never.reason));
        }
        let mut fits: Vec<Fit<'_>> = Vec::new();
        for service in self.services() {
            let all = service.capabilities.iter().enumerate();
            fits.extend(all.filter_map(|(index, capability)| fit(service, index, capability, &asked)));
        }
        let smallest = fits.into_iter().min_by_key(|fit| {
            let Fit { service, capability, hangs_on_body, .. } = fit;
            (!is_used(&service.id), *hangs_on_body, capability.risk, capability.allow.len(), &service.id)
        });
        let Fit { service, capability, params, hangs_on_body } =
            smallest.ok_or_else(|| self.no_fit(&asked, is_used))?;
        if let Some((name, _)) = params.iter().find(|(_, value)| value.contains('*')) {
            return Err(NoLack::Wildcard(name.to_string()));
        }
        let capabilities = vec![((*capability.name).into(), capability.risk)];
        Ok(Lack { service: service.id.clone(), capabilities, params, asked: Some(asked), hangs_on_body })
    }

    /// Why nothing gives a request.
    fn no_fit(&self, asked: &Asked, is_used: impl Fn(&ServiceId) -> bool) -> NoLack {
        let hidden = self.services().filter(|service| is_hidden(service, asked));
        let hidden = hidden.min_by_key(|service| (!is_used(&service.id), &service.id));
        match hidden {
            Some(service) => NoLack::Hidden { service: service.id.clone(), call: call(asked) },
            None => NoLack::Nothing(call(asked)),
        }
    }

    /// Whether a lease with these facts has it.
    pub fn has(&self, lease: &LeaseFacts<'_>, lack: &Lack) -> bool {
        match &lack.asked {
            Some(asked) if !lack.hangs_on_body => {
                self.decide(lease, &asked.facts(Content::unknown())).verdict > Verdict::Deny
            }
            _ => self.may(lease).is_some_and(|may| {
                lack.capabilities.iter().all(|(name, _)| may.capabilities.iter().any(|one| *one.name == **name))
            }),
        }
    }

    /// What would give it to a lease with these facts. What only looks is allowed, anything else asks.
    pub fn remedy(&self, lease: &LeaseFacts<'_>, lack: &Lack) -> Remedy {
        let (Some(service), Some(grant)) = (self.service(&lack.service), self.grant(lease)) else {
            return Remedy::Grant(new_grant(lease, lack));
        };
        let lines = edit(service, grant, lack);
        if lines.is_empty() { Remedy::GivenUp } else { Remedy::Edit { place: grant.place.to_string(), lines } }
    }
}

impl Lack {
    /// The request without its query, which could hold anything; safe to show.
    pub fn call(&self) -> Option<String> {
        self.asked.as_ref().map(call)
    }
}

/// One capability that would give a request.
struct Fit<'a> {
    service: &'a Service,
    capability: &'a Capability,
    params: Vec<(Box<str>, Box<str>)>,
    hangs_on_body: bool,
}

/// How a capability alone would meet a request; a rule of its own that must see the body leaves it open.
fn fit<'a>(service: &'a Service, index: usize, capability: &'a Capability, asked: &Asked) -> Option<Fit<'a>> {
    let request = asked.facts(Content::unknown());
    let (block, host, origin) = service.block(request.scheme, request.authority)?;
    let grant = alone(service, index);
    let decided = service.credentials.iter().map(|credential| decide(service, &grant, credential.name(), asked));
    if let Some(decision) = decided.flatten().find(|decision| decision.verdict == Verdict::Ask) {
        let params = decision.asks.into_iter().next().map(|asking| asking.params).unwrap_or_default();
        return Some(Fit { service, capability, params, hangs_on_body: false });
    }
    let path = NormalPath::parse_with(request.path, host.slash).ok()?;
    let loose = path.loose();
    let call = Call::new(block, &request, path.as_str(), &loose);
    let is_taken = service.credentials.iter().any(|one| service.inject(one.name(), &call).is_some());
    if !is_taken || service.issue_refused(&call).is_some() {
        return None;
    }
    let bench = Bench { service, grant: &grant, narrow: &[], call, origin };
    let is_open = bench.hit(index, capability).met == Met::Unread;
    is_open.then(|| Fit { service, capability, params: Vec::new(), hangs_on_body: true })
}

/// Whether some rule would have to see more of a request.
fn is_hidden(service: &Service, asked: &Asked) -> bool {
    let request = asked.facts(Content::unknown());
    let Some((block, host, _)) = service.block(request.scheme, request.authority) else { return false };
    let Ok(path) = NormalPath::parse_with(request.path, host.slash) else { return false };
    let loose = path.loose();
    let call = Call::new(block, &request, path.as_str(), &loose);
    let mut rules = service.capabilities.iter().flat_map(|capability| &capability.allow);
    rules.any(|rule| !rule.matchers.is_empty() && rule.takes_head(&call))
}

fn decide(service: &Service, grant: &Grant, credential: &str, asked: &Asked) -> Option<Decision> {
    // A request that nobody has sent has no secret and no client; these stand for them.
    let (secret, client) = ("need".parse::<SecretName>().ok()?, "need".parse::<ClientId>().ok()?);
    let lease = LeaseFacts {
        service: &service.id,
        credential,
        secret: &secret,
        client: &client,
        project: None,
        environment: None,
        narrow: &[],
    };
    Some(judge(service, grant, &[], &lease, &asked.facts(Content::unknown())))
}

/// A grant that asks about one capability and gives no other.
fn alone(service: &Service, index: usize) -> Grant {
    Grant {
        service: service.id.clone(),
        items: Vec::new(),
        agents: Those::All,
        projects: Those::All,
        environments: Those::All,
        listed: vec![(index, Verdict::Ask)],
        only: Vec::new(),
        unscoped: Vec::new(),
        ttl: None,
        limits: Vec::new(),
        tariff: None,
        approve: Approve::default(),
        place: "".into(),
    }
}

/// The lines of a grant that change; none when it gives all of it.
fn edit(service: &Service, grant: &Grant, lack: &Lack) -> String {
    let verdict = |name: &str| {
        let mut listed = grant.listed.iter();
        let found = listed.find(|(at, _)| service.capabilities.get(*at).is_some_and(|one| *one.name == *name));
        found.map(|(_, verdict)| *verdict)
    };
    let missing: Vec<&(Box<str>, Risk)> =
        lack.capabilities.iter().filter(|(name, _)| verdict(name).is_none_or(|found| found == Verdict::Deny)).collect();
    let mut lines = String::new();
    for (key, of) in [("allow", Verdict::Allow), ("ask", Verdict::Ask)] {
        let added: Vec<&str> =
            missing.iter().filter(|(_, risk)| wanted(*risk) == of).map(|(name, _)| &**name).collect();
        if !added.is_empty() {
            let before = grant.listed.iter().filter(|(_, verdict)| *verdict == of);
            let names = before.filter_map(|(at, _)| service.capabilities.get(*at)).map(Capability::name);
            line(&mut lines, key, &list(names.chain(added)));
        }
    }
    let is_moved = |name: &str| missing.iter().any(|(moved, _)| **moved == *name);
    let denied = grant.listed.iter().filter(|(_, verdict)| *verdict == Verdict::Deny);
    let denied: Vec<&str> = denied.filter_map(|(at, _)| service.capabilities.get(*at)).map(Capability::name).collect();
    if denied.iter().any(|name| is_moved(name)) {
        line(&mut lines, "deny", &list(denied.into_iter().filter(|name| !is_moved(name))));
    }
    line_of_only(&mut lines, grant, lack);
    if lack.asked.is_some() && !lack.hangs_on_body {
        line_of_unscoped(&mut lines, service, grant, lack);
    }
    lines
}

/// The values that the request shows, where the grant has others.
fn line_of_only(lines: &mut String, grant: &Grant, lack: &Lack) {
    let of = |param: &str| lack.params.iter().filter(|(name, _)| **name == *param).map(|(_, value)| &**value).collect();
    let mut is_outside = false;
    let all = grant.only.iter().map(|only| {
        let mut outside: Vec<&str> = of(&only.param);
        outside.retain(|value| !only.contains(value));
        is_outside |= !outside.is_empty();
        format!("{} = {}", quoted(&only.param), list(only.values.iter().map(Glob::as_str).chain(outside)))
    });
    let all: Vec<String> = all.collect();
    if is_outside {
        line(lines, "only", &format!("{{ {} }}", all.join(", ")));
    }
}

/// Capabilities that cannot show what the grant limits are of no use unless it lists them here.
fn line_of_unscoped(lines: &mut String, service: &Service, grant: &Grant, lack: &Lack) {
    let shows = |param: &str| lack.params.iter().any(|(name, _)| **name == *param);
    if grant.only.iter().all(|only| shows(&only.param)) {
        return;
    }
    let before: Vec<&str> =
        grant.unscoped.iter().filter_map(|at| service.capabilities.get(*at)).map(Capability::name).collect();
    let added: Vec<&str> =
        lack.capabilities.iter().map(|(name, _)| &**name).filter(|name| !before.contains(name)).collect();
    if !added.is_empty() {
        line(lines, "unscoped", &list(before.into_iter().chain(added)));
    }
}

/// The smallest grant: for this agent, where it works, on what it works, and for what it has shown.
fn new_grant(lease: &LeaseFacts<'_>, lack: &Lack) -> String {
    let mut lines = "[[grant]]\n".to_owned();
    line(&mut lines, "service", &quoted(lack.service.as_str()));
    line(&mut lines, "item", &format!("{{ {} = {} }}", quoted(lease.credential), quoted(lease.secret.as_str())));
    line(&mut lines, "agents", &list([agent(lease.client).as_str()]));
    let project = lease.project.and_then(|folder| folder.to_str());
    // A folder with a `*` in its name would be a pattern, and could stand for others.
    if let Some(folder) = project.filter(|folder| !folder.contains('*')) {
        line(&mut lines, "projects", &list([folder]));
    }
    if let Some(environment) = lease.environment {
        line(&mut lines, "environments", &list([environment]));
    }
    for (key, of) in [("allow", Verdict::Allow), ("ask", Verdict::Ask)] {
        let mut names = lack.capabilities.iter().filter(|(_, risk)| wanted(*risk) == of).map(|(name, _)| &**name);
        if let Some(first) = names.next() {
            line(&mut lines, key, &list(std::iter::once(first).chain(names)));
        }
    }
    let mut params: Vec<&str> = lack.params.iter().map(|(name, _)| &**name).collect();
    params.dedup(); // they are sorted
    if !params.is_empty() {
        let of = |param: &str| {
            let values = lack.params.iter().filter(|(name, _)| **name == *param).map(|(_, value)| &**value);
            format!("{} = {}", quoted(param), list(values))
        };
        let all: Vec<String> = params.into_iter().map(of).collect();
        line(&mut lines, "only", &format!("{{ {} }}", all.join(", ")));
    }
    lines
}

/// The name of an agent as a grant is to name it: what `exec` calls a program by its process is another one each time.
fn agent(client: &ClientId) -> String {
    let number = client.as_str().strip_prefix("exec-");
    let is_process = number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()));
    if is_process { "exec-*".to_owned() } else { client.to_string() }
}

const fn wanted(risk: Risk) -> Verdict {
    match risk {
        Risk::Read => Verdict::Allow,
        Risk::Write | Risk::Spend | Risk::Destroy | Risk::Admin | Risk::Secret => Verdict::Ask,
    }
}

fn line(lines: &mut String, key: &str, value: &str) {
    let _ = writeln!(lines, "{key:<8} = {value}"); // a String takes everything
}

fn list<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let texts: Vec<String> = texts.into_iter().map(quoted).collect();
    format!("[{}]", texts.join(", "))
}

fn call(asked: &Asked) -> String {
    let text = asked.to_string();
    shown(text.split('?').next().unwrap_or_default())
}

/// Text of the client's, safe to show.
fn shown(text: &str) -> String {
    let cut: String = text.chars().take(MOST_SHOWN).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    crate::base::harmless(&cut) + more
}

/// How much of such a text is shown, in characters.
const MOST_SHOWN: usize = 400;
