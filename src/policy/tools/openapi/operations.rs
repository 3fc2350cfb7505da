//! What can be asked of the service: one entry for each method of each path.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Notes,
    document::{resolve, resolved},
    kinds::{Judged, judge},
    secrets::answers_with_secret,
};
use crate::policy::rules::PathPattern;

/// One method of one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Operation {
    /// In capitals.
    pub(super) method: &'static str,
    /// With `*` for every hole; below the server's own path.
    pub(super) path: String,
    pub(super) judged: Judged,
}

const METHODS: [(&str, &str); 7] = [
    ("get", "GET"),
    ("head", "HEAD"),
    ("options", "OPTIONS"),
    ("post", "POST"),
    ("put", "PUT"),
    ("patch", "PATCH"),
    ("delete", "DELETE"),
];

/// Methods that a description can name and for which no rule is made.
const OTHERS: [&str; 3] = ["additionalOperations", "query", "trace"];

/// Every operation, in the order of their paths.
pub(super) fn read(document: &Value, notes: &mut Notes) -> Vec<Operation> {
    let mut operations: BTreeMap<(String, &'static str), Judged> = BTreeMap::new();
    let mut elsewhere = 0;
    for (template, item) in document.get("paths").and_then(Value::as_object).into_iter().flatten() {
        if template.starts_with("x-") {
            continue; // what somebody's tool wanted to say
        }
        let (shown, Some(item)) = (template.escape_debug(), resolve(document, item)) else {
            notes.add(format!("the path `{}`, whose reference leads nowhere in this file", template.escape_debug()));
            continue;
        };
        let Some(path) = pattern(template) else {
            notes.add(format!("the path `{shown}`, which no pattern can say"));
            continue;
        };
        if template.contains("{+") || template.contains("*}") {
            notes.add(format!("of the path `{shown}`, whatever has more segments than one for each hole"));
        }
        for other in OTHERS.iter().filter(|other| item.get(**other).is_some()) {
            notes.add(format!("`{other}` of the path `{shown}`, which no rule is made for"));
        }
        for (key, method) in METHODS {
            let Some(operation) = item.get(key) else { continue };
            if operation
                .get("servers")
                .or_else(|| item.get("servers"))
                .is_some_and(|servers| is_elsewhere(document, servers))
            {
                notes.add(format!(
                    "`{method} {shown}`, which has servers of its own: describe them as another `[host]`"
                ));
                continue;
            }
            let known = resolved(document, operation);
            elsewhere += usize::from(known.is_none());
            let operation = known.unwrap_or(&Value::Null);
            let judged = judge(document, method, template, operation, answers_with_secret(document, operation));
            let entry = operations.entry((path.clone(), method)).or_insert(judged);
            if entry.kind < judged.kind {
                *entry = judged; // two templates that one pattern says: the stricter holds
            }
            entry.is_refused |= judged.is_refused;
        }
    }
    if elsewhere > 0 {
        notes.add(format!(
            "what {elsewhere} operations ask and answer: they stand in other files, and are judged by their paths"
        ));
    }
    for key in ["x-ms-paths"].into_iter().filter(|key| document.get(*key).is_some()) {
        notes.add(format!("`{key}`, whose paths are told apart by their queries"));
    }
    operations.into_iter().map(|((path, method), judged)| Operation { method, path, judged }).collect()
}

/// Whether servers of a path or an operation are others than those of the whole.
fn is_elsewhere(document: &Value, servers: &Value) -> bool {
    servers.as_array().is_some_and(|list| !list.is_empty()) && document.get("servers") != Some(servers)
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
