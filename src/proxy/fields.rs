//! Withholding fields of a JSON answer as it streams: values at listed places are replaced, every other byte passes.
//!
//! Invariants: nothing of a withheld value leaves; what is no JSON ends the answer, so that no reading of it by somebody
//! else shows more. Nothing waits but the key that is being read, and the memory is bounded by depth and key length.

use bytes::{Bytes, BytesMut};

use crate::policy::{Fields, Onward, WITHHELD, Way};

use std::sync::Arc;

/// The deepest nesting that is followed.
const DEEPEST: usize = 512;

/// The longest key, as it is written.
const LONGEST_KEY: usize = 64 * 1024;

/// The text is no JSON, or more than can be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

/// The scrubber of one body.
pub(super) struct FieldScrubber {
    fields: Arc<Fields>,
    stack: Vec<Level>,
    /// The way to the value that comes next.
    next: Way,
    expect: Expect,
    key: Vec<u8>,
    /// How deep the stack was where the value began that is being withheld.
    withheld: Option<usize>,
    found: u64,
    begun: bool,
    /// How many bytes of a byte order mark have been seen.
    mark: usize,
}

struct Level {
    way: Way,
    /// The index of the next element; `None` in an object.
    element: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    /// A value; `end` when the list may end instead.
    Value {
        end: bool,
    },
    /// A key; `end` when the object may end instead.
    Key {
        end: bool,
    },
    Colon,
    /// A comma or the end of what is open; at the top another document.
    Next,
    InKey {
        escaped: bool,
    },
    InText {
        escaped: bool,
    },
    InWord,
}

const MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

impl FieldScrubber {
    pub(super) fn new(fields: Arc<Fields>) -> Self {
        let next = fields.start();
        let (stack, expect, key) = (Vec::new(), Expect::Value { end: false }, Vec::new());
        Self { fields, stack, next, expect, key, withheld: None, found: 0, begun: false, mark: 0 }
    }

    /// How many values were withheld.
    pub(super) const fn found(&self) -> u64 {
        self.found
    }

    /// What may be passed on after this chunk; the chunk itself, uncopied, when nothing of it is withheld.
    pub(super) fn feed(&mut self, chunk: Bytes) -> Result<Bytes, Unreadable> {
        let mut clean = BytesMut::new();
        let (mut from, mut touched) = (0, self.withheld.is_some());
        for (at, &byte) in chunk.iter().enumerate() {
            match self.byte(byte)? {
                Turn::Same => {}
                Turn::Begins => {
                    clean.extend_from_slice(chunk.get(from..at).unwrap_or_default());
                    clean.extend_from_slice(format!("\"{WITHHELD}\"").as_bytes());
                    touched = true;
                }
                Turn::EndsBefore => from = at,
                Turn::EndsWith => from = at + 1,
            }
        }
        if !touched {
            return Ok(chunk);
        }
        if self.withheld.is_none() {
            clean.extend_from_slice(chunk.get(from..).unwrap_or_default());
        }
        Ok(clean.freeze())
    }

    /// The body has ended: so must its document.
    pub(super) fn finish(&self) -> Result<(), Unreadable> {
        let over = matches!(self.expect, Expect::Next | Expect::InWord) && self.stack.is_empty();
        (over || (!self.begun && self.mark == 0)).then_some(()).ok_or(Unreadable)
    }

    fn byte(&mut self, byte: u8) -> Result<Turn, Unreadable> {
        match self.expect {
            Expect::InText { escaped: false } if byte == b'"' => {
                return Ok(if self.ended() { Turn::EndsWith } else { Turn::Same });
            }
            Expect::InText { escaped } => self.expect = Expect::InText { escaped: !escaped && byte == b'\\' },
            Expect::InKey { escaped } => {
                self.key.push(byte);
                self.expect = Expect::InKey { escaped: !escaped && byte == b'\\' };
                if byte == b'"' && !escaped {
                    self.key_ended()?;
                } else if self.key.len() > LONGEST_KEY {
                    return Err(Unreadable);
                }
            }
            Expect::InWord if is_word(byte) => {}
            Expect::InWord => {
                let ended = self.ended();
                if !matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b',' | b']' | b'}') {
                    return Err(Unreadable);
                }
                let turn = self.after(byte)?;
                return Ok(if ended { Turn::EndsBefore } else { turn });
            }
            Expect::Value { .. } if !self.begun && self.mark < MARK.len() && MARK.get(self.mark) == Some(&byte) => {
                self.mark += 1;
            }
            _ if !self.begun && !matches!(self.mark, 0 | 3) => return Err(Unreadable),
            _ if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') => {}
            Expect::Value { end } if byte == b']' && end => return self.close(byte),
            Expect::Value { .. } => return self.value(byte),
            Expect::Key { end } if byte == b'}' && end => return self.close(byte),
            Expect::Key { .. } if byte == b'"' => {
                self.key.clear();
                self.key.push(byte);
                self.expect = Expect::InKey { escaped: false };
            }
            Expect::Colon if byte == b':' => self.expect = Expect::Value { end: false },
            Expect::Next => return self.after(byte),
            Expect::Key { .. } | Expect::Colon => return Err(Unreadable),
        }
        Ok(Turn::Same)
    }

    /// The first byte of a value.
    fn value(&mut self, byte: u8) -> Result<Turn, Unreadable> {
        self.begun = true;
        // What can be no credential stays, for programs that look whether something is there.
        let tells = !matches!(byte, b't' | b'f' | b'n');
        let begins = self.withheld.is_none() && tells && self.fields.is_hit(&self.next);
        if begins {
            self.withheld = Some(self.stack.len());
            self.found += 1;
        }
        match byte {
            b'"' => self.expect = Expect::InText { escaped: false },
            b'{' | b'[' if self.stack.len() >= DEEPEST => return Err(Unreadable),
            b'{' => {
                self.stack.push(Level { way: self.next.clone(), element: None });
                self.expect = Expect::Key { end: true };
            }
            b'[' => {
                let way = self.next.clone();
                self.next = self.fields.step(&way, Onward::Element(0));
                self.stack.push(Level { way, element: Some(0) });
                self.expect = Expect::Value { end: true };
            }
            _ if is_word(byte) => self.expect = Expect::InWord,
            _ => return Err(Unreadable),
        }
        Ok(if begins { Turn::Begins } else { Turn::Same })
    }

    /// A byte after a value.
    fn after(&mut self, byte: u8) -> Result<Turn, Unreadable> {
        match (byte, self.stack.last_mut()) {
            (b' ' | b'\t' | b'\r' | b'\n', _) => Ok(Turn::Same),
            (b'}' | b']', Some(_)) => self.close(byte),
            (b',', Some(Level { element: None, .. })) => {
                self.expect = Expect::Key { end: false };
                Ok(Turn::Same)
            }
            (b',', Some(Level { way, element: Some(element) })) => {
                *element += 1;
                self.next = self.fields.step(way, Onward::Element(*element));
                self.expect = Expect::Value { end: false };
                Ok(Turn::Same)
            }
            // Another document, as in lines of JSON.
            (_, None) => {
                self.next = self.fields.start();
                self.value(byte)
            }
            _ => Err(Unreadable),
        }
    }

    fn close(&mut self, byte: u8) -> Result<Turn, Unreadable> {
        let level = self.stack.pop().ok_or(Unreadable)?;
        if level.element.is_some() != (byte == b']') {
            return Err(Unreadable);
        }
        Ok(if self.ended() { Turn::EndsWith } else { Turn::Same })
    }

    /// A value has ended; whether it was withheld.
    fn ended(&mut self) -> bool {
        self.expect = Expect::Next;
        self.withheld.take_if(|depth| *depth == self.stack.len()).is_some()
    }

    fn key_ended(&mut self) -> Result<(), Unreadable> {
        let key: String = serde_json::from_slice(&self.key).map_err(|_| Unreadable)?;
        let level = self.stack.last().ok_or(Unreadable)?;
        self.next = self.fields.step(&level.way, Onward::Member(&key));
        self.expect = Expect::Colon;
        Ok(())
    }
}

/// What one byte changes about whether bytes pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// Nothing.
    Same,
    /// A withheld value begins with it.
    Begins,
    /// A withheld value ended before it.
    EndsBefore,
    /// A withheld value ends with it.
    EndsWith,
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scrub(fields: &[&str], chunks: &[&[u8]]) -> Result<String, Unreadable> {
        let mut scrubber = FieldScrubber::new(Arc::new(Fields::of(fields)));
        let mut out = Vec::new();
        for chunk in chunks {
            out.extend_from_slice(&scrubber.feed(Bytes::copy_from_slice(chunk))?);
        }
        scrubber.finish()?;
        Ok(String::from_utf8(out).unwrap())
    }

    const TEXT: &str = r#" {"id": 7, "download_url":"https://x/y?token=\"a\\", "items":[ {"download\u005furl" : 12},
        {"download_url":{"a":[1,{"b":"}]"}]},"size":1e3} ], "n":null, "download_url": null} "#;
    const CLEAN: &str = r#" {"id": 7, "download_url":"[withheld]", "items":[ {"download\u005furl" : "[withheld]"},
        {"download_url":"[withheld]","size":1e3} ], "n":null, "download_url": null} "#;

    #[test]
    fn values_are_withheld_wherever_the_text_is_split() {
        for at in 0..=TEXT.len() {
            let (one, two) = TEXT.as_bytes().split_at(at);
            assert_eq!(scrub(&["/**/download_url"], &[one, two]).unwrap(), CLEAN, "split at {at}");
        }
        let single: Vec<&[u8]> = TEXT.as_bytes().chunks(1).collect();
        assert_eq!(scrub(&["/**/download_url"], &single).unwrap(), CLEAN);
    }

    #[test]
    fn what_is_not_listed_passes_as_it_is() {
        for text in [
            "",
            " ",
            "[]",
            "{}",
            "[1,2]",
            "null",
            "\"a\"",
            "{\"a\":{}}",
            "\u{feff}{\"b\":[]}",
            "{\"a\":1}\n{\"a\":2}\n",
            "12",
        ] {
            assert_eq!(scrub(&["/**/token"], &[text.as_bytes()]).unwrap(), text);
        }
        let whole = Bytes::from_static(b"{\"a\":[1,2,3]}");
        let mut scrubber = FieldScrubber::new(Arc::new(Fields::of(&["/**/token"])));
        assert_eq!(scrubber.feed(whole.clone()).unwrap().as_ptr(), whole.as_ptr(), "uncopied");
    }

    #[test]
    fn lines_of_json_are_documents_each() {
        let text = b"{\"token\":\"a\"}\n{\"x\":1,\"token\":\"b\"}\n";
        let clean = "{\"token\":\"[withheld]\"}\n{\"x\":1,\"token\":\"[withheld]\"}\n";
        assert_eq!(scrub(&["/token"], &[text]).unwrap(), clean);
        assert_eq!(scrub(&["/1/key"], &[br#"[{"key":1},{"key":2}]"#]).unwrap(), r#"[{"key":1},{"key":"[withheld]"}]"#);
    }

    #[test]
    fn what_is_no_json_ends_the_answer() {
        for text in [
            "{",
            "[1",
            "\"a",
            "{\"a\"}",
            "{a:1}",
            "[1}",
            "{]",
            "{\"a\":1,}",
            "{'token':'x'}",
            "<html>",
            "[1 2]",
            "[1,,2]",
            "/*x*/{}",
            "{\"a\":1]",
            "]",
            ",",
            "{\"\u{1}\":1}",
            "\u{ef}{}",
        ] {
            assert!(scrub(&["/**/token"], &[text.as_bytes()]).is_err(), "{text}");
        }
        assert!(scrub(&["/token"], &[b"{\"token\":\"secret"]).is_err());
        let deep = "[".repeat(DEEPEST + 1);
        assert!(scrub(&["/token"], &[deep.as_bytes()]).is_err());
        let long = format!("{{\"{}\":1}}", "k".repeat(LONGEST_KEY));
        assert!(scrub(&["/token"], &[long.as_bytes()]).is_err());
        let utf16: Vec<u8> = "{\"token\":\"s\"}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(scrub(&["/token"], &[&utf16]).is_err());
    }

    #[test]
    fn nothing_of_a_value_leaves_before_the_text_turns_out_to_be_wrong() {
        let mut scrubber = FieldScrubber::new(Arc::new(Fields::of(&["/token"])));
        assert_eq!(scrubber.feed(Bytes::from_static(b"{\"token\":\"abc")).unwrap(), "{\"token\":\"[withheld]\"");
        assert_eq!(scrubber.feed(Bytes::from_static(b"def\", \"a\":")).unwrap(), ", \"a\":");
        assert_eq!(scrubber.found(), 1);
        assert!(scrubber.feed(Bytes::from_static(b"<")).is_err());
    }
}
