//! Matchers over named values: query parameters, header fields, members of a JSON body, fields of a form.

use http::HeaderName;

use super::{Found, ShownValue, Values, body::View, json::Pointer, pairs::values_of};
use crate::policy::rules::{Call, Reading};

/// One name and the values that it may have.
#[derive(Clone, Debug)]
pub(in crate::policy) struct Field {
    pub(super) source: Source,
    pub(super) values: Values,
}

/// Where a value stands.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Form(Box<str>),
    Header(HeaderName),
    Json(Pointer),
    Query(Box<str>),
}

impl Field {
    /// In the words of a file: `query x`.
    pub(in crate::policy) fn describe(&self) -> String {
        match &self.source {
            Source::Form(name) => format!("form {name}"),
            Source::Header(name) => format!("header {name}"),
            Source::Json(pointer) => format!("json {pointer}"),
            Source::Query(name) => format!("query {name}"),
        }
    }

    /// The field of the head that it is about.
    pub(super) const fn header(&self) -> Option<&HeaderName> {
        match &self.source {
            Source::Header(name) => Some(name),
            Source::Form(_) | Source::Json(_) | Source::Query(_) => None,
        }
    }

    pub(super) const fn needs_body(&self) -> bool {
        matches!(self.source, Source::Form(_) | Source::Json(_))
    }

    pub(super) fn find(&self, call: &Call<'_>, reading: Reading, shown: &mut Vec<ShownValue>) -> Found {
        let exactly = reading == Reading::Exact;
        let texts = match &self.source {
            Source::Header(name) => {
                let values = call.content.headers.get_all(name).iter();
                let values = values.map(|value| value.to_str().ok()).collect::<Option<Vec<_>>>();
                // Servers read a field as a list or as one text; whichever it is counts when it takes.
                let parts = |value: &str| value.split(',').map(|part| part.trim().to_owned()).collect::<Vec<_>>();
                let all =
                    |value: &str| [vec![value.to_owned()], if exactly { Vec::new() } else { parts(value) }].concat();
                values.map(|values| values.into_iter().flat_map(all).collect())
            }
            Source::Query(name) => call.content.query.map_or(Some(Vec::new()), |query| values_of(query, name, reading)),
            Source::Json(pointer) => match call.content.body.json() {
                View::Unread => return unread(reading),
                View::Empty => Some(Vec::new()),
                View::Unreadable => None,
                View::Read(value) => pointer.texts(value, reading),
            },
            Source::Form(name) => match call.content.body.form() {
                View::Unread => return unread(reading),
                View::Empty => Some(Vec::new()),
                View::Unreadable => None,
                View::Read(text) => values_of(text, name, reading),
            },
        };
        let holds = match texts {
            Some(texts) => self.values.fit(texts.iter().map(String::as_str), reading, shown),
            None => !exactly,
        };
        if holds { Found::Yes } else { Found::No }
    }
}

/// What nobody has read gives nothing yet, and takes whatever it could.
pub(super) const fn unread(reading: Reading) -> Found {
    match reading {
        Reading::Exact => Found::Unread,
        Reading::Loose => Found::Yes,
    }
}
