//! What a session may do, for the agent inside it: never a secret, a token, what is denied to it, or what is another's.

use serde_json::{Value, json};

use super::{Broker, Session};
use crate::{
    base::Environment,
    policy::{LeaseFacts, Narrow},
};

impl Broker {
    /// Services, hosts, capabilities, parameters, limits and expiries of the session's live leases.
    pub fn manifest(&self, session: &Session) -> Value {
        let policy = self.policy();
        let mut leases = self.parts.leases.list();
        leases.retain(|lease| lease.session == Some(session.id()));
        leases.sort_by(|one, other| one.secret.cmp(&other.secret).then(one.id.cmp(&other.id)));
        let services = leases.iter().filter_map(|lease| {
            let scope = lease.scope()?;
            // A lease whose own terms cannot be read is of no use.
            let own = Narrow::of_terms(&scope.service, &lease.terms).ok()?;
            let narrow: Vec<Narrow> = session.narrow().iter().cloned().chain(own).collect();
            let facts = LeaseFacts {
                service: &scope.service,
                credential: &scope.credential,
                secret: &lease.secret,
                client: &lease.client,
                project: session.project(),
                environment: lease.terms.environment.as_ref().map(Environment::as_str),
                narrow: &narrow,
            };
            let may = policy.may(&facts)?;
            let capabilities = may
                .capabilities
                .iter()
                .map(|one| json!({ "name": one.name, "about": one.about, "risk": one.risk, "verdict": one.verdict }));
            let only = may.only.iter().map(|(param, values)| json!({ "param": param, "values": values }));
            Some(json!({
                "service": scope.service,
                "name": may.name,
                "hosts": may.hosts,
                "env": may.env,
                "lease_id": lease.id,
                "expires_at": lease.deadline.wall(),
                "capabilities": capabilities.collect::<Vec<_>>(),
                "only": only.collect::<Vec<_>>(),
                "limits": may.limits.iter().map(ToString::to_string).collect::<Vec<_>>(),
            }))
        });
        json!({
            "schema": 1,
            "client_id": session.client(),
            "session_id": session.id(),
            "ca": self.parts.home.ca().join("root.pem"),
            "services": services.collect::<Vec<_>>(),
        })
    }
}
