//! What a rule can look at beyond host, method and path: query, fields, and what a body says.
//!
//! Invariants: what gives is read exactly, so that a text which two servers could read differently gives nothing; what
//! takes away is read widely, so that an unread or unreadable body is taken to hold whatever a rule looks for.

mod body;
mod document;
mod fields;
mod globs;
mod graphql;
mod grpc;
mod json;
mod jsonrpc;
mod pairs;
mod read;
mod values;

pub use body::Body;
pub(super) use fields::Field;
pub(super) use graphql::Graphql;
pub(super) use grpc::Grpc;
pub(super) use jsonrpc::Rpc;
pub(super) use read::read_matchers;
pub(super) use values::Values;

use std::sync::LazyLock;

use http::HeaderMap;

use super::{
    path_pattern::{PathPattern, Reading},
    rule::Call,
};

/// A parameter's name and one value that a request showed for it.
pub(super) type ShownValue = (Box<str>, Box<str>);

/// What looking at one matcher found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Found {
    /// It does not hold.
    No,
    /// Only the body could tell, which nobody has read.
    Unread,
    /// It holds.
    Yes,
}

/// The matchers of one rule beyond host, method and path; all must hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Matchers {
    pub(super) fields: Vec<Field>,
    pub(super) graphql: Option<Graphql>,
    pub(super) grpc: Option<Grpc>,
    /// `jsonrpc` and `mcp`.
    pub(super) rpc: Vec<Rpc>,
}

/// What a request says beyond host, method and path.
#[derive(Clone, Copy, Debug)]
pub struct Content<'a> {
    /// The raw query, without its `?`.
    pub query: Option<&'a str>,
    /// The fields of its head.
    pub headers: &'a HeaderMap,
    /// Its body.
    pub body: &'a Body,
}

impl Content<'static> {
    /// Of a request of which only host, method and path are known.
    pub fn unknown() -> Self {
        static HEADERS: LazyLock<HeaderMap> = LazyLock::new(HeaderMap::new);
        static BODY: Body = Body::unread();
        Self { query: None, headers: &HEADERS, body: &BODY }
    }
}

/// How much of a request's body must be read before it can be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peek {
    /// The most bytes; a longer body cannot be judged.
    pub most: usize,
}

impl Peek {
    /// What a rule that looks into bodies reads unless it has a `body_max`: 1 MiB.
    pub(super) const MOST: usize = 1 << 20;

    /// What no rule may go beyond: 16 MiB.
    pub(super) const LIMIT: usize = 16 << 20;
}

impl Matchers {
    /// Whether there is nothing to look at.
    pub(super) const fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.graphql.is_none() && self.grpc.is_none() && self.rpc.is_empty()
    }

    /// Whether the head alone cannot tell.
    pub(super) fn needs_body(&self) -> bool {
        self.fields.iter().any(Field::needs_body) || self.graphql.is_some() || !self.rpc.is_empty()
    }

    /// The paths that the matchers imply, for a rule that names none.
    pub(super) fn paths(&self) -> &[PathPattern] {
        self.grpc.as_ref().map_or(&[], |grpc| &grpc.paths)
    }

    /// Looks at everything; `shown` gets what the parameters of the matchers showed.
    pub(super) fn find(&self, call: &Call<'_>, reading: Reading, shown: &mut Vec<ShownValue>) -> Found {
        let fields = self.fields.iter().map(|field| field.find(call, reading, shown));
        let graphql = self.graphql.iter().map(|graphql| graphql.find(call, reading));
        let grpc = self.grpc.iter().map(|grpc| grpc.find(call, reading));
        let rpc = self.rpc.iter().map(|rpc| rpc.find(call, reading));
        fields.chain(graphql).chain(grpc).chain(rpc).min().unwrap_or(Found::Yes)
    }
}
