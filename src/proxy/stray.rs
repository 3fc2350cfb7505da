//! Lease tokens out of place: looked for in the whole head, in the spellings that an agent may be talked into.
//!
//! Invariant: a lease token is swapped at a listed place of its own host, or the request goes nowhere.

use std::ops::Range;

use base64::{Engine as _, engine::general_purpose};
use http::{HeaderName, Method, Uri, header::AUTHORIZATION, request::Parts};
use percent_encoding::percent_decode;

use super::{exchange::Site, outcome::Notes};
use crate::{
    base::RefusalCode,
    broker::{Broker, Refusal},
    inject::Slot,
    lease::{Found, LeaseTable},
    recipe::Place,
};

/// Refuses a head that holds a lease token anywhere but in these slots.
pub(super) fn search_head<'a>(
    site: &Site,
    parts: &Parts,
    slots: impl Iterator<Item = &'a Slot> + Clone,
) -> Result<(), Refusal> {
    let leases = site.broker.leases();
    let in_slot = |name: &HeaderName| slots.clone().any(|slot| slot.header() == Some(name));
    for (name, value) in &parts.headers {
        if !in_slot(name) && holds_lease(leases, value.as_bytes()) {
            return Err(found(site, leases, value.as_bytes(), &format!("header `{name}`")));
        }
        if holds_lease(leases, name.as_str().as_bytes()) {
            return Err(found(site, leases, name.as_str().as_bytes(), "the name of a header"));
        }
    }
    if holds_lease(leases, parts.method.as_str().as_bytes()) {
        return Err(found(site, leases, parts.method.as_str().as_bytes(), "the method"));
    }
    for other in slots.clone().filter_map(Slot::beside) {
        if holds_lease(leases, other) {
            return Err(found(site, leases, other, "what stands beside the credential"));
        }
    }
    let path = blanked(parts.uri.path().as_bytes(), slots.clone().filter_map(Slot::path));
    if holds_lease(leases, &path) {
        return Err(found(site, leases, &path, "the path"));
    }
    let rest = blanked(parts.uri.query().unwrap_or("").as_bytes(), slots.filter_map(Slot::query));
    if holds_lease(leases, &rest) {
        return Err(found(site, leases, &rest, "the query"));
    }
    Ok(())
}

/// Refuses a whole body that holds a lease token anywhere but in these slots.
pub(super) fn search_body<'a>(site: &Site, body: &[u8], slots: impl Iterator<Item = &'a Slot>) -> Result<(), Refusal> {
    let rest = blanked(body, slots.filter_map(Slot::body));
    match site.broker.leases().find_stray(&rest) {
        Some(_) => Err(found(site, site.broker.leases(), &rest, "the body")),
        None => Ok(()),
    }
}

/// Refuses a text that holds a lease token in any spelling.
pub(super) fn search_text(broker: &Broker, text: &[u8], place: &str) -> Result<(), Refusal> {
    let leases = broker.leases();
    if !holds_lease(leases, text) {
        return Ok(());
    }
    tell(broker, leases, text);
    Err(refusal(place, "the body"))
}

/// A text without what stands in slots; of the same length, so that other slots' ranges still fit.
fn blanked(text: &[u8], slots: impl Iterator<Item = Range<usize>>) -> Vec<u8> {
    let mut rest = text.to_vec();
    for slot in slots {
        if let Some(taken) = rest.get_mut(slot) {
            taken.fill(b'_');
        }
    }
    rest
}

/// The refusal for a lease token out of place; tells the broker, which may revoke the lease.
fn found(site: &Site, leases: &LeaseTable, text: &[u8], place: &str) -> Refusal {
    tell(&site.broker, leases, text);
    refusal(&site.authority.to_string(), place)
}

fn tell(broker: &Broker, leases: &LeaseTable, text: &[u8]) {
    if let Some(stray) = spellings(text).iter().find_map(|text| leases.find_stray(text))
        && let Found::Live(lease) = &stray.found
    {
        broker.on_stray(lease);
    }
}

/// The refusal itself.
pub(super) fn refusal(authority: &str, place: &str) -> Refusal {
    Refusal::new(
        RefusalCode::StrayLease,
        format!(
            "a lease token stands in {place} of a request to `{authority}`, where none belongs; the token was not sent"
        ),
        "secrets policy list",
    )
}

/// The refusal for a credential that is no lease at a listed place.
pub(super) fn foreign(place: &Place) -> Refusal {
    Refusal::new(
        RefusalCode::ForeignCredential,
        format!("{place} holds a credential that is no lease token; only leases are forwarded to this host"),
        "secrets exec -- sh",
    )
}

/// The header field that a place is in.
pub(super) fn field_of(place: &Place) -> Option<&HeaderName> {
    match place {
        Place::Basic { .. } => Some(const { &AUTHORIZATION }),
        Place::Header { name, .. } => Some(name),
        Place::Moved { from, .. } => field_of(from),
        // Beside the credential a cookie field holds others, and the rest has no field.
        Place::Cookie { .. }
        | Place::Form { .. }
        | Place::Handshake
        | Place::Json { .. }
        | Place::Message { .. }
        | Place::Path { .. }
        | Place::Query { .. } => None,
    }
}

/// Keeps a token out of the record of a refusal, wherever in the request line it stands.
pub(super) fn conceal(notes: &mut Notes, leases: &LeaseTable) {
    let uri = &notes.uri;
    let target = [uri.path().as_bytes(), uri.authority().map_or(&b""[..], |authority| authority.as_str().as_bytes())];
    if target.into_iter().any(|text| holds_lease(leases, text)) {
        notes.uri = Uri::from_static("/");
    }
    if holds_lease(leases, notes.method.as_str().as_bytes()) {
        notes.method = Method::OPTIONS; // one that says nothing
    }
}

fn holds_lease(leases: &LeaseTable, text: &[u8]) -> bool {
    leases.find_stray(text).is_some()
        || (is_worth_decoding(text) && spellings(text).iter().any(|text| leases.find_stray(text).is_some()))
}

/// A cheap look: percent signs, or a run long enough to be a token in base64.
fn is_worth_decoding(text: &[u8]) -> bool {
    text.contains(&b'%') || base64_runs(text).next().is_some()
}

/// The text itself, percent-decoded up to three times, and each of its base64 runs decoded (attack 40).
fn spellings(text: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![text.to_vec()];
    let mut current = text.to_vec();
    for _ in 0..3 {
        if !current.contains(&b'%') {
            break;
        }
        current = percent_decode(&current).collect();
        all.push(current.clone());
    }
    let engine = general_purpose::GeneralPurpose::new(
        &base64::alphabet::URL_SAFE,
        general_purpose::GeneralPurposeConfig::new()
            .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );
    for run in base64_runs(&current) {
        let url_safe: Vec<u8> = run
            .iter()
            .map(|&b| {
                if b == b'+' {
                    b'-'
                } else if b == b'/' {
                    b'_'
                } else {
                    b
                }
            })
            .collect();
        let whole = url_safe.len() - usize::from(url_safe.len() % 4 == 1);
        if let Ok(decoded) = engine.decode(url_safe.get(..whole).unwrap_or_default()) {
            all.push(decoded);
        }
    }
    all
}

/// Runs of base64 characters that could hold a whole token; the head is bounded, so they are.
fn base64_runs(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_base64 = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'-' | b'_');
    text.split(move |b| !is_base64(b)).filter(|run| run.len() >= 32)
}
