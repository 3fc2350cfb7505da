//! Requests that wait for a person: a bounded list, one answer for each, and what answers are remembered.
//!
//! Invariants: whoever takes an entry out of the list decides it, so that each is decided once; an answer is recorded
//! before it has an effect; what is not answered in time, or whose client or lease goes, is refused.

mod entry;
mod notice;
mod remembered;
mod waiting;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{oneshot, watch};

use super::{Broker, Error, Refusal};
use crate::{
    audit::{Action, Event, Outcome},
    base::{RefusalCode, hex, random},
    policy::Remember,
};

pub use entry::{Answer, Answerer, ApprovalError, Ask, Entry};
pub use notice::Notify;
use remembered::Remembered;
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
    remembered: Vec<Remembered>,
    ended: VecDeque<(String, &'static str)>,
    bell: notice::Bell,
    closed: bool,
}

struct Pending {
    entry: Arc<Entry>,
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
    fn take(&self, id: &str, how: &'static str) -> Option<Pending> {
        let mut state = self.lock();
        let at = state.waiting.iter().position(|pending| pending.entry.id == id)?;
        let pending = state.waiting.remove(at);
        state.ended.push_back((id.to_owned(), how));
        if state.ended.len() > ENDED {
            state.ended.pop_front();
        }
        drop(state);
        self.changed();
        Some(pending)
    }

    fn changed(&self) {
        self.version.send_modify(|version| *version += 1);
    }
}

impl Broker {
    /// Sets how requests wait; once, before the first.
    pub fn set_approvals(&self, settings: ApprovalSettings) {
        self.approvals.lock().settings = settings;
    }

    /// Puts a request before a person. It waits until [`Waiting::answer`] says; an answer that is remembered is given
    /// at once.
    pub fn hold(self: &Arc<Self>, ask: Ask) -> Result<Waiting, Refusal> {
        let (tell, told) = oneshot::channel();
        let now = self.parts.clock.now();
        let mut state = self.approvals.lock();
        if state.closed {
            return Err(Refusal::of_cut(crate::base::CutReason::Drained));
        }
        state.forget(&self.parts.clock);
        let within = ask.within(state.settings.within);
        let id = hex(&random::<4>());
        let entry = Arc::new(Entry { id, ask, asked_at: now, expires_at: now.plus(within) });
        if let Some(given) = state.recall(&entry.ask) {
            drop(state);
            let details = format!("`{given}` was remembered for the same");
            self.parts.audit.append(&event_of(&entry, Action::ApprovalAllowed).details(&details)).map_err(|error| {
                Refusal::new(RefusalCode::AuditUnavailable, format!("it cannot be recorded: {error}"), "secrets doctor")
            })?;
            let given = Given { id: given, is_allowed: true };
            return Ok(Waiting::answered(Arc::clone(self), entry, given));
        }
        let of_client = state.waiting.iter().filter(|pending| pending.entry.ask.client == entry.ask.client).count();
        if of_client >= PER_CLIENT || state.waiting.len() >= TOGETHER {
            let detail = "too many requests wait for approval already";
            return Err(Refusal::new(RefusalCode::NeedsApproval, detail, LIST));
        }
        // Recorded before anybody can see it, so that no answer stands before its question.
        let details = format!("{}, waits {} s, sha256 {}", entry.id, within.as_secs(), entry.ask.hash);
        if let Err(error) = self.parts.audit.append(&event_of(&entry, Action::ApprovalAsked).details(&details)) {
            let detail = format!("the request for approval cannot be recorded: {error}");
            return Err(Refusal::new(RefusalCode::AuditUnavailable, detail, "secrets doctor"));
        }
        state.waiting.push(Pending { entry: Arc::clone(&entry), tell });
        let notice = state.notice(&entry, &self.parts.clock);
        drop(state);
        let waiting = Waiting::new(Arc::clone(self), Arc::clone(&entry), told, within);
        self.approvals.changed();
        if let Some(notice) = notice {
            notice.give();
        }
        Ok(waiting)
    }

    /// What waits, oldest first, with a number that changes with the list.
    pub fn approvals(&self) -> (u64, Vec<Arc<Entry>>) {
        let version = *self.approvals.version.borrow();
        (version, self.approvals.lock().waiting.iter().map(|pending| Arc::clone(&pending.entry)).collect())
    }

    /// Waits until the list is another than the one of this number.
    pub async fn approvals_after(&self, version: u64) {
        let mut changes = self.approvals.version.subscribe();
        let _ = changes.wait_for(|now| *now != version).await; // the sender lives as long as we
    }

    /// One that waits.
    pub fn approval(&self, id: &str) -> Result<Arc<Entry>, ApprovalError> {
        let state = self.approvals.lock();
        let found = state.waiting.iter().find(|pending| pending.entry.id == id);
        found.map(|pending| Arc::clone(&pending.entry)).ok_or_else(|| state.missing(id))
    }

    /// Answers one that waits. Recorded before the request hears of it.
    pub fn answer_approval(&self, id: &str, answer: Answer, by: &Answerer) -> Result<Arc<Entry>, Error> {
        let entry = self.approval(id)?;
        if let Answer::Allow(remember) = answer {
            check(&entry, remember)?;
        }
        let how = if answer == Answer::Deny { "it was denied" } else { "it was allowed" };
        let Some(Pending { entry, tell }) = self.approvals.take(id, how) else {
            return Err(self.approvals.lock().missing(id).into());
        };
        let (action, outcome, words) = match answer {
            Answer::Allow(Remember::Never) => (Action::ApprovalAllowed, Outcome::Ok, "once".to_owned()),
            Answer::Allow(Remember::For(time)) => (Action::ApprovalAllowed, Outcome::Ok, format!("for {time}")),
            Answer::Allow(Remember::Session) => (Action::ApprovalAllowed, Outcome::Ok, "for the session".to_owned()),
            Answer::Deny => (Action::ApprovalDenied, Outcome::Refused, "denied".to_owned()),
        };
        let details = format!("{id}, {words}, {by}");
        let recorded = self.parts.audit.append(&event_of(&entry, action).outcome(outcome).details(&details));
        if let Err(error) = recorded {
            let _ = tell.send(Given { id: entry.id.clone(), is_allowed: false });
            return Err(ApprovalError::Audit(error).into());
        }
        if let Answer::Allow(remember) = answer {
            self.approvals.lock().remember(&entry, remember, &self.parts.clock);
        }
        let _ = tell.send(Given { id: entry.id.clone(), is_allowed: answer != Answer::Deny }); // it may have gone
        Ok(entry)
    }

    /// Nothing waits any more and nothing is remembered: the daemon stops.
    pub fn close_approvals(&self) {
        let mut state = self.approvals.lock();
        state.closed = true;
        state.remembered.clear();
        let gone: Vec<Pending> = state.waiting.drain(..).collect();
        let ended = gone.iter().map(|pending| (pending.entry.id.clone(), "the daemon is stopping"));
        state.ended.extend(ended.collect::<Vec<_>>());
        drop(state);
        drop(gone); // whoever waits hears of it
        self.approvals.changed();
    }

    /// Nothing is remembered any more.
    pub(super) fn forget_approvals(&self) {
        self.approvals.lock().remembered.clear();
    }
}

fn event_of(entry: &Entry, action: Action) -> Event<'_> {
    let ask = &entry.ask;
    let mut event = Event::new(action).request(ask.request).client(&ask.client).lease(ask.lease);
    if let Some(session) = ask.session {
        event = event.session(session);
    }
    if let Some((service, asking)) = ask.asks.first() {
        event = event.service(service).capability(&asking.capability);
    }
    event.method(&ask.method)
}

/// What shows the list.
const LIST: &str = "secrets approvals list";

fn check(entry: &Entry, remember: Remember) -> Result<(), ApprovalError> {
    let longest = entry.ask.longest();
    let refused = |longest: String, why| Err(ApprovalError::Remember { id: entry.id.clone(), longest, why });
    if remember == Remember::Session && entry.ask.session.is_none() {
        return refused("for a time only".to_owned(), "it came without a session");
    }
    if remember <= longest {
        return Ok(());
    }
    match longest {
        Remember::Never => refused("never".to_owned(), "its grant or its risk wants each request asked"),
        Remember::For(time) => refused(format!("for {time} at most"), "its grant says so"),
        Remember::Session => Ok(()),
    }
}

impl State {
    fn missing(&self, id: &str) -> ApprovalError {
        let shown: String = id.chars().take(40).flat_map(char::escape_default).collect();
        match self.ended.iter().find(|(ended, _)| ended == id) {
            Some((_, how)) => ApprovalError::Over { id: shown, how },
            None => ApprovalError::Unknown(shown),
        }
    }
}
