//! A second try for a request whose credential turned out to have ended: what is kept for it, and when it is made.
//!
//! Invariant: a request is made again once at the most, only when its whole body was kept, and only while nothing of the
//! first answer has left.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{StatusCode, request::Parts};
use hyper::body::Body as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    admit::Opened,
    exchange::{Refused, Site},
    forward::Sent,
    hop::Upgrading,
    scrub::Arrived,
    upload::Source,
};
use crate::{
    broker::{Permit, Refusal},
    inject::Slot,
    net::Roots,
    policy::Withhold,
};

/// The room for kept bodies, all requests together.
#[derive(Clone)]
pub(super) struct Room(Arc<Semaphore>);

impl Room {
    /// What one place of the semaphore stands for, in bytes.
    const UNIT: usize = 1024;

    pub(super) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes / Self::UNIT)))
    }

    fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_many_owned(Self::units(bytes)?).ok()
    }

    /// The same, and waits until there is room. `None` only for more than there ever is.
    pub(super) async fn take_when_free(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).acquire_many_owned(Self::units(bytes)?).await.ok()
    }

    fn units(bytes: usize) -> Option<u32> {
        u32::try_from(bytes.div_ceil(Self::UNIT)).ok()
    }
}

/// A body as it is kept while it passes; the upload fills it, the exchange takes it. Clones share it.
#[derive(Clone)]
pub(super) struct Kept(Arc<Mutex<Held>>);

enum Held {
    /// There is no room for it, it broke off, or nobody wants it any more.
    Lost,
    /// It is not over.
    Partial { bytes: Vec<u8>, most: usize, room: OwnedSemaphorePermit },
    /// All of it.
    Whole { bytes: Bytes, _room: OwnedSemaphorePermit },
}

impl Kept {
    fn new(most: usize, room: OwnedSemaphorePermit) -> Self {
        Self(Arc::new(Mutex::new(Held::Partial { bytes: Vec::new(), most, room })))
    }

    /// Nothing can be left half changed: each change is one assignment.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// More of it has passed.
    pub(super) fn push(&self, data: &[u8]) {
        let mut held = self.held();
        if let Held::Partial { bytes, most, .. } = &mut *held {
            if data.len() <= most.saturating_sub(bytes.len()) {
                bytes.extend_from_slice(data);
            } else {
                *held = Held::Lost;
            }
        }
    }

    /// That was all of it.
    pub(super) fn finish(&self) {
        let mut held = self.held();
        *held = match std::mem::replace(&mut *held, Held::Lost) {
            Held::Partial { bytes, room, .. } => Held::Whole { bytes: bytes.into(), _room: room },
            other => other,
        };
    }

    /// It cannot be made again.
    pub(super) fn lose(&self) {
        *self.held() = Held::Lost;
    }

    fn whole(&self) -> Option<Bytes> {
        match &*self.held() {
            Held::Whole { bytes, .. } => Some(bytes.clone()),
            Held::Lost | Held::Partial { .. } => None,
        }
    }
}

/// What a 401 leads to.
pub(super) enum Again {
    /// A new value for requests to come; this one cannot be made again.
    Later,
    /// A new value, and the request once more.
    Now(Box<Replay>),
}

/// What a second try needs.
pub(super) struct Replay {
    parts: Parts,
    permits: Arc<[Permit]>,
    slots: Vec<Slot>,
    withhold: Withhold,
    roots: Option<Roots>,
    kept: Kept,
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.kept.lose(); // an upload that still runs need not go on copying
    }
}

/// What comes after an answer.
pub(super) enum Next {
    /// The same request, with a new value.
    Again(Opened),
    /// The answer is the client's.
    Answer(Sent),
}

/// Keeps what a second try needs, for requests with one credential whose service says what a 401 means.
pub(super) fn keep(site: &Site, opened: Opened) -> (Opened, Option<Again>) {
    match &*opened.permits {
        [permit] if site.broker.may_renew(permit) => {}
        _ => return (opened, None),
    }
    let Some(kept) = room_for(site, &opened) else { return (opened, Some(Again::Later)) };
    let (parts, permits, slots) = (opened.parts.clone(), Arc::clone(&opened.permits), opened.slots.clone());
    let (withhold, roots) = (opened.withhold.clone(), opened.roots.clone());
    let replay = Replay { parts, permits, slots, withhold, roots, kept: kept.clone() };
    let body = match opened.body {
        Source::Client(body, _) => Source::Client(body, Some(kept)),
        other @ Source::Kept(_) => other,
    };
    (Opened { body, ..opened }, Some(Again::Now(Box::new(replay))))
}

/// Room for the request's body, if it is of a kind and a length that can be kept.
fn room_for(site: &Site, opened: &Opened) -> Option<Kept> {
    let Source::Client(body, None) = &opened.body else { return None };
    if opened.upgrading != Upgrading::No {
        return None;
    }
    let most = body.size_hint().exact().map_or(Some(site.limits.kept), |exact| usize::try_from(exact).ok())?;
    (most <= site.limits.kept).then(|| site.room.take(most).map(|room| Kept::new(most, room))).flatten()
}

/// Decides about an answer. A 401 that means that the value has ended is held back until there is a new one; where the
/// request cannot be made again, it is passed on at once, and requests to come have the new value.
pub(super) async fn after(site: &Site, again: Option<Again>, sent: Sent) -> Result<Next, Refused> {
    let is_refused = sent.arrived.response.status() == StatusCode::UNAUTHORIZED;
    let (Some(again), [refused]) = (again.filter(|_| is_refused), sent.versions.as_slice()) else {
        return Ok(Next::Answer(sent));
    };
    let Some((replay, body)) = again.ready() else {
        site.broker.renew_later(refused);
        return Ok(Next::Answer(sent));
    };
    let renewed = tokio::select! {
        biased;
        reason = sent.arrived.flow.wait() => Err(Refusal::of_cut(reason)),
        renewed = site.broker.renew(refused) => Ok(renewed),
    };
    match renewed {
        Ok(false) => Ok(Next::Answer(sent)),
        Ok(true) => Ok(Next::Again(replay.open(body, sent.arrived))),
        Err(refusal) => Err(Refused::After(Box::new(sent.arrived.outcome), refusal)),
    }
}

impl Again {
    fn ready(self) -> Option<(Box<Replay>, Bytes)> {
        let Self::Now(replay) = self else { return None };
        let body = replay.kept.whole()?;
        Some((replay, body))
    }
}

impl Replay {
    /// The request anew, under the record that is open. The first answer goes, and its connection with it.
    fn open(mut self: Box<Self>, body: Bytes, first: Arrived) -> Opened {
        let Arrived { flow, mut outcome, .. } = first;
        outcome.made_again();
        let (parts, slots) = (self.parts.clone(), std::mem::take(&mut self.slots));
        let (body, permits) = (Source::Kept(body), Arc::clone(&self.permits));
        Opened {
            parts,
            body,
            body_max: None,
            upgrading: Upgrading::No,
            expects_continue: false,
            permits,
            slots,
            withhold: self.withhold.clone(),
            roots: self.roots.clone(),
            flow,
            outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_kept_whole_or_not_at_all_and_its_room_comes_back() {
        let room = Room::new(4 * Room::UNIT);
        let kept = Kept::new(3, room.take(3).unwrap());
        kept.push(b"ab");
        assert_eq!(kept.whole(), None);
        kept.push(b"c");
        kept.finish();
        assert_eq!(kept.whole().unwrap(), "abc");
        let long = Kept::new(3, room.take(3 * Room::UNIT).unwrap());
        assert!(room.take(1).is_none(), "all of it is taken");
        long.push(b"abcd");
        long.finish();
        assert_eq!(long.whole(), None);
        assert!(room.take(3 * Room::UNIT).is_some(), "a body that is lost takes no room");
        kept.lose();
        assert!(room.take(4 * Room::UNIT).is_some());
        assert!(room.take(0).is_some(), "an empty body needs none");
    }
}
