//! What scans find and what they leave: vectors for every shape, and files as they come.

mod files;
mod vectors;

use std::sync::Arc;

use super::{Patterns, ServiceShape};
use crate::recipe::{Alphabet, TokenShape};

/// A service with a beginning, one whose variable tells, and our own tokens for both.
fn patterns() -> Patterns {
    let shape = |name: &str, prefixes: &[&str], variable: &str, lease: &str| ServiceShape {
        name: name.to_owned(),
        prefixes: prefixes.iter().map(|prefix| (*prefix).to_owned()).collect(),
        length: None,
        fits: Arc::new(|value| value.len() >= 20),
        env: vec![variable.to_owned()],
        lease: TokenShape::new(lease, Alphabet::Base62, 31).unwrap(),
    };
    Patterns::new(vec![
        shape("Acme key", &["acme_", "acme_live_"], "ACME_KEY", "acme_"),
        shape("Bare key", &[], "BARE_ACCOUNT_ID", "lse_"),
        shape("OpenAI key", &["sk-", "sk-proj-"], "OPENAI_API_KEY", "sk-proj-"),
    ])
    .unwrap()
}

/// The names of what is found in a text.
fn found(text: &str) -> Vec<String> {
    let patterns = patterns();
    patterns.find(text.as_bytes(), 0..text.len()).iter().map(|one| one.name.to_owned()).collect()
}

/// Letters that look random and are the same every time; made here, so that no scanner finds them in our source.
fn letters(alphabet: &str, count: usize) -> String {
    let alphabet: Vec<char> = alphabet.chars().collect();
    let mut state = 0x2545_f491_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap()
    };
    (0..count).map(|_| alphabet[next() % alphabet.len()]).collect()
}

const ALNUM: &str = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ123456789";
