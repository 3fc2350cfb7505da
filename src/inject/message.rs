//! A credential in a message of a WebSocket: what the first message that has a string at its place is turned into.
//!
//! Invariant: like an armed request it is blind; it is written once, and only where the lease token stood.

use zeroize::Zeroizing;

use super::body::{self, Found};
use crate::{base::SecretBytes, recipe::Place};

/// A credential, and where in a message it belongs. No `Debug`, no `Clone`, no getters.
pub struct Message {
    place: Place,
    credential: SecretBytes,
}

/// Why a message cannot be sent; its client's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misplaced {
    /// Something else than the lease token.
    #[error("a message has something else than the lease token where its credential belongs")]
    Other,
    /// The place is there twice.
    #[error("a message has two credentials")]
    Twice,
    /// JSON cannot hold the credential, which is the fault of whoever stored it.
    #[error("the credential cannot be written into a message")]
    Unwritable,
}

impl Message {
    pub(super) fn new(pointer: &str, credential: SecretBytes) -> Self {
        Self { place: Place::Json { pointer: pointer.into() }, credential }
    }

    /// The message with the credential where the lease token stands; `None` when nothing stands at the place.
    ///
    /// # Errors
    /// When something else stands there, or it is there twice.
    pub fn write(
        &self,
        message: &[u8],
        is_token: impl FnOnce(&[u8]) -> bool,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, Misplaced> {
        let Some(Found { range, text, spelling }) = body::find(message, &self.place).map_err(|_| Misplaced::Twice)?
        else {
            return Ok(None);
        };
        if !is_token(&text) {
            return Err(Misplaced::Other);
        }
        let credential = body::spell(spelling, self.credential.expose()).map_err(|_| Misplaced::Unwritable)?;
        let (before, after) = (message.get(..range.start), message.get(range.end..));
        let whole = [before.unwrap_or_default(), &credential, after.unwrap_or_default()].concat();
        Ok(Some(Zeroizing::new(whole)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_at_its_place_is_replaced() {
        let message = Message::new("/d/token", SecretBytes::new(b"re\"al".to_vec()));
        let write = |text: &str| {
            let written = message.write(text.as_bytes(), |text| text == b"LEASE")?;
            Ok(written.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap()))
        };
        let sent = "{\"op\": 2, \"d\": {\"x\":\"LEASE\", \"token\": \"LE\\u0041SE\"}}";
        let armed = "{\"op\": 2, \"d\": {\"x\":\"LEASE\", \"token\": \"re\\\"al\"}}";
        assert_eq!(write(sent), Ok(Some(armed.to_owned())));
        for nothing in ["{\"op\":1,\"d\":251}", "{", "", "[]", "{\"d\":{\"token\":5}}", "{\"token\":\"LEASE\"}"] {
            assert_eq!(write(nothing), Ok(None), "{nothing}");
        }
        assert_eq!(write("{\"d\":{\"token\":\"another\"}}"), Err(Misplaced::Other));
        assert_eq!(write("{\"d\":{\"token\":\"LEASE\",\"token\":\"LEASE\"}}"), Err(Misplaced::Twice));
    }
}
