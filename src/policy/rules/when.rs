//! Which of several injections fits a request: the more literal `when`; a tie was refused at load.

use std::sync::Arc;

use crate::base::Host;

use super::{
    path_pattern::{PathPattern, Reading, Shown},
    rule::Call,
    words::{Witness, Words, find},
};
use crate::policy::services::Inject;

/// An injection and where it applies.
#[derive(Debug)]
pub(in crate::policy) struct InjectRule {
    pub(in crate::policy) blocks: Vec<usize>,
    pub(in crate::policy) when: When,
    pub(in crate::policy) inject: Arc<Inject>,
    /// Why nothing is written: something that it needs is not built yet.
    pub(in crate::policy) not_yet: Option<Arc<str>>,
    /// The grant by which the credential is made.
    pub(in crate::policy) mint: Option<&'static str>,
    /// The scheme by which it signs.
    pub(in crate::policy) sign: Option<&'static str>,
    /// Where and how it signs.
    pub(in crate::policy) written: Vec<Written>,
}

/// A place that a signer writes, with the pieces of its text.
#[derive(Debug)]
pub(in crate::policy) struct Written {
    /// `header` or `query`.
    pub(in crate::policy) place: &'static str,
    pub(in crate::policy) name: String,
    pub(in crate::policy) text: String,
}

/// To which requests an injection is limited; matchers are ANDed, an empty one fits all.
#[derive(Debug, Default)]
pub(in crate::policy) struct When {
    pub(in crate::policy) paths: Vec<PathPattern>,
    pub(in crate::policy) methods: Vec<Box<str>>,
    /// Exact hosts inside a wildcard block.
    pub(in crate::policy) names: Vec<Host>,
}

/// How literal a `when` is: the letters of its path first, then whether it has no `**`, then host and method.
pub(in crate::policy) type Rank = (bool, usize, bool, bool, bool);

impl When {
    fn rank(&self, path: Option<&PathPattern>) -> Rank {
        let (literal, closed) = path.map_or((0, false), PathPattern::literalness);
        (path.is_some(), literal, closed, !self.names.is_empty(), !self.methods.is_empty())
    }

    /// Each alternative of the path, or the one that is no path.
    fn alternatives(&self) -> impl Iterator<Item = Option<&PathPattern>> {
        let none = self.paths.is_empty().then_some(None);
        self.paths.iter().map(Some).chain(none)
    }
}

impl InjectRule {
    /// How literally the rule fits a call; `None` when it does not.
    pub(in crate::policy) fn rank_for(&self, call: &Call<'_>) -> Option<Rank> {
        let When { methods, names, .. } = &self.when;
        let head = self.blocks.contains(&call.block)
            && (methods.is_empty() || methods.iter().any(|method| **method == *call.method))
            && (names.is_empty() || names.contains(call.host));
        let fits = |path: Option<&PathPattern>| {
            path.is_none_or(|path| path.matches(call.path, Reading::Exact, &mut Shown::default()))
        };
        self.when.alternatives().filter(|path| head && fits(*path)).map(|path| self.when.rank(path)).max()
    }

    /// Whether some request could fit both equally well.
    pub(in crate::policy) fn ties_with(&self, other: &Self) -> bool {
        let (a, b) = (&self.when, &other.when);
        let shared = self.inject.credential == other.inject.credential
            && self.blocks.iter().any(|block| other.blocks.contains(block))
            && meet(&a.methods, &b.methods)
            && meet(&a.names, &b.names);
        shared
            && a.alternatives().any(|one| {
                b.alternatives().any(|two| {
                    let overlap = one.zip(two).is_none_or(|(one, two)| could_meet(one, two));
                    overlap && a.rank(one) == b.rank(two)
                })
            })
    }
}

/// Whether two lists, of which an empty one means everything, have something in common.
fn meet<T: PartialEq>(a: &[T], b: &[T]) -> bool {
    a.is_empty() || b.is_empty() || a.iter().any(|one| b.contains(one))
}

/// Whether some path could fit both; only what is proved apart is.
fn could_meet(one: &PathPattern, two: &PathPattern) -> bool {
    !matches!(find(&[&Words::of(one), &Words::of(two)], &[]), Witness::None)
}
