//! From what a hook printed to a new value, and when that ends.

use std::{collections::BTreeMap, time::Duration};

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::Error;
use crate::{
    base::{SecretBytes, Timestamp},
    store::{HookFormat, unescape},
};

/// What a hook gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// It refreshed something elsewhere; the stored value stays.
    Elsewhere,
    /// A new value.
    Value {
        /// The bytes; not empty, at most [`SecretBytes::MAX_LEN`].
        value: SecretBytes,
        /// When they end, if the hook said so.
        expires_at: Option<Timestamp>,
    },
}

/// What a new value must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Any bytes.
    Any,
    /// One line without control characters: what a request's head can carry.
    OneLine,
}

/// Reads a hook's whole output.
pub(super) fn read(output: &[u8], format: &HookFormat, shape: Shape, now: Timestamp) -> Result<Given, Error> {
    match format {
        HookFormat::Nothing => Ok(Given::Elsewhere),
        HookFormat::Value => {
            let line = output.strip_suffix(b"\n").map_or(output, |line| line.strip_suffix(b"\r").unwrap_or(line));
            Ok(Given::Value { value: checked(line, shape)?, expires_at: None })
        }
        HookFormat::Json(pointer) => {
            let field = find(output, pointer)?;
            let text = unescape(field.value.get()).ok_or_else(|| Error::NotText(pointer.clone()))?;
            let expires_at = field.expires_at(now)?;
            if expires_at.is_some_and(|ends| ends <= now) {
                return Err(Error::Expired);
            }
            Ok(Given::Value { value: checked(text.as_bytes(), shape)?, expires_at })
        }
    }
}

fn checked(value: &[u8], shape: Shape) -> Result<SecretBytes, Error> {
    if value.is_empty() {
        return Err(Error::Empty);
    }
    if value.len() > SecretBytes::MAX_LEN {
        return Err(Error::TooLong);
    }
    if shape == Shape::OneLine && value.iter().any(u8::is_ascii_control) {
        return Err(Error::ControlCharacters);
    }
    Ok(SecretBytes::new(value.to_vec()))
}

/// A field of the hook's JSON, still the text that it was printed as, and what stands beside it.
struct Field<'a> {
    value: &'a RawValue,
    beside: BTreeMap<String, &'a RawValue>,
}

/// Follows a JSON pointer (RFC 6901) without copying what it passes.
fn find<'a>(output: &'a [u8], pointer: &str) -> Result<Field<'a>, Error> {
    let text = std::str::from_utf8(output).map_err(|_| Error::NotJson)?;
    let mut value: &RawValue = serde_json::from_str(text).map_err(|_| Error::NotJson)?;
    let mut beside = BTreeMap::new();
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        let missing = || Error::NoField(pointer.into());
        if value.get().starts_with('[') {
            let items: Vec<&RawValue> = serde_json::from_str(value.get()).map_err(|_| Error::NotJson)?;
            let index = token.parse::<usize>().ok().filter(|index| index.to_string() == token);
            value = index.and_then(|index| items.get(index).copied()).ok_or_else(missing)?;
            beside = BTreeMap::new();
        } else {
            let fields: BTreeMap<String, &RawValue> = serde_json::from_str(value.get()).map_err(|_| missing())?;
            value = fields.get(&token).copied().ok_or_else(missing)?;
            beside = fields;
        }
    }
    Ok(Field { value, beside })
}

impl Field<'_> {
    fn expires_at(&self, now: Timestamp) -> Result<Option<Timestamp>, Error> {
        if let Some(at) = self.said("expires_at") {
            if let Some(text) = unescape(at) {
                return Timestamp::parse(&text).map(Some).ok_or(Error::Expiry);
            }
            let since_1970 = seconds(at)?;
            return Ok(Some(Timestamp::from_millis(0).plus(since_1970)));
        }
        let Some(after) = self.said("expires_in") else { return Ok(None) };
        let quoted: Option<Zeroizing<String>> = unescape(after); // some issuers write the number as a text
        seconds(quoted.as_ref().map_or(after, |text| text.as_str())).map(|after| Some(now.plus(after)))
    }

    fn said(&self, key: &str) -> Option<&str> {
        self.beside.get(key).map(|raw| raw.get()).filter(|text| *text != "null")
    }
}

/// Seconds up to the year 9999; more would be milliseconds by mistake.
fn seconds(text: &str) -> Result<Duration, Error> {
    const MOST: f64 = 253_402_300_799.0;
    let seconds: f64 = text.trim().parse().map_err(|_| Error::Expiry)?;
    let usable = (0.0..=MOST).contains(&seconds);
    if usable { Ok(Duration::from_secs_f64(seconds)) } else { Err(Error::Expiry) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_764_000_000_000;

    fn read_as(format: &str, output: impl AsRef<[u8]>, shape: Shape) -> Result<(Vec<u8>, Option<i64>), Error> {
        match read(output.as_ref(), &format.parse().unwrap(), shape, Timestamp::from_millis(NOW))? {
            Given::Elsewhere => Ok((Vec::new(), None)),
            Given::Value { value, expires_at } => {
                Ok((value.expose().to_vec(), expires_at.map(|at| at.as_millis() - NOW)))
            }
        }
    }

    #[test]
    fn one_line_end_is_cut_and_nothing_else() {
        for (output, value) in [("v", "v"), ("v\n", "v"), ("v\r\n", "v"), (" v \n", " v "), ("ü😀\n", "ü😀")] {
            assert_eq!(read_as("value", output, Shape::OneLine).unwrap().0, value.as_bytes());
        }
        let pem = b"-----BEGIN-----\nA\n-----END-----\n\n";
        assert_eq!(read_as("value", pem, Shape::Any).unwrap().0, &pem[..pem.len() - 1]);
        assert_eq!(read_as("none", b"whatever\x00", Shape::OneLine).unwrap().0, b"");
    }

    #[test]
    fn attack_125_what_is_no_value_is_refused_and_never_quoted() {
        for output in ["", "\n", "\r\n"] {
            assert_eq!(read_as("value", output, Shape::Any), Err(Error::Empty), "{output:?}");
        }
        for output in ["canary\nb", "canary\n\n", "\u{1b}[31mcanary\u{1b}[0m", "canary\0", "canary\rb", "a\tcanary"] {
            let error = read_as("value", output, Shape::OneLine).unwrap_err();
            assert_eq!(error, Error::ControlCharacters, "{output:?}");
            assert!(!format!("{error} {error:?}").contains("canary"));
        }
        assert_eq!(read_as("value", vec![b'x'; SecretBytes::MAX_LEN + 1], Shape::Any), Err(Error::TooLong));
        assert!(read_as("value", vec![b'x'; SecretBytes::MAX_LEN], Shape::Any).is_ok());
    }

    #[test]
    fn a_pointer_picks_a_text_out_of_json() {
        let json = r#" {"a":{"b":[{"c~/":"v\n\u00fc"}],"":"empty key"},"n":1,"o":null,"d":"x","d":"y"} "#;
        for (pointer, value) in [("/a/b/0/c~0~1", "v\nü"), ("/a/", "empty key"), ("/d", "y")] {
            assert_eq!(read_as(&format!("json:{pointer}"), json, Shape::Any).unwrap().0, value.as_bytes(), "{pointer}");
        }
        for pointer in ["/x", "/a/b/1", "/a/b/00", "/a/b/-", "/n/x", "/a/b/0/c", "/d/0"] {
            assert_eq!(read_as(&format!("json:{pointer}"), json, Shape::Any), Err(Error::NoField(pointer.into())));
        }
        for pointer in ["/a", "/a/b", "/n", "/o"] {
            assert_eq!(read_as(&format!("json:{pointer}"), json, Shape::Any), Err(Error::NotText(pointer.into())));
        }
        for bad in ["", "canary", "{\"a\":\"canary\"", "{\"a\":\"canary\"} {}", "\u{feff}{}", "{'a':'canary'}"] {
            let error = read_as("json:/a", bad, Shape::Any).unwrap_err();
            assert_eq!(error, Error::NotJson, "{bad}");
        }
        assert_eq!(read_as("json:/a", b"{\"a\":\"\xff\"}", Shape::Any), Err(Error::NotJson));
        let deep = "[".repeat(100_000);
        assert_eq!(read_as("json:/0", deep, Shape::Any), Err(Error::NotJson));
        assert_eq!(read_as("json:/a", r#"{"a":""}"#, Shape::Any), Err(Error::Empty));
        assert_eq!(read_as("json:/a", r#"{"a":"v\r\nX: y"}"#, Shape::OneLine), Err(Error::ControlCharacters));
    }

    #[test]
    fn the_end_of_a_value_stands_beside_it() {
        let at = |beside: &str| {
            let json = format!(r#"{{"expires_in":5,"data":{{"t":"v"{beside}}}}}"#);
            read_as("json:/data/t", json, Shape::OneLine).map(|(_, ends)| ends)
        };
        for (beside, ends) in [
            ("", None),
            (r#","expires_at":null,"expires_in":null"#, None),
            (r#","expires_at":"2025-11-24T16:01:00Z""#, Some(60_000)),
            (r#","expires_at":"2025-11-24T17:01:00+01:00","expires_in":5"#, Some(60_000)),
            (r#","expires_at":1764000060"#, Some(60_000)),
            (r#","expires_at":1764000060.5"#, Some(60_500)),
            (r#","expires_in":3600"#, Some(3_600_000)),
            (r#","expires_in":"3600""#, Some(3_600_000)),
        ] {
            assert_eq!(at(beside), Ok(ends), "{beside}");
        }
        for beside in [
            r#","expires_at":"soon""#,
            r#","expires_at":true"#,
            r#","expires_at":{}"#,
            r#","expires_at":1764000060000"#,
            r#","expires_at":1e300"#,
            r#","expires_in":-5"#,
            r#","expires_in":"NaN""#,
        ] {
            assert_eq!(at(beside), Err(Error::Expiry), "{beside}");
        }
        assert_eq!(at(r#","expires_at":"2025-11-24T16:00:00Z""#), Err(Error::Expired));
        assert_eq!(at(r#","expires_in":0"#), Err(Error::Expired));
    }
}
