//! `policy.accept`: a service that a project proposes becomes one of the user's own.
//!
//! Invariant: the daemon writes it, so that no process inside a session does by this command, whatever variables it has
//! cleared; and what it writes is the text whose hash somebody has seen.

use super::service::{Desk, Outcome};
use crate::{
    audit,
    base::blocking,
    control::{self, Failure, FailureCode},
    policy::{self, PolicySet, Proposal, Standing, proposals},
};

const CHECK: &str = "secrets policy check";

impl Desk {
    pub(super) fn accept_proposal(&self, accept: &control::AcceptProposal) -> Outcome {
        let folder = self.broker.live_policy().folder();
        let (proposal, file) = blocking(|| {
            let all = proposals(&accept.file).map_err(|errors| unusable(&errors))?;
            let wanted = all.into_iter().find(|proposal| proposal.hash() == accept.hash);
            let proposal = wanted.ok_or_else(|| {
                let message = "no proposal of the file has this hash; it may have been edited since it was shown";
                Failure::new(FailureCode::Settings, message).with_fix(CHECK)
            })?;
            let set = PolicySet::load(folder).map_err(|errors| unusable(&errors))?;
            let file = match proposal.standing(folder, &set) {
                Standing::Refused(why) => {
                    let message = format!("{}: {why}", proposal.place());
                    return Err(Failure::new(FailureCode::Settings, message).with_fix(CHECK));
                }
                Standing::Accepted => proposal.path(folder),
                Standing::Replaces | Standing::Waits => proposal.accept(folder).map_err(|error| not_written(&error))?,
            };
            Ok((proposal, file))
        })?;
        let details = said(&proposal);
        let event = audit::Event::new(audit::Action::PolicyReload);
        self.reload_with(&event.service(proposal.service().id()).details(&details))?;
        let (service, hash) = (proposal.service().id().clone(), proposal.hash().to_owned());
        Ok(control::ProposalAccepted { service, file, hash }.into())
    }
}

/// For the record; the hash first, since a path can be long.
fn said(proposal: &Proposal) -> String {
    format!("accepted proposal; sha256 {}; of {}", proposal.hash(), proposal.place())
}

fn unusable(errors: &policy::LoadErrors) -> Failure {
    Failure::new(FailureCode::Settings, errors.brief()).with_fix(CHECK)
}

fn not_written(error: &policy::Error) -> Failure {
    let code = match error {
        policy::Error::Unusable(_) => FailureCode::Settings,
        _ => FailureCode::Io,
    };
    Failure::new(code, error.to_string())
}
