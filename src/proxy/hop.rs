//! Fields that belong to one connection and never travel on (RFC 9110, 7.6.1), and fields that must not.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{
        ACCEPT_ENCODING, ALT_SVC, AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE,
        FORWARDED, HOST, IF_RANGE, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, RANGE, SET_COOKIE, TE, TRAILER,
        TRANSFER_ENCODING, UPGRADE,
    },
};

use crate::policy::Protocol;

/// Always hop-by-hop, listed in `Connection` or not.
const HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// What a client says about itself to upstreams or of the method it really means (attacks 37, 83).
const NEVER_SENT: [HeaderName; 6] = [
    FORWARDED,
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-method-override"),
    HeaderName::from_static("http2-settings"),
];

/// Whether a request keeps its upgrade fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Upgrading {
    No,
    WebSocket,
}

impl Upgrading {
    /// As rules see it.
    pub(super) const fn protocol(self) -> Protocol {
        match self {
            Self::No => Protocol::Http,
            Self::WebSocket => Protocol::WebSocket,
        }
    }
}

/// Removes from a request what never travels on. What `Connection` lists goes first, so a credential that is listed
/// there is gone before anything is injected (attack 17).
pub(super) fn clean_request(headers: &mut HeaderMap, upgrading: Upgrading) {
    let trailers = headers.get_all(TE).iter().any(|te| list(te).any(|item| item.eq_ignore_ascii_case("trailers")));
    remove_listed(headers);
    for name in HOP_BY_HOP.iter().chain(&NEVER_SENT) {
        if !(upgrading == Upgrading::WebSocket && name == UPGRADE) {
            headers.remove(name);
        }
    }
    while let Some(name) = headers.keys().find(|name| name.as_str().starts_with("x-forwarded-")).cloned() {
        headers.remove(name);
    }
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if upgrading == Upgrading::WebSocket {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        // A compressed frame could not be searched.
        headers.remove("sec-websocket-extensions");
    }
}

/// Removes from a request with a credential what would let an answer hide an echo: parts, and codings that we cannot read.
pub(super) fn ask_for_readable_answers(headers: &mut HeaderMap) {
    headers.remove(RANGE);
    headers.remove(IF_RANGE);
    if let Some(asked) = headers.get(ACCEPT_ENCODING) {
        let readable: Vec<&str> = list(asked)
            .filter(|item| {
                let coding = item.split(';').next().unwrap_or("").trim();
                ["gzip", "x-gzip", "br", "zstd", "deflate", "identity"].iter().any(|c| c.eq_ignore_ascii_case(coding))
            })
            .collect();
        let value = if readable.is_empty() { "identity".to_owned() } else { readable.join(", ") };
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(ACCEPT_ENCODING, value);
        }
    }
}

/// Removes from an answer what never travels on, and what would lead the client past the proxy (attack 35).
pub(super) fn clean_answer(headers: &mut HeaderMap, upgrading: Upgrading) {
    remove_listed(headers);
    for name in &HOP_BY_HOP {
        if !(upgrading == Upgrading::WebSocket && name == UPGRADE) {
            headers.remove(name);
        }
    }
    headers.remove(ALT_SVC);
    if upgrading == Upgrading::WebSocket {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    }
}

/// Trailers without fields that frame, route or authorise (RFC 9110, 6.5.1; attack 10).
pub(super) fn clean_trailers(mut trailers: HeaderMap) -> HeaderMap {
    for name in [
        AUTHORIZATION,
        CONTENT_ENCODING,
        CONTENT_LENGTH,
        CONTENT_TYPE,
        COOKIE,
        HOST,
        SET_COOKIE,
        TRAILER,
        TRANSFER_ENCODING,
    ] {
        trailers.remove(name);
    }
    for name in HOP_BY_HOP.iter().chain(&NEVER_SENT) {
        trailers.remove(name);
    }
    trailers
}

/// HTTP/2 splits cookies over fields; HTTP/1.1 wants one (RFC 9113, 8.2.3).
pub(super) fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(joined) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(COOKIE, joined);
    }
}

fn remove_listed(headers: &mut HeaderMap) {
    if !headers.contains_key(CONNECTION) {
        return;
    }
    let values = headers.get_all(CONNECTION).iter();
    let listed: Vec<HeaderName> =
        values.flat_map(list).filter_map(|item| HeaderName::from_bytes(item.as_bytes()).ok()).collect();
    for name in listed {
        if name != UPGRADE {
            headers.remove(name);
        }
    }
}

/// The items of a comma-separated field.
pub(super) fn list(value: &HeaderValue) -> impl Iterator<Item = &str> {
    value.to_str().unwrap_or("").split(',').map(str::trim).filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn attack_17_what_connection_lists_is_removed_before_injection() {
        let mut map = headers(&[("connection", "close, authorization"), ("authorization", "x"), ("x-kept", "1")]);
        clean_request(&mut map, Upgrading::No);
        assert_eq!(map, headers(&[("x-kept", "1")]));
    }

    #[test]
    fn attack_37_what_the_client_says_of_itself_stays_here() {
        let mut map = headers(&[
            ("proxy-authorization", "Basic x"),
            ("forwarded", "for=1"),
            ("x-forwarded-for", "1"),
            ("x-http-method-override", "DELETE"),
            ("te", "gzip, trailers"),
            ("accept", "*/*"),
        ]);
        clean_request(&mut map, Upgrading::No);
        assert_eq!(map, headers(&[("accept", "*/*"), ("te", "trailers")]));
    }

    #[test]
    fn attack_10_trailers_carry_no_framing_and_no_rights() {
        let trailers = headers(&[("authorization", "x"), ("host", "y"), ("content-length", "1"), ("grpc-status", "0")]);
        assert_eq!(clean_trailers(trailers), headers(&[("grpc-status", "0")]));
    }

    #[test]
    fn attack_76_no_ranges_and_no_unreadable_codings_where_a_credential_goes() {
        let mut map = headers(&[("range", "bytes=0-1"), ("accept-encoding", "gzip;q=1.0, sdch, br, *")]);
        ask_for_readable_answers(&mut map);
        assert_eq!(map, headers(&[("accept-encoding", "gzip;q=1.0, br")]));
    }

    #[test]
    fn cookies_of_http_2_become_one_field() {
        let mut map = headers(&[("cookie", "a=1"), ("cookie", "b=2")]);
        join_cookies(&mut map);
        assert_eq!(map, headers(&[("cookie", "a=1; b=2")]));
    }
}
