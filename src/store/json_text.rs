//! Reads one JSON string straight into a buffer that is wiped.
//!
//! serde_json unescapes through a scratch buffer of its own, which is freed unwiped; a secret value must not stay
//! there.

use zeroize::Zeroizing;

/// The text that a JSON string (RFC 8259, section 7), quotes included, stands for; `None` when it is no string or
/// names half a surrogate pair.
pub fn unescape(json: &str) -> Option<Zeroizing<String>> {
    let mut rest = json.trim().strip_prefix('"')?.strip_suffix('"')?;
    let mut text = Zeroizing::new(String::with_capacity(rest.len())); // never longer than its escapes: never moved
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        let (plain, escape) = rest.split_at_checked(at)?;
        text.push_str(plain);
        let (character, used) = escaped(escape)?;
        text.push(character);
        rest = escape.get(used..)?;
    }
    text.push_str(rest);
    Some(text)
}

/// The character that an escape at the start of the text stands for, and the length of the escape.
fn escaped(escape: &str) -> Option<(char, usize)> {
    let character = match escape.as_bytes().get(1)? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unicode(escape),
        _ => return None,
    };
    Some((character, 2))
}

fn unicode(escape: &str) -> Option<(char, usize)> {
    let high = unit(escape)?;
    if !(0xd800..0xdc00).contains(&high) {
        return Some((char::from_u32(high)?, 6));
    }
    let low = unit(escape.get(6..)?).filter(|low| (0xdc00..0xe000).contains(low))?;
    Some((char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00))?, 12))
}

fn unit(escape: &str) -> Option<u32> {
    let digits = escape.strip_prefix("\\u")?.get(..4)?;
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None; // `from_str_radix` would take a sign
    }
    u32::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_agrees_with_serde_json() {
        let all: String = ('\0'..='\u{2ff}').chain(['\u{2028}', '€', '\u{ffff}', '\u{10000}', '😀']).collect();
        for text in ["", "plain", "a\\b\"c/d\n\r\t\u{8}\u{c}", &all] {
            let json = serde_json::to_string(text).unwrap();
            assert_eq!(unescape(&json).unwrap().as_str(), text);
        }
    }

    #[test]
    fn it_reads_what_go_and_others_escape() {
        // encoding/json escapes `<`, `>` and `&`; others escape everything beyond ASCII
        assert_eq!(unescape(r#""\u003ca\u0026b\u003E\/""#).unwrap().as_str(), "<a&b>/");
        assert_eq!(unescape(r#""\ud83d\ude00""#).unwrap().as_str(), "😀");
    }

    #[test]
    fn what_is_no_string_is_refused() {
        for json in ["", "1", "null", "\"", r#""\u12""#, r#""\u+123""#, r#""\ud83d""#, r#""\ud83dx""#, r#""\x""#, "{}"]
        {
            assert!(unescape(json).is_none(), "{json}");
        }
    }
}
