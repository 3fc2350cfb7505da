//! Untrusted text on its way to a terminal: no escapes, no line breaks, nothing that reorders or hides (attack 96).

pub(super) use crate::base::shell_word;

/// The text on one line; what a terminal would obey is shown as an escape instead.
pub(super) fn line(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hostile(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

/// The text on as many lines as it has.
pub(super) fn lines(text: &str) -> String {
    let mut shown = text.lines().map(line).collect::<Vec<_>>().join("\n");
    shown.push('\n');
    shown
}

/// Control characters of both kinds, and characters that reorder or hide text.
pub(super) fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown_instead() {
        assert_eq!(line("a\u{1b}[31mb\nc\u{9b}d\u{202e}e"), r"a\u{1b}[31mb\nc\u{9b}d\u{202e}e");
        assert_eq!(lines("a\u{1b}[31m\nb\n"), "a\\u{1b}[31m\nb\n");
        assert_eq!(line("schlüssel 鍵"), "schlüssel 鍵");
    }
}
