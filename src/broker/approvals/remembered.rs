//! Answers that hold for more than one request, and never for anything wider than what was asked about.

use super::{Approvals, Ask, Entry, State};
use crate::{
    base::{ClientId, Clock, Deadline, ServiceId, SessionId},
    policy::Remember,
};

/// How many are kept; the oldest goes first, and is asked again.
const MOST: usize = 256;

/// One capability of a service with the parameters that were shown.
type Shown = (ServiceId, Box<str>, Vec<(Box<str>, Box<str>)>);

/// Everything that one answer was about, for one client in one session.
pub(super) struct Remembered {
    client: ClientId,
    session: Option<SessionId>,
    /// Whether it was the session's own for certain.
    is_proven: bool,
    asked: Vec<Shown>,
    /// Where it was about a host: which.
    host: Option<String>,
    /// For how long those who answered wanted it.
    remember: Remember,
    /// How many they were.
    people: usize,
    /// The answer that it comes from.
    id: String,
    until: Option<Deadline>,
}

/// What is asked, in an order of its own.
fn asked(ask: &Ask) -> Vec<Shown> {
    let shown = ask.asks.iter().map(|(service, asking)| {
        let capability: Box<str> = (*asking.capability).into();
        (service.clone(), capability, asking.params.clone())
    });
    let mut asked: Vec<Shown> = shown.collect();
    asked.sort_unstable();
    asked
}

/// The host that is asked about.
fn host(ask: &Ask) -> Option<&str> {
    ask.is_about_host().then_some(&*ask.origin)
}

impl State {
    /// The answer that holds for exactly what is asked, if there is one, and if the grants as they are now let it.
    pub(super) fn recall(&self, ask: &Ask) -> Option<String> {
        let (longest, quorum, asked) = (ask.longest(), ask.quorum(), asked(ask));
        let mut remembered = self.remembered.iter();
        let found = remembered.find(|one| {
            let is_same = one.client == ask.client && one.session == ask.session && one.asked == asked;
            let is_same = is_same && one.host.as_deref() == host(ask) && one.is_proven <= ask.is_proven;
            is_same && one.remember <= longest && one.people >= quorum
        });
        found.map(|one| one.id.clone())
    }

    pub(super) fn remember(&mut self, entry: &Entry, remember: Remember, clock: &Clock) {
        let until = match remember {
            Remember::Never => return,
            Remember::For(time) => Some(clock.deadline(time.get())),
            Remember::Session => None,
        };
        if self.remembered.len() >= MOST {
            self.remembered.remove(0);
        }
        self.remembered.push(Remembered {
            client: entry.ask.client.clone(),
            session: entry.ask.session,
            is_proven: entry.ask.is_proven,
            asked: asked(&entry.ask),
            host: host(&entry.ask).map(str::to_owned),
            remember,
            people: entry.allowed_by.len(),
            id: entry.id.clone(),
            until,
        });
    }

    /// Drops what was answered for a session that has ended.
    fn forget_session(&mut self, id: SessionId) {
        self.remembered.retain(|one| one.session != Some(id));
    }

    /// Drops what is over.
    pub(super) fn forget(&mut self, clock: &Clock) {
        self.remembered.retain(|one| one.until.is_none_or(|until| !until.is_past(clock)));
    }
}

impl Approvals {
    /// Forgets what was answered for a session that has ended.
    pub(in crate::broker) fn forget_session(&self, id: SessionId) {
        self.lock().forget_session(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Authority, RequestId, Timestamp};

    /// A question about a host, in a session.
    fn entry(session: SessionId) -> Entry {
        let ask = Ask {
            request: RequestId::next(),
            client: "agent".parse().unwrap(),
            session: Some(session),
            is_proven: true,
            project: None,
            lease: None,
            asks: Vec::new(),
            method: "CONNECT".to_owned(),
            origin: "https://tunnel.test:443".to_owned(),
            authority: Authority::parse("tunnel.test:443", None).unwrap(),
            target: String::new(),
            shown: Vec::new(),
            body_len: 0,
            preview: String::new(),
            hash: String::new(),
        };
        let at = Timestamp::from_millis(0);
        Entry { id: "0000000a".to_owned(), ask, asked_at: at, expires_at: at, allowed_by: Vec::new() }
    }

    #[test]
    fn answers_for_a_session_take_no_room_after_it() {
        let (approvals, clock) = (Approvals::default(), Clock::manual(Timestamp::from_millis(0)));
        let (ends, stays) = (entry(SessionId::generate()), entry(SessionId::generate()));
        for entry in [&ends, &stays] {
            let mut forever = entry.clone();
            forever.allowed_by.push(super::super::Answerer { uid: 1, user: None, pid: None, client: None });
            approvals.lock().remember(&forever, Remember::Session, &clock);
        }
        approvals.forget_session(ends.ask.session.unwrap());
        let state = approvals.lock();
        assert_eq!((state.recall(&ends.ask), state.recall(&stays.ask).is_some()), (None, true));
        assert_eq!(state.remembered.len(), 1);
    }
}
