//! What a held request asks a person: every capability that wants a word, and how its grant wants to be answered.
//!
//! Invariant: nothing in here judges; it only says what `decide` has found.

use std::{sync::Arc, time::Duration};

use crate::base::TimeToLive;

use super::grant::Verdict;
use crate::policy::{
    decide::Bench,
    files::{Table, expected},
    rules::{Met, Seen},
    services::{Capability, Risk, host_value},
    set::PolicySet,
};

/// How long an answer may hold for more requests than the one that was asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Remember {
    /// For the one request only.
    Never,
    /// For so long at most.
    For(TimeToLive),
    /// Until the session ends.
    Session,
}

/// The `approve` of a grant. What it leaves out is the default of the settings, or of the risk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Approve {
    /// The longest that an answer may be remembered; by default what costs, destroys or administers is asked each time.
    pub remember: Option<Remember>,
    /// How long a request waits for its answer.
    pub within: Option<TimeToLive>,
    /// How many different people must allow it, from 1 to 16. Default 1.
    pub quorum: Option<usize>,
}

/// One capability that a request wants to use and that asks first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asking {
    /// Its name.
    pub capability: Arc<str>,
    /// What it is for.
    pub about: Box<str>,
    /// Its risk.
    pub risk: Risk,
    /// JSON pointers to what a person must see of the body.
    pub show: Vec<Box<str>>,
    /// The parameters that the request shows, with their values; sorted.
    pub params: Vec<(Box<str>, Box<str>)>,
    /// What its grant says of answers.
    pub approve: Approve,
}

impl Asking {
    /// The longest that an answer may be remembered.
    pub fn longest(&self) -> Remember {
        self.approve.remember.unwrap_or(match self.risk {
            Risk::Read | Risk::Write => Remember::Session,
            Risk::Spend | Risk::Destroy | Risk::Admin | Risk::Secret => Remember::Never,
        })
    }

    /// How many different people must allow it; 1 at least.
    pub fn quorum(&self) -> usize {
        self.approve.quorum.unwrap_or(1).max(1)
    }
}

impl Bench<'_> {
    /// Every capability that asks about this request, with what the request shows it.
    pub(in crate::policy) fn asks(&self) -> Vec<Asking> {
        let all = self.service.capabilities.iter().enumerate();
        let asking = all.filter(|(index, capability)| {
            let hit = self.hit(*index, capability);
            hit.verdict == Some(Verdict::Ask) && (hit.met == Met::Yes || hit.takes)
        });
        let asking = asking.map(|(_, capability)| Asking {
            capability: capability.name.clone(),
            about: capability.about.clone(),
            risk: capability.risk,
            show: capability.show.clone(),
            params: self.shown(capability),
            approve: self.grant.approve,
        });
        asking.collect()
    }

    /// The values that the request shows for parameters, wherever it shows them.
    fn shown(&self, capability: &Capability) -> Vec<(Box<str>, Box<str>)> {
        let found = std::cell::RefCell::new(Vec::<(Box<str>, Box<str>)>::new());
        let look = |seen: &Seen<'_, '_>| {
            let mut found = found.borrow_mut();
            if let Some((path, shown)) = seen.path {
                let named = path.params().iter().enumerate();
                found.extend(named.filter_map(|(at, name)| Some(((**name).into(), (*shown.get(at)?).into()))));
            }
            found.extend(seen.values.iter().map(|(name, value)| ((&**name).into(), (&**value).into())));
            false // look at every pattern
        };
        for rule in &capability.allow {
            rule.gives(&self.call, look);
        }
        let mut found = found.into_inner();
        for param in &self.service.params {
            let value = host_value(&self.origin.pattern, self.call.host, &param.name);
            found.extend(value.map(|value| ((&*param.name).into(), value.into())));
        }
        for attribute in self.service.attributes.iter().filter(|attribute| attribute.judges(&self.call)) {
            let values = attribute.values(&self.call).into_iter();
            found.extend(values.map(|value| ((&*attribute.param).into(), value.into())));
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

impl PolicySet {
    /// Grants whose requests several people must allow: where each is written, and how many people.
    pub fn quorums(&self) -> impl Iterator<Item = (&str, usize)> {
        let all = self.grants().filter_map(|grant| Some((grant.place(), grant.approve.quorum?)));
        all.filter(|(_, quorum)| *quorum > 1)
    }
}

/// Reads `approve = { remember = "never", within = "2m", quorum = 2 }` of a grant.
pub(in crate::policy) fn read_approve(table: &mut Table<'_>) -> Approve {
    let Some(mut inner) = table.table("approve") else { return Approve::default() };
    let source = inner.source();
    let remember = inner.text("remember").and_then(|text| match text.value {
        "never" => Some(Remember::Never),
        "session" => Some(Remember::Session),
        _ => match text.value.parse::<TimeToLive>() {
            Ok(time) => Some(Remember::For(time)),
            Err(error) => {
                let near = expected(text.value, &["never", "session"]);
                let fix = if near.starts_with("did") { near } else { "or `never`, or `session`".to_owned() };
                source.fault(text.span, error, fix);
                None
            }
        },
    });
    let within = inner.parsed::<TimeToLive>("within").filter(|within| {
        let fits = within.value.get() <= LONGEST;
        if !fits {
            source.fault(within.span.clone(), "a request waits for at most an hour", "write `within = \"1h\"`");
        }
        fits
    });
    let quorum = inner.count("quorum", MOST_PEOPLE);
    inner.finish();
    Approve { remember, within: within.map(|within| within.value), quorum: quorum.map(|quorum| quorum.value) }
}

/// The most people that one answer may take.
const MOST_PEOPLE: usize = 16;

/// The longest that a request waits.
const LONGEST: Duration = Duration::from_hours(1);
