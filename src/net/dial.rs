//! From a host to a TCP connection: resolve once, judge every answer, dial one that was judged.
//!
//! Invariant: the address that is dialled is one that [`AddressGuard`] saw; there is no second look-up (attack 56).

use std::{
    collections::{HashMap, HashSet},
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tokio::{net::TcpStream, time::timeout};

use super::{AddressGuard, Denied, Error};
use crate::base::{Authority, Host};

/// More answers than any honest name has.
const MAX_ANSWERS: usize = 64;

/// How hosts become connections.
#[derive(Clone, Debug, Default)]
pub struct Dialer {
    guard: AddressGuard,
    /// Hosts whose address the operator wrote down; they are not resolved, and only metadata services stay denied.
    pinned: HashMap<Host, SocketAddr>,
    connect_timeout: Option<Duration>,
    own: OwnAddresses,
}

/// Where we listen ourselves; never dialled, whatever the guard allows (attacks 36, 59). Clones share the list.
#[derive(Clone, Debug, Default)]
pub struct OwnAddresses(Arc<RwLock<HashSet<SocketAddr>>>);

impl OwnAddresses {
    /// We listen there from now on.
    pub fn add(&self, address: SocketAddr) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(address);
    }

    /// We listen there no more.
    pub fn remove(&self, address: SocketAddr) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&address);
    }

    fn contains(&self, address: SocketAddr) -> bool {
        let plain = SocketAddr::new(address.ip().to_canonical(), address.port());
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(&plain)
    }
}

impl Dialer {
    /// Default time for resolving and connecting together: 10 s.
    pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

    /// A dialer with this guard and these pinned hosts.
    pub fn new(guard: AddressGuard, pinned: HashMap<Host, SocketAddr>) -> Self {
        Self { guard, pinned, connect_timeout: None, own: OwnAddresses::default() }
    }

    /// The list of our own listeners.
    pub const fn own(&self) -> &OwnAddresses {
        &self.own
    }

    /// The same dialer with another deadline.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// A connection with `TCP_NODELAY`, within the deadline.
    pub async fn dial(&self, authority: &Authority) -> Result<TcpStream, Error> {
        let deadline = self.connect_timeout.unwrap_or(Self::CONNECT_TIMEOUT);
        let dialled = timeout(deadline, async { connect_any(&authority.host, self.addresses(authority).await?).await });
        dialled.await.unwrap_or_else(|_| Err(Error::Timeout { host: authority.host.clone(), phase: "connect" }))
    }

    /// Every address of the authority, all of them judged; one that is denied denies them all (attack 57).
    async fn addresses(&self, authority: &Authority) -> Result<Vec<SocketAddr>, Error> {
        let Authority { host, port } = authority;
        if let Some(&address) = self.pinned.get(host) {
            AddressGuard::new(vec![super::Network::only(address.ip())])
                .check(address.ip())
                .map_err(|kind| Error::AddressDenied { host: host.clone(), address: address.ip(), kind })?;
            return Ok(vec![address]);
        }
        let judged = |address: IpAddr| {
            self.guard.check(address).map_err(|kind| Error::AddressDenied { host: host.clone(), address, kind })
        };
        let found: Vec<SocketAddr> = match host {
            Host::Address(address) => vec![SocketAddr::new(*address, *port)],
            Host::Name(_) if host.is_localhost() => {
                return Err(Error::AddressDenied {
                    host: host.clone(),
                    address: IpAddr::from([127, 0, 0, 1]),
                    kind: Denied::Localhost,
                });
            }
            Host::Name(name) => tokio::net::lookup_host((&**name, *port))
                .await
                .map_err(|source| Error::Resolve { host: host.clone(), source })?
                .take(MAX_ANSWERS)
                .collect(),
        };
        for address in &found {
            judged(address.ip())?;
        }
        if found.iter().any(|address| self.own.contains(*address)) {
            return Err(Error::Loop { host: host.clone() });
        }
        if found.is_empty() {
            return Err(Error::Resolve { host: host.clone(), source: io::ErrorKind::NotFound.into() });
        }
        Ok(found)
    }
}

/// Tries the addresses in order, each for a fair share of the time, and keeps the last error.
async fn connect_any(host: &Host, addresses: Vec<SocketAddr>) -> Result<TcpStream, Error> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    let share = Duration::from_secs(4);
    for address in addresses {
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                let _ = stream.set_nodelay(true); // slower without, not wrong
                return Ok(stream);
            }
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(Error::Connect { host: host.clone(), source: last })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority(text: &str) -> Authority {
        Authority::parse(text, Some(443)).unwrap()
    }

    #[tokio::test]
    async fn loopback_is_denied_before_a_packet_leaves() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in ["127.0.0.1", "localhost", "x.localhost", "[::1]", "[::ffff:127.0.0.1]"] {
            let refused = Dialer::default().dial(&authority(&format!("{host}:{port}"))).await;
            assert!(matches!(refused, Err(Error::AddressDenied { .. })), "{host}");
        }
        let nothing = tokio::select! {
            biased;
            accepted = listener.accept() => accepted.is_err(),
            () = std::future::ready(()) => true,
        };
        assert!(nothing, "no connection was made");
    }

    #[tokio::test]
    async fn a_pinned_host_is_dialled_where_the_operator_says() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let pinned = HashMap::from([("api.acme.test".parse().unwrap(), address)]);
        let stream = Dialer::new(AddressGuard::default(), pinned).dial(&authority("api.acme.test")).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
    }

    #[tokio::test]
    async fn a_metadata_service_cannot_be_pinned() {
        let pinned = HashMap::from([("api.acme.test".parse().unwrap(), "169.254.169.254:80".parse().unwrap())]);
        let refused = Dialer::new(AddressGuard::default(), pinned).dial(&authority("api.acme.test")).await;
        assert!(matches!(refused, Err(Error::AddressDenied { .. })));
    }
}
