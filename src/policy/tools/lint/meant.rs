//! Words that mean something else than they look like: grants that give nothing, literal texts that look like patterns,
//! names that lead to another service.

use super::Finding;
use crate::policy::{
    PolicySet,
    grants::{Grant, Verdict},
    rules::{EncodedSlash, Glob, Param},
    services::Service,
};

/// What is odd in a grant.
pub(super) fn in_grant(service: &Service, grant: &Grant) -> Vec<Finding> {
    let found = |message: String, fix: &str| Finding { place: grant.place().to_owned(), message, fix: fix.to_owned() };
    let mut findings = Vec::new();
    if grant.listed.iter().all(|(_, verdict)| *verdict == Verdict::Deny) {
        let message = format!("the grant of `{}` gives nothing: it has neither `allow` nor `ask`", grant.service());
        findings.push(found(message, "list capabilities in one of them, or remove the grant"));
    }
    for (_, secret) in grant.items().filter(|(_, secret)| secret.as_str().contains('*')) {
        let message = format!("`item` takes `{secret}` as the whole name of one secret, not as a pattern");
        findings.push(found(message, "write one grant for each secret"));
    }
    let lists = [("agents", grant.agents()), ("environments", grant.environments()), ("projects", grant.projects())];
    let of_only = grant.only.iter().flat_map(|only| &only.values).map(Glob::as_str);
    let all = lists.iter().flat_map(|(key, globs)| globs.iter().map(|glob| (*key, &**glob)));
    for (key, glob) in all.chain(of_only.map(|value| ("only", value))) {
        if glob.contains(['?', '[', ']', '{', '}']) {
            let message =
                format!("`{key}` takes `{glob}` as it is written: only `*` and `**` stand for something else");
            findings.push(found(message, "write it with `*`, or list each name"));
        }
    }
    if service.hosts.iter().any(|block| block.slash == EncodedSlash::Keep) {
        return findings; // there one segment may be a path
    }
    for (only, value) in grant.only.iter().flat_map(|only| only.values.iter().map(move |value| (only, value))) {
        let param = service.params.iter().find(|param| *param.name == *only.param);
        if param.is_some_and(|param| !value.as_str().contains('*') && !param.takes(value.as_str())) {
            let message = format!("`only` lists `{}`, which `{}` can never be", value.as_str(), only.param);
            findings.push(found(message, &param.map(example).unwrap_or_default()));
        }
    }
    findings
}

/// How a value of a parameter is written.
fn example(param: &Param) -> String {
    match (&param.pattern, param.segments) {
        (None, count) if count > 1 => format!("write its {count} segments, such as `{}*`", "x/".repeat(count - 1)),
        _ => format!("write a value of the form that `[param.{}]` has, or a pattern with `*`", param.name),
    }
}

/// Aliases of one's own service that are words for another one.
pub(super) fn in_service(set: &PolicySet, service: &Service) -> Vec<Finding> {
    if service.file().starts_with("catalogue:") {
        return Vec::new();
    }
    let others = || set.services().filter(|other| other.id() != service.id());
    let is_of = |other: &Service, alias: &str| {
        let mut words = [other.id().as_str(), other.name()].into_iter().chain(other.aliases());
        words.any(|word| word.eq_ignore_ascii_case(alias))
    };
    let shadows = |alias: &str| {
        let other = others().find(|other| is_of(other, alias))?;
        let message = format!("its alias `{alias}` is a word for `{}` too ({})", other.id(), other.file());
        let fix = "give it another alias, or none".to_owned();
        Some(Finding { place: service.file().to_owned(), message, fix })
    };
    service.aliases().filter_map(shadows).collect()
}
