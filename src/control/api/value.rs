//! The one form in which secret values and lease tokens cross the socket; neither is ever printed.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, MapAccess, Visitor},
};
use zeroize::Zeroizing;

use crate::{base::SecretBytes, lease::LeaseToken};

/// A secret value on its way through the socket: a JSON string when it is UTF-8, else `{"base64": "…"}`.
#[derive(Clone, PartialEq, Eq)]
pub struct WireValue(SecretBytes);

impl WireValue {
    /// Text that would grow beyond this many bytes by JSON's escapes is sent as base64.
    const MAX_ESCAPED: usize = 1_500_000;

    /// Takes a value for sending.
    pub fn new(value: SecretBytes) -> Self {
        Self(value)
    }

    /// The value, for storing it or for the hands that asked.
    pub fn into_secret(self) -> SecretBytes {
        self.0
    }

    /// The value, for printing it to the person or process that leased it, for judging the request that it is the body
    /// of, and for nothing else.
    pub fn reveal(&self) -> &[u8] {
        self.0.expose()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for WireValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WireValue(..)")
    }
}

impl Serialize for WireValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes = self.0.expose();
        match std::str::from_utf8(bytes) {
            Ok(text) if escaped_len(bytes) <= Self::MAX_ESCAPED => serializer.serialize_str(text),
            _ => {
                let coded = Zeroizing::new(STANDARD.encode(bytes));
                serializer.collect_map([("base64", coded.as_str())])
            }
        }
    }
}

fn escaped_len(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .map(|byte| match byte {
            b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 8 | 12 => 2,
            0..=31 => 6,
            _ => 1,
        })
        .sum()
}

impl<'de> Deserialize<'de> for WireValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = WireValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or {\"base64\": \"…\"}")
    }

    fn visit_str<E>(self, text: &str) -> Result<WireValue, E> {
        Ok(WireValue(SecretBytes::new(text.as_bytes().to_vec())))
    }

    fn visit_string<E>(self, text: String) -> Result<WireValue, E> {
        Ok(WireValue(SecretBytes::new(text.into_bytes())))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WireValue, A::Error> {
        // Keys are not quoted in errors: somebody may have put the value there.
        let odd = || A::Error::custom("a binary value is written {\"base64\": \"…\"} and nothing else");
        if map.next_key::<WireToken>()?.is_none_or(|key| key.reveal() != "base64") {
            return Err(odd());
        }
        let coded: WireToken = map.next_value().map_err(|_| odd())?;
        let bytes = STANDARD
            .decode(coded.reveal())
            .map_err(|_| A::Error::custom("the value is not base64 with padding (RFC 4648, section 4)"))?;
        if map.next_key::<WireToken>()?.is_some() {
            return Err(odd());
        }
        Ok(WireValue(SecretBytes::new(bytes)))
    }
}

/// A lease token or proxy password on its way through the socket; hidden in `Debug`, wiped on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct WireToken(Zeroizing<String>);

impl WireToken {
    /// Takes a token for sending.
    pub fn new(token: impl Into<String>) -> Self {
        Self(Zeroizing::new(token.into()))
    }

    /// The token, for the environment of the process that will present it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<&LeaseToken> for WireToken {
    fn from(token: &LeaseToken) -> Self {
        Self::new(token.expose().to_owned())
    }
}

impl fmt::Debug for WireToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WireToken(..)")
    }
}

impl Serialize for WireToken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for WireToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(bytes: &[u8]) -> WireValue {
        WireValue::new(SecretBytes::new(bytes.to_vec()))
    }

    #[test]
    fn text_crosses_as_text_and_bytes_as_base64() {
        assert_eq!(serde_json::to_string(&value("sk-ü\n".as_bytes())).unwrap(), r#""sk-ü\n""#);
        assert_eq!(serde_json::to_string(&value(b"\xff\x00")).unwrap(), r#"{"base64":"/wA="}"#);
        let many_escapes = serde_json::to_string(&value(&vec![0; SecretBytes::MAX_LEN])).unwrap();
        assert!(many_escapes.len() < 1_500_000, "a value of the largest size fits into one frame");
    }

    #[test]
    fn what_was_sent_arrives() {
        for bytes in [&b"a"[..], b"", b"two\nlines\n", b"\xff\xfe", b"\"\\\x00"] {
            let json = serde_json::to_string(&value(bytes)).unwrap();
            let back: WireValue = serde_json::from_str(&json).unwrap();
            assert_eq!(back.into_secret().expose(), bytes);
        }
    }

    #[test]
    fn attack_97_debug_shows_neither_values_nor_tokens() {
        assert_eq!(format!("{:?} {:?}", value(b"hunter2"), WireToken::new("lse_x")), "WireValue(..) WireToken(..)");
    }
}
