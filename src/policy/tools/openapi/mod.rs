//! From an OpenAPI description (3.x, or Swagger 2.0) to a service file: a draft for a person to read.
//!
//! Invariants: nothing is fetched, no reference leaves the file; what is not understood is left out and said.

mod document;
mod kinds;
mod operations;
mod rules;
mod schemes;
mod secrets;
mod servers;
mod words;
mod write;

use std::fmt;

use serde_json::Value;

use crate::base::{Origin, ServiceId};

/// The largest description: 32 MiB.
pub const MAX_DESCRIPTION: u64 = 32 << 20;

/// What a description does not say, or says too much of.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The id of the service.
    pub id: ServiceId,
    /// Where it is; what the description says when empty.
    pub origins: Vec<Origin>,
    /// The variables that agents read the credential from; one made of the id when empty.
    pub env: Vec<String>,
}

/// A service file, and what the description holds and the file does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The text of the file.
    pub text: String,
    /// What was left out, and why.
    pub left_out: Vec<String>,
}

/// Why a description cannot be used; its author's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DescriptionError {
    /// Neither JSON nor YAML.
    #[error("the description is neither JSON nor YAML: {0}")]
    Syntax(String),
    /// Another format, or a version that is not known.
    #[error("the file is no OpenAPI description: it has neither `openapi: 3.…` nor `swagger: 2.0`")]
    Version,
    /// No host.
    #[error("the description names no host over https; name one with `--host`")]
    NoHost,
    /// No operation.
    #[error("the description has no `paths` that a rule could be made of")]
    NoPaths,
    /// No credential that a proxy could put in.
    #[error("the description names no credential in a header, query, cookie or basic credentials")]
    NoCredential,
}

/// Makes a service file of a description.
pub fn describe(description: &[u8], wish: &Wish) -> Result<Described, DescriptionError> {
    let document = document::read(description)?;
    let mut notes = Notes::default();
    let servers = servers::read(&document, &wish.origins, &mut notes);
    if servers.is_empty() {
        return Err(DescriptionError::NoHost);
    }
    let operations = operations::read(&document, &mut notes);
    if operations.is_empty() {
        return Err(DescriptionError::NoPaths);
    }
    let outside = document::outside(&document);
    if outside > 0 {
        notes.add(format!(
            "{outside} references to other files: bundle the description into one file to have them looked at"
        ));
    }
    let credentials = schemes::read(&document, &mut notes);
    if credentials.is_empty() {
        return Err(DescriptionError::NoCredential);
    }
    let title = document.pointer("/info/title").and_then(Value::as_str).unwrap_or(wish.id.as_str());
    let text = write::text(&write::Parts {
        wish,
        title,
        servers: &servers,
        operations: &operations,
        credentials: &credentials,
    });
    Ok(Described { text, left_out: notes.0 })
}

/// What was left out.
#[derive(Debug, Default)]
struct Notes(Vec<String>);

impl Notes {
    /// The most that are told.
    const MOST: usize = 100;

    fn add(&mut self, note: impl fmt::Display) {
        if self.0.len() < Self::MOST {
            self.0.push(note.to_string().chars().take(200).collect());
        }
    }
}

#[cfg(test)]
mod tests;
