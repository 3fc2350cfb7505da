//! What is no list and no object, byte by byte (RFC 8259, sections 3, 6 and 7): bare words and escapes in strings.

/// How far a bare word has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// One of the three names, and what is missing of it.
    Name(&'static [u8]),
    Minus,
    /// A zero in front, after which no digit may come.
    Zero,
    Digits,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
}

impl Word {
    pub(super) const fn begin(byte: u8) -> Option<Self> {
        Some(match byte {
            b't' => Self::Name(b"rue"),
            b'f' => Self::Name(b"alse"),
            b'n' => Self::Name(b"ull"),
            b'-' => Self::Minus,
            b'0' => Self::Zero,
            b'1'..=b'9' => Self::Digits,
            _ => return None,
        })
    }

    /// The word with one byte more; `None` when it cannot go on so.
    pub(super) fn with(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Name([first, rest @ ..]), _) if *first == byte => Self::Name(rest),
            (Self::Minus, b'0') => Self::Zero,
            (Self::Minus, b'1'..=b'9') | (Self::Digits, b'0'..=b'9') => Self::Digits,
            (Self::Zero | Self::Digits, b'.') => Self::Point,
            (Self::Point | Self::Fraction, b'0'..=b'9') => Self::Fraction,
            (Self::Zero | Self::Digits | Self::Fraction, b'e' | b'E') => Self::Exponent,
            (Self::Exponent, b'+' | b'-') => Self::ExponentSign,
            (Self::Exponent | Self::ExponentSign | Self::ExponentDigits, b'0'..=b'9') => Self::ExponentDigits,
            _ => return None,
        })
    }

    /// Whether it may end here.
    pub(super) const fn is_whole(self) -> bool {
        matches!(self, Self::Name([]) | Self::Zero | Self::Digits | Self::Fraction | Self::ExponentDigits)
    }
}

/// What a string's next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Text {
    Plain,
    Escape,
    /// So many hexadecimal digits.
    Digits(u8),
}

impl Text {
    /// The string with one byte more, which does not end it; `None` when no string goes on so.
    pub(super) const fn with(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Plain, b'\\') => Self::Escape,
            (Self::Escape, b'u') => Self::Digits(4),
            (Self::Plain, b' '..)
            | (Self::Escape, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't')
            | (Self::Digits(1), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => Self::Plain,
            (Self::Digits(left), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => Self::Digits(left - 1),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_word(text: &str) -> bool {
        let mut bytes = text.bytes();
        let word = bytes.next().and_then(Word::begin);
        word.and_then(|word| bytes.try_fold(word, Word::with)).is_some_and(Word::is_whole)
    }

    /// As `serde_json`, which is strict, reads them.
    #[test]
    fn bare_words_are_the_three_names_and_numbers() {
        let parts = ["", "0", "7", "12", "-", "+", ".", "e", "E", "00", "x", "true", "false", "null"];
        for one in parts {
            for two in parts {
                for three in parts {
                    for four in parts {
                        let text = [one, two, three, four].concat();
                        let read = serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok();
                        assert_eq!(is_word(&text), read, "{text}");
                    }
                }
            }
        }
        for text in ["True", "nul", "nulll", "tru", "NaN", "Infinity", "0x1f", "1_000"] {
            assert!(!is_word(text), "{text}");
        }
    }

    #[test]
    fn strings_hold_no_controls_and_no_escapes_of_their_own() {
        let read = |text: &str| text.bytes().try_fold(Text::Plain, Text::with);
        for text in ["", "a b~é", r#"\"\\\/\b\f\n\r\t"#, r"\u00e9\uD83D\uDE00x"] {
            assert_eq!(read(text), Some(Text::Plain), "{text}");
        }
        for text in ["a\nb", "\0", "\t", r"\x41", r"\'", r"\u12g4", "\\\n", r"\U0041"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
