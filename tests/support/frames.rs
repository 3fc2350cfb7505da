//! WebSocket frames (RFC 6455), for both ends and without any leniency or help.

use std::io;

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// Binary data.
    Binary,
    /// The end of the connection.
    Close,
    /// More of the message begun before.
    Continuation,
    /// Asks for a pong.
    Ping,
    /// Answers a ping.
    Pong,
    /// One of the reserved codes.
    Reserved(u8),
    /// Text.
    Text,
}

impl Opcode {
    const fn to_bits(self) -> u8 {
        match self {
            Self::Continuation => 0,
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
            Self::Reserved(bits) => bits,
        }
    }

    const fn from_bits(bits: u8) -> Self {
        match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            other => Self::Reserved(other),
        }
    }
}

/// One frame, unmasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Whether the message ends here.
    pub fin: bool,
    /// The three reserved bits; RSV1 (4) marks a deflated message.
    pub reserved: u8,
    /// What it is for.
    pub opcode: Opcode,
    /// The data.
    pub payload: Vec<u8>,
}

impl Frame {
    /// A whole message.
    pub fn new(opcode: Opcode, payload: impl Into<Vec<u8>>) -> Self {
        Self { fin: true, reserved: 0, opcode, payload: payload.into() }
    }

    /// A whole text message.
    pub fn text(text: &str) -> Self {
        Self::new(Opcode::Text, text)
    }

    /// The end, with a status code such as 1000.
    pub fn close(code: u16) -> Self {
        Self::new(Opcode::Close, code.to_be_bytes())
    }

    /// The payload as text.
    pub fn as_text(&self) -> String {
        String::from_utf8_lossy(&self.payload).into_owned()
    }

    /// On the wire; clients give a mask, servers none.
    pub fn encode(&self, mask: Option<[u8; 4]>) -> Vec<u8> {
        let mut out = vec![u8::from(self.fin) << 7 | self.reserved << 4 | self.opcode.to_bits()];
        let masked = if mask.is_some() { 0x80 } else { 0 };
        let length = self.payload.len();
        match u16::try_from(length) {
            Ok(length) if length < 126 => out.push(masked | u8::try_from(length).unwrap()),
            Ok(length) => {
                out.push(masked | 0x7e);
                out.extend_from_slice(&length.to_be_bytes());
            }
            Err(_) => {
                out.push(masked | 0x7f);
                out.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        let mask = mask.map_or([0; 4], |mask| {
            out.extend_from_slice(&mask);
            mask
        });
        out.extend(self.payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
        out
    }

    /// The next frame of a stream; `None` at its end.
    pub async fn read(io: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Self>> {
        let mut head = [0; 2];
        match io.read_exact(&mut head).await {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        };
        let length = match head[1] & 0x7f {
            126 => u64::from(io.read_u16().await?),
            127 => io.read_u64().await?,
            small => u64::from(small),
        };
        let mut mask = [0; 4];
        if head[1] & 0x80 != 0 {
            io.read_exact(&mut mask).await?;
        }
        let mut payload = Vec::new();
        io.take(length).read_to_end(&mut payload).await?;
        if payload.len() as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for (byte, key) in payload.iter_mut().zip(mask.iter().cycle()) {
            *byte ^= key;
        }
        let (fin, reserved) = (head[0] & 0x80 != 0, head[0] >> 4 & 7);
        Ok(Some(Self { fin, reserved, opcode: Opcode::from_bits(head[0] & 15), payload }))
    }
}

/// The `Sec-WebSocket-Accept` that answers a `Sec-WebSocket-Key` (RFC 6455, section 4.2.2).
pub fn accept_key(key: &str) -> String {
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()))
}
