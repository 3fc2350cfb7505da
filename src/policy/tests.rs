//! Tests of the policy language as a whole: what loads, what is refused, what is decided.

mod aws;
mod block_faults;
mod catalogue;
mod content;
mod decisions;
mod dump;
mod examples;
mod faults;
mod fuzz;
mod git;
mod graphql;
mod kinds;
mod lack;
mod limits;
mod lint;
mod mistyped;
mod moved_faults;
mod narrowing;
mod one_fault;
mod prices;
mod propose;
mod prove;
mod rpc;
mod shipped;
mod vectors;
mod who;
mod widely;
mod widening;
mod written;

use crate::base::Authority;

use super::{Content, Decision, LeaseFacts, LoadErrors, Narrow, PolicySet, Protocol, RequestFacts};

/// A service with every kind of matcher.
pub(super) const ACME: &str = include_str!("../../policies/TEMPLATE.toml");

/// A set of the template service and one policy text.
pub(super) fn set_with(policy: &str) -> Result<PolicySet, LoadErrors> {
    let policy = format!("schema = 1\nkind = \"policy\"\n{policy}");
    PolicySet::of_texts(&[("acme.toml", ACME), ("mine.toml", &policy)])
}

/// Who asks, under which narrowings.
pub(super) struct Asker<'a> {
    pub(super) service: &'a str,
    pub(super) credential: &'a str,
    pub(super) secret: &'a str,
    pub(super) client: &'a str,
    pub(super) project: Option<&'a str>,
    pub(super) environment: Option<&'a str>,
    pub(super) narrow: &'a [Narrow],
}

pub(super) const ASKER: Asker<'static> = Asker {
    service: "acme",
    credential: "key",
    secret: "k",
    client: "codex",
    project: None,
    environment: None,
    narrow: &[],
};

/// Decides `METHOD https://host/path`.
pub(super) fn ask(set: &PolicySet, asker: &Asker<'_>, call: &str) -> Decision {
    ask_as(set, asker, call, Protocol::Http)
}

pub(super) fn ask_as(set: &PolicySet, asker: &Asker<'_>, call: &str, protocol: Protocol) -> Decision {
    let (method, url) = call.split_once(' ').unwrap();
    let (scheme, rest) = url.split_once("://").unwrap();
    let scheme = if scheme == "https" { crate::base::Scheme::Https } else { crate::base::Scheme::Http };
    let (host, path) = rest.split_at(rest.find('/').unwrap());
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let authority = Authority::parse(host, Some(scheme.default_port())).unwrap();
    let (service, secret, client) =
        (asker.service.parse().unwrap(), asker.secret.parse().unwrap(), asker.client.parse().unwrap());
    let lease = LeaseFacts {
        service: &service,
        credential: asker.credential,
        secret: &secret,
        client: &client,
        project: asker.project.map(std::path::Path::new),
        environment: asker.environment,
        narrow: asker.narrow,
    };
    set.decide(
        &lease,
        &RequestFacts {
            scheme,
            authority: &authority,
            method,
            path,
            protocol,
            content: Content { query, ..Content::unknown() },
        },
    )
}
