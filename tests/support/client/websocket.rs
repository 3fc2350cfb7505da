//! A WebSocket client.

use super::{Answer, Duplex, RawClient};
use crate::support::{
    frames::{Frame, accept_key},
    wait::within,
};
use tokio::io::AsyncWriteExt as _;

/// Both the sample nonce of RFC 6455 and any mask will do: nothing here is secret.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// An open WebSocket.
pub struct WebSocketClient {
    io: Box<dyn Duplex>,
    /// The answer to the upgrade.
    pub answer: Answer,
}

impl RawClient {
    /// Asks for an upgrade with these headers.
    ///
    /// # Errors
    /// The answer, when it is not 101.
    ///
    /// # Panics
    /// When a 101 does not prove that the other side speaks WebSocket.
    pub async fn websocket(
        mut self,
        host: &str,
        target: &str,
        headers: &[(&str, &str)],
    ) -> Result<WebSocketClient, Answer> {
        let upgrade = [
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", KEY),
        ];
        let answer = self.get(host, target, &[&upgrade[..], headers].concat()).await;
        if answer.status != 101 {
            return Err(answer);
        }
        assert_eq!(answer.header("sec-websocket-accept"), Some(accept_key(KEY)), "{answer:?}");
        Ok(WebSocketClient { io: self.into_io(), answer })
    }
}

impl WebSocketClient {
    /// Sends a frame.
    pub async fn send(&mut self, frame: &Frame) {
        self.write(&frame.encode(Some(MASK))).await;
    }

    /// Sends bytes as they are.
    pub async fn write(&mut self, bytes: &[u8]) {
        self.io.write_all(bytes).await.unwrap();
        self.io.flush().await.unwrap();
    }

    /// The next frame; `None` when the connection has ended, well or not.
    pub async fn receive(&mut self) -> Option<Frame> {
        within("a WebSocket frame", Frame::read(&mut self.io)).await.ok().flatten()
    }
}
