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
    upload::{Ahead, Coming},
};
use crate::{
    base::RefusalCode,
    broker::Refusal,
    inject,
    policy::{Body, FlushFinder, ListedPlace, Peek, PolicySet, Until},
};

/// Why a body was not read.
pub(super) enum Unread {
    Broken,
    NoRoom,
    Slow,
    TooLong,
}

/// Reads what must be seen; a request whose head is enough passes at once.
pub(super) async fn look(policy: &PolicySet, site: &Site, mut admitted: Admitted) -> Result<Admitted, Refused> {
    let Some((peek, command)) = needed(policy, site, &admitted) else { return Ok(admitted) };
    let flow = Flow::new(admitted.permits.iter().map(|permit| permit.watch().clone()).collect());
    let read = tokio::select! {
        biased;
        reason = flow.wait() => Err(Refusal::of_cut(reason)),
        read = timeout(site.limits.peek_time, read(site, &mut admitted.received.body, peek)) => {
            read.unwrap_or(Err(Unread::Slow)).map_err(|why| refusal(&why, peek.most, command))
        }
    };
    match read {
        Ok(ahead) => {
            let Admitted { received, seen, .. } = &mut admitted;
            received.expects_continue = false; // whoever waited for it has got it
            let (front, headers) = (ahead.front.clone(), &received.parts.headers);
            *seen = if ahead.over { Body::read(front, headers) } else { Body::front(front, headers) };
            // A client that still sends understands a status alone: curl goes on with what is answered by 200, and never
            // ends when it cannot.
            if let Some(push) = seen.push().filter(|_| ahead.over) {
                received.notes.tongue.hear(push);
            }
            received.body.put_back(ahead);
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
    let flow = Flow::new(site.broker.ends_of_way(site.entrance.session()));
    let peek = Peek { most: site.limits.credential_body, until: Until::End };
    let read = tokio::select! {
        biased;
        reason = flow.wait() => Err(Refusal::of_cut(reason)),
        read = timeout(site.limits.peek_time, read(site, &mut received.body, peek)) => {
            let command = "secrets policy list".to_owned();
            read.unwrap_or(Err(Unread::Slow)).map_err(|why| refusal(&why, peek.most, command))
        }
    };
    match read.and_then(|ahead| find_held(site, places, &mut received, ahead)) {
        Ok(()) => Ok(received),
        Err(refusal) => Err(Refused::Before(Box::new(received.notes), refusal)),
    }
}

fn find_held(site: &Site, places: &[ListedPlace], received: &mut Received, ahead: Ahead) -> Result<(), Refusal> {
    let body = ahead.front.clone();
    received.body.put_back(ahead);
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

/// The most that any lease's rules look into, with the command that explains them.
fn needed(policy: &PolicySet, site: &Site, admitted: &Admitted) -> Option<(Peek, String)> {
    let request = admitted.request_facts(site);
    let leases = admitted.permits.iter().filter_map(|permit| site.lease_facts(permit));
    let peeks = leases.filter_map(|lease| {
        let peek = policy.peek(&lease, &request)?;
        Some((peek, explain_command(site, &lease, &request)))
    });
    peeks.reduce(|(one, command), (other, _)| (one.and(other), command))
}

pub(super) async fn read(site: &Site, body: &mut Coming, peek: Peek) -> Result<Ahead, Unread> {
    let most = peek.most;
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let is_short = body.size_hint().exact().is_some() && announced <= most;
    // What is short is read whole, so that its client has nothing left to send when it is refused.
    let until = if body.is_whole() || is_short { Until::End } else { peek.until };
    if until == Until::End && announced > most {
        return Err(Unread::TooLong);
    }
    let at_most = body.size_hint().exact().map_or(most, |_| announced.min(most));
    let room = site.peeking.take_when_free(at_most).await.ok_or(Unread::NoRoom)?;
    let mut front = BytesMut::with_capacity(if until == Until::End { announced } else { 0 });
    let (mut trailers, mut flush) = (None, FlushFinder::default());
    loop {
        let Some(frame) = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await else {
            return Ok(Ahead { front: front.freeze(), trailers, over: true, room });
        };
        match frame.map_err(|_| Unread::Broken)?.into_data().map_err(Frame::into_trailers) {
            Ok(data) if until == Until::Flush => {
                front.extend_from_slice(&data);
                if flush.is_there(front.get(..most).unwrap_or(&front)) {
                    return Ok(Ahead { front: front.freeze(), trailers, over: false, room });
                }
                if front.len() >= most {
                    return Err(Unread::TooLong);
                }
            }
            Ok(data) if data.len() > most - front.len() => return Err(Unread::TooLong),
            Ok(data) => front.extend_from_slice(&data),
            Err(found) => trailers = found.ok(),
        }
    }
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
