//! Proof that a live lease was presented.
//!
//! Invariant: only `authorize` makes one, after it has subscribed to the lease's cut and then looked at it.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::{base::CutWatch, lease::Lease};

/// A live lease, presented once, for one exchange.
pub struct Permit {
    lease: Arc<Lease>,
    watch: CutWatch,
    token: Zeroizing<Vec<u8>>,
}

impl Permit {
    pub(super) const fn new(lease: Arc<Lease>, watch: CutWatch, token: Zeroizing<Vec<u8>>) -> Self {
        Self { lease, watch, token }
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
