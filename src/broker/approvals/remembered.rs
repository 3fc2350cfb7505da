//! Answers that hold for more than one request, and never for anything wider than what was asked about.

use super::{Ask, Entry, State};
use crate::{
    base::{ClientId, Clock, Deadline, ServiceId, SessionId},
    policy::{Asking, Remember},
};

/// How many are kept; the oldest goes first, and is asked again.
const MOST: usize = 256;

/// One capability with the parameters that were shown, for one client in one session.
pub(super) struct Remembered {
    client: ClientId,
    session: Option<SessionId>,
    service: ServiceId,
    capability: Box<str>,
    params: Vec<(Box<str>, Box<str>)>,
    /// The answer that it comes from.
    id: String,
    until: Option<Deadline>,
}

impl Remembered {
    fn is_for(&self, ask: &Ask, service: &ServiceId, asking: &Asking) -> bool {
        self.client == ask.client
            && self.session == ask.session
            && self.service == *service
            && *self.capability == *asking.capability
            && self.params == asking.params
    }
}

impl State {
    /// The answer that holds for everything that is asked, if there is one.
    pub(super) fn recall(&self, ask: &Ask) -> Option<String> {
        let mut found = ask.asks.iter().map(|(service, asking)| {
            let may = asking.longest() > Remember::Never; // as the grant says now
            self.remembered.iter().find(|one| may && one.is_for(ask, service, asking)).map(|one| one.id.clone())
        });
        let first = found.next()??;
        found.all(|one| one.is_some()).then_some(first)
    }

    pub(super) fn remember(&mut self, entry: &Entry, remember: Remember, clock: &Clock) {
        let until = match remember {
            Remember::Never => return,
            Remember::For(time) => Some(clock.deadline(time.get())),
            Remember::Session => None,
        };
        for (service, asking) in &entry.ask.asks {
            if self.remembered.len() >= MOST {
                self.remembered.remove(0);
            }
            self.remembered.push(Remembered {
                client: entry.ask.client.clone(),
                session: entry.ask.session,
                service: service.clone(),
                capability: (*asking.capability).into(),
                params: asking.params.clone(),
                id: entry.id.clone(),
                until,
            });
        }
    }

    /// Drops what is over.
    pub(super) fn forget(&mut self, clock: &Clock) {
        self.remembered.retain(|one| one.until.is_none_or(|until| !until.is_past(clock)));
    }
}
