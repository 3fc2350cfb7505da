//! Where the credentials of a request go: places that its leases stand at, and those that its session's own leases get.

use http::request::Parts;

use super::{exchange::Site, hop::Upgrading, request::Received};
use crate::{
    broker::{Permit, Session},
    inject::{self, Held, Slot},
    policy::{Body, GrantedHost, Inject, ListedPlace},
    recipe::Place,
};

/// The leases that the request's session has for the host, each with a place made for its credential: only where the
/// service says so, and only for requests that came with that session's own proxy credentials. At most one for a request
/// that carries no token, and one client certificate, of a service whose lease it has.
pub(super) fn begin(
    site: &Site,
    granted: Option<&GrantedHost<'_>>,
    received: &mut Received,
    shown: &[Permit],
) -> Vec<(Permit, Held)> {
    let Some((session, granted)) = site.entrance.proven_session().zip(granted) else { return Vec::new() };
    let comes = |one: &&ListedPlace| !one.place.is_later() || received.upgrading != Upgrading::No;
    let (certificates, places): (Vec<_>, Vec<_>) =
        granted.begins().iter().filter(comes).partition(|one| one.place == Place::Handshake);
    let mut begun = Vec::new();
    if shown.is_empty() {
        begun.extend(only(site, session, places, received));
    }
    let scopes: Vec<_> = shown.iter().chain(begun.iter().map(|(permit, _)| permit)).collect();
    let scopes: Vec<_> = scopes.into_iter().filter_map(|permit| permit.lease().scope()).collect();
    let is_wanted = |one: &&ListedPlace| {
        let is_shown = scopes.iter().any(|s| s.service == one.service && *s.credential == *one.credential);
        !is_shown && (scopes.is_empty() || scopes.iter().any(|scope| scope.service == one.service))
    };
    let certificates = certificates.into_iter().filter(is_wanted).collect();
    let certificate = only(site, session, certificates, received);
    begun.into_iter().chain(certificate).collect()
}

/// What a body is while nobody has looked at it; which injection counts is for the head to say.
static UNREAD: Body = Body::unread();

/// The one of these that the session has a lease for, where the injection that counts for the request sets it; none where
/// it has several.
fn only(site: &Site, session: &Session, places: Vec<&ListedPlace>, received: &mut Received) -> Option<(Permit, Held)> {
    let mut listed: Vec<&ListedPlace> = Vec::new();
    for place in places {
        if !listed.iter().any(|other| other.service == place.service && other.credential == place.credential) {
            listed.push(place);
        }
    }
    let policy = site.broker.policy();
    let permits = listed.into_iter().filter_map(|listed| {
        let place = policy.begins_at(&listed.service, &listed.credential, &received.facts(site, &UNREAD))?;
        let comes = !place.is_later() || received.upgrading != Upgrading::No;
        let permit = comes.then(|| site.broker.authorize_session(session, &listed.service, &listed.credential))?;
        Some((place.clone(), permit?))
    });
    let mut permits: Vec<_> = permits.collect();
    let (place, permit) = permits.pop().filter(|_| permits.is_empty())?;
    let held = inject::begin(&mut received.parts, &place)?;
    Some((permit.within(site.entrance.narrow()), held))
}

/// The slot of the rule that policy chose, if that is where the lease stands: a listed place of another path or of
/// another credential is none.
pub(super) fn place_of(parts: &Parts, body: Option<&[u8]>, held: &Held, inject: Option<&Inject>) -> Option<Slot> {
    let mut places = inject?.places.iter();
    if held.slot.is_handshake() {
        return places.any(|place| *place == Place::Handshake).then(|| held.slot.clone());
    }
    if let Some(wanted) = held.slot.message() {
        let is_there = |place: &Place| matches!(place, Place::Message { pointer } if **pointer == *wanted);
        return places.any(is_there).then(|| held.slot.clone());
    }
    let mut found = places.filter_map(|place| match body.filter(|_| place.is_in_body()) {
        Some(body) => inject::find_in_body(body, place).ok().flatten(),
        None => inject::find(parts, place).ok().flatten(),
    });
    found.find(|found| found.slot.overlaps(&held.slot) && found.text == held.text).map(|found| found.slot)
}
