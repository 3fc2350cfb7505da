//! The indexes behind the table: by id, by end, by holder, and the memory of ended tokens.
//!
//! Invariant: a lease stands in all indexes or in none; the memory of ended tokens is bounded in number and in time.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use super::{AskedBy, Lease, Right};
use crate::{
    base::{ClientId, CutReason, KeyedHash, LeaseId, SecretName, SessionId, Timestamp},
    recipe::TokenShape,
};

/// The most ended tokens that are remembered.
pub(super) const MAX_ENDED: usize = 10_000;
/// How long an ended token is remembered.
const ENDED_FOR: Duration = Duration::from_hours(24);

/// Everything that only writers and rare readers need; guarded by one short lock.
#[derive(Debug, Default)]
pub(super) struct Book {
    leases: BTreeMap<LeaseId, Arc<Lease>>,
    by_wall: BTreeSet<(Timestamp, LeaseId)>,
    by_boot: BTreeSet<(Duration, LeaseId)>,
    holders: HashMap<Holder, LeaseId>,
    ended: VecDeque<EndedToken>,
    pub(super) shapes: Vec<TokenShape>,
}

/// What a client may hold one lease of.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Holder {
    client: ClientId,
    session: Option<SessionId>,
    asked_by: AskedBy,
    secret: SecretName,
    right: Right,
}

impl Holder {
    fn of(lease: &Lease) -> Self {
        Self {
            client: lease.client.clone(),
            session: lease.session,
            asked_by: lease.asked_by,
            secret: lease.secret.clone(),
            right: lease.right.clone(),
        }
    }
}

/// A token that was live once.
#[derive(Clone, Copy, Debug)]
pub(super) struct EndedToken {
    pub(super) hash: KeyedHash,
    pub(super) reason: CutReason,
    pub(super) at: Timestamp,
}

impl Book {
    pub(super) fn len(&self) -> usize {
        self.leases.len()
    }

    pub(super) fn get(&self, id: &LeaseId) -> Option<&Arc<Lease>> {
        self.leases.get(id)
    }

    pub(super) fn leases(&self) -> impl Iterator<Item = &Arc<Lease>> {
        self.leases.values()
    }

    pub(super) fn ended(&self) -> impl Iterator<Item = &EndedToken> {
        self.ended.iter()
    }

    /// Enters a lease; the lease that the same holder had of the same thing is returned, still entered by its id.
    pub(super) fn add(&mut self, lease: &Arc<Lease>) -> Option<LeaseId> {
        self.leases.insert(lease.id, Arc::clone(lease));
        self.by_wall.insert((lease.deadline.wall(), lease.id));
        self.by_boot.insert((lease.boot_end, lease.id));
        self.holders.insert(Holder::of(lease), lease.id)
    }

    /// Strikes a lease out.
    pub(super) fn take(&mut self, id: &LeaseId) -> Option<Arc<Lease>> {
        let lease = self.leases.remove(id)?;
        self.by_wall.remove(&(lease.deadline.wall(), *id));
        self.by_boot.remove(&(lease.boot_end, *id));
        let holder = Holder::of(&lease);
        if self.holders.get(&holder) == Some(id) {
            self.holders.remove(&holder);
        }
        Some(lease)
    }

    /// Leases whose end has come on either clock.
    pub(super) fn due(&self, now: Timestamp, boot: Duration) -> BTreeSet<LeaseId> {
        let by_wall = self.by_wall.iter().take_while(|(end, _)| *end <= now).map(|(_, id)| *id);
        let by_boot = self.by_boot.iter().take_while(|(end, _)| *end <= boot).map(|(_, id)| *id);
        by_wall.chain(by_boot).collect()
    }

    /// How long until the first end on either clock; `None` without leases.
    pub(super) fn until_next_end(&self, now: Timestamp, boot: Duration) -> Option<Duration> {
        let wall = self.by_wall.first().map(|(end, _)| end.since(now));
        let boot = self.by_boot.first().map(|(end, _)| end.saturating_sub(boot));
        wall.into_iter().chain(boot).min()
    }

    /// Remembers an ended token; returns the tokens to forget for it.
    pub(super) fn remember(&mut self, token: EndedToken) -> Vec<KeyedHash> {
        self.ended.push_back(token);
        let mut forgotten = Vec::new();
        while let Some(oldest) = self.ended.front() {
            if self.ended.len() <= MAX_ENDED && token.at.since(oldest.at) < ENDED_FOR {
                break;
            }
            forgotten.push(oldest.hash);
            self.ended.pop_front();
        }
        forgotten
    }
}
