//! Request paths in the one form that is judged: percent-decoding of unreserved characters, nothing else undone.
//!
//! Invariant: a path that two servers could read differently has no normal form and is refused (attack 82).

use std::borrow::Cow;

use crate::policy::PathError;

/// The longest path that is judged, in bytes.
const MAX_LEN: usize = 8 * 1024;

/// Whether `%2f` inside a segment is taken, as package registries and forges with nested projects need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EncodedSlash {
    /// The segment keeps it; it never separates segments.
    Keep,
    /// The request is malformed.
    #[default]
    Refuse,
}

/// A path as it is judged. What is sent upstream are the client's own bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NormalPath<'a>(Cow<'a, str>);

impl<'a> NormalPath<'a> {
    /// The normal form of a raw path without its query; refuses `%2f`. Borrows when nothing had to be decoded.
    pub fn parse(raw: &'a str) -> Result<Self, PathError> {
        Self::parse_with(raw, EncodedSlash::Refuse)
    }

    /// The same for a host that may take encoded slashes.
    pub fn parse_with(raw: &'a str, slash: EncodedSlash) -> Result<Self, PathError> {
        if raw.len() > MAX_LEN {
            return Err(PathError::TooLong);
        }
        if !raw.starts_with('/') {
            return Err(PathError::Relative);
        }
        for byte in raw.bytes() {
            match byte {
                b'\\' => return Err(PathError::Backslash),
                b'?' | b'#' | 0..=0x20 | 0x7f.. => return Err(PathError::Character),
                _ => {}
            }
        }
        let path = if raw.contains('%') { Cow::Owned(decode(raw, slash)?) } else { Cow::Borrowed(raw) };
        check_segments(&path)?;
        Ok(Self(path))
    }

    /// The normal form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which taking-away rules are matched too: everything but slashes decoded, `;` parameters and a
    /// final slash dropped. Servers that read a path so must not be a way round a deny rule.
    pub(in crate::policy) fn loose(&self) -> Cow<'_, str> {
        if !self.0.contains(['%', ';']) {
            return Cow::Borrowed(self.0.strip_suffix('/').unwrap_or(&self.0));
        }
        let decoded = decode_all(&self.0);
        let kept: Vec<&str> = decoded.split('/').map(|segment| segment.split(';').next().unwrap_or("")).collect();
        let joined = kept.join("/");
        Cow::Owned(joined.strip_suffix('/').map(str::to_owned).unwrap_or(joined))
    }
}

fn decode(raw: &str, slash: EncodedSlash) -> Result<String, PathError> {
    let mut path = String::with_capacity(raw.len());
    let mut bytes = Vec::new(); // all of it decoded, to see whether it is text
    let mut rest = raw;
    while let Some((before, after)) = rest.split_once('%') {
        path.push_str(before);
        bytes.extend_from_slice(before.as_bytes());
        let byte = hex_pair(after).ok_or(PathError::Encoding)?;
        let (digits, tail) = after.split_at(2);
        match byte {
            b'/' if slash == EncodedSlash::Refuse => return Err(PathError::EncodedSlash),
            b'\\' => return Err(PathError::Backslash),
            0..0x20 | 0x7f => return Err(PathError::Text),
            // A second decoding somewhere behind us would make a separator or a dot of it.
            b'%' if matches!(hex_pair(tail), Some(b'.' | b'/' | b'\\' | b'%' | 0)) => return Err(PathError::Encoding),
            b'-' | b'.' | b'_' | b'~' => path.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => path.push(char::from(byte)),
            _ => {
                path.push('%');
                path.push_str(&digits.to_ascii_uppercase());
            }
        }
        bytes.push(byte);
        rest = tail;
    }
    path.push_str(rest);
    bytes.extend_from_slice(rest.as_bytes());
    std::str::from_utf8(&bytes).map_err(|_| PathError::Text)?;
    Ok(path)
}

fn hex_pair(text: &str) -> Option<u8> {
    let pair = text.get(..2).filter(|pair| pair.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u8::from_str_radix(pair, 16).ok()
}

/// Decodes everything but slashes; the input is a normal form, so every `%` has its digits.
fn decode_all(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        match hex_pair(after) {
            Some(byte) if byte != b'/' => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or("");
            }
            _ => {
                bytes.push(b'%');
                rest = after;
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

fn check_segments(path: &str) -> Result<(), PathError> {
    let inner = path.strip_prefix('/').unwrap_or(path);
    if inner.is_empty() {
        return Ok(());
    }
    let last = inner.strip_suffix('/').unwrap_or(inner);
    // Bytes, as this is done for every request and every pattern: most have nothing that needs a closer look.
    if !last.bytes().any(|byte| matches!(byte, b'%' | b';')) {
        return last.as_bytes().split(|byte| *byte == b'/').try_for_each(check_segment);
    }
    last.split('/').flat_map(|segment| segment.split("%2F")).try_for_each(|segment| {
        let bare = segment.split(';').next().and_then(|bare| bare.split("%3B").next()).unwrap_or("");
        check_segment(bare.as_bytes())
    })
}

fn check_segment(bare: &[u8]) -> Result<(), PathError> {
    match bare {
        b"." | b".." => Err(PathError::DotSegment),
        b"" => Err(PathError::EmptySegment),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(raw: &str) -> Result<String, PathError> {
        NormalPath::parse(raw).map(|path| path.as_str().to_owned())
    }

    #[test]
    fn only_unreserved_characters_are_decoded() {
        for (raw, want) in [
            ("/", "/"),
            ("/v1/models", "/v1/models"),
            ("/v1/%6dodels", "/v1/models"),
            ("/a%2db%5Fc%7e", "/a-b_c~"),
            ("/x%3agenerate", "/x%3Agenerate"),
            ("/%40scope", "/%40scope"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/100%25", "/100%25"),
            ("/a.b/..c/...", "/a.b/..c/..."),
            ("/v1/files/", "/v1/files/"),
            ("/a;v=1/b", "/a;v=1/b"),
        ] {
            assert_eq!(normal(raw).as_deref(), Ok(want), "{raw}");
        }
    }

    #[test]
    fn attack_82_paths_of_two_readings_are_refused() {
        for (raw, why) in [
            ("/public/../secret", PathError::DotSegment),
            ("/public/%2e%2e/secret", PathError::DotSegment),
            ("/public/.%2E/secret", PathError::DotSegment),
            ("/a/./b", PathError::DotSegment),
            ("/a/..", PathError::DotSegment),
            ("/a/..;/b", PathError::DotSegment),
            ("/a/..%3bx/b", PathError::DotSegment),
            ("/a%2fb", PathError::EncodedSlash),
            ("/a%5cb", PathError::Backslash),
            ("/a\\b", PathError::Backslash),
            ("//a", PathError::EmptySegment),
            ("/a//b", PathError::EmptySegment),
            ("/a//", PathError::EmptySegment),
            ("/a/;x/b", PathError::EmptySegment),
            ("/%252e%252e/b", PathError::Encoding),
            ("/a%252fb", PathError::Encoding),
            ("/a%25252fb", PathError::Encoding),
            ("/a%", PathError::Encoding),
            ("/a%2", PathError::Encoding),
            ("/a%+1", PathError::Encoding),
            ("/a%00", PathError::Text),
            ("/a%0d%0ab", PathError::Text),
            ("/a%ff", PathError::Text),
            ("/a%c0%ae", PathError::Text),
            ("/a b", PathError::Character),
            ("/a?b", PathError::Character),
            ("/a#b", PathError::Character),
            ("/é", PathError::Character),
            ("", PathError::Relative),
            ("*", PathError::Relative),
            ("a/b", PathError::Relative),
            ("https://evil/", PathError::Relative),
        ] {
            assert_eq!(normal(raw), Err(why), "{raw}");
        }
        assert_eq!(normal(&format!("/{}", "a".repeat(MAX_LEN))), Err(PathError::TooLong));
    }

    #[test]
    fn a_kept_slash_never_separates_and_never_hides_dots() {
        let keep = |raw| NormalPath::parse_with(raw, EncodedSlash::Keep).map(|path| path.as_str().to_owned());
        assert_eq!(keep("/projects/acme%2fweb/x").as_deref(), Ok("/projects/acme%2Fweb/x"));
        assert_eq!(keep("/projects/a%2f..%2fb"), Err(PathError::DotSegment));
        assert_eq!(keep("/projects/a%2f%2fb"), Err(PathError::EmptySegment));
    }

    #[test]
    fn the_loose_form_reads_as_the_laxest_server_does() {
        for (raw, want) in [
            ("/v1/keys/", "/v1/keys"),
            ("/v1/keys;v=1", "/v1/keys"),
            ("/v1/x%3Akeys", "/v1/x:keys"),
            ("/v1/keys%3Bv=1/a", "/v1/keys/a"),
            ("/v1/keys", "/v1/keys"),
        ] {
            assert_eq!(NormalPath::parse(raw).unwrap().loose(), want, "{raw}");
        }
        assert!(matches!(NormalPath::parse("/v1/keys").unwrap().loose(), Cow::Borrowed(_)));
    }
}
