//! GraphQL documents (GraphQL specification, September 2025) as rules see them: which operations, which root fields.
//!
//! Invariant: a document that two readers could understand differently, or that is more than a bounded amount of work,
//! is not read at all.

use std::collections::{HashMap, HashSet};

use apollo_parser::{Lexer, Parser, TokenKind, cst};

/// How deep selections and values may stand inside each other.
const MAX_DEPTH: usize = 100;

/// How much work the documents of one request may be.
#[derive(Debug)]
pub(super) struct Budget {
    /// Tokens, whitespace and comments included. The most that common servers take is 15,000.
    pub(super) tokens: usize,
    /// Root fields and spreads that may be looked at, counted for each operation.
    pub(super) steps: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { tokens: 20_000, steps: 100_000 }
    }
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Kind {
    Mutation,
    Query,
    Subscription,
}

/// What can be run of a document.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Document {
    /// At least one; names differ, and only a lone one may have none.
    pub(super) operations: Vec<Operation>,
}

/// One operation with its root fields.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Operation {
    pub(super) kind: Kind,
    pub(super) name: Option<Box<str>>,
    /// Without `__typename`, each once, wherever they stand: behind aliases, in fragments, under directives.
    pub(super) fields: Vec<Box<str>>,
}

/// The selections at the root of something, inline fragments opened.
struct Roots {
    fields: Vec<Box<str>>,
    spreads: Vec<Box<str>>,
}

impl Document {
    /// Reads a whole document; `None` for anything but operations and fragments in clear syntax, for a name that stands
    /// twice or nowhere, and for what goes beyond the budget.
    pub(super) fn read(text: &str, budget: &mut Budget) -> Option<Self> {
        let tokens = clear_tokens(text, budget.tokens)?;
        budget.tokens -= tokens;
        let tree = Parser::new(text).recursion_limit(MAX_DEPTH).token_limit(tokens).parse();
        if tree.errors().len() > 0 {
            return None;
        }
        let mut fragments = HashMap::new();
        let mut found = Vec::new();
        for definition in tree.document().definitions() {
            match definition {
                cst::Definition::OperationDefinition(operation) => {
                    let name = operation.name().map(|name| Box::from(&*name.text()));
                    found.push((kind(&operation), name, Roots::of(operation.selection_set()?)?));
                }
                cst::Definition::FragmentDefinition(fragment) => {
                    let name = Box::<str>::from(&*fragment.fragment_name()?.name()?.text());
                    if fragments.insert(name, Roots::of(fragment.selection_set()?)?).is_some() {
                        return None;
                    }
                }
                _ => return None,
            }
        }
        let names: HashSet<&str> = found.iter().filter_map(|(_, name, _)| name.as_deref()).collect();
        if found.is_empty() || (found.len() > 1 && names.len() < found.len()) {
            return None;
        }
        let operation = |(kind, name, roots): (Kind, Option<Box<str>>, Roots)| {
            let fields = fields(&roots, &fragments, budget)?;
            Some(Operation { kind, name, fields })
        };
        found.into_iter().map(operation).collect::<Option<_>>().map(|operations| Self { operations })
    }
}

/// How many tokens a text has; `None` when there are more than that, or one is not clear.
fn clear_tokens(text: &str, most: usize) -> Option<usize> {
    if !text.chars().all(is_plain) {
        return None;
    }
    let mut count = 0;
    for token in Lexer::new(text).with_limit(most) {
        let token = token.ok()?;
        if token.kind() == TokenKind::StringValue && !is_clear_string(token.data()) {
            return None;
        }
        count += 1;
    }
    Some(count)
}

/// Some readers end a line, and with it a comment, at more characters than others.
fn is_plain(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r') || !(c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}'))
}

/// Where a string ends is clear when it keeps to its line, or needs no escape to go on.
fn is_clear_string(token: &str) -> bool {
    if token.starts_with("\"\"\"") { !token.contains(r#"\""#) } else { !token.contains(['\n', '\r']) }
}

/// Without a word it is a query.
fn kind(operation: &cst::OperationDefinition) -> Kind {
    match operation.operation_type() {
        Some(word) if word.mutation_token().is_some() => Kind::Mutation,
        Some(word) if word.subscription_token().is_some() => Kind::Subscription,
        _ => Kind::Query,
    }
}

impl Roots {
    fn of(set: cst::SelectionSet) -> Option<Self> {
        let mut roots = Self { fields: Vec::new(), spreads: Vec::new() };
        let mut open = vec![set];
        while let Some(set) = open.pop() {
            for selection in set.selections() {
                match selection {
                    cst::Selection::Field(field) => roots.fields.push((*field.name()?.text()).into()),
                    cst::Selection::FragmentSpread(spread) => {
                        roots.spreads.push((*spread.fragment_name()?.name()?.text()).into());
                    }
                    cst::Selection::InlineFragment(inline) => open.push(inline.selection_set()?),
                }
            }
        }
        Some(roots)
    }
}

/// All root fields that an operation reaches; `None` when a fragment is missing or it is too much work. A fragment that
/// leads to itself is looked at once.
fn fields(roots: &Roots, fragments: &HashMap<Box<str>, Roots>, budget: &mut Budget) -> Option<Vec<Box<str>>> {
    let (mut fields, mut seen) = (HashSet::new(), HashSet::new());
    let mut open = vec![roots];
    while let Some(roots) = open.pop() {
        budget.steps = budget.steps.checked_sub(roots.fields.len() + roots.spreads.len())?;
        fields.extend(roots.fields.iter().filter(|field| &***field != "__typename"));
        for spread in &roots.spreads {
            let fragment = fragments.get(spread)?;
            if seen.insert(spread) {
                open.push(fragment);
            }
        }
    }
    let mut fields: Vec<Box<str>> = fields.into_iter().cloned().collect();
    fields.sort_unstable();
    Some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each operation as `kind name: fields`, and how many tokens the document took.
    fn read(text: &str) -> Option<(Vec<String>, usize)> {
        let mut budget = Budget::default();
        let document = Document::read(text, &mut budget)?;
        let told = |operation: &Operation| {
            let (kind, name) = (operation.kind, operation.name.as_deref().unwrap_or("-"));
            format!("{kind:?} {name}: {}", operation.fields.join(" "))
        };
        Some((document.operations.iter().map(told).collect(), Budget::default().tokens - budget.tokens))
    }

    #[test]
    fn operations_are_told_with_all_that_stands_at_their_roots() {
        let text = "query A { b a: c ...F __typename } subscription S @x { ... on X @y { d } d }\n\
                    mutation { e } fragment F on Q { f { g } ...F }";
        assert!(read(text).is_none(), "one without a name among several");
        let (told, _) = read(&text.replace("mutation", "mutation M")).unwrap();
        assert_eq!(told, ["Query A: b c f", "Subscription S: d", "Mutation M: e"]);
        assert_eq!(read("{a}").unwrap(), (vec!["Query -: a".to_owned()], 4), "with the end of the text");
    }

    #[test]
    fn a_document_is_bounded_in_depth_tokens_and_work() {
        let nested = |depth: usize| format!("{}a{}", "{a".repeat(depth), "}".repeat(depth));
        assert!(read(&nested(99)).is_some());
        for deep in [
            nested(101),
            nested(100_000),
            "{".repeat(100_000),
            format!("{{a(b:{}", "[".repeat(100_000)),
            format!("{{a(b:{}", "{c:".repeat(100_000)),
            format!("query($a:{}", "[".repeat(100_000)),
            format!("{}a{}", "{...".repeat(100_000), "}".repeat(100_000)),
        ] {
            assert!(read(&deep).is_none());
        }
        let fields = |count: usize| format!("{{{}}}", "a ".repeat(count));
        let (told, tokens) = read(&fields(9_990)).unwrap();
        assert_eq!((told, tokens), (vec!["Query -: a".to_owned()], 2 * 9_990 + 3));
        assert!(read(&fields(10_000)).is_none());
        let mut budget = Budget::default();
        assert!(Document::read(&fields(1 << 19), &mut budget).is_none());
        assert_eq!(budget.tokens, Budget::default().tokens, "1 MiB is left when the tokens are used up");
        for text in ["#".repeat(1 << 20), ",".repeat(1 << 20), "\"".repeat(1 << 20), "...".repeat(1 << 18)] {
            assert!(read(&text).is_none());
        }
        // One long token is no work.
        let long = format!("{{a(b:\"{}\")}}", "x".repeat(1 << 20));
        assert_eq!(read(&long).unwrap().1, 9);
    }

    #[test]
    fn what_two_documents_may_take_they_take_together() {
        let fragments: Vec<_> = (0..300).map(|n| format!("fragment F{n} on Q{{...F{}}}", n + 1)).collect();
        let text = |count: usize| {
            let operations: Vec<_> = (0..count).map(|n| format!("query O{n}{{...F0}}")).collect();
            format!("{}fragment F300 on Q{{a}}{}", fragments.concat(), operations.concat())
        };
        let mut budget = Budget::default();
        let document = Document::read(&text(10), &mut budget).unwrap();
        assert_eq!(document.operations.len(), 10);
        assert!(document.operations.iter().all(|operation| *operation.fields == ["a".into()]));
        assert_eq!(Budget::default().steps - budget.steps, 10 * 302);
        assert!(Document::read(&text(400), &mut budget).is_none(), "many times a long chain is too much work");
        let mut budget = Budget { tokens: 7, ..Budget::default() };
        assert!(Document::read("{a}", &mut budget).is_some());
        assert!(Document::read("{a}", &mut budget).is_none());
    }

    #[test]
    fn fragments_that_multiply_or_lead_nowhere_are_looked_at_once() {
        let doubled: Vec<_> = (0..60).map(|n| format!("fragment F{n} on Q{{...F{m} ...F{m}}}", m = n + 1)).collect();
        let mut budget = Budget::default();
        let text = format!("mutation{{...F0}}{}fragment F60 on Q{{a}}", doubled.concat());
        let document = Document::read(&text, &mut budget).unwrap();
        assert_eq!(*document.operations[0].fields, ["a".into()]);
        assert_eq!(Budget::default().steps - budget.steps, 2 + 2 * 60, "not 2 to the power of 60");
        let cycle = "mutation{...A} fragment A on Q{...B} fragment B on Q{...A}";
        assert_eq!(read(cycle).unwrap().0, ["Mutation -: "], "nothing of it can be run");
        assert_eq!(read("{...A} fragment A on Q{...A ...A}").unwrap().0, ["Query -: "]);
    }

    #[test]
    fn no_text_is_too_strange_to_be_read() {
        let pieces = [
            "{", "}", "(", ")", "[", "]", "...", "on", "query", "mutation", "fragment", "F", "a", ":", "$", "@", "!",
            "=", "\"", "\"\"\"", "\\", "\\u", "\\u{", "d800", "#", "\n", " ", ",", "1", "-", ".5", "e", "é", "&", "|",
            "type", "extend",
        ];
        let mut state = 7_u32;
        for _ in 0..4_000 {
            let mut text = String::new();
            for _ in 0..14 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                text.push_str(pieces[(state >> 16) as usize % pieces.len()]);
                text.push_str([" ", ""][(state >> 9) as usize % 2]);
            }
            let _ = read(&text); // must not panic
        }
    }
}
