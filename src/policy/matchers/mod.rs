//! What a rule can look at beyond host, method and path: query, fields, and what a body says.
//!
//! Invariants: what gives is read exactly, so that a text which two servers could read differently gives nothing; what
//! takes away is read widely, so that an unread or unreadable body is taken to hold whatever a rule looks for.

mod aws;
mod body;
mod document;
mod fields;
mod git;
mod globs;
mod graphql;
mod grpc;
mod json;
mod jsonrpc;
mod pairs;
mod pkt_lines;
mod read;
mod values;

pub(super) use aws::{Attribute, Aws, read_attribute};
pub use body::Body;
pub(super) use fields::Field;
pub(super) use git::Git;
pub(super) use graphql::Graphql;
pub(super) use grpc::Grpc;
pub(super) use jsonrpc::Rpc;
pub use pkt_lines::{Command, FlushFinder, Push};
pub(super) use read::read_matchers;
pub(super) use values::Values;

use std::sync::LazyLock;

use http::{
    HeaderMap, HeaderName,
    header::{AUTHORIZATION, CONTENT_TYPE},
};

use crate::policy::rules::{Call, PathPattern, Protocol, Reading};

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
    pub(super) git: Option<Git>,
    pub(super) aws: Option<Aws>,
    /// Parameters that the call must show.
    pub(super) with: Vec<Attribute>,
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
    /// The most bytes; what is longer cannot be judged.
    pub most: usize,
    /// Where reading may stop.
    pub until: Until,
}

/// Where reading a body ahead may stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Until {
    /// At the flush packet that ends git's list of commands; the rest streams unread. [`FlushFinder`] finds it.
    Flush,
    /// Only at the end.
    End,
}

impl Peek {
    /// What a rule that looks into bodies reads unless it has a `body_max`: 1 MiB.
    pub(super) const MOST: usize = 1 << 20;

    /// What no rule may go beyond: 16 MiB.
    pub(super) const LIMIT: usize = 16 << 20;

    /// Enough for both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { most: self.most.max(other.most), until: self.until.max(other.until) }
    }
}

impl Matchers {
    /// Whether there is nothing to look at.
    pub(super) const fn is_empty(&self) -> bool {
        self.fields.is_empty()
            && self.git.is_none()
            && self.aws.is_none()
            && self.with.is_empty()
            && self.graphql.is_none()
            && self.grpc.is_none()
            && self.rpc.is_empty()
    }

    /// What they look at, in the words of a file.
    pub(super) fn words(&self) -> Vec<String> {
        let fields = self.fields.iter().map(Field::describe);
        let known = [
            (self.git.as_ref().is_some_and(|git| git.refs.is_some()), "ref"),
            (self.aws.is_some(), "aws"),
            (self.graphql.is_some(), "graphql"),
            (self.grpc.is_some(), "grpc"),
            (!self.rpc.is_empty(), "jsonrpc"),
        ];
        fields.chain(known.into_iter().filter(|(is_there, _)| *is_there).map(|(_, word)| word.to_owned())).collect()
    }

    /// Whether a match can show a value for this parameter.
    pub(super) fn shows(&self, param: &str) -> bool {
        self.fields.iter().any(|field| field.values.shows(param))
            || self.paths().iter().any(|path| path.params().iter().any(|name| **name == *param))
    }

    /// Whether some body must be read to its end.
    pub(super) fn needs_body(&self) -> bool {
        self.fields.iter().any(Field::needs_body) || self.graphql.is_some() || !self.rpc.is_empty()
    }

    /// Whether some body may have to be read.
    pub(super) fn may_look(&self) -> bool {
        self.needs_body() || self.aws.is_some() || self.git.is_some()
    }

    /// Why no request fits all of them, by one of these methods, if that is so; without methods, by any.
    pub(super) fn at_odds(&self, methods: &[Box<str>]) -> Option<String> {
        let none_of = |usual: &[&str]| !methods.is_empty() && methods.iter().all(|method| !usual.contains(&&**method));
        let forms = self.fields.iter().any(|field| matches!(field.source, fields::Source::Form(_)));
        let json = self.fields.iter().any(|field| matches!(field.source, fields::Source::Json(_)));
        let is_json = json || self.graphql.is_some() || !self.rpc.is_empty();
        let told = [
            (forms && is_json, "a body is a form or JSON, and never both"),
            (
                self.graphql.is_some() && !self.rpc.is_empty(),
                "a body is a request of GraphQL or of JSON-RPC, and never both",
            ),
            (self.graphql.is_some() && none_of(&["GET", "POST"]), "GraphQL comes by `POST`, or by `GET`"),
            (!self.rpc.is_empty() && none_of(&["POST"]), "JSON-RPC comes by `POST`"),
            (self.grpc.is_some() && none_of(&["POST"]), "gRPC comes by `POST`"),
        ];
        told.iter().find(|(holds, _)| *holds).map(|(_, why)| (*why).to_owned())
    }

    /// The fields of a head that they look at, those that say what a body is included.
    pub(super) fn header_names(&self) -> Vec<HeaderName> {
        let mut names: Vec<HeaderName> = self.fields.iter().filter_map(Field::header).cloned().collect();
        if self.needs_body() || self.grpc.is_some() || self.aws.is_some() {
            names.push(CONTENT_TYPE);
        }
        if self.aws.is_some() {
            names.extend([AUTHORIZATION, HeaderName::from_static("x-amz-target")]);
        }
        names
    }

    /// The paths that the matchers imply, for a rule that names none.
    pub(super) fn paths(&self) -> &[PathPattern] {
        self.grpc.as_ref().map_or(&[], |grpc| &grpc.paths)
    }

    /// How much of this call's body must be read, if its head alone cannot tell; `most` is the rule's own bound.
    pub(super) fn peek(&self, call: &Call<'_>, most: Option<usize>) -> Option<Peek> {
        // A handshake has no body, and what comes after it is not looked at.
        let needs = (self.needs_body() && call.protocol == Protocol::Http)
            || self.aws.as_ref().is_some_and(|aws| aws.needs_body(call));
        let most = most.map_or(Peek::MOST, |most| most.min(Peek::LIMIT));
        let whole = needs.then_some(Peek { most, until: Until::End });
        let front = self.git.as_ref().filter(|git| git.looks(call));
        let front = front.map(|_| Peek { most: Peek::MOST, until: Until::Flush });
        whole.into_iter().chain(front).reduce(Peek::and)
    }

    /// Looks at everything; `shown` gets what the parameters of the matchers showed.
    pub(super) fn find(&self, call: &Call<'_>, reading: Reading, shown: &mut Vec<ShownValue>) -> Found {
        let is_seen = reading == Reading::Loose || self.with.iter().all(|attribute| !attribute.values(call).is_empty());
        let with = if is_seen { Found::Yes } else { Found::No };
        let is_looked_at = call.protocol == Protocol::Http;
        let messages = (!is_looked_at && self.needs_body()).then(|| fields::unread(reading));
        let fields = self.fields.iter().filter(|field| is_looked_at || !field.needs_body());
        let fields = fields.map(|field| field.find(call, reading, shown));
        let git = self.git.iter().map(|git| git.find(call, reading));
        let aws = self.aws.iter().map(|aws| aws.find(call, reading));
        let graphql = self.graphql.iter().filter(|_| is_looked_at).map(|graphql| graphql.find(call, reading));
        let grpc = self.grpc.iter().map(|grpc| grpc.find(call, reading));
        let rpc = self.rpc.iter().filter(|_| is_looked_at).map(|rpc| rpc.find(call, reading));
        let all = fields.chain(git).chain(aws).chain(graphql).chain(grpc).chain(rpc);
        all.chain([with]).chain(messages).min().unwrap_or(Found::Yes)
    }
}
