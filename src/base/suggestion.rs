//! What a mistyped word was probably meant to be.

use std::collections::BTreeSet;

/// `did you mean ...?` when one word is near, else the list of what is possible, each once.
pub fn expected(have: &str, words: &[&str]) -> String {
    let near = words.iter().map(|word| (distance(have, word), *word)).min();
    match near {
        Some((steps, word)) if steps <= (have.chars().count() / 3).clamp(1, 3) => format!("did you mean `{word}`?"),
        Some(_) => {
            let mut seen = BTreeSet::new();
            let each: Vec<&str> = words.iter().copied().filter(|word| seen.insert(*word)).collect();
            format!("expected one of `{}`", each.join("`, `"))
        }
        None => String::new(),
    }
}

/// How many single edits lie between two words; one swap of neighbours counts one.
fn distance(a: &str, b: &str) -> usize {
    if is_one_swap(a.as_bytes(), b.as_bytes()) {
        return 1;
    }
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, left) in a.chars().take(64).enumerate() {
        let mut diagonal = i;
        let mut before = i + 1;
        for (cell, right) in row.iter_mut().skip(1).zip(b.chars()) {
            let next = (diagonal + usize::from(left != right)).min(before + 1).min(*cell + 1);
            diagonal = std::mem::replace(cell, next);
            before = next;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

fn is_one_swap(a: &[u8], b: &[u8]) -> bool {
    let Some(at) = a.iter().zip(b).position(|(x, y)| x != y) else { return false };
    match (a.get(at..), b.get(at..)) {
        (Some([one, two, rest @ ..]), Some([first, second, tail @ ..])) => (one, two, rest) == (second, first, tail),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        for (a, b, steps) in
            [("", "abc", 3), ("allow", "alow", 1), ("allow", "allow", 0), ("kitten", "sitting", 3), ("raed", "read", 1)]
        {
            assert_eq!(distance(a, b), steps, "{a} {b}");
            assert_eq!(distance(b, a), steps, "{b} {a}");
        }
    }

    #[test]
    fn suggestions_are_near_or_a_list() {
        assert_eq!(expected("alow", &["allow", "deny"]), "did you mean `allow`?");
        assert_eq!(expected("zzz", &["allow", "deny"]), "expected one of `allow`, `deny`");
        assert_eq!(expected("zzz", &["deny", "allow", "deny"]), "expected one of `deny`, `allow`");
        assert_eq!(expected("x", &[]), "");
    }
}
