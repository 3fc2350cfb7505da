//! A connection that remembers why its peer did not take us. In TLS 1.3 a client is told only after its handshake, when
//! nobody may be waiting for an answer yet, and such an end looks like any other (RFC 8446, 4.4.2.4).

use std::{
    io,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::error::about_identity;

/// The alert by which a peer said no to us, once it has come. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Alert(Arc<OnceLock<&'static str>>);

impl Alert {
    /// The alert, in words.
    pub(super) fn get(&self) -> Option<&'static str> {
        self.0.get().copied()
    }

    fn note(&self, error: &io::Error) {
        if let Some(alert) = about_identity(error) {
            let _ = self.0.set(alert); // the first is why
        }
    }
}

/// The connection.
pub(super) struct Watched<S> {
    stream: S,
    alert: Alert,
    /// Whether its peer has said anything.
    is_answered: bool,
    /// What was read of it while nobody asked.
    kept: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Watched<S> {
    pub(super) fn new(stream: S) -> (Self, Alert) {
        let alert = Alert::default();
        (Self { stream, alert: alert.clone(), is_answered: false, kept: Vec::new() }, alert)
    }

    fn read(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        match &read {
            Poll::Ready(Err(error)) => self.alert.note(error),
            Poll::Ready(Ok(())) => self.is_answered |= buffer.filled().len() > before,
            Poll::Pending => {}
        }
        read
    }

    /// A peer that closed before it was written to has said why, and that is still to be read. Its end wakes the reader, so
    /// that waiting for it is not for ever.
    fn after_write<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if self.is_answered || !matches!(written, Poll::Ready(Err(_))) {
            return written;
        }
        let mut bytes = [0; 1024];
        let mut buffer = ReadBuf::new(&mut bytes);
        match self.read(context, &mut buffer) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(_) => self.kept.extend_from_slice(buffer.filled()),
        }
        written
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.kept.is_empty() {
            return self.read(context, buffer);
        }
        let count = self.kept.len().min(buffer.remaining());
        buffer.put_slice(self.kept.get(..count).unwrap_or_default());
        self.kept.drain(..count);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.after_write(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.after_write(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.after_write(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
