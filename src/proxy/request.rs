//! Station 4: a request with one authority, without hop-by-hop fields, its lease tokens found at their listed places.

use std::ops::Range;

use http::{
    HeaderMap, Request, Uri, Version,
    header::{CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING, UPGRADE},
    request::Parts,
};
use hyper::body::Incoming;

use super::{
    exchange::{Refused, Site},
    hop::{self, Upgrading},
    outcome::{Kind, Notes},
    stray,
    turns::FramedTwice,
    upload::Coming,
};
use crate::{
    base::{Authority, RefusalCode, Scheme},
    broker::Refusal,
    inject::{self, Held},
    policy::{HANDSHAKE_FIX, ListedPlace, Never, never_forwarded},
    recipe::Place,
};

/// A request that is understood.
pub(super) struct Received {
    pub(super) notes: Notes,
    pub(super) parts: Parts,
    pub(super) body: Coming,
    pub(super) upgrading: Upgrading,
    pub(super) expects_continue: bool,
    /// What stands at listed places, with the index of the place.
    pub(super) held: Vec<(usize, Held)>,
    /// The path as rules see it, where a credential stands in the path that was sent.
    pub(super) path: Option<Box<str>>,
    /// The body was read whole and searched for lease tokens.
    pub(super) is_searched: bool,
}

/// Reads a request that came to `site`.
pub(super) fn receive(site: &Site, places: &[ListedPlace], request: Request<Incoming>) -> Result<Received, Refused> {
    let (mut parts, body) = request.into_parts();
    let mut notes = Notes::new(Kind::Request, parts.method.clone(), parts.uri.clone(), Some(site.authority.clone()));
    site.entrance.note(&mut notes);
    let understood = site.broker.ready().and_then(|()| check(site, &parts)).and_then(|upgrading| {
        hop::clean_request(&mut parts.headers, upgrading);
        if places.iter().any(|listed| matches!(listed.place, Place::Cookie { .. })) {
            hop::join_cookies(&mut parts.headers);
        }
        let held = find_held(&parts, places)?;
        Ok((upgrading, held))
    });
    let (upgrading, held) = match understood {
        Ok(understood) => understood,
        Err(refusal) => return Err(Refused::Before(Box::new(notes), refusal)),
    };
    if let Err(refusal) = stray::search_head(site, &parts, held.iter().map(|(_, held)| &held.slot)) {
        return Err(Refused::Before(Box::new(notes), refusal));
    }
    let path = path_without(&parts, held.iter().find_map(|(_, held)| held.slot.path()));
    if let Some(path) = &path {
        notes.uri = Uri::try_from(&**path).unwrap_or_default();
    }
    let expects_continue =
        parts.headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    Ok(Received { notes, parts, body: Coming::new(body), upgrading, expects_continue, held, path, is_searched: false })
}

/// The path with a dash where the credential stands: what is judged and recorded.
fn path_without(parts: &Parts, hole: Option<Range<usize>>) -> Option<Box<str>> {
    let (path, hole) = (parts.uri.path(), hole?);
    Some([path.get(..hole.start)?, "-", path.get(hole.end..)?].concat().into())
}

fn bad(detail: impl Into<String>, fix: &str) -> Refusal {
    Refusal::new(RefusalCode::BadRequest, detail, fix)
}

/// A body that ended before its end; what came of it may have left, but never as a whole (attack 4).
pub(super) fn broken_body() -> Refusal {
    bad("the request's body broke off or is not framed as it was announced", FRAME)
}

fn check(site: &Site, parts: &Parts) -> Result<Upgrading, Refusal> {
    let upgrading = upgrading(parts);
    if let Some(Never { code, reason, fix }) = never_forwarded(parts.method.as_str(), upgrading.protocol()) {
        return Err(Refusal::new(code, reason, fix));
    }
    check_framing(parts)?;
    check_size(site, parts)?;
    check_authority(site, parts)?;
    if upgrading == Upgrading::WebSocket && parts.version != Version::HTTP_11 {
        return Err(bad("a WebSocket handshake is a GET of HTTP/1.1", HANDSHAKE_FIX));
    }
    Ok(upgrading)
}

const FRAME: &str =
    "send either one `Content-Length` or `Transfer-Encoding: chunked`, and over HTTP/2 neither is needed";

/// hyper refuses most broken framing; this is what it lets through (attacks 1, 2, 3).
fn check_framing(parts: &Parts) -> Result<(), Refusal> {
    let headers = &parts.headers;
    let lengths = headers.get_all(CONTENT_LENGTH).iter().count();
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) if lengths > 1 => Err(bad("the request has more than one `Content-Length`", FRAME)),
        (None, _) => Ok(()),
        _ if parts.version == Version::HTTP_10 || parts.version == Version::HTTP_2 => {
            Err(bad("`Transfer-Encoding` belongs to HTTP/1.1 only", FRAME))
        }
        (Some(_), _) if lengths > 0 || parts.extensions.get::<FramedTwice>().is_some() => {
            Err(bad("the request has both `Content-Length` and `Transfer-Encoding`", FRAME))
        }
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(bad("`Transfer-Encoding` must be `chunked` and nothing else", FRAME)),
    }
}

fn check_size(site: &Site, parts: &Parts) -> Result<(), Refusal> {
    let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    let fields: usize = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    let fix = "send fewer or shorter header fields, or a shorter path";
    let too_large = |what: String| Err(Refusal::new(RefusalCode::TooLarge, what, fix));
    if target + fields > site.limits.head {
        return too_large(format!("the head has more than {} bytes", site.limits.head));
    }
    if parts.headers.len() > site.limits.fields {
        return too_large(format!("the head has more than {} fields", site.limits.fields));
    }
    Ok(())
}

const NAME: &str = "name the host once, in `Host` or `:authority`, as CONNECT named it, and give a path as the target";

/// CONNECT, SNI, `Host`, `:authority` and the target name one authority, or the request goes nowhere.
fn check_authority(site: &Site, parts: &Parts) -> Result<(), Refusal> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err(bad("the request has more than one `Host`", NAME));
    }
    let same = |text: &str| match Authority::parse(text, Some(site.scheme.default_port())) {
        Ok(authority) if authority == site.authority => Ok(()),
        Ok(authority) => Err(mismatch(site, &authority.to_string())),
        Err(error) => Err(bad(error.to_string(), NAME)),
    };
    if let Some(host) = host {
        same(host.to_str().map_err(|_| bad("`Host` is not a host name", NAME))?)?;
    }
    let named = parts.uri.authority().map(http::uri::Authority::as_str);
    match (parts.version, named) {
        (Version::HTTP_2, Some(named)) => {
            if parts.uri.scheme_str() != Some(site.scheme.as_str()) {
                return Err(bad("`:scheme` does not fit the connection", NAME));
            }
            same(named)
        }
        // `Host` alone is for gateways from HTTP/1.1; no client of ours is one (attack 27).
        (Version::HTTP_2, None) => Err(bad("the request has no `:authority`", NAME)),
        // A full URI inside a tunnel could name another host (attack 24); at the proxy's own port it is the rule.
        (_, Some(_)) if site.scheme == Scheme::Https => {
            Err(bad("inside a tunnel the target is a path, not a full URI", NAME))
        }
        (_, Some(named)) => same(named),
        (Version::HTTP_11, None) if host.is_none() => Err(bad("the request has no `Host`", NAME)),
        _ if !parts.uri.path().starts_with('/') => Err(bad("the target is not a path", NAME)),
        _ => Ok(()),
    }
}

fn mismatch(site: &Site, other: &str) -> Refusal {
    Refusal::new(
        RefusalCode::AuthorityMismatch,
        format!("the connection is for `{}`, the request names `{other}`", site.authority),
        "open a connection of its own for each host",
    )
}

/// Only WebSocket upgrades are carried; any other is dropped with the rest of the hop-by-hop fields (attack 16).
fn upgrading(parts: &Parts) -> Upgrading {
    let asks = |name, word: &str| {
        parts.headers.get_all(name).iter().flat_map(hop::list).any(|item| item.eq_ignore_ascii_case(word))
    };
    if !asks(http::header::CONNECTION, "upgrade") || !asks(UPGRADE, "websocket") {
        return Upgrading::No;
    }
    Upgrading::WebSocket
}

/// What stands at each listed place. A listed field that is there in no listed wording is a foreign credential.
fn find_held(parts: &Parts, places: &[ListedPlace]) -> Result<Vec<(usize, Held)>, Refusal> {
    let mut found: Vec<(usize, Held)> = Vec::new();
    for (at, listed) in places.iter().enumerate() {
        if let Some(held) =
            inject::find(parts, &listed.place).map_err(|error| bad(error.to_string(), "send the credential once"))?
            && !found.iter().any(|(_, other)| other.slot.overlaps(&held.slot))
        {
            found.push((at, held));
        }
    }
    for listed in places {
        let Some(field) = stray::field_of(&listed.place) else { continue };
        let taken = found.iter().any(|(_, held)| held.slot.header() == Some(field));
        if !taken && is_filled(&parts.headers, field) {
            return Err(stray::foreign(&listed.place));
        }
    }
    Ok(found)
}

fn is_filled(headers: &HeaderMap, field: &http::HeaderName) -> bool {
    headers.get(field).is_some_and(|value| !value.as_bytes().trim_ascii().is_empty())
}
