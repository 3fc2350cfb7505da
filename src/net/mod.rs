//! Outbound connections: guarded addresses, verified TLS, pooled HTTP. Nothing inbound.
//!
//! Floor 1: imports `base`.

mod dial;
mod errand;
mod error;
mod guard;
mod identity;
mod pool;
mod relay;
mod tls;
mod watched;

pub use dial::{Dialer, OwnAddresses};
pub use errand::Errands;
pub use error::Error;
pub use guard::{AddressGuard, Denied, Network, NetworkError};
pub use identity::{Identity, IdentityError};
pub use pool::{Again, Checkout, Pool, PoolSettings, Seat, Sender, Terms, Unsent};
pub use relay::{Passed, RelayEnd, relay};
pub use tls::{Offer, Roots, TlsClient, VerifiedUpstream};
