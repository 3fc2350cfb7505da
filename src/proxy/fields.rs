//! Withholding fields of a JSON answer as it streams: values at listed places are replaced, every other byte passes.
//!
//! Invariants: nothing of a withheld value leaves; what is no JSON ends the answer, so that no reading of it by somebody
//! else shows more. Nothing waits but the key that is being read, and the memory is bounded by depth and key length.

mod scalar;
#[cfg(test)]
mod tests;

use bytes::{Bytes, BytesMut};

use crate::policy::{Fields, Onward, WITHHELD, Way};

use scalar::{Text, Word};

use std::sync::Arc;

/// The deepest nesting that is followed.
const DEEPEST: usize = 512;

/// The longest key, as it is written.
const LONGEST_KEY: usize = 64 * 1024;

/// The text is no JSON, or more than can be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

/// How many documents a body may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Documents {
    One,
    /// Each begins a line of its own, as where an API streams objects; they say `application/json`, too.
    Lines,
}

/// The scrubber of one body.
pub(super) struct FieldScrubber {
    fields: Arc<Fields>,
    documents: Documents,
    stack: Vec<Level>,
    /// The way to the value that comes next.
    next: Way,
    expect: Expect,
    key: Vec<u8>,
    /// How deep the stack was where the value began that is being withheld.
    withheld: Option<usize>,
    found: u64,
    begun: bool,
    /// Whether the line has ended on which the last value did.
    line_over: bool,
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
    /// A comma or the end of what is open; at the top perhaps another document.
    Next,
    InKey {
        escaped: bool,
    },
    InText(Text),
    InWord(Word),
}

const MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

impl FieldScrubber {
    pub(super) fn new(fields: Arc<Fields>, documents: Documents) -> Self {
        Self {
            next: fields.start(),
            fields,
            documents,
            stack: Vec::new(),
            expect: Expect::Value { end: false },
            key: Vec::new(),
            withheld: None,
            found: 0,
            begun: false,
            line_over: false,
            mark: 0,
        }
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
        let over = match self.expect {
            Expect::Next => true,
            Expect::InWord(word) => word.is_whole(),
            _ => false,
        };
        ((over && self.stack.is_empty()) || (!self.begun && self.mark == 0)).then_some(()).ok_or(Unreadable)
    }

    fn byte(&mut self, byte: u8) -> Result<Turn, Unreadable> {
        match self.expect {
            Expect::InText(Text::Plain) if byte == b'"' => {
                return Ok(if self.ended() { Turn::EndsWith } else { Turn::Same });
            }
            Expect::InText(text) => self.expect = Expect::InText(text.with(byte).ok_or(Unreadable)?),
            Expect::InKey { escaped } => {
                self.key.push(byte);
                self.expect = Expect::InKey { escaped: !escaped && byte == b'\\' };
                if byte == b'"' && !escaped {
                    self.key_ended()?;
                } else if self.key.len() > LONGEST_KEY {
                    return Err(Unreadable);
                }
            }
            Expect::InWord(word) => return self.word(word, byte),
            Expect::Value { .. } if !self.begun && self.mark < MARK.len() && MARK.get(self.mark) == Some(&byte) => {
                self.mark += 1;
            }
            _ if !self.begun && !matches!(self.mark, 0 | 3) => return Err(Unreadable),
            _ if is_blank(byte) => self.line_over |= byte == b'\n',
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
            b'"' => self.expect = Expect::InText(Text::Plain),
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
            _ => self.expect = Expect::InWord(Word::begin(byte).ok_or(Unreadable)?),
        }
        Ok(if begins { Turn::Begins } else { Turn::Same })
    }

    /// A byte in a bare word, or after it.
    fn word(&mut self, word: Word, byte: u8) -> Result<Turn, Unreadable> {
        if let Some(more) = word.with(byte) {
            self.expect = Expect::InWord(more);
            return Ok(Turn::Same);
        }
        if !word.is_whole() || !(is_blank(byte) || matches!(byte, b',' | b']' | b'}')) {
            return Err(Unreadable);
        }
        let ended = self.ended();
        let turn = self.after(byte)?;
        Ok(if ended { Turn::EndsBefore } else { turn })
    }

    /// A byte after a value.
    fn after(&mut self, byte: u8) -> Result<Turn, Unreadable> {
        match (byte, self.stack.last_mut()) {
            (b' ' | b'\t' | b'\r' | b'\n', _) => {
                self.line_over |= byte == b'\n';
                Ok(Turn::Same)
            }
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
            (_, None) if self.documents == Documents::Lines && self.line_over => {
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
        self.line_over = false;
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

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}
