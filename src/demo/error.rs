//! Why the demonstration stopped.

/// What can go wrong on the way through the story.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The use-cases refused something.
    #[error(transparent)]
    Broker(#[from] crate::broker::Error),
    /// The daemon did not start.
    #[error(transparent)]
    Daemon(#[from] crate::daemon::Error),
    /// HTTP broke off.
    #[error("the exchange broke off: {0}")]
    Http(#[from] hyper::Error),
    /// The system refused something.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The store refused something.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// The story did not go as it is told.
    #[error("{0}")]
    Story(String),
}
