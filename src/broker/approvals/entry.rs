//! One request that waits for a person: what is shown of it, and what an answer to it may say.

use std::{path::PathBuf, time::Duration};

use crate::{
    base::{Authority, ClientId, LeaseId, RequestId, ServiceId, SessionId, TimeToLive, Timestamp},
    policy::{Asking, Remember},
};

/// What a request asks; everything in it was made harmless for terminals, and holds no credential and no lease token.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The request.
    pub request: RequestId,
    /// Who asks.
    pub client: ClientId,
    /// In which session.
    pub session: Option<SessionId>,
    /// Whether it is that session's own for certain: it shows a lease, or came by the session's proxy credentials. A port
    /// alone is anybody's.
    pub is_proven: bool,
    /// In which folder.
    pub project: Option<PathBuf>,
    /// With which lease; without one where the host itself is asked about, to which no credential goes.
    pub lease: Option<LeaseId>,
    /// Every capability that asks, with its service; empty where the host itself is asked about.
    pub asks: Vec<(ServiceId, Asking)>,
    /// The method.
    pub method: String,
    /// Scheme, host and port.
    pub origin: String,
    /// The same host and port.
    pub authority: Authority,
    /// Path and query.
    pub target: String,
    /// What the capabilities want shown of the body: pointer and value.
    pub shown: Vec<(String, String)>,
    /// How many bytes the body has.
    pub body_len: usize,
    /// The beginning of the body.
    pub preview: String,
    /// SHA-256 of head and body, in hex: what was shown is what is sent.
    pub hash: String,
}

impl Ask {
    /// The capabilities by name, for records and prompts.
    pub fn capabilities(&self) -> String {
        let names: Vec<&str> = self.asks.iter().map(|(_, asking)| &*asking.capability).collect();
        names.join(",")
    }

    /// Whether it is about a host that no grant names, and not about capabilities.
    pub const fn is_about_host(&self) -> bool {
        self.asks.is_empty()
    }

    /// Why a person is asked.
    pub(super) fn why(&self) -> String {
        if self.is_about_host() {
            return format!("no grant names `{}`, so a person is asked first", self.origin);
        }
        format!("capability `{}` asks a person first", self.capabilities())
    }

    /// The longest that an answer may be remembered: what every one of them permits. A host carries no credential.
    pub fn longest(&self) -> Remember {
        self.asks.iter().map(|(_, asking)| asking.longest()).min().unwrap_or(Remember::Session)
    }

    /// How many different people must allow it: as many as the one that wants the most of them.
    pub fn quorum(&self) -> usize {
        self.asks.iter().map(|(_, asking)| asking.quorum()).max().unwrap_or(1)
    }

    /// How long it waits; the shortest that a grant says, else what the settings say.
    pub(super) fn within(&self, usual: Duration) -> Duration {
        self.asks.iter().filter_map(|(_, asking)| asking.approve.within).map(TimeToLive::get).min().unwrap_or(usual)
    }
}

/// A request that waits.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its id: eight hexadecimal digits.
    pub id: String,
    /// What it asks.
    pub ask: Ask,
    /// Since when.
    pub asked_at: Timestamp,
    /// When waiting is over, and it is refused.
    pub expires_at: Timestamp,
    /// Who allows it so far; each is another OS user.
    pub allowed_by: Vec<Answerer>,
}

impl Entry {
    /// How many more people must allow it.
    pub fn missing(&self) -> usize {
        self.ask.quorum().saturating_sub(self.allowed_by.len())
    }

    /// How many of how many allow it: `1 of 2`.
    pub fn tally(&self) -> String {
        format!("{} of {}", self.allowed_by.len(), self.ask.quorum())
    }

    /// Who allows it, by name.
    pub fn names(&self) -> String {
        let names: Vec<String> = self.allowed_by.iter().map(Answerer::name).collect();
        names.join(" and ")
    }
}

/// Who answers, as the kernel names the process and as it names itself.
#[derive(Clone, Debug)]
pub struct Answerer {
    /// The user, by which people are told apart.
    pub uid: u32,
    /// What the system calls that user.
    pub user: Option<String>,
    /// The process.
    pub pid: Option<i32>,
    /// What it calls itself.
    pub client: Option<ClientId>,
}

impl Answerer {
    /// The user as people know it: `alice (uid 1000)`.
    pub fn name(&self) -> String {
        match &self.user {
            Some(user) => format!("{user} (uid {})", self.uid),
            None => format!("uid {}", self.uid),
        }
    }
}

impl std::fmt::Display for Answerer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "by {}", self.name())?;
        self.pid.map_or(Ok(()), |pid| write!(f, ", pid {pid}"))?;
        self.client.as_ref().map_or(Ok(()), |client| write!(f, ", as `{client}`"))
    }
}

/// What a person says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Yes, and for how long the same need not be asked again.
    Allow(Remember),
    /// No.
    Deny,
}

/// Why an answer was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ApprovalError {
    /// Nothing waits under this id, and nothing is known that did.
    #[error("no request waits for approval under the id `{0}`")]
    Unknown(String),
    /// It is a need.
    #[error(
        "`{0}` is a need and no request, so there is nothing to let pass: only your own policy files grant anything"
    )]
    Need(String),
    /// It does not wait any more.
    #[error("`{id}` does not wait any more: {how}")]
    Over {
        /// Its id.
        id: String,
        /// How it ended.
        how: String,
    },
    /// The same person allows it once more.
    #[error(
        "`{id}` was allowed by {who} already, and the same person counts once: {quorum} people must allow it, each as \
         another OS user"
    )]
    Twice {
        /// Its id.
        id: String,
        /// Who that is.
        who: String,
        /// How many people must allow it.
        quorum: usize,
    },
    /// Remembering would let more pass than the grant permits.
    #[error("an answer to `{id}` may be remembered {longest}; {why}")]
    Remember {
        /// Its id.
        id: String,
        /// For how long it may.
        longest: String,
        /// Why.
        why: &'static str,
    },
    /// The answer cannot be recorded, so it was not given; the request is refused.
    #[error("the answer cannot be recorded, so the request was refused: {0}")]
    Audit(#[from] crate::audit::Error),
}
