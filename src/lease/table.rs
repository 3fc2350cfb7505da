//! All leases: by the keyed hash of their token for the hot path, by id, end and holder for everything else.
//!
//! Invariant: a lease that ends is handed out exactly once, by the call that ended it, after every `find` says so and
//! before its switch is thrown. Finding takes one lock of one shard, never the lock of writers.

use std::{
    collections::HashMap,
    fmt,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};

use super::{
    Error, Found, Issued, Lease, LeaseToken, NewLease, Right, StrayScanner,
    book::{Book, EndedToken},
    finder::{Match, Telling, TokenFinder},
};
use crate::{
    base::{Clock, CutReason, CutSwitch, Deadline, HashKey, KeyedHash, LeaseId},
    recipe::TokenShape,
};

const SHARDS: usize = 16;
/// The most live leases; an agent that leases in a loop meets this before memory ends.
const MAX_LIVE: usize = 65_536;

/// The leases of one daemon. Clones share it. No call waits for anything but short locks.
#[derive(Clone)]
pub struct LeaseTable(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) clock: Clock,
    pub(super) key: HashKey,
    shards: [RwLock<HashMap<KeyedHash, Entry>>; SHARDS],
    pub(super) book: Mutex<Book>,
    finder: ArcSwap<TokenFinder>,
    /// Keeps one wake-up for the task that ends leases on time.
    earlier_end: Notify,
    revision: watch::Sender<u64>,
    /// Judged where there is no lease to judge, so that a miss costs what a hit costs.
    decoy: Deadline,
}

enum Entry {
    Ended(CutReason),
    Live(Arc<Lease>),
}

/// A lease token where none belongs.
#[derive(Clone, Debug)]
pub struct Stray {
    /// Where it is written.
    pub range: Range<usize>,
    /// What it is; [`Found::Unknown`] only when its shape leaves no doubt that a lease was meant.
    pub found: Found,
}

impl Stray {
    /// Whether it is or was a token of ours, and not merely one by its looks.
    pub const fn is_ours(&self) -> bool {
        !matches!(self.found, Found::Unknown)
    }
}

impl LeaseTable {
    /// An empty table whose tokens are kept only as hashes under this key.
    pub fn new(clock: Clock, key: HashKey) -> Self {
        let table = Self(Arc::new(Inner {
            decoy: clock.deadline(Duration::ZERO),
            clock,
            key,
            shards: std::array::from_fn(|_| RwLock::default()),
            book: Mutex::default(),
            finder: ArcSwap::default(),
            earlier_end: Notify::new(),
            revision: watch::Sender::new(0),
        }));
        table.learn_shape(&mut table.book(), &TokenShape::plain());
        table
    }

    /// Issues a lease. An earlier live lease of the same client, session, asker, secret and right ends with it (`revoked`):
    /// at no moment are there two of them in [`LeaseTable::list`], or none.
    pub fn issue(&self, new: NewLease) -> Result<Issued, Error> {
        let mut book = self.book();
        let token = match &new.right {
            Right::Raw => None,
            Right::Token(_) => {
                self.learn_shape(&mut book, &new.shape);
                Some(self.fresh_token(&new.shape))
            }
        };
        let lease = Arc::new(self.lease(new, token.as_ref()));
        let earlier = book.add(&lease);
        if book.len() > MAX_LIVE && earlier.is_none() {
            book.take(&lease.id);
            return Err(Error::Full { max: MAX_LIVE });
        }
        self.show(&lease);
        let replaced = earlier.and_then(|id| self.end(&mut book, &id, CutReason::Revoked));
        drop(book);
        self.cut(replaced.as_slice(), CutReason::Revoked);
        self.0.revision.send_modify(|revision| *revision += 1);
        self.0.earlier_end.notify_one();
        Ok(Issued { lease, token, replaced })
    }

    fn lease(&self, new: NewLease, token: Option<&LeaseToken>) -> Lease {
        let now = self.0.clock.now();
        let deadline = self.0.clock.deadline_from(now, new.ttl.get());
        Lease {
            id: LeaseId::generate(),
            secret: new.secret,
            right: new.right,
            client: new.client,
            session: new.session,
            asked_by: new.asked_by,
            terms: new.terms,
            created_at: now,
            deadline,
            hash: token.map(|token| self.0.key.hash(token.expose().as_bytes())),
            boot_end: self.boot_end(deadline),
            cut: CutSwitch::new(),
        }
    }

    /// The end on the monotonic clock, to within a millisecond.
    pub(super) fn boot_end(&self, deadline: Deadline) -> Duration {
        let remaining = deadline.remaining(&self.0.clock);
        self.0.clock.boot() + remaining
    }

    /// A token that no lease has; the second try is for the mathematicians.
    fn fresh_token(&self, shape: &TokenShape) -> LeaseToken {
        loop {
            let token = LeaseToken::generate(shape);
            let hash = self.0.key.hash(token.expose().as_bytes());
            if !read(self.shard(&hash)).contains_key(&hash) {
                return token;
            }
        }
    }

    /// What a whole text is. One keyed hash and one look-up whatever the text; letters more or less make it unknown.
    /// A lease whose time is up is `Ended(Expired)` even before it is swept.
    pub fn find(&self, token: &[u8]) -> Found {
        // one byte beyond the longest token is enough to be none, and bounds the work
        let hash = self.0.key.hash(token.get(..=TokenShape::MAX_LENGTH).unwrap_or(token));
        let shard = read(self.shard(&hash));
        let entry = shard.get(&hash);
        let deadline = if let Some(Entry::Live(lease)) = entry { lease.deadline } else { self.0.decoy };
        let past = deadline.is_past(&self.0.clock);
        match entry {
            Some(Entry::Live(_)) if past => Found::Ended(CutReason::Expired),
            Some(Entry::Live(lease)) => Found::Live(Arc::clone(lease)),
            Some(Entry::Ended(reason)) => Found::Ended(*reason),
            None => Found::Unknown,
        }
    }

    /// The live lease with this id.
    pub fn get(&self, id: &LeaseId) -> Option<Arc<Lease>> {
        self.book().get(id).filter(|lease| self.lives(lease)).cloned()
    }

    /// All live leases, by id.
    pub fn list(&self) -> Vec<Arc<Lease>> {
        self.book().leases().filter(|lease| self.lives(lease)).cloned().collect()
    }

    /// Ends a live lease and cuts its exchanges; `None` when there is none (any more).
    pub fn revoke(&self, id: &LeaseId, why: CutReason) -> Option<Arc<Lease>> {
        let mut book = self.book();
        let ended = self.end(&mut book, id, why);
        drop(book);
        self.cut(ended.as_slice(), why);
        ended
    }

    /// Ends every live lease that is picked, all of them at one moment. `pick` must not call the table.
    pub fn revoke_where(&self, pick: impl Fn(&Lease) -> bool, why: CutReason) -> Vec<Arc<Lease>> {
        let mut book = self.book();
        let picked: Vec<LeaseId> = book.leases().filter(|lease| pick(lease)).map(|lease| lease.id).collect();
        let ended: Vec<_> = picked.iter().filter_map(|id| self.end(&mut book, id, why)).collect();
        drop(book);
        self.cut(&ended, why);
        ended
    }

    /// Ends what has run out on either clock.
    pub fn sweep(&self) -> Vec<Arc<Lease>> {
        let mut book = self.book();
        let due = book.due(self.0.clock.now(), self.0.clock.boot());
        let ended: Vec<_> = due.iter().filter_map(|id| self.strike(&mut book, id, CutReason::Expired)).collect();
        drop(book);
        self.cut(&ended, CutReason::Expired);
        ended
    }

    /// How long until [`LeaseTable::sweep`] has something to end; zero when it has already, `None` without leases.
    /// The wall clock may jump and a machine may sleep, so wait for a second at most before asking again.
    pub fn until_next_end(&self) -> Option<Duration> {
        self.book().until_next_end(self.0.clock.now(), self.0.clock.boot())
    }

    /// Returns when a lease was issued since the last call returned. For the one task that sweeps: it asks
    /// [`LeaseTable::until_next_end`], then waits for that or for this. Safe to drop and call again.
    pub async fn changed(&self) {
        self.0.earlier_end.notified().await;
    }

    /// A number that grows with every lease issued or ended.
    pub fn revision(&self) -> u64 {
        *self.0.revision.borrow()
    }

    /// Waits until the revision is another one than this. For whoever persists the table.
    pub async fn changed_since(&self, seen: u64) -> u64 {
        let mut revisions = self.0.revision.subscribe();
        revisions.wait_for(|revision| *revision != seen).await.map_or(seen, |revision| *revision)
    }

    /// The first token of ours, live or ended, anywhere in a text; else the first that must be meant as one.
    /// One pass; a token is hashed only where its whole shape stands.
    pub fn find_stray(&self, text: &[u8]) -> Option<Stray> {
        self.first_stray(self.finder().matches(text))
    }

    /// A scanner for one stream.
    pub fn scanner(&self) -> StrayScanner {
        StrayScanner::new(self.clone())
    }

    pub(super) fn first_stray(&self, matches: impl Iterator<Item = Match>) -> Option<Stray> {
        let mut meant = None;
        for Match { range, token, telling } in matches {
            match self.find(&token) {
                Found::Unknown if telling == Telling::No => {}
                Found::Unknown => meant = meant.or(Some(range)),
                found => return Some(Stray { range, found }),
            }
        }
        meant.map(|range| Stray { range, found: Found::Unknown })
    }

    pub(super) fn finder(&self) -> Arc<TokenFinder> {
        self.0.finder.load_full()
    }

    /// Makes a shape known before the first token of it leaves. Shapes come from policy files, so they stay few.
    pub(super) fn learn_shape(&self, book: &mut Book, shape: &TokenShape) {
        if !book.shapes.contains(shape) {
            book.shapes.push(shape.clone());
            self.0.finder.store(Arc::new(TokenFinder::new(&book.shapes)));
        }
    }

    /// Makes a lease findable by its token.
    pub(super) fn show(&self, lease: &Arc<Lease>) {
        if let Some(hash) = lease.hash {
            self.write(hash, Entry::Live(Arc::clone(lease)));
        }
    }

    /// Makes an ended token findable as such, and forgets the oldest.
    pub(super) fn remember(&self, book: &mut Book, token: EndedToken) {
        self.write(token.hash, Entry::Ended(token.reason));
        for hash in book.remember(token) {
            self.shard(&hash).write().unwrap_or_else(PoisonError::into_inner).remove(&hash);
        }
    }

    /// Ends a lease that lives. One whose time is up is cut at once and left for the sweep, which reports it.
    fn end(&self, book: &mut Book, id: &LeaseId, why: CutReason) -> Option<Arc<Lease>> {
        let lease = book.get(id)?;
        if self.lives(lease) {
            return self.strike(book, id, why);
        }
        lease.cut.cut(CutReason::Expired);
        None
    }

    fn strike(&self, book: &mut Book, id: &LeaseId, why: CutReason) -> Option<Arc<Lease>> {
        let lease = book.take(id)?;
        if let Some(hash) = lease.hash {
            self.remember(book, EndedToken { hash, reason: why, at: self.0.clock.now() });
        }
        Some(lease)
    }

    /// Throws the switches; outside the lock, because that wakes tasks.
    fn cut(&self, ended: &[Arc<Lease>], why: CutReason) {
        for lease in ended {
            lease.cut.cut(why);
        }
        if !ended.is_empty() {
            self.0.revision.send_modify(|revision| *revision += 1);
        }
    }

    fn lives(&self, lease: &Lease) -> bool {
        !lease.deadline.is_past(&self.0.clock)
    }

    fn write(&self, hash: KeyedHash, entry: Entry) {
        self.shard(&hash).write().unwrap_or_else(PoisonError::into_inner).insert(hash, entry);
    }

    #[expect(clippy::indexing_slicing, reason = "the index is taken modulo the length")]
    fn shard(&self, hash: &KeyedHash) -> &RwLock<HashMap<KeyedHash, Entry>> {
        let [first, ..] = hash.0;
        &self.0.shards[usize::from(first) % SHARDS]
    }

    /// The lock of writers. Every change leaves the book whole, so a panic under it poisons nothing.
    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.0.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(shard: &RwLock<HashMap<KeyedHash, Entry>>) -> std::sync::RwLockReadGuard<'_, HashMap<KeyedHash, Entry>> {
    shard.read().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for LeaseTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LeaseTable({} live)", self.book().len())
    }
}
