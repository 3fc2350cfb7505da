//! Requests that wait for a person: a bounded list, one answer for each, and what answers are remembered; and needs, to
//! which nobody can answer anything.
//!
//! Invariants: whoever takes an entry out of the list decides it, so that each is decided once; an answer is recorded
//! before it has an effect; what is not answered in time, or whose client or lease goes, is refused. The record is never
//! written under the lock: a disk that hangs delays no kill.

mod answer;
mod entry;
mod need;
mod notice;
mod remembered;
mod waiting;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{oneshot, watch};

use super::{Broker, Refusal};
use crate::{
    audit::{Action, Event},
    base::{Deadline, RefusalCode, counted, hex, random},
    policy::Remember,
};

pub use entry::{Answer, Answerer, ApprovalError, Ask, Entry};
pub use need::{Cure, Need, NeedOf, NewNeed};
pub use notice::{Notified, Notify};
use remembered::Remembered;
use waiting::How;
pub use waiting::{Given, Waiting};

/// How many requests of one client wait at once.
const PER_CLIENT: usize = 8;
/// How many requests wait at once in all.
const TOGETHER: usize = 64;
/// How many of those that ended are remembered, to say how.
const ENDED: usize = 64;

/// `[approvals]` as the broker needs it.
#[derive(Clone, Debug)]
pub struct ApprovalSettings {
    /// How long a request waits unless its grant says otherwise. Default 2 min.
    pub within: Duration,
    /// Whether and how a person is told.
    pub notify: Notify,
}

impl Default for ApprovalSettings {
    fn default() -> Self {
        Self { within: Duration::from_mins(2), notify: Notify::Off }
    }
}

/// What waits now and what is remembered.
pub(super) struct Approvals {
    state: Mutex<State>,
    version: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    settings: ApprovalSettings,
    waiting: Vec<Pending>,
    needs: Vec<need::Kept>,
    remembered: Vec<Remembered>,
    /// How often everything was forgotten: an answer from before that is not remembered after it.
    era: u64,
    ended: VecDeque<(String, String)>,
    bell: notice::Bell,
    closed: bool,
}

struct Pending {
    entry: Arc<Entry>,
    /// The shortest that those who have allowed it want it remembered.
    remember: Remember,
    /// Whether the question is recorded; until then it takes a place, and nobody sees it.
    is_asked: bool,
    /// When waiting is over, also for a machine that sleeps meanwhile.
    ends: Deadline,
    tell: oneshot::Sender<Given>,
}

impl Default for Approvals {
    fn default() -> Self {
        Self { state: Mutex::default(), version: watch::channel(0).0 }
    }
}

impl Approvals {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an entry out of the list, which decides it.
    fn take(&self, id: &str, how: &str) -> Option<Pending> {
        let taken = self.lock().take(id, how);
        if taken.is_some() {
            self.changed();
        }
        taken
    }

    fn changed(&self) {
        self.version.send_modify(|version| *version += 1);
    }

    /// Takes everything out of the list and forgets every answer.
    fn clear(&self, how: &str, closes: bool) {
        let mut state = self.lock();
        state.closed |= closes;
        state.era += 1;
        state.remembered.clear();
        let gone: Vec<Pending> = state.waiting.drain(..).collect();
        for pending in &gone {
            state.note_end(&pending.entry.id, how);
        }
        drop(state);
        drop(gone); // whoever waits hears of it
        self.changed();
    }
}

impl Broker {
    /// Sets how requests wait; once, before the first.
    pub fn set_approvals(&self, settings: ApprovalSettings) {
        self.approvals.lock().settings = settings;
    }

    /// How a person is told that a request waits.
    pub fn notified(&self) -> Notified {
        let notify = self.approvals.lock().settings.notify.clone();
        notify.found()
    }

    /// Puts a request before a person. It waits until [`Waiting::answer`] says; an answer that is remembered is given
    /// at once.
    pub fn hold(self: &Arc<Self>, ask: Ask) -> Result<Waiting, Refusal> {
        self.ready()?;
        let (tell, told) = oneshot::channel();
        let now = self.parts.clock.now();
        let mut state = self.approvals.lock();
        if state.closed {
            return Err(Refusal::of_cut(crate::base::CutReason::Drained));
        }
        state.forget(&self.parts.clock);
        let within = ask.within(state.settings.within);
        let id = hex(&random::<4>());
        let entry = Arc::new(Entry { id, ask, asked_at: now, expires_at: now.plus(within), allowed_by: Vec::new() });
        if let Some(given) = state.recall(&entry.ask) {
            drop(state);
            let details = answer::same_words(&given);
            self.parts
                .audit
                .append(&event_of(&entry, Action::ApprovalAllowed).details(&details))
                .map_err(|error| unrecorded(&error))?;
            let given = Given { id: given, how: How::Allowed };
            return Ok(Waiting::answered(Arc::clone(self), entry, given));
        }
        state.room_for(&entry.ask)?;
        let entry_of_list = Arc::clone(&entry);
        let ends = self.parts.clock.deadline_from(now, within);
        state.waiting.push(Pending { entry: entry_of_list, remember: Remember::Session, is_asked: false, ends, tell });
        drop(state);
        // Recorded before anybody can see it, so that no answer stands before its question.
        let details = format!("{}, waits {} s, sha256 {}", entry.id, within.as_secs(), entry.ask.hash);
        if let Err(error) = self.parts.audit.append(&event_of(&entry, Action::ApprovalAsked).details(&details)) {
            self.approvals.take(&entry.id, "it could not be recorded");
            return Err(unrecorded(&error));
        }
        let mut state = self.approvals.lock();
        state.forget(&self.parts.clock);
        // The same may have been allowed while this was being recorded.
        let given = state.recall(&entry.ask);
        let same = given.and_then(|given| Some((state.take(&entry.id, &answer::same_words(&given))?, given)));
        let notice = if same.is_none() { state.show(&entry, &self.parts.clock) } else { None };
        drop(state);
        let waiting = Waiting::new(Arc::clone(self), Arc::clone(&entry), told, (within, ends));
        self.approvals.changed();
        match (same, notice) {
            (Some((pending, given)), _) => self.let_same_pass(pending, given),
            (None, Some(notice)) => notice.give(),
            (None, None) => {}
        }
        Ok(waiting)
    }

    /// What waits now, oldest first, and a number that changes with it.
    pub fn approvals(&self) -> (u64, Vec<Arc<Entry>>) {
        let version = *self.approvals.version.borrow(); // the list may be newer than its number, never older
        let state = self.approvals.lock();
        let asked = state.waiting.iter().filter(|pending| pending.is_asked);
        (version, asked.map(|pending| Arc::clone(&pending.entry)).collect())
    }

    /// Waits until the list is another than the one of this number.
    pub async fn approvals_after(&self, version: u64) {
        let mut changes = self.approvals.version.subscribe();
        let _ = changes.wait_for(|now| *now != version).await; // the sender lives as long as we
    }

    /// One that waits.
    pub fn approval(&self, id: &str) -> Result<Arc<Entry>, ApprovalError> {
        let mut state = self.approvals.lock();
        state.asked(id).map(|pending| Arc::clone(&pending.entry))
    }

    /// Nothing waits any more and nothing is remembered: the daemon stops.
    pub fn close_approvals(&self) {
        self.approvals.clear(STOPPING, true);
        self.end_needs(STOPPING, |_| true);
    }

    /// Nothing waits any more and nothing is remembered: the kill switch was tripped.
    pub(super) fn kill_approvals(&self) {
        self.approvals.clear(KILLED, false);
        self.end_needs(KILLED, |_| true);
    }
}

fn event_of(entry: &Entry, action: Action) -> Event<'_> {
    let ask = &entry.ask;
    let mut event = Event::new(action).request(ask.request).client(&ask.client).authority(&ask.authority);
    if let Some(lease) = ask.lease {
        event = event.lease(lease);
    }
    if let Some(session) = ask.session {
        event = event.session(session);
    }
    if let Some((service, asking)) = ask.asks.first() {
        event = event.service(service).capability(&asking.capability);
    }
    event.method(&ask.method)
}

fn unrecorded(error: &crate::audit::Error) -> Refusal {
    let detail = format!("the request for approval cannot be recorded: {error}");
    Refusal::new(RefusalCode::AuditUnavailable, detail, "secrets doctor")
}

/// What shows the list.
const LIST: &str = "secrets approvals list";
/// How requests end that nobody answers.
const OVER: &str = "its time was over";
/// How requests end that wait when the daemon stops.
const STOPPING: &str = "the daemon is stopping";
/// How requests end that wait when the kill switch is tripped.
const KILLED: &str = "the kill switch was tripped";

impl State {
    /// Refuses what would be one too many; other clients' places are not one client's to take.
    fn room_for(&self, ask: &Ask) -> Result<(), Refusal> {
        // A session's port is anybody's: questions about hosts must not take the places of those about capabilities.
        let is_like = |other: &Ask| other.client == ask.client && other.is_about_host() == ask.is_about_host();
        let of_client = self.waiting.iter().filter(|pending| is_like(&pending.entry.ask)).count();
        let detail = if of_client >= PER_CLIENT {
            format!("{} of `{}` wait for approval already", counted(of_client as u64, "request"), ask.client)
        } else if self.waiting.len() >= TOGETHER {
            format!("{} wait for approval already", counted(self.waiting.len() as u64, "request"))
        } else {
            return Ok(());
        };
        let detail = format!("{detail}, which is as many as may; answer those first");
        Err(Refusal::new(RefusalCode::NeedsApproval, detail, LIST))
    }

    /// Lets people see a question that is recorded; gives the notice of it, unless it has ended by now.
    fn show(&mut self, entry: &Entry, clock: &crate::base::Clock) -> Option<notice::Notice> {
        let pending = self.waiting.iter_mut().find(|pending| pending.entry.id == entry.id)?;
        pending.is_asked = true;
        let wants = match entry.ask.asks.first() {
            Some((service, _)) => format!("wants to use {service}"),
            None => "wants to reach a host that no grant names".to_owned(),
        };
        self.notice(&entry.ask.client, &wants, &entry.id, clock)
    }

    /// One that people see.
    fn asked(&mut self, id: &str) -> Result<&mut Pending, ApprovalError> {
        let missing = self.missing(id);
        self.waiting.iter_mut().find(|pending| pending.is_asked && pending.entry.id == id).ok_or(missing)
    }

    fn take(&mut self, id: &str, how: &str) -> Option<Pending> {
        let at = self.waiting.iter().position(|pending| pending.entry.id == id)?;
        let pending = self.waiting.remove(at);
        self.note_end(id, how);
        Some(pending)
    }

    /// Says better how one ended that was taken out of the list.
    fn ended_otherwise(&mut self, id: &str, how: &str) {
        if let Some((_, known)) = self.ended.iter_mut().find(|(ended, _)| ended == id) {
            how.clone_into(known);
        }
    }

    fn note_end(&mut self, id: &str, how: &str) {
        self.ended.push_back((id.to_owned(), how.to_owned()));
        if self.ended.len() > ENDED {
            self.ended.pop_front();
        }
    }

    fn missing(&self, id: &str) -> ApprovalError {
        let shown: String = id.chars().take(40).flat_map(char::escape_default).collect();
        match self.ended.iter().find(|(ended, _)| ended == id) {
            None if self.is_need(id) => ApprovalError::Need(shown),
            Some((_, how)) => ApprovalError::Over { id: shown, how: how.clone() },
            None => ApprovalError::Unknown(shown),
        }
    }
}
