//! The signal that ends a live exchange, and why: one switch, many watches.
//!
//! Invariant: a switch is thrown once; the first reason stays, and every watch made before or after sees it.

use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

/// Why an exchange was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CutReason {
    /// The daemon is stopping.
    Drained,
    /// The lease's time ran out.
    Expired,
    /// The kill switch was tripped.
    Killed,
    /// A person or a program revoked the lease.
    Revoked,
    /// The session that the lease belongs to has ended.
    SessionEnded,
}

impl CutReason {
    /// The word for it in the audit log and in refusals.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Drained => "drained",
            Self::Expired => "expired",
            Self::Killed => "killed",
            Self::Revoked => "revoked",
            Self::SessionEnded => "session_ended",
        }
    }
}

#[derive(Debug, Default)]
struct Shared {
    reason: OnceLock<CutReason>,
    token: CancellationToken,
}

/// The owner's end: throws the switch.
#[derive(Clone, Debug, Default)]
pub struct CutSwitch(Arc<Shared>);

impl CutSwitch {
    /// A switch that has not been thrown.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cuts everything that watches; later calls change nothing.
    pub fn cut(&self, reason: CutReason) {
        let _ = self.0.reason.set(reason);
        self.0.token.cancel();
    }

    /// A watch on this switch.
    pub fn watch(&self) -> CutWatch {
        CutWatch(Arc::clone(&self.0))
    }
}

/// The exchange's end: waits for the switch. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CutWatch(Arc<Shared>);

impl CutWatch {
    /// The reason, once cut.
    pub fn reason(&self) -> Option<CutReason> {
        if self.0.token.is_cancelled() { self.0.reason.get().copied() } else { None }
    }

    /// Waits until cut. Safe to drop and call again.
    pub async fn wait(&self) -> CutReason {
        self.0.token.cancelled().await;
        self.0.reason.get().copied().unwrap_or(CutReason::Revoked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_reason_stays_and_late_watches_see_it() {
        let switch = CutSwitch::new();
        let early = switch.watch();
        assert_eq!(early.reason(), None);
        switch.cut(CutReason::Expired);
        switch.cut(CutReason::Killed);
        assert_eq!(early.wait().await, CutReason::Expired);
        assert_eq!(switch.watch().wait().await, CutReason::Expired);
    }
}
