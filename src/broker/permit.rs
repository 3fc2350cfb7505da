//! Proof that a live lease was presented.
//!
//! Invariant: only `authorize` makes one, after it has subscribed to the lease's cut and then looked at it.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::{base::CutWatch, lease::Lease, policy::Narrow};

/// A live lease, presented once, for one exchange.
pub struct Permit {
    lease: Arc<Lease>,
    watch: CutWatch,
    token: Zeroizing<Vec<u8>>,
    narrow: Vec<Narrow>,
}

impl Permit {
    pub(super) const fn new(lease: Arc<Lease>, watch: CutWatch, token: Zeroizing<Vec<u8>>) -> Self {
        Self { lease, watch, token, narrow: Vec::new() }
    }

    /// The same with what the lease itself takes away.
    pub(super) fn narrowed(mut self, own: Option<Narrow>) -> Self {
        self.narrow.extend(own);
        self
    }

    /// The same by a way in that takes this away, too.
    #[must_use]
    pub fn within(mut self, way_in: &[Narrow]) -> Self {
        if !self.narrow.is_empty() {
            self.narrow.extend_from_slice(way_in);
        }
        self
    }

    /// What the lease takes away, and with it what its way in does; empty where the lease takes away nothing of its own,
    /// so that the way in's holds alone.
    pub fn narrow(&self) -> &[Narrow] {
        &self.narrow
    }

    /// The lease.
    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    /// The watch that cuts the exchange.
    pub const fn watch(&self) -> &CutWatch {
        &self.watch
    }

    /// The token that the client presented: what an echo of the credential is replaced by.
    pub fn token(&self) -> &[u8] {
        &self.token
    }
}
