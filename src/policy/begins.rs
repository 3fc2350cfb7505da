//! Credentials that requests do not carry themselves: where they go, and who wants to know whose a request is.

use super::{
    decide::RequestFacts,
    rules::{Call, NormalPath},
    set::PolicySet,
};
use crate::{base::ServiceId, recipe::Place};

impl PolicySet {
    /// Where a request gets a credential of this service that it does not carry, if the injection that counts for it
    /// sets one: the same that [`PolicySet::decide`] comes to.
    pub fn begins_at(&self, service: &ServiceId, credential: &str, request: &RequestFacts<'_>) -> Option<&Place> {
        let service = self.service(service)?;
        let (block, host, _) = service.block(request.scheme, request.authority)?;
        let path = NormalPath::parse_with(request.path, host.slash).ok()?;
        let loose = path.loose();
        let rule = service.inject(credential, &Call::new(block, request, path.as_str(), &loose))?;
        rule.inject.begins_at()
    }

    /// Whether a service that some grant names sets a credential where there is none, so that requests are to show of
    /// which session they are.
    pub fn wants_sessions(&self) -> bool {
        let mut items = self.grants().flat_map(|grant| grant.items.iter().map(move |(name, _)| (&grant.service, name)));
        items.any(|(service, credential)| self.service(service).is_some_and(|one| one.wants_session(credential)))
    }
}
