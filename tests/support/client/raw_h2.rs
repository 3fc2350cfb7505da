//! An h2 client that sends any frame, however wrong (RFC 9113), and understands just enough of what comes back.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Duplex, RawClient};
use crate::support::wait::within;

/// The frames that this client understands, and those that tests send most (RFC 9113, section 6).
pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// The flags of those frames.
pub mod flag {
    pub const ACK: u8 = 1;
    pub const END_STREAM: u8 = 1;
    pub const END_HEADERS: u8 = 4;
}

/// Whether a frame is the last of its stream from our side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It is.
    End,
    /// More follows.
    More,
}

impl Then {
    fn flag(self) -> u8 {
        if self == Self::End { flag::END_STREAM } else { 0 }
    }
}

/// How a stream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamEnd {
    /// With a whole answer.
    Answered { status: u16, body: Vec<u8> },
    /// The connection closed first.
    Closed,
    /// The other side gave up the connection, with this code.
    GoneAway(u32),
    /// The other side reset it, with this code.
    Reset(u32),
}

/// An h2 connection.
pub struct RawH2 {
    io: Box<dyn Duplex>,
    next_stream: u32,
}

impl RawClient {
    /// Speaks h2 on this connection: sends the preface and settings without a table for header compression.
    pub async fn raw_h2(self) -> RawH2 {
        let mut h2 = RawH2 { io: self.into_io(), next_stream: 1 };
        h2.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        let settings = [0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]; // HEADER_TABLE_SIZE 0, ENABLE_PUSH 0
        h2.frame(kind::SETTINGS, 0, 0, &settings).await;
        h2
    }
}

impl RawH2 {
    /// Opens the next stream with these fields, pseudo headers included, exactly as spelled; gives its number.
    pub async fn open(&mut self, fields: &[(&str, &str)], then: Then) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        self.headers(stream, fields, then).await;
        stream
    }

    /// Sends a block of fields on a stream: for trailers, or for a second head.
    pub async fn headers(&mut self, stream: u32, fields: &[(&str, &str)], then: Then) {
        self.frame(kind::HEADERS, flag::END_HEADERS | then.flag(), stream, &field_block(fields)).await;
    }

    /// Sends a piece of a body.
    pub async fn data(&mut self, stream: u32, bytes: &[u8], then: Then) {
        self.frame(kind::DATA, then.flag(), stream, bytes).await;
    }

    /// Sends any frame. A connection that is gone shows when the end of a stream is asked for.
    pub async fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend_from_slice(&[kind, flags]);
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(payload);
        self.write(&frame).await;
    }

    /// Reads on to the end of a stream; frames of other streams are dropped, settings and pings are acknowledged.
    pub async fn end_of(&mut self, stream: u32) -> StreamEnd {
        let (mut status, mut body) = (0, Vec::new());
        loop {
            let Some((kind, flags, on, payload)) = self.read().await else { return StreamEnd::Closed };
            match kind {
                kind::GOAWAY => match code(&payload[4..]) {
                    0 => {} // a graceful farewell: streams already open go on
                    code => return StreamEnd::GoneAway(code),
                },
                kind::PING if flags & flag::ACK == 0 => self.frame(kind::PING, flag::ACK, 0, &payload).await,
                kind::SETTINGS if flags & flag::ACK == 0 => self.frame(kind::SETTINGS, flag::ACK, 0, &[]).await,
                kind::RST_STREAM if on == stream => return StreamEnd::Reset(code(&payload)),
                kind::HEADERS if on == stream => status = status_of(&payload).unwrap_or(status), // trailers have none
                kind::DATA if on == stream => {
                    body.extend_from_slice(&payload);
                    if let Some(more) = u32::try_from(payload.len()).ok().filter(|&more| more > 0) {
                        self.frame(kind::WINDOW_UPDATE, 0, 0, &more.to_be_bytes()).await;
                        self.frame(kind::WINDOW_UPDATE, 0, stream, &more.to_be_bytes()).await;
                    }
                }
                _ => {}
            }
            if on == stream && matches!(kind, kind::DATA | kind::HEADERS) && flags & flag::END_STREAM != 0 {
                return StreamEnd::Answered { status, body };
            }
        }
    }

    /// The next frame: kind, flags, stream, payload; `None` when the connection has ended, well or not.
    pub async fn read(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        within("an h2 frame", async {
            let mut head = [0; 9];
            self.io.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            self.io.read_exact(&mut payload).await.ok()?;
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff;
            Some((head[3], head[4], stream, payload))
        })
        .await
    }

    async fn write(&mut self, bytes: &[u8]) {
        within("bytes to be taken", async {
            let _ = self.io.write_all(bytes).await;
            let _ = self.io.flush().await;
        })
        .await;
    }
}

fn code(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes[..4].try_into().unwrap())
}

/// Fields as literals without indexing and without Huffman coding (RFC 7541, section 6.2.2).
pub fn field_block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            integer(&mut block, text.len());
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// An integer with a prefix of seven bits (RFC 7541, section 5.1).
fn integer(out: &mut Vec<u8>, value: usize) {
    let Some(mut rest) = value.checked_sub(127) else {
        return out.push(u8::try_from(value).unwrap());
    };
    out.push(127);
    while rest >= 128 {
        out.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    out.push(u8::try_from(rest).unwrap());
}

/// The `:status` at the beginning of a block of fields that was written without a dynamic table.
fn status_of(block: &[u8]) -> Option<u16> {
    let start = block.iter().position(|byte| byte & 0xe0 != 0x20)?; // after updates of the table's size
    let block = &block[start..];
    match block[0] {
        indexed @ 0x88..=0x8e => Some([200, 204, 206, 304, 400, 404, 500][usize::from(indexed - 0x88)]),
        0x08..=0x0e | 0x18..=0x1e | 0x48..=0x4e => {
            let length = usize::from(block[1] & 0x7f);
            let value = &block[2..2 + length];
            let text = if block[1] & 0x80 == 0 { String::from_utf8_lossy(value).into_owned() } else { digits(value) };
            text.parse().ok()
        }
        _ => None,
    }
}

/// Three digits in the Huffman code of RFC 7541, appendix B: 0 to 2 have five bits, 3 to 9 have six.
fn digits(bytes: &[u8]) -> String {
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let number = |bits: &[u8]| bits.iter().fold(0, |number, bit| number * 2 + bit);
    let (mut text, mut at) = (String::new(), 0);
    while text.len() < 3 {
        let short = number(&bits[at..at + 5]);
        let (digit, length) = if short <= 2 { (short, 5) } else { (number(&bits[at..at + 6]) - 0b01_1001 + 3, 6) };
        text.push(char::from(b'0' + digit));
        at += length;
    }
    text
}
