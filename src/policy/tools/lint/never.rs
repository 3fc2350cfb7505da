//! What can never match as it is written: hosts that a rule names and its blocks do not have, methods that are one letter
//! off, exceptions from nothing, hosts without a domain.

use super::Finding;
use crate::{
    base::{Authority, Host, HostPattern, expected},
    policy::{
        Protocol,
        rules::{COMMON_METHODS, Rule},
        services::{HostBlock, OriginPattern, Service},
    },
};

/// Methods besides the common ones that services have.
const OTHER_METHODS: [&str; 13] = [
    "COPY",
    "LIST",
    "LOCK",
    "MERGE",
    "MKCOL",
    "MOVE",
    "PROPFIND",
    "PROPPATCH",
    "PURGE",
    "QUERY",
    "REPORT",
    "SEARCH",
    "UNLOCK",
];

pub(super) fn find(service: &Service) -> Vec<Finding> {
    let mut findings = Vec::new();
    for capability in &service.capabilities {
        let place = service.place_of(&capability.name);
        for (list, rules) in [("allow", &capability.allow), ("deny", &capability.deny)] {
            for (number, rule) in rules.iter().enumerate() {
                let told = |message| Finding::never(&place, format!("rule {} of `{list}`: {message}", number + 1));
                let at_odds = at_odds(rule).filter(|_| list == "allow"); // what takes away is read widely
                findings.extend(in_rule(service, rule).into_iter().chain(at_odds).map(told));
            }
        }
    }
    for rule in &service.injects {
        let place = format!("{} [[inject]]", service.file());
        let wrong = rule.when.methods.iter().filter_map(|method| mistyped(method));
        let wrong = wrong.chain(elsewhere(service, &rule.blocks, &rule.when.names));
        findings.extend(wrong.map(|message| Finding::never(&place, format!("`when`: {message}"))));
    }
    for block in &service.hosts {
        if block.origins.iter().all(|origin| block.except.iter().any(|except| is_whole(origin, except))) {
            let place = format!("{} [host.{}]", service.file(), block.name);
            let message = "`except` leaves no host of it".to_owned();
            findings.push(Finding { place, message, fix: "leave out what is meant, or remove the block".to_owned() });
        }
        findings.extend(block.origins.iter().filter_map(|origin| single_label(service, block, origin)));
        for except in block.except.iter().filter(|except| !excludes(block, except)) {
            let place = format!("{} [host.{}]", service.file(), block.name);
            let message = format!("`except` names `{except}`, which no `origin` of the block matches");
            findings.push(Finding { place, message, fix: "leave it out, or write the host that is meant".to_owned() });
        }
    }
    findings
}

impl Finding {
    fn never(place: &str, message: String) -> Self {
        Self { place: place.to_owned(), message, fix: "write what is meant, or leave it out".to_owned() }
    }
}

fn in_rule(service: &Service, rule: &Rule) -> Vec<String> {
    let methods = rule.methods.iter().filter_map(|method| mistyped(method));
    methods.chain(elsewhere(service, &rule.blocks, &rule.names)).collect()
}

/// Why no request can be what a rule wants.
fn at_odds(rule: &Rule) -> Option<String> {
    let upgrades = rule.protocol == Protocol::WebSocket && !rule.methods.is_empty();
    if upgrades && !rule.methods.iter().any(|method| &**method == "GET") {
        return Some("a handshake of a WebSocket is a `GET`".to_owned());
    }
    rule.matchers.at_odds(&rule.methods)
}

/// A method that nobody knows, and that is nearly one of those that everybody knows.
fn mistyped(method: &str) -> Option<String> {
    if COMMON_METHODS.contains(&method) || OTHER_METHODS.contains(&method) {
        return None;
    }
    let near = expected(method, &COMMON_METHODS);
    near.starts_with("did").then(|| format!("`{method}` is no method that is known; {near}"))
}

/// Hosts that another block has, or none.
fn elsewhere(service: &Service, blocks: &[usize], names: &[Host]) -> Vec<String> {
    let is_here = |host: &Host| {
        let mut origins = service.hosts.iter().flat_map(|block| &block.origins);
        origins.any(|origin| {
            let found = service.block(origin.scheme, &Authority { host: host.clone(), port: origin.port });
            found.is_some_and(|(index, ..)| blocks.contains(&index))
        })
    };
    let of_blocks = blocks.iter().filter_map(|index| service.hosts.get(*index));
    let listed: Vec<String> = of_blocks.map(|block| format!("`[host.{}]`", block.name)).collect();
    let outside = names.iter().filter(|host| !is_here(host));
    outside.map(|host| format!("`name` says `{host}`, which is no host of {}", listed.join(" or "))).collect()
}

/// A host of one label is one of a local network, or has lost its domain.
fn single_label(service: &Service, block: &HostBlock, origin: &OriginPattern) -> Option<Finding> {
    let name = origin.pattern.exact().filter(|name| !name.contains('.') && *name != "localhost")?;
    let place = format!("{} [host.{}]", service.file(), block.name);
    let message = format!("`{origin}` is a host of one label, which no provider has");
    Some(Finding { place, message, fix: format!("write the whole name, such as `api.{name}.example`") })
}

/// Whether an exception is all that an origin names.
fn is_whole(origin: &OriginPattern, except: &HostPattern) -> bool {
    origin.pattern == *except
        || origin.pattern.exact().is_some_and(|name| name.parse().is_ok_and(|host| except.matches(&host).is_some()))
}

fn excludes(block: &HostBlock, except: &HostPattern) -> bool {
    block.origins.iter().any(|origin| origin.is_like(except))
}
