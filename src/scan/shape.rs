//! One shape of a secret: a literal that it begins with, and what follows.

use std::sync::OnceLock;

use regex::bytes::{Regex, RegexBuilder};

use super::{Severity, entropy::entropy};

/// The longest value that is looked at as a whole, in bytes; what is longer is judged by its beginning.
pub(super) const MAX_VALUE: usize = 4096;

/// A shape as the table of known ones writes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct KnownShape {
    pub(super) name: &'static str,
    pub(super) severity: Severity,
    /// What is looked for, with upper and lower case told apart.
    pub(super) literal: &'static str,
    /// What follows the literal, as a regular expression over bytes.
    pub(super) body: &'static str,
    /// What stands before the literal and belongs to the value, as a set of bytes with counts.
    pub(super) lead: Option<Lead>,
}

/// Bytes before a literal that belong to the value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lead {
    pub(super) set: fn(&u8) -> bool,
    pub(super) least: usize,
    pub(super) most: usize,
}

/// A known shape that is ready to be used; its expression is compiled when it is first needed.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) known: KnownShape,
    body: OnceLock<Option<Regex>>,
}

impl Shape {
    pub(super) const fn new(known: KnownShape) -> Self {
        Self { known, body: OnceLock::new() }
    }

    /// The value around a literal that was found at `start..end`.
    pub(super) fn at(&self, text: &[u8], start: usize, end: usize) -> Option<std::ops::Range<usize>> {
        let start = match self.known.lead {
            Some(lead) => {
                let before = text.get(..start)?.iter().rev().take(lead.most + 1).take_while(|b| (lead.set)(b)).count();
                (lead.least..=lead.most).contains(&before).then(|| start - before)?
            }
            None => start,
        };
        let is_header = self.known.literal.starts_with("-----"); // may follow anything
        if !is_header && !is_beginning(text, start) {
            return None;
        }
        let rest = text.get(end..)?;
        let rest = rest.get(..MAX_VALUE).unwrap_or(rest);
        let body = self.body.get_or_init(|| compile(self.known.body)).as_ref()?;
        let stop = end + body.find(rest)?.end();
        let joins = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let goes_on = text.get(stop).is_some_and(joins) && text.get(stop - 1).is_some_and(joins);
        let value = text.get(start..stop)?;
        let is_real = is_header || entropy(value) >= MIN_ENTROPY;
        (!goes_on && is_real && !value.ends_with(b"EXAMPLE")).then_some(start..stop)
    }
}

/// Below this a value is a placeholder such as `xxxxxxxx` or `12341234`.
const MIN_ENTROPY: f64 = 2.5;

/// `None` for an expression that does not compile; a test compiles all of them.
pub(super) fn compile(body: &str) -> Option<Regex> {
    RegexBuilder::new(&format!("^(?:{body})")).unicode(false).build().ok()
}

/// Whether a value may begin here: not in the middle of a word, but behind an escape such as `%3D` or `\n`.
pub(super) fn is_beginning(text: &[u8], at: usize) -> bool {
    let before = |count: usize| at.checked_sub(count).and_then(|at| text.get(at)).copied();
    let Some(previous) = before(1) else { return true };
    if !previous.is_ascii_alphanumeric() && !matches!(previous, b'_' | b'-') {
        return true;
    }
    let is_hex = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_hexdigit());
    let is_percent_escape = before(3) == Some(b'%') && is_hex(before(2)) && is_hex(before(1));
    is_percent_escape || (before(2) == Some(b'\\') && matches!(previous, b'n' | b'r' | b't'))
}
