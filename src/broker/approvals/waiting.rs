//! The end of a request that waits: it hears the answer once, and a client that goes away takes its question along.

use std::{sync::Arc, time::Duration};

use tokio::{sync::oneshot, time::sleep};

use super::{Broker, Entry, KILLED, LIST, OVER, STOPPING, event_of};
use crate::{
    audit::{Action, Outcome},
    base::{Clock, CutReason, Deadline, RefusalCode},
    broker::Refusal,
};

/// An answer as the request hears it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The id of the question that it answers.
    pub id: String,
    pub(super) how: How,
}

/// What it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Allowed,
    Denied,
    /// It was allowed, and that could not be recorded.
    Unrecorded,
}

/// Until the time is over, by the timer or by the clock.
async fn over(within: Duration, ends: Option<Deadline>, clock: &Clock) {
    let by_clock = async {
        while ends.is_none_or(|ends| !ends.is_past(clock)) {
            sleep(LOOK).await;
        }
    };
    tokio::select! {
        () = sleep(within) => {}
        () = by_clock => {}
    }
}

/// A request that waits; dropping it takes the question back.
pub struct Waiting {
    broker: Arc<Broker>,
    entry: Arc<Entry>,
    told: Option<oneshot::Receiver<Given>>,
    within: Duration,
    ends: Option<Deadline>,
    given: Option<Given>,
}

/// How often it is looked whether the time is over by the clock: timers stand while a machine sleeps.
const LOOK: Duration = Duration::from_secs(1);

impl Waiting {
    pub(super) const fn new(
        broker: Arc<Broker>,
        entry: Arc<Entry>,
        told: oneshot::Receiver<Given>,
        (within, ends): (Duration, Deadline),
    ) -> Self {
        Self { broker, entry, told: Some(told), within, ends: Some(ends), given: None }
    }

    pub(super) const fn answered(broker: Arc<Broker>, entry: Arc<Entry>, given: Given) -> Self {
        Self { broker, entry, told: None, within: Duration::ZERO, ends: None, given: Some(given) }
    }

    /// Waits for a person, for as long as the grant lets it.
    pub async fn answer(&mut self) -> Result<Given, Refusal> {
        if let Some(given) = self.given.take() {
            return Ok(given);
        }
        let Some(told) = &mut self.told else { return Err(Refusal::of_cut(CutReason::Drained)) };
        let over = over(self.within, self.ends, self.broker.clock());
        let heard = tokio::select! {
            biased;
            heard = &mut *told => heard,
            () = over => match self.broker.approvals.take(&self.entry.id, OVER) {
                Some(pending) => return Err(self.expire(&pending.entry)),
                None => told.await, // somebody is answering right now
            },
        };
        let Ok(given) = heard else {
            let killed = self.broker.ready().err();
            self.withdraw(if killed.is_some() { KILLED } else { STOPPING });
            return Err(killed.unwrap_or_else(|| Refusal::of_cut(CutReason::Drained)));
        };
        self.told = None;
        match given.how {
            How::Allowed => Ok(given),
            How::Denied => {
                let detail = format!("a person denied the request (approval {})", given.id);
                Err(Refusal::new(RefusalCode::ApprovalDenied, detail, LIST))
            }
            How::Unrecorded => {
                let detail = format!("a person's answer cannot be recorded (approval {})", given.id);
                Err(Refusal::new(RefusalCode::AuditUnavailable, detail, "secrets doctor"))
            }
        }
    }

    /// Records that the time is over; says who has answered by then.
    fn expire(&mut self, entry: &Entry) -> Refusal {
        self.told = None;
        let who = if entry.allowed_by.is_empty() {
            "nobody answered".to_owned()
        } else {
            format!("{} people allowed it", entry.tally())
        };
        let details = format!("{}, {who} in time", entry.id);
        let event = event_of(entry, Action::ApprovalExpired);
        self.broker.parts.audit.append_lazily(&event.outcome(Outcome::Refused).details(&details));
        let detail = format!("{}, and {who} within {} s", entry.ask.why(), self.within.as_secs());
        Refusal::new(RefusalCode::NeedsApproval, detail, LIST)
    }

    /// Takes the question back.
    pub fn withdraw(&mut self, why: &'static str) {
        if self.told.take().is_none() {
            return;
        }
        self.broker.approvals.take(&self.entry.id, why);
        let details = format!("{}, {why}", self.entry.id);
        let event = event_of(&self.entry, Action::ApprovalWithdrawn);
        self.broker.parts.audit.append_lazily(&event.outcome(Outcome::Aborted).details(&details));
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.withdraw("its client went away");
    }
}
