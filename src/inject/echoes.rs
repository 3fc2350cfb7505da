//! An opaque matcher for every spelling of the credentials of one exchange.

use std::fmt;

use aho_corasick::{AhoCorasick, MatchKind};
use zeroize::Zeroize as _;

use super::spellings::spellings;
use crate::base::SecretBytes;

/// What an answer is searched for. Built once per set of secret values and shared.
pub struct Echoes {
    search: AhoCorasick,
    patterns: Vec<Pattern>,
    longest: usize,
    first_bytes: [bool; 256],
}

struct Pattern {
    bytes: Vec<u8>,
    /// Which of the credentials, in the order given.
    owner: usize,
}

/// One echo in a text.
pub(super) struct Echo {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) owner: usize,
}

impl Echoes {
    /// A matcher for these credentials; a hit names the position of its credential in the list.
    pub fn of(credentials: &[SecretBytes]) -> Self {
        Self::of_generations(credentials.iter().enumerate())
    }

    /// A matcher for values and the credentials that they are or were: a value that was replaced and still lives is
    /// owned by the same credential as the one that replaced it.
    pub fn of_generations<'a>(values: impl IntoIterator<Item = (usize, &'a SecretBytes)>) -> Self {
        let mut patterns = Vec::new();
        for (owner, credential) in values {
            let spelt = spellings(credential.expose()).into_iter();
            patterns.extend(spelt.map(|bytes| Pattern { bytes, owner }));
        }
        let search = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(patterns.iter().map(|pattern| &pattern.bytes))
            .or_else(|_| AhoCorasick::new([""; 0]));
        let mut first_bytes = [false; 256];
        for pattern in &patterns {
            if let Some(seen) = pattern.bytes.first().and_then(|&b| first_bytes.get_mut(usize::from(b))) {
                *seen = true;
            }
        }
        #[expect(clippy::expect_used, reason = "an automaton of no pattern always builds")]
        let search = search.expect("an empty automaton");
        Self { search, longest: patterns.iter().map(|p| p.bytes.len()).max().unwrap_or(0), patterns, first_bytes }
    }

    pub(super) fn first_in(&self, text: &[u8], from: usize) -> Option<Echo> {
        let found = self.search.find(aho_corasick::Input::new(text).span(from..text.len()))?;
        let owner = self.patterns.get(found.pattern().as_usize())?.owner;
        Some(Echo { start: found.start(), end: found.end(), owner })
    }

    /// Where the shortest tail begins that may still become an echo; the text's length when there is none.
    pub(super) fn open_tail(&self, text: &[u8], from: usize) -> usize {
        let earliest = from.max((text.len() + 1).saturating_sub(self.longest));
        let candidates = text.get(earliest..).unwrap_or_default().iter().enumerate();
        for (at, &byte) in candidates {
            let start = earliest + at;
            if self.first_bytes.get(usize::from(byte)).copied().unwrap_or(false) {
                let tail = text.get(start..).unwrap_or_default();
                if self.patterns.iter().any(|pattern| pattern.bytes.starts_with(tail)) {
                    return start;
                }
            }
        }
        text.len()
    }

    /// The text with every echo replaced, or `None` when it has none. `replacements` in the order of the credentials.
    pub fn replace(&self, text: &[u8], replacements: &[&[u8]]) -> Option<Vec<u8>> {
        let mut at = 0;
        let mut clean = Vec::new();
        while let Some(echo) = self.first_in(text, at) {
            clean.extend_from_slice(text.get(at..echo.start).unwrap_or_default());
            clean.extend_from_slice(replacements.get(echo.owner).copied().unwrap_or(b"[scrubbed]"));
            at = echo.end;
        }
        if at == 0 {
            return None;
        }
        clean.extend_from_slice(text.get(at..).unwrap_or_default());
        Some(clean)
    }

    /// Whether the text holds an echo.
    pub fn is_in(&self, text: &[u8]) -> bool {
        self.search.is_match(text)
    }
}

impl Drop for Echoes {
    fn drop(&mut self) {
        for pattern in &mut self.patterns {
            pattern.bytes.zeroize();
        }
    }
}

impl fmt::Debug for Echoes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Echoes(..)")
    }
}
