//! Reading env files back: our own, and those that agent-secrets wrote.

use std::ops::Range;

use zeroize::Zeroizing;

use super::quote::{Read, read_value, write_value};
use crate::base::{LeaseId, Timestamp, VariableName};

/// What the comments at the beginning of an env file say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvHeader {
    /// Whether we, or agent-secrets, wrote the file.
    pub is_managed: bool,
    /// When its variables end, if it says so in a way that can be read.
    pub expires: Option<Timestamp>,
    /// Where they come from.
    pub source: Option<String>,
    /// The leases that end with the file.
    pub leases: Vec<LeaseId>,
}

impl EnvHeader {
    /// Reads the comments before the first other line.
    pub fn parse(content: &[u8]) -> Self {
        let mut header = Self::default();
        for line in content.split(|b| *b == b'\n') {
            let line = String::from_utf8_lossy(line);
            let Some(comment) = line.trim().strip_prefix('#') else { break };
            match comment.split_once(':').map(|(key, value)| (key.trim(), value.trim())) {
                Some(("secrets-managed", value)) => header.is_managed = value == "true",
                Some(("secrets-ttl", value)) => header.expires = Timestamp::parse(value),
                Some(("secrets-source", value)) => header.source = Some(value.to_owned()),
                Some(("secrets-leases", value)) => header.add_leases(value),
                _ => {}
            }
        }
        header
    }

    fn add_leases(&mut self, ids: &str) {
        let room = MAX_LEASES.saturating_sub(self.leases.len());
        self.leases.extend(ids.split_ascii_whitespace().filter_map(|id| id.parse::<LeaseId>().ok()).take(room));
    }

    /// Whether the file is managed and its time is over.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.is_managed && self.expires.is_some_and(|expires| expires <= now)
    }
}

/// The most leases that a header names.
const MAX_LEASES: usize = 1_000;

/// A variable and its value, which is wiped on drop.
pub type Variable = (VariableName, Zeroizing<Vec<u8>>);

/// An env file that was read.
pub struct ParsedEnvFile {
    /// Its comments.
    pub header: EnvHeader,
    /// Its variables in their order; the values are wiped on drop.
    pub variables: Vec<Variable>,
    /// Lines that are neither comment nor variable, from 1. Nothing is skipped in silence.
    pub odd_lines: Vec<usize>,
}

impl ParsedEnvFile {
    /// Reads an env file.
    pub fn parse(content: &[u8]) -> Self {
        let mut parsed = Self { header: EnvHeader::parse(content), variables: Vec::new(), odd_lines: Vec::new() };
        let mut number = 1;
        for piece in Pieces(content) {
            match piece.variable {
                Some((variable, _)) => parsed.variables.push(variable),
                None if piece.is_odd() => parsed.odd_lines.push(number),
                None => {}
            }
            number += piece.text.iter().map(|b| usize::from(*b == b'\n')).sum::<usize>();
        }
        parsed
    }
}

/// An env file that a person wrote, with other values for some of its variables and every other byte as it is. A bare
/// value ends before a comment, as dotenv readers have it. `change` says the new value.
pub fn rewritten(
    content: &[u8],
    mut change: impl FnMut(&VariableName, &[u8]) -> Option<Zeroizing<Vec<u8>>>,
) -> Zeroizing<Vec<u8>> {
    // Values only get shorter or have at most four bytes for one; a buffer that grows leaves copies behind.
    let mut out = Zeroizing::new(Vec::with_capacity(content.len() * 2 + 4096));
    for piece in Pieces(content) {
        let new = piece.variable.as_ref().and_then(|((name, value), range)| {
            let (value, range) = without_comment(piece.text, value, range.clone());
            Some((change(name, value)?, range))
        });
        match new {
            Some((value, range)) => {
                out.extend_from_slice(piece.text.get(..range.start).unwrap_or_default());
                write_value(&mut out, &value);
                out.extend_from_slice(piece.text.get(range.end..).unwrap_or_default());
            }
            None => out.extend_from_slice(piece.text),
        }
    }
    out
}

/// The variables of an env file that a person wrote; see [`rewritten`].
pub fn variables_of(content: &[u8]) -> Vec<Variable> {
    let mut all = Vec::new();
    rewritten(content, |name, value| {
        all.push((name.clone(), Zeroizing::new(value.to_vec())));
        None
    });
    all
}

fn without_comment<'a>(text: &[u8], value: &'a [u8], range: Range<usize>) -> (&'a [u8], Range<usize>) {
    if matches!(text.get(range.start), Some(b'\'' | b'"')) {
        return (value, range);
    }
    let is_comment = |pair: &[u8]| matches!(pair, [b' ' | b'\t', b'#']);
    let end = value.windows(2).position(is_comment).unwrap_or(value.len());
    let value = value.get(..end).unwrap_or_default().trim_ascii_end();
    (value, range.start..range.start + value.len())
}

/// A file line by line, or variable by variable where one goes over several lines; together the whole file.
struct Pieces<'a>(&'a [u8]);

struct Piece<'a> {
    text: &'a [u8],
    /// The variable and where in the text its value is written.
    variable: Option<(Variable, Range<usize>)>,
}

impl Piece<'_> {
    /// Neither empty nor a comment nor a variable.
    fn is_odd(&self) -> bool {
        let line = self.text.trim_ascii();
        self.variable.is_none() && !line.is_empty() && !line.starts_with(b"#")
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let rest = self.0;
        if rest.is_empty() {
            return None;
        }
        let end = rest.iter().position(|b| *b == b'\n').map_or(rest.len(), |at| at + 1);
        let line = rest.get(..end).unwrap_or_default();
        let is_text = !line.trim_ascii().is_empty() && !line.trim_ascii().starts_with(b"#");
        if let Some((variable, range, after)) = is_text.then(|| read_variable(rest)).flatten() {
            let (text, after) = rest.split_at(rest.len() - after.len());
            self.0 = after;
            return Some(Piece { text, variable: Some((variable, range)) });
        }
        self.0 = rest.get(end..).unwrap_or_default();
        Some(Piece { text: line, variable: None })
    }
}

/// The variable at the beginning of a text, where its value is written, and what follows its line; the value may go over
/// several.
fn read_variable(whole: &[u8]) -> Option<(Variable, Range<usize>, &[u8])> {
    let text = whole.trim_ascii_start();
    let text = text.strip_prefix(b"export ").unwrap_or(text);
    let at = text.iter().position(|b| *b == b'=')?;
    let (name, value) = text.split_at(at);
    let name = std::str::from_utf8(name).ok()?.parse().ok()?;
    let value = value.get(1..)?;
    let start = whole.len() - value.len();
    let Read { value, written, after } = read_value(value)?;
    Some(((name, Zeroizing::new(value)), start..start + written, after))
}

impl std::fmt::Debug for ParsedEnvFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.variables.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("ParsedEnvFile").field("header", &self.header).field("variables", &names).finish_non_exhaustive()
    }
}
