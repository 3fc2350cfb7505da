//! What the daemon implements.

use std::future::Future;

use super::{Answer, Call, Connection, Failure, Peer};

/// Answers calls. Several run at once, of one connection and of many. A call runs to its end even when its caller has
/// gone or was told that its time is up; only a stopping server drops what does not end within its grace.
pub trait Service: Send + Sync + 'static {
    /// Answers one call. `connection` lets a session live exactly as long as its caller: see [`Connection::hold`].
    fn call(
        &self,
        peer: &Peer,
        connection: &Connection,
        call: Call,
    ) -> impl Future<Output = Result<Answer, Failure>> + Send;
}
