//! Finds tokens of known shapes in any bytes: exact, in one pass, wherever they stand and whatever stands around them.
//!
//! Every run of zeros is looked at once; the end of the run and a shape say where a token would begin. A `:` or `/` of
//! a prefix is also recognised as forms, URLs and JSON write it (`%3A`, `%2F`, `\/`).

use std::ops::Range;

use super::{
    candidates::zero_runs,
    token::{Slot, run_end, tail_layout},
};
use crate::recipe::{Alphabet, TokenShape};

/// The known shapes, ready to be looked for.
#[derive(Debug, Default)]
pub struct TokenFinder {
    spellings: Vec<Spelling>,
}

/// One shape with one way to write its prefix.
#[derive(Debug)]
struct Spelling {
    prefix: Box<str>,
    written_prefix: usize,
    alphabet: Alphabet,
    slots: Vec<Slot>,
    run_end: usize,
    telling: Telling,
}

/// Whether a shape is so particular that whatever has it must have been meant as a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Telling {
    /// No: short or purely alphanumeric prefixes also occur in dumps of numbers.
    No,
    /// Yes: at least three characters, one of which joins words.
    Yes,
}

/// A place that has the exact shape of a token.
#[derive(Debug)]
pub(super) struct Match {
    /// Where it is written.
    pub(super) range: Range<usize>,
    /// The token that it stands for.
    pub(super) token: Vec<u8>,
    /// Whether it must be meant as a lease.
    pub(super) telling: Telling,
}

impl TokenFinder {
    /// A finder for these shapes.
    pub fn new<'a>(shapes: impl IntoIterator<Item = &'a TokenShape>) -> Self {
        Self { spellings: shapes.into_iter().flat_map(Spelling::all).collect() }
    }

    /// The longest way to write a token of a known shape, in bytes.
    pub(super) fn longest(&self) -> usize {
        self.spellings.iter().map(|spelling| spelling.slots.len()).max().unwrap_or(0)
    }

    /// Where a known shape stands, live or not and whatever stands around it, by the position of its run.
    pub fn ranges(&self, text: &[u8]) -> impl Iterator<Item = Range<usize>> {
        self.matches(text).map(|found| found.range)
    }

    /// Every place that has a known shape, by the position of its run.
    pub(super) fn matches(&self, text: &[u8]) -> impl Iterator<Item = Match> {
        zero_runs(text)
            .flat_map(move |run| self.spellings.iter().filter_map(move |spelling| spelling.at(text, run.end)))
    }

    /// How many bytes at the end of a text could be the beginning of a token that is not complete yet.
    pub(super) fn unfinished(&self, text: &[u8]) -> usize {
        let longest = self.longest().saturating_sub(1).min(text.len());
        let tail = text.get(text.len() - longest..).unwrap_or_default();
        let begins = |at: &usize| {
            let rest = tail.get(*at..).unwrap_or_default();
            self.spellings.iter().any(|spelling| spelling.begins_with(rest))
        };
        (0..tail.len()).find(begins).map_or(0, |at| tail.len() - at)
    }
}

impl Spelling {
    fn all(shape: &TokenShape) -> Vec<Self> {
        let prefix = shape.prefix();
        let mut written = vec![prefix.to_owned()];
        if prefix.contains([':', '/']) {
            written.push(prefix.replace(':', "%3A").replace('/', "%2F"));
            written.push(prefix.replace(':', "%3a").replace('/', "%2f"));
        }
        if prefix.contains('/') {
            written.push(prefix.replace('/', "\\/"));
        }
        written.iter().map(|written| Self::new(shape, written)).collect()
    }

    fn new(shape: &TokenShape, written: &str) -> Self {
        let mut slots: Vec<Slot> = written.bytes().map(Slot::Byte).collect();
        slots.extend(tail_layout(shape));
        // the run is the only thing whose place must be known, so everything else may be any letter
        let sample: Vec<u8> = slots.iter().map(|slot| if let Slot::Byte(byte) = slot { *byte } else { b'x' }).collect();
        let prefix = shape.prefix();
        let joined = prefix.contains(|c: char| !c.is_ascii_alphanumeric());
        Self {
            prefix: prefix.into(),
            written_prefix: written.len(),
            alphabet: shape.alphabet(),
            run_end: run_end(&sample).unwrap_or_default(),
            slots,
            telling: if joined && prefix.len() >= 3 { Telling::Yes } else { Telling::No },
        }
    }

    /// The token of this spelling whose run ends here, if there is one.
    fn at(&self, text: &[u8], run_end: usize) -> Option<Match> {
        let start = run_end.checked_sub(self.run_end)?;
        let range = start..start + self.slots.len();
        let written = text.get(range.clone())?;
        if !self.takes(written) {
            return None;
        }
        let token = [self.prefix.as_bytes(), written.get(self.written_prefix..)?].concat();
        Some(Match { range, token, telling: self.telling })
    }

    fn begins_with(&self, text: &[u8]) -> bool {
        text.len() < self.slots.len() && self.takes(text)
    }

    fn takes(&self, text: &[u8]) -> bool {
        text.iter().zip(&self.slots).all(|(&byte, slot)| slot.takes(byte, self.alphabet))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::LeaseToken, *};

    fn shape(prefix: &str) -> TokenShape {
        TokenShape::new(prefix, Alphabet::Base62, 31).unwrap()
    }

    #[test]
    fn a_token_is_found_in_the_middle_of_letters() {
        let shape = shape("ghp_");
        let finder = TokenFinder::new([&shape]);
        let token = LeaseToken::generate(&shape);
        let text = format!("0%3D{0}x000000{0}", token.expose());
        let found: Vec<_> = finder.matches(text.as_bytes()).collect();
        assert_eq!(found.iter().map(|m| m.range.clone()).collect::<Vec<_>>(), [4..35, 42..73]);
        assert!(found.iter().all(|m| m.token == token.expose().as_bytes()));
    }

    #[test]
    fn prefixes_are_found_as_forms_and_json_write_them() {
        for prefix in ["7000000000:", "2/"] {
            let shape = shape(prefix);
            let finder = TokenFinder::new([&shape]);
            let token = LeaseToken::generate(&shape);
            let raw = token.expose();
            let [upper, lower] =
                [("%3A", "%2F"), ("%3a", "%2f")].map(|(colon, slash)| raw.replace(':', colon).replace('/', slash));
            for written in [raw, &upper, &lower, &raw.replace('/', "\\/")] {
                let text = format!("key={written}&x=1");
                let found = finder.matches(text.as_bytes()).next().expect(written);
                assert_eq!((&text[found.range], found.token.as_slice()), (written, raw.as_bytes()));
            }
        }
    }

    #[test]
    fn only_what_could_become_a_token_is_unfinished() {
        let finder = TokenFinder::new([&shape("ghp_"), &shape("2/")]);
        for (text, held) in [
            ("", 0),
            ("data: {\"a\":1}\n\n", 0),
            ("a sentence.", 0),
            ("thing", 1),
            ("xghp", 3),
            ("ghp_abcdefg", 11),
            ("ghp_abcdefg ", 0),
            ("ghp_abcdefg-", 0),
            ("ghp_abcdefghij000000", 20),
            ("ghp_abcdefghij00100", 0), // the run is broken
            ("1%3", 0),
            ("12%2", 3),
        ] {
            assert_eq!(finder.unfinished(text.as_bytes()), held, "{text}");
        }
    }
}
