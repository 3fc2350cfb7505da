//! Whether two rules, or a rule and a claim, can be about the same request; with an example of one.
//!
//! Invariant: `Apart` is a proof. `Example` is a request that both read as theirs, taken exactly.

use crate::base::{Authority, Host};

use super::{
    Protocol,
    matchers::Content,
    path_pattern::PathPattern,
    rule::{COMMON_METHODS, Call, Rule},
    service::{Capability, HostBlock, Service},
    words::{Witness, Words, find},
};

/// A request, as an example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Example {
    /// Index of the host block.
    pub(super) block: usize,
    pub(super) host: Host,
    pub(super) method: Box<str>,
    pub(super) path: String,
    pub(super) protocol: Protocol,
}

/// How two sets of requests lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meeting {
    /// No request is in both.
    Apart,
    /// This one is, as far as its head tells.
    Example(Example),
    /// Neither was shown.
    Unknown,
}

/// Requests by their heads: what a rule is about, less what others take from it.
pub(super) struct Heads<'a> {
    pub(super) blocks: Vec<usize>,
    /// Exact hosts; empty for all.
    pub(super) names: &'a [Host],
    /// Empty for all common methods.
    pub(super) methods: &'a [Box<str>],
    /// Empty for all paths.
    pub(super) paths: &'a [PathPattern],
    pub(super) protocol: Protocol,
}

impl Rule {
    /// What it is about; `None` for git, whose paths are repositories.
    pub(super) fn heads(&self) -> Option<Heads<'_>> {
        self.matchers.git.is_none().then(|| Heads {
            blocks: self.blocks.clone(),
            names: &self.names,
            methods: &self.methods,
            paths: &self.paths,
            protocol: self.protocol,
        })
    }

    /// Whether it looks at no more than host, method and path.
    pub(super) fn is_plain(&self) -> bool {
        self.matchers.is_empty()
    }
}

impl Heads<'_> {
    fn methods(&self) -> Vec<&str> {
        if self.methods.is_empty() {
            COMMON_METHODS.to_vec()
        } else {
            self.methods.iter().map(|method| &**method).collect()
        }
    }

    fn words(&self) -> Vec<Words> {
        if self.paths.is_empty() { vec![Words::all()] } else { self.paths.iter().map(Words::of).collect() }
    }
}

/// Whether two sets meet outside of what the `deny` rules of these capabilities take.
pub(super) fn meet(service: &Service, a: &Heads<'_>, b: &Heads<'_>, without: &[&Capability]) -> Meeting {
    if a.protocol != b.protocol {
        return Meeting::Apart;
    }
    let places = places(service, a, b);
    let methods: Vec<&str> = a.methods().into_iter().filter(|method| b.methods().contains(method)).collect();
    if places.is_empty() || methods.is_empty() {
        return Meeting::Apart;
    }
    let (ours, theirs) = (a.words(), b.words());
    let mut meeting = Meeting::Apart;
    for (block, host) in places {
        for method in &methods {
            let taken = taken(without, block, &host, method, a.protocol);
            let taken: Vec<&Words> = taken.iter().collect();
            for (one, other) in ours.iter().flat_map(|one| theirs.iter().map(move |other| (one, other))) {
                match find(&[one, other], &taken) {
                    Witness::None => {}
                    Witness::Unknown => meeting = Meeting::Unknown,
                    Witness::Path(path) => {
                        let host = host.clone();
                        let protocol = a.protocol;
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

/// The paths that plain `deny` rules take whole from requests of this host and method.
fn taken(from: &[&Capability], block: usize, host: &Host, method: &str, protocol: Protocol) -> Vec<Words> {
    let rules = from.iter().flat_map(|capability| &capability.deny);
    let whole = rules.filter(|rule| {
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
    pub(super) fn example(&self) -> Option<Host> {
        let mut spelled = self.origins.iter().map(|origin| {
            let labels = origin.pattern.as_str().split('.');
            let labels = labels.map(|label| if label.contains('*') || label.starts_with('{') { "x" } else { label });
            labels.collect::<Vec<_>>().join(".")
        });
        spelled.find_map(|text| text.parse().ok())
    }
}

impl Example {
    /// As rules see it.
    pub(super) fn call(&self) -> Call<'_> {
        let Self { block, host, method, path, protocol } = self;
        Call { block: *block, host, method, path, loose: path, protocol: *protocol, content: Content::unknown() }
    }

    /// As people write it.
    pub(super) fn shown(&self, service: &Service) -> String {
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
