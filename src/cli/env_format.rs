//! Variables as text that shells and readers of environment files give back byte for byte.

use clap::ValueEnum;
use serde_json::{Map, Value};

/// Which reader the text is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum EnvFormat {
    Fish,
    Json,
    Sh,
}

/// Lines to be evaluated, or one JSON object.
pub(super) fn printed(format: EnvFormat, variables: &[(String, String)]) -> String {
    match format {
        EnvFormat::Fish => lines(variables, |name, value| {
            format!("set -gx {name} '{}'", value.replace('\\', r"\\").replace('\'', r"\'"))
        }),
        EnvFormat::Json => {
            let object: Map<_, _> =
                variables.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
            format!("{:#}\n", Value::Object(object))
        }
        EnvFormat::Sh => {
            lines(variables, |name, value| format!("export {name}={}", super::sanitize::shell_word(value)))
        }
    }
}

/// The body of an environment file: quoted only where it must be, so that the simplest readers understand most of it.
pub(super) fn file(variables: &[(String, String)]) -> String {
    lines(variables, |name, value| format!("{name}={}", quoted(value)))
}

fn lines(variables: &[(String, String)], line: impl Fn(&str, &str) -> String) -> String {
    variables.iter().map(|(name, value)| line(name, value) + "\n").collect()
}

/// Single quotes are read alike everywhere; a value that holds one itself needs double quotes and escapes.
fn quoted(value: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-./:@%+=,".contains(&b);
    if !value.is_empty() && value.bytes().all(plain) {
        return value.to_owned();
    }
    if !value.contains('\'') {
        return format!("'{value}'");
    }
    let mut text = String::from("\"");
    for c in value.chars() {
        if matches!(c, '"' | '\\' | '$' | '`') {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Vec<(String, String)> {
        ["plain", "", "two\nlines", "it's \"$HOME\" `x` \\ #", "a b", "-----BEGIN\n+/=\n"]
            .iter()
            .enumerate()
            .map(|(at, value)| (format!("V{at}"), (*value).to_owned()))
            .collect()
    }

    /// Asks a real shell what it read.
    fn read_by_shell(script: &str) -> Vec<(String, String)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("env");
        std::fs::write(&path, script).unwrap();
        let program = r#"set -a; . "$0"; for v in V0 V1 V2 V3 V4 V5; do eval "printf '%s\\0' \"\$$v\""; done"#;
        let output = std::process::Command::new("sh").args(["-c", program]).arg(&path).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.split('\0').take(6).enumerate().map(|(at, value)| (format!("V{at}"), value.to_owned())).collect()
    }

    #[test]
    fn a_shell_reads_back_what_was_written() {
        assert_eq!(read_by_shell(&file(&samples())), samples());
        assert_eq!(read_by_shell(&printed(EnvFormat::Sh, &samples())), samples());
    }

    #[test]
    fn fish_and_json_have_their_own_rules() {
        let one = [("A".to_owned(), r"it's \n".to_owned())];
        assert_eq!(printed(EnvFormat::Fish, &one), "set -gx A 'it\\'s \\\\n'\n");
        assert_eq!(printed(EnvFormat::Json, &one), "{\n  \"A\": \"it's \\\\n\"\n}\n");
    }
}
