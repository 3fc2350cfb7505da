//! Which client finds the proxy and trusts our root by which variable, as `certs/trust.toml` says it.

use std::{path::PathBuf, sync::LazyLock};

use serde::Deserialize;

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    #[serde(rename = "variable")]
    pub(super) variables: Vec<Variable>,
    pub(super) left_alone: Vec<LeftAlone>,
    pub(super) own_roots: OwnRoots,
    pub(super) system_roots: SystemRoots,
}

/// Variables that get the same value for the same reason.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// Their names.
    pub names: Vec<String>,
    /// What they are set to.
    pub value: Value,
    /// What the client does with it.
    pub effect: Effect,
    /// Whether they are always set.
    #[serde(default)]
    pub when: When,
    /// The clients that cannot do without.
    pub needed_by: Vec<String>,
    /// One line for people.
    pub why: String,
}

/// What a variable is set to.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Value {
    /// The user's own value and ours.
    Append(Append),
    /// The path of the combined bundle.
    Bundle,
    /// The path of a file made for this variable.
    File(SupportFile),
    /// Always this text.
    Literal(String),
    /// The hosts that are reached without the proxy.
    NoProxy,
    /// The proxy's address as a URL.
    Proxy,
}

/// How a text joins the user's own value.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Append {
    /// What stands between the two.
    pub separator: String,
    /// Our part, with places in braces that are filled in.
    pub text: String,
    /// Whether the separator stands before our part even when the user has no value.
    #[serde(default)]
    pub leading: Leading,
}

/// See [`Append::leading`].
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Leading {
    /// A leading separator has a meaning of its own.
    Always,
    /// Only between two values.
    #[default]
    Between,
}

/// A file made for one variable.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum SupportFile {
    /// A start file for wget.
    Wgetrc,
}

/// What a client does with a variable.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It adds what the variable names to what it has.
    Add,
    /// It gives up what it has.
    Replace,
}

/// Whether a variable is always set.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Always.
    #[default]
    Always,
    /// Only when the user's environment has it.
    Inherited,
}

/// A variable that looks useful and is not set.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftAlone {
    /// Its name.
    pub name: String,
    /// The harm it would do.
    pub why: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OwnRoots {
    pub(super) folders: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SystemRoots {
    pub(super) files: Vec<PathBuf>,
    pub(super) folders: Vec<PathBuf>,
}

/// The table that is built in.
#[expect(clippy::expect_used, reason = "the text is part of the program; the tests of this folder read it")]
pub(super) static TABLE: LazyLock<Table> =
    LazyLock::new(|| toml::from_str(include_str!("../../certs/trust.toml")).expect("certs/trust.toml is sound"));

/// Every variable that [`environment`](super::environment) may set.
pub fn variables() -> &'static [Variable] {
    &TABLE.variables
}

/// Variables that are never set, and why.
pub fn left_alone() -> &'static [LeftAlone] {
    &TABLE.left_alone
}

impl Table {
    /// The variables whose inherited values name files with the user's own roots.
    pub(super) fn bundle_names(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().filter(|v| matches!(v.value, Value::Bundle)).flat_map(|v| &v.names).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, fmt::Write as _};

    use super::*;

    #[test]
    fn no_variable_is_named_twice_and_none_of_those_left_alone() {
        let mut seen = HashSet::new();
        for name in variables().iter().flat_map(|variable| &variable.names) {
            assert!(seen.insert(name.as_str()), "{name} is there twice");
        }
        assert!(left_alone().iter().all(|left| !seen.contains(left.name.as_str())));
        assert!(variables().iter().all(|v| !v.why.is_empty() && !v.needed_by.is_empty()));
    }

    #[test]
    fn an_unknown_word_is_refused() {
        let text = include_str!("../../certs/trust.toml");
        for bad in [
            text.replace("when = \"inherited\"", "when = \"sometimes\""),
            text.replace("needed_by", "needs"),
            text.replace("value = \"proxy\"", "value = \"prox\""),
            text.replace("leading = \"always\"", "trailing = \"always\""),
        ] {
            assert!(toml::from_str::<Table>(&bad).is_err());
        }
    }

    /// The table of `certs/README.md` between its markers; when it is out of date, the failure prints the right one.
    #[test]
    fn the_readme_has_the_table() {
        let mut table = String::from("\n| variable | value | effect | needed by | why |\n|---|---|---|---|---|\n");
        for Variable { names, value, effect, when, needed_by, why } in variables() {
            let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            let value = match value {
                Value::Append(append) => format!("yours + `{}`", append.text.replace('|', "\\|")),
                Value::Bundle => "bundle".to_owned(),
                Value::File(SupportFile::Wgetrc) => "file".to_owned(),
                Value::Literal(text) => format!("`{text}`"),
                Value::NoProxy => "list".to_owned(),
                Value::Proxy => "proxy".to_owned(),
            };
            let effect = if *effect == Effect::Add { "adds" } else { "replaces" };
            let when = if *when == When::Inherited { ", only if you have it" } else { "" };
            let names = names.join(" ");
            writeln!(table, "| {names} | {value} | {effect}{when} | {} | {why} |", needed_by.join(", ")).unwrap();
        }
        table.push('\n');
        let readme = include_str!("../../certs/README.md");
        let (_, rest) = readme.split_once("<!-- variables -->").expect("the first marker");
        let (have, _) = rest.split_once("<!-- end of variables -->").expect("the second marker");
        assert!(left_alone().iter().all(|left| readme.contains(&format!("`{}`", left.name))));
        assert!(have == table, "put this between the markers of certs/README.md:\n{table}");
    }
}
