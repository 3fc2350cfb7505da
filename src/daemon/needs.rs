//! Needs as people are shown them, with the lines or the command that would give what is lacked.

use super::service::Desk;
use crate::{
    base::{harmless, shell_word},
    broker::{Cure, Need},
    control::{NeedEntry, NeededCapability, NeededGrant, ShownField},
    policy::{Remedy, Risk},
};

impl Desk {
    pub(super) fn needed(&self, need: &Need, cure: &Cure) -> NeedEntry {
        let (session, lack) = (&need.session, &need.lack);
        let capability =
            |(name, risk): &(Box<str>, Risk)| NeededCapability { name: name.to_string(), risk: risk.to_string() };
        let field = |(name, value): &(Box<str>, Box<str>)| ShownField { name: harmless(name), value: harmless(value) };
        NeedEntry {
            id: need.id.clone(),
            client_id: session.client().clone(),
            session_id: session.id(),
            project: session.project().map(std::path::Path::to_owned),
            service: lack.service.clone(),
            capabilities: lack.capabilities.iter().map(capability).collect(),
            request: lack.call(),
            hangs_on_body: lack.hangs_on_body,
            params: lack.params.iter().map(field).collect(),
            why: need.why.clone(),
            grant: self.granting(need, cure),
            sent_at: need.sent_at,
        }
    }

    fn granting(&self, need: &Need, cure: &Cure) -> NeededGrant {
        match &cure.remedy {
            Some(Remedy::Edit { place, lines }) => NeededGrant::Edit { place: place.clone(), lines: lines.clone() },
            Some(Remedy::GivenUp) => NeededGrant::GivenUp,
            Some(Remedy::Grant(lines)) => {
                let others: Vec<&str> = cure.others.iter().map(crate::base::SecretName::as_str).collect();
                let or = if others.is_empty() {
                    String::new()
                } else {
                    format!("# these secrets are for the same service: {}\n", others.join(", "))
                };
                NeededGrant::New { folder: self.home.policies(), lines: format!("{lines}{or}") }
            }
            None => {
                let service = shell_word(need.lack.service.as_str());
                NeededGrant::Command(format!("secrets add {service} --service {service}"))
            }
        }
    }
}
