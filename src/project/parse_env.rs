//! Reading env files back: our own, and those that agent-secrets wrote.

use zeroize::Zeroizing;

use super::{VariableName, quote::read_value};
use crate::base::Timestamp;

/// What the comments at the beginning of an env file say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvHeader {
    /// Whether we, or agent-secrets, wrote the file.
    pub is_managed: bool,
    /// When its variables end, if it says so in a way that can be read.
    pub expires: Option<Timestamp>,
    /// Where they come from.
    pub source: Option<String>,
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
                _ => {}
            }
        }
        header
    }

    /// Whether the file is managed and its time is over.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.is_managed && self.expires.is_some_and(|expires| expires <= now)
    }
}

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
        let (mut rest, mut number) = (content, 1);
        while !rest.is_empty() {
            let end = rest.iter().position(|b| *b == b'\n').map_or(rest.len(), |at| at + 1);
            let (line, after) = rest.split_at(end);
            let line = line.trim_ascii();
            let mut next = after;
            if !line.is_empty() && !line.starts_with(b"#") {
                if let Some((variable, after)) = read_variable(rest) {
                    parsed.variables.push(variable);
                    next = after;
                } else {
                    parsed.odd_lines.push(number);
                }
            }
            let used = rest.get(..rest.len() - next.len()).unwrap_or_default();
            number += used.iter().map(|b| usize::from(*b == b'\n')).sum::<usize>();
            rest = next;
        }
        parsed
    }
}

/// The variable at the beginning of a text, and what follows its line; its value may go over several.
fn read_variable(text: &[u8]) -> Option<(Variable, &[u8])> {
    let text = text.trim_ascii_start();
    let text = text.strip_prefix(b"export ").unwrap_or(text);
    let at = text.iter().position(|b| *b == b'=')?;
    let (name, value) = text.split_at(at);
    let name = std::str::from_utf8(name).ok()?.parse().ok()?;
    let (value, after) = read_value(value.get(1..)?)?;
    Some(((name, Zeroizing::new(value)), after))
}

impl std::fmt::Debug for ParsedEnvFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.variables.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("ParsedEnvFile").field("header", &self.header).field("variables", &names).finish_non_exhaustive()
    }
}
