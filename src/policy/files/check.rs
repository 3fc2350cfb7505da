//! Reads `check = { method, url }` of a credential, and holds it to the service's own hosts.

use http::{Method, Uri};

use super::read::{At, Source, Span, Table};
use crate::base::Authority;
use crate::policy::services::{Check, Service};

/// Reads the check of a credential; its fault stays with the source.
pub(in crate::policy) fn read_check(mut table: Table<'_>) -> Option<At<Check>> {
    let span = table.span();
    let method = table.choice("method", &[("GET", Check::GET), ("HEAD", Check::HEAD)]).unwrap_or(Check::GET);
    let url = table.required_text("url");
    let source = table.source();
    table.finish();
    let url = url?;
    let (authority, target) = read_url(source, &url)?;
    Some(At { value: Check { method: method.clone(), authority, target }, span })
}

impl Check {
    const GET: &'static Method = &Method::GET;
    const HEAD: &'static Method = &Method::HEAD;
}

fn read_url(source: &Source, url: &At<&str>) -> Option<(Authority, Box<str>)> {
    let fix = "write it like `https://api.example.com/v1/me`";
    let uri = url.value.strip_prefix("https://").and_then(|_| url.value.parse::<Uri>().ok());
    let authority = uri.as_ref().and_then(Uri::authority).map(|named| Authority::parse(named.as_str(), Some(443)));
    let (Some(uri), Some(authority)) = (uri, authority) else {
        source.fault(url.span.clone(), format!("`{}` is no https URL", url.value.escape_debug()), fix);
        return None;
    };
    let target = uri.path_and_query().map_or("/", |target| target.as_str()).into();
    authority.map_err(|error| source.fault(url.span.clone(), error, fix)).ok().map(|authority| (authority, target))
}

/// A check is only of use, and only safe, where requests of this service carry this credential.
pub(in crate::policy) fn judge_check(source: &Source, service: &Service, credential: &str, span: Span) {
    if service.check_as_written(credential).is_none() {
        let message = format!("no `[[inject]]` writes `{credential}` into a request to the check's host and path");
        source.fault(span, message, "check at a host of this service that carries the credential");
    }
}
