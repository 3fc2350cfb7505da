//! What a session may do, for the agent inside it: never a secret, a token, what is denied to it, or what is another's.

use serde_json::{Value, json};

use super::{
    Broker, Session,
    limits::{Standing, with_facts},
};
use crate::policy::Applied;

impl Broker {
    /// Services, hosts, capabilities, parameters, limits and expiries of the session's live leases.
    pub fn manifest(&self, session: &Session) -> Value {
        let policy = self.policy();
        let mut leases = self.parts.leases.list();
        leases.retain(|lease| lease.session == Some(session.id()));
        leases.sort_by(|one, other| one.secret.cmp(&other.secret).then(one.id.cmp(&other.id)));
        let services = leases.iter().filter_map(|lease| {
            let may = with_facts(lease, Some(session), |facts| policy.may(facts))??;
            let capabilities = may
                .capabilities
                .iter()
                .map(|one| json!({ "name": one.name, "about": one.about, "risk": one.risk, "verdict": one.verdict }));
            let only = may.only.iter().map(|(param, values)| json!({ "param": param, "values": values }));
            Some(json!({
                "service": lease.scope()?.service,
                "name": may.name,
                "hosts": may.hosts,
                "env": session.variables_of(lease.id).unwrap_or(may.env),
                "lease_id": lease.id,
                "expires_at": lease.deadline.wall(),
                "capabilities": capabilities.collect::<Vec<_>>(),
                "only": only.collect::<Vec<_>>(),
                "limits": may.limits.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "limits_left": may.limits.iter().map(|one| left(one, self.standing(one))).collect::<Vec<_>>(),
            }))
        });
        json!({
            "schema": 1,
            "client_id": session.client(),
            "session_id": session.id(),
            "ca": self.parts.home.ca().join("root.pem"),
            "services": services.collect::<Vec<_>>(),
            "needs": "http://leasehold.internal/v1/needs",
        })
    }
}

/// Amounts are texts, as money has decimals; `next_in_s` is 0 for at once and `null` where it hangs on what runs.
fn left(applied: &Applied, standing: Standing) -> Value {
    json!({
        "limit": applied.to_string(),
        "left": applied.limit.amount(standing.left),
        "next_in_s": standing.next.seconds(),
    })
}
