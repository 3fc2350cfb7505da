//! Untrusted text on its way to a terminal: no escapes, no line breaks, nothing that reorders or hides (attack 96).

pub(super) use crate::base::{harmless as line, is_hostile, shell_word};

/// The text on as many lines as it has.
pub(super) fn lines(text: &str) -> String {
    let mut shown = text.lines().map(line).collect::<Vec<_>>().join("\n");
    shown.push('\n');
    shown
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
