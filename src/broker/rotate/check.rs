//! Asking the service whether it takes a value, with the request that its file names.

use http::{
    Request, StatusCode,
    header::{ACCEPT, AUTHORIZATION, COOKIE, HOST, USER_AGENT},
    request::{Builder, Parts},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::Broker;
use crate::{
    audit::Action,
    base::SecretName,
    inject::{Draft, Slot, begin, find},
    net::{Errands, Identity, Roots, Terms},
    policy::Check,
    recipe::Place,
    store::SecretRecord,
};

/// What the service said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checked {
    /// Nothing that decides, or nothing at all.
    Open,
    /// That it does not take the value.
    Refused(u16),
    /// That it takes the value.
    Works,
}

/// Stands where the value will be written.
const HOLE: &str = "x";

impl Broker {
    /// Tries the value of a record, recorded before it is; `None` when its service names no check.
    pub(super) async fn check(&self, record: &SecretRecord) -> Option<Checked> {
        let binding = record.binding.as_ref()?;
        let policy = self.policy();
        let service = policy.service(&binding.service)?;
        let (check, place) = service.check(&binding.credential)?;
        let event = Self::rotation_event(Action::RotationCheck, record).authority(check.authority());
        let event = event.method(check.method().as_str()).path(check.path());
        let answered = match self.parts.audit.append(&event) {
            Ok(()) => self.ask(record, check, place, service.roots(check.authority())).await,
            Err(error) => Err(error.to_string()), // no record, no credential
        };
        Some(answered.unwrap_or_else(|why| {
            tracing::warn!(secret = %record.name, %why, "a rotated value could not be checked");
            Checked::Open
        }))
    }

    /// Whether the service of a secret names a check.
    pub(super) fn has_check(&self, record: &SecretRecord) -> bool {
        let policy = self.policy();
        let binding = record.binding.as_ref();
        binding.is_some_and(|b| policy.service(&b.service).is_some_and(|s| s.check(&b.credential).is_some()))
    }

    async fn ask(
        &self,
        record: &SecretRecord,
        check: &Check,
        place: &Place,
        roots: Option<&Roots>,
    ) -> Result<Checked, String> {
        let (parts, slot) = draft(check, place).ok_or("the check's request cannot be written")?;
        let errands = &self.parts.errands;
        let identity = slot.presents().then(|| Identity::parse(record.value.expose())).transpose();
        let identity = identity.map_err(|error| error.to_string())?;
        let terms = Terms { roots, identity: identity.as_ref() };
        let checkout = errands.connect(check.authority(), terms).await.map_err(|error| error.to_string())?;
        let proof = checkout.verified().ok_or("the connection is not encrypted")?;
        let draft = Draft::new(check.authority().clone(), parts, Errands::no_body(), vec![slot]);
        let armed = draft
            .arm(std::slice::from_ref(&record.value), proof, |body, _| Ok(body))
            .map_err(|error| error.to_string())?;
        let status = Errands::send(checkout, check.authority(), armed.open().0).await;
        Ok(judge(status.map_err(|error| error.to_string())?))
    }

    /// The record as it is now, if it still has a value to prove.
    pub(super) fn unproven(&self, name: &SecretName) -> Option<std::sync::Arc<SecretRecord>> {
        self.parts.store.get(name).filter(|record| record.former.is_some())
    }
}

fn judge(status: StatusCode) -> Checked {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Checked::Refused(status.as_u16()),
        status if status.is_success() => Checked::Works,
        _ => Checked::Open,
    }
}

/// The request's head with a hole, found as in any client's request.
fn draft(check: &Check, place: &Place) -> Option<(Parts, Slot)> {
    let authority = check.authority();
    let host = if authority.port == 443 { authority.host.to_string() } else { authority.to_string() };
    let request = Request::builder()
        .method(check.method())
        .header(HOST, host)
        .header(USER_AGENT, concat!("leasehold/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, "*/*");
    let (mut parts, ()) = with_hole(request, check.target(), place)?.body(()).ok()?.into_parts();
    let held = if *place == Place::Handshake { begin(&mut parts, place) } else { find(&parts, place).ok()? };
    let slot = held?.slot;
    Some((parts, slot))
}

/// `None` where a request without a body cannot carry the credential; policy refuses such checks at load.
fn with_hole(request: Builder, target: &str, place: &Place) -> Option<Builder> {
    Some(match place {
        Place::Cookie { name } => request.uri(target).header(COOKIE, format!("{name}={HOLE}")),
        Place::Handshake => request.uri(target),
        Place::Moved { to, .. } => return with_hole(request, target, to),
        Place::Form { .. } | Place::Json { .. } | Place::Message { .. } | Place::Path { .. } => return None,
        Place::Basic { .. } => request.uri(target).header(AUTHORIZATION, "Basic eDp4"), // x:x
        Place::Header { name, wordings } => {
            let (before, after) = wordings.first().map_or(("", ""), |words| (words.before(), words.after()));
            request.uri(target).header(name, format!("{before}{HOLE}{after}"))
        }
        Place::Query { name } => {
            let mark = if target.contains('?') { '&' } else { '?' };
            request.uri(format!("{target}{mark}{}={HOLE}", utf8_percent_encode(name, NON_ALPHANUMERIC)))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_consent_and_refusal_decide() {
        for (status, checked) in [
            (200, Checked::Works),
            (204, Checked::Works),
            (301, Checked::Open),
            (400, Checked::Open),
            (401, Checked::Refused(401)),
            (403, Checked::Refused(403)),
            (404, Checked::Open),
            (429, Checked::Open),
            (500, Checked::Open),
            (503, Checked::Open),
        ] {
            assert_eq!(judge(StatusCode::from_u16(status).unwrap()), checked, "{status}");
        }
    }
}
