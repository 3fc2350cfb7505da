//! Vectors: requests that a service file says what becomes of, judged by the engine that judges requests.

use std::fmt;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;

use crate::{
    base::{ClientId, RefusalCode, SecretName},
    recipe::Place,
};

use super::service::{Capability, Service};
use crate::policy::{
    Body, Content,
    asked::Asked,
    decide::{LeaseFacts, judge},
    decision::Decision,
    files::{Source, service_of},
    grants::{Approve, Grant, Only, Those, Verdict},
    load::whole_text,
};

/// One `[[test]]` of a service file.
#[derive(Debug)]
pub(in crate::policy) struct Vector {
    pub(in crate::policy) asked: Asked,
    pub(in crate::policy) headers: HeaderMap,
    /// `None` when the vector says nothing of a body: then it has none.
    pub(in crate::policy) body: Option<Box<str>>,
    /// Which credential the lease is of.
    pub(in crate::policy) credential: Box<str>,
    /// Where the lease stands; any listed place when not said.
    pub(in crate::policy) place: Option<Place>,
    pub(in crate::policy) only: Vec<Only>,
    pub(in crate::policy) expected: Expected,
    /// What answers it, if the vector says.
    pub(in crate::policy) answer: Option<Answer>,
    /// Line in its file.
    pub(in crate::policy) line: usize,
}

/// An answer, and what is withheld from it.
#[derive(Debug)]
pub(in crate::policy) struct Answer {
    pub(in crate::policy) document: Value,
    /// Pointers, in their order.
    pub(in crate::policy) withheld: Vec<String>,
}

/// What becomes of a vector's request when every capability is granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Expected {
    /// Each of these capabilities alone allows it, and no other does.
    Gives(Vec<Box<str>>),
    /// Refused with this code.
    Refused(RefusalCode),
}

/// A vector that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Where it stands: `file:line`.
    pub place: String,
    /// The request.
    pub request: String,
    /// What was expected, and what came.
    pub why: String,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.place, self.request, self.why)
    }
}

impl Service {
    /// How many vectors its file has.
    pub fn vectors(&self) -> usize {
        self.vectors_read().len()
    }

    /// The vectors, in the order of the file.
    pub(in crate::policy) fn vectors_read(&self) -> &[Vector] {
        self.vectors.get_or_init(|| {
            let whole = whole_text(&self.file).and_then(|text| service_of(&Source::new(&self.file, text), text));
            whole.and_then(|service| service.vectors.into_inner()).unwrap_or_default()
        })
    }

    /// Judges every vector of its file; gives those that do not hold.
    pub fn try_vectors(&self) -> Vec<Failed> {
        self.vectors_read().iter().filter_map(|vector| self.try_vector(vector)).collect()
    }

    fn try_vector(&self, vector: &Vector) -> Option<Failed> {
        let found = match &vector.expected {
            Expected::Gives(_) => {
                let giving = self
                    .capabilities
                    .iter()
                    .enumerate()
                    .filter(|(index, _)| self.outcome(vector, vec![(*index, Verdict::Allow)]).is_ok());
                let names: Vec<Box<str>> = giving.map(|(_, capability)| Capability::name(capability).into()).collect();
                match self.outcome(vector, self.everything()) {
                    Err(code) if !names.is_empty() => Expected::Refused(code),
                    _ => Expected::Gives(names),
                }
            }
            Expected::Refused(_) => match self.outcome(vector, self.everything()) {
                Ok(decision) => Expected::Gives(decision.capability.iter().map(|name| (&**name).into()).collect()),
                Err(code) => Expected::Refused(code),
            },
        };
        let why = if found == vector.expected {
            self.try_answer(vector)?
        } else {
            format!("expected {}, found {found}", vector.expected)
        };
        let place = format!("{}:{}", self.file, vector.line);
        Some(Failed { place, request: vector.asked.to_string(), why })
    }

    /// What is wrong with what is withheld from the vector's answer.
    fn try_answer(&self, vector: &Vector) -> Option<String> {
        let answer = vector.answer.as_ref()?;
        let decision = self.outcome(vector, self.everything()).ok()?;
        let found = decision.withhold.fields.withheld_in(&answer.document);
        let told =
            |all: &[String]| if all.is_empty() { "nothing".to_owned() } else { format!("`{}`", all.join("`, `")) };
        (found != answer.withheld)
            .then(|| format!("expected {} to be withheld, found {}", told(&answer.withheld), told(&found)))
    }

    fn everything(&self) -> Vec<(usize, Verdict)> {
        (0..self.capabilities.len()).map(|index| (index, Verdict::Allow)).collect()
    }

    /// What becomes of a vector's request under a grant of these capabilities.
    fn outcome(&self, vector: &Vector, listed: Vec<(usize, Verdict)>) -> Result<Decision, RefusalCode> {
        // A vector names no secret and no client; these stand for them.
        let (Ok(secret), Ok(client)) = ("vector".parse::<SecretName>(), "vector".parse::<ClientId>()) else {
            return Err(RefusalCode::NoGrant);
        };
        let grant = Grant {
            service: self.id.clone(),
            items: Vec::new(),
            agents: Those::All,
            projects: Those::All,
            environments: Those::All,
            listed,
            only: vector.only.clone(),
            unscoped: Vec::new(),
            ttl: None,
            limits: Vec::new(),
            tariff: None,
            approve: Approve::default(),
            place: "".into(),
        };
        let lease = LeaseFacts {
            service: &self.id,
            credential: &vector.credential,
            secret: &secret,
            client: &client,
            project: None,
            environment: None,
            narrow: &[],
        };
        let bytes = vector.body.as_deref().map_or_else(Bytes::new, |text| Bytes::copy_from_slice(text.as_bytes()));
        let body = Body::read(bytes, &vector.headers);
        let content = Content { query: None, headers: &vector.headers, body: &body };
        let decision = judge(self, &grant, &[], &lease, &vector.asked.facts(content));
        if let Some(code) = decision.code {
            return Err(code);
        }
        let listed = decision.inject.as_ref().map_or(&[][..], |inject| &inject.places);
        match &vector.place {
            Some(place) if !listed.iter().any(|other| other.covers(place)) => Err(RefusalCode::StrayLease),
            _ => Ok(decision),
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gives(names) if names.is_empty() => f.write_str("no capability to give it"),
            Self::Gives(names) => write!(f, "`{}` to give it", names.join("`, `")),
            Self::Refused(code) => write!(f, "`{code}`"),
        }
    }
}
