//! Lease tokens recognised by their looks alone, without a table: the zero run and what stands around it.
//!
//! One pass over the text; every span is at most [`TokenShape::MAX_LENGTH`] bytes. Who has a table asks it instead
//! ([`super::LeaseTable::find_stray`]): it knows the exact shapes.

use std::ops::Range;

use memchr::memmem;

use crate::recipe::TokenShape;

const RUN: usize = TokenShape::ZERO_RUN.len();
/// The fewest random characters of a token: 71 bits of base62.
const MIN_RANDOM: usize = 12;
/// The most random characters behind the run: half of a token without a prefix.
const MAX_AFTER: usize = (TokenShape::MAX_LENGTH - RUN).div_ceil(2);

/// Spans that hold a lease token if it stands by itself, between characters that no token has. A span may begin
/// before its token (in a path, `/v1/` looks like a prefix).
pub fn token_candidates(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    zero_runs(text).filter_map(|run| around(text, run))
}

/// Whether a text as a whole looks like a lease token, live or not, whole or with some characters more or less:
/// then it is no foreign credential but a token that we do not know.
pub fn looks_like_lease(text: &[u8]) -> bool {
    text.len() <= 2 * TokenShape::MAX_LENGTH
        && text.iter().all(|&byte| is_token_byte(byte))
        && token_candidates(text).next().is_some()
}

/// Runs of at least six zeros, each as long as it is.
pub(super) fn zero_runs(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let finder = memmem::Finder::new(TokenShape::ZERO_RUN);
    let mut from = 0;
    std::iter::from_fn(move || {
        let rest = text.get(from..)?;
        let at = finder.find(rest)?;
        let length = rest.get(at..)?.iter().take_while(|&&byte| byte == b'0').count();
        let run = from + at..from + at + length;
        from = run.end;
        Some(run)
    })
}

fn around(text: &[u8], run: Range<usize>) -> Option<Range<usize>> {
    let (left, right) = (text.get(..run.start)?, text.get(run.end..)?);
    let after = alphanumerics(right.iter()).min(MAX_AFTER);
    let halves = after >= MIN_RANDOM / 2 && alphanumerics(left.iter().rev()) >= MIN_RANDOM / 2;
    let length = if run.len() == RUN && halves {
        after
    } else {
        // a prefix with a run of its own, such as `sk_live_000000_` or `7000000000:`
        let joint = right.iter().take_while(|&&byte| matches!(byte, b'-' | b'_' | b'.' | b':')).count();
        let random = alphanumerics(right.get(joint..)?.iter());
        if joint > 4 || random < MIN_RANDOM {
            return None;
        }
        joint + random
    };
    let most = TokenShape::MAX_LENGTH.saturating_sub(run.len());
    let length = length.min(most);
    let before = left.iter().rev().take(most - length).take_while(|&&byte| is_token_byte(byte)).count();
    Some(run.start - before..run.end + length)
}

fn alphanumerics<'a>(bytes: impl Iterator<Item = &'a u8>) -> usize {
    bytes.take(TokenShape::MAX_LENGTH).take_while(|byte| byte.is_ascii_alphanumeric()).count()
}

/// Characters that tokens have: letters, digits, and what prefixes join them with.
const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_told_from_keys_and_numbers() {
        for lease in [
            "ghp_Ab3dEf7hIj000000K2mNo4pQr6s",
            "glpat-aB3dE5000000fG7hJ9k",
            "sk_live_000000_aB3dE5fG7hJ9kL1m",
            "7000000000:aB3dE5fG7hJ9kL1mN3pQ",
        ] {
            assert!(looks_like_lease(lease.as_bytes()), "{lease}");
        }
        for other in [
            "",
            "000000",
            "sk-proj-9aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1x",
            "00000000-0000-0000-0000-000000000000",
            "1000000000000000000000000000000",
            "ghp_Ab3dEf7hIj1 000000K2mNo4pQr6",
            "price=1000000&currency=usd",
        ] {
            assert!(!looks_like_lease(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn attack_43_one_letter_more_or_less_still_looks_like_a_lease() {
        let token = "ghp_Ab3dEf7hIj12000000K2mNo4pQr6";
        for text in [token, &token[1..], &token[..31], "Xghp_Ab3dEf7hIj12000000K2mNo4pQr6X"] {
            assert!(looks_like_lease(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn runs_are_found_whole_and_once() {
        let text = b"000000 0000000x00000 y000000";
        assert_eq!(zero_runs(text).collect::<Vec<_>>(), [0..6, 7..14, 22..28]);
        let zeros = [b'0'; 10_000];
        let long: Vec<_> = zero_runs(&zeros).map(|run| (run.start, run.end)).collect();
        assert_eq!(long, [(0, 10_000)]);
    }
}
