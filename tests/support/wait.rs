//! Waiting with a bound, for things that other parties do in their own time.

use std::{
    future::Future,
    thread,
    time::{Duration, Instant},
};

/// The longest a test waits for anything; long enough for a loaded machine, and reached only by a failing test.
pub const LIMIT: Duration = Duration::from_mins(1);

/// How often a condition without a channel is looked at.
const POLL: Duration = Duration::from_millis(2);

/// Waits for a future.
///
/// # Panics
/// With `what` after [`LIMIT`].
pub async fn within<F: Future>(what: &str, future: F) -> F::Output {
    let waited = tokio::time::timeout(LIMIT, future).await;
    waited.unwrap_or_else(|_| panic!("waited {LIMIT:?} in vain for {what}"))
}

/// Waits until a condition holds; for conditions that have no channel, such as a line in a file.
///
/// # Panics
/// With `what` after [`LIMIT`].
pub async fn until(what: &str, condition: impl Fn() -> bool) {
    within(what, async {
        while !condition() {
            tokio::time::sleep(POLL).await;
        }
    })
    .await;
}

/// [`until`] for tests without a runtime; blocks the thread.
///
/// # Panics
/// With `what` after [`LIMIT`].
pub fn until_blocking(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < LIMIT, "waited {LIMIT:?} in vain for {what}");
        thread::sleep(POLL);
    }
}
