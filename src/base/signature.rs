//! Public keys of Ed25519 (RFC 8032) and the checking of signatures with them.

use std::{fmt, str::FromStr};

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A public key, written as the base64 of its 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ed25519Key([u8; 32]);

/// Why a text is no public key; the writer's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no Ed25519 public key; it is the base64 of 32 bytes, 44 characters with one `=`")]
pub struct Ed25519KeyError(String);

impl Ed25519Key {
    /// Whether this is the key's signature of exactly this message.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(message, signature).is_ok()
    }
}

impl FromStr for Ed25519Key {
    type Err = Ed25519KeyError;

    fn from_str(text: &str) -> Result<Self, Ed25519KeyError> {
        let bytes = STANDARD.decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| Ed25519KeyError(text.chars().take(60).flat_map(char::escape_default).collect()))
    }
}

impl fmt::Display for Ed25519Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Ed25519Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ed25519Key({self})")
    }
}

impl Serialize for Ed25519Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Ed25519Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn the_second_vector_of_rfc_8032_verifies_and_nothing_else_does() {
        // RFC 8032, 7.1, TEST 2
        let key: [u8; 32] =
            bytes("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c").try_into().unwrap();
        let signature = bytes(
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb\
             4302aeeb00d291612bb0c00",
        );
        let key = Ed25519Key(key);
        assert!(key.verifies(&[0x72], &signature));
        assert!(!key.verifies(&[0x73], &signature));
        assert!(!key.verifies(&[0x72], &signature[..63]) && !key.verifies(&[0x72], b""));
        assert_eq!(key.to_string().parse(), Ok(key));
    }

    #[test]
    fn what_is_no_key_says_what_one_is() {
        for text in ["", "AAAA", "not base64 at all", "\u{1b}[31m"] {
            let error = text.parse::<Ed25519Key>().unwrap_err().to_string();
            assert!(error.contains("32 bytes") && !error.contains('\u{1b}'), "{error}");
        }
    }
}
