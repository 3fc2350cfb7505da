//! Private keys of Ed25519 (RFC 8032) that sign for this home.

use std::fmt;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::{Ed25519Key, random};

/// A private key; its seed is wiped on drop and never printed.
pub struct SigningKey {
    seed: Zeroizing<[u8; 32]>,
    pair: Ed25519KeyPair,
    public: Ed25519Key,
}

impl SigningKey {
    /// A fresh key.
    #[expect(clippy::expect_used, reason = "every 32 bytes are a seed; a test makes keys of the extremes")]
    pub fn generate() -> Self {
        Self::from_seed(&*Zeroizing::new(random::<32>())).expect("32 bytes are a seed")
    }

    /// The key of a seed that [`SigningKey::seal`] gave away; `None` when it is not 32 bytes.
    pub fn from_seed(seed: &[u8]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
        let public = STANDARD.encode(pair.public_key().as_ref()).parse().ok()?;
        Some(Self { seed: Zeroizing::new(seed.try_into().ok()?), pair, public })
    }

    /// Hands the seed to whoever seals it at rest, and to nobody else.
    pub fn seal<T>(&self, seal: impl FnOnce(&[u8]) -> T) -> T {
        seal(&*self.seed)
    }

    /// The public counterpart.
    pub const fn public(&self) -> Ed25519Key {
        self.public
    }

    /// The signature of a message, in base64. Takes some twenty microseconds.
    pub fn sign(&self, message: &[u8]) -> String {
        STANDARD.encode(self.pair.sign(message).as_ref())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(of {})", self.public)
    }
}

/// Whether this text is, in base64, the key's signature of exactly this message.
pub fn is_signed_by(key: &Ed25519Key, message: &[u8], signature: &str) -> bool {
    STANDARD.decode(signature).is_ok_and(|signature| key.verifies(message, &signature))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_vector_of_rfc_8032_is_signed_alike() {
        // RFC 8032, 7.1, TEST 1: the empty message
        let seed = [
            0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44, 0x49,
            0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
        ];
        let key = SigningKey::from_seed(&seed).unwrap();
        assert_eq!(key.public().to_string(), "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
        let signature = key.sign(b"");
        assert!(signature.starts_with("5VZDAMNgrHKQhuLMgG6CioSHfx645dl02HPgZSJJAVVfuIIVkKM7rMYeOXAc"), "{signature}");
        assert!(is_signed_by(&key.public(), b"", &signature));
        assert!(!is_signed_by(&key.public(), b"x", &signature) && !is_signed_by(&key.public(), b"", "garbage"));
    }

    #[test]
    fn a_sealed_seed_makes_the_same_key_and_debug_shows_none_of_it() {
        let key = SigningKey::generate();
        let again = key.seal(SigningKey::from_seed).unwrap();
        assert_eq!((again.public(), again.sign(b"m")), (key.public(), key.sign(b"m")));
        assert_eq!(format!("{key:?}"), format!("SigningKey(of {})", key.public()));
        for seed in [[0; 32], [0xff; 32]] {
            assert!(SigningKey::from_seed(&seed).is_some());
        }
        assert!(SigningKey::from_seed(&[0; 31]).is_none() && SigningKey::from_seed(b"").is_none());
    }
}
