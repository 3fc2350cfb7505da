//! How a connection ended by itself: told to requests that it left without a word.

use hyper::Result;
use tokio::sync::watch;

use super::error::about_identity;

/// The end of one connection, which a task of its own drives.
pub(super) struct Ended(watch::Receiver<Option<&'static str>>);

impl Ended {
    /// Drives the connection. It ends when its sender is dropped or the peer closes.
    pub(super) fn of(connection: impl Future<Output = Result<()>> + Send + 'static) -> Self {
        let (tell, told) = watch::channel(None);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tell.send_replace(about_identity(&error));
            }
        });
        Self(told)
    }

    /// Why the peer did not take us, once the connection is over.
    pub(super) async fn alert(mut self) -> Option<&'static str> {
        while self.0.changed().await.is_ok() {}
        *self.0.borrow()
    }
}
