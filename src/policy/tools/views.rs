//! Reading access for lists and status: what a grant says, and what hosts are named at all.

use std::{collections::BTreeSet, fmt, path::Path};

use crate::policy::{
    Approve, Grant, Inject, LeaseFacts, PolicySet, Remember, Service, UnknownHost, Verdict,
    grants::Those,
    load::{MAX_FILE, whole_text},
    rules::Glob,
};
use crate::{
    base::{Host, read_bounded},
    recipe::Place,
};

impl fmt::Display for UnknownHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deny => "deny",
            Self::Ask => "ask",
            Self::Tunnel => "tunnel",
        })
    }
}

impl fmt::Display for Remember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.write_str("never"),
            Self::For(time) => write!(f, "{time}"),
            Self::Session => f.write_str("session"),
        }
    }
}

impl Grant {
    /// The agents it is for; empty means all.
    pub fn agents(&self) -> Vec<String> {
        texts(&self.agents)
    }

    /// The project folders it is for; empty means all.
    pub fn projects(&self) -> Vec<String> {
        texts(&self.projects)
    }

    /// The environments it is for; empty means all.
    pub fn environments(&self) -> Vec<String> {
        texts(&self.environments)
    }

    /// Which values of parameters it is limited to: `only repo = [acme/*]`.
    pub fn only(&self) -> impl Iterator<Item = String> {
        self.only.iter().map(ToString::to_string)
    }

    /// How a person is asked about what it lists under `ask`.
    pub const fn approve(&self) -> Approve {
        self.approve
    }

    /// Whether one of its lists is empty, so that nobody can use it.
    pub fn is_for_nobody(&self) -> bool {
        let is_empty = |those: &Those| matches!(those, Those::Listed(globs) if globs.is_empty());
        [&self.agents, &self.projects, &self.environments].into_iter().any(is_empty)
    }

    /// The capabilities that it gives with this verdict, by index in their service.
    pub(in crate::policy) fn listed_as(&self, verdict: Verdict) -> impl Iterator<Item = usize> {
        self.listed.iter().filter(move |(_, listed)| *listed == verdict).map(|(index, _)| *index)
    }
}

fn texts(those: &Those) -> Vec<String> {
    match those {
        Those::All => Vec::new(),
        Those::Listed(globs) => globs.iter().map(|glob| Glob::as_str(glob).to_owned()).collect(),
    }
}

impl Service {
    /// The text of its file; a shipped one is in the program.
    pub fn source(&self) -> std::io::Result<String> {
        if let Some(text) = whole_text(self.file()) {
            return Ok(text.to_owned());
        }
        let (bytes, _) = read_bounded(Path::new(self.file()), MAX_FILE).map_err(std::io::Error::other)?;
        String::from_utf8(bytes).map_err(std::io::Error::other)
    }

    /// Every place where a credential of it may stand, at any host and path.
    pub fn places_of<'a>(&'a self, credential: &'a str) -> impl Iterator<Item = &'a Place> {
        let rules = self.injects.iter().filter(move |rule| *rule.inject.credential == *credential);
        rules.flat_map(|rule| &rule.inject.places)
    }
}

impl Service {
    /// Every way in which a credential is written into requests: the origins, a path that it is for, and the places.
    pub fn injections(&self) -> impl Iterator<Item = (Vec<String>, String, &Inject)> {
        self.injects.iter().map(|rule| {
            let blocks = rule.blocks.iter().filter_map(|block| self.hosts.get(*block));
            let origins = blocks.flat_map(|block| block.origins.iter().map(ToString::to_string)).collect();
            let path = rule.when.paths.first().map_or("/v1/x", |path| path.as_str());
            (origins, path.to_owned(), &*rule.inject)
        })
    }
}

impl PolicySet {
    /// Whether a lease with these facts is of any use: its grant gives a capability that no narrowing takes away whole.
    pub fn leaves_any(&self, lease: &LeaseFacts<'_>) -> bool {
        let Some((service, grant)) = self.service(lease.service).zip(self.grant(lease)) else { return false };
        let narrows = || lease.narrow.iter().filter(|narrow| *narrow.service() == service.id);
        grant.listed.iter().filter_map(|(index, verdict)| Some((service.capabilities().get(*index)?, *verdict))).any(
            |(capability, verdict)| {
                let name = capability.name();
                let left = narrows().fold(verdict, |verdict, narrow| narrow.lower(name, verdict));
                left > Verdict::Deny && narrows().all(|narrow| narrow.keeps(name))
            },
        )
    }

    /// The names of the capabilities that a grant gives with this verdict.
    pub fn capabilities_of(&self, grant: &Grant, verdict: Verdict) -> Vec<String> {
        let Some(service) = self.service(grant.service()) else { return Vec::new() };
        let named = grant.listed_as(verdict).filter_map(|index| service.capabilities().get(index));
        named.map(|capability| capability.name().to_owned()).collect()
    }

    /// The names of the hosts of all granted services; of a wildcard the part without its label.
    pub fn granted_names(&self) -> BTreeSet<String> {
        let services = self.grants().filter_map(|grant| self.service(grant.service()));
        let origins = services.flat_map(|service| service.hosts.iter().flat_map(|block| &block.origins));
        origins.map(|origin| origin.pattern.suffix().to_owned()).collect()
    }

    /// Whether a granted service names this host at any port; another port or clear text is then refused rather
    /// than relayed (attack 32). What a block leaves out is not named by it. Not for the hot path.
    pub fn names_host(&self, host: &Host) -> bool {
        let mut services = self.grants().filter_map(|grant| self.service(grant.service()));
        services.any(|service| service.hosts.iter().any(|block| block.names(host)))
    }
}
