//! The rules, each a pure function of a path and a text.

use super::{
    house::{EXPOSE, MAX_LINES, ROOMS, floor, may_import},
    paths::{Form, Named, Names, names},
};

/// A broken rule: where and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault(pub(crate) String);

fn fault(path: &str, line: usize, what: impl std::fmt::Display) -> Fault {
    Fault(format!("{path}:{line}: {what}"))
}

/// Everything that is asked of one Rust file. `path` is relative to the repository, with `/`.
pub(crate) fn check_source(path: &str, text: &str) -> Vec<Fault> {
    let mut faults = check_shape(path, text);
    let module = module_of(path);
    let names = names(text, &module);
    let source = Source { path, folder: folder_of(path), names: &names };
    for named in &names.all {
        faults.extend(check_keyword(path, named));
        if path.starts_with("src/") {
            faults.extend(source.check_import(named));
            faults.extend(source.check_room(named));
            faults.extend(source.check_call(named));
        }
    }
    if let Some(folder) = source.folder.filter(|folder| floor(folder).is_none()) {
        faults.push(fault(path, 1, format_args!("folder `{folder}` has no floor; give it one in `tests/tidy`")));
    }
    faults
}

fn check_shape(path: &str, text: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    let lines = text.lines().count();
    if lines > MAX_LINES {
        faults.push(fault(path, lines, format_args!("the file has {lines} lines, {MAX_LINES} is the most")));
    }
    if text.lines().next().and_then(|first| first.strip_prefix("//! ")).is_none_or(|says| says.trim().is_empty()) {
        faults.push(fault(path, 1, "the first line is no `//!` sentence"));
    }
    faults
}

fn check_keyword(path: &str, named: &Named) -> Option<Fault> {
    let last = named.path.last()?;
    let found = match named.form {
        Form::Keyword => last == "unsafe",
        Form::Macro => matches!(last.as_str(), "todo" | "unimplemented"),
        _ => false,
    };
    found.then(|| fault(path, named.line, format_args!("`{last}` has no place here")))
}

/// The module that a file is, from the crate's root.
pub(crate) fn module_of(path: &str) -> Vec<String> {
    let inner = path.strip_prefix("src/").unwrap_or(path).trim_end_matches(".rs");
    let mut module: Vec<String> = inner.split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|last| matches!(last.as_str(), "mod" | "lib" | "main")) {
        module.pop();
    }
    module
}

fn folder_of(path: &str) -> Option<&str> {
    path.strip_prefix("src/")?.split_once('/').map(|(folder, _)| folder)
}

struct Source<'a> {
    path: &'a str,
    folder: Option<&'a str>,
    names: &'a Names,
}

impl Source<'_> {
    fn is_test(&self, named: &Named) -> bool {
        named.test || self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    /// The path from the crate's root, when it leads into our own house.
    fn absolute(&self, module: &[String], path: &[String]) -> Option<Vec<String>> {
        let (first, rest) = path.split_first()?;
        let mut base = module.to_vec();
        match first.as_str() {
            "crate" => return Some(rest.to_vec()),
            "leasehold" if self.path == "src/main.rs" => return Some(rest.to_vec()),
            "self" => {}
            "super" => {
                base.pop();
            }
            _ => return None,
        }
        let ups = rest.iter().take_while(|word| *word == "super").count();
        base.truncate(base.len().saturating_sub(ups));
        base.extend(rest.iter().skip(ups).cloned());
        Some(base)
    }

    /// The path with its first name replaced by what a `use` says that it stands for.
    fn expanded(&self, path: &[String]) -> Vec<String> {
        match path.split_first().and_then(|(first, rest)| Some((self.names.aliases.get(first)?, rest))) {
            Some((alias, rest)) => alias.iter().chain(rest).cloned().collect(),
            None => path.to_vec(),
        }
    }

    fn check_import(&self, named: &Named) -> Option<Fault> {
        if !matches!(named.form, Form::Import | Form::Path | Form::Macro) {
            return None;
        }
        let shown = named.path.join("::");
        let direct = self.absolute(&named.module, &named.path);
        let target = match &direct {
            Some(target) => target.clone(),
            None => self.absolute(&named.module, &self.expanded(&named.path))?,
        };
        let to = target.first()?;
        if Some(to.as_str()) == self.folder {
            return None;
        }
        if to == "*" || floor(to).is_none() {
            let is_own = self.folder.is_none() && direct.is_none();
            return (!is_own).then(|| fault(self.path, named.line, format_args!("`{shown}` leads to no folder")));
        }
        if let Some(from) = self.folder.filter(|from| !may_import(from, to)) {
            let what =
                format_args!("`{shown}`: `{from}` may not use `{to}`, which is not on a lower floor").to_string();
            return direct.is_some().then(|| fault(self.path, named.line, what));
        }
        let item = target.get(1)?;
        let is_file = item.starts_with(|c: char| c.is_lowercase()) && target.len() > 2;
        (is_file || item == "*").then(|| {
            fault(self.path, named.line, format_args!("`{shown}`: one door per folder, write `crate::{to}::Item`"))
        })
    }

    fn check_room(&self, named: &Named) -> Option<Fault> {
        let library = named.path.first()?;
        let (_, rooms) = ROOMS.iter().find(|(name, _)| name == library)?;
        let is_path = matches!(named.form, Form::Import | Form::Path) || named.path.len() > 1;
        let is_other = self.names.modules.contains(library)
            || self.names.aliases.get(library).is_some_and(|path| path.first() != Some(library));
        let is_home = self.folder.is_some_and(|folder| rooms.contains(&folder));
        (is_path && !is_other && !is_home).then(|| {
            let rooms = rooms.join("`, `");
            fault(self.path, named.line, format_args!("`{}`: `{library}` lives in `{rooms}`", named.path.join("::")))
        })
    }

    fn check_call(&self, named: &Named) -> Option<Fault> {
        let path = self.expanded(&named.path);
        let tail: Vec<&str> = path.iter().rev().take(2).map(String::as_str).collect();
        let (last, before) = (tail.first().copied()?, tail.get(1).copied().unwrap_or_default());
        let at = |what: &str| Some(fault(self.path, named.line, what));
        match named.form {
            Form::Macro if matches!(last, "print" | "println" | "eprint" | "eprintln" | "dbg") => {
                if self.path == "src/cli/printer.rs" { None } else { at("only `cli/printer.rs` prints") }
            }
            Form::Method | Form::Path | Form::Import if last == "expose" => {
                let is_listed = EXPOSE.iter().any(|room| self.path.starts_with(room));
                if is_listed || self.is_test(named) {
                    None
                } else {
                    at("`expose` is not called here; see the list in `tests/tidy`")
                }
            }
            Form::Path | Form::Import if (before, last) == ("process", "exit") => {
                if self.path == "src/main.rs" {
                    None
                } else {
                    at("only `main` may end the process")
                }
            }
            Form::Path if last == "now" && matches!(before, "SystemTime" | "Instant") => {
                let is_waiting = path.first().is_some_and(|first| first == "tokio");
                if is_waiting || self.path == "src/base/clock.rs" || self.is_test(named) {
                    None
                } else {
                    at("only `base/clock.rs` asks the system for the time; take a `Clock`")
                }
            }
            _ => None,
        }
    }
}

/// A folder that declares an error says so in `error.rs`. Floor 0 keeps each word's error beside the word.
pub(crate) fn check_errors(files: &[(String, String)]) -> Vec<Fault> {
    let declares = |(path, text): &&(String, String)| {
        let module = module_of(path);
        names(text, &module).all.iter().any(|n| n.path == ["thiserror", "Error"])
    };
    let mut faults = Vec::new();
    for (path, _) in files.iter().filter(declares) {
        let Some(folder) = folder_of(path).filter(|folder| floor(folder) != Some(0)) else { continue };
        let error = format!("src/{folder}/error.rs");
        if !files.iter().any(|(path, _)| *path == error) {
            faults.push(fault(path, 1, format_args!("`{folder}` declares an error, but there is no `{error}`")));
        }
    }
    faults
}

/// Each dependency says why it is here, in a comment on its line.
pub(crate) fn check_manifest(path: &str, text: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut in_dependencies = false;
    for (number, line) in text.lines().enumerate() {
        let trimmed = line.trim();
        if trimmed.starts_with('[') {
            let table = trimmed.split(']').next().unwrap_or_default();
            in_dependencies = table.ends_with("dependencies");
            continue;
        }
        let name = trimmed.split_once('=').map(|(name, _)| name.trim());
        let is_entry = name.is_some_and(|name| !name.is_empty() && !name.starts_with('#') && !line.starts_with(' '));
        let outside: String = line.split('"').step_by(2).collect();
        let has_reason = outside.split_once('#').is_some_and(|(_, reason)| reason.trim().len() > 3);
        if in_dependencies && is_entry && !has_reason {
            let name = name.unwrap_or_default();
            faults.push(fault(path, number + 1, format_args!("dependency `{name}` does not say why it is here")));
        }
    }
    faults
}

/// No private key is committed: PEM with a body, or an age identity.
pub(crate) fn check_no_key(path: &str, bytes: &[u8]) -> Vec<Fault> {
    let text = String::from_utf8_lossy(bytes);
    let mut faults = Vec::new();
    let at = |offset: usize| text.get(..offset).unwrap_or_default().matches('\n').count() + 1;
    for (offset, header) in text.match_indices(concat!("PRIVATE", " KEY-----")) {
        let start = offset + header.len();
        let body: String = text.get(start..).unwrap_or_default().chars().take(300).collect();
        let body = body.split("-----END").next().unwrap_or_default();
        let longest = body.split(|c: char| !(c.is_ascii_alphanumeric() || "+/=".contains(c))).map(str::len).max();
        let begins =
            text.get(..offset).unwrap_or_default().rsplit('\n').next().is_some_and(|l| l.contains("-----BEGIN "));
        if begins && longest.unwrap_or(0) >= 40 {
            faults.push(fault(path, at(offset), "a private key is committed"));
        }
    }
    for prefix in ["AGE-SECRET-KEY-1", "AGE-SECRET-KEY-PQ-1"] {
        for (offset, _) in text.match_indices(prefix) {
            let rest = text.get(offset + prefix.len()..).unwrap_or_default();
            if rest.chars().take_while(char::is_ascii_alphanumeric).count() >= 50 {
                faults.push(fault(path, at(offset), "an age identity is committed"));
            }
        }
    }
    faults
}
