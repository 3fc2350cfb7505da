//! Bodies that are read before anything is decided: those that may hold the lease token, before station 5, and as much as
//! the rules of the leases must see, before station 6.
//!
//! Invariant: what was looked at is what is sent; no byte of it leaves before the verdict.

use std::{future::poll_fn, pin::Pin};

use bytes::BytesMut;
use hyper::body::{Body as _, Frame};
use tokio::time::timeout;

use super::{
    admit::{Admitted, explain_command},
    exchange::{Refused, Site},
    flow::Flow,
    hop::Upgrading,
    request::{self, Received},
    stray,
    upload::Coming,
};
use crate::{
    base::RefusalCode,
    broker::Refusal,
    inject,
    policy::{Body, ListedPlace, PolicySet},
};

/// Why a body was not read.
enum Unread {
    Broken,
    NoRoom,
    Slow,
    TooLong,
}

/// Reads what must be seen; a request whose head is enough passes at once.
pub(super) async fn look(policy: &PolicySet, site: &Site, mut admitted: Admitted) -> Result<Admitted, Refused> {
    let Some((most, command)) = most(policy, site, &admitted) else { return Ok(admitted) };
    let flow = Flow::new(admitted.permits.iter().map(|permit| permit.watch().clone()).collect());
    let read = tokio::select! {
        biased;
        reason = flow.wait() => Err(Refusal::of_cut(reason)),
        read = timeout(site.limits.peek_time, read(site, &mut admitted.received.body, most)) => {
            read.unwrap_or(Err(Unread::Slow)).map_err(|why| refusal(&why, most, command))
        }
    };
    match read {
        Ok(()) => {
            let Admitted { received, .. } = &mut admitted;
            received.expects_continue = false; // whoever waited for it has got it
            admitted.seen = Body::read(received.body.front(), &received.parts.headers);
            Ok(admitted)
        }
        Err(refusal) => Err(Refused::Before(Box::new(admitted.received.notes), refusal)),
    }
}

/// Reads a body that may hold the request's lease token, and looks for it at the listed places. A token that stands in
/// the head is the request's, and one in the body beside it is astray.
pub(super) async fn find(site: &Site, places: &[ListedPlace], mut received: Received) -> Result<Received, Refused> {
    let fits = |listed: &ListedPlace| inject::is_body_for(&received.parts.headers, &listed.place);
    if !received.held.is_empty() || received.upgrading != Upgrading::No || !places.iter().any(fits) {
        return Ok(received);
    }
    let flow = Flow::new(vec![site.broker.tunnels(site.entrance.session()).watch()]);
    let read = tokio::select! {
        biased;
        reason = flow.wait() => Err(Refusal::of_cut(reason)),
        read = timeout(site.limits.peek_time, read(site, &mut received.body, site.limits.credential_body)) => {
            let command = "secrets policy list".to_owned();
            read.unwrap_or(Err(Unread::Slow)).map_err(|why| refusal(&why, site.limits.credential_body, command))
        }
    };
    match read.and_then(|()| find_held(site, places, &mut received)) {
        Ok(()) => Ok(received),
        Err(refusal) => Err(Refused::Before(Box::new(received.notes), refusal)),
    }
}

fn find_held(site: &Site, places: &[ListedPlace], received: &mut Received) -> Result<(), Refusal> {
    let body = received.body.front();
    received.expects_continue = false;
    for (at, listed) in
        places.iter().enumerate().filter(|(_, listed)| inject::is_body_for(&received.parts.headers, &listed.place))
    {
        let held = inject::find_in_body(&body, &listed.place);
        let held =
            held.map_err(|error| Refusal::new(RefusalCode::BadRequest, error.to_string(), "send the credential once"))?;
        received.held.extend(
            held.filter(|held| received.held.iter().all(|(_, other)| !other.slot.overlaps(&held.slot)))
                .map(|held| (at, held)),
        );
    }
    if received.held.is_empty() {
        return Ok(()); // it streams on like any other
    }
    if received.body.has_trailers() {
        let detail = "a body that holds a credential has no trailers";
        return Err(Refusal::new(RefusalCode::BadRequest, detail, "send the body without trailers"));
    }
    stray::search_body(site, &body, received.held.iter().map(|(_, held)| &held.slot))?;
    received.is_searched = true;
    Ok(())
}

/// The longest body that any lease's rules look into, with the command that explains them.
fn most(policy: &PolicySet, site: &Site, admitted: &Admitted) -> Option<(usize, String)> {
    let request = admitted.request_facts(site);
    let leases = admitted.permits.iter().filter_map(|permit| site.lease_facts(permit.lease()));
    let peeks = leases.filter_map(|lease| {
        let peek = policy.peek(&lease, &request)?;
        Some((peek.most, explain_command(site, &lease, &request)))
    });
    peeks.max_by_key(|(most, _)| *most)
}

async fn read(site: &Site, body: &mut Coming, most: usize) -> Result<(), Unread> {
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if expected > most {
        return Err(Unread::TooLong);
    }
    let at_most = if body.size_hint().exact().is_some() { expected } else { most };
    let room = site.peeking.take_when_free(at_most).await.ok_or(Unread::NoRoom)?;
    let mut front = BytesMut::with_capacity(expected);
    let mut trailers = None;
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
        match frame.map_err(|_| Unread::Broken)?.into_data().map_err(Frame::into_trailers) {
            Ok(data) if data.len() > most - front.len() => return Err(Unread::TooLong),
            Ok(data) => front.extend_from_slice(&data),
            Err(found) => trailers = found.ok(),
        }
    }
    body.put_back(front.freeze(), trailers, room);
    Ok(())
}

fn refusal(why: &Unread, most: usize, command: String) -> Refusal {
    let (code, detail) = match why {
        Unread::Broken => return request::broken_body(),
        Unread::NoRoom => (RefusalCode::Limit, "too many bodies are being read at once".to_owned()),
        Unread::Slow => {
            (RefusalCode::BadRequest, "the body, which rules must see first, did not come in time".to_owned())
        }
        Unread::TooLong => {
            let detail = format!("the rules for this request look into its body, and it has more than {most} bytes");
            (RefusalCode::BodyTooLarge, detail)
        }
    };
    Refusal::new(code, detail, command)
}
