//! Which capability a call belongs to: by its method, the words of its path, its name and summary, and the fields of its
//! answer.

use serde_json::Value;

use super::document::resolve;
use super::words::{
    Named, credential_in, is_about_credential, is_about_house, is_about_money, is_about_people, is_changing,
    is_deleting, is_login, is_looking, is_making, words,
};

/// Which capability a call belongs to, the mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Read,
    Write,
    Pay,
    Delete,
    Admin,
    /// Its answer shows or makes a credential, as far as names tell.
    Secret,
}

/// A capability, whether the call is refused for its answer's sake, and why it is not what its method says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) kind: Kind,
    pub(super) is_refused: bool,
    /// For a comment of the file; never a word of the description.
    pub(super) why: Option<&'static str>,
}

impl Judged {
    const fn as_method(kind: Kind) -> Self {
        Self { kind, is_refused: false, why: None }
    }

    const fn since(kind: Kind, why: &'static str) -> Self {
        Self { kind, is_refused: false, why: Some(why) }
    }

    const fn refused(why: &'static str) -> Self {
        Self { kind: Kind::Secret, is_refused: true, why: Some(why) }
    }
}

/// Judges one operation; `shows` says that the schema of its answer has fields of credentials.
pub(super) fn judge(document: &Value, method: &str, template: &str, operation: &Value, shows: bool) -> Judged {
    let text = |key: &str| operation.get(key).and_then(Value::as_str).map(words);
    let call = Call {
        method,
        segments: segments(template),
        ends_in_hole: template.trim_end_matches('/').ends_with('}'),
        ends_in_verb: template.rsplit('/').next().is_some_and(|last| without_holes(last).contains(':')),
        said: [text("operationId"), text("summary")].into_iter().flatten().collect(),
        asks_in_sql: asks_in_sql(document, operation),
    };
    call.credential(shows).unwrap_or_else(|| call.other())
}

/// The words of each segment that is not a hole; the custom verb of `{name}:verb` is a segment of its own.
fn segments(template: &str) -> Vec<Vec<String>> {
    let path = template.split(['?', '#']).next().unwrap_or("");
    path.split(['/', ':']).map(without_holes).map(|segment| words(&segment)).filter(|words| !words.is_empty()).collect()
}

fn without_holes(segment: &str) -> String {
    segment.split('{').enumerate().fold(String::new(), |text, (at, part)| match part.split_once('}') {
        Some((_, rest)) if at > 0 => text + " " + rest,
        _ if at > 0 => text,
        _ => text + part,
    })
}

/// Whether the body takes statements, which change what they like.
fn asks_in_sql(document: &Value, operation: &Value) -> bool {
    const STATEMENTS: [&str; 6] = ["cypher", "mutation", "script", "sql", "statement", "statements"];
    let body =
        operation.get("requestBody").and_then(|body| resolve(document, body)).and_then(|body| body.get("content"));
    let parameters = operation.get("parameters").and_then(Value::as_array).into_iter().flatten();
    let bodies = body.and_then(Value::as_object).into_iter().flatten().map(|(_, body)| body).chain(parameters);
    let schemas = bodies.filter_map(|body| resolve(document, resolve(document, body)?.get("schema")?));
    schemas
        .filter_map(|schema| schema.get("properties")?.as_object())
        .any(|fields| STATEMENTS.iter().any(|name| fields.contains_key(*name)))
}

struct Call<'a> {
    method: &'a str,
    segments: Vec<Vec<String>>,
    ends_in_hole: bool,
    /// As in `{name}:search`.
    ends_in_verb: bool,
    said: Vec<Vec<String>>,
    asks_in_sql: bool,
}

impl Call<'_> {
    fn last(&self) -> &[String] {
        self.segments.last().map_or(&[], Vec::as_slice)
    }

    fn only_looks(&self) -> bool {
        is_looking(self.last(), self.ends_in_verb, &self.said)
    }

    fn looks(&self) -> bool {
        matches!(self.method, "GET" | "HEAD" | "OPTIONS")
    }

    /// What shows, makes or keeps credentials.
    fn credential(&self, shows: bool) -> Option<Judged> {
        const PATH: &str = "the path names credentials";
        const MAKES: &str = "the path says that it makes a credential";
        const SAID: &str = "its name or summary says that it makes a credential";
        let makes = is_making(self.last()) || is_login(self.last());
        let named = |at: usize, segment: &Vec<String>| match credential_in(segment) {
            // `/tokens/{address}/price` is about other tokens than `/tokens` and `/tokens/{id}/rotate`.
            Named::Weakly => at + 1 == self.segments.len() || at + 2 == self.segments.len() && makes,
            found => found == Named::Plainly,
        };
        let in_path = self.segments.iter().enumerate().any(|(at, segment)| named(at, segment));
        let said = self.said.iter().map(|words| is_about_credential(words)).max().unwrap_or(Named::Not);
        let answer = if shows { "fields of its answer are named like credentials" } else { PATH };
        if self.looks() {
            let why = if in_path || shows { answer } else { "its name or summary is about a credential" };
            return (in_path || shows || said == Named::Plainly).then_some(Judged::since(Kind::Secret, why));
        }
        if self.method == "DELETE" {
            let found = if shows { Kind::Secret } else { Kind::Admin };
            return (in_path || shows).then_some(Judged::since(found, answer));
        }
        if in_path {
            let is_collection = !self.ends_in_hole && credential_in(self.last()) > Named::Not && self.method == "POST";
            let is_search = self.only_looks();
            return Some(match () {
                () if is_search && !shows => Judged::since(Kind::Secret, PATH),
                () if is_collection || makes => Judged::refused(MAKES),
                () if said > Named::Not && self.says_it_makes() || shows => Judged::refused(SAID_OR_SHOWN),
                () => Judged::since(Kind::Secret, PATH),
            });
        }
        if is_login(self.last()) {
            return Some(Judged::refused("the path begins a session, whose answer is a credential"));
        }
        if said > Named::Not && (self.says_it_makes() || makes) {
            return Some(Judged::refused(SAID));
        }
        shows.then_some(Judged::since(Kind::Secret, answer))
    }

    fn says_it_makes(&self) -> bool {
        self.said.iter().any(|words| is_making(words.get(..1).unwrap_or(&[])))
    }

    fn other(&self) -> Judged {
        let people = self.segments.iter().any(|segment| is_about_people(segment));
        let house = self.segments.iter().any(|segment| is_about_house(segment));
        let admin = Judged::since(Kind::Admin, "the path names people, rights, billing or webhooks");
        let deletes = Judged::since(Kind::Delete, "the path or its name says that it deletes");
        let names = || self.said.first().into_iter();
        if self.looks() {
            return match () {
                () if house => admin,
                () if is_deleting(self.last()) && names().any(|name| is_deleting(name)) => deletes,
                () if names().any(|name| is_changing(name)) => {
                    Judged::since(Kind::Write, "its name says that it changes something")
                }
                () => Judged::as_method(Kind::Read),
            };
        }
        let is_read = self.method == "POST" && !self.asks_in_sql && self.only_looks();
        match () {
            () if is_read && !house => Judged::since(Kind::Read, "a `POST` that only looks, by its path"),
            () if house || people || self.is_the_account() => admin,
            () if self.method == "DELETE" => Judged::as_method(Kind::Delete),
            () if is_deleting(self.last()) => deletes,
            () if self.segments.iter().any(|segment| is_about_money(segment)) => {
                Judged::since(Kind::Pay, "the path names payments")
            }
            () => Judged::as_method(Kind::Write),
        }
    }

    /// `/organizations/{id}` itself, and the users of it.
    fn is_the_account(&self) -> bool {
        const ACCOUNTS: [&str; 6] = ["account", "company", "org", "organization", "team", "workspace"];
        let is = |segment: Option<&Vec<String>>, list: &[&str]| {
            segment.is_some_and(|words| matches!(&words[..], [word] if list.contains(&&**word)))
        };
        let mut from_the_end = self.segments.iter().rev();
        let (last, before) = (from_the_end.next(), from_the_end.next());
        is(last, &ACCOUNTS) || is(last, &["user"]) && is(before, &ACCOUNTS)
    }
}

const SAID_OR_SHOWN: &str = "its path, and its name or answer, speak of a fresh credential";
