//! Outbound connections: guarded addresses, verified TLS, pooled HTTP. Nothing inbound.
//!
//! Floor 1: imports `base`.

mod dial;
mod error;
mod guard;
mod pool;
mod relay;
mod tls;

pub use dial::{Dialer, OwnAddresses};
pub use error::Error;
pub use guard::{AddressGuard, Denied, Network, NetworkError};
pub use pool::{Checkout, Pool, PoolSettings, Seat, Sender, Unsent};
pub use relay::{Passed, RelayEnd, relay};
pub use tls::{Offer, TlsClient, VerifiedUpstream};
