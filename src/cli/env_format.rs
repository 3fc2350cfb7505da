//! Variables as text that shells give back byte for byte; files are written by `project`.

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
pub(super) fn printed(format: EnvFormat, variables: &[(&str, &str)]) -> String {
    match format {
        EnvFormat::Fish => lines(variables, |name, value| {
            format!("set -gx {name} '{}'", value.replace('\\', r"\\").replace('\'', r"\'"))
        }),
        EnvFormat::Json => {
            let object: Map<_, _> =
                variables.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
            format!("{:#}\n", Value::Object(object))
        }
        EnvFormat::Sh => {
            lines(variables, |name, value| format!("export {name}={}", super::sanitize::shell_word(value)))
        }
    }
}

fn lines(variables: &[(&str, &str)], line: impl Fn(&str, &str) -> String) -> String {
    variables.iter().map(|(name, value)| line(name, value) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLES: [(&str, &str); 6] = [
        ("V0", "plain"),
        ("V1", ""),
        ("V2", "two\nlines"),
        ("V3", "it's \"$HOME\" `x` \\ #"),
        ("V4", "a b"),
        ("V5", "-----BEGIN\n+/=\n"),
    ];

    #[test]
    fn a_shell_reads_back_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("env");
        std::fs::write(&path, printed(EnvFormat::Sh, &SAMPLES)).unwrap();
        let program = r#"set -a; . "$0"; for v in V0 V1 V2 V3 V4 V5; do eval "printf '%s\\0' \"\$$v\""; done"#;
        let output = std::process::Command::new("sh").args(["-c", program]).arg(&path).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text.split_terminator('\0').collect::<Vec<_>>(), SAMPLES.map(|(_, value)| value));
    }

    #[test]
    fn fish_and_json_have_their_own_rules() {
        let one = [("A", r"it's \n")];
        assert_eq!(printed(EnvFormat::Fish, &one), "set -gx A 'it\\'s \\\\n'\n");
        assert_eq!(printed(EnvFormat::Json, &one), "{\n  \"A\": \"it's \\\\n\"\n}\n");
    }
}
