//! One rule of a capability: matchers on host, name, method, path, protocol and content, all of which must hold.

use crate::base::Host;

use super::path_pattern::{PathPattern, Reading, Shown};
use crate::policy::matchers::{Content, Found, Matchers, Peek, ShownValue};

/// What is asked of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// A request and its answer.
    #[default]
    Http,
    /// A request to upgrade to WebSocket (RFC 6455, or RFC 8441 on HTTP/2).
    WebSocket,
}

/// A request as rules see it.
#[derive(Clone, Copy, Debug)]
pub(in crate::policy) struct Call<'a> {
    /// Index of the host block.
    pub(in crate::policy) block: usize,
    pub(in crate::policy) host: &'a Host,
    pub(in crate::policy) method: &'a str,
    /// The normal form.
    pub(in crate::policy) path: &'a str,
    /// The same as lax servers read it.
    pub(in crate::policy) loose: &'a str,
    pub(in crate::policy) protocol: Protocol,
    pub(in crate::policy) content: Content<'a>,
}

/// What a rule's match showed: values of the path's parameters, and of parameters anywhere else.
pub(in crate::policy) struct Seen<'s, 'p> {
    pub(in crate::policy) path: Option<(&'s PathPattern, &'s Shown<'p>)>,
    pub(in crate::policy) values: &'s [ShownValue],
}

/// The methods that a rule without `method` gives; anything else must be named (attack 83).
pub(in crate::policy) const COMMON_METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Matchers, ANDed; within one matcher any alternative will do.
#[derive(Clone, Debug, Default)]
pub(in crate::policy) struct Rule {
    /// Indices of host blocks.
    pub(in crate::policy) blocks: Vec<usize>,
    /// Exact hosts inside a wildcard block; empty for all.
    pub(in crate::policy) names: Vec<Host>,
    /// Empty for all common methods.
    pub(in crate::policy) methods: Vec<Box<str>>,
    /// Empty for all paths.
    pub(in crate::policy) paths: Vec<PathPattern>,
    pub(in crate::policy) protocol: Protocol,
    pub(in crate::policy) matchers: Matchers,
    /// The most bytes that a body may have; `None` for any number.
    pub(in crate::policy) body_max: Option<usize>,
    /// It has a matcher that is not built yet, and gives nothing.
    pub(in crate::policy) never: bool,
}

/// How a rule and a request met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::policy) enum Met {
    /// Some matcher did not hold.
    No,
    /// All that could be looked at held; the body must be read to tell.
    Unread,
    /// All held, but no alternative was acceptable.
    OutOfScope,
    /// All held.
    Yes,
}

impl Rule {
    /// Reads narrowly, as a rule that gives; `accept` judges what each match showed.
    pub(in crate::policy) fn gives(&self, call: &Call<'_>, accept: impl Fn(&Seen<'_, '_>) -> bool) -> Met {
        let method = if self.methods.is_empty() {
            COMMON_METHODS.contains(&call.method)
        } else {
            self.methods.iter().any(|method| **method == *call.method)
        };
        if self.never || !method || !self.is_at(call) || self.protocol != call.protocol {
            return Met::No;
        }
        let Some(placed) = self.placed(call, Reading::Exact) else { return Met::No };
        let mut values = Vec::new();
        if !self.matchers.is_empty() {
            let mut shown = Shown::default();
            let paths = &self.paths;
            if !paths.is_empty() && !paths.iter().any(|path| path.matches(placed.path, Reading::Exact, &mut shown)) {
                return Met::No; // before anything is parsed
            }
            match self.matchers.find(call, Reading::Exact, &mut values) {
                Found::No => return Met::No,
                Found::Unread => return Met::Unread,
                Found::Yes => {}
            }
        }
        self.gives_path(&placed, &values, accept)
    }

    /// The call whose path is what the rule's paths are about: for git the repository. `None` when it is no such call.
    fn placed<'c>(&self, call: &Call<'c>, reading: Reading) -> Option<Call<'c>> {
        let Some(git) = &self.matchers.git else { return Some(*call) };
        let (path, loose) = git.repository(call, reading)?;
        Some(Call { path, loose, ..*call })
    }

    fn gives_path(&self, call: &Call<'_>, values: &[ShownValue], accept: impl Fn(&Seen<'_, '_>) -> bool) -> Met {
        if self.paths.is_empty() {
            return if accept(&Seen { path: None, values }) { Met::Yes } else { Met::OutOfScope };
        }
        let mut met = Met::No;
        let mut shown = Shown::default();
        for path in &self.paths {
            if path.matches(call.path, Reading::Exact, &mut shown) {
                if accept(&Seen { path: Some((path, &shown)), values }) {
                    return Met::Yes;
                }
                met = Met::OutOfScope;
            }
        }
        met
    }

    /// Whether it matches as written, whatever it shows.
    pub(in crate::policy) fn is_exactly(&self, call: &Call<'_>) -> bool {
        self.gives(call, |_| true) == Met::Yes
    }

    /// Reads widely, as a rule that takes away: letters without case, `;` parameters, encodings and a final slash
    /// ignored, so that a server which reads laxly is no way round it. What nobody has read is taken to match.
    pub(in crate::policy) fn takes(&self, call: &Call<'_>) -> bool {
        self.takes_head(call)
            && (self.matchers.is_empty() || self.matchers.find(call, Reading::Loose, &mut Vec::new()) == Found::Yes)
    }

    /// What must be read of the body before this rule can tell whether it matches.
    pub(in crate::policy) fn peek(&self, call: &Call<'_>) -> Option<Peek> {
        self.matchers.peek(call, self.body_max).filter(|_| self.takes_head(call))
    }

    /// The same as far as the head tells.
    pub(in crate::policy) fn takes_head(&self, call: &Call<'_>) -> bool {
        let method =
            self.methods.is_empty() || self.methods.iter().any(|method| method.eq_ignore_ascii_case(call.method));
        let protocol = self.protocol == Protocol::Http || call.protocol == Protocol::WebSocket;
        let Some(placed) = self.placed(call, Reading::Loose) else { return false };
        let path = |path: &PathPattern| {
            let mut shown = Shown::default();
            path.matches(placed.loose, Reading::Loose, &mut shown)
                || path.matches(placed.path, Reading::Loose, &mut shown)
        };
        method && protocol && self.is_at(call) && (self.paths.is_empty() || self.paths.iter().any(path))
    }

    fn is_at(&self, call: &Call<'_>) -> bool {
        self.blocks.contains(&call.block) && (self.names.is_empty() || self.names.contains(call.host))
    }

    /// How near a call is to being given: matching path with another method first, then common beginnings.
    pub(in crate::policy) fn likeness(&self, call: &Call<'_>) -> (usize, usize) {
        if !self.blocks.contains(&call.block) || self.protocol != call.protocol {
            return (0, 0);
        }
        let mut shown = Shown::default();
        let path = self.placed(call, Reading::Exact).unwrap_or(*call).path;
        let whole = self.paths.iter().any(|pattern| pattern.matches(path, Reading::Exact, &mut shown));
        let most = self.paths.iter().map(|pattern| pattern.likeness(path)).max().unwrap_or(0);
        (usize::from(whole), most)
    }

    /// An example of what it gives, such as `GET /v1/models`: the path nearest to the call.
    pub(in crate::policy) fn example(&self, call: &Call<'_>) -> String {
        let method = self.methods.iter().find(|method| ***method == *call.method).or(self.methods.first());
        // The first of the best: files list the plain form before the wide one.
        let path = self.paths.iter().rev().max_by_key(|path| path.likeness(call.path));
        let path = path.map_or("/**", PathPattern::as_str);
        match &self.matchers.git {
            Some(git) => format!("{} {path}", git.describe()),
            None => format!("{} {path}", method.map_or("any method", |method| method)),
        }
    }
}
