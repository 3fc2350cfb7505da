//! Leaves by host: bounded, the least recently used goes first, one mint per host at a time.
//!
//! Invariant: no lock is held while a leaf is made; whoever asks for the same host meanwhile waits for that leaf.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::OnceCell;

use crate::base::Host;

/// The place of one host's value; empty until the first who asked has made it.
pub(super) type Slot<V> = Arc<OnceCell<V>>;

pub(super) struct Cache<V> {
    capacity: usize,
    entries: RwLock<HashMap<Host, Entry<V>>>,
    uses: AtomicU64,
}

struct Entry<V> {
    slot: Slot<V>,
    last_use: AtomicU64,
}

impl<V> Cache<V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), entries: RwLock::default(), uses: AtomicU64::new(0) }
    }

    /// The host's slot. A new host gets one if it is admitted, and the least recently used host may go for it;
    /// one that is not admitted displaces nobody.
    pub(super) fn slot(&self, host: &Host, admit: impl FnOnce() -> bool) -> Option<Slot<V>> {
        let use_number = self.uses.fetch_add(1, Ordering::Relaxed);
        if let Some(entry) = self.entries.read().unwrap_or_else(PoisonError::into_inner).get(host) {
            entry.last_use.store(use_number, Ordering::Relaxed);
            return Some(Arc::clone(&entry.slot));
        }
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if !entries.contains_key(host) && !admit() {
            return None;
        }
        if !entries.contains_key(host) && entries.len() >= self.capacity {
            // A scan costs a microsecond per thousand hosts and happens beside a mint that costs sixty.
            let oldest = entries.iter().min_by_key(|(_, entry)| entry.last_use.load(Ordering::Relaxed));
            if let Some(oldest) = oldest.map(|(host, _)| host.clone()) {
                entries.remove(&oldest);
            }
        }
        let fresh = || Entry { slot: Slot::default(), last_use: AtomicU64::new(use_number) };
        Some(Arc::clone(&entries.entry(host.clone()).or_insert_with(fresh).slot))
    }

    /// Puts an empty slot where `stale` is; if somebody did so already, theirs. A host displaced meanwhile
    /// gets a slot of its own outside the cache.
    pub(super) fn replace(&self, host: &Host, stale: &Slot<V>) -> Slot<V> {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = entries.get_mut(host) else { return Slot::default() };
        if Arc::ptr_eq(&entry.slot, stale) {
            entry.slot = Slot::default();
        }
        Arc::clone(&entry.slot)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.read().unwrap().len()
    }
}

/// How fast new hosts may come: a bucket of permissions that refills steadily (attack 119).
pub(super) struct MintBudget {
    burst: u32,
    per_second: u32,
    level: Mutex<(f64, Duration)>,
}

impl MintBudget {
    pub(super) fn new(burst: u32, per_second: u32, now: Duration) -> Self {
        Self { burst, per_second, level: Mutex::new((f64::from(burst), now)) }
    }

    /// Takes one permission, if there is one, at this time of the monotonic clock.
    pub(super) fn take(&self, now: Duration) -> bool {
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, since) = *level;
        let refilled = left + now.saturating_sub(since).as_secs_f64() * f64::from(self.per_second);
        let left = refilled.min(f64::from(self.burst));
        let granted = left >= 1.0;
        *level = (if granted { left - 1.0 } else { left }, now.max(since));
        granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(number: usize) -> Host {
        format!("h{number}.example.com").parse().unwrap()
    }

    fn slot(cache: &Cache<u8>, number: usize) -> Slot<u8> {
        cache.slot(&host(number), || true).unwrap()
    }

    #[test]
    fn the_least_recently_used_host_goes() {
        let cache: Cache<u8> = Cache::new(3);
        let first = slot(&cache, 1);
        for number in [2, 3, 1, 4] {
            slot(&cache, number); // 2 is the oldest use when 4 comes
        }
        assert_eq!(cache.len(), 3);
        assert!(Arc::ptr_eq(&first, &slot(&cache, 1)));
        let third = slot(&cache, 3);
        let second = slot(&cache, 2); // comes anew; 4 goes
        assert!(Arc::ptr_eq(&third, &slot(&cache, 3)));
        assert!(Arc::ptr_eq(&second, &slot(&cache, 2)));
    }

    #[test]
    fn a_stale_slot_is_replaced_once() {
        let cache: Cache<u8> = Cache::new(3);
        let stale = slot(&cache, 1);
        let fresh = cache.replace(&host(1), &stale);
        assert!(!Arc::ptr_eq(&stale, &fresh));
        assert!(Arc::ptr_eq(&fresh, &cache.replace(&host(1), &stale)), "the second to notice gets the same new slot");
    }

    #[test]
    fn attack_119_new_hosts_come_no_faster_than_the_budget() {
        let budget = MintBudget::new(10, 2, Duration::ZERO);
        let granted = (0..1_000).filter(|_| budget.take(Duration::ZERO)).count();
        assert_eq!(granted, 10);
        assert!(budget.take(Duration::from_millis(500)));
        assert!(!budget.take(Duration::from_millis(500)));
        let later = Duration::from_hours(1);
        assert_eq!((0..1_000).filter(|_| budget.take(later)).count(), 10, "the bucket holds no more than its burst");

        let cache: Cache<u8> = Cache::new(1);
        let kept = slot(&cache, 1);
        assert!(cache.slot(&host(2), || false).is_none());
        assert!(Arc::ptr_eq(&kept, &cache.slot(&host(1), || false).unwrap()), "a known host needs no permission");
    }
}
