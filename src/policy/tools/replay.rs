//! Past requests judged again: what `secrets policy diff` shows.
//!
//! Invariant: verdicts come from `judge`. What a record does not hold, such as a body, is taken as unread.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::base::{Authority, ClientId, RefusalCode, Scheme, SecretName, ServiceId};
use crate::policy::{
    Content, PolicySet, Protocol, Verdict,
    decide::{LeaseFacts, RequestFacts, judge},
    decision::Decision,
    grants::{Grant, Those},
};

/// A request as the audit log holds it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Past {
    /// Who asked.
    pub client: ClientId,
    /// In which project's folder.
    pub project: Told<PathBuf>,
    /// On what they worked.
    pub environment: Told<String>,
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

/// What the log says of something that there may be or not.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Told<T> {
    /// Which, or that there was none.
    Is(Option<T>),
    /// Nothing.
    Unknown,
}

/// Why a past request cannot be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unjudged {
    /// Its host is no host.
    Authority,
    /// A grant that may fit is for some environments only, and the log does not say which this was.
    Environment,
    /// A grant that may fit is for some projects only, and the log does not say which this was.
    Project,
}

impl fmt::Display for Unjudged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Authority => "their host is none",
            Self::Environment => "the log does not say on which environment they worked, and a grant asks for one",
            Self::Project => "the log does not say in which project they worked, and a grant asks for one",
        })
    }
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
    /// credential it was.
    pub fn replay(&self, past: &Past) -> Result<Replayed, Unjudged> {
        let authority = Authority::parse(&past.authority, Some(443)).map_err(|_| Unjudged::Authority)?;
        let grants = self.candidates(past)?;
        let (project, environment) = (past.project.known(), past.environment.known());
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
                    environment: environment.map(String::as_str),
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
                    let decision = judge(service, grant, &[], &lease, &request);
                    if best.as_ref().is_none_or(|best| rank(&decision) > rank(best)) {
                        best = Some(decision);
                    }
                }
            }
        }
        Ok(best.map_or(
            Replayed { verdict: Verdict::Deny, code: Some(RefusalCode::NoGrant), capability: None },
            |decision| Replayed {
                verdict: decision.verdict,
                code: decision.code,
                capability: decision.capability.map(|name| name.to_string()),
            },
        ))
    }
}

impl PolicySet {
    /// The grants that are for whoever asked, where they worked and on what. What the log does not say matters only where
    /// a grant asks for it.
    fn candidates(&self, past: &Past) -> Result<Vec<&Grant>, Unjudged> {
        let mut fitting = Vec::new();
        for grant in self.grants().filter(|grant| *grant.service() == past.service) {
            let has_secret = grant.items().any(|(_, secret)| *secret == past.secret);
            if !has_secret || !grant.agents.contains(Some(past.client.as_str())) {
                continue;
            }
            let project = match &past.project {
                Told::Is(project) => grant.projects.contains(project.as_deref().and_then(Path::to_str)),
                Told::Unknown if matches!(grant.projects, Those::All) => true,
                Told::Unknown => return Err(Unjudged::Project),
            };
            let environment = match &past.environment {
                Told::Is(environment) => grant.environments.contains(environment.as_deref()),
                Told::Unknown if matches!(grant.environments, Those::All) => true,
                Told::Unknown => return Err(Unjudged::Environment),
            };
            if project && environment {
                fitting.push(grant);
            }
        }
        Ok(fitting)
    }
}

impl<T> Told<T> {
    /// What is known to be.
    pub const fn known(&self) -> Option<&T> {
        match self {
            Self::Is(known) => known.as_ref(),
            Self::Unknown => None,
        }
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
