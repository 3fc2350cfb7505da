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
    let mut all = percents(credential);
    if let Ok(text) = std::str::from_utf8(credential) {
        all.extend(WRITERS.iter().flat_map(|writer| [writer.write(text, false), writer.write(text, true)]));
        all.push(text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;"));
        all.extend([false, true].map(|upper| text.chars().map(|c| units(c, upper)).collect()));
    }
    all.into_iter().map(String::into_bytes).collect()
}

/// What percent-encoders leave beside letters and digits: nothing, what RFC 3986 does not reserve, that and `/` (Python's
/// `quote`), a part of a path (RFC 3986), `encodeURIComponent`, `encodeURI`, a form (WHATWG), a form as PHP writes it.
const KEPT: [&str; 8] = ["", "-._~", "-._~/", "-._~!$&'()*+,;=:@", "-_.!~*'()", "-_.!~*'();,/?:@&=+$#", "*-._", "-_."];

fn percents(credential: &[u8]) -> Vec<String> {
    let percent = |upper: bool, keep: &dyn Fn(u8) -> bool| {
        each(credential, |text, byte| match (keep(byte), upper) {
            (true, _) => text.write_char(char::from(byte)),
            (false, true) => write!(text, "%{byte:02X}"),
            (false, false) => write!(text, "%{byte:02x}"),
        })
    };
    let mut all = Vec::new();
    for upper in [true, false] {
        all.push(percent(upper, &|_| false));
        for kept in KEPT {
            let text = percent(upper, &|byte| byte.is_ascii_alphanumeric() || kept.as_bytes().contains(&byte));
            all.push(text.replace("%20", "+")); // as forms have it
            all.push(text);
        }
    }
    all
}

/// A way to write JSON strings, beyond what must be escaped.
struct JsonWriter {
    /// What it writes by its number.
    numbered: &'static str,
    /// Whether everything beyond ASCII is, too.
    ascii: bool,
    upper: bool,
}

/// Writers that differ. What they write by its number they do so that JSON may stand in HTML.
const WRITERS: [JsonWriter; 8] = [
    JsonWriter { numbered: "", ascii: false, upper: false }, // JavaScript, serde
    JsonWriter { numbered: "", ascii: true, upper: false },  // Python, PHP
    JsonWriter { numbered: "<>&\u{2028}\u{2029}", ascii: false, upper: false }, // Go, Rails
    JsonWriter { numbered: "<>&'", ascii: true, upper: false }, // Flask, Jinja
    JsonWriter { numbered: "<>&'=\u{2028}\u{2029}", ascii: false, upper: false }, // Gson
    JsonWriter { numbered: "<>&", ascii: true, upper: true }, // Django
    JsonWriter { numbered: "<>&'\"", ascii: true, upper: true }, // PHP with JSON_HEX_*, as Symfony has it
    JsonWriter { numbered: "<>&'\"+`", ascii: true, upper: true }, // .NET's System.Text.Json
];

impl JsonWriter {
    /// The string without its quotes, with `/` escaped or not as each of them can be told to.
    fn write(&self, text: &str, slash: bool) -> String {
        let one = |c: char| match c {
            '/' if slash => "\\/".to_owned(),
            _ if self.numbered.contains(c) || (self.ascii && c >= '\u{7f}') => units(c, self.upper),
            '"' | '\\' => format!("\\{c}"),
            '\u{8}' => "\\b".to_owned(),
            '\t' => "\\t".to_owned(),
            '\n' => "\\n".to_owned(),
            '\u{c}' => "\\f".to_owned(),
            '\r' => "\\r".to_owned(),
            '\0'..='\u{1f}' => units(c, self.upper),
            _ => c.to_string(),
        };
        text.chars().map(one).collect()
    }
}

/// A character by its number in JSON.
fn units(c: char, upper: bool) -> String {
    let unit = |unit: &mut u16| if upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") };
    c.encode_utf16(&mut [0; 2]).iter_mut().map(unit).collect()
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

    fn assert_spelt(credential: &str, spelt: &[&str]) {
        let all = spellings(credential.as_bytes());
        for text in spelt {
            assert!(all.contains(text.as_bytes()), "{credential} as {text}");
        }
    }

    #[test]
    fn attack_73_what_json_writers_escape_for_the_sake_of_html_is_found() {
        let all = "a&b<c>d'e\"f+g`h/i=j";
        for (credential, spelt) in [
            (all, r#"a\u0026b\u003cc\u003ed'e\"f+g`h/i=j"#), // Go, encoding/json: HTMLEscape
            ("key\u{2028}\u{2029}", r"key\u2028\u2029"),     // the same
            (all, r"a\u0026b\u003Cc\u003Ed\u0027e\u0022f\u002Bg\u0060h/i=j"), // .NET, JavaScriptEncoder.Default
            ("a\\b\u{1b}é\u{1f600}\u{7f}", r"a\\b\u001B\u00E9\uD83D\uDE00\u007F"), // the same
            (all, r"a\u0026b\u003Cc\u003Ed\u0027e\u0022f+g`h\/i=j"), // PHP, JSON_HEX_TAG|AMP|APOS|QUOT
            (all, r"a\u0026b\u003Cc\u003Ed\u0027e\u0022f+g`h/i=j"), // the same and JSON_UNESCAPED_SLASHES
            (all, r#"a&b<c>d'e\"f+g`h\/i=j"#),               // PHP, json_encode
            ("clé/\n\u{1f600}", r"cl\u00e9\/\n\ud83d\ude00"), // the same
            ("clé/\n\u{1f600}", r"cl\u00e9/\n\ud83d\ude00"), // Python, json.dumps
            (all, r#"a\u0026b\u003cc\u003ed\u0027e\"f+g`h/i=j"#), // Jinja, htmlsafe_json_dumps
            (all, r#"a\u0026b\u003cc\u003ed\u0027e\"f+g`h/i\u003dj"#), // Gson, disableHtmlEscaping not called
            (all, r#"a\u0026b\u003Cc\u003Ed'e\"f+g`h/i=j"#), // Django, json_script
            (all, r#"a&b<c>d'e\"f+g`h/i=j"#),                // JavaScript, JSON.stringify
            (all, r#"a\u0026b\u003cc\u003ed'e\"f+g`h\/i=j"#), // any of them and `\/`
        ] {
            assert_spelt(credential, &[spelt]);
        }
    }

    #[test]
    fn attack_73_what_percent_encoders_leave_is_found() {
        let all = "a b!c*d'(e)f~g;h,i/j?k:l@m&n=o+p$q#r\"s[t.u-v_w";
        for spelt in [
            // ECMA-262, encodeURIComponent
            "a%20b!c*d'(e)f~g%3Bh%2Ci%2Fj%3Fk%3Al%40m%26n%3Do%2Bp%24q%23r%22s%5Bt.u-v_w",
            // ECMA-262, encodeURI
            "a%20b!c*d'(e)f~g;h,i/j?k:l@m&n=o+p$q#r%22s%5Bt.u-v_w",
            // WHATWG URL, application/x-www-form-urlencoded serializing
            "a+b%21c*d%27%28e%29f%7Eg%3Bh%2Ci%2Fj%3Fk%3Al%40m%26n%3Do%2Bp%24q%23r%22s%5Bt.u-v_w",
            // PHP, urlencode
            "a+b%21c%2Ad%27%28e%29f%7Eg%3Bh%2Ci%2Fj%3Fk%3Al%40m%26n%3Do%2Bp%24q%23r%22s%5Bt.u-v_w",
            // Go, url.QueryEscape
            "a+b%21c%2Ad%27%28e%29f~g%3Bh%2Ci%2Fj%3Fk%3Al%40m%26n%3Do%2Bp%24q%23r%22s%5Bt.u-v_w",
            // Python, urllib.parse.quote
            "a%20b%21c%2Ad%27%28e%29f~g%3Bh%2Ci/j%3Fk%3Al%40m%26n%3Do%2Bp%24q%23r%22s%5Bt.u-v_w",
            // RFC 3986, 3.3: pchar
            "a%20b!c*d'(e)f~g;h,i%2Fj%3Fk:l@m&n=o+p$q%23r%22s%5Bt.u-v_w",
        ] {
            let mut in_escape = 0;
            let lower = |c: char| {
                in_escape = if c == '%' { 2 } else { i32::max(in_escape - 1, -1) };
                if in_escape >= 0 { c.to_ascii_lowercase() } else { c }
            };
            assert_spelt(all, &[spelt, &spelt.chars().map(lower).collect::<String>()]);
        }
    }

    /// Every spelling is a pattern that each answer is searched for.
    #[test]
    fn spellings_are_few_and_a_plain_credential_has_no_more_than_the_plain_ones() {
        // In three cases of letters, at three alignments of base64, all of it by number in JSON, percent and hex, in either
        // case of digits; and with `-` and `_` by number.
        assert_eq!(spellings(b"Sk-proj_0123456789-Abc").len(), 3 + 3 + 6 + 2);
        assert_eq!(spellings(b"Skproj0123456789Abc").len(), 3 + 3 + 6);
        for credential in ["a b!c*d'(e)f~g;h,i/j?k:l@m&n=o+p$q#r\"s[t<u>v`w\\é\n", "q8+Zk/4v0w==", "a+b/c&d"] {
            let many = spellings(credential.as_bytes());
            assert!(many.len() <= 64, "{}", many.len());
        }
    }

    #[test]
    fn short_accidents_are_left_out() {
        assert!(spellings(b"abc").iter().all(|s| s.len() >= 4));
        assert!(!found_in("sk-proj-something-else"));
    }
}
