//! The way to a host, between stations 4 and 5 and at CONNECT: open, closed, or held until a person opens it.
//!
//! Invariants: no credential goes to a host that no grant names, whoever opens the way; nothing is dialled before.

use std::sync::Arc;

use super::{
    entrance::Entrance,
    exchange::{Refused, Site},
    flow::Flow,
    hold::{self, Left},
    outcome::Notes,
    request::Received,
    shown::{self, Hash, cut},
};
use crate::{
    base::{Authority, CutReason, RefusalCode, Scheme},
    broker::{Ask, Broker, Refusal},
    policy::{GrantedHost, Reach},
};

/// What is written where a body would be shown.
const UNREAD: &str = "(not looked at: no grant names this host, and no credential goes there)";

/// Lets a request go on whose host a grant names, or to which everybody may go; holds any other where policy asks.
pub(super) async fn open(
    site: &Site,
    granted: Option<&GrantedHost<'_>>,
    mut received: Received,
) -> Result<Received, Refused> {
    if granted.is_some() {
        return Ok(received); // as most are
    }
    match site.broker.policy().reach(site.scheme, &site.authority) {
        Reach::Granted | Reach::Untouched => return Ok(received),
        Reach::Refused { reason, fix } => return Err(Refused::Before(Box::new(received.notes), closed(reason, fix))),
        Reach::Asked => {}
    }
    let parts = &received.parts;
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    let way = Way {
        broker: &site.broker,
        entrance: &site.entrance,
        origin: hold::origin(site, received.upgrading),
        authority: &site.authority,
        target: cut(target, shown::TARGET),
        hash: Hash::of_head(site.scheme, &site.authority, parts).finish(),
    };
    let notes = std::mem::replace(&mut received.notes, Notes::blank());
    received.notes = *Box::pin(way.held(Box::new(notes))).await?; // seldom, and large
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
    let mut hash = Hash::default();
    hash.put(notes.method.as_str().as_bytes());
    hash.put(authority.to_string().as_bytes());
    let origin = format!("{}://{authority}", Scheme::Https.as_str());
    let way = Way { broker, entrance, origin, authority, target: String::new(), hash: hash.finish() };
    way.held(notes).await
}

pub(super) fn closed(reason: String, fix: String) -> Refusal {
    Refusal::new(RefusalCode::HostDenied, reason, fix)
}

/// A way that a person is asked about.
struct Way<'a> {
    broker: &'a Arc<Broker>,
    entrance: &'a Entrance,
    origin: String,
    authority: &'a Authority,
    target: String,
    hash: String,
}

impl Way<'_> {
    async fn held(self, notes: Box<Notes>) -> Result<Box<Notes>, Refused> {
        let left = Left::new(self.broker, notes);
        let answer = match left.notes() {
            Some(notes) => self.ask(notes).await,
            None => Err(Refusal::of_cut(CutReason::Drained)), // they are there
        };
        let mut notes = left.back();
        match answer {
            Ok(id) => {
                notes.let_pass(&id);
                Ok(notes)
            }
            Err(refusal) => Err(Refused::Before(notes, refusal)),
        }
    }

    async fn ask(self, notes: &Notes) -> Result<String, Refusal> {
        let Some(session) = self.entrance.session() else {
            let detail = format!("no grant names `{}`, and a person is asked about it for a session only", self.origin);
            return Err(Refusal::new(RefusalCode::NeedsApproval, detail, "secrets exec -- sh"));
        };
        let ends = Flow::new(vec![self.broker.tunnels(Some(session)).watch()]);
        let mut waiting = self.broker.hold(Ask {
            request: notes.id,
            client: session.client().clone(),
            session: Some(session.id()),
            project: session.project().map(std::path::Path::to_owned),
            lease: None,
            asks: Vec::new(),
            method: cut(notes.method.as_str(), shown::FIELD),
            origin: self.origin,
            authority: self.authority.clone(),
            target: self.target,
            shown: Vec::new(),
            body_len: 0,
            preview: UNREAD.to_owned(),
            hash: self.hash,
        })?;
        tokio::select! {
            biased;
            reason = ends.wait() => {
                waiting.withdraw(if reason == CutReason::Killed { "the kill switch was tripped" } else { "its session has ended" });
                Err(Refusal::of_cut(reason))
            }
            given = waiting.answer() => given.map(|given| given.id),
        }
    }
}
