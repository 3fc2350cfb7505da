//! Looks for a path in some sets and not in others, breadth first over all automata at once.

use std::collections::HashMap;

use super::{Set, Words};

/// What a search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Witness {
    /// No path is such.
    None,
    /// This one is.
    Path(String),
    /// The search was given up.
    Unknown,
}

/// How many pairs of states are looked at before giving up.
const MOST: usize = 50_000;

/// A path that every one of `all` matches and none of `never` does: the shortest, in characters that read well.
pub(in crate::policy) fn find(all: &[&Words], never: &[&Words]) -> Witness {
    type Node = Vec<Vec<usize>>;
    let start: Node = all.iter().chain(never).map(|words| words.closed(vec![0])).collect();
    let mut seen: HashMap<Node, Option<(usize, u8)>> = HashMap::from([(start.clone(), None)]);
    let mut order = vec![start];
    let mut at = 0;
    while let Some(node) = order.get(at).cloned() {
        let (wanted, unwanted) = node.split_at(all.len());
        let is_wanted = all.iter().zip(wanted).all(|(words, states)| words.accepts(states));
        let is_unwanted = never.iter().zip(unwanted).any(|(words, states)| words.accepts(states));
        if is_wanted && !is_unwanted {
            return Witness::Path(spell(&order, &seen, at));
        }
        if order.len() > MOST {
            return Witness::Unknown;
        }
        for byte in letters(all, never, &node) {
            let next: Node =
                all.iter().chain(never).zip(&node).map(|(words, states)| words.after(states, byte)).collect();
            if next.iter().take(all.len()).any(Vec::is_empty) || seen.contains_key(&next) {
                continue;
            }
            seen.insert(next.clone(), Some((at, byte)));
            order.push(next);
        }
        at += 1;
    }
    Witness::None
}

/// One character for every way in which the automata can go on from here.
fn letters(all: &[&Words], never: &[&Words], node: &[Vec<usize>]) -> Vec<u8> {
    let mut parts = vec![Set(Set::SEGMENT.0 | Set::SLASH)];
    for (words, states) in all.iter().chain(never).zip(node) {
        for kind in words.kinds(states) {
            parts = parts
                .iter()
                .flat_map(|part| [part.and(kind), part.and(Set(!kind.0))])
                .filter(|part| !part.is_empty())
                .collect();
        }
    }
    let mut letters: Vec<u8> = parts.into_iter().filter_map(Set::example).collect();
    letters.sort_by_key(|byte| (!byte.is_ascii_alphanumeric(), *byte));
    letters
}

fn spell(order: &[Vec<Vec<usize>>], seen: &HashMap<Vec<Vec<usize>>, Option<(usize, u8)>>, mut at: usize) -> String {
    let mut letters = Vec::new();
    while let Some(Some((before, byte))) = order.get(at).and_then(|node| seen.get(node)) {
        letters.push(char::from(*byte));
        at = *before;
    }
    let path: String = letters.into_iter().rev().collect();
    if path.is_empty() { "/".to_owned() } else { path }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::rules::path_pattern::{Param, PathPattern, Reading, Shown};

    fn pattern(text: &str) -> PathPattern {
        let param = |name: &str, segments, pattern: Option<&str>| Param {
            name: name.into(),
            pattern: pattern.map(|text| std::sync::Arc::new(text.parse().unwrap())),
            segments,
        };
        PathPattern::parse(
            text,
            &[param("repo", 2, None), param("id", 1, Some("ac_[0-9]{2,300}")), param("x", 1, None)],
        )
        .unwrap()
    }

    fn meet(a: &str, b: &str) -> Option<String> {
        let (a, b) = (pattern(a), pattern(b));
        match find(&[&Words::of(&a), &Words::of(&b)], &[]) {
            Witness::Path(path) => {
                let shown = &mut Shown::default();
                assert!(a.matches(&path, Reading::Exact, shown) && b.matches(&path, Reading::Exact, shown), "{path}");
                Some(path)
            }
            Witness::None => None,
            Witness::Unknown => panic!("given up"),
        }
    }

    #[test]
    fn patterns_that_meet_have_an_example() {
        for (a, b, example) in [
            ("/v1/models", "/v1/*", "/v1/models"),
            ("/v1/*", "/*/models", "/v1/models"),
            ("/repos/{repo}/**", "/repos/{repo}/keys", "/repos/x/x/keys"),
            ("/**/keys", "/a/**", "/a/keys"),
            ("/**", "/", "/"),
            ("/{x}:generate", "/gpt*", "/gpt:generate"),
            ("/i/{id}", "/i/*", "/i/ac_11"),
            ("/a*b*c", "/*xbyc", "/axbyc"),
            ("/files/**", "/files", "/files"),
        ] {
            assert_eq!(meet(a, b).as_deref(), Some(example), "{a} {b}");
            assert!(meet(b, a).is_some(), "{b} {a}");
        }
    }

    #[test]
    fn patterns_that_cannot_meet_are_apart() {
        for (a, b) in [
            ("/v1/models", "/v1/files"),
            ("/v1/*", "/v1/a/b"),
            ("/repos/{repo}", "/repos/*"),
            ("/i/{id}", "/i/acx*"),
            ("/i/{id}", "/i/ac_1"),
            ("/{x}:generate", "/{x}:count"),
            ("/a/**", "/b/**"),
            ("/*/a", "/**/b"),
        ] {
            assert_eq!(meet(a, b), None, "{a} {b}");
        }
    }

    #[test]
    fn what_lies_in_one_and_in_no_other() {
        let beyond = |a: &str, none: &[&str]| {
            let none: Vec<Words> = none.iter().map(|text| Words::of(&pattern(text))).collect();
            find(&[&Words::of(&pattern(a))], &none.iter().collect::<Vec<_>>())
        };
        assert_eq!(beyond("/v1/models", &["/v1/*"]), Witness::None);
        assert_eq!(beyond("/repos/{repo}/keys", &["/repos/**"]), Witness::None);
        assert_eq!(beyond("/a/**", &["/a", "/a/*", "/a/"]), Witness::Path("/a/x/".into()));
        assert_eq!(beyond("/**", &["/**"]), Witness::None);
        assert_eq!(beyond("/v1/*", &["/v1/x"]), Witness::Path("/v1/1".into()));
        assert_eq!(find(&[&Words::all()], &[&Words::of(&pattern("/**"))]), Witness::None);
    }

    #[test]
    fn a_search_that_grows_is_given_up() {
        let many = pattern("/**/a/**/a/**/a/**/a/**/a/**/a/**/a/**/a/**/a/**/a/**/a/**/a/**/a/**/a/**/b");
        let other = pattern("/**/c*a*b*c*d*e*f*g*h/**/x*1*2*3*4*5*6*7*8*9*/**/c*a*b*c*d*e*f*g*h/**/b");
        assert_ne!(find(&[&Words::of(&many), &Words::of(&other)], &[]), Witness::None);
    }
}
