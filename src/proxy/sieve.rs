//! Stopping lease tokens in a stream without holding the stream up.
//!
//! Invariant: no token leaves whole. What is held back is at least [`Sieve::TELLING`] bytes long and has the exact shape
//! of a token's beginning: a shorter tail is passed on, because a conversation must not wait for a byte that only looks
//! like the first letter of a prefix; the search goes on across it all the same.

use bytes::{Bytes, BytesMut};

use crate::lease::{Found, LeaseTable, Scan, Stray, StrayScanner};

/// Which finds stop the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stops {
    /// Only tokens that are or were ours: for bytes that may be anything.
    Ours,
    /// Those, and what can only be meant as one.
    Unknown,
}

/// The sieve of one stream.
pub(super) struct Sieve {
    table: LeaseTable,
    scanner: StrayScanner,
    stops: Stops,
    pending: BytesMut,
    /// How many of the bytes that the scanner still looks at have been passed on already.
    early: usize,
}

impl Sieve {
    /// A beginning of a token that is shorter than this tells too little to be held back.
    pub(super) const TELLING: usize = 12;

    pub(super) fn new(table: &LeaseTable, stops: Stops) -> Self {
        Self { table: table.clone(), scanner: table.scanner(), stops, pending: BytesMut::new(), early: 0 }
    }

    /// What may go on after this chunk, or the token that stops the stream.
    pub(super) fn feed(&mut self, chunk: Bytes) -> Result<Bytes, Found> {
        let looked_at = self.scanner.held() + chunk.len();
        let release = match self.scanner.feed(&chunk) {
            Scan::Stray { stray, .. } if self.stops(&stray) => return Err(stray.found),
            Scan::Clean { release } | Scan::Stray { release, .. } => release,
        };
        let unfinished = looked_at.saturating_sub(release);
        if unfinished < Self::TELLING && self.pending.is_empty() {
            self.early = unfinished;
            return Ok(chunk);
        }
        self.pending.extend_from_slice(&chunk);
        let kept = if unfinished < Self::TELLING { 0 } else { unfinished.min(self.pending.len()) };
        self.early = unfinished - kept;
        Ok(self.pending.split_to(self.pending.len() - kept).freeze())
    }

    /// What was held back did not become a token.
    pub(super) fn finish(&mut self) -> Bytes {
        self.pending.split().freeze()
    }

    /// The first token in a text that is no part of the stream.
    pub(super) fn find(&self, text: &[u8]) -> Option<Stray> {
        self.table.find_stray(text).filter(|stray| self.stops(stray))
    }

    fn stops(&self, stray: &Stray) -> bool {
        self.stops == Stops::Unknown || stray.is_ours()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{Clock, HashKey, TimeToLive},
        lease::{AskedBy, NewLease, Right, Scope, Terms},
        recipe::TokenShape,
    };

    fn table() -> (LeaseTable, String) {
        let table = LeaseTable::new(Clock::system(), HashKey::generate());
        let issued = table.issue(NewLease {
            secret: "s".parse().unwrap(),
            right: Right::Token(Scope { service: "x".parse().unwrap(), credential: "key".into() }),
            client: "c".parse().unwrap(),
            session: None,
            asked_by: AskedBy::default(),
            ttl: TimeToLive::HOUR,
            terms: Terms::default(),
            shape: TokenShape::plain(),
        });
        let token = issued.unwrap().token.unwrap().expose().to_owned();
        (table, token)
    }

    fn sift(table: &LeaseTable, chunks: &[&[u8]]) -> (Vec<u8>, bool) {
        let mut sieve = Sieve::new(table, Stops::Unknown);
        let mut out = Vec::new();
        for chunk in chunks {
            match sieve.feed(Bytes::copy_from_slice(chunk)) {
                Ok(clean) => out.extend_from_slice(&clean),
                Err(_) => return (out, true),
            }
        }
        out.extend_from_slice(&sieve.finish());
        (out, false)
    }

    #[test]
    fn attack_39_a_token_split_anywhere_stops_the_stream_before_it_is_told() {
        let (table, token) = table();
        let text = format!("{{\"key\":\"{token}\"}}");
        for at in 0..=text.len() {
            let (out, stopped) = sift(&table, &[&text.as_bytes()[..at], &text.as_bytes()[at..]]);
            assert!(stopped, "split at {at}");
            assert!(out.len() < 8 + Sieve::TELLING, "{} bytes left at split {at}", out.len());
        }
        let single: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        assert!(sift(&table, &single).1);
    }

    #[test]
    fn what_is_no_token_passes_unchanged_however_it_is_split() {
        let (table, token) = table();
        let mut other = token.into_bytes();
        other.truncate(25);
        let text = [b"lse_ l ls lse".as_slice(), &other, b" end l"].concat();
        for at in 0..=text.len() {
            assert_eq!(sift(&table, &[&text[..at], &text[at..]]), (text.clone(), false), "split at {at}");
        }
    }

    #[test]
    fn a_message_that_ends_like_a_prefix_begins_is_not_held_back() {
        let (table, _) = table();
        let mut sieve = Sieve::new(&table, Stops::Ours);
        assert_eq!(sieve.feed(Bytes::from_static(b"a frame that ends in l")).unwrap(), "a frame that ends in l");
        assert_eq!(sieve.feed(Bytes::from_static(b"se_ and goes on")).unwrap(), "se_ and goes on");
    }
}
