//! The data plane: a forward proxy that swaps lease tokens for credentials.
//!
//! Floor 4. The walk of one request, station by station:
//!
//! | # | station | file |
//! |--:|---|---|
//! | 1 | accept | `listener.rs`, `connection.rs` (heads that cannot be read: `broken.rs`, `wording.rs`) |
//! | 2 | CONNECT | `connect.rs` (clear text: `front.rs`) |
//! | 3 | TLS accept | `tls.rs` |
//! | 4 | parse | `request.rs`, with `hop.rs` and `stray.rs` |
//! | between | the way to a host that no grant names: open, closed, or a person is asked | `way.rs`, also for station 2 |
//! | 5, 6, 7 | authorise, decide, open the record | `admit.rs`, with `places.rs`, and `peek.rs` where rules look into bodies |
//! | between | limits, then a person where policy asks one, and policy once more | `count.rs`, `hold.rs` with `shown.rs`, `reconsider.rs` |
//! | 8, 9, 10 | credential, inject, forward; once more after a 401 | `forward.rs`, with `again.rs` |
//! | 11 | scrub | `scrub.rs`, with `decode.rs`, and `fields.rs` where fields are withheld |
//! | beside 11 | what the answer says was used, where a limit counts that | `gauge.rs`, `usage.rs` |
//! | 12 | close the record | `outcome.rs` |
//!
//! Questions to the proxy itself are answered by `discover.rs`, and what an agent says that it needs is taken by `need.rs`.
//!
//! `exchange.rs` calls stations 4 to 12 in this order; each consumes what the one before gave.

mod admit;
mod again;
mod answer;
mod broken;
mod connect;
mod connection;
mod count;
mod decode;
mod discover;
mod entrance;
mod error;
mod exchange;
mod fields;
mod flow;
mod forward;
mod front;
mod gauge;
mod guard;
mod hold;
mod hop;
mod letter;
mod limits;
mod listener;
mod need;
mod outcome;
mod passthrough;
mod peek;
mod places;
mod reconsider;
mod reject;
mod request;
mod scrub;
mod shared;
mod shown;
mod sieve;
mod stray;
#[cfg(test)]
mod tests;
mod tls;
mod tongue;
mod turns;
mod upgrade;
mod upload;
mod usage;
mod way;
mod wording;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use again::Room;
pub use entrance::Demand;
use entrance::Entrance;
pub use error::Error;
pub use limits::Limits;
use listener::Listener;
use shared::Shared;
use tower::limit::GlobalConcurrencyLimitLayer;

use crate::{
    base::CutWatch,
    broker::{Broker, Session},
    ca::CertificateAuthority,
    net::{Dialer, Pool, PoolSettings, TlsClient},
};

/// The running data plane: opens listeners.
pub struct Proxy {
    shared: Arc<Shared>,
    places: GlobalConcurrencyLimitLayer,
    stop: CutWatch,
}

impl Proxy {
    /// A data plane without listeners; everything it starts ends when `stop` fires.
    pub fn new(
        broker: Arc<Broker>,
        ca: CertificateAuthority,
        dialer: Dialer,
        tls: TlsClient,
        limits: Limits,
        stop: CutWatch,
    ) -> Self {
        let pool = Pool::new(dialer, tls, PoolSettings::default());
        let places = GlobalConcurrencyLimitLayer::new(limits.connections);
        let (room, peeking) = (Room::new(limits.kept_together), Room::new(limits.peeked_together));
        Self { shared: Arc::new(Shared { broker, ca, pool, limits: Arc::new(limits), room, peeking }), places, stop }
    }

    /// Opens the main listener and gives the address really bound.
    pub async fn listen(&self, address: SocketAddr, demand: Demand) -> Result<SocketAddr, Error> {
        self.open(address, Entrance::main(demand), self.stop.clone()).await
    }

    /// Opens a loopback port of a session's own; it closes when the session ends.
    pub async fn listen_for(&self, session: Arc<Session>) -> Result<SocketAddr, Error> {
        let stop = session.watch();
        self.open(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), Entrance::of_session(session), stop).await
    }

    /// Forgets upstream connections that nobody uses; called from time to time.
    pub async fn tidy(&self) {
        loop {
            tokio::select! {
                _ = self.stop.wait() => return,
                () = tokio::time::sleep(Duration::from_secs(15)) => self.shared.pool.sweep(),
            }
        }
    }

    async fn open(&self, address: SocketAddr, entrance: Arc<Entrance>, stop: CutWatch) -> Result<SocketAddr, Error> {
        let listener = Listener::bind(address).await?;
        let address = listener.address();
        let own = self.shared.pool.dialer().own().clone();
        own.add(address);
        let serving = listener.serve(Arc::clone(&self.shared), entrance, self.places.clone(), stop);
        tokio::spawn(async move {
            serving.await;
            own.remove(address);
        });
        Ok(address)
    }
}
