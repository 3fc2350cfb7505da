//! Amazon's services: which service, region, action and bucket a request is about, as its wire form says
//! (Signature Version 4, the JSON and query protocols, and the REST forms of S3, Lambda and Bedrock).
//!
//! Invariant: host and signature must name the same service and region, or nothing is given.

mod attribute;
mod host;
mod read;
mod rest;
mod s3;
mod scope;

pub(in crate::policy) use attribute::{Attribute, read_attribute};
pub(super) use read::read_aws;

use super::{Found, Values, body::View, fields::unread, pairs::values_of};
use crate::policy::rules::{Call, Reading};
use host::Host;
use scope::Scope;

/// Services and actions; `None` for all actions, known or not.
#[derive(Clone, Debug)]
pub(in crate::policy) struct Aws {
    services: Values,
    actions: Option<Values>,
}

/// What a request's host and signature agree on.
struct Seen<'c> {
    host: Host<'c>,
    region: String,
}

impl<'c> Seen<'c> {
    fn of(call: &Call<'c>) -> Option<Self> {
        let host = Host::read(call.host.name()?)?;
        let scope = Scope::read(&call.content)?;
        let region = match host.region {
            Some(region) => region == scope.region,
            // S3 checks the region by itself; every other service without one is signed for this one.
            None => host.service == "s3" || scope.region == "us-east-1",
        };
        (scope.service == host.service && region).then_some(Self { host, region: scope.region })
    }
}

/// The actions of a request.
enum Actions {
    Are(Vec<String>),
    /// Only the body tells, which nobody has read.
    Unread,
    Unknown,
}

impl Aws {
    /// Whether this call's body must be read to its end.
    pub(super) fn needs_body(&self, call: &Call<'_>) -> bool {
        let host = call.host.name().and_then(Host::read);
        self.actions.is_some() && host.is_some_and(|host| is_form_call(call, &host))
    }

    pub(super) fn find(&self, call: &Call<'_>, reading: Reading) -> Found {
        match reading {
            Reading::Exact => self.gives(call),
            Reading::Loose => self.takes(call),
        }
    }

    fn gives(&self, call: &Call<'_>) -> Found {
        let Some(Seen { host, .. }) = Seen::of(call) else { return Found::No };
        let fits = |values: &Values, texts: &[&str]| values.fit_all(texts.iter().copied(), &mut Vec::new());
        if !fits(&self.services, &[host.service]) {
            return Found::No;
        }
        let Some(wanted) = &self.actions else { return Found::Yes };
        match actions(call, &host) {
            Actions::Unread => unread(Reading::Exact),
            Actions::Are(all) if fits(wanted, &all.iter().map(String::as_str).collect::<Vec<_>>()) => Found::Yes,
            Actions::Are(_) | Actions::Unknown => Found::No,
        }
    }

    fn takes(&self, call: &Call<'_>) -> Found {
        let host = call.host.name().and_then(Host::read);
        let could_serve = host.is_none_or(|host| {
            scope::words(&call.content).is_none_or(|words| {
                self.services.fit_any_loosely(words.iter().map(String::as_str).chain([host.service]))
            })
        });
        let (true, Some(wanted)) = (could_serve, &self.actions) else {
            return if could_serve { Found::Yes } else { Found::No };
        };
        let Some(Actions::Are(mut all)) = host.map(|host| actions(call, &host)) else { return Found::Yes };
        all.extend(targets(call).map(|target| target.rsplit('.').next().unwrap_or("").to_owned()));
        let Some(named) = actions_named(call) else { return Found::Yes };
        all.extend(named);
        let could_be = wanted.fit_any_loosely(all.iter().map(|action| action.trim()));
        if could_be { Found::Yes } else { Found::No }
    }
}

/// Read exactly, whatever the caller does with it.
fn actions(call: &Call<'_>, host: &Host<'_>) -> Actions {
    let one = |action: Option<&str>| action.map_or(Actions::Unknown, |action| Actions::Are(vec![action.to_owned()]));
    let is_rest = targets(call).next().is_none() && !names_action(call);
    let table = |table| one(rest::action(table, call.method, call.path).filter(|_| is_rest));
    match (host.service, host.endpoint) {
        ("s3", _) if targets(call).next().is_none() => s3::actions(call, host)
            .map_or(Actions::Unknown, |all| Actions::Are(all.into_iter().map(str::to_owned).collect())),
        ("s3", _) => Actions::Unknown,
        (_, "lambda") => table(rest::LAMBDA),
        (_, "lambda-url") => one(Some(rest::FUNCTION_URL)),
        (_, "bedrock-runtime") => table(rest::BEDROCK_RUNTIME),
        (_, "bedrock") => table(rest::BEDROCK),
        _ => named_action(call, host),
    }
}

/// The protocols that name their action: JSON in a field, query in the query or the body.
fn named_action(call: &Call<'_>, host: &Host<'_>) -> Actions {
    let one = |action: Option<&str>| match action.filter(|action| is_action(action)) {
        Some(action) => Actions::Are(vec![action.to_owned()]),
        None => Actions::Unknown,
    };
    let mut all = targets(call);
    let query = call.content.query.unwrap_or("");
    if call.path != "/" {
        return Actions::Unknown;
    }
    match (all.next(), all.next()) {
        (Some(target), None) if call.method == "POST" && query.is_empty() && is_json(call) => {
            one(target.rsplit_once('.').filter(|(service, _)| !service.is_empty()).map(|(_, action)| action))
        }
        (None, _) if is_form_call(call, host) => match call.content.body.form_actions() {
            View::Unread => Actions::Unread,
            View::Read([only]) => one(Some(only)),
            View::Empty | View::Unreadable | View::Read(_) => Actions::Unknown,
        },
        (None, _) if call.method == "GET" && !call.content.headers.contains_key(http::header::CONTENT_TYPE) => {
            match values_of(query, "Action", Reading::Exact).as_deref() {
                Some([only]) => one(Some(only)),
                _ => Actions::Unknown,
            }
        }
        _ => Actions::Unknown,
    }
}

/// Whether the body is what names the action.
fn is_form_call(call: &Call<'_>, host: &Host<'_>) -> bool {
    let is_rest = matches!(host.service, "s3" | "lambda" | "bedrock");
    let has_query = call.content.query.is_some_and(|query| !query.is_empty());
    call.method == "POST" && call.path == "/" && !is_rest && !has_query && targets(call).next().is_none()
}

/// The values of `X-Amz-Target`; a value that is no text is an empty one.
fn targets<'c>(call: &Call<'c>) -> impl Iterator<Item = &'c str> {
    call.content.headers.get_all("x-amz-target").iter().map(|value| value.to_str().unwrap_or(""))
}

/// Whether the query names an action, or could be read so.
fn names_action(call: &Call<'_>) -> bool {
    actions_named(call).is_none_or(|named| !named.is_empty())
}

/// The actions in the query, read widely; `None` for what could be any.
fn actions_named(call: &Call<'_>) -> Option<Vec<String>> {
    values_of(call.content.query.unwrap_or(""), "Action", Reading::Loose)
}

fn is_json(call: &Call<'_>) -> bool {
    let mut types = call.content.headers.get_all(http::header::CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else { return false };
    matches!(only.as_bytes(), b"application/x-amz-json-1.0" | b"application/x-amz-json-1.1")
}

fn is_action(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
