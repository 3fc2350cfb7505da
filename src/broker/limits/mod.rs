//! Counters of what policy limits: one bucket for each limit of each layer, leaking on the boot clock.
//!
//! Invariants: a request that one bucket refuses takes from none; what runs at once is given back exactly once; the
//! hot path holds the lock of a shard only to find a bucket.

mod bucket;
mod keep;
mod standing;

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::{
    base::Clock,
    policy::{Applied, Measure, Meter, Tariff, Usage},
};

use bucket::{Bucket, Terms};
pub(super) use standing::with_facts;
pub use standing::{LimitInForce, Next, Standing};

/// A shard that grows past this lets go of buckets that are as good as new.
const ROOMY: usize = 1024;

/// The longest that a vendor's 429 slows us down.
const SLOWED: Duration = Duration::from_mins(10);

const SHARDS: usize = 16;

type Shard = HashMap<String, Arc<Bucket>>;

/// Every counter, and the time that they leak by.
pub(super) struct Limiter {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
    clock: Clock,
    /// Whether what is kept over a restart is behind.
    changed: Arc<AtomicBool>,
}

/// Which limit is reached, and when it lets the next one pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Over {
    /// The limit and whose it is: `requests = 60/min of the grant at mine.toml:12`.
    pub limit: String,
    /// How long to wait; `None` when that hangs on what runs.
    pub wait: Option<Duration>,
}

impl Limiter {
    pub(super) fn new(clock: Clock) -> Self {
        Self { shards: Default::default(), hasher: RandomState::new(), clock, changed: Arc::default() }
    }

    fn shard(&self, key: &str) -> MutexGuard<'_, Shard> {
        let at = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or(0);
        // Nothing is left half changed: each change is one insertion.
        self.shards.get(at).unwrap_or(&self.shards[0]).lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bucket(&self, key: &str) -> Arc<Bucket> {
        let mut shard = self.shard(key);
        if let Some(bucket) = shard.get(key) {
            return Arc::clone(bucket);
        }
        if shard.len() >= ROOMY {
            let now = self.clock.boot();
            shard.retain(|_, bucket| Arc::strong_count(bucket) > 1 || !bucket.is_idle(now));
        }
        Arc::clone(shard.entry(key.to_owned()).or_default())
    }

    /// Counts one request towards all of these limits, or towards none of them.
    pub(super) fn take(&self, applied: &[Applied]) -> Result<Taken, Over> {
        let mut wanted: Vec<(String, &Applied)> = applied.iter().map(|applied| (key(applied), applied)).collect();
        // One order for everybody, so that two requests never wait for each other; of two limits on one counter the
        // smaller is the one that binds.
        wanted.sort_by(|(a, one), (b, other)| a.cmp(b).then(one.limit.most().cmp(&other.limit.most())));
        wanted.dedup_by(|(later, _), (earlier, _)| later == earlier);
        let buckets: Vec<(Arc<Bucket>, &Applied)> =
            wanted.iter().map(|(key, applied)| (self.bucket(key), *applied)).collect();
        let now = self.clock.boot();
        let mut held = Vec::with_capacity(buckets.len());
        let mut over: Option<Over> = None;
        for (bucket, applied) in &buckets {
            let terms = Terms::of(&applied.limit);
            let level = bucket.level();
            if let Err(wait) = level.admits(&terms, now) {
                // The longest wait, so that who waits it is not refused by the next limit.
                if over.as_ref().is_none_or(|before| wait > before.wait) {
                    over = Some(Over { limit: applied.to_string(), wait });
                }
            }
            held.push((level, terms));
        }
        if let Some(over) = over {
            return Err(over);
        }
        for (level, terms) in &mut held {
            level.enter(terms, now);
        }
        drop(held);
        self.changed.store(true, Ordering::Release);
        let meters = buckets.iter().flat_map(|(_, applied)| applied.reads.iter().cloned()).collect();
        let begun = |(bucket, applied): (Arc<Bucket>, &Applied)| Counter {
            bucket,
            terms: Terms::of(&applied.limit),
            tariff: applied.tariff.clone(),
        };
        let counted = buckets.into_iter().map(begun).collect();
        Ok(Taken { counted, meters, clock: self.clock.clone(), changed: Arc::clone(&self.changed) })
    }
}

/// The counter of a limit: its owner, what it counts, and in which time.
fn key(applied: &Applied) -> String {
    format!("{}|{}|{}", applied.scope, applied.limit.measure(), applied.limit.window().as_secs())
}

/// One bucket that an exchange counts towards.
struct Counter {
    bucket: Arc<Bucket>,
    terms: Terms,
    tariff: Option<Arc<Tariff>>,
}

/// An exchange that was counted; it stops running when this is dropped.
pub struct Taken {
    counted: Vec<Counter>,
    meters: Vec<Arc<Meter>>,
    clock: Clock,
    changed: Arc<AtomicBool>,
}

impl std::fmt::Debug for Taken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Taken").field("counted", &self.counted.len()).finish_non_exhaustive()
    }
}

impl Taken {
    /// The meters that its answer is read for; one that several limits count may be there several times.
    pub fn meters(&self) -> &[Arc<Meter>] {
        &self.meters
    }

    /// What the answer says was used, which may be more than is left, and what it costs; in words, for the record. An
    /// answer that is an error and says nothing was for nothing.
    pub fn used(&self, usage: &Usage, is_error: bool) -> Vec<String> {
        let now = self.clock.boot();
        let is_stated = usage.amounts.iter().any(|(_, amount)| amount.is_some());
        let costs = is_stated || !is_error;
        let mut costly: Vec<(&Arc<Tariff>, String)> = Vec::new();
        let mut counted_alone: Vec<&Meter> = Vec::new();
        for Counter { bucket, terms, tariff } in &self.counted {
            if let (Some(tariff), true) = (tariff, costs) {
                let cost = tariff.cost(usage);
                bucket.level().charge(terms, cost.money.micros(), now);
                if !costly.iter().any(|(other, _)| Arc::ptr_eq(other, tariff)) {
                    costly.push((tariff, format!("money {}", cost.words)));
                }
            }
            let Measure::Meter(name) = terms.measure() else { continue };
            let Some((meter, amount)) = usage.amounts.iter().find(|(meter, _)| *meter.name() == **name) else {
                continue;
            };
            bucket.level().charge(terms, amount.unwrap_or(0), now);
            counted_alone.push(meter);
        }
        self.changed.store(true, Ordering::Release);
        let is_told = |meter: &Meter| counted_alone.contains(&meter);
        let told =
            usage.amounts.iter().filter(|(meter, _)| is_told(meter)).filter_map(|(meter, amount)| match amount {
                Some(amount) => Some(format!("{} {amount}", meter.name())),
                None => costs.then(|| format!("{}: usage unknown", meter.name())),
            });
        told.chain(costly.into_iter().map(|(_, words)| words)).collect()
    }

    /// The exchange is over, and this many bytes of bodies have passed.
    pub fn end(self, bytes: u64) {
        let now = self.clock.boot();
        for Counter { bucket, terms, .. } in &self.counted {
            if *terms.measure() == Measure::Bytes {
                bucket.level().charge(terms, bytes, now);
            }
        }
        self.changed.store(true, Ordering::Release);
    }

    /// The service itself said that it is too much: nothing more passes for this long, at most ten minutes, under the
    /// limits on the number of requests.
    pub fn slow_down(&self, wait: Duration) {
        let now = self.clock.boot();
        for Counter { bucket, terms, .. } in &self.counted {
            if *terms.measure() == Measure::Requests {
                bucket.level().hold(terms, wait.min(SLOWED), now);
            }
        }
        self.changed.store(true, Ordering::Release);
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        for Counter { bucket, terms, .. } in &self.counted {
            bucket.level().leave(terms);
        }
    }
}

#[cfg(test)]
mod tests;
