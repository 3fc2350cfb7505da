//! Rules over GraphQL requests: which operations, and which root fields of them.
//!
//! Invariants: every operation of a request counts, whichever it asks to have run; what stands where only some servers
//! look (a second query in the URL, a body of another kind) makes the whole request unclear.

use serde_json::{Map, Value};

use super::{
    Found,
    body::View,
    document::{Budget, Document, Kind},
    globs::{Globs, texts},
    json::{fold, read_json},
    pairs::values_of,
};
use crate::policy::{
    files::{Table, expected},
    rules::{Call, Reading},
};

/// What a rule wants of a GraphQL request.
#[derive(Clone, Debug)]
pub(in crate::policy) struct Graphql {
    /// Empty for a rule that only takes listed documents.
    operations: Vec<Kind>,
    /// `None` for all root fields.
    fields: Option<Globs>,
    /// Ids and hashes of documents that the server knows.
    persisted: Vec<Box<str>>,
    batch: bool,
}

/// What one HTTP request asks for.
#[derive(Debug)]
pub(super) struct Requests {
    place: Place,
    entries: Vec<Entry>,
}

/// Where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Batch,
    Body,
    Url,
}

/// One request: a document, or names of documents that the server knows, or both.
#[derive(Debug, Default)]
struct Entry {
    document: Option<Document>,
    operation: Option<Box<str>>,
    ids: Vec<Box<str>>,
}

const KINDS: [(&str, Kind); 3] =
    [("query", Kind::Query), ("mutation", Kind::Mutation), ("subscription", Kind::Subscription)];

/// The keys under which servers take the id of a document that they know.
const IDS: [&str; 4] = ["id", "documentId", "doc_id", "queryId"];

impl Graphql {
    /// Reads `graphql = { operation, field, persisted, batch }`.
    pub(super) fn read(mut table: Table<'_>) -> Self {
        let source = table.source();
        let operations = texts(&mut table, "operation");
        let has_operations = operations.is_some();
        let mut kinds = Vec::new();
        for text in operations.unwrap_or_default() {
            match KINDS.iter().find(|(word, _)| *word == text.value) {
                Some((_, kind)) => kinds.push(*kind),
                None => source.fault(
                    text.span,
                    format!("`{}` is no operation of GraphQL", text.value.escape_debug()),
                    expected(text.value, &KINDS.map(|(word, _)| word)),
                ),
            }
        }
        let fields = Globs::read(&mut table, "field", unusable);
        let persisted = texts(&mut table, "persisted");
        if !has_operations && (fields.is_some() || persisted.is_none()) {
            table
                .fault("`graphql` names no `operation`", "add `operation = \"query\"`, or `[\"query\", \"mutation\"]`");
        }
        let persisted = persisted.unwrap_or_default().iter().map(|id| id.value.into()).collect();
        let batch = table.flag("batch").unwrap_or_default();
        table.finish();
        Self { operations: kinds, fields, persisted, batch }
    }

    pub(super) fn find(&self, call: &Call<'_>, reading: Reading) -> Found {
        let look = |view: View<&Requests>| view.found(reading, |asked| self.gives(asked), |asked| self.takes(asked));
        let body = call.content.body;
        match call.method {
            "POST" if !is_in_url(call.content.query) => look(body.graphql()),
            "GET" => match (from_url(call.content.query), body.is_empty()) {
                (View::Read(asked), Some(true)) => look(View::Read(&asked)),
                // A body would make it unclear.
                (View::Read(asked), None) => match reading {
                    Reading::Exact => look(View::Read(&asked)).min(Found::Unread),
                    Reading::Loose => Found::Yes,
                },
                (View::Empty, Some(true)) => Found::No,
                _ => look(View::Unreadable),
            },
            _ => look(View::Unreadable),
        }
    }

    fn gives(&self, asked: &Requests) -> bool {
        (asked.place != Place::Batch || self.batch)
            && asked.entries.iter().all(|entry| {
                entry.ids.iter().all(|id| self.persisted.contains(id))
                    && entry.document.as_ref().is_none_or(|document| {
                        document.picks(entry.operation.as_deref())
                            && document.operations.iter().all(|operation| {
                                (asked.place != Place::Url || operation.kind == Kind::Query)
                                    && self.operations.contains(&operation.kind)
                                    && operation.fields.iter().all(|field| self.is_field(field, Reading::Exact))
                            })
                    })
            })
    }

    fn takes(&self, asked: &Requests) -> bool {
        asked.entries.iter().any(|entry| {
            let operations = entry.document.iter().flat_map(|document| &document.operations);
            let mut ours = operations.filter(|operation| self.operations.contains(&operation.kind));
            ours.any(|operation| {
                self.fields.is_none() || operation.fields.iter().any(|field| self.is_field(field, Reading::Loose))
            }) || entry.ids.iter().any(|id| {
                // What the server has under an id may be any operation.
                !self.operations.is_empty() || self.persisted.iter().any(|ours| ours.eq_ignore_ascii_case(id))
            })
        })
    }

    fn is_field(&self, field: &str, reading: Reading) -> bool {
        self.fields.as_ref().is_none_or(|fields| fields.fit(field, reading))
    }
}

/// Why a text is no root field.
fn unusable(text: &str) -> Option<String> {
    let usable = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'*'));
    (!usable).then(|| format!("`{}` is no root field; write it like `createIssue` or `create*`", text.escape_debug()))
}

impl Document {
    /// Whether it is clear which operation runs.
    fn picks(&self, name: Option<&str>) -> bool {
        match (name, self.operations.as_slice()) {
            (None, operations) => operations.len() == 1,
            (Some(name), operations) => operations.iter().any(|operation| operation.name.as_deref() == Some(name)),
        }
    }
}

impl Requests {
    /// Out of a body; `None` when it is no GraphQL request, or could be understood in two ways.
    pub(super) fn read(body: &Value) -> Option<Self> {
        let mut budget = Budget::default();
        match body {
            Value::Object(members) => {
                Entry::read(members, &mut budget).map(|entry| Self { place: Place::Body, entries: vec![entry] })
            }
            Value::Array(items) if !items.is_empty() => {
                let entries = items.iter().map(|item| Entry::read(item.as_object()?, &mut budget));
                entries.collect::<Option<_>>().map(|entries| Self { place: Place::Batch, entries })
            }
            _ => None,
        }
    }
}

impl Entry {
    fn read(members: &Map<String, Value>, budget: &mut Budget) -> Option<Self> {
        let mut entry = Self::default();
        for (key, value) in members {
            match (&**key, value) {
                ("query", Value::String(text)) => entry.document = Some(Document::read(text, budget)?),
                ("operationName", Value::String(name)) => entry.operation = Some((**name).into()),
                ("variables", _) | ("query" | "operationName" | "extensions", Value::Null) => {}
                ("extensions", Value::Object(extensions)) => entry.ids.extend(persisted(extensions)?),
                (key, Value::Null) if IDS.contains(&key) => {}
                (key, Value::String(id)) if IDS.contains(&key) => entry.ids.push((**id).into()),
                (key, Value::Number(id)) if IDS.contains(&key) => entry.ids.push(id.to_string().into()),
                _ => return None, // some server may know what it means
            }
        }
        (entry.document.is_some() || !entry.ids.is_empty()).then_some(entry)
    }
}

/// The hashes in `extensions`; `None` when it is not clear whether there are any.
fn persisted(extensions: &Map<String, Value>) -> Option<Vec<Box<str>>> {
    let mut hashes = Vec::new();
    for (key, value) in extensions.iter().filter(|(key, _)| fold(key) == "persistedquery") {
        for (name, value) in value.as_object().filter(|_| key == "persistedQuery")? {
            match (&**name, value) {
                ("sha256Hash", Value::String(text)) => hashes.push((**text).into()),
                ("version", Value::Number(_)) => {}
                _ => return None,
            }
        }
        hashes.first()?;
    }
    Some(hashes)
}

/// Whether a URL could hold a second request beside the one in the body.
fn is_in_url(query: Option<&str>) -> bool {
    let names = ["query", "extensions"].into_iter().chain(IDS);
    let holds = |name| {
        let values = query.and_then(|query| values_of(query, name, Reading::Loose));
        query.is_some() && values.is_none_or(|values| !values.is_empty())
    };
    query.is_some_and(|query| !query.is_empty()) && names.into_iter().any(holds)
}

/// Out of the URL of a GET.
fn from_url(query: Option<&str>) -> View<Requests> {
    let Some(query) = query.filter(|query| !query.is_empty()) else { return View::Empty };
    let mut members = Map::new();
    for name in ["query", "operationName", "extensions"].into_iter().chain(IDS) {
        let Some(mut values) = values_of(query, name, Reading::Exact) else { return View::Unreadable };
        let Some(value) = values.pop() else { continue };
        let value = if name == "extensions" { read_json(value.as_bytes()) } else { Some(value.into()) };
        match value {
            Some(value) if values.is_empty() => members.insert(name.to_owned(), value),
            _ => return View::Unreadable,
        };
    }
    if members.is_empty() {
        return View::Empty;
    }
    let entry = Entry::read(&members, &mut Budget::default());
    entry.map_or(View::Unreadable, |entry| View::Read(Requests { place: Place::Url, entries: vec![entry] }))
}
