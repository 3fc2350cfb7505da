//! A port that is nobody's: connections to it are refused, and the kernel gives it to no other.

use std::net::SocketAddr;

use tokio::net::TcpSocket;

/// Held until it is dropped. Whoever asks for this very port may listen on it meanwhile.
#[derive(Debug)]
pub struct HeldPort(TcpSocket);

impl HeldPort {
    /// Any port.
    pub fn any() -> Self {
        Self::at("127.0.0.1:0".parse().unwrap()).unwrap()
    }

    /// This one, unless somebody listens there.
    pub fn at(address: SocketAddr) -> std::io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?; // two may hold an address, as long as neither listens before the other has it
        socket.bind(address)?;
        Ok(Self(socket))
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }
}
