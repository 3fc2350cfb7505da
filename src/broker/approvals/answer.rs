//! Answers of people: one that denies is enough, and as many different people must allow as the grants say.
//!
//! Invariant: people are told apart by their OS user alone, which the kernel states; what a caller calls itself is only
//! recorded.

use std::sync::Arc;

use super::{Answer, Answerer, ApprovalError, Broker, Entry, Given, OVER, Pending, State, event_of, waiting::How};
use crate::{
    audit::{Action, Outcome},
    base::Clock,
    broker::Error,
    policy::Remember,
};

/// How a request ends that people let pass when that cannot be recorded: it does not.
const UNRECORDED: &str = "an answer to it could not be recorded";

/// What one more person's yes makes of a request.
enum Allowed {
    /// More people must allow it.
    Counted(Arc<Entry>),
    /// It passes; with how often everything had been forgotten by then.
    Enough(Box<Pending>, u64),
}

impl Broker {
    /// Answers one that waits; what comes back says who allows it by now, and it passes once [`Entry::missing`] is zero.
    /// Recorded before the request hears of it.
    pub fn answer_approval(&self, id: &str, answer: Answer, by: &Answerer) -> Result<Arc<Entry>, Error> {
        match answer {
            Answer::Deny => self.deny(id, by),
            Answer::Allow(remember) => self.allow(id, remember, by),
        }
    }

    fn deny(&self, id: &str, by: &Answerer) -> Result<Arc<Entry>, Error> {
        self.approval(id)?;
        let how = format!("it was denied by {}", by.name());
        let Some(Pending { entry, tell, .. }) = self.approvals.take(id, &how) else {
            return Err(self.approvals.lock().missing(id).into());
        };
        let details = format!("{id}, denied, {by}");
        let event = event_of(&entry, Action::ApprovalDenied).outcome(Outcome::Refused).details(&details);
        let recorded = self.parts.audit.append(&event);
        let _ = tell.send(Given { id: entry.id.clone(), how: How::Denied }); // it may have gone
        recorded.map_err(ApprovalError::Audit)?;
        Ok(entry)
    }

    fn allow(&self, id: &str, remember: Remember, by: &Answerer) -> Result<Arc<Entry>, Error> {
        let allowed = self.approvals.lock().allow(id, remember, by, &self.parts.clock)?;
        self.approvals.changed();
        match allowed {
            Allowed::Counted(entry) => self.count_yes(entry, remember, by),
            Allowed::Enough(pending, era) => self.let_pass(*pending, era),
        }
    }

    /// Records a yes that is not enough yet. One that cannot be recorded ends the question.
    fn count_yes(&self, entry: Arc<Entry>, remember: Remember, by: &Answerer) -> Result<Arc<Entry>, Error> {
        let details = format!("{}, {}, {}, {by}", entry.id, entry.tally(), words(remember));
        let event = event_of(&entry, Action::ApprovalCounted).details(&details);
        if let Err(error) = self.parts.audit.append(&event) {
            if let Some(pending) = self.approvals.take(&entry.id, UNRECORDED) {
                let _ = pending.tell.send(Given { id: entry.id.clone(), how: How::Unrecorded });
            }
            return Err(ApprovalError::Audit(error).into());
        }
        Ok(entry)
    }

    fn let_pass(&self, pending: Pending, era: u64) -> Result<Arc<Entry>, Error> {
        let Pending { entry, remember, tell, .. } = pending;
        let all: Vec<String> = entry.allowed_by.iter().map(ToString::to_string).collect();
        let tally = if entry.ask.quorum() > 1 { format!("{}, ", entry.tally()) } else { String::new() };
        let details = format!("{}, {tally}{}, {}", entry.id, words(remember), all.join("; "));
        if let Err(error) = self.parts.audit.append(&event_of(&entry, Action::ApprovalAllowed).details(&details)) {
            self.approvals.lock().ended_otherwise(&entry.id, UNRECORDED);
            let _ = tell.send(Given { id: entry.id.clone(), how: How::Unrecorded });
            return Err(ApprovalError::Audit(error).into());
        }
        let mut state = self.approvals.lock();
        let mut same = Vec::new();
        if state.era == era && remember > Remember::Never {
            state.remember(&entry, remember, &self.parts.clock);
            same = state.same(&self.parts.clock);
        }
        drop(state);
        let _ = tell.send(Given { id: entry.id.clone(), how: How::Allowed }); // it may have gone
        for (pending, given) in same {
            self.let_same_pass(pending, given);
        }
        Ok(entry)
    }

    /// Lets pass what waited when the same was allowed for longer than once.
    pub(super) fn let_same_pass(&self, pending: Pending, given: String) {
        let details = same_words(&given);
        let event = event_of(&pending.entry, Action::ApprovalAllowed).details(&details);
        let recorded = self.parts.audit.append(&event);
        let how = recorded.map_or(How::Unrecorded, |()| How::Allowed);
        let _ = pending.tell.send(Given { id: given, how }); // it may have gone
        self.approvals.changed();
    }
}

/// Why something passes that nobody answered by itself.
pub(super) fn same_words(given: &str) -> String {
    format!("`{given}` was remembered for the same")
}

impl State {
    /// Takes out what waits and is answered by what is remembered, with the answer's id.
    fn same(&mut self, clock: &Clock) -> Vec<(Pending, String)> {
        let asked = self.waiting.iter().filter(|pending| pending.is_asked && !pending.ends.is_past(clock));
        let same = asked.filter_map(|pending| Some((pending.entry.id.clone(), self.recall(&pending.entry.ask)?)));
        let same: Vec<(String, String)> = same.collect();
        same.into_iter().filter_map(|(id, given)| Some((self.take(&id, &same_words(&given))?, given))).collect()
    }

    /// Counts a person's yes. Whoever brings the last one that is needed takes the entry out of the list.
    fn allow(&mut self, id: &str, remember: Remember, by: &Answerer, clock: &Clock) -> Result<Allowed, ApprovalError> {
        let pending = self.asked(id)?;
        if pending.ends.is_past(clock) {
            let id = pending.entry.id.clone();
            return Err(ApprovalError::Over { id, how: OVER.to_owned() }); // whoever waits is about to notice
        }
        check(&pending.entry, remember)?;
        if let Some(before) = pending.entry.allowed_by.iter().find(|before| before.uid == by.uid) {
            let (id, who, quorum) = (pending.entry.id.clone(), before.name(), pending.entry.ask.quorum());
            return Err(ApprovalError::Twice { id, who, quorum });
        }
        let entry = Arc::make_mut(&mut pending.entry);
        entry.allowed_by.push(by.clone());
        let (missing, names) = (entry.missing(), entry.names());
        pending.remember = pending.remember.min(remember);
        if missing > 0 {
            return Ok(Allowed::Counted(Arc::clone(&pending.entry)));
        }
        let pending = self.take(id, &format!("it was allowed by {names}"));
        let pending = pending.ok_or_else(|| self.missing(id))?; // it was there a moment ago
        Ok(Allowed::Enough(Box::new(pending), self.era))
    }
}

/// For how long an answer holds, in words.
fn words(remember: Remember) -> String {
    match remember {
        Remember::Never => "once".to_owned(),
        Remember::For(time) => format!("for {time}"),
        Remember::Session => "for the session".to_owned(),
    }
}

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
