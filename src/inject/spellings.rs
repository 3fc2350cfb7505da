//! Every way in which an answer may spell a credential: raw, base64, percent, hexadecimal, JSON and HTML escapes.

use std::{collections::BTreeSet, fmt::Write as _};

use base64::engine::GeneralPurpose;
use base64::{Engine as _, alphabet, engine::general_purpose::NO_PAD};

/// Spellings shorter than this are left out: they would match by accident.
const SHORTEST: usize = 4;

/// All spellings of a credential that are looked for, without repetition.
pub(super) fn spellings(credential: &[u8]) -> BTreeSet<Vec<u8>> {
    let mut all = BTreeSet::new();
    all.insert(credential.to_vec());
    all.insert(credential.to_ascii_lowercase()); // as the name of a header is written
    all.insert(credential.to_ascii_uppercase());
    all.extend(base64s(credential));
    all.extend(escapes(credential));
    let hex: String = each(credential, |text, byte| write!(text, "{byte:02x}"));
    all.insert(hex.to_ascii_uppercase().into_bytes());
    all.insert(hex.into_bytes());
    all.retain(|spelling| spelling.len() >= SHORTEST);
    all
}

fn each(bytes: &[u8], mut f: impl FnMut(&mut String, u8) -> std::fmt::Result) -> String {
    let mut text = String::new();
    for &byte in bytes {
        let _ = f(&mut text, byte); // writing to a `String` cannot fail
    }
    text
}

/// The middle of the base64 of any text that contains the credential, for each of the three alignments.
fn base64s(credential: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let alphabets = [&alphabet::STANDARD, &alphabet::URL_SAFE];
    (0..3).flat_map(move |shift| {
        let shifted = [[0; 2].get(..shift).unwrap_or_default(), credential].concat();
        alphabets.map(|alphabet| {
            let text = GeneralPurpose::new(alphabet, NO_PAD).encode(&shifted);
            // Characters that also depend on the neighbours are cut off.
            let (first, last) = ((shift * 8).div_ceil(6), shifted.len() * 8 / 6);
            text.as_bytes().get(first..last).unwrap_or_default().to_vec()
        })
    })
}

fn escapes(credential: &[u8]) -> Vec<Vec<u8>> {
    let percent = |upper: bool, keep: fn(u8) -> bool| {
        each(credential, |text, byte| match (keep(byte), upper) {
            (true, _) => text.write_char(char::from(byte)),
            (false, true) => write!(text, "%{byte:02X}"),
            (false, false) => write!(text, "%{byte:02x}"),
        })
    };
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let alphanumeric = |byte: u8| byte.is_ascii_alphanumeric();
    let none = |_| false;
    let mut all = vec![
        percent(true, unreserved),
        percent(false, unreserved),
        percent(true, alphanumeric),
        percent(false, alphanumeric),
        percent(true, none),
        percent(false, none),
    ];
    if let Ok(text) = std::str::from_utf8(credential) {
        all.push(percent(true, unreserved).replace("%20", "+"));
        all.push(json(text, false));
        all.push(json(text, true));
        all.push(text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;"));
        for units in [|u: u16| format!("\\u{u:04x}"), |u: u16| format!("\\u{u:04X}")] {
            all.push(text.encode_utf16().map(units).collect());
        }
    }
    all.into_iter().map(String::into_bytes).collect()
}

/// The JSON string without its quotes, with `/` escaped or not as encoders differ.
fn json(text: &str, slash: bool) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(&quoted);
    if slash { inner.replace('/', "\\/") } else { inner.to_owned() }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    use super::*;

    const SECRET: &[u8] = b"sk-proj-a+b/c=d\"e?x~~~y";

    fn found_in(text: &str) -> bool {
        spellings(SECRET).iter().any(|s| text.as_bytes().windows(s.len()).any(|window| window == s.as_slice()))
    }

    #[test]
    fn attack_73_base64_is_found_at_every_alignment() {
        for before in ["", "u", "us", "use", "user:"] {
            for after in ["", ":", "::", "\n"] {
                let text = [before.as_bytes(), SECRET, after.as_bytes()].concat();
                assert!(found_in(&STANDARD.encode(&text)), "{before}+{after}");
                assert!(found_in(&URL_SAFE.encode(&text)), "{before}+{after}");
            }
        }
    }

    #[test]
    fn attack_73_escapes_are_found() {
        for text in [
            "sk-proj-a%2Bb%2Fc%3Dd%22e%3Fx~~~y",
            "sk-proj-a%2bb%2fc%3dd%22e%3fx~~~y",
            r#"{"k":"sk-proj-a+b/c=d\"e?x~~~y"}"#,
            r#"{"k":"sk-proj-a+b\/c=d\"e?x~~~y"}"#,
            "sk-proj-a+b/c=d&quot;e?x~~~y",
        ] {
            assert!(found_in(text), "{text}");
        }
        let hex: String = each(SECRET, |text, b| write!(text, "{b:02x}"));
        assert!(found_in(&hex) && found_in(&hex.to_uppercase()));
        let unicode: String = each(SECRET, |text, b| write!(text, "\\u{b:04x}"));
        assert!(found_in(&unicode));
        let percent: String = each(SECRET, |text, b| write!(text, "%{b:02X}"));
        assert!(found_in(&percent));
    }

    #[test]
    fn short_accidents_are_left_out() {
        assert!(spellings(b"abc").iter().all(|s| s.len() >= 4));
        assert!(!found_in("sk-proj-something-else"));
    }
}
