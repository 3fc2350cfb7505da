//! Reading coded answers (RFC 9110, 8.4) so that echoes can be found in them; bounded in growth, streaming.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use async_compression::tokio::bufread::{BrotliDecoder, DeflateDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderMap, header::CONTENT_ENCODING};
use hyper::body::{Body, Incoming};
use tokio::io::{AsyncBufRead, AsyncRead, BufReader};
use tokio_util::io::{ReaderStream, StreamReader};

use super::hop;

/// One content coding that we can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Brotli,
    Deflate,
    Gzip,
    Zstd,
}

/// The codings of an answer, outermost last; `None` when one of them is not readable.
pub(super) fn codings(headers: &HeaderMap) -> Option<Vec<Coding>> {
    let mut codings = Vec::new();
    for item in headers.get_all(CONTENT_ENCODING).iter().flat_map(hop::list) {
        match item.to_ascii_lowercase().as_str() {
            "identity" => {}
            "br" => codings.push(Coding::Brotli),
            "deflate" => codings.push(Coding::Deflate),
            "gzip" | "x-gzip" => codings.push(Coding::Gzip),
            "zstd" => codings.push(Coding::Zstd),
            _ => return None,
        }
    }
    // More than three layers serve nobody but a bomb.
    (codings.len() <= 3).then_some(codings)
}

type Trailers = Arc<Mutex<Option<HeaderMap>>>;

/// A decoded body: a stream of bytes, then the trailers of the coded one.
pub(super) struct Decoded {
    stream: ReaderStream<Pin<Box<dyn AsyncRead + Send>>>,
    trailers: Trailers,
    coded: Arc<std::sync::atomic::AtomicU64>,
    produced: u64,
    growth: u64,
}

/// Decoded bytes that are free of suspicion.
const FREE: u64 = 16 * 1024 * 1024;

impl Decoded {
    /// Reads a body through its codings; `growth` bounds decoded over coded bytes once past 16 MiB (attack 72).
    pub(super) fn new(body: Incoming, codings: &[Coding], growth: u64) -> Self {
        let (trailers, coded) = (Trailers::default(), Arc::default());
        let source = Source { body, trailers: Arc::clone(&trailers), coded: Arc::clone(&coded) };
        let mut reader: Pin<Box<dyn AsyncBufRead + Send>> = Box::pin(StreamReader::new(source));
        for coding in codings.iter().rev() {
            reader = Box::pin(BufReader::new(decoder(*coding, reader)));
        }
        let reader: Pin<Box<dyn AsyncRead + Send>> = Box::pin(reader);
        Self { stream: ReaderStream::with_capacity(reader, 16 * 1024), trailers, coded, produced: 0, growth }
    }

    /// The next decoded bytes.
    pub(super) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let data = ready!(Pin::new(&mut self.stream).poll_next(cx)).transpose()?;
        if let Some(data) = &data {
            self.produced += data.len() as u64;
            let coded = self.coded.load(std::sync::atomic::Ordering::Relaxed);
            if self.produced > FREE && self.produced / self.growth > coded {
                return Poll::Ready(Some(Err(io::Error::other("the answer grows out of bounds when decoded"))));
            }
        }
        Poll::Ready(data.map(Ok))
    }

    /// The trailers, once the data has ended.
    pub(super) fn take_trailers(&self) -> Option<HeaderMap> {
        self.trailers.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn decoder(coding: Coding, reader: Pin<Box<dyn AsyncBufRead + Send>>) -> Pin<Box<dyn AsyncRead + Send>> {
    match coding {
        Coding::Brotli => Box::pin(BrotliDecoder::new(reader)),
        Coding::Deflate => Box::pin(Deflate(DeflateState::Unread(Some(reader)))),
        Coding::Gzip => {
            let mut gzip = GzipDecoder::new(reader);
            gzip.multiple_members(true); // RFC 1952, 2.2
            Box::pin(gzip)
        }
        Coding::Zstd => {
            let mut zstd = ZstdDecoder::new(reader);
            zstd.multiple_members(true); // RFC 8878, 3.1
            Box::pin(zstd)
        }
    }
}

/// `deflate` is zlib by the standard and raw deflate by many servers; the first byte tells.
struct Deflate(DeflateState);

enum DeflateState {
    Unread(Option<Pin<Box<dyn AsyncBufRead + Send>>>),
    Reading(Pin<Box<dyn AsyncRead + Send>>),
}

impl AsyncRead for Deflate {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            match &mut self.0 {
                DeflateState::Reading(reader) => return reader.as_mut().poll_read(cx, buffer),
                DeflateState::Unread(source) => {
                    let Some(reader) = source else { return Poll::Ready(Ok(())) };
                    let zlib = ready!(reader.as_mut().poll_fill_buf(cx))?.first().is_some_and(|b| b & 0x0f == 8);
                    let Some(reader) = source.take() else { return Poll::Ready(Ok(())) };
                    self.0 = DeflateState::Reading(if zlib {
                        Box::pin(ZlibDecoder::new(reader))
                    } else {
                        Box::pin(DeflateDecoder::new(reader))
                    });
                }
            }
        }
    }
}

struct Source {
    body: Incoming,
    trailers: Trailers,
    coded: Arc<std::sync::atomic::AtomicU64>,
}

impl Stream for Source {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            let frame = ready!(Pin::new(&mut self.body).poll_frame(cx)).transpose().map_err(io::Error::other)?;
            match frame.map(hyper::body::Frame::into_data) {
                Some(Ok(data)) => {
                    self.coded.fetch_add(data.len() as u64, std::sync::atomic::Ordering::Relaxed);
                    return Poll::Ready(Some(Ok(data)));
                }
                Some(Err(frame)) => {
                    *self.trailers.lock().unwrap_or_else(PoisonError::into_inner) = frame.into_trailers().ok();
                }
                None => return Poll::Ready(None),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn attack_71_codings_are_read_in_order_and_unknown_ones_are_not() {
        let mut headers = HeaderMap::new();
        headers.append(CONTENT_ENCODING, HeaderValue::from_static("deflate, X-GZIP"));
        headers.append(CONTENT_ENCODING, HeaderValue::from_static("identity, br"));
        assert_eq!(codings(&headers), Some(vec![Coding::Deflate, Coding::Gzip, Coding::Brotli]));
        headers.append(CONTENT_ENCODING, HeaderValue::from_static("compress"));
        assert_eq!(codings(&headers), None);
    }
}
