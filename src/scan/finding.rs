//! What was found, with nothing of it that could be used.

use std::path::PathBuf;

use super::Severity;
use crate::base::sha256;

/// A secret in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file, absolute.
    pub file: PathBuf,
    /// From 1.
    pub line: u64,
    /// In bytes, from 1.
    pub column: u64,
    /// Which shape it has.
    pub pattern_name: String,
    /// Four characters at each end of a long value, nothing of a short one.
    pub value: String,
    /// How bad it is.
    pub severity: Severity,
    /// What tells it from others without saying it.
    pub fingerprint: Fingerprint,
}

/// SHA-256 of a value, or of its beginning when it is long; never written without a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(pub(super) [u8; 32]);

/// How much of a value is told apart, in bytes.
const TOLD_APART: usize = 512;
/// Shorter values are not shown at all: eight characters would be too much of them.
const SHOWN_FROM: usize = 20;
const SHOWN: usize = 4;

impl Fingerprint {
    /// Of what stands at `start`: the value, or for a header what follows it too.
    pub(super) fn of(value: &[u8]) -> Self {
        Self(sha256(value.get(..TOLD_APART).unwrap_or(value)))
    }
}

/// A value as it may be shown.
pub(super) fn redacted(value: &[u8]) -> String {
    let ends = (value.first_chunk::<SHOWN>(), value.last_chunk::<SHOWN>());
    let (Some(first), Some(last)) = ends else { return "****".to_owned() };
    if value.len() < SHOWN_FROM {
        return "****".to_owned();
    }
    let shown = |part: &[u8; SHOWN]| part.map(|byte| if byte.is_ascii_graphic() { char::from(byte) } else { '?' });
    shown(first).into_iter().chain("...".chars()).chain(shown(last)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_four_characters_at_each_end_are_shown() {
        assert_eq!(redacted(b""), "****");
        assert_eq!(redacted(b"hunter2hunter2hunte"), "****");
        assert_eq!(redacted(b"abcdefghijklmnopqrst"), "abcd...qrst");
        assert_eq!(redacted(b"ab\x1b\ndefghijklmnopqr\xffst\n"), "ab??...?st?");
    }
}
