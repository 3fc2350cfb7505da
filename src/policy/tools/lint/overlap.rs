//! Capabilities of different risk that give the same request: whoever allows the one and asks for the other is surprised.

use super::Finding;
use crate::policy::{
    rules::{Example, Meeting, Met, Rule, meet},
    services::{Capability, Service},
};

/// One finding for each pair of capabilities.
pub(super) fn find(service: &Service) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, one) in service.capabilities.iter().enumerate() {
        for other in service.capabilities.iter().skip(at + 1).filter(|other| other.risk != one.risk) {
            if let Some(example) = shared(service, one, other) {
                let message = format!(
                    "`{}` ({}) and `{}` ({}) both give {}",
                    one.name,
                    one.risk,
                    other.name,
                    other.risk,
                    example.shown(service)
                );
                let fix = format!("take it from one of them: `deny` in `[cap.{}]`", milder(one, other).name);
                findings.push(Finding { place: service.place_of(&one.name), message, fix });
            }
        }
    }
    findings
}

fn milder<'a>(one: &'a Capability, other: &'a Capability) -> &'a Capability {
    if one.risk < other.risk { one } else { other }
}

/// A request that both give. Rules that look at more than the head are not compared with each other: what tells them
/// apart is in there.
fn shared(service: &Service, one: &Capability, other: &Capability) -> Option<Example> {
    let denied: Vec<&Rule> = one.deny.iter().chain(&other.deny).collect();
    let pairs = one.allow.iter().flat_map(|rule| other.allow.iter().map(move |second| (rule, second)));
    for (rule, second) in pairs.filter(|(rule, second)| rule.is_plain() || second.is_plain()) {
        let (ours, theirs) = (rule.heads(&[]), second.heads(&[]));
        for (a, b) in ours.iter().flat_map(|a| theirs.iter().map(move |b| (a, b))) {
            let Meeting::Example(example) = meet(service, a, b, &denied) else { continue };
            if gives(one, &example) && gives(other, &example) {
                return Some(example);
            }
        }
    }
    None
}

/// Whether it gives the request, or could for some body, whatever a `deny` would have to read first.
fn gives(capability: &Capability, example: &Example) -> bool {
    let call = example.call();
    let given = capability.allow.iter().any(|rule| matches!(rule.gives(&call, |_| true), Met::Yes | Met::Unread));
    given && !capability.deny.iter().any(|rule| rule.takes(&call))
}
