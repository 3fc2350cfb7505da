//! A heartbeat at work: what it asks, how often, and how it has been.
//!
//! With `public_key`, an answer counts only when its field `x-heartbeat-signature` holds, in base64, the key's Ed25519
//! signature of these three lines, each ended by a newline: `leasehold heartbeat 1`, the value of the request's field
//! `x-heartbeat-nonce` (and of `nonce` in the JSON body of a POST), and the address as the settings have it. The nonce is
//! fresh for each beat, so that neither a captive portal nor a recorded answer is a heartbeat.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::HeaderValue;

use super::{
    Miss, Pulse, Verdict, probe,
    section::{Heartbeat, HeartbeatMethod},
};
use crate::{
    base::{Clock, SecretName, random},
    killswitch::Plan,
    net::Errands,
};

/// One heartbeat, for the task that beats and for whoever asks how it is.
pub struct Heart {
    beat: Heartbeat,
    errands: Errands,
    clock: Clock,
    pulse: Mutex<Pulse>,
}

impl Heart {
    /// A heart that has not beaten yet.
    pub fn new(beat: Heartbeat, errands: Errands, clock: Clock) -> Self {
        let pulse = Mutex::new(Pulse::new(beat.misses, beat.grace, &clock));
        Self { beat, errands, clock, pulse }
    }

    /// One beat now; counts for nothing.
    pub async fn beat(&self, bearer: Option<HeaderValue>) -> Result<(), Miss> {
        probe::beat(&self.beat, &self.errands, bearer).await
    }

    /// Counts a beat.
    pub fn note(&self, beat: &Result<(), Miss>) -> Verdict {
        self.lock().note(beat.as_ref().map_err(ToString::to_string).copied(), &self.clock)
    }

    /// Waits for the next beat.
    pub async fn pause(&self) {
        let jitter = self.beat.jitter.mul_f64(f64::from(u32::from_le_bytes(random())) / f64::from(u32::MAX));
        tokio::time::sleep(self.beat.interval.saturating_add(jitter)).await;
    }

    /// Begins anew, as after a reset of the switch.
    pub fn rearm(&self) {
        self.lock().rearm(&self.clock);
    }

    /// Does not fire until it is armed again.
    pub fn disarm(&self) {
        self.lock().is_armed = false;
    }

    /// How it has been.
    pub fn pulse(&self) -> Pulse {
        self.lock().clone()
    }

    /// What a failure does; `None` when it is only recorded.
    pub const fn plan(&self) -> Option<Plan> {
        self.beat.plan
    }

    /// The secret for the bearer field.
    pub const fn bearer(&self) -> Option<&SecretName> {
        self.beat.bearer.as_ref()
    }

    /// The address, without its query.
    pub fn url(&self) -> String {
        self.beat.target.to_string()
    }

    /// How it asks.
    pub const fn method(&self) -> HeartbeatMethod {
        self.beat.method
    }

    /// From one beat to the next, without jitter.
    pub const fn interval(&self) -> Duration {
        self.beat.interval
    }

    /// How many misses in a row fail.
    pub const fn threshold(&self) -> u32 {
        self.beat.misses
    }

    /// Whether an answer has to be signed.
    pub const fn is_signed(&self) -> bool {
        self.beat.key.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Pulse> {
        self.pulse.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
