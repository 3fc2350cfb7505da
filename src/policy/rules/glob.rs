//! Patterns over values: globs for agents, projects and `only` lists, character sets for parameters.
//!
//! Invariant: matching takes time proportional to text times pattern at worst; nothing is tried twice.

use std::str::FromStr;

/// A glob over a whole text: `*` is any run without `/`, `**` any run, a final `/**` may also be absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) struct Glob {
    text: Box<str>,
    literal: usize,
    ops: Vec<Op>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Any,
    AnyDepth,
    Byte(u8),
}

/// Why a text is no pattern; the policy author's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::policy) enum GlobError {
    #[error("a pattern cannot be empty; use `*` for any one value")]
    Empty,
    #[error("`{0}` has more than 127 characters after its first `*`")]
    TooLong(String),
    #[error("`{0}` contains a character that no pattern takes")]
    Character(String),
    #[error("`{0}` is no character pattern; write it like `[a-z0-9-]{{1,40}}`")]
    Pieces(String),
}

impl Glob {
    pub(in crate::policy) fn as_str(&self) -> &str {
        &self.text
    }

    pub(in crate::policy) fn matches(&self, text: &str) -> bool {
        let (head, _) = self.text.split_at(self.literal);
        if text.strip_prefix(head).is_some_and(|rest| self.run(rest.as_bytes())) {
            return true;
        }
        // `~/src/acme/**` is the folder itself too.
        self.text.strip_suffix("/**").is_some_and(|bare| !bare.contains('*') && bare == text)
    }

    /// Follows all possible positions at once; bit `n` means that `ops[n]` is next.
    fn run(&self, text: &[u8]) -> bool {
        let mut at = self.close(1);
        for &byte in text {
            let mut next = 0_u128;
            for (index, op) in self.ops.iter().enumerate() {
                if at & (1 << index) == 0 {
                    continue;
                }
                match *op {
                    Op::Byte(want) if want == byte => next |= 1 << (index + 1),
                    Op::AnyDepth => next |= 1 << index,
                    Op::Any if byte != b'/' => next |= 1 << index,
                    Op::Any | Op::Byte(_) => {}
                }
            }
            if next == 0 {
                return false;
            }
            at = self.close(next);
        }
        at & (1 << self.ops.len()) != 0
    }

    fn close(&self, mut at: u128) -> u128 {
        for (index, op) in self.ops.iter().enumerate() {
            if at & (1 << index) != 0 && !matches!(op, Op::Byte(_)) {
                at |= 1 << (index + 1);
            }
        }
        at
    }

    /// Whether no text can match both, as far as literal beginnings and ends can show. Never wrongly `true`.
    pub(in crate::policy) fn is_disjoint(&self, other: &Self) -> bool {
        match (self.ops.is_empty(), other.ops.is_empty()) {
            (true, true) => self.text != other.text,
            (true, false) => !other.matches(&self.text),
            (false, true) => !self.matches(&other.text),
            (false, false) => {
                let differ =
                    |a: &mut dyn Iterator<Item = u8>, b: &mut dyn Iterator<Item = u8>| a.zip(b).any(|(a, b)| a != b);
                let (a, b) = (self.head(), other.head());
                let (c, d) = (self.tail(), other.tail());
                differ(&mut a.bytes(), &mut b.bytes()) || differ(&mut c.bytes().rev(), &mut d.bytes().rev())
            }
        }
    }

    /// The literal beginning that every match shares; `/**` at the end may be absent as a whole.
    fn head(&self) -> &str {
        let (head, rest) = self.text.split_at(self.literal);
        if rest == "**" { head.strip_suffix('/').unwrap_or(head) } else { head }
    }

    fn tail(&self) -> &str {
        self.text.rsplit('*').next().unwrap_or("")
    }
}

impl FromStr for Glob {
    type Err = GlobError;

    fn from_str(text: &str) -> Result<Self, GlobError> {
        if text.is_empty() {
            return Err(GlobError::Empty);
        }
        if text.chars().any(char::is_control) {
            return Err(GlobError::Character(text.escape_debug().to_string()));
        }
        let literal = text.find('*').unwrap_or(text.len());
        let mut ops = Vec::new();
        let mut rest = text.split_at(literal).1.bytes().peekable();
        while let Some(byte) = rest.next() {
            ops.push(match byte {
                b'*' if rest.next_if_eq(&b'*').is_some() => Op::AnyDepth,
                b'*' => Op::Any,
                _ => Op::Byte(byte),
            });
        }
        if ops.len() > 127 {
            return Err(GlobError::TooLong(text.escape_debug().to_string()));
        }
        Ok(Self { text: text.into(), literal, ops })
    }
}

/// What a parameter's value must look like: a glob, or sets of characters with counts. Each set takes as much as
/// it can and gives nothing back, so `[a-z]{1,9}z` never matches; write `[a-z]{2,10}` instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) enum ValuePattern {
    Glob(Glob),
    Sets(Vec<Set>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) struct Set {
    pub(in crate::policy) ranges: Vec<(u8, u8)>,
    pub(in crate::policy) least: usize,
    pub(in crate::policy) most: usize,
}

impl ValuePattern {
    pub(in crate::policy) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Glob(glob) => glob.matches(text),
            Self::Sets(sets) => {
                let mut rest = text.as_bytes();
                sets.iter().all(|set| {
                    let fits = |b: &&u8| set.ranges.iter().any(|(low, high)| (low..=high).contains(b));
                    let taken = rest.iter().take(set.most).take_while(fits).count();
                    rest = rest.get(taken..).unwrap_or(&[]);
                    taken >= set.least
                }) && rest.is_empty()
            }
        }
    }
}

impl FromStr for ValuePattern {
    type Err = GlobError;

    fn from_str(text: &str) -> Result<Self, GlobError> {
        if !text.contains('[') {
            return Ok(Self::Glob(text.parse()?));
        }
        let wrong = || GlobError::Pieces(text.escape_debug().to_string());
        let mut sets = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (ranges, after) = if let Some(inner) = rest.strip_prefix('[') {
                let (inside, after) = inner.split_once(']').ok_or_else(wrong)?;
                (ranges(inside.as_bytes()).ok_or_else(wrong)?, after)
            } else {
                let first = rest.bytes().next().filter(|b| b.is_ascii_graphic() && !b"*+?(){}|^$\\".contains(b));
                let first = first.ok_or_else(wrong)?;
                (vec![(first, first)], rest.split_at(1).1)
            };
            let (least, most, after) = counts(after).ok_or_else(wrong)?;
            sets.push(Set { ranges, least, most });
            rest = after;
        }
        Ok(Self::Sets(sets))
    }
}

fn ranges(mut inside: &[u8]) -> Option<Vec<(u8, u8)>> {
    let mut ranges = Vec::new();
    while let Some((&low, rest)) = inside.split_first() {
        let (high, rest) = match rest {
            [b'-', high, rest @ ..] => (*high, rest),
            _ => (low, rest),
        };
        if !low.is_ascii_graphic() || !high.is_ascii_graphic() || low > high || low == b'^' {
            return None;
        }
        ranges.push((low, high));
        inside = rest;
    }
    (!ranges.is_empty()).then_some(ranges)
}

fn counts(text: &str) -> Option<(usize, usize, &str)> {
    let Some(inner) = text.strip_prefix('{') else { return Some((1, 1, text)) };
    let (inside, after) = inner.split_once('}')?;
    let (least, most) = inside.split_once(',').unwrap_or((inside, inside));
    let (least, most) = (least.parse().ok()?, most.parse().ok()?);
    (least <= most && most <= 1024).then_some((least, most, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glob(text: &str) -> Glob {
        text.parse().unwrap()
    }

    #[test]
    fn globs_match_whole_values() {
        for (pattern, yes, no) in [
            ("acme/*", "acme/web", "acme/web/x"),
            ("acme/*", "acme/", "acme"),
            ("claude-*", "claude-code", "codex"),
            ("*", "anything", "a/b"),
            ("/src/acme/**", "/src/acme", "/src/acmeX"),
            ("/src/acme/**", "/src/acme/a/b", "/src"),
            ("a*b**c*d", "aXbX/XcXd", "aXbXcX/d"),
            ("exact", "exact", "exactly"),
        ] {
            assert!(glob(pattern).matches(yes), "{pattern} {yes}");
            assert!(!glob(pattern).matches(no), "{pattern} {no}");
        }
        assert!(glob("**").matches("") && glob("**").matches("a/b"));
        assert!(!glob("*").matches("a/b"));
    }

    #[test]
    fn a_glob_of_many_stars_ends_at_once() {
        assert!(!glob(&format!("{}b", "a*".repeat(60))).matches(&"a".repeat(8_000)));
    }

    #[test]
    fn disjoint_is_never_claimed_wrongly() {
        for (a, b) in [
            ("claude-code", "codex"),
            ("claude-*", "codex-*"),
            ("claude-*", "codex"),
            ("*-a", "*-b"),
            ("/a/**", "/b/**"),
        ] {
            assert!(glob(a).is_disjoint(&glob(b)) && glob(b).is_disjoint(&glob(a)), "{a} {b}");
        }
        for (a, b) in [
            ("a", "a"),
            ("*", "a"),
            ("a*", "*b"),
            ("/a/**", "/a"),
            ("/a/**", "/a*"),
            ("/a/**", "/a/b/**"),
            ("a*", "ab*"),
        ] {
            assert!(!glob(a).is_disjoint(&glob(b)) && !glob(b).is_disjoint(&glob(a)), "{a} {b}");
        }
    }

    #[test]
    fn value_patterns_count_characters() {
        let pattern: ValuePattern = "[a-z0-9-]{1,5}".parse().unwrap();
        assert!(pattern.matches("ab-9") && !pattern.matches("") && !pattern.matches("abcdef") && !pattern.matches("A"));
        let account: ValuePattern = "AC[0-9a-f]{32}".parse().unwrap();
        assert!(account.matches(&format!("AC{}", "0f".repeat(16))) && !account.matches("AC0f"));
        for wrong in ["[a-z", "[]", "[z-a]", "(a|b)[x]", "[a]{3,1}", "[a]{9999}", "[^a]"] {
            assert!(wrong.parse::<ValuePattern>().is_err(), "{wrong}");
        }
    }
}
