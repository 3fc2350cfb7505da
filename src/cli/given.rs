//! The places that the caller named, kept in every command that we tell to run next.

use std::{ffi::OsString, path::Path};

use super::sanitize::shell_word;

/// `--home`, `--socket` and `--config` as they were given; relative paths stay so, for the same folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Given(Vec<(&'static str, String)>);

impl Given {
    const FLAGS: [&'static str; 3] = ["--home", "--socket", "--config"];

    pub(super) fn new(home: Option<&Path>, socket: Option<&Path>, config: Option<&Path>) -> Self {
        let values = Self::FLAGS.into_iter().zip([home, socket, config]);
        Self(values.filter_map(|(flag, value)| Some((flag, value?.to_string_lossy().into_owned()))).collect())
    }

    /// From a command line that could not be read as a whole, as far as it says.
    pub(super) fn of_line(arguments: &[OsString]) -> Self {
        let words: Vec<&str> =
            arguments.iter().map_while(|word| word.to_str()).take_while(|word| *word != "--").collect();
        let value = |flag: &str| {
            let apart = words.windows(2).find_map(|pair| match pair {
                [word, value] if *word == flag => Some(*value),
                _ => None,
            });
            apart.or_else(|| words.iter().find_map(|word| word.strip_prefix(flag)?.strip_prefix('=')))
        };
        Self(Self::FLAGS.into_iter().filter_map(|flag| Some((flag, value(flag)?.to_owned()))).collect())
    }

    /// The shell command with them, behind each `secrets` that it runs; what it says itself stays.
    pub(super) fn put_into(&self, command: &str) -> String {
        let missing = self.0.iter().filter(|(flag, _)| !command.contains(&format!(" {flag} ")));
        let words: String = missing.map(|(flag, value)| [" ", flag, " ", &shell_word(value)].concat()).collect();
        let (mut written, mut rest) = (String::with_capacity(command.len() + words.len()), command);
        let mut quote = None;
        let mut begins = true; // a command, as the shell reads it
        while let Some(c) = rest.chars().next() {
            let (one, tail) = rest.split_at(c.len_utf8());
            let own = rest.strip_prefix(PROGRAM).filter(|tail| begins && (tail.is_empty() || tail.starts_with(' ')));
            if let Some(tail) = own {
                written.extend([PROGRAM, &words]);
                (rest, begins) = (tail, false);
                continue;
            }
            match (quote, c) {
                (None, '\'' | '"') => (quote, begins) = (Some(c), false),
                (Some(open), _) if open == c => quote = None,
                (None, '&' | '|' | ';') => begins = true,
                (None, ' ') | (Some(_), _) => {}
                (None, _) => begins = false,
            }
            written.push_str(one);
            rest = tail;
        }
        written
    }
}

/// The name under which shells find us.
const PROGRAM: &str = "secrets";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_of_ours_gets_them_and_no_word_else() {
        let given = Given::new(Some(Path::new("my home")), None, Some(Path::new("/c.toml")));
        for (command, wanted) in [
            ("secrets list", "secrets --home 'my home' --config /c.toml list"),
            ("secrets", "secrets --home 'my home' --config /c.toml"),
            ("secrets serve &", "secrets --home 'my home' --config /c.toml serve &"),
            ("rm x && secrets scan", "rm x && secrets --home 'my home' --config /c.toml scan"),
            ("cat | secrets add x", "cat | secrets --home 'my home' --config /c.toml add x"),
            ("secrets --home /h init", "secrets --config /c.toml --home /h init"),
            ("chmod 700 secrets", "chmod 700 secrets"),
            ("ls 'a && secrets list'", "ls 'a && secrets list'"),
            ("secrets-of-mine list", "secrets-of-mine list"),
            ("secrets exec -- secrets list", "secrets --home 'my home' --config /c.toml exec -- secrets list"),
        ] {
            assert_eq!(given.put_into(command), wanted);
        }
        assert_eq!(Given::default().put_into("secrets list"), "secrets list");
    }

    #[test]
    fn a_line_that_cannot_be_read_still_says_where() {
        let line = |words: &[&str]| Given::of_line(&words.iter().map(OsString::from).collect::<Vec<_>>());
        let wanted = Given::new(Some(Path::new("h")), Some(Path::new("s")), None);
        assert_eq!(line(&["secrets", "--home", "h", "lits", "--socket=s"]), wanted);
        assert_eq!(line(&["secrets", "exec", "--", "x", "--home", "h"]), Given::default());
        assert_eq!(line(&["secrets", "--home"]), Given::default());
    }
}
