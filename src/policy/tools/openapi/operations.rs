//! What can be asked of the service: one entry for each method of each path.

use serde_json::Value;

use super::{Notes, document::resolve, secrets::answers_with_secret};
use crate::policy::rules::PathPattern;

/// One method of one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Operation {
    /// In capitals.
    pub(super) method: &'static str,
    /// With `*` for every hole; below the server's own path.
    pub(super) path: String,
    pub(super) kind: Kind,
}

/// Which capability it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Read,
    Write,
    Delete,
    /// Its answer holds a credential, as far as the names of its fields tell.
    Secret,
}

const METHODS: [(&str, &str, Kind); 7] = [
    ("get", "GET", Kind::Read),
    ("head", "HEAD", Kind::Read),
    ("options", "OPTIONS", Kind::Read),
    ("post", "POST", Kind::Write),
    ("put", "PUT", Kind::Write),
    ("patch", "PATCH", Kind::Write),
    ("delete", "DELETE", Kind::Delete),
];

/// Every operation, in the order of the file.
pub(super) fn read(document: &Value, notes: &mut Notes) -> Vec<Operation> {
    let mut operations = Vec::new();
    for (template, item) in document.get("paths").and_then(Value::as_object).into_iter().flatten() {
        let Some(item) = resolve(document, item) else {
            notes.add(format!("the path `{}`, whose reference leads nowhere", template.escape_debug()));
            continue;
        };
        let Some(path) = pattern(template) else {
            notes.add(format!("the path `{}`, which no pattern can say", template.escape_debug()));
            continue;
        };
        for (key, method, kind) in METHODS {
            let Some(operation) = item.get(key) else { continue };
            let kind = if answers_with_secret(document, operation) { Kind::Secret } else { kind };
            operations.push(Operation { method, path: path.clone(), kind });
        }
    }
    operations
}

/// `/pets/{petId}.json` becomes `/pets/*.json`.
fn pattern(template: &str) -> Option<String> {
    let template = template.split(['?', '#']).next()?;
    let mut path = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        path.push_str(before);
        if !path.ends_with('*') {
            path.push('*');
        }
        rest = after.split_once('}')?.1;
    }
    path.push_str(rest);
    PathPattern::parse(&path, &[]).is_ok().then_some(path)
}
