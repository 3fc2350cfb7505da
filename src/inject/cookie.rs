//! One cookie among others in a `Cookie` field (RFC 6265, 4.2.1).

use std::ops::Range;

use super::Error;

/// The range of a cookie's value within the field, without quotes around it.
///
/// # Errors
/// When the cookie stands there twice: servers differ in which one they take.
pub(super) fn find(field: &[u8], name: &str) -> Result<Option<Range<usize>>, Error> {
    let mut found = None;
    let mut at = 0;
    for pair in field.split(|byte| *byte == b';') {
        let start = at + pair.len() - pair.trim_ascii_start().len();
        at += pair.len() + 1;
        let Some(equals) = pair.iter().position(|byte| *byte == b'=') else { continue };
        let (own, value) = pair.split_at(equals);
        if !own.trim_ascii().eq_ignore_ascii_case(name.as_bytes()) {
            continue;
        }
        let value = value.get(1..).unwrap_or_default();
        let lead = value.len() - value.trim_ascii_start().len();
        let first = start + own.trim_ascii_start().len() + 1 + lead;
        let trimmed = value.trim_ascii();
        let quoted = trimmed.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).is_some();
        let range = if quoted { first + 1..first + trimmed.len() - 1 } else { first..first + trimmed.len() };
        if found.replace(range).is_some() {
            return Err(Error::DuplicateCookie(name.to_owned()));
        }
    }
    Ok(found)
}

/// Whether a credential can be the value of a cookie (RFC 6265, 4.1.1).
pub(super) fn check(credential: &[u8]) -> Result<(), Error> {
    let fits = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\');
    if credential.iter().all(fits) {
        return Ok(());
    }
    Err(Error::Unwritable {
        place: "a cookie",
        why: "it holds spaces, quotes, commas, semicolons or control characters",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cookie_is_found_among_others() {
        for (field, value) in [
            ("session=KEY", Some("KEY")),
            ("a=b; session=KEY; c=d", Some("KEY")),
            ("a=b;Session = KEY ;c=d", Some("KEY")),
            ("session=\"KEY\"; a=b", Some("KEY")),
            ("mysession=KEY", None),
            ("session", None),
            ("a=session=KEY", None),
        ] {
            let range = find(field.as_bytes(), "session").unwrap();
            assert_eq!(range.map(|range| &field[range]), value, "{field}");
        }
        assert!(find(b"session=a; session=b", "session").is_err());
    }

    #[test]
    fn attack_41_a_cookie_value_ends_no_cookie() {
        assert!(check(b"abc123_-=+/").is_ok());
        for value in [&b"a;b"[..], b"a b", b"a\"b", b"a,b", b"a\r\nb", b"\xff"] {
            assert!(check(value).is_err());
        }
    }
}
