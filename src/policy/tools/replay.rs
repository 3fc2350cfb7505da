//! Past requests judged again: what `secrets policy diff` shows.
//!
//! Invariant: verdicts come from `judge`. What a record does not hold, such as a body, is taken as unread.

use std::{fmt, path::PathBuf};

use serde::Serialize;

use crate::base::{Authority, ClientId, RefusalCode, Scheme, SecretName, ServiceId};
use crate::policy::{
    Content, PolicySet, Protocol, Verdict,
    decide::{LeaseFacts, RequestFacts, judge},
    decision::Decision,
    grants::Grant,
};

/// A request as the audit log holds it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Past {
    /// Who asked.
    pub client: ClientId,
    /// With a lease of which service.
    pub service: ServiceId,
    /// With which secret.
    pub secret: SecretName,
    /// The method.
    pub method: String,
    /// The host and port, as one text.
    pub authority: String,
    /// The path, without its query.
    pub path: String,
}

/// What becomes of a past request now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Replayed {
    /// The verdict.
    pub verdict: Verdict,
    /// The code of the refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<RefusalCode>,
    /// The capability that decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capability: Option<String>,
}

impl PolicySet {
    /// Judges a past request; the most lenient of the grants that fit counts, as the record does not say which
    /// credential it was. Without a `project` any will do. `None` for what cannot be a request.
    pub fn replay(&self, past: &Past, project: Option<&PathBuf>) -> Option<Replayed> {
        let authority = Authority::parse(&past.authority, Some(443)).ok()?;
        let fits = |grant: &&Grant| match project {
            Some(project) => grant.is_for(&past.client, Some(project)),
            None => grant.agents.contains(Some(past.client.as_str())),
        };
        let grants = self.grants().filter(|grant| *grant.service() == past.service).filter(fits);
        let mut best: Option<Decision> = None;
        for grant in grants {
            let Some(service) = self.service(grant.service()) else { continue };
            for (credential, _) in grant.items().filter(|(_, secret)| **secret == past.secret) {
                let lease = LeaseFacts {
                    service: &past.service,
                    credential,
                    secret: &past.secret,
                    client: &past.client,
                    project: project.map(PathBuf::as_path),
                    environment: None,
                    narrow: &[],
                };
                // A record says neither the scheme nor whether it was an upgrade.
                for (scheme, protocol) in [Scheme::Https, Scheme::Http]
                    .into_iter()
                    .flat_map(|s| [(s, Protocol::Http), (s, Protocol::WebSocket)])
                {
                    let request = RequestFacts {
                        scheme,
                        authority: &authority,
                        method: &past.method,
                        path: &past.path,
                        protocol,
                        content: Content::unknown(),
                    };
                    let decision = judge(service, grant, &lease, &request);
                    if best.as_ref().is_none_or(|best| rank(&decision) > rank(best)) {
                        best = Some(decision);
                    }
                }
            }
        }
        Some(best.map_or(
            Replayed { verdict: Verdict::Deny, code: Some(RefusalCode::NoGrant), capability: None },
            |decision| Replayed {
                verdict: decision.verdict,
                code: decision.code,
                capability: decision.capability.map(|name| name.to_string()),
            },
        ))
    }
}

/// A more lenient verdict first; among refusals one that names a capability says more.
fn rank(decision: &Decision) -> (Verdict, bool) {
    (decision.verdict, decision.capability.is_some())
}

impl fmt::Display for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.verdict)?;
        match (&self.capability, self.code.filter(|_| self.verdict == Verdict::Deny)) {
            (Some(capability), Some(code)) => write!(f, " ({capability}, {code})"),
            (Some(one), None) => write!(f, " ({one})"),
            (None, Some(code)) => write!(f, " ({code})"),
            (None, None) => Ok(()),
        }
    }
}
