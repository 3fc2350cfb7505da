//! What agents say that they need and no grant gives them: shown to people beside the requests that wait.
//!
//! Invariants: a need gives nothing, whatever becomes of it; it is recorded before anybody sees it, and goes with its
//! session; no agent can fill the list for others.

use std::sync::Arc;

use super::{Answerer, ApprovalError, Broker, State};
use crate::{
    audit::{Action, Event},
    base::{CutReason, Environment, RefusalCode, SecretName, Timestamp, hex, random, shell_word},
    broker::{Error, Refusal, Session},
    policy::{Asked, Lack, LeaseFacts, NoLack, PolicySet, Remedy},
    store::{Binding, SecretRecord},
};

/// How many needs of one session are kept.
const PER_SESSION: usize = 8;
/// How many are kept in all.
const TOGETHER: usize = 32;
/// How long an agent is told to wait where there are as many as may be: a person must look first.
const LATER: std::time::Duration = std::time::Duration::from_mins(1);

/// A need as an agent sends it.
#[derive(Clone, Debug)]
pub struct NewNeed {
    /// What it wants.
    pub what: NeedOf,
    /// Why it says that it wants it; bounded, and safe to show.
    pub why: String,
}

/// What an agent wants.
#[derive(Clone, Debug)]
pub enum NeedOf {
    /// Capabilities of a service, by name.
    Capabilities {
        /// Its id, name or alias.
        service: String,
        /// Their names; not empty.
        names: Vec<String>,
    },
    /// Whatever gives this request, and as little as possible.
    Request(Asked),
}

/// A need that a person has not looked at yet. It is no right.
#[derive(Debug)]
pub struct Need {
    /// Its id: eight hexadecimal digits, of the same kind as those of requests that wait.
    pub id: String,
    /// Whose it is.
    pub session: Arc<Session>,
    /// What it is.
    pub lack: Lack,
    /// Why, in the agent's words.
    pub why: String,
    /// Since when.
    pub sent_at: Timestamp,
}

/// What a person would do to give it.
#[derive(Clone, Debug)]
pub struct Cure {
    /// What to write; `None` when no secret is stored for the service yet.
    pub remedy: Option<Remedy>,
    /// Other secrets that would serve as well.
    pub others: Vec<SecretName>,
}

/// A need in the list, and whether people may see it: not before it is recorded.
pub(super) struct Kept {
    need: Arc<Need>,
    is_recorded: bool,
}

impl Broker {
    /// Keeps a need for people to see. Sending the same once more gives the one that is kept.
    pub fn send_need(&self, session: &Session, new: NewNeed) -> Result<Arc<Need>, Refusal> {
        self.ready()?;
        let session = self.session(session.id()).ok_or_else(|| Refusal::of_cut(CutReason::SessionEnded))?;
        let policy = self.policy();
        let lack = self.lack(&policy, &session, new.what).map_err(|error| unknown(&error))?;
        if let Some(refusal) = self.met(&policy, &session, &lack) {
            return Err(refusal);
        }
        let id = hex(&random::<4>());
        let need = Arc::new(Need { id, session, lack, why: new.why, sent_at: self.parts.clock.now() });
        let mut state = self.approvals.lock();
        if state.closed {
            return Err(Refusal::of_cut(CutReason::Drained));
        }
        if let Some(same) = state.same_need(&need) {
            return Ok(same);
        }
        state.room_for_need(&need)?;
        state.needs.push(Kept { need: Arc::clone(&need), is_recorded: false });
        drop(state);
        if let Err(error) = self.parts.audit.append(&event(&need, Action::NeedSent, &names(&need)).details(&need.id)) {
            self.approvals.take_needs("it could not be recorded", |other| other.id == need.id);
            let detail = format!("the need cannot be recorded: {error}");
            return Err(Refusal::new(RefusalCode::AuditUnavailable, detail, "secrets doctor"));
        }
        let notice = self.approvals.lock().show_need(&need, &self.parts.clock);
        self.approvals.changed();
        if let Some(notice) = notice {
            notice.give();
        }
        if need.session.watch().reason().is_some() {
            self.end_needs("its session has ended", |other| other.id == need.id); // its end may not have seen it
            return Err(Refusal::of_cut(CutReason::SessionEnded));
        }
        Ok(need)
    }

    /// The needs that people have not looked at, oldest first, with what would give each. What policy gives by now goes.
    pub fn needs(&self) -> Vec<(Arc<Need>, Cure)> {
        let policy = self.policy();
        let kept = |state: &State| -> Vec<Arc<Need>> {
            state.needs.iter().filter(|kept| kept.is_recorded).map(|kept| Arc::clone(&kept.need)).collect()
        };
        let all = kept(&self.approvals.lock());
        let (met, left): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|need| self.met(&policy, &need.session, &need.lack).is_some());
        if !met.is_empty() {
            self.end_needs("policy gives it by now", |need| met.iter().any(|other| other.id == need.id));
        }
        left.into_iter().map(|need| (Arc::clone(&need), self.cure(&policy, &need))).collect()
    }

    /// Takes a need off the list, as a person wants it; `None` when the id is of none.
    pub fn dismiss_need(&self, id: &str, by: &Answerer) -> Result<Option<Arc<Need>>, Error> {
        let how = format!("it was dismissed by {}", by.name());
        let Some(need) = self.approvals.take_needs(&how, |need| need.id == id).into_iter().next() else {
            return Ok(None);
        };
        let details = format!("{id}, dismissed, {by}");
        let recorded = self.parts.audit.append(&event(&need, Action::NeedEnded, &names(&need)).details(&details));
        recorded.map_err(ApprovalError::Audit)?;
        Ok(Some(need))
    }

    /// Ends needs, and records why.
    pub(in crate::broker) fn end_needs(&self, why: &str, which: impl Fn(&Need) -> bool) {
        for need in &self.approvals.take_needs(why, which) {
            let details = format!("{}, {why}", need.id);
            self.parts.audit.append_lazily(&event(need, Action::NeedEnded, &names(need)).details(&details));
        }
    }

    fn lack(&self, policy: &PolicySet, session: &Session, what: NeedOf) -> Result<Lack, NoLack> {
        match what {
            NeedOf::Capabilities { service, names } => policy.lack_of(&service, &names),
            NeedOf::Request(asked) => {
                let leases = self.parts.leases.list();
                let own = leases.iter().filter(|lease| lease.session == Some(session.id()));
                let used: Vec<_> = own.filter_map(|lease| lease.scope().map(|scope| scope.service.clone())).collect();
                policy.smallest_lack(asked, |service| used.contains(service))
            }
        }
    }

    /// Says where the session has it already.
    fn met(&self, policy: &PolicySet, session: &Session, lack: &Lack) -> Option<Refusal> {
        let has = self.fitting(session, lack).into_iter().find(|(record, binding)| {
            let facts = facts(session, record, binding);
            policy.grant(&facts).is_some() && policy.has(&facts, lack)
        });
        let (record, _) = has?;
        let is_held = self.holds(session, &record.name);
        let (detail, fix) = if is_held {
            ("the session may do this already", "curl http://leasehold.internal/v1/me".to_owned())
        } else {
            let fix = format!("secrets lease {} --token", shell_word(record.name.as_str()));
            ("the session may have a lease for this already", fix)
        };
        Some(Refusal::new(RefusalCode::NeedMet, detail, fix))
    }

    fn cure(&self, policy: &PolicySet, need: &Need) -> Cure {
        let fitting = self.fitting(&need.session, &need.lack);
        let mut all = fitting.iter();
        let remedy =
            all.next().map(|(record, binding)| policy.remedy(&facts(&need.session, record, binding), &need.lack));
        let is_new = matches!(remedy, Some(Remedy::Grant(_)));
        let others = if is_new { all.map(|(record, _)| record.name.clone()).collect() } else { Vec::new() };
        Cure { remedy, others }
    }

    /// The secrets of the service: those that the session holds before those that a grant gives it before others.
    fn fitting(&self, session: &Session, lack: &Lack) -> Vec<(Arc<SecretRecord>, Binding)> {
        let policy = self.policy();
        let of_service = self.parts.store.list().into_iter().filter_map(|record| {
            let binding = record.binding.clone().filter(|binding| binding.service == lack.service)?;
            Some((record, binding))
        });
        let mut all: Vec<(Arc<SecretRecord>, Binding)> = of_service.collect();
        all.sort_by_cached_key(|(record, binding)| {
            let is_granted = policy.grant(&facts(session, record, binding)).is_some();
            (!self.holds(session, &record.name), !is_granted, record.name.clone())
        });
        all
    }

    fn holds(&self, session: &Session, secret: &SecretName) -> bool {
        let leases = self.parts.leases.list();
        leases.iter().any(|lease| lease.session == Some(session.id()) && lease.secret == *secret)
    }
}

impl super::Approvals {
    pub(super) fn take_needs(&self, how: &str, which: impl Fn(&Need) -> bool) -> Vec<Arc<Need>> {
        let mut state = self.lock();
        let (gone, left) = std::mem::take(&mut state.needs).into_iter().partition(|kept: &Kept| which(&kept.need));
        state.needs = left;
        let gone: Vec<Arc<Need>> = Vec::into_iter(gone).map(|kept: Kept| kept.need).collect();
        for need in &gone {
            state.note_end(&need.id, how);
        }
        drop(state);
        if !gone.is_empty() {
            self.changed();
        }
        gone
    }
}

impl State {
    pub(super) fn is_need(&self, id: &str) -> bool {
        self.needs.iter().any(|kept| kept.is_recorded && kept.need.id == id)
    }

    fn same_need(&self, new: &Need) -> Option<Arc<Need>> {
        let is_same = |need: &Need| need.session.id() == new.session.id() && need.lack == new.lack;
        self.needs.iter().find(|kept| kept.is_recorded && is_same(&kept.need)).map(|kept| Arc::clone(&kept.need))
    }

    fn room_for_need(&self, new: &Need) -> Result<(), Refusal> {
        let own = self.needs.iter().filter(|kept| kept.need.session.id() == new.session.id()).count();
        let detail = if own >= PER_SESSION {
            "as many needs of this session are before a person as may be"
        } else if self.needs.len() >= TOGETHER {
            "as many needs are before a person as may be"
        } else {
            return Ok(());
        };
        let refusal = Refusal::new(RefusalCode::Limit, detail, "ask the person whose session this is to look at them");
        Err(Refusal { retry_after: Some(LATER), ..refusal })
    }

    fn show_need(&mut self, need: &Need, clock: &crate::base::Clock) -> Option<super::notice::Notice> {
        let kept = self.needs.iter_mut().find(|kept| kept.need.id == need.id)?;
        kept.is_recorded = true;
        let text = format!("needs more of {}", need.lack.service);
        self.notice(need.session.client(), &text, &need.id, clock)
    }
}

fn facts<'a>(session: &'a Session, record: &'a SecretRecord, binding: &'a Binding) -> LeaseFacts<'a> {
    LeaseFacts {
        service: &binding.service,
        credential: &binding.credential,
        secret: &record.name,
        client: session.client(),
        project: session.project(),
        environment: session.environment().map(Environment::as_str),
        narrow: session.narrow(),
    }
}

fn unknown(error: &NoLack) -> Refusal {
    let code = match error {
        NoLack::Capability { .. } | NoLack::Hidden { .. } | NoLack::Nothing(_) | NoLack::Service(_) => {
            RefusalCode::NeedUnknown
        }
        NoLack::Never(_) => RefusalCode::MethodDenied,
        NoLack::Wildcard(_) => RefusalCode::BadRequest,
    };
    let fix = match error {
        NoLack::Capability { service, .. } | NoLack::Hidden { service, .. } => {
            format!("secrets policy show {}", shell_word(service.as_str()))
        }
        _ => "secrets policy list".to_owned(),
    };
    Refusal::new(code, error.to_string(), fix)
}

fn names(need: &Need) -> String {
    need.lack.capabilities.iter().map(|(name, _)| &**name).collect::<Vec<_>>().join(",")
}

fn event<'a>(need: &'a Need, action: Action, names: &'a str) -> Event<'a> {
    let event = Event::new(action).session(need.session.id()).client(need.session.client());
    event.service(&need.lack.service).capability(names)
}
