//! Hashes, random bytes and comparison in constant time; the only file that calls the cryptography library for them.

use std::fmt;

use aws_lc_rs::{
    constant_time, digest, hmac,
    rand::{SecureRandom as _, SystemRandom},
};
use zeroize::Zeroizing;

/// SHA-256 (FIPS 180-4).
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    to_array(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}"); // writing to a `String` cannot fail
    }
    text
}

/// Whether two byte strings are equal, in time that depends on their lengths only.
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}

/// Bytes from the system's generator.
///
/// # Panics
/// When the system has no randomness to give, which no caller could survive safely.
#[expect(clippy::expect_used, reason = "without randomness there are no keys and no tokens; going on would be worse")]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the system gives random bytes");
    bytes
}

/// A number from `0..bound` without bias, by rejection.
pub fn random_below(bound: u8) -> u8 {
    debug_assert!(bound > 0);
    let zone = u8::MAX - (u8::MAX % bound.max(1));
    loop {
        let [byte] = random::<1>();
        if byte < zone {
            return byte % bound.max(1);
        }
    }
}

/// A key for [`KeyedHash`]; wiped on drop, never printed.
pub struct HashKey {
    bytes: Zeroizing<[u8; 32]>,
    key: hmac::Key,
}

impl HashKey {
    /// A fresh key.
    pub fn generate() -> Self {
        Self::from_bytes(random())
    }

    /// A key that was stored.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &bytes), bytes: Zeroizing::new(bytes) }
    }

    /// The key's bytes, for sealing them at rest and for nothing else.
    pub fn expose(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// HMAC-SHA-256 (RFC 2104) of a text under this key.
    pub fn hash(&self, text: &[u8]) -> KeyedHash {
        KeyedHash(to_array(hmac::sign(&self.key, text).as_ref()))
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey(..)")
    }
}

/// A text under a [`HashKey`]: says nothing of the text, and cannot be steered by whoever chose it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyedHash(pub [u8; 32]);

fn to_array(bytes: &[u8]) -> [u8; 32] {
    let mut array = [0; 32];
    for (to, from) in array.iter_mut().zip(bytes) {
        *to = *from;
    }
    array
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_agrees_with_the_standards_example() {
        // FIPS 180-4, example "abc" (csrc.nist.gov, SHA256.pdf)
        assert_eq!(hex(&sha256(b"abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn hmac_agrees_with_rfc_4231_case_2() {
        // The key "Jefe" is shorter than a block, so padding it with zeros to 32 bytes is the same key.
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        let hash = HashKey::from_bytes(key).hash(b"what do ya want for nothing?");
        assert_eq!(hex(&hash.0), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn numbers_below_a_bound_cover_it_and_stay_in_it() {
        let mut seen = [false; 62];
        for _ in 0..5_000 {
            seen[usize::from(random_below(62))] = true;
        }
        assert!(seen.iter().all(|&s| s));
    }

    #[test]
    fn a_key_is_not_printed() {
        assert_eq!(format!("{:?}", HashKey::from_bytes([7; 32])), "HashKey(..)");
    }
}
