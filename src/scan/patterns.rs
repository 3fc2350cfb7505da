//! Everything that is looked for, ready: one pass for literals and one for words, then a closer look at each place.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    ops::Range,
    sync::OnceLock,
};

use aho_corasick::{AhoCorasick, Input};
use regex::bytes::Regex;
use zeroize::Zeroizing;

use super::{
    Error, ServiceShape, Severity, assignment,
    known::{KNOWN, NAMED},
    shape::{Shape, compile, is_beginning},
};
use crate::{lease::TokenFinder, recipe::TokenShape};

/// What our own tokens are called in findings.
const LEASE: &str = "lease_token";

/// All shapes: the known ones, those of services, those told by names, and our own lease tokens.
pub struct Patterns {
    shapes: Vec<Shape>,
    services: Vec<ServiceShape>,
    literals: AhoCorasick,
    /// What begins with each literal.
    targets: Vec<Vec<Target>>,
    longest: usize,
    words: AhoCorasick,
    named: Vec<OnceLock<Option<Regex>>>,
    variables: HashMap<String, Vec<usize>>,
    leases: TokenFinder,
}

#[derive(Clone, Copy, Debug)]
enum Target {
    Known(usize),
    Service(usize),
}

/// A place that looks like a secret.
#[derive(Debug)]
pub(super) struct Candidate<'a> {
    pub(super) range: Range<usize>,
    pub(super) name: &'a str,
    pub(super) severity: Severity,
    rank: usize,
}

/// What a value was recognised as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recognised {
    /// Which shape it has.
    pub pattern_name: String,
    /// How bad it is when it stands in a file.
    pub severity: Severity,
}

/// The more particular wins where two overlap: an exact token of ours, a longer beginning, a name of its own, any name.
const RANK_LEASE: usize = 10_000;
const RANK_BEGINNING: usize = 1_000;
const RANK_NAMED: usize = 500;
const RANK_GENERIC: usize = 100;

impl Patterns {
    /// The known shapes and those of these services. Fails only for more text than an automaton can hold.
    pub fn new(services: Vec<ServiceShape>) -> Result<Self, Error> {
        let shapes: Vec<Shape> = KNOWN.iter().copied().map(Shape::new).collect();
        let mut by_literal: BTreeMap<String, Vec<Target>> = BTreeMap::new();
        for (at, shape) in shapes.iter().enumerate() {
            by_literal.entry(shape.known.literal.to_owned()).or_default().push(Target::Known(at));
        }
        let mut variables: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, service) in services.iter().enumerate() {
            for prefix in &service.prefixes {
                by_literal.entry(prefix.clone()).or_default().push(Target::Service(at));
            }
            for variable in &service.env {
                variables.entry(assignment::normal(variable.as_bytes())).or_default().push(at);
            }
        }
        let too_much =
            |error: aho_corasick::BuildError| Error::Exclude { text: String::new(), what: error.to_string() };
        let literals = AhoCorasick::new(by_literal.keys()).map_err(too_much)?;
        let spelled = services.iter().flat_map(|service| &service.env).chain(variables.keys()).map(String::as_str);
        let words: Vec<&str> = spelled.chain(assignment::WORDS).collect();
        let words = AhoCorasick::builder().ascii_case_insensitive(true).build(words).map_err(too_much)?;
        let plain = TokenShape::plain();
        let leases = TokenFinder::new(services.iter().map(|service| &service.lease).chain([&plain]));
        Ok(Self {
            longest: by_literal.keys().map(String::len).max().unwrap_or(0),
            targets: by_literal.into_values().collect(),
            named: NAMED.iter().map(|_| OnceLock::new()).collect(),
            shapes,
            services,
            literals,
            words,
            variables,
            leases,
        })
    }

    /// The names of all shapes, each once.
    pub fn names(&self) -> Vec<String> {
        let known = KNOWN.iter().map(|shape| shape.name).chain(NAMED.iter().map(|shape| shape.name));
        let all = known.chain(self.services.iter().map(|service| service.name.as_str()));
        let all = all.chain(["Generic API Key", "Generic Password", "Generic Secret", "Generic Token", LEASE]);
        all.map(str::to_owned).collect::<std::collections::BTreeSet<_>>().into_iter().collect()
    }

    /// What the value of a variable is, if it is a secret.
    pub fn recognise(&self, variable: &str, value: &[u8]) -> Option<Recognised> {
        let quote: &[u8] = if value.contains(&b'\'') { b"" } else { b"'" };
        let head = [variable.as_bytes(), b"=", quote].concat();
        let mut text = Zeroizing::new(Vec::with_capacity(head.len() + value.len() + 1));
        for part in [&head, value, quote] {
            text.extend_from_slice(part);
        }
        let found = self.find(&text, 0..text.len()).into_iter().find(|found| found.range.start >= head.len())?;
        Some(Recognised { pattern_name: found.name.to_owned(), severity: found.severity })
    }

    /// Every secret that begins in a part of a text, in the order of their places; none overlaps another.
    pub(super) fn find(&self, text: &[u8], own: Range<usize>) -> Vec<Candidate<'_>> {
        let mut all = self.find_leases(text, &own);
        self.find_beginnings(text, &own, &mut all);
        self.find_assignments(text, &own, &mut all);
        apart(all)
    }

    fn find_leases(&self, text: &[u8], own: &Range<usize>) -> Vec<Candidate<'_>> {
        let whole = |range: &Range<usize>| {
            own.contains(&range.start)
                && is_beginning(text, range.start)
                && !text.get(range.end).is_some_and(u8::is_ascii_alphanumeric)
        };
        let found = self.leases.ranges(text).filter(whole);
        found.map(|range| Candidate { range, name: LEASE, severity: Severity::Low, rank: RANK_LEASE }).collect()
    }

    fn find_beginnings<'a>(&'a self, text: &[u8], own: &Range<usize>, all: &mut Vec<Candidate<'a>>) {
        let reach = own.start..(own.end + self.longest).min(text.len());
        for hit in self.literals.find_overlapping_iter(Input::new(text).span(reach)) {
            if hit.start() >= own.end {
                continue;
            }
            let targets = self.targets.get(hit.pattern().as_usize()).map(Vec::as_slice).unwrap_or_default();
            for target in targets {
                all.extend(self.beginning(text, *target, hit.start(), hit.end()));
            }
        }
    }

    fn beginning(&self, text: &[u8], target: Target, start: usize, end: usize) -> Option<Candidate<'_>> {
        let rank = RANK_BEGINNING + 4 * (end - start);
        match target {
            Target::Known(at) => {
                let shape = self.shapes.get(at)?;
                let range = shape.at(text, start, end)?;
                Some(Candidate { range, name: shape.known.name, severity: shape.known.severity, rank: rank + 2 })
            }
            Target::Service(at) => {
                let service = self.services.get(at)?;
                let range = service.at(text, start, end)?;
                let rank = rank + usize::from(service.length.is_some());
                Some(Candidate { range, name: &service.name, severity: ServiceShape::SEVERITY, rank })
            }
        }
    }

    fn find_assignments<'a>(&'a self, text: &[u8], own: &Range<usize>, all: &mut Vec<Candidate<'a>>) {
        let mut done = own.start;
        for hit in self.words.find_iter(Input::new(text).span(own.start..text.len())) {
            if hit.start() >= own.end {
                break;
            }
            if hit.start() < done {
                continue; // another word of the same name
            }
            let name = assignment::name_around(text, hit.start());
            done = name.end;
            all.extend(assignment::assigned(text, name).and_then(|found| self.assigned(text, &found)));
        }
    }

    fn assigned(&self, text: &[u8], found: &assignment::Assignment) -> Option<Candidate<'_>> {
        let name = assignment::normal(text.get(found.name.clone())?);
        let value = text.get(found.value.clone())?;
        let candidate = |name, severity, rank| Some(Candidate { range: found.value.clone(), name, severity, rank });
        let mut services = self.variables.get(&name).into_iter().flatten().filter_map(|at| self.services.get(*at));
        if let Some(service) = services.find(|service| service.is_value(value)) {
            return candidate(&service.name, ServiceShape::SEVERITY, RANK_NAMED);
        }
        for (shape, expression) in NAMED.iter().zip(&self.named) {
            let fits = || {
                let expression = expression.get_or_init(|| compile(shape.value)).as_ref();
                expression.and_then(|expression| expression.find(value)).is_some_and(|whole| whole.len() == value.len())
            };
            if name.contains(shape.word)
                && super::entropy::entropy(value) >= 2.5
                && !value.ends_with(b"EXAMPLEKEY")
                && fits()
            {
                return candidate(shape.name, shape.severity, RANK_NAMED);
            }
        }
        let generic = assignment::generic(&name).filter(|generic| generic.takes(value))?;
        candidate(generic.name, generic.severity, RANK_GENERIC)
    }
}

/// Of those that overlap the more particular, then all by their places.
fn apart(mut all: Vec<Candidate<'_>>) -> Vec<Candidate<'_>> {
    all.sort_by_key(|one| (std::cmp::Reverse(one.rank), one.range.start));
    let mut taken: BTreeMap<usize, Candidate<'_>> = BTreeMap::new();
    for one in all {
        let before = taken.range(..one.range.end).next_back();
        if before.is_none_or(|(_, before)| before.range.end <= one.range.start) {
            taken.insert(one.range.start, one);
        }
    }
    taken.into_values().collect()
}

impl fmt::Debug for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Patterns({})", self.names().len())
    }
}
