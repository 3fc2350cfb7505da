//! `secrets policy prove`: whether a kind of request can ever be made with a secret, out of the rules themselves.
//!
//! Invariants: "holds" is a proof over every grant, whatever agent, project, body or query; a counter-example is a request
//! that `judge` does not deny.

mod claim;

use std::collections::BTreeSet;

use serde::Serialize;

pub use claim::Claim;
use claim::ClaimedHost;

use crate::base::{Authority, ClientId, Host, SecretName};
use crate::policy::{
    PolicySet, Protocol, Verdict,
    decide::{LeaseFacts, RequestFacts, judge},
    grants::{Grant, Only, Those},
    matchers::Content,
    rules::{Example, Glob, Heads, InjectRule, Meeting, Rule, Words, meet},
    services::{Capability, Carries, HostBlock, Service},
};

/// What came of a claim.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Proof {
    /// No grant gives such a request.
    Holds {
        /// How many grants of the secret were looked at.
        grants: usize,
        /// How many rules of them.
        rules: usize,
    },
    /// This request is made, or made once a person says yes.
    Fails(Counter),
    /// These could be, as far as their heads tell; what they say besides decides.
    Open {
        /// One for each rule.
        cases: Vec<Counter>,
    },
}

/// A request and what would give it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Counter {
    /// `DELETE https://api.example.com/v1/x`.
    pub request: String,
    /// Method and URL apart.
    #[serde(skip)]
    pub parts: (String, String),
    /// Where the grant is written.
    pub grant: String,
    /// The service.
    pub service: String,
    /// The capability.
    pub capability: String,
    /// What becomes of it.
    pub verdict: Verdict,
    /// Whom the grant is for; a client id that it takes.
    pub client: String,
    /// An environment that it takes, where it wants one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// A folder that it takes, where it wants one; whether it exists is another matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
}

impl PolicySet {
    /// Every secret that a grant names, by name; what is stored and not granted is not among them.
    pub fn granted_secrets(&self) -> BTreeSet<&SecretName> {
        self.grants().flat_map(|grant| grant.items().map(|(_, secret)| secret)).collect()
    }

    /// Proves or refutes a claim about the user's own grants. Projects and leases can only take away from those.
    pub fn prove(&self, claim: &Claim) -> Proof {
        let (mut grants, mut rules, mut cases) = (0, 0, Vec::new());
        let gives = |grant: &&Grant| grant.items().any(|(_, secret)| *secret == claim.secret);
        for grant in self.grants().filter(|grant| gives(grant) && !grant.is_for_nobody()) {
            let Some(service) = self.service(grant.service()) else { continue };
            grants += 1;
            let search = Search { service, grant, claim };
            for (credential, capability, rule) in search.rules() {
                rules += 1;
                match search.meets(credential, capability, rule) {
                    Found::Nothing => {}
                    Found::Given(counter) => return Proof::Fails(counter),
                    Found::Perhaps(counter) => cases.push(counter),
                }
            }
        }
        if cases.is_empty() { Proof::Holds { grants, rules } } else { Proof::Open { cases } }
    }
}

enum Found {
    Nothing,
    Given(Counter),
    Perhaps(Counter),
}

struct Search<'a> {
    service: &'a Service,
    grant: &'a Grant,
    claim: &'a Claim,
}

impl<'a> Search<'a> {
    /// Every rule that may give something to a lease of the secret.
    fn rules(&self) -> impl Iterator<Item = (&'a str, &'a Capability, &'a Rule)> {
        let Self { service, grant, claim } = *self;
        let credentials = grant.items().filter(move |(_, secret)| **secret == claim.secret);
        credentials.flat_map(move |(credential, _)| {
            let listed = grant.listed.iter().filter(|(_, verdict)| *verdict > Verdict::Deny);
            let capabilities = listed.filter_map(|(index, _)| Some((*index, service.capabilities.get(*index)?)));
            capabilities.flat_map(move |(index, capability)| {
                let usable = move |rule: &&Rule| {
                    let shows = |only: &Only| service.may_show(rule, &only.param);
                    grant.unscoped.contains(&index) || grant.only.iter().all(shows)
                };
                capability.allow.iter().filter(usable).map(move |rule| (credential, capability, rule))
            })
        })
    }

    fn meets(&self, credential: &str, capability: &Capability, rule: &Rule) -> Found {
        let limits: Vec<&Only> = self.grant.only.iter().collect();
        let without = self.taken_by(capability);
        let mut found = Found::Nothing;
        for heads in rule.heads(&limits) {
            for (block, names) in self.places(&heads, credential) {
                let claimed = self.claimed(&block, &names, heads.protocol);
                match meet(self.service, &heads, &claimed, &without) {
                    Meeting::Apart => {}
                    Meeting::Unknown => found = Found::Perhaps(self.counter(capability, None)),
                    Meeting::Example(example) => match self.judged(credential, capability, &example) {
                        Some(counter) => return Found::Given(counter),
                        None => found = Found::Perhaps(self.counter(capability, Some(&example))),
                    },
                }
            }
        }
        found
    }

    /// Rules whose matches this capability never gives: its own `deny`, all of what the grant denies, and requests whose
    /// answers would carry a fresh credential.
    fn taken_by(&self, capability: &'a Capability) -> Vec<&'a Rule> {
        let denied = self.grant.listed.iter().filter(|(_, verdict)| *verdict == Verdict::Deny);
        let denied = denied.filter_map(|(index, _)| self.service.capabilities.get(*index));
        let whole = denied.filter(|capability| capability.deny.is_empty()).flat_map(|capability| &capability.allow);
        capability.deny.iter().chain(whole).chain(self.service.refused_issues()).collect()
    }

    /// The claim's requests at one block.
    fn claimed<'h>(&'h self, block: &'h [usize], names: &'h [Host], protocol: Protocol) -> Heads<'h> {
        let path = self.claim.path.as_ref().map_or_else(Words::all, Words::of);
        let methods = self.claim.methods.iter().map(|method| &**method).collect();
        Heads { blocks: block, names, methods, paths: vec![vec![path]], protocol }
    }

    /// Every block of the rule that carries this credential and has hosts that the claim is about; the hosts are empty
    /// where they are all of the block.
    fn places(&self, heads: &Heads<'_>, credential: &str) -> Vec<([usize; 1], Vec<Host>)> {
        let carries = |index: usize, block: &HostBlock| {
            let mut injects = self.service.injects.iter();
            let writes = |rule: &InjectRule| {
                rule.not_yet.is_none() && *rule.inject.credential == *credential && rule.blocks.contains(&index)
            };
            block.carries == Carries::Lease && block.not_yet.is_none() && injects.any(writes)
        };
        let blocks = heads.blocks.iter().filter_map(|index| Some((*index, self.service.hosts.get(*index)?)));
        let carrying = blocks.filter(|(index, block)| carries(*index, block));
        carrying.filter_map(|(index, block)| Some(([index], self.hosts(index, block)?))).collect()
    }

    /// The hosts of a block that the claim is about; `None` when there is none.
    fn hosts(&self, index: usize, block: &HostBlock) -> Option<Vec<Host>> {
        let Some(claimed) = &self.claim.host else { return Some(Vec::new()) };
        let is_of_block = |host: &Host| {
            let authority = |port| Authority { host: host.clone(), port };
            let mut origins = block.origins.iter();
            origins.any(|origin| {
                let found = self.service.block(origin.scheme, &authority(origin.port));
                found.is_some_and(|(at, ..)| at == index)
            })
        };
        match claimed {
            ClaimedHost::One(host) => is_of_block(host).then(|| vec![host.clone()]),
            ClaimedHost::Like(pattern) => {
                let meets = block.origins.iter().any(|origin| origin.is_like(pattern));
                let examples = block.example().into_iter().chain(crate::policy::rules::example(pattern));
                let inside: Vec<Host> = examples.filter(|host| claimed.contains(host) && is_of_block(host)).collect();
                meets.then_some(inside)
            }
        }
    }

    /// The counter-example, if it is one.
    fn judged(&self, credential: &str, capability: &Capability, example: &Example) -> Option<Counter> {
        let origin = self.service.hosts.get(example.block)?.origins.first()?;
        let authority = Authority { host: example.host.clone(), port: origin.port };
        let is_claimed = self.claim.host.as_ref().is_none_or(|claimed| claimed.contains(&example.host));
        let client = self.client().filter(|_| is_claimed)?;
        let lease = self.lease(credential, &client);
        let request = RequestFacts {
            scheme: origin.scheme,
            authority: &authority,
            method: &example.method,
            path: &example.path,
            protocol: example.protocol,
            content: Content::unknown(),
        };
        let decision = judge(self.service, self.grant, &[], &lease, &request);
        let verdict = decision.verdict;
        (verdict > Verdict::Deny).then(|| Counter { verdict, ..self.counter(capability, Some(example)) })
    }

    fn lease<'l>(&'l self, credential: &'l str, client: &'l ClientId) -> LeaseFacts<'l> {
        LeaseFacts {
            service: &self.service.id,
            credential,
            secret: &self.claim.secret,
            client,
            project: None,
            environment: None,
            narrow: &[],
        }
    }

    /// Somebody whom the grant is for.
    fn client(&self) -> Option<ClientId> {
        listed(&self.grant.agents).unwrap_or_else(|| "agent".to_owned()).parse().ok()
    }

    fn counter(&self, capability: &Capability, example: Option<&Example>) -> Counter {
        let request = example.map_or_else(|| "some request".to_owned(), |example| example.shown(self.service));
        let (method, url) = request.split_once(' ').unwrap_or(("", ""));
        Counter {
            parts: (method.to_owned(), url.to_owned()),
            grant: self.grant.place().to_owned(),
            service: self.service.id.to_string(),
            capability: capability.name().to_owned(),
            verdict: Verdict::Deny,
            client: self.client().map(|client| client.to_string()).unwrap_or_default(),
            environment: listed(&self.grant.environments),
            project: folder(&self.grant.projects),
            request,
        }
    }
}

/// A folder that a list takes: one that is written without `*` but for a `/**` at its end, before any other.
fn folder(projects: &Those) -> Option<String> {
    let Those::Listed(globs) = projects else { return None };
    let mut bare = globs.iter().map(|glob| glob.as_str().strip_suffix("/**").unwrap_or(glob.as_str()));
    let literal = bare.find(|bare| !bare.is_empty() && !bare.contains('*'));
    literal.map(str::to_owned).or_else(|| listed(projects))
}

/// A text that a list takes; `None` where there is no list, or where it takes nothing.
fn listed(those: &Those) -> Option<String> {
    match those {
        Those::All => None,
        Those::Listed(globs) => globs.first().map(|glob| Glob::as_str(glob).replace('*', "x")),
    }
}
