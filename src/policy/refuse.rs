//! What a refused request is told: why, which capability would have matched, and the nearest call that is allowed.

use crate::base::RefusalCode;

use super::{decide::Bench, decision::Decision, grants::Verdict, rules::Rule, services::Capability};

impl Bench<'_> {
    /// Nothing that is granted gives.
    pub(super) fn refuse_unmatched(&self, outside: Option<&Capability>, unread: Option<&Capability>) -> Decision {
        let asked = format!("{} {}", shown(self.call.method), self.call.path);
        if let Some(capability) = unread {
            let reason =
                format!("`{asked}` falls under `{}` only if its body fits, which is not known", capability.name);
            return self.with_nearest(Decision::refuse(RefusalCode::CapDenied, reason).about(Some(capability)));
        }
        if let Some(capability) = outside {
            let limits: Vec<String> = self.limits().map(ToString::to_string).collect();
            let reason = format!("`{asked}` lies outside `{}`", limits.join("; "));
            return self.with_nearest(Decision::refuse(RefusalCode::OutOfScope, reason).about(Some(capability)));
        }
        let would = |capability: &&Capability| {
            capability.allow.iter().any(|rule: &Rule| rule.is_exactly(&self.call))
                && !capability.deny.iter().any(|rule| rule.takes(&self.call))
        };
        let would = self.service.capabilities.iter().find(would);
        let also = would.map_or_else(String::new, |capability| {
            format!("; capability `{}` would, and is not granted", capability.name)
        });
        let reason = format!("no granted capability of `{}` allows `{asked}`{also}", self.service.id);
        self.with_nearest(Decision::refuse(RefusalCode::CapDenied, reason).about(would))
    }

    /// Adds the allowed call that is most like the refused one.
    pub(super) fn with_nearest(&self, mut decision: Decision) -> Decision {
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
