//! The set of paths that a pattern matches, as an automaton: whether two sets meet, and whether one lies in another.
//!
//! Invariant: answers are about the patterns as they match exactly. A search that grows too large answers "may be".

mod search;

pub(in crate::policy) use search::{Witness, find};

use super::{
    glob::{Glob, ValuePattern},
    path_pattern::{PathPattern, Piece},
};

/// A set of ASCII characters; normal paths have no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Set(u128);

impl Set {
    const SLASH: u128 = 1 << b'/';
    /// Whatever may stand in a segment of a normal path: graphic ASCII but what ends a path.
    const SEGMENT: Self = {
        let mut all = 0_u128;
        let mut byte = 0x21;
        while byte < 0x7f {
            all |= 1 << byte;
            byte += 1;
        }
        Self(all & !(Self::SLASH | 1 << b'?' | 1 << b'#'))
    };

    const fn of(byte: u8) -> Self {
        Self(if byte < 128 { 1 << byte } else { 0 })
    }

    fn from_ranges(ranges: &[(u8, u8)]) -> Self {
        Self(
            (0..128)
                .filter(|b| ranges.iter().any(|(low, high)| (low..=high).contains(&b)))
                .fold(0, |all, b| all | 1 << b),
        )
    }

    const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The nicest of them, for examples.
    fn example(self) -> Option<u8> {
        let nice = *b"x1a/";
        nice.into_iter().find(|b| self.0 & 1 << b != 0).or_else(|| (0..128).find(|b| self.0 & 1 << b != 0))
    }
}

/// The paths that a pattern matches.
#[derive(Clone, Debug)]
pub(in crate::policy) struct Words {
    states: Vec<State>,
}

#[derive(Clone, Debug, Default)]
struct State {
    /// By a character of the set.
    steps: Vec<(Set, usize)>,
    /// By nothing.
    skips: Vec<usize>,
}

/// The most repetitions of a character set that are told apart.
const REPEATS: usize = 64;

impl Words {
    /// Of every path.
    pub(in crate::policy) fn all() -> Self {
        let mut words = Self { states: vec![State::default()] };
        words.depth(0);
        words
    }

    /// Of one pattern; the last state accepts.
    pub(in crate::policy) fn of(pattern: &PathPattern) -> Self {
        Self::of_within(pattern, |_| None)
    }

    /// The same where the values of some parameters match one of these globs each, and need not look as declared: a
    /// search for both sets at once finds those that do.
    pub(in crate::policy) fn of_within<'g>(pattern: &PathPattern, globs: impl Fn(&str) -> Option<&'g [Glob]>) -> Self {
        let mut words = Self { states: vec![State::default()] };
        let mut at = 0;
        for piece in pattern.pieces() {
            at = match piece {
                Piece::Param { before, after, param, .. } => match globs(&param.name) {
                    Some(globs) => words.value(before, globs, after, at),
                    None => words.piece(piece, at),
                },
                _ => words.piece(piece, at),
            };
        }
        words
    }

    /// Each of these paths with this text behind it.
    pub(in crate::policy) fn followed_by(mut self, text: &str) -> Self {
        let end = self.states.len() - 1;
        self.text(text, end);
        self
    }

    /// Each of these paths with anything behind it.
    pub(in crate::policy) fn and_deeper(mut self) -> Self {
        let end = self.states.len() - 1;
        self.run(Set(Set::SEGMENT.0 | Set::SLASH), end);
        self
    }

    fn piece(&mut self, piece: &Piece, from: usize) -> usize {
        if matches!(piece, Piece::AnyDepth) {
            return self.depth(from);
        }
        let at = self.step(Set::of(b'/'), from);
        match piece {
            Piece::AnyDepth => at,
            Piece::Literal(text) => self.text(text, at),
            Piece::Glob(glob) => self.glob(glob, at),
            Piece::Param { before, after, param, .. } => {
                let mut at = self.text(before, at);
                for segment in 0..param.segments {
                    if segment > 0 {
                        at = self.step(Set::of(b'/'), at);
                    }
                    at = match param.pattern.as_deref() {
                        Some(ValuePattern::Sets(sets)) if param.segments == 1 => sets
                            .iter()
                            .fold(at, |at, set| self.repeat(Set::from_ranges(&set.ranges), set.least, set.most, at)),
                        _ => self.some(at),
                    };
                }
                self.text(after, at)
            }
        }
    }

    fn value(&mut self, before: &str, globs: &[Glob], after: &str, from: usize) -> usize {
        let at = self.step(Set::of(b'/'), from);
        let at = self.text(before, at);
        let ends: Vec<usize> = globs.iter().map(|glob| self.value_glob(glob.as_str(), at)).collect();
        let end = self.add();
        for state in ends {
            self.state(state).skips.push(end);
        }
        self.text(after, end)
    }

    /// `**` runs over slashes, and a kept `%2F` is one.
    fn value_glob(&mut self, glob: &str, from: usize) -> usize {
        let bare = glob.strip_suffix("/**").filter(|bare| !bare.contains('*'));
        let mut rest = glob.bytes().peekable();
        let (mut at, mut ends) = (from, Vec::new());
        let mut read = 0;
        while let Some(byte) = rest.next() {
            if bare.is_some_and(|bare| bare.len() == read) {
                ends.push(at);
            }
            read += 1;
            at = match byte {
                b'*' if rest.next_if_eq(&b'*').is_some() => self.run(Set(Set::SEGMENT.0 | Set::SLASH), at),
                b'*' => self.any(at),
                b'/' => {
                    let end = self.step(Set::of(b'/'), at);
                    let coded = self.text("%2", at);
                    self.state(coded).steps.push((Set::of(b'F'), end));
                    end
                }
                byte => self.step(Set::of(byte), at),
            };
        }
        let end = self.add();
        for state in ends.into_iter().chain([at]) {
            self.state(state).skips.push(end);
        }
        end
    }

    /// Any number of segments, each behind its slash.
    fn depth(&mut self, from: usize) -> usize {
        let (begun, inside) = (self.add(), self.add());
        self.state(from).steps.push((Set::of(b'/'), begun));
        self.state(begun).steps.push((Set::SEGMENT, inside));
        self.state(inside).steps.push((Set::SEGMENT, inside));
        self.state(inside).steps.push((Set::of(b'/'), begun)); // a segment is empty only at the end of a path
        let end = self.add();
        for state in [from, begun, inside] {
            self.state(state).skips.push(end);
        }
        end
    }

    fn text(&mut self, text: &str, from: usize) -> usize {
        text.bytes().fold(from, |at, byte| self.step(Set::of(byte), at))
    }

    /// A segment with stars, which is never empty.
    fn glob(&mut self, glob: &str, from: usize) -> usize {
        if glob.bytes().all(|byte| byte == b'*') {
            return self.some(from);
        }
        glob.bytes().fold(from, |at, byte| if byte == b'*' { self.any(at) } else { self.step(Set::of(byte), at) })
    }

    /// One character or more of a segment.
    fn some(&mut self, from: usize) -> usize {
        let at = self.step(Set::SEGMENT, from);
        self.any(at)
    }

    fn any(&mut self, from: usize) -> usize {
        self.run(Set::SEGMENT, from)
    }

    fn run(&mut self, set: Set, from: usize) -> usize {
        let at = self.add();
        self.state(from).skips.push(at);
        self.state(at).steps.push((set, at));
        let end = self.add();
        self.state(at).skips.push(end);
        end
    }

    fn repeat(&mut self, set: Set, least: usize, most: usize, from: usize) -> usize {
        let least_kept = least.min(REPEATS);
        let mut at = (0..least_kept).fold(from, |at, _| self.step(set, at));
        if most > REPEATS {
            // Wider than it is: what is shown to be apart still is.
            let next = self.add();
            self.state(at).skips.push(next);
            self.state(next).steps.push((set, next));
            let end = self.add();
            self.state(next).skips.push(end);
            return end;
        }
        let mut ends = vec![at];
        for _ in least_kept..most {
            at = self.step(set, at);
            ends.push(at);
        }
        let end = self.add();
        for state in ends {
            self.state(state).skips.push(end);
        }
        end
    }

    fn step(&mut self, set: Set, from: usize) -> usize {
        let next = self.add();
        self.state(from).steps.push((set, next));
        next
    }

    fn add(&mut self) -> usize {
        self.states.push(State::default());
        self.states.len() - 1
    }

    #[expect(clippy::indexing_slicing, reason = "every index comes from `add`")]
    fn state(&mut self, at: usize) -> &mut State {
        &mut self.states[at]
    }

    fn at(&self, at: usize) -> Option<&State> {
        self.states.get(at)
    }

    /// Every state that is reached by nothing from these, sorted.
    fn closed(&self, mut states: Vec<usize>) -> Vec<usize> {
        let mut next = 0;
        while let Some(state) = states.get(next).copied() {
            next += 1;
            for skip in self.at(state).map_or(&[][..], |state| &state.skips) {
                if !states.contains(skip) {
                    states.push(*skip);
                }
            }
        }
        states.sort_unstable();
        states
    }

    fn accepts(&self, states: &[usize]) -> bool {
        states.contains(&(self.states.len() - 1))
    }

    /// Where a character leads from these states.
    fn after(&self, states: &[usize], byte: u8) -> Vec<usize> {
        let mut next: Vec<usize> = Vec::new();
        for state in states.iter().filter_map(|state| self.at(*state)) {
            for (set, to) in &state.steps {
                if !set.and(Set::of(byte)).is_empty() && !next.contains(to) {
                    next.push(*to);
                }
            }
        }
        self.closed(next)
    }

    /// Characters that stand for all: one of each kind that these states tell apart.
    fn kinds(&self, states: &[usize]) -> Vec<Set> {
        states
            .iter()
            .filter_map(|state| self.at(*state))
            .flat_map(|state| state.steps.iter().map(|(set, _)| *set))
            .collect()
    }
}
