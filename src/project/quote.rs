//! Values in an env file: written so that `sh` and dotenv readers read the same bytes, as far as both can.
//!
//! POSIX shells take any bytes but zero. Dotenv readers agree on less: they differ in backslashes before a quote, expand
//! `$` even inside single quotes, and turn carriage returns into line feeds. See <https://github.com/motdotla/dotenv>,
//! <https://github.com/theskumar/python-dotenv> and, for shells, POSIX XCU 2.2.

/// Who gets a value back byte for byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Shells and dotenv readers.
    Everyone,
    /// Shells; a dotenv reader may understand something else.
    Shells,
}

/// Appends a value, quoted where it must be.
pub(super) fn write_value(out: &mut Vec<u8>, value: &[u8]) -> Reach {
    if value.iter().all(|b| b.is_ascii_alphanumeric() || b"_./:@%+,=-".contains(b)) {
        out.extend_from_slice(value); // readers that know no quotes at all get these right too
        return Reach::Everyone;
    }
    let has_quote = value.contains(&b'\'');
    if has_quote && !value.iter().any(|b| b"\"$`\\".contains(b)) {
        out.push(b'"');
        out.extend_from_slice(value);
        out.push(b'"');
    } else {
        out.push(b'\'');
        for byte in value {
            match byte {
                b'\'' => out.extend_from_slice(b"'\\''"),
                byte => out.push(*byte),
            }
        }
        out.push(b'\'');
        if has_quote {
            return Reach::Shells;
        }
    }
    reach(value)
}

/// Who reads a value alike that stands in quotes which it does not contain.
fn reach(value: &[u8]) -> Reach {
    let is_unlike = |pair: &[u8]| match pair {
        [b'$', next] => *next == b'{' || *next == b'_' || next.is_ascii_alphabetic(),
        [b'\\', b'\\'] => true,
        _ => false,
    };
    let is_alike = !value.windows(2).any(is_unlike)
        && !value.ends_with(b"\\")
        && !value.contains(&b'\r')
        && std::str::from_utf8(value).is_ok();
    if is_alike { Reach::Everyone } else { Reach::Shells }
}

/// A value that was read.
pub(super) struct Read<'a> {
    pub(super) value: Vec<u8>,
    /// How many bytes it takes as it is written, quotes included.
    pub(super) written: usize,
    /// What follows its line.
    pub(super) after: &'a [u8],
}

/// Reads the value at the beginning of `text`. Without a quote at its beginning a value goes to the end of its line as it
/// is, the way agent-secrets writes it; behind a quoted one there may be a comment. `None` when a quote is never closed,
/// or something else follows.
pub(super) fn read_value(text: &[u8]) -> Option<Read<'_>> {
    let (mut value, mut rest) = (Vec::new(), text);
    if !matches!(text, [b'\'' | b'"', ..]) {
        let end = text.iter().position(|b| *b == b'\n').unwrap_or(text.len());
        let (line, after) = text.split_at(end);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        return Some(Read { value: line.to_vec(), written: line.len(), after: after.get(1..).unwrap_or_default() });
    }
    loop {
        rest = match rest {
            [] | [b'\n' | b'\r' | b' ' | b'\t', ..] => break,
            [b'\'', rest @ ..] => {
                let end = rest.iter().position(|b| *b == b'\'')?;
                let (part, rest) = rest.split_at(end);
                value.extend_from_slice(part);
                rest.get(1..)?
            }
            [b'"', rest @ ..] => read_double_quoted(rest, &mut value)?,
            [b'\\', byte, rest @ ..] | [byte, rest @ ..] => {
                value.push(*byte);
                rest
            }
        }
    }
    let end = rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
    let (comment, after) = rest.split_at(end);
    let is_over = matches!(comment.trim_ascii(), [] | [b'#', ..]);
    is_over.then(|| Read { value, written: text.len() - rest.len(), after: after.get(1..).unwrap_or_default() })
}

fn read_double_quoted<'a>(mut rest: &'a [u8], value: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        rest = match rest {
            [] => return None,
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', byte @ (b'"' | b'\\' | b'$' | b'`'), rest @ ..] | [byte, rest @ ..] => {
                value.push(*byte);
                rest
            }
        }
    }
}
