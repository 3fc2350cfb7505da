//! The settings file: which one is read, in either of its two forms, and where in it a fault stands.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use toml::{
    Table, Value,
    de::{DeTable, DeValue},
};

use super::{
    KEYS, Settings,
    keys::{Key, Kind},
};
use crate::{
    base::{Home, TimeToLive, expected, position, read_bounded},
    daemon::Error,
};

/// A settings file is small.
const MAX_LEN: u64 = 1024 * 1024;

/// A file that was read and whose syntax is right.
pub(super) struct SettingsFile {
    pub(super) path: PathBuf,
    text: String,
    form: Form,
    /// What it says, in the form of `config.toml`.
    pub(super) table: Table,
    /// Keys of agent-secrets' form that nobody here knows; Go reads past them, and so do we.
    pub(super) ignored: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    Toml,
}

impl SettingsFile {
    /// The file that was named, else `config.toml`, else `config.json`, else none.
    pub(super) fn find(home: &Home, named: Option<&Path>) -> Result<Option<Self>, Error> {
        let candidates = named.map_or_else(|| vec![home.config(), home.legacy_config()], |path| vec![path.to_owned()]);
        for path in candidates {
            match read_bounded(&path, MAX_LEN) {
                Ok((content, _)) => return Self::parse(path, content).map(Some),
                Err(error) if error.is_missing() && named.is_none() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    fn parse(path: PathBuf, content: Vec<u8>) -> Result<Self, Error> {
        let form = if path.extension().is_some_and(|ending| ending == "json") { Form::Json } else { Form::Toml };
        let mut file = Self { path, text: String::new(), form, table: Table::new(), ignored: Vec::new() };
        file.text = String::from_utf8(content).map_err(|_| file.fault(None, "it is not UTF-8"))?;
        match form {
            Form::Json => {
                let values = serde_json::from_str(&file.text)
                    .map_err(|error| file.fault_at(error.line(), error.column(), error.to_string()))?;
                file.take("", &values)?;
            }
            Form::Toml => file.table = toml::from_str(&file.text).map_err(|error| file.toml_fault(&error))?,
        }
        Ok(file)
    }

    /// The settings that it makes; a key that nobody knows is a fault of `config.toml`.
    pub(super) fn settings(&self) -> Result<Settings, Error> {
        match self.form {
            Form::Json => self.table.clone().try_into().map_err(|error| self.toml_fault(&error)),
            Form::Toml => {
                let (tree, _) = DeTable::parse_recoverable(&self.text);
                self.check_keys("", tree.get_ref())?;
                toml::from_str(&self.text).map_err(|error| self.toml_fault(&error))
            }
        }
    }

    /// The value of a key by its full name.
    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        let mut parts = name.split('.');
        let first = self.table.get(parts.next()?)?;
        parts.try_fold(first, |value, part| value.get(part))
    }

    /// A fault of the file, with its place where that is known.
    pub(super) fn fault(&self, offset: Option<usize>, why: impl Into<String>) -> Error {
        let (path, why) = (self.path.clone(), why.into());
        match offset.map(|offset| position(&self.text, offset)) {
            Some((line, column)) => self.fault_at(line, column, why),
            None => Error::Settings { place: path.display().to_string(), path, why },
        }
    }

    fn fault_at(&self, line: usize, column: usize, why: String) -> Error {
        Error::Settings { place: format!("{}:{line}:{column}", self.path.display()), path: self.path.clone(), why }
    }

    fn toml_fault(&self, error: &toml::de::Error) -> Error {
        self.fault(error.span().map(|span| span.start), error.message())
    }

    fn check_keys(&self, prefix: &str, table: &DeTable<'_>) -> Result<(), Error> {
        for (key, value) in table {
            let name = format!("{prefix}{}", key.get_ref());
            if find(&name).is_some() {
                continue;
            }
            let inside = format!("{name}.");
            match value.get_ref() {
                DeValue::Table(table) if is_section(&inside) => self.check_keys(&inside, table)?,
                _ => return Err(self.fault(Some(key.span().start), unknown(prefix, key.get_ref()))),
            }
        }
        Ok(())
    }

    /// Takes over what agent-secrets' form says: nanoseconds become text; what is null, empty or zero was never set.
    fn take(&mut self, prefix: &str, values: &serde_json::Map<String, serde_json::Value>) -> Result<(), Error> {
        for (key, value) in values {
            let name = format!("{prefix}{key}");
            let inside = format!("{name}.");
            match (find(&name), value) {
                (_, serde_json::Value::Null) => {}
                (None, serde_json::Value::Object(values)) if is_section(&inside) => self.take(&inside, values)?,
                (None, _) => self.ignored.push(name),
                (Some(key), value) => {
                    if let Some(value) = converted(key, value).map_err(|why| self.fault(None, why))? {
                        put(&mut self.table, &name, value);
                    }
                }
            }
        }
        Ok(())
    }
}

fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// Whether keys begin so.
fn is_section(prefix: &str) -> bool {
    KEYS.iter().any(|key| key.name.starts_with(prefix))
}

fn unknown(prefix: &str, key: &str) -> String {
    let siblings: Vec<&str> = KEYS
        .iter()
        .filter_map(|known| known.name.strip_prefix(prefix))
        .map(|rest| rest.split('.').next().unwrap_or(rest))
        .collect();
    let shown: String = key.chars().take(40).flat_map(char::escape_default).collect();
    format!("unknown key `{prefix}{shown}`; {}", expected(key, &siblings))
}

fn converted(key: &Key, value: &serde_json::Value) -> Result<Option<Value>, String> {
    Ok(match value {
        serde_json::Value::String(text) if text.is_empty() => None,
        serde_json::Value::Number(number) if matches!(key.kind, Kind::Duration | Kind::Span) => {
            let nanos = number.as_u64().ok_or_else(|| format!("`{}` is `{number}`; write it like \"1h\"", key.name))?;
            let text = match nanos {
                0 if key.kind == Kind::Duration => None,
                0 => Some("0s".to_owned()),
                nanos => Some(TimeToLive::new(Duration::from_nanos(nanos)).to_string()),
            };
            text.map(Value::String)
        }
        value => Some(Value::try_from(value).map_err(|error| format!("`{}`: {}", key.name, error))?),
    })
}

fn put(table: &mut Table, name: &str, value: Value) {
    match name.split_once('.') {
        None => {
            table.insert(name.to_owned(), value);
        }
        Some((section, rest)) => {
            let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(section) = section {
                put(section, rest, value);
            }
        }
    }
}
