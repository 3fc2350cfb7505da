//! What came of judging one request.

use std::sync::Arc;

use crate::base::{RefusalCode, TimeToLive};

use super::{
    grants::{Applied, Asking, Verdict},
    services::{Capability, Inject, Risk, Withhold},
};

/// A verdict and everything that explains it or follows from it.
#[derive(Clone, Debug)]
pub struct Decision {
    /// What becomes of the request.
    pub verdict: Verdict,
    /// The code of the refusal; `None` exactly when allowed.
    pub code: Option<RefusalCode>,
    /// The capability that decided; when nothing granted matched, the one that would have.
    pub capability: Option<Arc<str>>,
    /// The risk of that capability.
    pub risk: Option<Risk>,
    /// Why, for people; empty when allowed.
    pub reason: String,
    /// The nearest call that is allowed, when there is one.
    pub nearest: Option<String>,
    /// What a person is asked first; empty unless the verdict is to ask.
    pub asks: Vec<Asking>,
    /// How the credential goes in; `None` exactly when denied.
    pub inject: Option<Arc<Inject>>,
    /// How long a lease may live under the grant and all narrowings; `None` leaves it to the settings.
    pub ttl: Option<TimeToLive>,
    /// The most bytes that the request's body may have; `None` for any number.
    pub body_max: Option<usize>,
    /// What the answer is freed of.
    pub withhold: Withhold,
    /// What the request counts towards if it is forwarded; empty when refused.
    pub limits: Vec<Applied>,
}

impl Decision {
    pub(super) fn refuse(code: RefusalCode, reason: String) -> Self {
        let verdict = if code == RefusalCode::NeedsApproval { Verdict::Ask } else { Verdict::Deny };
        Self {
            verdict,
            code: Some(code),
            capability: None,
            risk: None,
            reason,
            nearest: None,
            asks: Vec::new(),
            inject: None,
            ttl: None,
            body_max: None,
            withhold: Withhold::default(),
            limits: Vec::new(),
        }
    }

    pub(super) fn about(mut self, capability: Option<&Capability>) -> Self {
        self.capability = capability.map(|capability| capability.name.clone());
        self.risk = capability.map(|capability| capability.risk);
        self
    }
}
