//! `policy.explain`: what the proxy would do with a request, by the rules that it asks itself.

use std::path::Path;

use super::{
    service::{Desk, Outcome},
    translate::failure,
};
use bytes::Bytes;

use crate::{
    base::{ClientId, Environment, RefusalCode, Scheme},
    broker::{self, Around, Session},
    control::{self, Failure, FailureCode},
    policy::{self, Asked, BodySeen, Narrow, PolicySet, Reach},
};

/// For whom a request is judged.
struct Asker<'a> {
    client: &'a ClientId,
    project: Option<&'a Path>,
    environment: Option<&'a str>,
    narrow: &'a [Narrow],
}

impl Desk {
    pub(super) fn explain(&self, explain: &control::ExplainPolicy) -> Outcome {
        let Around { project, narrow, .. } = match &explain.project_dir {
            Some(folder) => self.around(folder, explain.environment.as_ref())?,
            None => Around::default(),
        };
        let environment = explain.environment.as_ref().map(Environment::as_str);
        self.explain_for(
            explain,
            &Asker { client: &explain.client_id, project: project.as_deref(), environment, narrow: &narrow },
        )
    }

    /// To a process inside a session: for its own client, project and environment, whatever it wrote.
    pub(super) fn explain_to(&self, session: &Session, explain: &control::ExplainPolicy) -> Outcome {
        let whom = Asker {
            client: session.client(),
            project: session.project(),
            environment: session.environment().map(Environment::as_str),
            narrow: session.narrow(),
        };
        self.explain_for(explain, &whom)
    }

    fn explain_for(&self, explain: &control::ExplainPolicy, whom: &Asker<'_>) -> Outcome {
        let asked = asked(explain).map_err(|message| Failure::new(FailureCode::InvalidParams, message))?;
        let policy = self.broker.policy();
        if let Some(early) = without_lease(&asked, &policy) {
            return Ok(early.into());
        }
        let mut all = policy.explain_all(whom.client, whom.project, whom.environment, whom.narrow, &asked);
        if let Some(secret) = &explain.secret {
            self.broker.store().get(secret).ok_or_else(|| failure(broker::Error::SecretUnknown(secret.clone())))?;
            all.retain(|one| one.secret == secret.as_str());
        }
        all.sort_by_key(|one| std::cmp::Reverse(one.verdict));
        let none = || {
            let reason = format!("no grant gives a secret for `{}`", asked.origin().authority);
            simple("deny", Some(RefusalCode::NoGrant), reason)
        };
        Ok(all.into_iter().next().map_or_else(none, |one| explanation(one, &asked)).into())
    }
}

/// The request with all that was said of it; an error quotes no field and no body.
fn asked(explain: &control::ExplainPolicy) -> Result<Asked, String> {
    let mut asked = Asked::parse(&explain.method, &explain.url)?;
    for field in &explain.headers {
        asked = asked.with_field(field.name.reveal(), field.value.reveal())?;
    }
    Ok(match &explain.body {
        Some(body) => asked.with_body(Bytes::copy_from_slice(body.front.reveal()), body.length),
        None => asked,
    })
}

/// What is decided before a lease is looked at; in the proxy's order: CONNECT comes before the request.
fn without_lease(asked: &Asked, policy: &PolicySet) -> Option<control::Explanation> {
    let never = || {
        let never = policy::never_forwarded(asked.method(), asked.protocol())?;
        Some(simple("deny", Some(never.code), never.reason))
    };
    // In clear text there is no CONNECT before the request.
    if let Some(never) = (asked.origin().scheme == Scheme::Http).then(never).flatten() {
        return Some(never);
    }
    let reach = policy.reach(asked.origin().scheme, &asked.origin().authority);
    let unnamed = match reach {
        Reach::Refused { reason, .. } => return Some(simple("deny", Some(RefusalCode::HostDenied), reason)),
        Reach::Untouched => Some(unnamed("tunnel", None, policy)),
        Reach::Asked => Some(unnamed("ask", Some(RefusalCode::NeedsApproval), policy)),
        Reach::Granted => None,
    };
    // What is tunnelled is not read, so nothing in it can be refused.
    if unnamed.is_some() && asked.origin().scheme == Scheme::Https {
        return unnamed;
    }
    never().or(unnamed)
}

/// A host that no grant names.
fn unnamed(verdict: &str, code: Option<RefusalCode>, policy: &PolicySet) -> control::Explanation {
    simple(verdict, code, format!("no grant names this host; `unknown_host` is `{}`", policy.unknown_host()))
}

/// A verdict in which no layer had a say.
fn simple(verdict: &str, code: Option<RefusalCode>, reason: String) -> control::Explanation {
    control::Explanation {
        verdict: verdict.to_owned(),
        code: code.map(|code| code.to_string()),
        reason,
        capability: None,
        nearest: None,
        limits: Vec::new(),
        layers: Vec::new(),
        body: None,
        fields: Vec::new(),
    }
}

fn body(seen: BodySeen, asked: &Asked) -> control::BodyVerdict {
    let (seen, most) = match seen {
        BodySeen::Cut => ("cut", None),
        BodySeen::Missing => ("missing", None),
        BodySeen::Read => ("read", None),
        BodySeen::TooLong { most } => ("too_long", Some(most as u64)),
        BodySeen::Unneeded => ("unneeded", None),
    };
    control::BodyVerdict { seen: seen.to_owned(), length: asked.body_length(), most }
}

fn explanation(one: policy::Explanation, asked: &Asked) -> control::Explanation {
    let fields = one
        .looked_at
        .iter()
        .map(|name| control::FieldVerdict { name: name.to_string(), given: asked.headers().contains_key(name) });
    control::Explanation {
        body: Some(body(one.body, asked)),
        fields: fields.collect(),
        verdict: one.verdict.to_string(),
        code: one.code.map(|code| code.to_string()),
        reason: match one.verdict {
            policy::Verdict::Ask => format!("{}; the request is held until somebody answers it", one.reason),
            _ => one.reason,
        },
        capability: one.capabilities.first().map(|cap| cap.name.clone()),
        nearest: one.nearest,
        limits: one.limits,
        layers: one
            .layers
            .into_iter()
            .map(|layer| control::LayerVerdict {
                layer: layer.layer.to_owned(),
                verdict: layer.verdict.to_string(),
                reason: layer.reason,
            })
            .collect(),
    }
}
