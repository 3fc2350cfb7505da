//! Lease tokens: how one is made of a shape, and the one rule of where its zero run stands.
//!
//! Invariant: the run is never longer than the rule says, so that its end tells where the token begins.

use std::fmt;

use zeroize::Zeroizing;

use crate::{
    base::random_below,
    recipe::{Alphabet, TokenShape},
};

/// A fresh lease token, shown once and wiped on drop.
pub struct LeaseToken(Zeroizing<String>);

impl LeaseToken {
    /// The text, for the hands of the client that leased.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// A random token of this shape; at least 71 bits, from the system's generator.
    pub(super) fn generate(shape: &TokenShape) -> Self {
        loop {
            let mut text = Zeroizing::new(String::with_capacity(shape.length()));
            for slot in layout(shape) {
                text.push(char::from(slot.fill(shape.alphabet())));
            }
            if !text.ends_with("AA") {
                return Self(text); // an ending that secret scanners look for
            }
        }
    }
}

impl fmt::Debug for LeaseToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LeaseToken(..)")
    }
}

/// What may stand at one position of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// This byte.
    Byte(u8),
    /// Any character of the alphabet except `0`: beside the run, so that the run has an end.
    NonZero,
    /// Any character of the alphabet.
    Random,
}

impl Slot {
    fn fill(self, alphabet: Alphabet) -> u8 {
        let characters = alphabet.characters();
        let count = u8::try_from(characters.len()).unwrap_or(u8::MAX);
        let pick = match self {
            Self::Byte(byte) => return byte,
            Self::NonZero => 1 + random_below(count.saturating_sub(1)), // `0` is the first of every alphabet
            Self::Random => random_below(count),
        };
        characters.get(usize::from(pick)).copied().unwrap_or(b'0')
    }

    /// Whether this byte may stand here.
    pub(super) fn takes(self, byte: u8, alphabet: Alphabet) -> bool {
        match self {
            Self::Byte(expected) => byte == expected,
            Self::NonZero => byte != b'0' && holds(alphabet, byte),
            Self::Random => holds(alphabet, byte),
        }
    }
}

fn holds(alphabet: Alphabet, byte: u8) -> bool {
    match alphabet {
        Alphabet::Base62 => byte.is_ascii_alphanumeric(),
        Alphabet::Hex => byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'),
        Alphabet::Upper => byte.is_ascii_digit() || byte.is_ascii_uppercase(),
    }
}

/// The rule: prefix, then half of the random characters (rounded down), the zero run, the other half. A prefix that has
/// a run of its own is followed by random characters only.
pub(super) fn layout(shape: &TokenShape) -> Vec<Slot> {
    let mut slots: Vec<Slot> = shape.prefix().bytes().map(Slot::Byte).collect();
    slots.extend(tail_layout(shape));
    slots
}

/// The rule without the prefix.
pub(super) fn tail_layout(shape: &TokenShape) -> Vec<Slot> {
    let random = shape.random_len();
    let mut slots = vec![Slot::Random; random];
    if shape.prefix_has_run() {
        if let (true, Some(first)) = (shape.prefix().ends_with('0'), slots.first_mut()) {
            *first = Slot::NonZero;
        }
        return slots;
    }
    let before = random / 2;
    slots.splice(before..before, TokenShape::ZERO_RUN.bytes().map(Slot::Byte));
    for beside in [before.checked_sub(1), Some(before + TokenShape::ZERO_RUN.len())] {
        if let Some(slot) = beside.and_then(|at| slots.get_mut(at)) {
            *slot = Slot::NonZero;
        }
    }
    slots
}

/// Where the first run of at least six zeros ends in a text, if there is one.
pub(super) fn run_end(text: &[u8]) -> Option<usize> {
    super::candidates::zero_runs(text).next().map(|run| run.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_run_stands_in_the_middle_between_characters_that_are_not_zero() {
        let shape = TokenShape::new("glpat-", Alphabet::Base62, 25).unwrap();
        for _ in 0..200 {
            let token = LeaseToken::generate(&shape);
            let text = token.expose();
            assert_eq!((text.len(), &text[..6], &text[12..18]), (25, "glpat-", "000000"));
            assert!(text.as_bytes()[11] != b'0' && text.as_bytes()[18] != b'0', "{text}");
        }
    }

    #[test]
    fn a_prefix_with_a_run_gets_no_second_one() {
        let shape = TokenShape::new("sk_live_000000_", Alphabet::Base62, 31).unwrap();
        let token = LeaseToken::generate(&shape);
        assert!(token.expose().starts_with("sk_live_000000_") && token.expose().len() == 31);
        let zeros = TokenShape::new("x000000", Alphabet::Hex, 31).unwrap();
        assert!((0..100).all(|_| LeaseToken::generate(&zeros).expose().as_bytes()[7] != b'0'));
    }

    #[test]
    fn every_character_of_the_alphabet_is_used_and_none_other() {
        for alphabet in [Alphabet::Base62, Alphabet::Hex, Alphabet::Upper] {
            let shape = TokenShape::new("p_", alphabet, 31).unwrap();
            let seen: std::collections::BTreeSet<u8> =
                (0..500).flat_map(|_| LeaseToken::generate(&shape).expose()[2..].to_owned().into_bytes()).collect();
            assert_eq!(seen, alphabet.characters().iter().copied().collect());
        }
    }

    #[test]
    fn debug_says_nothing() {
        assert_eq!(format!("{:?}", LeaseToken::generate(&TokenShape::plain())), "LeaseToken(..)");
    }
}
