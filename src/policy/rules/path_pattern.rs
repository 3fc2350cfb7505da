//! Patterns over normal paths: `*` one segment, `**` any number, `{param}` shown, globs inside a segment.
//!
//! Invariant: matching is linear in path times pattern: a failure behind a later `**` is never tried again.

use std::sync::Arc;

use super::{
    glob::ValuePattern,
    path::{EncodedSlash, NormalPath},
};

/// The most parameters that one pattern shows.
pub(in crate::policy) const MAX_PARAMS: usize = 4;

/// A parameter as its service declares it.
#[derive(Clone, Debug)]
pub(in crate::policy) struct Param {
    pub(in crate::policy) name: Arc<str>,
    /// Shared by every pattern that names the parameter.
    pub(in crate::policy) pattern: Option<Arc<ValuePattern>>,
    pub(in crate::policy) segments: usize,
}

impl Param {
    /// Whether a text may be its value: as many segments as declared, none empty, of the declared pattern.
    pub(in crate::policy) fn takes(&self, value: &str) -> bool {
        let mut segments = 0;
        value.split('/').all(|segment| {
            segments += 1;
            !segment.is_empty()
        }) && segments == self.segments
            && self.pattern.as_ref().is_none_or(|pattern| pattern.matches(value))
    }
}

/// The values that a match showed, by the position of the parameter in the pattern.
pub(in crate::policy) type Shown<'p> = [&'p str; MAX_PARAMS];

/// How narrowly texts are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Reading {
    /// For rules that give: as written.
    Exact,
    /// For rules that take away: letters without case, any value of a parameter.
    Loose,
}

/// One pattern over a whole path.
#[derive(Clone, Debug)]
pub(in crate::policy) struct PathPattern {
    text: Box<str>,
    pieces: Vec<Piece>,
    params: Vec<Arc<str>>,
}

/// What one stretch of a pattern matches.
#[derive(Clone, Debug)]
pub(in crate::policy) enum Piece {
    AnyDepth,
    Glob(Box<str>),
    Literal(Box<str>),
    Param { before: Box<str>, after: Box<str>, param: Param, index: usize },
}

enum Walk {
    Matches,
    Fails,
    /// Failed behind a `**`: no other choice before it can help.
    FailsForGood,
}

impl PathPattern {
    /// Parses; the error says what is wrong.
    pub(in crate::policy) fn parse(text: &str, declared: &[Param]) -> Result<Self, String> {
        let mut params: Vec<Arc<str>> = Vec::new();
        let mut pieces = Vec::with_capacity(text.bytes().filter(|byte| *byte == b'/').count());
        let mut plain = String::with_capacity(text.len()); // the pattern with `x` for every hole, to be checked as a path
        for segment in text.strip_prefix('/').ok_or_else(|| format!("`{text}` must begin with `/`"))?.split('/') {
            plain.push('/');
            if segment == "**" {
                plain.push('x');
                pieces.push(Piece::AnyDepth);
                continue;
            }
            let piece = parse_segment(segment, declared, params.len())?;
            match &piece {
                Piece::Param { before, after, param, .. } => {
                    if pieces.iter().any(|piece| matches!(piece, Piece::AnyDepth)) {
                        return Err(format!(
                            "`{{{}}}` stands after `**`, where it would have no one value",
                            param.name
                        ));
                    }
                    if params.contains(&param.name) {
                        return Err(format!("`{{{}}}` stands twice", param.name));
                    }
                    params.push(param.name.clone());
                    plain.extend([before, "x", after]);
                }
                Piece::Glob(_) => plain.extend(segment.chars().map(|c| if c == '*' { 'x' } else { c })),
                Piece::Literal(_) | Piece::AnyDepth => plain.push_str(segment),
            }
            pieces.push(piece);
        }
        if params.len() > MAX_PARAMS {
            return Err(format!("`{text}` shows more than {MAX_PARAMS} parameters"));
        }
        match NormalPath::parse_with(&plain, EncodedSlash::Keep) {
            Ok(path) if path.as_str() == plain => Ok(Self { text: text.into(), pieces, params }),
            Ok(path) => Err(format!("`{text}` is not in normal form; write it like `{}`", path.as_str())),
            Err(error) => Err(format!("`{text}` can match no request: {error}")),
        }
    }

    pub(in crate::policy) fn as_str(&self) -> &str {
        &self.text
    }

    pub(in crate::policy) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    pub(in crate::policy) fn params(&self) -> &[Arc<str>] {
        &self.params
    }

    /// Matches the whole path; `shown` holds the values when it does.
    pub(in crate::policy) fn matches<'p>(&self, path: &'p str, reading: Reading, shown: &mut Shown<'p>) -> bool {
        path.strip_prefix('/')
            .is_some_and(|rest| matches!(walk(&self.pieces, Some(rest), reading, shown), Walk::Matches))
    }

    /// How many letters it fixes, and whether it fixes how many segments there are.
    pub(in crate::policy) fn literalness(&self) -> (usize, bool) {
        let letters = self.pieces.iter().map(|piece| match piece {
            Piece::AnyDepth => 0,
            Piece::Glob(glob) => glob.bytes().filter(|b| *b != b'*').count(),
            Piece::Literal(text) => text.len() + 1, // beats a glob of the same letters
            Piece::Param { before, after, .. } => before.len() + after.len(),
        });
        (letters.sum(), !self.pieces.iter().any(|piece| matches!(piece, Piece::AnyDepth)))
    }

    /// How many leading segments of the path agree, for naming the nearest call.
    pub(in crate::policy) fn likeness(&self, path: &str) -> usize {
        let segments = path.trim_start_matches('/').split('/');
        let alike = |(piece, segment): &(&Piece, &str)| match piece {
            Piece::Literal(text) => **text == **segment,
            Piece::AnyDepth => false,
            Piece::Glob(_) | Piece::Param { .. } => !segment.is_empty(),
        };
        self.pieces.iter().zip(segments).take_while(alike).count()
    }
}

fn parse_segment(segment: &str, declared: &[Param], index: usize) -> Result<Piece, String> {
    if !segment.bytes().any(|byte| matches!(byte, b'*' | b'{' | b'}')) {
        return Ok(Piece::Literal(segment.into())); // as most are
    }
    if segment.contains("**") {
        return Err(format!("`{segment}`: `**` must be a whole segment"));
    }
    let Some((before, rest)) = segment.split_once('{') else {
        if segment.contains('}') {
            return Err(format!("`{segment}` has a `}}` without its `{{`"));
        }
        return Ok(Piece::Glob(segment.into()));
    };
    let (name, after) = rest.split_once('}').ok_or_else(|| format!("`{segment}` has a `{{` without its `}}`"))?;
    if [before, after].iter().any(|text| text.contains(['{', '}', '*'])) {
        return Err(format!("`{segment}` mixes `{{{name}}}` with another hole; one per segment"));
    }
    let Some(param) = declared.iter().find(|param| *param.name == *name) else {
        let names: Vec<&str> = declared.iter().map(|param| &*param.name).collect();
        let fix = crate::policy::files::expected(name, &names);
        return Err(format!(
            "`{{{name}}}` is not declared; add `[param.{name}]`{}{fix}",
            if fix.is_empty() { "" } else { "; " }
        ));
    };
    Ok(Piece::Param { before: before.into(), after: after.into(), param: param.clone(), index })
}

fn walk<'p>(pieces: &[Piece], rest: Option<&'p str>, reading: Reading, shown: &mut Shown<'p>) -> Walk {
    let Some((piece, later)) = pieces.split_first() else {
        return if rest.is_none() { Walk::Matches } else { Walk::Fails };
    };
    if matches!(piece, Piece::AnyDepth) {
        if later.is_empty() {
            return Walk::Matches;
        }
        let mut from = rest;
        loop {
            match walk(later, from, reading, shown) {
                Walk::Fails => {}
                done => return done,
            }
            let Some(segments) = from else { return Walk::FailsForGood };
            from = segments.split_once('/').map(|(_, later)| later);
        }
    }
    let Some(rest) = rest else { return Walk::Fails };
    let span = if let Piece::Param { param, .. } = piece { param.segments } else { 1 };
    let Some((segment, after)) = take(rest, span) else { return Walk::Fails };
    if fits(piece, segment, reading, shown) { walk(later, after, reading, shown) } else { Walk::Fails }
}

/// The next segments as one text, and what follows them.
fn take(rest: &str, count: usize) -> Option<(&str, Option<&str>)> {
    let mut end = 0;
    for at in 0..count {
        let from = if at == 0 { 0 } else { end + 1 };
        let tail = rest.get(from..)?;
        end = from + tail.bytes().position(|byte| byte == b'/').unwrap_or(tail.len());
        if count > 1 && end == from {
            return None;
        }
    }
    Some((rest.get(..end)?, rest.get(end + 1..)))
}

fn fits<'p>(piece: &Piece, segment: &'p str, reading: Reading, shown: &mut Shown<'p>) -> bool {
    match piece {
        Piece::AnyDepth => true,
        Piece::Glob(glob) => !segment.is_empty() && segment_glob(glob.as_bytes(), segment.as_bytes(), reading),
        Piece::Literal(text) => same(text.as_bytes(), segment.as_bytes(), reading),
        Piece::Param { before, after, param, index } => {
            let Some(end) = segment.len().checked_sub(after.len()) else { return false };
            let (Some(head), Some(value), Some(tail)) =
                (segment.get(..before.len()), segment.get(before.len()..end), segment.get(end..))
            else {
                return false;
            };
            let words =
                same(before.as_bytes(), head.as_bytes(), reading) && same(after.as_bytes(), tail.as_bytes(), reading);
            let usable =
                reading == Reading::Loose || param.pattern.as_ref().is_none_or(|pattern| pattern.matches(value));
            if let Some(slot) = shown.get_mut(*index) {
                *slot = value;
            }
            words && !value.is_empty() && usable
        }
    }
}

fn same(a: &[u8], b: &[u8], reading: Reading) -> bool {
    match reading {
        Reading::Exact => a == b,
        Reading::Loose => a.eq_ignore_ascii_case(b),
    }
}

/// `*` inside one segment; goes back to the last star only.
fn segment_glob(mut glob: &[u8], mut text: &[u8], reading: Reading) -> bool {
    let mut again: Option<(&[u8], &[u8])> = None;
    loop {
        match (glob.split_first(), text.split_first()) {
            (Some((b'*', glob_rest)), _) => {
                again = Some((glob_rest, text));
                glob = glob_rest;
            }
            (Some((want, glob_rest)), Some((have, text_rest))) if same(&[*want], &[*have], reading) => {
                (glob, text) = (glob_rest, text_rest);
            }
            (None, None) => return true,
            _ => {
                let Some((glob_rest, from)) = again else { return false };
                let Some((_, later)) = from.split_first() else { return false };
                again = Some((glob_rest, later));
                (glob, text) = (glob_rest, later);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params() -> Vec<Param> {
        let param = |name: &str, segments, pattern: Option<&str>| Param {
            name: name.into(),
            pattern: pattern.map(|text| Arc::new(text.parse().unwrap())),
            segments,
        };
        vec![param("repo", 2, None), param("id", 1, Some("[0-9]{1,9}")), param("model", 1, None)]
    }

    fn hit<'p>(pattern: &str, path: &'p str, reading: Reading) -> Option<Vec<&'p str>> {
        let pattern = PathPattern::parse(pattern, &params()).unwrap();
        let mut shown = Shown::default();
        pattern.matches(path, reading, &mut shown).then(|| shown[..pattern.params().len()].to_vec())
    }

    #[test]
    fn segments_and_depths() {
        for (pattern, yes, no) in [
            ("/v1/models", &["/v1/models"][..], &["/v1/models/", "/v1/model", "/v1/models/x", "/V1/models"][..]),
            ("/v1/*", &["/v1/a"], &["/v1", "/v1/", "/v1/a/b"]),
            ("/v1/files/**", &["/v1/files", "/v1/files/", "/v1/files/a/b"], &["/v1/filesx", "/v1"]),
            ("/**", &["/", "/a", "/a/b/"], &[]),
            ("/**/keys", &["/keys", "/a/b/keys"], &["/keysx", "/keys/a"]),
            ("/a/**/b/**/c", &["/a/b/c", "/a/x/b/y/c", "/a/b/b/c/c"], &["/a/c", "/a/b", "/a/b/c/d"]),
            ("/x/git-*-pack", &["/x/git-upload-pack"], &["/x/git-pack", "/x/git-a/b-pack"]),
            ("/a*b*c", &["/abc", "/a1b2bc"], &["/ab", "/abcd"]),
            ("/", &["/"], &["/a"]),
        ] {
            for path in yes {
                assert!(hit(pattern, path, Reading::Exact).is_some(), "{pattern} {path}");
            }
            for path in no {
                assert!(hit(pattern, path, Reading::Exact).is_none(), "{pattern} {path}");
            }
        }
    }

    #[test]
    fn parameters_are_shown() {
        assert_eq!(hit("/repos/{repo}/**", "/repos/acme/web/issues", Reading::Exact), Some(vec!["acme/web"]));
        assert_eq!(hit("/{repo}.git/info/refs", "/acme/web.git/info/refs", Reading::Exact), Some(vec!["acme/web"]));
        assert_eq!(hit("/m/{model}:generate", "/m/x-1:generate", Reading::Exact), Some(vec!["x-1"]));
        assert_eq!(hit("/i/{id}/m/{model}", "/i/42/m/a", Reading::Exact), Some(vec!["42", "a"]));
        assert_eq!(hit("/i/{id}", "/i/x", Reading::Exact), None);
        assert_eq!(hit("/i/{id}", "/i/x", Reading::Loose), Some(vec!["x"]));
        assert_eq!(hit("/repos/{repo}", "/repos/acme", Reading::Exact), None);
        assert_eq!(hit("/repos/{repo}", "/repos/acme/", Reading::Exact), None);
        assert_eq!(hit("/m/{model}:generate", "/m/:generate", Reading::Exact), None);
    }

    #[test]
    fn loose_reading_ignores_case() {
        assert!(hit("/V1/Keys", "/v1/keys", Reading::Loose).is_some());
        assert!(hit("/v1/*Key", "/v1/aKEY", Reading::Loose).is_some());
    }

    #[test]
    fn unusable_patterns_say_why() {
        for (pattern, why) in [
            ("v1", "must begin"),
            ("/a**", "whole segment"),
            ("/{repo", "without its"),
            ("/repo}", "without its"),
            ("/{rep}", "did you mean `repo`"),
            ("/**/{repo}", "after `**`"),
            ("/{model}/{model}", "twice"),
            ("/{model}*", "another hole"),
            ("/a//b", "empty segment"),
            ("/a/../b", "dot segment"),
            ("/a?b", "percent-encoded"),
            ("/%61", "normal form"),
        ] {
            let error = PathPattern::parse(pattern, &params()).unwrap_err();
            assert!(error.contains(why), "{pattern}: {error}");
        }
    }

    #[test]
    fn many_depths_do_not_multiply() {
        let pattern = PathPattern::parse("/**/a/**/a/**/a/**/a/**/a/**/b", &params()).unwrap();
        let path = "/a".repeat(4_000);
        assert!(!pattern.matches(&path, Reading::Exact, &mut Shown::default()));
    }
}
