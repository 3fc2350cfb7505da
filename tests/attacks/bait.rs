//! A listener on loopback that nobody may touch.

use std::net::{SocketAddr, TcpListener};

/// The listener; the kernel completes handshakes for it, so a dial is seen at once.
pub struct Bait(TcpListener);

impl Bait {
    /// On a free port of an address.
    pub fn at(address: &str) -> Option<Self> {
        let listener = TcpListener::bind((address, 0)).ok()?;
        listener.set_nonblocking(true).unwrap();
        Some(Self(listener))
    }

    /// On every IPv4 address of this machine.
    pub fn everywhere() -> Self {
        Self::at("0.0.0.0").unwrap()
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address().port()
    }

    /// Whether anybody connected.
    pub fn is_touched(&self) -> bool {
        self.0.accept().is_ok()
    }
}
