//! Reads a text as TOML. Of what is no TOML the first place is told, and what it probably comes from: whatever follows is
//! read out of step, and faults of that would lead astray.

use toml::{Spanned, de::DeTable};

use super::read::Source;
use crate::base::position;

/// Keys whose tables are entries of a list.
const LISTS: [&str; 9] = ["budget", "grant", "inject", "issue", "narrow", "need", "price", "propose", "test"];

impl Source {
    /// Parses the text; keys that stand twice are faults beside whatever else is wrong.
    pub(in crate::policy) fn parse<'s>(&self, text: &'s str) -> Spanned<DeTable<'s>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        let (twice, mut others): (Vec<_>, Vec<_>) =
            errors.into_iter().partition(|error| error.message() == "duplicate key" && error.span().is_some());
        others.sort_by_key(|error| error.span().map_or(0, |span| span.start));
        if let Some(error) = others.first() {
            let span = error.span().unwrap_or(0..0);
            let fix = meant(text, span.start, error.message());
            self.fault(span, error.message(), fix);
            self.tell_no_more();
        }
        for span in twice.iter().filter_map(toml::de::Error::span) {
            let Some(key) = text.get(span.clone()).filter(|key| !key.is_empty()) else { continue };
            let fix = kept(text.get(..span.start).unwrap_or(""), key);
            self.fault(span, format!("duplicate key `{}`", key.escape_debug()), fix);
        }
        table
    }
}

/// How a key that stands twice can stay.
fn kept(before: &str, key: &str) -> String {
    let is_header = before.ends_with('[');
    if is_header && LISTS.contains(&key) { format!("write each as `[[{key}]]`") } else { "keep one of them".to_owned() }
}

/// What was probably meant where the text stops to be TOML.
fn meant(text: &str, at: usize, message: &str) -> String {
    let (before, rest) = text.split_at_checked(at).unwrap_or((text, ""));
    let (line, _) = position(text, at);
    // The last of them that has not been opened by what is read out of step already.
    let open = unclosed(before).into_iter().rev().map(|(bracket, at)| (bracket, position(text, at)));
    if let Some((bracket, (line, column))) = open.take(DEEP).find(|(_, (opened, _))| *opened < line) {
        return format!("is the `{bracket}` of line {line}, column {column} closed?");
    }
    let first = rest.chars().next().unwrap_or('\n');
    if "“”„‘’«»".contains(first) {
        return "write straight quotes, `\"`".to_owned();
    }
    if message.starts_with("string values must be quoted") {
        let word: String = rest.chars().take_while(|c| !",]}#\r\n".contains(*c)).take(40).collect();
        return format!("write `\"{}\"`", word.trim().escape_debug());
    }
    if first == ':' { "write `key = value`".to_owned() } else { String::new() }
}

/// No file is nested deeper than this.
const DEEP: usize = 16;

/// The brackets that are open at the end, outside of texts and comments.
fn unclosed(text: &str) -> Vec<(char, usize)> {
    let mut open: Vec<(char, usize)> = Vec::new();
    let mut inside = Inside::Nothing;
    let mut skipped = 0;
    for (at, c) in text.char_indices() {
        if at < skipped {
            continue;
        }
        let rest = text.get(at..).unwrap_or("");
        match (inside, c) {
            (Inside::Nothing, '#') => inside = Inside::Comment,
            (Inside::Nothing, '"' | '\'') => {
                let is_long = rest.starts_with("\"\"\"") || rest.starts_with("'''");
                (inside, skipped) = (Inside::Text { quote: c, is_long }, if is_long { at + 3 } else { skipped });
            }
            (Inside::Nothing, '[' | '{') => open.push((c, at)),
            (Inside::Nothing, ']' | '}') => drop(open.pop()),
            (Inside::Comment | Inside::Text { is_long: false, .. }, '\n') => inside = Inside::Nothing,
            (Inside::Text { quote: '"', .. }, '\\') => skipped = at + 2,
            (Inside::Text { quote, is_long: false }, _) if c == quote => inside = Inside::Nothing,
            (Inside::Text { quote, is_long: true }, _)
                if c == quote && rest.starts_with(&quote.to_string().repeat(3)) =>
            {
                (inside, skipped) = (Inside::Nothing, at + 3);
            }
            _ => {}
        }
    }
    open
}

#[derive(Clone, Copy)]
enum Inside {
    Nothing,
    Comment,
    Text { quote: char, is_long: bool },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let source = Source::new("f", text);
        source.parse(text);
        source.into_faults().iter().map(|fault| format!("{}:{} {}", fault.line, fault.column, fault.fix)).collect()
    }

    #[test]
    fn one_slip_is_one_fault_and_says_what_was_meant() {
        for (text, fault) in [
            ("a = [\"x\"\n\n[[grant]]\nb = 1\n", "3:1 is the `[` of line 1, column 5 closed?"),
            ("a = [\n1,\n\n[cap.x]\nb = 1\n", "4:2 is the `[` of line 1, column 5 closed?"),
            ("a = { b = 1, c = \"}\" # {\nd = 1\ne = 2\n", "2:1 is the `{` of line 1, column 5 closed?"),
            ("a = word\n", "1:5 write `\"word\"`"),
            ("a = “word”\n", "1:5 write straight quotes, `\"`"),
            ("a: 1\n", "1:2 write `key = value`"),
            ("a = \"x\nb = 1\n", "1:7 "),
            ("[[grant]]\na = 1\n[grant]\n", "3:2 write each as `[[grant]]`"),
            ("[cap.read]\na = 1\n[cap.read]\n", "3:6 keep one of them"),
        ] {
            assert_eq!(faults(text), [fault], "{text}");
        }
    }

    #[test]
    fn brackets_are_counted_outside_of_texts_and_comments() {
        for (text, open) in [
            ("a = [\"]\", ']', \"\\\"]\", # ]\n", Some(('[', 4))),
            ("a = [ { b = 1 ]", Some(('[', 4))),
            ("a = \"\"\"\n[ \" {\"\"\"\n", None),
            ("a = '''\n[ ' { \\'''\n", None),
            ("é = {", Some(('{', 5))),
        ] {
            assert_eq!(unclosed(text).last().copied(), open, "{text}");
        }
    }

    #[test]
    fn positions_are_counted_in_characters_from_one() {
        let source = Source::new("f", "a\nbü c");
        assert_eq!(source.position(0), (1, 1));
        assert_eq!(source.position(5), (2, 3));
        assert_eq!(source.position(6), (2, 4));
    }
}
