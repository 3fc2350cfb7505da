//! The use-cases: everything that happens with secrets, leases, sessions and policy, for every door.
//!
//! Floor 3. Invariants: audit before effect; a lease is looked at after its watch was taken; a credential exists only
//! for the holder of a [`Permit`].

mod approvals;
mod authorize;
mod bind;
mod credential;
mod error;
mod fit;
mod guesses;
mod health;
mod heartbeat;
mod kill;
mod leases;
mod limits;
mod manifest;
mod permit;
mod persist;
mod revoke;
mod rotate;
mod secrets;
mod sessions;

use std::{sync::Arc, time::Duration};

pub use approvals::{
    Answer, Answerer, ApprovalError, ApprovalSettings, Ask, Cure, Entry, Given, Need, NeedOf, NewNeed, Notified,
    Notify, Waiting,
};
pub use credential::{Credentials, SecretVersion};
pub use error::{Error, Fault, Refusal, RotationFault};
pub use health::{Severity, Warning, WarningKind};
pub use leases::{Asked, Revealed, TokenIssued};
pub use limits::{LimitInForce, Next, Over, Standing, Taken};
pub use permit::Permit;
pub use rotate::{Replaced, Rotation};
pub use secrets::{NewValue, Removed, Stored};
pub use sessions::{Around, Session, Tunnels};

use crate::{
    audit::{Action, AuditLog, Event},
    base::{Clock, CutReason, CutWatch, Home, Timestamp},
    killswitch::KillSwitch,
    lease::{LeaseBounds, LeaseTable},
    net::Errands,
    policy::{Applied, Live, PolicySet},
    store::Store,
};

/// What happens to a lease whose token was found out of place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnStray {
    /// The request is refused; the lease lives on.
    #[default]
    Refuse,
    /// The lease is revoked too.
    Revoke,
}

/// What a broker is made of.
pub struct Parts {
    /// The secrets.
    pub store: Store,
    /// The live leases.
    pub leases: LeaseTable,
    /// The record.
    pub audit: AuditLog,
    /// The rules.
    pub policy: Live,
    /// The time.
    pub clock: Clock,
    /// Bounds of lease times.
    pub bounds: LeaseBounds,
    /// What to do about stray tokens.
    pub on_stray: OnStray,
    /// The emergency stop.
    pub kill: KillSwitch,
    /// Where live leases are kept sealed, and what a wipe destroys.
    pub home: Home,
    /// The way of requests of our own.
    pub errands: Errands,
    /// How long a rotation hook may take.
    pub rotation_timeout: Duration,
}

/// The one holder of the parts; every door has an `Arc` of it.
pub struct Broker {
    parts: Parts,
    sessions: sessions::Sessions,
    main_tunnels: Tunnels,
    main_guesses: guesses::Guesses,
    echoes: credential::EchoCache,
    persisted: persist::Persister,
    secrets: std::sync::Mutex<()>,
    rotations: rotate::Rotations,
    limits: limits::Limiter,
    approvals: approvals::Approvals,
    started_at: Timestamp,
}

impl Broker {
    /// A broker over these parts.
    pub fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self {
            started_at: parts.clock.now(),
            limits: limits::Limiter::new(parts.clock.clone()),
            persisted: persist::Persister::new(parts.home.leases()),
            parts,
            secrets: std::sync::Mutex::default(),
            sessions: sessions::Sessions::default(),
            main_tunnels: Tunnels::default(),
            main_guesses: guesses::Guesses::default(),
            echoes: credential::EchoCache::default(),
            rotations: rotate::Rotations::default(),
            approvals: approvals::Approvals::default(),
        })
    }

    /// The rules in force now, for one request.
    pub fn policy(&self) -> Arc<PolicySet> {
        self.parts.policy.current()
    }

    /// The rules and their reloading.
    pub const fn live_policy(&self) -> &Live {
        &self.parts.policy
    }

    /// Counts a request towards these limits; the error says which is reached, and none has counted it.
    pub fn count(&self, limits: &[Applied]) -> Result<Taken, Over> {
        self.limits.take(limits)
    }

    /// The record.
    pub const fn audit(&self) -> &AuditLog {
        &self.parts.audit
    }

    /// The time.
    pub const fn clock(&self) -> &Clock {
        &self.parts.clock
    }

    /// The live leases.
    pub const fn leases(&self) -> &LeaseTable {
        &self.parts.leases
    }

    /// The secrets.
    pub const fn store(&self) -> &Store {
        &self.parts.store
    }

    /// When the daemon started.
    pub const fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// How many sessions live.
    pub fn session_count(&self) -> usize {
        self.sessions.all().len()
    }

    /// What ends whatever comes by a way in and carries no lease: of a session its own end, too, as connections that are
    /// open by then live on.
    pub fn ends_of_way(&self, session: Option<&Session>) -> Vec<CutWatch> {
        session
            .map_or_else(|| vec![self.main_tunnels.watch()], |session| vec![session.watch(), session.tunnels().watch()])
    }

    /// Ends leases on time, for as long as it is polled. One task of the daemon runs it. Its first look finds those that
    /// ran out while there was no daemon.
    pub async fn end_leases_on_time(&self) {
        loop {
            self.end_expired();
            let wait = self.parts.leases.until_next_end();
            tokio::select! {
                () = self.parts.leases.changed() => {}
                // Wall clocks are set and machines sleep: look again at least once a second.
                () = tokio::time::sleep(wait.unwrap_or(Duration::from_secs(1)).min(Duration::from_secs(1))) => {}
            }
        }
    }

    fn end_expired(&self) {
        let expired = self.parts.leases.sweep();
        self.cut_tunnels_of(&expired, CutReason::Expired);
        for lease in &expired {
            let mut event = Event::new(Action::LeaseExpire).lease(lease.id).secret(&lease.secret);
            event = event.client(&lease.client).reason(CutReason::Expired);
            self.parts.audit.append_lazily(&event);
            self.rotate_after(lease);
        }
        // After that, so that a daemon that ends in between reports and rotates rather twice than never.
        if let Some(kept) = expired.iter().find(|lease| lease.session.is_none())
            && let Err(error) = self.persist(kept)
        {
            tracing::error!(%error, "the end of leases cannot be saved; the next daemon will record it once more");
        }
    }
}
