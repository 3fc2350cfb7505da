//! Query parameters: found by decoded name, replaced in place; every other byte stays the client's.

use std::ops::Range;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode, percent_encode};

use super::Error;

/// What must be encoded so that a credential adds no parameter and ends no query (attack 49).
const VALUE: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'&')
    .add(b'\'')
    .add(b'+')
    .add(b'/')
    .add(b'<')
    .add(b'=')
    .add(b'>')
    .add(b'?')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The range of the parameter's raw value.
///
/// # Errors
/// When the name appears more than once.
pub(super) fn find(query: &str, name: &str) -> Result<Option<Range<usize>>, Error> {
    let mut found = None;
    let mut at = 0;
    for pair in query.split('&') {
        let raw_name = pair.split('=').next().unwrap_or("");
        if decodes_to(raw_name, name) {
            let start = at + raw_name.len() + usize::from(pair.len() > raw_name.len());
            if found.replace(start..at + pair.len()).is_some() {
                return Err(Error::DuplicateQuery(name.to_owned()));
            }
        }
        at += pair.len() + 1;
    }
    Ok(found)
}

fn decodes_to(raw: &str, name: &str) -> bool {
    if !raw.contains(['%', '+']) {
        return raw == name;
    }
    let spaced = raw.replace('+', " ");
    percent_decode(spaced.as_bytes()).eq(name.bytes())
}

/// A raw value as the application will read it.
pub(super) fn decode(raw: &str) -> Vec<u8> {
    percent_decode(raw.replace('+', " ").as_bytes()).collect()
}

/// A credential as a raw value.
pub(super) fn encode(credential: &[u8]) -> String {
    percent_encode(credential, VALUE).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_found_by_its_decoded_name_once() {
        let query = "a=1&k%65y=lease&b=2";
        let range = find(query, "key").unwrap().unwrap();
        assert_eq!(&query[range], "lease");
        assert_eq!(find("a=1", "key").unwrap(), None);
        assert_eq!(find("key", "key").unwrap(), Some(3..3));
        assert_eq!(find("key=", "key").unwrap(), Some(4..4));
        assert!(find("key=1&key=2", "key").is_err());
        assert!(find("key=1&ke%79=2", "key").is_err());
    }

    #[test]
    fn attack_49_a_credential_adds_no_parameter() {
        assert_eq!(encode(b"a&b=c#d%e+f g"), "a%26b%3Dc%23d%25e%2Bf%20g");
        assert_eq!(decode(&encode(b"a&b=c#d%e+f g\xff")), b"a&b=c#d%e+f g\xff");
    }
}
