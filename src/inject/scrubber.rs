//! Removing echoes from a body as it streams: holds back only a tail that may still become an echo, and that would
//! tell something by itself; the search goes on across a shorter one.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::Echoes;

/// The scrubber of one body.
pub struct Scrubber {
    echoes: Arc<Echoes>,
    replacements: Vec<Bytes>,
    /// The beginning of what may become an echo.
    tail: BytesMut,
    /// How much of it has been passed on already.
    passed: usize,
    found: u64,
}

impl Scrubber {
    /// How long a beginning of a credential must be before it is held back: a shorter one tells too little, and a
    /// conversation must not wait for a byte that only looks like the first letter of a prefix.
    pub const TELLING: usize = 12;

    /// A scrubber that puts these in place of echoes, in the order of the credentials.
    pub fn new(echoes: Arc<Echoes>, replacements: Vec<Bytes>) -> Self {
        Self { echoes, replacements, tail: BytesMut::new(), passed: 0, found: 0 }
    }

    /// How many echoes were replaced so far.
    pub const fn found(&self) -> u64 {
        self.found
    }

    /// What may be passed on after this chunk; the chunk itself, uncopied, when there is nothing to do.
    pub fn feed(&mut self, chunk: Bytes) -> Bytes {
        if self.tail.is_empty() {
            return self.clean(chunk);
        }
        let mut joined = std::mem::take(&mut self.tail);
        joined.extend_from_slice(&chunk);
        self.clean(joined.freeze())
    }

    /// What need not wait when nothing more is there for now: a tail shorter than [`Self::TELLING`]. The search goes
    /// on across it.
    pub fn flush(&mut self) -> Bytes {
        if self.tail.len() >= Self::TELLING {
            return Bytes::new();
        }
        let passed = std::mem::replace(&mut self.passed, self.tail.len());
        Bytes::copy_from_slice(self.tail.get(passed..).unwrap_or_default())
    }

    /// What was held back, now that the body has ended. A cut-off echo is no echo, but most of a credential is
    /// still most of a credential: from [`Self::TELLING`] bytes on, the rest is replaced too.
    pub fn finish(&mut self) -> Bytes {
        let (mut tail, passed) = (std::mem::take(&mut self.tail), std::mem::take(&mut self.passed));
        if tail.len() < Self::TELLING {
            return tail.split_off(passed).freeze();
        }
        self.found += 1;
        Bytes::from_static(b"[scrubbed]")
    }

    fn clean(&mut self, mut text: Bytes) -> Bytes {
        let mut clean = BytesMut::new();
        let (mut searched, mut told) = (0, std::mem::take(&mut self.passed));
        while let Some(echo) = self.echoes.first_in(&text, searched) {
            clean.extend_from_slice(text.get(told..echo.start).unwrap_or_default());
            clean.extend_from_slice(self.replacements.get(echo.owner).map_or(b"[scrubbed]", |r| &r[..]));
            self.found += 1;
            (searched, told) = (echo.end, echo.end);
        }
        let open = self.echoes.open_tail(&text, searched);
        let until = open.max(told);
        self.tail.extend_from_slice(text.get(open..).unwrap_or_default());
        self.passed = until - open;
        if told == 0 && clean.is_empty() {
            text.truncate(until);
            return text;
        }
        clean.extend_from_slice(text.get(told..until).unwrap_or_default());
        clean.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SecretBytes;

    const SECRET: &[u8] = b"sk-proj-abcdef-abcdef-0123456789";

    fn scrub(chunks: &[&[u8]]) -> (Vec<u8>, u64) {
        scrub_by(chunks, false)
    }

    fn scrub_by(chunks: &[&[u8]], flushing: bool) -> (Vec<u8>, u64) {
        let echoes = Arc::new(Echoes::of(&[SecretBytes::new(SECRET.to_vec())]));
        let mut scrubber = Scrubber::new(echoes, vec![Bytes::from_static(b"LEASE")]);
        let mut out = Vec::new();
        for chunk in chunks {
            out.extend_from_slice(&scrubber.feed(Bytes::copy_from_slice(chunk)));
            if flushing {
                out.extend_from_slice(&scrubber.flush());
            }
        }
        out.extend_from_slice(&scrubber.finish());
        (out, scrubber.found())
    }

    /// How many bytes of the secret stand in a body of two echoes beside their replacements.
    fn told_before_lease(out: &[u8]) -> usize {
        let clean: &[u8] = b"{\"key\":\"LEASE\",\"again\":\"LEASE\"}";
        let told = out.len().checked_sub(clean.len()).expect("both were replaced");
        let text = String::from_utf8(out.to_vec()).unwrap();
        let prefix = std::str::from_utf8(&SECRET[..told]).unwrap();
        assert_eq!(text.replacen(&format!("{prefix}LEASE"), "LEASE", usize::from(told > 0)).as_bytes(), clean);
        told
    }

    #[test]
    fn attack_69_an_echo_split_at_every_place_is_found() {
        let body = [b"{\"key\":\"", SECRET, b"\",\"again\":\"", SECRET, b"\"}"].concat();
        for at in 0..=body.len() {
            let (out, found) = scrub(&[&body[..at], &body[at..]]);
            assert_eq!((out, found), (b"{\"key\":\"LEASE\",\"again\":\"LEASE\"}".to_vec(), 2), "split at {at}");
            // A beginning that tells nothing may be passed on before the rest comes.
            let (out, found) = scrub_by(&[&body[..at], &body[at..]], true);
            let told = if found == 2 { told_before_lease(&out) } else { usize::MAX };
            assert!(told < Scrubber::TELLING, "split at {at}: {}", String::from_utf8_lossy(&out));
        }
        let bytes: Vec<&[u8]> = body.chunks(1).collect();
        assert_eq!(scrub(&bytes).1, 2);
    }

    #[test]
    fn attack_70_nothing_is_held_back_that_cannot_become_an_echo() {
        let echoes = Arc::new(Echoes::of(&[SecretBytes::new(SECRET.to_vec())]));
        let mut scrubber = Scrubber::new(echoes, vec![Bytes::from_static(b"LEASE")]);
        let event = Bytes::from_static(b"data: {\"delta\":\"hello\"}\n\n");
        assert_eq!(scrubber.feed(event.clone()), event);
        assert_eq!(scrubber.feed(Bytes::from_static(b"x sk-proj")), "x ");
        assert_eq!((scrubber.flush(), scrubber.flush()), (Bytes::from_static(b"sk-proj"), Bytes::new()));
        assert_eq!(scrubber.feed(Bytes::from_static(b"ect\n\n")), "ect\n\n");
        assert_eq!(scrubber.feed(Bytes::from_static(b"x sk-proj-abcdef")), "x ");
        assert_eq!(scrubber.flush(), "", "this much tells something");
        assert_eq!(scrubber.feed(Bytes::from_static(b"g\n\n")), "sk-proj-abcdefg\n\n");
        assert_eq!(scrubber.finish(), "");
    }

    #[test]
    fn an_unfinished_beginning_of_a_credential_is_passed_on_at_the_end() {
        assert_eq!(scrub(&[b"sk-proj-abc"]), (b"sk-proj-abc".to_vec(), 0));
        assert_eq!(scrub(&[b"key=sk-proj-abcdef-abcdef-012345678"]), (b"key=[scrubbed]".to_vec(), 1), "one byte short");
        assert_eq!(scrub(&[b"sk-sk-proj-abcdef-abcdef-0123456789"]), (b"sk-LEASE".to_vec(), 1));
    }

    #[test]
    fn two_credentials_have_two_replacements() {
        let secrets = [SecretBytes::new(b"first-secret".to_vec()), SecretBytes::new(b"second-secret".to_vec())];
        let echoes = Echoes::of(&secrets);
        let clean = echoes.replace(b"second-secret first-secret", &[b"L1", b"L2"]);
        assert_eq!(clean.unwrap(), b"L2 L1");
        assert_eq!(echoes.replace(b"nothing", &[b"L1", b"L2"]), None);
    }
}
