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
    /// The session's proxy credentials were presented: a port alone is anybody's.
    proven: bool,
}

impl Entrance {
    /// A session's own port.
    pub(super) fn of_session(session: Arc<Session>) -> Arc<Self> {
        Arc::new(Self { session: Some(session), demand: Demand::Nothing, proven: false })
    }

    /// A session's proxy credentials, at whatever port.
    pub(super) fn proven(session: Arc<Session>) -> Arc<Self> {
        Arc::new(Self { session: Some(session), demand: Demand::Nothing, proven: true })
    }

    /// The main listener.
    pub(super) fn main(demand: Demand) -> Arc<Self> {
        Arc::new(Self { session: None, demand, proven: false })
    }

    /// The session whose proxy credentials this request or its tunnel came with.
    pub(super) fn proven_session(&self) -> Option<&Session> {
        self.session().filter(|_| self.proven)
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
