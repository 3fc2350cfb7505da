//! What the two halves of an exchange share: counts, flags and the watch that cuts both.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Poll,
};

use crate::{
    base::{CutReason, CutWatch},
    lease::Found,
};

/// Shared by the request body, the answer body and the exchange's record.
#[derive(Debug)]
pub(super) struct Flow {
    watches: Vec<CutWatch>,
    sent: AtomicU64,
    received: AtomicU64,
    request_done: AtomicBool,
    request_broken: AtomicBool,
    request_too_long: AtomicBool,
    stray: OnceLock<Found>,
}

impl Flow {
    /// A flow that any of these watches cuts: one for each lease of the request.
    pub(super) fn new(watches: Vec<CutWatch>) -> Arc<Self> {
        Arc::new(Self {
            watches,
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            request_done: AtomicBool::new(false),
            request_broken: AtomicBool::new(false),
            request_too_long: AtomicBool::new(false),
            stray: OnceLock::new(),
        })
    }

    /// The reason, once cut.
    pub(super) fn cut(&self) -> Option<CutReason> {
        self.watches.iter().find_map(CutWatch::reason)
    }

    /// Waits until cut; a value of its own, for bodies to store.
    pub(super) fn wait(&self) -> impl Future<Output = CutReason> + Send + use<> {
        let mut watches: Vec<_> =
            self.watches.iter().cloned().map(|w| Box::pin(async move { w.wait().await })).collect();
        std::future::poll_fn(move |cx| {
            watches
                .iter_mut()
                .find_map(|watch| match watch.as_mut().poll(cx) {
                    Poll::Ready(reason) => Some(reason),
                    Poll::Pending => None,
                })
                .map_or(Poll::Pending, Poll::Ready)
        })
    }

    /// Counts body bytes towards the upstream.
    pub(super) fn add_sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Counts body bytes from the upstream, before scrubbing.
    pub(super) fn add_received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// The request has been handed on whole.
    pub(super) fn finish_request(&self) {
        self.request_done.store(true, Ordering::Release);
    }

    pub(super) fn is_request_done(&self) -> bool {
        self.request_done.load(Ordering::Acquire)
    }

    /// The client framed its body wrongly, or broke off.
    pub(super) fn note_broken(&self) {
        self.request_broken.store(true, Ordering::Release);
    }

    pub(super) fn is_request_broken(&self) -> bool {
        self.request_broken.load(Ordering::Acquire)
    }

    /// The body went past what its rule allows.
    pub(super) fn note_too_long(&self) {
        self.request_too_long.store(true, Ordering::Release);
    }

    pub(super) fn is_request_too_long(&self) -> bool {
        self.request_too_long.load(Ordering::Acquire)
    }

    /// A lease token was found in the request body.
    pub(super) fn note_stray(&self, found: Found) {
        let _ = self.stray.set(found); // the first is enough
    }

    pub(super) fn stray(&self) -> Option<&Found> {
        self.stray.get()
    }
}
