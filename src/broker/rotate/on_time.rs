//! Rotation without anybody asking: schedules, ends of values and of leases, and what is left to do from before.

use std::{sync::Arc, time::Duration};

use super::{Broker, lock};
use crate::{
    base::SecretName,
    lease::Lease,
    rotation::{self, Trigger},
    store::OnLeaseExpiry,
};

impl Broker {
    /// Rotates what is due, for as long as it is polled. One task of the daemon runs it.
    pub async fn rotate_on_time(self: &Arc<Self>) {
        loop {
            self.save_all();
            self.settle_accepted();
            self.look_at_unproven();
            // Before the store is looked at: what lands in between is seen there.
            let busy = self.under_way();
            for (name, trigger) in self.due_rotations() {
                if !busy.contains(&name) {
                    drop(self.begin_rotation(&name, trigger)); // it is recorded when it ends
                }
            }
            tokio::select! {
                () = self.rotations.wake.notified() => {}
                // Wall clocks are set and machines sleep: look again once a second.
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        }
    }

    /// What is due by itself, and why.
    pub(super) fn due_rotations(&self) -> Vec<(SecretName, Trigger)> {
        let now = self.parts.clock.now();
        let mut wanted = lock(&self.rotations.wanted);
        let mut due = Vec::new();
        for record in self.parts.store.list() {
            let health = self.rotation_health(&record);
            let asked = wanted.get(&record.name).copied();
            let asked = asked.filter(|_| !rotation::rests(&record, &health, now));
            let Some(trigger) = asked.or_else(|| rotation::due(&record, &health, now)) else { continue };
            wanted.remove(&record.name);
            due.push((record.name.clone(), trigger));
        }
        due
    }

    /// A lease has ended: its secret is rotated if it is set so, as soon as it may be. That is owed from here on, so that
    /// the next daemon does it if this one cannot. A value that has come since is one that the lease never gave.
    pub(in crate::broker) fn rotate_after(&self, lease: &Lease) {
        let record = self.parts.store.get(&lease.secret);
        let record = record.filter(|record| record.plan.on_lease_expiry == OnLeaseExpiry::Rotate);
        let Some(record) = record.filter(|record| record.rotate_via.is_some()) else { return };
        if record.last_rotated.is_some_and(|last| last >= lease.deadline.wall()) {
            return;
        }
        // Under the lock, so that nobody sees the debt without its reason, or begins before it is noted.
        let mut wanted = lock(&self.rotations.wanted);
        wanted.insert(lease.secret.clone(), Trigger::LeaseExpiry);
        self.note_debt(&record);
        drop(wanted);
        self.rotations.wake.notify_one();
    }
}
