//! Cutting an answer that nobody reads: a body is not polled while its client is stalled, so its task watches too.
//!
//! Invariant: while an answer streams, the task that delivers it waits on the exchange's watches; when one fires and the
//! body itself had no chance to end the exchange, the task is dropped, and the connection or stream with it.

use std::{
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
};

use super::flow::Flow;

tokio::task_local! {
    static STREAMING: Slot;
}

/// The exchange whose answer this task is delivering, if it streams.
#[derive(Clone, Default)]
struct Slot(Arc<Mutex<Option<Arc<Flow>>>>);

impl Slot {
    fn set(&self, flow: Option<Arc<Flow>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = flow;
    }

    fn get(&self) -> Option<Arc<Flow>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Says that this task streams the answer of this exchange from now on; the mark goes when it is dropped.
pub(super) fn streaming(flow: &Arc<Flow>) -> Option<Streaming> {
    STREAMING
        .try_with(|slot| {
            slot.set(Some(Arc::clone(flow)));
            Streaming(slot.clone())
        })
        .ok()
}

/// See [`streaming`].
pub(super) struct Streaming(Slot);

impl Drop for Streaming {
    fn drop(&mut self) {
        self.0.set(None);
    }
}

/// Runs the delivery of a connection or stream; `None` when it was cut.
pub(super) async fn guarded<F: Future>(delivery: F) -> Option<F::Output> {
    let slot = Slot::default();
    let watched = slot.clone();
    STREAMING
        .scope(slot, async move {
            let mut delivery = pin!(delivery);
            let mut watch = None;
            std::future::poll_fn(|cx| {
                if let Poll::Ready(output) = delivery.as_mut().poll(cx) {
                    return Poll::Ready(Some(output));
                }
                let Some(flow) = watched.get() else {
                    watch = None;
                    return Poll::Pending;
                };
                let wait = || (Arc::clone(&flow), Box::pin(flow.wait()));
                let (watched_flow, waiting) = watch.get_or_insert_with(wait);
                if !Arc::ptr_eq(watched_flow, &flow) {
                    (*watched_flow, *waiting) = wait();
                }
                waiting.as_mut().poll(cx).map(|_| None)
            })
            .await
        })
        .await
}

/// Spawns the streams of an HTTP/2 connection, each with its own guard.
#[derive(Clone, Copy)]
pub(super) struct GuardingExecutor;

impl<F> hyper::rt::Executor<F> for GuardingExecutor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, stream: F) {
        // Owned by its connection: it ends with its stream.
        tokio::spawn(guarded(stream));
    }
}
