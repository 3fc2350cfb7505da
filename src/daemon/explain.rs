//! `policy.explain`: what the proxy would do with a request, by the rules that it asks itself.

use super::{
    service::{Desk, Outcome},
    translate::failure,
};
use crate::{
    base::{Origin, RefusalCode, Scheme},
    broker::{self, Around},
    control::{self, Failure, FailureCode},
    policy::{self, Content, PolicySet, Protocol, Reach, RequestFacts},
};

impl Desk {
    pub(super) fn explain(&self, explain: &control::ExplainPolicy) -> Outcome {
        let asked = Asked::read(explain)?;
        let Around { project, narrow, .. } = match &explain.project_dir {
            Some(folder) => self.around(folder, None, None)?,
            None => Around::default(),
        };
        let policy = self.broker.policy();
        if let Some(early) = asked.without_lease(&policy) {
            return Ok(early.into());
        }
        let mut all = policy.explain_all(&explain.client_id, project.as_deref(), &narrow, &asked.facts());
        if let Some(secret) = &explain.secret {
            self.broker.store().get(secret).ok_or_else(|| failure(broker::Error::SecretUnknown(secret.clone())))?;
            all.retain(|one| one.secret == secret.as_str());
        }
        all.sort_by_key(|one| std::cmp::Reverse(one.verdict));
        let none = || {
            let reason = format!("no grant gives a secret for `{}`", asked.origin.authority);
            simple("deny", Some(RefusalCode::NoGrant), reason)
        };
        Ok(all.into_iter().next().map_or_else(none, explanation).into())
    }
}

/// A request that is asked about.
struct Asked<'a> {
    method: &'a str,
    origin: Origin,
    path: String,
    protocol: Protocol,
}

impl<'a> Asked<'a> {
    fn read(explain: &'a control::ExplainPolicy) -> Result<Self, Failure> {
        let invalid = |message: String| Failure::new(FailureCode::InvalidParams, message);
        let (method, url) = (explain.method.as_str(), explain.url.as_str());
        http::Method::from_bytes(method.as_bytes())
            .map_err(|_| invalid(format!("`{}` is no HTTP method", method.escape_debug())))?;
        let (scheme, rest) = url.split_once("://").ok_or_else(|| invalid(format!("`{url}` is not a URL")))?;
        let (scheme, protocol) = match scheme {
            "ws" => ("http", Protocol::WebSocket),
            "wss" => ("https", Protocol::WebSocket),
            other => (other, Protocol::Http),
        };
        let (authority, path) = rest.find(['/', '?', '#']).map_or((rest, ""), |at| rest.split_at(at));
        let path = path.split(['?', '#']).next().unwrap_or("");
        let origin =
            format!("{scheme}://{authority}").parse().map_err(|e: crate::base::HostError| invalid(e.to_string()))?;
        Ok(Self { method, origin, path: if path.is_empty() { "/".to_owned() } else { path.to_owned() }, protocol })
    }

    fn facts(&self) -> RequestFacts<'_> {
        RequestFacts {
            scheme: self.origin.scheme,
            authority: &self.origin.authority,
            method: self.method,
            path: &self.path,
            protocol: self.protocol,
            content: Content::unknown(),
        }
    }

    /// What is decided before a lease is looked at; in the proxy's order: CONNECT comes before the request.
    fn without_lease(&self, policy: &PolicySet) -> Option<control::Explanation> {
        let reach = policy.reach(self.origin.scheme, &self.origin.authority);
        if let Reach::Refused { reason, .. } = reach {
            return Some(simple("deny", Some(RefusalCode::HostDenied), reason));
        }
        // What is tunnelled is not read, so nothing in it can be refused.
        if reach == Reach::Untouched && self.origin.scheme == Scheme::Https {
            return Some(untouched(policy));
        }
        if let Some(never) = policy::never_forwarded(self.method, self.protocol) {
            return Some(simple("deny", Some(never.code), never.reason));
        }
        (reach == Reach::Untouched).then(|| untouched(policy))
    }
}

fn untouched(policy: &PolicySet) -> control::Explanation {
    simple("tunnel", None, format!("no grant names this host; `unknown_host` is `{}`", policy.unknown_host()))
}

/// A verdict in which no layer had a say.
fn simple(verdict: &str, code: Option<RefusalCode>, reason: String) -> control::Explanation {
    control::Explanation {
        verdict: verdict.to_owned(),
        code: code.map(|code| code.to_string()),
        reason,
        capability: None,
        nearest: None,
        layers: Vec::new(),
    }
}

fn explanation(one: policy::Explanation) -> control::Explanation {
    control::Explanation {
        verdict: one.verdict.to_string(),
        code: one.code.map(|code| code.to_string()),
        reason: one.reason,
        capability: one.capabilities.first().map(|cap| cap.name.clone()),
        nearest: one.nearest,
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
