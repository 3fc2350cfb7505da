//! Git over HTTPS: which service of which repository a request asks for, and what a push would change
//! (gitprotocol-http(5), gitprotocol-pack(5), the Git LFS API).
//!
//! Invariant: a request that changes nothing of itself, such as the one for the refs that comes before every push,
//! gives wherever some push could, and takes nothing away from a push that it cannot see.

use super::{Found, Values, body::View, fields::unread, pairs::values_of, pkt_lines::Push};
use crate::policy::rules::{Call, Reading};

/// The services of repositories that a rule is about.
#[derive(Clone, Debug)]
pub(in crate::policy) struct Git {
    pub(super) services: Vec<Service>,
    /// The refs that a push may be about; `None` for all.
    pub(super) refs: Option<Values>,
    /// Whether a push deletes; `None` for both.
    pub(super) deletes: Option<bool>,
}

/// What is done with a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    Fetch,
    /// Large files: their transfers are told, and locked, apart from the repository.
    Lfs,
    Push,
}

impl Service {
    pub(super) const WORDS: [(&'static str, Self); 3] =
        [("fetch", Self::Fetch), ("lfs", Self::Lfs), ("push", Self::Push)];
}

/// Which of a repository's endpoints a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint {
    /// The refs, for the service that the query names.
    Refs,
    UploadPack,
    ReceivePack,
    Lfs,
}

const ENDPOINTS: [(&str, Endpoint); 3] = [
    ("/info/refs", Endpoint::Refs),
    ("/git-upload-pack", Endpoint::UploadPack),
    ("/git-receive-pack", Endpoint::ReceivePack),
];

impl Git {
    /// The paths of the repository, as written and as lax servers read it, without `.git`; `None` if the head asks for
    /// none of this rule's services.
    pub(in crate::policy) fn repository<'c>(&self, call: &Call<'c>, reading: Reading) -> Option<(&'c str, &'c str)> {
        if reading == Reading::Exact {
            let (repository, endpoint) = split(call.path, reading)?;
            let service = exact_service(call, repository, endpoint)?;
            return self.services.contains(&service).then_some((repository, repository));
        }
        let found = [call.path, call.loose].map(|path| {
            let (repository, endpoint) = split(path, reading)?;
            self.services.iter().any(|service| could_be(call, endpoint, *service)).then_some(repository)
        });
        let either = found.iter().flatten().next().copied()?;
        let [path, loose] = found.map(|found| found.unwrap_or(either));
        Some((path, loose))
    }

    /// Method and end of path of every request that its services make; no method for any, a final slash for any depth.
    pub(in crate::policy) fn endpoints(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.services
            .iter()
            .flat_map(|service| match service {
                Service::Fetch => &[("GET", "/info/refs"), ("POST", "/git-upload-pack")][..],
                Service::Lfs => &[("", "/info/lfs/")],
                Service::Push => &[("GET", "/info/refs"), ("POST", "/git-receive-pack")],
            })
            .copied()
    }

    /// Whether the body decides.
    pub(super) fn looks(&self, call: &Call<'_>) -> bool {
        (self.refs.is_some() || self.deletes.is_some())
            && [call.path, call.loose]
                .iter()
                .any(|path| matches!(split(path, Reading::Loose), Some((_, Endpoint::ReceivePack))))
    }

    pub(super) fn find(&self, call: &Call<'_>, reading: Reading) -> Found {
        let exactly = reading == Reading::Exact;
        let is_bound = self.refs.is_some() || self.deletes.is_some();
        match (reading, has_type(call)) {
            (Reading::Exact, Typed::Wrong) => return Found::No,
            (Reading::Exact, Typed::Untold) => return Found::Unread,
            // It cannot be about what the rule is bound to.
            (Reading::Loose, _) if is_bound && !self.looks(call) => return Found::No,
            _ => {}
        }
        if !self.looks(call) {
            return Found::Yes;
        }
        let holds = match call.content.body.pushed(exactly) {
            View::Unread => return unread(reading),
            View::Empty | View::Unreadable => !exactly,
            View::Read(push) if exactly => {
                // What options do is the server's own: they could change refs that no command names.
                !push.has("push-options") && self.holds_for_all(push)
            }
            View::Read(push) => push.commands().iter().any(|command| {
                let named = |refs: &Values| refs.fit_any_loosely([&*command.reference]);
                self.refs.as_ref().is_none_or(named) && self.deletes.is_none_or(|wanted| wanted == command.is_delete)
            }),
        };
        if holds { Found::Yes } else { Found::No }
    }

    fn holds_for_all(&self, push: &Push) -> bool {
        push.commands().iter().all(|command| {
            let named = |refs: &Values| refs.fit_all([&*command.reference], &mut Vec::new());
            self.refs.as_ref().is_none_or(named) && self.deletes.is_none_or(|wanted| wanted == command.is_delete)
        })
    }

    /// What it gives, for people.
    pub(in crate::policy) fn describe(&self) -> String {
        let words = Service::WORDS.iter().filter(|(_, service)| self.services.contains(service));
        format!("git {}", words.map(|(word, _)| *word).collect::<Vec<_>>().join(" or "))
    }
}

/// A path's repository and endpoint.
fn split(path: &str, reading: Reading) -> Option<(&str, Endpoint)> {
    let lower = path.to_ascii_lowercase(); // as long as the path, byte by byte
    let text = if reading == Reading::Exact { path } else { &lower };
    let lfs = || text.rfind("/info/lfs").map(|at| (at, Endpoint::Lfs));
    let mut known = ENDPOINTS.iter();
    let found = known.find_map(|(end, endpoint)| Some((text.strip_suffix(end)?.len(), *endpoint)));
    let (end, endpoint) = found.or_else(lfs)?;
    let repository = path.get(..end)?;
    let bare = match repository.len().checked_sub(4).and_then(|at| repository.split_at_checked(at)) {
        Some((bare, suffix)) if !bare.ends_with('/') && same(suffix, ".git", reading) => bare,
        _ => repository,
    };
    // `/web/.git` is the inside of `/web`, and not what a rule about it means.
    let is_inside = reading == Reading::Exact && bare.ends_with("/.git");
    (!bare.is_empty() && !is_inside).then_some((bare, endpoint))
}

fn same(text: &str, word: &str, reading: Reading) -> bool {
    if reading == Reading::Exact { text == word } else { text.eq_ignore_ascii_case(word) }
}

/// The one service that a head can only mean.
fn exact_service(call: &Call<'_>, repository: &str, endpoint: Endpoint) -> Option<Service> {
    match (endpoint, call.method) {
        (Endpoint::Refs, "GET") => match call.content.query {
            Some("service=git-upload-pack") => Some(Service::Fetch),
            Some("service=git-receive-pack") => Some(Service::Push),
            _ => None, // the old protocol, which reads files one by one
        },
        (Endpoint::UploadPack, "POST") => Some(Service::Fetch),
        (Endpoint::ReceivePack, "POST") => Some(Service::Push),
        (Endpoint::Lfs, method) => {
            let rest = call.path.get(repository.len()..)?;
            let rest = rest.strip_prefix(".git").unwrap_or(rest).strip_prefix("/info/lfs/")?;
            is_lfs(method, rest).then_some(Service::Lfs)
        }
        _ => None,
    }
}

/// What the batch and the locking API have (git-lfs, docs/api).
fn is_lfs(method: &str, rest: &str) -> bool {
    match rest.split('/').collect::<Vec<_>>().as_slice() {
        ["objects", "batch"] | ["locks", "verify"] => method == "POST",
        ["locks"] => matches!(method, "GET" | "POST"),
        ["locks", id, "unlock"] => method == "POST" && !id.is_empty(),
        _ => false,
    }
}

fn could_be(call: &Call<'_>, endpoint: Endpoint, service: Service) -> bool {
    match endpoint {
        Endpoint::UploadPack => service == Service::Fetch,
        Endpoint::ReceivePack => service == Service::Push,
        Endpoint::Lfs => service == Service::Lfs,
        Endpoint::Refs => {
            let word = match service {
                Service::Fetch => "git-upload-pack",
                Service::Push => "git-receive-pack",
                Service::Lfs => return false,
            };
            let asked = values_of(call.content.query.unwrap_or(""), "service", Reading::Loose);
            let Some(asked) = asked else { return true };
            // Without a service it is a fetch by the old protocol; one that cannot be read may be any.
            (asked.is_empty() && service == Service::Fetch)
                || asked.iter().any(|asked| asked.is_empty() || asked.eq_ignore_ascii_case(word))
        }
    }
}

/// How the head types the body.
enum Typed {
    Rightly,
    /// Nobody has said, nor read it.
    Untold,
    Wrong,
}

fn has_type(call: &Call<'_>) -> Typed {
    let wanted = match split(call.path, Reading::Exact) {
        Some((_, Endpoint::UploadPack)) => "application/x-git-upload-pack-request",
        Some((_, Endpoint::ReceivePack)) => "application/x-git-receive-pack-request",
        Some((_, Endpoint::Lfs)) if call.method == "POST" => "application/vnd.git-lfs+json",
        _ => return Typed::Rightly,
    };
    let mut types = call.content.headers.get_all(http::header::CONTENT_TYPE).iter();
    match (types.next(), types.next()) {
        (None, _) if call.content.body.is_unread() => Typed::Untold,
        (Some(only), None) => {
            let text = only.to_str().unwrap_or("");
            let (kind, rest) = text.split_once(';').unwrap_or((text, ""));
            let is_plain = rest.is_empty() || rest.trim().eq_ignore_ascii_case("charset=utf-8");
            if kind.trim().eq_ignore_ascii_case(wanted) && is_plain { Typed::Rightly } else { Typed::Wrong }
        }
        _ => Typed::Wrong,
    }
}
