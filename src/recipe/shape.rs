//! What a lease token looks like: a provider's prefix, random characters, a run of six zeros, random characters.
//!
//! The shape keeps clients content (prefix, alphabet) and secret scanners silent (the zero run, at most 31
//! characters), and lets us recognise our own tokens offline.

use serde::{Deserialize, Serialize};

/// The characters of the random part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Alphabet {
    /// `0-9A-Za-z`
    #[default]
    #[serde(rename = "base62")]
    Base62,
    /// `0-9a-f`
    #[serde(rename = "hex")]
    Hex,
    /// `A-Z0-9`
    #[serde(rename = "A-Z0-9")]
    Upper,
}

impl Alphabet {
    /// The characters.
    pub const fn characters(self) -> &'static [u8] {
        match self {
            Self::Base62 => b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
            Self::Hex => b"0123456789abcdef",
            Self::Upper => b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        }
    }

    /// Random bits per character.
    fn bits(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "at most 62")]
        let count = self.characters().len() as f64;
        count.log2()
    }
}

/// The shape of the lease tokens of one credential.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenShape {
    prefix: Box<str>,
    alphabet: Alphabet,
    length: usize,
}

/// Why a shape is not usable; the policy author's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// Longer than what generic scanner rules leave alone.
    #[error("a lease token has at most 31 characters, not {0}")]
    TooLong(usize),
    /// Too few random characters.
    #[error("`{prefix}` with {length} characters leaves {bits} random bits; at least 71 are needed")]
    TooWeak {
        /// The prefix.
        prefix: String,
        /// The length asked for.
        length: usize,
        /// What is left.
        bits: u32,
    },
    /// The prefix holds characters that a header, a URL or a shell would mangle.
    #[error("`{0}` is no usable prefix; it takes letters, digits and `-_.:/`")]
    Prefix(String),
}

impl TokenShape {
    /// The run that marks a lease token.
    pub const ZERO_RUN: &str = "000000";
    /// The longest token.
    pub const MAX_LENGTH: usize = 31;
    /// The fewest random bits.
    pub const MIN_BITS: u32 = 71;

    /// A shape with this prefix, alphabet and total length.
    pub fn new(prefix: &str, alphabet: Alphabet, length: usize) -> Result<Self, ShapeError> {
        if length > Self::MAX_LENGTH {
            return Err(ShapeError::TooLong(length));
        }
        let usable = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':' | b'/');
        if !prefix.bytes().all(usable) {
            return Err(ShapeError::Prefix(prefix.escape_default().to_string()));
        }
        let shape = Self { prefix: prefix.into(), alphabet, length };
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "small"
        )]
        let bits = (shape.random_len() as f64 * alphabet.bits()) as u32;
        if bits < Self::MIN_BITS {
            return Err(ShapeError::TooWeak { prefix: prefix.to_owned(), length, bits });
        }
        Ok(shape)
    }

    /// The shape of secrets that belong to no service: `lse_`, base62, 31 characters.
    pub fn plain() -> Self {
        Self { prefix: "lse_".into(), alphabet: Alphabet::Base62, length: Self::MAX_LENGTH }
    }

    /// The prefix that clients look for.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The characters of the random part.
    pub const fn alphabet(&self) -> Alphabet {
        self.alphabet
    }

    /// The total length.
    pub const fn length(&self) -> usize {
        self.length
    }

    /// Whether the prefix already holds the zero run (`sk_live_000000_`, `7000000000:`), so that none is added.
    pub fn prefix_has_run(&self) -> bool {
        self.prefix.contains(Self::ZERO_RUN)
    }

    /// How many random characters a token has.
    pub fn random_len(&self) -> usize {
        let run = if self.prefix_has_run() { 0 } else { Self::ZERO_RUN.len() };
        self.length.saturating_sub(self.prefix.len() + run)
    }
}

impl Default for TokenShape {
    fn default() -> Self {
        Self::plain()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_leaves_enough_chance() {
        assert_eq!(TokenShape::new("sk-ant-api03-", Alphabet::Base62, 31).unwrap().random_len(), 12);
        assert_eq!(TokenShape::new("glpat-", Alphabet::Base62, 25).unwrap().random_len(), 13);
        assert_eq!(TokenShape::new("sk_live_000000_", Alphabet::Base62, 31).unwrap().random_len(), 16);
        assert!(matches!(TokenShape::new("sk-", Alphabet::Base62, 32), Err(ShapeError::TooLong(32))));
        assert!(matches!(TokenShape::new("sk-ant-api03-", Alphabet::Hex, 31), Err(ShapeError::TooWeak { .. })));
        assert!(matches!(TokenShape::new("a b", Alphabet::Hex, 31), Err(ShapeError::Prefix(_))));
    }
}
