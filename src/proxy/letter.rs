//! The client's frames on a WebSocket until its credential stands in one of its messages (RFC 6455, 5.2).
//!
//! Invariants: what is not the lease token is never sent in its place; nothing but that one message is changed; what is
//! kept of the client is bounded.

use std::sync::Arc;

use bytes::{Buf as _, BytesMut};
use zeroize::Zeroizing;

use crate::{
    base::LeaseId,
    broker::Broker,
    inject::{Message, Misplaced},
    lease::Found,
};

/// The longest message that may come before the credential is written, in bytes.
const MOST: usize = 64 * 1024;

/// How many messages may come before the one with the credential.
const BEFORE: usize = 32;

/// The longest head of a frame from a client: two bytes, eight of length, four of mask.
const HEAD: usize = 14;

/// A credential on its way into a message.
pub(super) struct Letter {
    message: Message,
    broker: Arc<Broker>,
    /// The lease whose token stands for the credential.
    lease: LeaseId,
    kept: BytesMut,
    seen: usize,
    is_sent: bool,
}

/// Why what the client said is not sent; the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unsendable {
    #[error(transparent)]
    Misplaced(#[from] Misplaced),
    #[error("a message that may hold the credential came in parts; send it in one frame")]
    InParts,
    #[error("a message that may hold the credential is longer than 64 KiB")]
    TooLong,
    #[error("none of the first 32 messages has the credential's place")]
    TooLate,
    #[error("the client sent no frame of a WebSocket")]
    NoFrame,
}

/// The head of a frame.
struct Head {
    first: u8,
    mask: [u8; 4],
    length: usize,
    size: usize,
}

const TEXT: u8 = 1;
const CONTINUATION: u8 = 0;
const FINAL: u8 = 0x80;
const RESERVED: u8 = 0x70;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;
/// The length follows in two bytes.
const SHORT: u8 = 0x7e;
/// The length follows in eight.
const LONG: u8 = 0x7f;

impl Letter {
    pub(super) fn new(message: Message, broker: Arc<Broker>, lease: LeaseId) -> Self {
        Self { message, broker, lease, kept: BytesMut::new(), seen: 0, is_sent: false }
    }

    /// Whether the credential has been written: from now on frames pass as they are.
    pub(super) fn is_sent(&self) -> bool {
        self.is_sent
    }

    /// The next bytes of the client; what of it goes on.
    pub(super) fn feed(&mut self, data: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unsendable> {
        self.kept.extend_from_slice(data);
        let mut out = Zeroizing::new(Vec::with_capacity(self.kept.len()));
        while !self.is_sent {
            let Some(head) = Head::read(&self.kept)? else { return Ok(out) };
            if head.length > MOST {
                return Err(Unsendable::TooLong);
            }
            let whole = head.size + head.length;
            if self.kept.len() < whole {
                return Ok(out);
            }
            self.pass(&head, &mut out)?;
            self.kept.advance(whole);
        }
        out.extend_from_slice(&std::mem::take(&mut self.kept));
        Ok(out)
    }

    /// One whole frame at the beginning of what is kept.
    fn pass(&mut self, head: &Head, out: &mut Vec<u8>) -> Result<(), Unsendable> {
        let frame = self.kept.get(..head.size + head.length).unwrap_or_default();
        match head.first & OPCODE {
            TEXT if head.first & FINAL == 0 => return Err(Unsendable::InParts),
            TEXT => {}
            CONTINUATION => return Err(Unsendable::NoFrame),
            _ => {
                out.extend_from_slice(frame); // pings and the like, and binary messages
                return Ok(());
            }
        }
        self.seen += 1;
        if self.seen > BEFORE {
            return Err(Unsendable::TooLate);
        }
        let mut payload = Zeroizing::new(frame.get(head.size..).unwrap_or_default().to_vec());
        apply(head.mask, &mut payload);
        let Some(mut written) = self.message.write(&payload, |text| self.is_token(text))? else {
            out.extend_from_slice(frame);
            return Ok(());
        };
        out.reserve(HEAD + written.len() + self.kept.len()); // it does not move once a credential is in it
        out.push(head.first);
        match (u8::try_from(written.len()), u16::try_from(written.len())) {
            (Ok(short @ ..126), _) => out.push(MASKED | short),
            (_, Ok(length)) => {
                out.push(MASKED | SHORT);
                out.extend_from_slice(&length.to_be_bytes());
            }
            _ => {
                out.push(MASKED | LONG);
                out.extend_from_slice(&(written.len() as u64).to_be_bytes());
            }
        }
        out.extend_from_slice(&head.mask);
        apply(head.mask, &mut written);
        out.extend_from_slice(&written);
        self.is_sent = true;
        Ok(())
    }
}

impl Letter {
    /// Whether this is the token of the lease; that of another one is astray.
    fn is_token(&self, text: &[u8]) -> bool {
        match self.broker.leases().find(text) {
            Found::Live(lease) if lease.id == self.lease => true,
            Found::Live(lease) => {
                self.broker.on_stray(&lease);
                false
            }
            _ => false,
        }
    }
}

impl Head {
    /// The head at the beginning of these bytes; `None` while it is not whole.
    fn read(bytes: &[u8]) -> Result<Option<Self>, Unsendable> {
        let [first, second, rest @ ..] = bytes else { return Ok(None) };
        if first & RESERVED != 0 || second & MASKED == 0 {
            return Err(Unsendable::NoFrame); // no extension was negotiated, and clients mask (5.1)
        }
        let (length, wide) = match second & !MASKED {
            SHORT => (rest.first_chunk().map(|bytes| u16::from_be_bytes(*bytes).into()), 2),
            LONG => (rest.first_chunk().map(|bytes| u64::from_be_bytes(*bytes)), 8),
            length => (Some(u64::from(length)), 0),
        };
        let mask = rest.get(wide..).and_then(|rest| rest.first_chunk::<4>());
        let Some((length, mask)) = length.zip(mask) else { return Ok(None) };
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(MOST + 1);
        let size = 2 + wide + 4;
        Ok(Some(Self { first: *first, mask: *mask, length, size }))
    }
}

/// Masks, or takes the mask off (5.3).
fn apply(mask: [u8; 4], payload: &mut [u8]) {
    for (byte, key) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}
