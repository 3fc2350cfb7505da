//! HTTP/2 written frame by frame, so that a request can say what no library would let it say.

use super::support::RawClient;

/// What became of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// An answer with this status and the code of its problem.
    Answered(u16, String),
    /// The connection ended.
    Closed,
    /// The whole connection was given up, with this error.
    GoAway(u32),
    /// The stream alone was given up, with this error.
    Reset(u32),
}

impl Fate {
    /// Whether the request was turned down, in any of the ways that HTTP/2 has.
    pub fn is_refusal(&self, statuses: &[u16]) -> bool {
        match self {
            Self::Answered(status, _) => statuses.contains(status),
            Self::GoAway(error) | Self::Reset(error) => *error != 0,
            Self::Closed => true,
        }
    }
}

/// A connection in frames.
pub struct H2Frames(RawClient);

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

impl H2Frames {
    /// The preface, and settings that forbid the dynamic table.
    pub async fn start(client: RawClient) -> Self {
        let mut this = Self(client);
        this.0.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        this.frame(SETTINGS, 0, 0, &[0, 1, 0, 0, 0, 0]).await;
        this
    }

    /// A request without a body; fields exactly as given, pseudo fields included.
    pub async fn request(&mut self, stream: u32, fields: &[(&str, &str)]) {
        self.frame(HEADERS, END_STREAM | END_HEADERS, stream, &block(fields)).await;
    }

    /// A request with a body and trailers.
    pub async fn request_with(&mut self, stream: u32, head: &[(&str, &str)], body: &[u8], trailers: &[(&str, &str)]) {
        self.frame(HEADERS, END_HEADERS, stream, &block(head)).await;
        self.frame(DATA, 0, stream, body).await;
        self.frame(HEADERS, END_STREAM | END_HEADERS, stream, &block(trailers)).await;
    }

    /// A head that goes on for as long as somebody reads it, and at most for a hundred frames.
    pub async fn endless_head(&mut self, stream: u32) {
        self.frame(HEADERS, END_STREAM, stream, &[]).await;
        let piece = block(&[("x-long", &"l".repeat(8000))]);
        for _ in 0..100 {
            let head = [&[0][..], &u16::try_from(piece.len()).unwrap().to_be_bytes(), &[CONTINUATION, 0]].concat();
            if self.0.try_write([&head, &stream.to_be_bytes()[..], &piece].concat()).await.is_err() {
                return;
            }
        }
    }

    /// Reads until this stream's fate is known.
    pub async fn fate(&mut self, stream: u32) -> Fate {
        let (mut status, mut body) = (0, Vec::new());
        loop {
            let Ok(head) = self.0.read_exactly(9).await else { return Fate::Closed };
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let id = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
            let Ok(payload) = self.0.read_exactly(length).await else { return Fate::Closed };
            let (kind, flags) = (head[3], head[4]);
            match kind {
                SETTINGS | PING if flags & ACK == 0 => {
                    let echo = if kind == PING { &payload[..] } else { &[] };
                    self.frame(kind, ACK, 0, echo).await;
                }
                GOAWAY => {
                    let error = u32::from_be_bytes(payload[4..8].try_into().unwrap());
                    if error != 0 {
                        return Fate::GoAway(error);
                    }
                }
                RST_STREAM if id == stream && status == 0 => {
                    return Fate::Reset(u32::from_be_bytes(payload[..4].try_into().unwrap()));
                }
                HEADERS if id == stream && status == 0 => status = status_of(&payload),
                DATA if id == stream => body.extend_from_slice(&payload),
                _ => {}
            }
            if id == stream && matches!(kind, HEADERS | DATA | CONTINUATION) && flags & END_STREAM != 0 {
                let problem: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
                return Fate::Answered(status, problem["code"].as_str().unwrap_or_default().to_owned());
            }
        }
    }

    async fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        let _ = self.0.try_write([&head[..], payload].concat()).await; // who was given up reads why
    }
}

/// Literal fields without indexing, names and values plain (RFC 7541, 6.2.2).
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(0);
        for text in [name, value] {
            out.extend(length(text.len()));
            out.extend_from_slice(text.as_bytes());
        }
    }
    out
}

/// A length with a prefix of seven bits (RFC 7541, 5.1).
fn length(n: usize) -> Vec<u8> {
    let Ok(small @ 0..127) = u8::try_from(n) else {
        let mut out = vec![127];
        let mut rest = n - 127;
        while rest >= 128 {
            out.push(u8::try_from(rest % 128).unwrap() | 0x80);
            rest /= 128;
        }
        out.push(u8::try_from(rest).unwrap());
        return out;
    };
    vec![small]
}

/// The status at the head of a block: from the static table, or a literal that is plain or Huffman-coded digits.
fn status_of(block: &[u8]) -> u16 {
    let start = block.iter().position(|byte| byte & 0xe0 != 0x20).unwrap(); // past changes of the table's size
    let block = &block[start..];
    match block[0] {
        indexed @ 0x88..=0x8e => [200, 204, 206, 304, 400, 404, 500][usize::from(indexed - 0x88)],
        0x08 | 0x18 | 0x48 => {
            let value = &block[2..2 + usize::from(block[1] & 0x7f)];
            let digits = if block[1] & 0x80 == 0 { String::from_utf8_lossy(value).into_owned() } else { digits(value) };
            digits.parse().unwrap()
        }
        other => panic!("no status at the head of the block: {other:#x}"),
    }
}

/// Digits in the Huffman code of RFC 7541, appendix B: 0 to 2 have five bits, 3 to 9 have six.
fn digits(coded: &[u8]) -> String {
    let bits: Vec<u8> = coded.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1)).collect();
    let (mut text, mut at) = (String::new(), 0);
    let number = |from: usize, n: usize| bits.get(from..from + n).map(|b| b.iter().fold(0, |sum, bit| sum << 1 | bit));
    while let Some(five) = number(at, 5) {
        let (digit, used) = match (five, number(at, 6)) {
            (0..=2, _) => (five, 5),
            (_, Some(six @ 0b01_1001..=0b01_1111)) => (six - 0b01_1001 + 3, 6),
            _ => break,
        };
        text.push(char::from(b'0' + digit));
        at += used;
    }
    text
}
