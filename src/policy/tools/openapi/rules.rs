//! Which patterns each capability allows, and which it must deny because another capability has them.
//!
//! Invariant: no two capabilities give the same request. Of two patterns that meet, the one that is part of the other has
//! what they share, as OpenAPI has it; whatever concerns a credential always has it.

use super::{
    kinds::{Judged, Kind},
    operations::Operation,
};

/// A pattern below one of the servers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pattern {
    pub(super) method: &'static str,
    pub(super) path: String,
}

/// Every pattern with what was judged of it, sorted.
pub(super) fn patterns(operations: &[Operation], bases: &[&str]) -> Vec<(Pattern, Judged)> {
    let below = |operation: &Operation| {
        let (method, path, judged) = (operation.method, operation.path.clone(), operation.judged);
        bases.iter().map(move |base| (Pattern { method, path: format!("{base}{path}") }, judged)).collect::<Vec<_>>()
    };
    let mut all: Vec<_> = operations.iter().flat_map(below).collect();
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    all
}

/// Patterns that a capability has to deny: those of others that win over one of its own.
pub(super) fn denied(all: &[(Pattern, Judged)], kind: Kind) -> Vec<&(Pattern, Judged)> {
    let own: Vec<(&Pattern, Vec<&str>)> = all
        .iter()
        .filter(|(_, judged)| judged.kind == kind)
        .map(|(pattern, _)| (pattern, pieces(&pattern.path)))
        .collect();
    let wins = |(pattern, judged): &&(Pattern, Judged)| {
        let theirs = pieces(&pattern.path);
        let beats = |(mine, ours): &(&Pattern, Vec<&str>)| {
            mine.method == pattern.method && meet(ours, &theirs) && is_stronger(judged.kind, &theirs, kind, ours)
        };
        own.iter().any(beats)
    };
    all.iter().filter(|(_, judged)| judged.kind != kind).filter(wins).collect()
}

fn is_stronger(kind: Kind, theirs: &[&str], own: Kind, ours: &[&str]) -> bool {
    match (kind, own) {
        (Kind::Secret, _) => true,
        (_, Kind::Secret) => false,
        _ if covers(ours, theirs) => true,
        _ if covers(theirs, ours) => false,
        _ => kind > own,
    }
}

fn pieces(path: &str) -> Vec<&str> {
    path.split('/').collect()
}

/// Whether a path can match both.
fn meet(a: &[&str], b: &[&str]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| segments_meet(a, b))
}

/// Whether both have a text in common; taken for so when both have a hole and a fixed part.
fn segments_meet(a: &str, b: &str) -> bool {
    match (a.split_once('*'), b.split_once('*')) {
        (None, None) => a == b,
        (Some(_), None) => is_in(b, a),
        (None, Some(_)) => is_in(a, b),
        (Some((a_begins, _)), Some((b_begins, _))) => {
            let ends = |text: &str| text.rsplit('*').next().unwrap_or("").to_owned();
            let (a_ends, b_ends) = (ends(a), ends(b));
            (a_begins.starts_with(b_begins) || b_begins.starts_with(a_begins))
                && (a_ends.ends_with(&b_ends) || b_ends.ends_with(&a_ends))
        }
    }
}

/// Whether the pattern `a` matches whatever `b` matches, as far as that is plain.
fn covers(a: &[&str], b: &[&str]) -> bool {
    let segment = |(a, b): (&&str, &&str)| *a == "*" || a == b || !b.contains('*') && is_in(b, a);
    a.len() == b.len() && a != b && a.iter().zip(b).all(segment)
}

/// Whether a text without holes is in a segment with some.
fn is_in(text: &str, segment: &str) -> bool {
    let Some((begins, rest)) = segment.split_once('*') else { return text == segment };
    let Some(mut left) = text.strip_prefix(begins) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let Some(ends) = parts.pop() else { return false };
    for part in parts {
        let Some((_, after)) = left.split_once(part) else { return false };
        left = after;
    }
    left.ends_with(ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_meet_and_cover() {
        for (a, b, meets, is_covered) in [
            ("/a/*", "/a/b", true, true),
            ("/a/b", "/a/*", true, false),
            ("/a/*", "/*/b", true, false),
            ("/a/*", "/a/*:cancel", true, true),
            ("/a/*:list", "/a/*:cancel", false, false),
            ("/a/*.json", "/a/x.json", true, true),
            ("/a/*.json", "/a/x.xml", false, false),
            ("/a", "/a/*", false, false),
            ("/a/x*y*z", "/a/xyz", true, true),
        ] {
            let (a, b) = (pieces(a), pieces(b));
            assert_eq!((meet(&a, &b), covers(&a, &b)), (meets, is_covered), "{a:?} {b:?}");
        }
    }
}
