//! `POST /v1/needs` at the proxy itself: an agent says what it lacks, and a person sees it. It gives nothing.
//!
//! Invariant: what is kept is bounded, holds no lease token, and nothing that a terminal obeys.

use std::{future::poll_fn, pin::Pin};

use bytes::{Bytes, BytesMut};
use http::{Request, StatusCode};
use hyper::body::{Body, Incoming};
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

use super::{outcome::Notes, request, shared::Shared, stray};
use crate::{
    base::{RefusalCode, harmless, shell_word},
    broker::{Need, NeedOf, NewNeed, Refusal, Session},
    policy::Asked,
};

/// The longest body, in bytes.
const MOST: usize = 16 * 1024;
/// The longest reason, in characters.
const WHY: usize = 500;
/// The longest name, in bytes.
const NAME: usize = 128;
/// The longest URL, in bytes.
const URL: usize = 2048;
/// The most capabilities of one need.
const CAPABILITIES: usize = 16;

/// Where needs are sent.
pub(super) const PLACE: &str = "http://leasehold.internal/v1/needs";

/// What a need looks like, for whoever sent another thing.
const EXAMPLE: &str =
    r#"curl -d '{"service":"github","caps":["read"],"why":"to read an issue"}' http://leasehold.internal/v1/needs"#;

/// A body as it is sent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    service: Option<String>,
    caps: Option<Vec<String>>,
    method: Option<String>,
    url: Option<String>,
    #[serde(default)]
    why: String,
}

/// Takes a need; the answer is its id.
pub(super) async fn take(
    shared: &Shared,
    session: &Session,
    request: Request<Incoming>,
) -> Result<(StatusCode, String), Refusal> {
    let body = timeout(shared.limits.peek_time, read(request.into_body())).await;
    let body = body.unwrap_or_else(|_| Err(bad("the body did not come in time")))?;
    let sent: Sent = serde_json::from_slice(&body).map_err(|error| {
        let why: String = error.to_string().chars().take(200).collect(); // it quotes what was sent
        bad(&format!("the body is no need: {}", harmless(&why)))
    })?;
    let texts = [&sent.service, &sent.method, &sent.url].into_iter().flatten().chain(sent.caps.iter().flatten());
    for text in texts.chain([&sent.why]) {
        stray::search_text(&shared.broker, text.as_bytes(), PLACE)?; // a person and the record would see it
    }
    let why = sent.why.clone();
    if why.chars().count() > WHY {
        return Err(bad(&format!("`why` has more than {WHY} characters")));
    }
    let new = NewNeed { what: what(sent)?, why: harmless(why.trim()) };
    let need = shared.broker.send_need(session, new)?;
    Ok((StatusCode::ACCEPTED, format!("{:#}\n", answer(&need))))
}

fn what(sent: Sent) -> Result<NeedOf, Refusal> {
    let is_name = |text: &String| !text.is_empty() && text.len() <= NAME;
    match sent {
        Sent { service: Some(service), caps: Some(names), method: None, url: None, .. } => {
            if !is_name(&service) || names.is_empty() || names.len() > CAPABILITIES || !names.iter().all(is_name) {
                return Err(bad(&format!(
                    "`service` and 1 to {CAPABILITIES} `caps` are names of at most {NAME} bytes"
                )));
            }
            Ok(NeedOf::Capabilities { service, names })
        }
        Sent { service: None, caps: None, method: Some(method), url: Some(url), .. } => {
            if method.len() > NAME || url.len() > URL {
                return Err(bad(&format!("`method` has at most {NAME} bytes, and `url` at most {URL}")));
            }
            Asked::parse(&method, &url).map(NeedOf::Request).map_err(|error| bad(&harmless(&error)))
        }
        _ => Err(bad("a need has `service` and `caps`, or `method` and `url`")),
    }
}

/// What the agent hears: its own words, as they were understood.
fn answer(need: &Need) -> serde_json::Value {
    let names: Vec<&str> = need.lack.capabilities.iter().map(|(name, _)| &**name).collect();
    json!({
        "id": need.id,
        "service": need.lack.service,
        "caps": names,
        "detail": "a person will see this; it gives nothing, and http://leasehold.internal/v1/me says what was given",
    })
}

async fn read(mut body: Incoming) -> Result<Bytes, Refusal> {
    let too_long = || {
        let detail = format!("a need has at most {MOST} bytes");
        Refusal::new(RefusalCode::BodyTooLarge, detail, EXAMPLE)
    };
    if body.size_hint().lower() > MOST as u64 {
        return Err(too_long());
    }
    let mut read = BytesMut::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let Ok(data) = frame.map_err(|_| request::broken_body())?.into_data() else { continue };
        if data.len() > MOST - read.len() {
            return Err(too_long());
        }
        read.extend_from_slice(&data);
    }
    Ok(read.freeze())
}

fn bad(detail: &str) -> Refusal {
    Refusal::new(RefusalCode::BadRequest, detail, EXAMPLE)
}

/// The command by which the agent of a refused request can ask for it; `None` where no person could give it, and for
/// whoever has no session.
pub(super) fn how_to_ask(refusal: &Refusal, notes: &Notes) -> Option<String> {
    notes.session?;
    let need = match (refusal.code, &notes.service, &refusal.capability) {
        (RefusalCode::CapDenied | RefusalCode::NoGrant, Some(service), Some(capability)) => {
            json!({ "service": service, "caps": [capability], "why": WHY_OF_AGENT })
        }
        (RefusalCode::CapDenied | RefusalCode::NoGrant | RefusalCode::OutOfScope, ..) => {
            let scheme = notes.uri.scheme_str().unwrap_or("https");
            let url = format!("{scheme}://{}{}", notes.authority.as_ref()?, notes.uri.path());
            if url.len() > URL {
                return None;
            }
            json!({ "method": notes.method.as_str(), "url": url, "why": WHY_OF_AGENT })
        }
        _ => return None,
    };
    Some(format!("curl -d {} {PLACE}", shell_word(&need.to_string())))
}

const WHY_OF_AGENT: &str = "say why";
