//! `name = value` in whatever language, around a word that names secrets: env files, JSON, YAML, code, query strings.

use std::ops::Range;

use super::{Severity, entropy::entropy, shape::MAX_VALUE};

/// A name and the value that it is given.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Assignment {
    pub(super) name: Range<usize>,
    pub(super) value: Range<usize>,
}

/// The longest name that is taken for one.
pub(super) const MAX_NAME: usize = 128;
/// The most blanks around a name's end.
const MAX_BLANKS: usize = 16;

/// The name around `at`, whatever follows it.
pub(super) fn name_around(text: &[u8], at: usize) -> Range<usize> {
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(**byte, b'_' | b'-' | b'.');
    let (left, right) = (text.get(..at).unwrap_or_default(), text.get(at..).unwrap_or_default());
    let before = left.iter().rev().take(MAX_NAME).take_while(is_part).count();
    let after = right.iter().take(MAX_NAME).take_while(is_part).count();
    at - before..at + after
}

/// What is assigned to the name at `name`.
pub(super) fn assigned(text: &[u8], name: Range<usize>) -> Option<Assignment> {
    if name.len() > MAX_NAME || name.is_empty() {
        return None;
    }
    let in_tag = name.start.checked_sub(1).and_then(|at| text.get(at)) == Some(&b'<');
    let rest = text.get(name.end..)?;
    let rest = match rest {
        [b'\\', b'"' | b'\'', rest @ ..] | [b'"' | b'\'' | b'`', rest @ ..] | rest => rest,
    };
    let rest = after_operator(skip_blanks(rest), in_tag)?;
    let rest = skip_blanks(rest);
    let (rest, end) = match rest {
        [b'\\', quote @ (b'"' | b'\''), rest @ ..] => (rest, quoted(rest, &[b'\\', *quote])?),
        [quote @ (b'"' | b'\'' | b'`'), rest @ ..] => (rest, quoted(rest, &[*quote])?),
        rest => (rest, bare(rest)),
    };
    let start = text.len() - rest.len();
    (0 < end && end <= MAX_VALUE).then_some(Assignment { name, value: start..start + end })
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take(MAX_BLANKS).take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    text.get(blanks..).unwrap_or_default()
}

fn after_operator(text: &[u8], in_tag: bool) -> Option<&[u8]> {
    match text {
        [b'=', b'=', ..] => None, // a comparison
        [b':', b'=', rest @ ..] | [b'=', b'>', rest @ ..] | [b'=' | b':', rest @ ..] => Some(rest),
        [b'>', rest @ ..] if in_tag => Some(rest),
        _ => None,
    }
}

fn quoted(text: &[u8], end: &[u8]) -> Option<usize> {
    let text = text.get(..MAX_VALUE).unwrap_or(text);
    let at = text.windows(end.len()).position(|part| part == end)?;
    (!text.get(..at)?.contains(&b'\n')).then_some(at)
}

fn bare(text: &[u8]) -> usize {
    let ends = |byte: &&u8| !byte.is_ascii_graphic() || b"\"'`,;)}]<>&|\\".contains(byte);
    text.iter().take(MAX_VALUE).take_while(|byte| !ends(byte)).count()
}

/// The name in lower case, without what joins its words.
pub(super) fn normal(name: &[u8]) -> String {
    let letters = name.iter().filter(|byte| byte.is_ascii_alphanumeric());
    letters.map(|byte| char::from(byte.to_ascii_lowercase())).collect()
}

/// What a name alone says of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Generic {
    pub(super) name: &'static str,
    pub(super) severity: Severity,
    least: usize,
    classes: usize,
}

/// The words that are looked for in names, in lower case.
pub(super) const WORDS: [&str; 9] =
    ["key", "secret", "token", "passw", "pwd", "passphrase", "credential", "auth", "sid"];

const API_KEY: Generic = Generic { name: "Generic API Key", severity: Severity::Medium, least: 16, classes: 2 };
const PASSWORD: Generic = Generic { name: "Generic Password", severity: Severity::Medium, least: 8, classes: 2 };
const SECRET: Generic = Generic { name: "Generic Secret", severity: Severity::Medium, least: 16, classes: 2 };
const TOKEN: Generic = Generic { name: "Generic Token", severity: Severity::Medium, least: 16, classes: 2 };

/// The kind of secret that a normalised name promises.
pub(super) fn generic(name: &str) -> Option<Generic> {
    const KEYS: [&str; 9] = [
        "apikey",
        "accesskey",
        "secretkey",
        "privatekey",
        "authkey",
        "encryptionkey",
        "signingkey",
        "masterkey",
        "servicekey",
    ];
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    if has(&["public", "keyid", "tokentype", "tokenurl", "tokenuri", "secretname", "keyname", "file", "path"]) {
        return None;
    }
    if has(&["password", "passwd", "passphrase"]) || name.ends_with("pwd") {
        Some(PASSWORD)
    } else if has(&KEYS) {
        Some(API_KEY)
    } else if has(&["secret", "credential"]) {
        Some(SECRET)
    } else if name.ends_with("token") || name.ends_with("authorization") {
        Some(TOKEN)
    } else {
        None
    }
}

impl Generic {
    /// Whether a value could be such a secret rather than a word, a reference or an example.
    pub(super) fn takes(self, value: &[u8]) -> bool {
        let entropy_wanted = if self.least < API_KEY.least { 2.75 } else { 3.0 };
        let is_text = value.iter().all(u8::is_ascii_graphic);
        value.len() >= self.least
            && is_text
            && classes(value) >= self.classes
            && (self.least < API_KEY.least || value.iter().any(u8::is_ascii_digit))
            && !is_placeholder(value)
            && entropy(value) >= entropy_wanted
    }
}

fn classes(value: &[u8]) -> usize {
    let kinds: [fn(&u8) -> bool; 4] =
        [u8::is_ascii_lowercase, u8::is_ascii_uppercase, u8::is_ascii_digit, u8::is_ascii_punctuation];
    kinds.iter().filter(|kind| value.iter().any(kind)).count()
}

/// Examples, and references to where the value really is.
fn is_placeholder(value: &[u8]) -> bool {
    const PARTS: [&str; 20] = [
        "example",
        "changeme",
        "change_me",
        "change-me",
        "placeholder",
        "redacted",
        "dummy",
        "xxxx",
        "your",
        "insert",
        "****",
        "...",
        "${",
        "{{",
        "$(",
        "process.env",
        "environ",
        "getenv",
        "://",
        "<",
    ];
    let text = String::from_utf8_lossy(value).to_ascii_lowercase();
    text.starts_with(['$', '%', '/', '@']) || text.contains('(') || PARTS.iter().any(|part| text.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value_of(text: &str, word: &str) -> Option<String> {
        let at = text.find(word).unwrap();
        let found = assigned(text.as_bytes(), name_around(text.as_bytes(), at))?;
        Some(text[found.value].to_owned())
    }

    #[test]
    fn assignments_are_read_in_many_languages() {
        for text in [
            "api_key=V1",
            "export api_key = V1\n",
            "api_key: 'V1'",
            "{\"api_key\": \"V1\", \"b\": 2}",
            "x = \"{\\\"api_key\\\":\\\"V1\\\"}\"",
            "api_key := `V1`",
            "'api_key' => 'V1',",
            "https://h/p?api_key=V1&x=1",
            "<api_key>V1</api_key>",
            "f(api_key=V1)",
        ] {
            assert_eq!(value_of(text, "key").as_deref(), Some("V1"), "{text}");
        }
        for text in ["api_key == V1", "api_key", "api_key=", "api_key V1", "api_key=\"V1\nV2\"", "a > api_key > V1"] {
            assert_eq!(value_of(text, "key"), None, "{text}");
        }
    }

    #[test]
    fn words_references_and_examples_are_no_secrets() {
        let secret = ["q8Zt3", "LmX0v", "B7nR2", "kYw5P"].concat();
        assert!(API_KEY.takes(secret.as_bytes()) && PASSWORD.takes(b"hunter2!x"));
        for value in [
            "",
            "short1",
            "process.env.API_KEY_1",
            "${API_KEY_12345678}",
            "your-api-key-goes-here-1",
            "only-words-and-dashes",
            "xxxxxxxxxxxxxxxxxxx1",
            "getSecretFromSomewhere1()",
            "/etc/keys/some-key-1.pem",
            "1111111111111111111a",
        ] {
            assert!(!API_KEY.takes(value.as_bytes()), "{value}");
        }
        assert!(!PASSWORD.takes(b"password"));
    }

    #[test]
    fn names_say_what_they_promise() {
        let of = |name: &str| generic(&normal(name.as_bytes())).map(|generic| generic.name);
        assert_eq!(of("OPENAI_API_KEY"), Some("Generic API Key"));
        assert_eq!(of("db.password"), Some("Generic Password"));
        assert_eq!(of("client-secret"), Some("Generic Secret"));
        assert_eq!(of("ACCESS_TOKEN"), Some("Generic Token"));
        for name in ["publicKey", "primary_key", "max_tokens", "token_type", "keyboard", "API_KEY_FILE", "monkey"] {
            assert_eq!(of(name), None, "{name}");
        }
    }
}
