//! The way in that a connection came by: the main listener, a session's own port, or a session's proxy credentials.

use std::{path::Path, sync::Arc};

use super::outcome::Notes;
use crate::{base::SessionId, broker::Session, policy::Narrow};

/// What a listener demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Nothing: the unguessable lease token is the right.
    Nothing,
    /// A session's proxy credentials.
    Credentials,
}

/// How a connection came in.
#[derive(Debug)]
pub(super) struct Entrance {
    session: Option<Arc<Session>>,
    demand: Demand,
}

impl Entrance {
    /// A session's own port.
    pub(super) fn of_session(session: Arc<Session>) -> Arc<Self> {
        Arc::new(Self { session: Some(session), demand: Demand::Nothing })
    }

    /// The main listener.
    pub(super) fn main(demand: Demand) -> Arc<Self> {
        Arc::new(Self { session: None, demand })
    }

    pub(super) const fn demand(&self) -> Demand {
        self.demand
    }

    pub(super) fn session(&self) -> Option<&Session> {
        self.session.as_deref()
    }

    pub(super) fn session_id(&self) -> Option<SessionId> {
        self.session().map(Session::id)
    }

    pub(super) fn project(&self) -> Option<&Path> {
        self.session().and_then(Session::project)
    }

    pub(super) fn narrow(&self) -> &[Narrow] {
        self.session().map_or(&[], Session::narrow)
    }

    /// Adds to the notes what the way in tells.
    pub(super) fn note(&self, notes: &mut Notes) {
        if let Some(session) = self.session() {
            notes.session = Some(session.id());
            notes.client = Some(session.client().clone());
        }
    }
}
