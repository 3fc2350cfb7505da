//! A stream that records what is read from it and cuts the heads of HTTP/1 messages out of it, byte for byte.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::record::{KEPT, Log, values};

/// Heads that arrived and that no request has claimed yet.
pub type Heads = Arc<Mutex<VecDeque<Vec<u8>>>>;

/// The recording stream.
pub struct Tap<S> {
    inner: S,
    log: Log,
    connection: usize,
    splitter: Splitter,
    heads: Heads,
}

impl<S> Tap<S> {
    /// Around a stream; heads are cut out of HTTP/1 only.
    pub fn new(inner: S, log: Log, connection: usize, syntax: Syntax) -> (Self, Heads) {
        let heads = Heads::default();
        let splitter = match syntax {
            Syntax::Http1 => Splitter::Head(Vec::new()),
            Syntax::Http2 => Splitter::Opaque,
        };
        (Self { inner, log, connection, splitter, heads: heads.clone() }, heads)
    }
}

/// How the bytes are to be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// As HTTP/1 messages.
    Http1,
    /// As HTTP/2 frames, which are kept and not cut.
    Http2,
}

impl<S: AsyncRead + Unpin> AsyncRead for Tap<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        let fresh = &buf.filled()[before..];
        let Self { splitter, heads, .. } = &mut *self;
        splitter.feed(fresh, &mut heads.lock().unwrap());
        self.log.on_connection(self.connection, |connection| {
            connection.received_length += fresh.len() as u64;
            let room = KEPT.saturating_sub(connection.received.len()).min(fresh.len());
            connection.received.extend_from_slice(&fresh[..room]);
        });
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tap<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// Where in a message the next byte stands.
enum Splitter {
    /// In a head, of which these bytes are known.
    Head(Vec<u8>),
    /// In a body of known length, or in a chunk with the line end after it.
    Skip { left: u64, then: Box<Splitter> },
    /// In the line with a chunk's size.
    Size(Vec<u8>),
    /// In the trailers, in this line.
    Trailer(Vec<u8>),
    /// Not HTTP/1, or not any more.
    Opaque,
}

impl Splitter {
    fn feed(&mut self, mut bytes: &[u8], heads: &mut VecDeque<Vec<u8>>) {
        while let Some((&byte, rest)) = bytes.split_first() {
            match self {
                Self::Opaque => return,
                Self::Skip { left, then } => {
                    let step = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    bytes = &bytes[step..];
                    *left -= step as u64;
                    if *left == 0 {
                        *self = std::mem::replace(then, Self::Opaque);
                    }
                    continue;
                }
                Self::Head(head) => {
                    if !(head.is_empty() && matches!(byte, b'\r' | b'\n')) {
                        head.push(byte);
                    }
                    if head.ends_with(b"\n\r\n") || head.ends_with(b"\n\n") {
                        let head = std::mem::take(head);
                        *self = Self::after(&head);
                        heads.push_back(head);
                    }
                }
                Self::Size(line) => {
                    line.push(byte);
                    if byte == b'\n' {
                        let digits = line.iter().take_while(|b| b.is_ascii_hexdigit()).copied().collect();
                        *self = match u64::from_str_radix(&String::from_utf8(digits).unwrap(), 16) {
                            Ok(0) => Self::Trailer(Vec::new()),
                            Ok(size) => Self::skip(size + 2, Self::Size(Vec::new())),
                            Err(_) => Self::Opaque,
                        };
                    }
                }
                Self::Trailer(line) => {
                    line.push(byte);
                    if byte == b'\n' {
                        let is_last = matches!(line.as_slice(), b"\r\n" | b"\n");
                        *self = if is_last { Self::Head(Vec::new()) } else { Self::Trailer(Vec::new()) };
                    }
                }
            }
            bytes = rest;
        }
    }

    fn skip(left: u64, then: Self) -> Self {
        if left == 0 { then } else { Self::Skip { left, then: Box::new(then) } }
    }

    /// What follows a head, by RFC 9112 section 6.3.
    fn after(head: &[u8]) -> Self {
        let fields = head_fields(head);
        if !values(&fields, "upgrade").is_empty() {
            return Self::Opaque;
        }
        if !values(&fields, "transfer-encoding").is_empty() {
            return Self::Size(Vec::new());
        }
        let length = values(&fields, "content-length").first().and_then(|length| length.parse().ok());
        Self::skip(length.unwrap_or(0), Self::Head(Vec::new()))
    }
}

/// The fields of a head, names as spelled and values without the blanks around them.
pub fn head_fields(head: &[u8]) -> Vec<(String, Vec<u8>)> {
    let lines = head.split(|&b| b == b'\n').skip(1).map(<[u8]>::trim_ascii_end);
    lines
        .filter_map(|line| {
            let colon = line.iter().position(|&b| b == b':')?;
            Some((String::from_utf8_lossy(&line[..colon]).into_owned(), line[colon + 1..].trim_ascii().to_vec()))
        })
        .collect()
}
