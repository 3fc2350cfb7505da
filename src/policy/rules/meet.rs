//! Whether two rules, or a rule and a claim, can be about the same request; with an example of one.
//!
//! Invariant: `Apart` is a proof. `Example` is a request that both read as theirs, taken exactly.

use crate::base::{Authority, Host, HostPattern};

use super::{
    rule::{COMMON_METHODS, Call, Rule},
    words::{Witness, Words, find},
};
use crate::policy::{
    Protocol,
    grants::Only,
    matchers::Content,
    services::{HostBlock, Service},
};

/// A request, as an example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) struct Example {
    /// Index of the host block.
    pub(in crate::policy) block: usize,
    pub(in crate::policy) host: Host,
    pub(in crate::policy) method: Box<str>,
    pub(in crate::policy) path: String,
    pub(in crate::policy) protocol: Protocol,
}

/// How two sets of requests lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Meeting {
    /// No request is in both.
    Apart,
    /// This one is, as far as its head tells.
    Example(Example),
    /// Neither was shown.
    Unknown,
}

/// Requests by their heads.
#[derive(Clone, Debug)]
pub(in crate::policy) struct Heads<'a> {
    pub(in crate::policy) blocks: &'a [usize],
    /// Exact hosts; empty for all.
    pub(in crate::policy) names: &'a [Host],
    /// Empty for all.
    pub(in crate::policy) methods: Vec<&'a str>,
    /// Paths that are in every set of at least one of these lists.
    pub(in crate::policy) paths: Vec<Vec<Words>>,
    pub(in crate::policy) protocol: Protocol,
}

impl Rule {
    /// What it is about, where parameters in its paths are limited so; for git the endpoints of its repositories.
    pub(in crate::policy) fn heads<'a>(&'a self, limits: &[&'a Only]) -> Vec<Heads<'a>> {
        let globs = |name: &str, at: usize| {
            let of = limits.iter().filter(|only| *only.param == *name).nth(at);
            of.map(|only| only.values.as_slice())
        };
        // Each list of a parameter that is limited twice is a set of its own.
        let within = |path| (0..limits.len()).map(move |at| Words::of_within(path, |name| globs(name, at)));
        let words = |path| std::iter::once(Words::of(path)).chain(within(path)).collect::<Vec<_>>();
        let paths: Vec<Vec<Words>> = match &*self.paths {
            [] => vec![vec![Words::all()]],
            paths => paths.iter().map(words).collect(),
        };
        let methods: Vec<&str> = match &*self.methods {
            [] => COMMON_METHODS.to_vec(),
            methods => methods.iter().map(|method| &**method).collect(),
        };
        let heads = Heads { blocks: &self.blocks, names: &self.names, methods, paths, protocol: self.protocol };
        let Some(git) = &self.matchers.git else { return vec![heads] };
        git.endpoints().map(|(method, end)| heads.at_endpoint(method, end)).collect()
    }

    /// Whether it looks at no more than host, method and path.
    pub(in crate::policy) fn is_plain(&self) -> bool {
        self.matchers.is_empty()
    }
}

impl Heads<'_> {
    fn at_endpoint(&self, method: &'static str, end: &str) -> Self {
        let both = |sets: &Vec<Words>| {
            ["", ".git"].map(|suffix| {
                let longer = |words: &Words| words.clone().followed_by(suffix).followed_by(end);
                let longer: Vec<Words> = sets.iter().map(longer).collect();
                if end.ends_with('/') { longer.into_iter().map(Words::and_deeper).collect() } else { longer }
            })
        };
        let methods = if method.is_empty() { Vec::new() } else { vec![method] };
        Self { methods, paths: self.paths.iter().flat_map(both).collect(), ..self.clone() }
    }
}

/// Whether two sets meet outside of what these rules take.
pub(in crate::policy) fn meet(service: &Service, a: &Heads<'_>, b: &Heads<'_>, without: &[&Rule]) -> Meeting {
    if a.protocol != b.protocol {
        return Meeting::Apart;
    }
    let both: Vec<&str> = match (&*a.methods, &*b.methods) {
        ([], []) => COMMON_METHODS.to_vec(),
        ([], methods) | (methods, []) => methods.to_vec(),
        (ours, theirs) => ours.iter().filter(|method| theirs.contains(method)).copied().collect(),
    };
    let mut meeting = Meeting::Apart;
    for (block, host) in places(service, a, b) {
        for method in &both {
            let taken = taken(without, block, &host, method, a.protocol);
            let taken: Vec<&Words> = taken.iter().collect();
            for (ours, theirs) in a.paths.iter().flat_map(|ours| b.paths.iter().map(move |theirs| (ours, theirs))) {
                let all: Vec<&Words> = ours.iter().chain(theirs).collect();
                match find(&all, &taken) {
                    Witness::None => {}
                    Witness::Unknown => meeting = Meeting::Unknown,
                    Witness::Path(path) => {
                        let (host, protocol) = (host.clone(), a.protocol);
                        return Meeting::Example(Example { block, host, method: (*method).into(), path, protocol });
                    }
                }
            }
        }
    }
    meeting
}

/// Every block that both are about, with one host of it.
fn places(service: &Service, a: &Heads<'_>, b: &Heads<'_>) -> Vec<(usize, Host)> {
    let blocks = a.blocks.iter().copied().filter(|block| b.blocks.contains(block));
    let host = |block: usize| {
        let named = if a.names.is_empty() { b.names } else { a.names };
        let fits = |host: &&Host| [a.names, b.names].iter().all(|names| names.is_empty() || names.contains(host));
        if named.is_empty() {
            service.hosts.get(block).and_then(HostBlock::example)
        } else {
            named.iter().find(fits).cloned()
        }
    };
    blocks.filter_map(|block| Some((block, host(block)?))).collect()
}

/// The paths that plain rules take whole from requests of this host and method.
fn taken(rules: &[&Rule], block: usize, host: &Host, method: &str, protocol: Protocol) -> Vec<Words> {
    let whole = rules.iter().filter(|rule| {
        rule.is_plain()
            && rule.blocks.contains(&block)
            && (rule.names.is_empty() || rule.names.contains(host))
            && (rule.methods.is_empty() || rule.methods.iter().any(|other| other.eq_ignore_ascii_case(method)))
            && (rule.protocol == Protocol::Http || rule.protocol == protocol)
    });
    whole
        .flat_map(
            |rule| if rule.paths.is_empty() { vec![Words::all()] } else { rule.paths.iter().map(Words::of).collect() },
        )
        .collect()
}

impl HostBlock {
    /// A host of it: the first that its patterns take, with `x` for every hole.
    pub(in crate::policy) fn example(&self) -> Option<Host> {
        self.origins.iter().find_map(|origin| example(&origin.pattern))
    }
}

/// A host that the pattern matches, with `x` for every hole.
pub(in crate::policy) fn example(pattern: &HostPattern) -> Option<Host> {
    let labels = pattern.as_str().split('.');
    let labels = labels.map(|label| if label.contains('*') || label.starts_with('{') { "x" } else { label });
    labels.collect::<Vec<_>>().join(".").parse().ok()
}

impl Example {
    /// As rules see it.
    pub(in crate::policy) fn call(&self) -> Call<'_> {
        let Self { block, host, method, path, protocol } = self;
        Call { block: *block, host, method, path, loose: path, protocol: *protocol, content: Content::unknown() }
    }

    /// As people write it.
    pub(in crate::policy) fn shown(&self, service: &Service) -> String {
        let origin = service.hosts.get(self.block).and_then(|block| block.origins.first());
        let Some(origin) = origin else { return format!("{} {}", self.method, self.path) };
        let scheme = match (self.protocol, origin.scheme.as_str()) {
            (Protocol::Http, scheme) => scheme,
            (Protocol::WebSocket, "http") => "ws",
            (Protocol::WebSocket, _) => "wss",
        };
        let authority = Authority { host: self.host.clone(), port: origin.port };
        let place =
            if origin.port == origin.scheme.default_port() { self.host.to_string() } else { authority.to_string() };
        format!("{} {scheme}://{place}{}", self.method, self.path)
    }
}
