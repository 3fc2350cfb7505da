//! Requests that a person is asked about: read whole, shown, bound to a hash, and held until there is an answer.
//!
//! Invariant: what was shown is what is sent. The body is in our hands before anybody is asked, and nothing that the
//! client does afterwards changes it.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::timeout;

use super::{
    admit::{Decided, too_long},
    count::Counted,
    exchange::{Refused, Site},
    flow::Flow,
    hop::Upgrading,
    outcome::Notes,
    peek::{self, Unread},
    reconsider,
    request::{self, Received},
    shown::{self, Hash, cut},
    stray,
};
use crate::{
    base::{CutReason, RefusalCode, Scheme, sha256},
    broker::{Ask, Broker, Refusal, Taken},
    inject::Held,
    policy::{Body, Peek, Until},
};

/// Lets a request pass that asks nobody; holds any other until a person says yes, and has it judged again then.
pub(super) async fn hold(site: &Site, decided: Decided, taken: Option<Box<Taken>>) -> Result<Counted, Refused> {
    if decided.asks.is_empty() {
        return Ok((decided, taken));
    }
    let decided = Box::pin(held(site, Box::new(decided))).await?; // seldom, and large
    reconsider::reconsider(site, decided, taken)
}

async fn held(site: &Site, mut decided: Box<Decided>) -> Result<Decided, Refused> {
    let notes = std::mem::replace(&mut decided.received.notes, Notes::blank());
    let left = Left::new(&site.broker, Box::new(notes));
    let held = ask(site, &mut decided, left.notes()).await;
    let mut notes = left.back();
    match held {
        Ok(id) => {
            notes.let_pass(&id);
            decided.received.notes = *notes;
            Ok(*decided)
        }
        Err(mut refusal) => {
            let first = decided.asks.first();
            refusal.capability =
                refusal.capability.or_else(|| first.map(|(_, asking)| asking.capability.as_ref().into()));
            Err(Refused::Before(notes, refusal))
        }
    }
}

/// Records the refusal of what a person was asked about and whose client did not wait for it: a client that goes away
/// drops the future that holds this.
pub(super) struct Left {
    broker: Arc<Broker>,
    notes: Option<Box<Notes>>,
}

impl Left {
    pub(super) fn new(broker: &Arc<Broker>, notes: Box<Notes>) -> Self {
        Self { broker: Arc::clone(broker), notes: Some(notes) }
    }

    pub(super) fn notes(&self) -> Option<&Notes> {
        self.notes.as_deref()
    }

    /// The notes: it was answered, and whoever has them records what comes of it.
    pub(super) fn back(mut self) -> Box<Notes> {
        self.notes.take().unwrap_or_else(|| Box::new(Notes::blank())) // they are there
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        if let Some(mut notes) = self.notes.take() {
            stray::conceal(&mut notes, self.broker.leases());
            notes.refused(self.broker.audit(), RefusalCode::NeedsApproval, 403);
        }
    }
}

async fn ask(site: &Site, decided: &mut Decided, notes: Option<&Notes>) -> Result<String, Refusal> {
    let ends = Flow::new(decided.permits.iter().map(|permit| permit.watch().clone()).collect());
    let body = tokio::select! {
        biased;
        reason = ends.wait() => return Err(Refusal::of_cut(reason)),
        body = read(site, &mut decided.received, decided.body_max, &decided.command) => body?,
    };
    decided.seen = Body::read(body.clone(), &decided.received.parts.headers); // what is judged once more is what is shown
    let Some((notes, permit)) = notes.zip(decided.permits.first()) else {
        return Err(Refusal::new(RefusalCode::NoLease, "nobody can be asked without a lease", "secrets exec -- sh"));
    };
    let lease = permit.lease();
    let received = &decided.received;
    let shows_body = !received.is_searched && received.upgrading == Upgrading::No;
    if shows_body {
        stray::search_body(site, &body, std::iter::empty())?; // what stands there would be shown
    }
    let asked = Ask {
        request: notes.id,
        client: lease.client.clone(),
        session: site.entrance.session_id(),
        is_proven: true,
        project: site.entrance.project().map(std::path::Path::to_owned),
        lease: Some(lease.id),
        asks: decided.asks.clone(),
        method: cut(received.parts.method.as_str(), shown::FIELD),
        origin: origin(site, received.upgrading),
        authority: site.authority.clone(),
        target: target(decided),
        shown: if shows_body { shown::fields(decided, &body) } else { Vec::new() },
        body_len: body.len(),
        preview: match received.upgrading {
            Upgrading::WebSocket => UPGRADE.to_owned(),
            Upgrading::No if received.is_searched => HIDDEN.to_owned(),
            Upgrading::No => shown::preview(&body),
        },
        hash: hash(site, &decided.received, &body),
    };
    let mut waiting = site.broker.hold(asked)?;
    let given = tokio::select! {
        biased;
        reason = ends.wait() => {
            waiting.withdraw(if reason == CutReason::Killed { "the kill switch was tripped" } else { "its lease has ended" });
            return Err(Refusal::of_cut(reason));
        }
        given = waiting.answer() => given?,
    };
    Ok(given.id)
}

/// How people know the origin: a WebSocket by its own scheme.
pub(super) fn origin(site: &Site, upgrading: Upgrading) -> String {
    let scheme = match (upgrading, site.scheme) {
        (Upgrading::No, scheme) => scheme.as_str(),
        (Upgrading::WebSocket, Scheme::Http) => "ws",
        (Upgrading::WebSocket, Scheme::Https) => "wss",
    };
    format!("{scheme}://{}", site.authority)
}

pub(super) const UPGRADE: &str = "(a WebSocket: what will be said on it cannot be shown)";
const HIDDEN: &str = "(not shown: the lease token stands in it)";

/// Reads the whole body, and puts it back as all there is. `rule` bounds what a rule lets pass; `command` explains it.
pub(super) async fn read(
    site: &Site,
    received: &mut Received,
    rule: Option<u64>,
    command: &str,
) -> Result<Bytes, Refusal> {
    if received.upgrading != Upgrading::No {
        return Ok(Bytes::new());
    }
    let rule = rule.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
    let most = site.limits.approval_body.min(rule);
    let peek = Peek { most, until: Until::End };
    let read = timeout(site.limits.peek_time, peek::read(site, &mut received.body, peek)).await;
    let ahead = read.unwrap_or(Err(Unread::Slow)).map_err(|why| match why {
        Unread::Broken => request::broken_body(),
        Unread::NoRoom => Refusal::new(RefusalCode::Limit, "too many bodies are being read at once", command),
        Unread::Slow => {
            let detail = "the body, which a person must approve first, did not come in time";
            Refusal::new(RefusalCode::BadRequest, detail, command)
        }
        Unread::TooLong if rule <= site.limits.approval_body => too_long(command),
        Unread::TooLong => {
            let detail = format!(
                "a person must approve this request, and its body has more than the {most} bytes of \
                 `proxy.approval_body`"
            );
            Refusal::new(RefusalCode::BodyTooLarge, detail, "secrets config")
        }
    })?;
    let body = ahead.front.clone();
    received.expects_continue = false; // whoever waited for it has got it
    received.body.put_back(ahead);
    Ok(body)
}

/// Path and query without the lease token.
fn target(decided: &Decided) -> String {
    let received = &decided.received;
    let path = received.path.as_deref().unwrap_or_else(|| received.parts.uri.path());
    let mut query = received.parts.uri.query().unwrap_or_default().as_bytes().to_vec();
    let mut slots: Vec<_> = decided.held.iter().filter_map(|held: &Held| held.slot.query()).collect();
    slots.sort_by_key(|slot| std::cmp::Reverse(slot.start));
    for slot in slots {
        if slot.end <= query.len() {
            query.splice(slot, *b"-");
        }
    }
    let query = String::from_utf8_lossy(&query);
    let mark = if query.is_empty() { "" } else { "?" };
    cut(&format!("{path}{mark}{query}"), shown::TARGET)
}

/// Of head and body.
pub(super) fn hash(site: &Site, received: &Received, body: &[u8]) -> String {
    let mut hash = Hash::of_head(site.scheme, &site.authority, &received.parts);
    for (name, value) in received.body.trailers().into_iter().flatten() {
        hash.put(name.as_str().as_bytes());
        hash.put(value.as_bytes());
    }
    hash.put(&sha256(body));
    hash.finish()
}
