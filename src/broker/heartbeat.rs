//! Beating: ask, count, record, and trip the switch when there were too many misses in a row.

use std::sync::Arc;

use http::HeaderValue;
use zeroize::Zeroizing;

use super::Broker;
use crate::{
    audit::{Action, Event, Outcome},
    killswitch::{Heart, Miss, Record, Step, Tripper, Verdict},
};

impl Broker {
    /// Beats for as long as it is polled; returns when a failure has wiped the store. One task of the daemon runs it.
    pub async fn keep_heartbeat(self: &Arc<Self>, heart: &Heart) {
        let mut switch = self.kill_switch().watch();
        if self.kill_switch().trip().is_some_and(|trip| trip.by == Tripper::Heartbeat) {
            heart.disarm(); // it fired before the restart
        }
        loop {
            let beat = self.beat(heart).await;
            if self.note_beat(heart, &beat).await == After::Wiped {
                return;
            }
            tokio::select! {
                () = heart.pause() => {}
                changed = switch.changed() => {
                    if changed.is_ok() && !self.kill_switch().is_tripped() {
                        heart.rearm();
                    }
                }
            }
        }
    }

    /// One beat now, which counts for nothing.
    pub async fn beat(&self, heart: &Heart) -> Result<(), Miss> {
        heart.beat(self.bearer(heart)).await
    }

    async fn note_beat(self: &Arc<Self>, heart: &Heart, beat: &Result<(), Miss>) -> After {
        match (heart.note(beat), beat) {
            (Verdict::Recovered(misses), _) => {
                let details = format!("after {misses} {}", if misses == 1 { "miss" } else { "misses" });
                self.audit().append_lazily(&Event::new(Action::HeartbeatRecovered).details(&details));
            }
            (Verdict::Missed(Record::Yes), Err(miss)) => {
                self.record_miss(&format!("miss {} of {}", heart.pulse().misses, heart.threshold()), miss);
            }
            (Verdict::Forgiven(Record::Yes), Err(miss)) => self.record_miss("in its grace", miss),
            (Verdict::Failed, Err(miss)) => {
                self.record_miss(&format!("miss {0} of {0}", heart.threshold()), miss);
                return self.fail(heart).await;
            }
            _ => {}
        }
        After::Beating
    }

    async fn fail(self: &Arc<Self>, heart: &Heart) -> After {
        let Some(plan) = heart.plan() else { return After::Beating };
        let reason = format!("{} heartbeats in a row were missed", heart.threshold());
        let report = self.kill(plan, Tripper::Heartbeat, &reason).await;
        tracing::error!(trip = %report.trip, "the heartbeat tripped the kill switch");
        if report.tried(Step::WipeStore) { After::Wiped } else { After::Beating }
    }

    fn record_miss(&self, details: &str, miss: &Miss) {
        let why = miss.to_string();
        let event = Event::new(Action::HeartbeatFail).outcome(Outcome::Failed).details(details).error(&why);
        self.audit().append_lazily(&event);
    }

    fn bearer(&self, heart: &Heart) -> Option<HeaderValue> {
        let record = self.store().get(heart.bearer()?)?;
        let mut text = Zeroizing::new(b"Bearer ".to_vec());
        text.extend_from_slice(record.value.expose().trim_ascii_end());
        let mut value = HeaderValue::from_bytes(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// What a beat leaves to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Beating,
    Wiped,
}
