//! Signatures in the log: a checkpoint signs its own number, the hash of the line before it, and its time.

use crate::base::{Ed25519Key, SigningKey, Timestamp, is_signed_by};

/// Where a checkpoint stands.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) seq: u64,
    pub(super) prev: &'a str,
    pub(super) time: Timestamp,
}

impl Place<'_> {
    /// What is signed. The first line says for what, so that the key's other signatures are worth nothing here.
    fn message(self) -> String {
        let Place { seq, prev, time } = self;
        format!("leasehold audit checkpoint 1\n{seq}\n{prev}\n{time}\n")
    }

    /// The `details` of a checkpoint: public key and signature.
    pub(super) fn sign(self, key: &SigningKey) -> String {
        format!("{} {}", key.public(), key.sign(self.message().as_bytes()))
    }

    /// The key whose signature these `details` hold; `None` when nobody's fits.
    pub(super) fn signer(self, details: &str) -> Option<Ed25519Key> {
        let (key, signature) = details.split_once(' ')?;
        let key = key.parse().ok()?;
        is_signed_by(&key, self.message().as_bytes(), signature).then_some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_one_place() {
        let key = SigningKey::generate();
        let time = Timestamp::from_millis(1_764_000_000_123);
        let place = Place { seq: 7, prev: "00", time };
        let details = place.sign(&key);
        assert!(details.len() < 200, "it fits into the field");
        assert_eq!(place.signer(&details), Some(key.public()));
        assert_eq!(Place { seq: 8, ..place }.signer(&details), None);
        assert_eq!(Place { prev: "01", ..place }.signer(&details), None);
        assert_eq!(Place { time: Timestamp::from_millis(0), ..place }.signer(&details), None);
        let other = SigningKey::generate().public();
        assert_eq!(place.signer(&details.replace(&key.public().to_string(), &other.to_string())), None);
        for garbage in ["", "a b", " ", "a"] {
            assert_eq!(place.signer(garbage), None);
        }
    }
}
