//! The way to a host, between stations 4 and 5 and at CONNECT: open, closed, or held until a person opens it.
//!
//! Invariants: no credential goes to a host that no grant names, whoever opens the way; nothing is dialled before.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    entrance::Entrance,
    exchange::{Refused, Site},
    hold::{self, Left},
    hop::Upgrading,
    outcome::Notes,
    request::Received,
    shown::{self, Hash, cut},
    stray,
};
use crate::{
    base::{Authority, CutReason, RefusalCode, Scheme},
    broker::{Ask, Broker, Refusal, Session},
    policy::{GrantedHost, PolicySet, Reach},
};

/// What is written where the beginning of a tunnel would be shown.
const TUNNEL: &str = "(a tunnel: what passes is not looked at)";
const FIX: &str = "secrets policy list";

/// Lets a request go on whose host a grant names, or to which everybody may go; holds any other where policy asks.
pub(super) async fn open(
    site: &Site,
    policy: &PolicySet,
    granted: Option<&GrantedHost<'_>>,
    received: Received,
) -> Result<Received, Refused> {
    if granted.is_some() {
        return Ok(received); // as most are
    }
    match policy.reach(site.scheme, &site.authority) {
        Reach::Granted | Reach::Untouched => return Ok(received),
        Reach::Refused { reason, fix } => return Err(Refused::Before(Box::new(received.notes), closed(reason, fix))),
        Reach::Asked => {}
    }
    let received = Box::pin(held(site, received)).await?; // seldom, and large
    match site.broker.policy().reach(site.scheme, &site.authority) {
        Reach::Asked | Reach::Untouched => Ok(received),
        Reach::Refused { reason, fix } => Err(Refused::Before(Box::new(received.notes), closed(reason, fix))),
        Reach::Granted => {
            let detail = "a grant names this host by now, so that what a person let pass is to be judged";
            let refusal = Refusal::new(RefusalCode::NeedsApproval, detail, "send the request again");
            Err(Refused::Before(Box::new(received.notes), refusal))
        }
    }
}

/// Holds a tunnel that is asked for until a person lets it pass. Policy is to be asked again then.
pub(super) async fn ask_for_tunnel(
    broker: &Arc<Broker>,
    entrance: &Entrance,
    authority: &Authority,
    notes: Box<Notes>,
) -> Result<Box<Notes>, Refused> {
    let left = Left::new(broker, notes);
    let mut hash = Hash::default();
    let method = left.notes().map_or_else(String::new, |notes| notes.method.to_string());
    hash.put(method.as_bytes());
    hash.put(authority.to_string().as_bytes());
    let way = Way {
        origin: format!("{}://{authority}", Scheme::Https.as_str()),
        authority,
        target: String::new(),
        body_len: 0,
        preview: TUNNEL.to_owned(),
        hash: hash.finish(),
    };
    let answer = match asker(entrance, &way.origin) {
        Ok(session) => way.ask(broker, entrance, session, left.notes()).await,
        Err(refusal) => Err(refusal),
    };
    answered(left, answer)
}

/// A way that no person can open.
pub(super) fn closed(reason: String, fix: String) -> Refusal {
    Refusal::new(RefusalCode::HostDenied, reason, fix)
}

async fn held(site: &Site, mut received: Received) -> Result<Received, Refused> {
    let notes = std::mem::replace(&mut received.notes, Notes::blank());
    let left = Left::new(&site.broker, Box::new(notes));
    let answer = ask(site, &mut received, left.notes()).await;
    received.notes = *answered(left, answer)?;
    Ok(received)
}

async fn ask(site: &Site, received: &mut Received, notes: Option<&Notes>) -> Result<String, Refusal> {
    let origin = hold::origin(site, received.upgrading);
    let session = asker(&site.entrance, &origin)?;
    let ended = session.watch();
    // Whole, as with every request that a person is asked about; a client that goes away is noticed only then.
    let body = tokio::select! {
        biased;
        reason = ended.wait() => return Err(Refusal::of_cut(reason)),
        body = hold::read(site, received, None, FIX) => body?,
    };
    stray::search_body(site, &body, std::iter::empty())?; // what stands there would be shown
    let target = received.parts.uri.path_and_query().map_or("", |target| target.as_str());
    let way = Way {
        origin,
        authority: &site.authority,
        target: cut(target, shown::TARGET),
        body_len: body.len(),
        preview: preview(received.upgrading, &body),
        hash: hold::hash(site, received, &body),
    };
    way.ask(&site.broker, &site.entrance, session, notes).await
}

fn preview(upgrading: Upgrading, body: &Bytes) -> String {
    if upgrading == Upgrading::WebSocket { hold::UPGRADE.to_owned() } else { shown::preview(body) }
}

/// On whose behalf a person is asked: somebody must be seen to ask.
fn asker<'a>(entrance: &'a Entrance, origin: &str) -> Result<&'a Session, Refusal> {
    entrance.session().ok_or_else(|| {
        let detail = format!("no grant names `{origin}`, and a person is asked about it for a session only");
        Refusal::new(RefusalCode::NeedsApproval, detail, "secrets exec -- sh")
    })
}

/// The notes of what was held, if it may go on.
fn answered(left: Left, answer: Result<String, Refusal>) -> Result<Box<Notes>, Refused> {
    let mut notes = left.back();
    match answer {
        Ok(id) => {
            notes.let_pass(&id);
            Ok(notes)
        }
        Err(refusal) => Err(Refused::Before(notes, refusal)),
    }
}

/// A way that a person is asked about.
struct Way<'a> {
    origin: String,
    authority: &'a Authority,
    target: String,
    body_len: usize,
    preview: String,
    hash: String,
}

impl Way<'_> {
    async fn ask(
        self,
        broker: &Arc<Broker>,
        entrance: &Entrance,
        session: &Session,
        notes: Option<&Notes>,
    ) -> Result<String, Refusal> {
        let Some(notes) = notes else { return Err(Refusal::of_cut(CutReason::Drained)) }; // they are there
        let ended = session.watch();
        if let Some(reason) = ended.reason() {
            return Err(Refusal::of_cut(reason)); // its connections live on
        }
        let is_proven = entrance.proven_session().is_some();
        let by = if is_proven {
            "the session's own proxy credentials"
        } else {
            "the session's port, which any program on this machine can use"
        };
        let mut waiting = broker.hold(Ask {
            request: notes.id,
            client: session.client().clone(),
            session: Some(session.id()),
            is_proven,
            project: session.project().map(std::path::Path::to_owned),
            lease: None,
            asks: Vec::new(),
            method: cut(notes.method.as_str(), shown::FIELD),
            origin: self.origin,
            authority: self.authority.clone(),
            target: self.target,
            shown: vec![("asked by".to_owned(), by.to_owned())],
            body_len: self.body_len,
            preview: self.preview,
            hash: self.hash,
        })?;
        tokio::select! {
            biased;
            reason = ended.wait() => {
                waiting.withdraw("its session has ended");
                Err(Refusal::of_cut(reason))
            }
            given = waiting.answer() => given.map(|given| given.id),
        }
    }
}
