//! One run per secret at a time: whoever asks while a hook runs gets what that run gives.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
};

use tokio::sync::{Semaphore, watch};
use tokio_util::task::TaskTracker;

use super::{Broker, Rotation, RotationFault, lock};
use crate::{
    base::{SecretName, Timestamp},
    rotation::Trigger,
};

/// The runs under way.
pub(super) struct Flights {
    under_way: Mutex<HashMap<SecretName, watch::Receiver<Option<Rotation>>>>,
    places: Semaphore,
    tasks: TaskTracker,
}

impl Flights {
    /// Hooks that run at once; more wait.
    const MOST: usize = 8;

    /// Runs what has an end of its own, because every hook has one. Owned by the tracker, which a stopping daemon waits
    /// for.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(work);
    }
}

impl Default for Flights {
    fn default() -> Self {
        Self { under_way: Mutex::default(), places: Semaphore::new(Self::MOST), tasks: TaskTracker::new() }
    }
}

/// A run to wait for, or to leave to itself.
pub(super) struct Flight {
    name: SecretName,
    begun: Timestamp,
    done: watch::Receiver<Option<Rotation>>,
}

impl Flight {
    /// How it went.
    pub(super) async fn landed(mut self) -> Rotation {
        let landed = self.done.wait_for(Option::is_some).await.ok().and_then(|rotation| rotation.clone());
        landed.unwrap_or_else(|| {
            let outcome = Err(RotationFault::Interrupted(self.name.clone()));
            Rotation { name: self.name.clone(), executed_at: self.begun, outcome }
        })
    }
}

/// Takes a run out of the list however it ends.
struct Landing {
    broker: Arc<Broker>,
    name: SecretName,
}

impl Landing {
    async fn fly(&self, trigger: Trigger) -> Rotation {
        let _place = self.broker.rotations.flights.places.acquire().await; // never closed
        let executed_at = self.broker.parts.clock.now();
        let outcome = self.broker.rotate_now(&self.name, trigger).await;
        Rotation { name: self.name.clone(), executed_at, outcome }
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        lock(&self.broker.rotations.flights.under_way).remove(&self.name);
    }
}

impl Broker {
    /// Begins a run, or joins the one that is under way.
    pub(super) fn begin_rotation(self: &Arc<Self>, name: &SecretName, trigger: Trigger) -> Flight {
        let begun = self.parts.clock.now();
        let mut under_way = lock(&self.rotations.flights.under_way);
        if let Some(done) = under_way.get(name) {
            return Flight { name: name.clone(), begun, done: done.clone() };
        }
        let (result, done) = watch::channel(None);
        under_way.insert(name.clone(), done.clone());
        drop(under_way);
        let landing = Landing { broker: Arc::clone(self), name: name.clone() };
        self.rotations.flights.spawn(async move {
            let rotation = landing.fly(trigger).await;
            drop(landing); // whoever asks from now on gets a run of its own
            result.send_replace(Some(rotation));
        });
        Flight { name: name.clone(), begun, done }
    }

    /// Tries a value once more that nothing was decided about.
    pub(super) fn begin_proof(self: &Arc<Self>, name: SecretName) {
        let broker = Arc::clone(self);
        self.rotations.flights.spawn(async move {
            if let Err(error) = broker.prove(&name, Trigger::Retry).await {
                tracing::warn!(secret = %name, %error, "a rotated value did not prove itself");
            }
        });
    }

    /// Whose runs are under way.
    pub(super) fn under_way(&self) -> HashSet<SecretName> {
        lock(&self.rotations.flights.under_way).keys().cloned().collect()
    }

    /// Whether a run is under way.
    pub(super) fn is_rotating(&self, name: &SecretName) -> bool {
        lock(&self.rotations.flights.under_way).contains_key(name)
    }

    /// Lets hooks that run come to their end and saves what is not saved; for a daemon that stops, which bounds it.
    pub async fn finish_rotations(&self) {
        let tasks = &self.rotations.flights.tasks;
        tasks.close();
        tasks.wait().await;
        self.save_all();
    }
}
