//! The shapes that a service's own description gives: what its credentials and its lease tokens look like.

use std::{fmt, ops::Range, sync::Arc};

use super::{
    Severity,
    entropy::entropy,
    shape::{MAX_VALUE, is_beginning},
};
use crate::recipe::TokenShape;

/// Says whether a whole value looks right.
pub type Fits = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// One credential of a service, as far as a scan needs it.
#[derive(Clone)]
pub struct ServiceShape {
    /// How findings are called, such as `Anthropic key`.
    pub name: String,
    /// What values begin with, any of them; none when only the variable tells.
    pub prefixes: Vec<String>,
    /// The length of a value, in bytes, when there is one.
    pub length: Option<usize>,
    /// Whether a whole value looks right.
    pub fits: Fits,
    /// The variables that it is usually kept in.
    pub env: Vec<String>,
    /// What its lease tokens look like.
    pub lease: TokenShape,
}

impl fmt::Debug for ServiceShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceShape")
            .field("name", &self.name)
            .field("prefixes", &self.prefixes)
            .finish_non_exhaustive()
    }
}

/// What follows a short prefix at least; a longer prefix is less likely by accident.
const SHORT_PREFIX: usize = 3;
const AFTER_SHORT: usize = 20;
const AFTER_LONG: usize = 16;
/// Random letters have more; words with dashes mostly have less.
const MIN_ENTROPY: f64 = 3.0;

impl ServiceShape {
    /// How bad it is when one stands in a file.
    pub(super) const SEVERITY: Severity = Severity::Critical;

    /// The value whose prefix, one of this credential's, stands at `start..end`.
    pub(super) fn at(&self, text: &[u8], start: usize, end: usize) -> Option<Range<usize>> {
        if !is_beginning(text, start) {
            return None;
        }
        let prefix = text.get(start..end)?;
        let is_part = |byte: &u8| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'_' | b'-' | b'.')
                || (prefix.contains(&b'/') && b"/:".contains(byte))
        };
        let after = text.get(end..)?.iter().take(MAX_VALUE).take_while(|byte| is_part(byte)).count();
        let value = text.get(start..end + after)?;
        let value = value.strip_suffix(b".").unwrap_or(value);
        let least = if prefix.len() <= SHORT_PREFIX { AFTER_SHORT } else { AFTER_LONG };
        let tail = value.get(prefix.len()..)?;
        let looks_random = tail.iter().any(u8::is_ascii_digit)
            && tail.iter().any(u8::is_ascii_alphabetic)
            && entropy(tail) >= MIN_ENTROPY;
        (tail.len() >= least && looks_random && (self.fits)(value)).then_some(start..start + value.len())
    }

    /// Whether a value in one of this credential's variables is it, for those that have no prefix.
    pub(super) fn is_value(&self, value: &[u8]) -> bool {
        self.prefixes.is_empty() && value.len() >= AFTER_LONG && entropy(value) >= MIN_ENTROPY && (self.fits)(value)
    }
}
