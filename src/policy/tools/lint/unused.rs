//! What can never be used: rules that a `deny` takes whole, hosts that no capability reaches, capabilities that no
//! vector tries, and capabilities of a grant that its own `only` leaves without a request.

use super::Finding;
use crate::policy::{
    grants::{Grant, Verdict},
    rules::{Example, Heads, Meeting, Rule, meet},
    services::{Capability, Carries, Expected, Service},
};

pub(super) fn in_service(service: &Service) -> Vec<Finding> {
    let mut findings = Vec::new();
    for credential in
        service.credentials.iter().filter(|one| service.injects.iter().all(|rule| *rule.inject.credential != *one.name))
    {
        let place = format!("{} [credential.{}]", service.file(), credential.name);
        let message = "no `[[inject]]` writes it, so no request gets it".to_owned();
        let fix = format!("add `[[inject]]` with `use = \"{}\"`", credential.name);
        findings.push(Finding { place, message, fix });
    }
    for capability in &service.capabilities {
        for (number, rule) in capability.allow.iter().enumerate() {
            if is_taken_whole(service, capability, rule) {
                let message = format!("rule {} of `allow` gives nothing: `deny` takes all of it", number + 1);
                findings.push(finding(service, capability, message, "narrow the `deny`, or remove the rule"));
            }
        }
        if !is_tried(service, capability) {
            findings.extend(untried(service, capability));
        }
    }
    for (index, block) in service.hosts.iter().enumerate().filter(|(_, block)| block.carries == Carries::Lease) {
        let reached = |capability: &Capability| capability.allow.iter().any(|rule| rule.blocks.contains(&index));
        if !service.capabilities.iter().any(reached) {
            let place = format!("{} [host.{}]", service.file(), block.name);
            let message = "no capability reaches it".to_owned();
            let fix = "name it in a rule, or give it `credential = \"never\"`".to_owned();
            findings.push(Finding { place, message, fix });
        }
    }
    findings
}

/// That no vector tries it, with a request that it gives; nothing of a capability whose every request is refused because
/// its answer would hand out a credential: vectors try that refusal.
fn untried(service: &Service, capability: &Capability) -> Option<Finding> {
    let denied: Vec<&Rule> = capability.deny.iter().collect();
    if capability.allow.iter().all(|rule| rule.never || rule.blocks.iter().all(|at| service.is_closed(*at))) {
        return None; // what it needs is not built yet, which was told
    }
    let heads = capability.allow.iter().filter(|rule| rule.is_plain()).flat_map(|rule| rule.heads(&[]));
    let examples = heads.filter_map(|heads| match meet(service, &heads, &heads, &denied) {
        Meeting::Example(example) => Some(example),
        Meeting::Apart | Meeting::Unknown => None,
    });
    let (refused, free): (Vec<Example>, Vec<Example>) =
        examples.partition(|example| service.issue_refused(&example.call()).is_some());
    if free.is_empty() && !refused.is_empty() {
        return None;
    }
    let sent = free.first().map_or_else(String::new, |sent| format!("send = \"{}\", ", sent.shown(service)));
    let fix = format!("add a `[[test]]` with `{sent}gives = \"{}\"`", capability.name);
    Some(finding(service, capability, "no vector tries it".to_owned(), &fix))
}

fn finding(service: &Service, capability: &Capability, message: String, fix: &str) -> Finding {
    Finding { place: service.place_of(&capability.name), message, fix: fix.to_owned() }
}

fn is_taken_whole(service: &Service, capability: &Capability, rule: &Rule) -> bool {
    let denied: Vec<&Rule> = capability.deny.iter().collect();
    let apart = |heads: &Heads<'_>| meet(service, heads, heads, &denied) == Meeting::Apart;
    !denied.is_empty() && rule.heads(&[]).iter().all(apart)
}

fn is_tried(service: &Service, capability: &Capability) -> bool {
    service.vectors_read().iter().any(|vector| match &vector.expected {
        Expected::Gives(names) => names.contains(&Box::from(capability.name())),
        Expected::Refused(_) => false,
    })
}

/// Capabilities that a grant lists and that its `only` leaves without any request.
pub(super) fn in_grant(service: &Service, grant: &Grant) -> Vec<Finding> {
    let mut findings = Vec::new();
    let listed =
        grant.listed.iter().filter(|(index, verdict)| *verdict > Verdict::Deny && !grant.unscoped.contains(index));
    for capability in listed.filter_map(|(index, _)| service.capabilities.get(*index)) {
        for only in &grant.only {
            if capability.allow.iter().any(|rule| service.may_show(rule, &only.param)) {
                continue;
            }
            let message = format!(
                "`{}` can never be used: none of its rules shows `{}`, which `only` limits",
                capability.name, only.param
            );
            let fix = format!("add `unscoped = [\"{}\"]`, or leave it out of the grant", capability.name);
            findings.push(Finding { place: grant.place().to_owned(), message, fix });
        }
    }
    findings
}

impl Service {
    fn is_closed(&self, block: usize) -> bool {
        self.hosts.get(block).is_some_and(|block| block.not_yet.is_some())
    }

    /// Whether requests of this rule can show a value for the parameter, or are not judged by it.
    pub(in crate::policy) fn may_show(&self, rule: &Rule, param: &str) -> bool {
        let in_host = rule.blocks.iter().filter_map(|block| self.hosts.get(*block)).any(|block| {
            let wanted = format!("{{{param}}}");
            block.origins.iter().any(|origin| origin.pattern.as_str().split('.').any(|label| label == wanted))
        });
        in_host
            || rule.paths.iter().any(|path| path.params().iter().any(|name| **name == *param))
            || rule.matchers.shows(param)
            || self.attributes.iter().any(|attribute| *attribute.param == *param)
    }
}
