//! The paths that a source file names: expanded `use` trees, paths in code, macros, calls; and where each stands.

use std::collections::{BTreeMap, BTreeSet};

use super::scan::{Kind, Token, scan};

/// How something is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A leaf of a `use` tree.
    Import,
    /// A path in code.
    Path,
    /// `name!`
    Macro,
    /// `.name(`
    Method,
    /// A keyword that is forbidden by itself.
    Keyword,
}

/// One thing that a source file names.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    /// Counted from 1.
    pub(crate) line: usize,
    /// How.
    pub(crate) form: Form,
    /// The segments as written.
    pub(crate) path: Vec<String>,
    /// The module in which it stands, from the crate's root.
    pub(crate) module: Vec<String>,
    /// Whether it stands in code that only tests see.
    pub(crate) test: bool,
}

/// What a source file names.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// In the order of the text.
    pub(crate) all: Vec<Named>,
    /// What a name in this file stands for, as far as `use` says so.
    pub(crate) aliases: BTreeMap<String, Vec<String>>,
    /// Modules that this file declares.
    pub(crate) modules: BTreeSet<String>,
}

/// Reads a source text that is the module `module`.
pub(crate) fn names(text: &str, module: &[String]) -> Names {
    let tokens = scan(text);
    let mut reader = Reader {
        tokens: &tokens,
        at: 0,
        depth: 0,
        scopes: Vec::new(),
        test_depths: Vec::new(),
        armed: Armed::No,
        root: module,
        names: Names::default(),
    };
    while reader.at < tokens.len() {
        reader.step();
    }
    reader.names
}

/// Whether `#[cfg(test)]` was seen and the item that it stands on is not over yet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Armed {
    No,
    TestItem,
}

struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    depth: usize,
    scopes: Vec<(usize, String)>,
    test_depths: Vec<usize>,
    armed: Armed,
    root: &'a [String],
    names: Names,
}

impl Reader<'_> {
    fn token(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead)
    }

    fn word(&self, ahead: usize) -> Option<&str> {
        self.token(ahead).and_then(Token::word)
    }

    fn sign(&self, ahead: usize, sign: char) -> bool {
        self.token(ahead).is_some_and(|t| t.is(sign))
    }

    fn separator(&self, ahead: usize) -> bool {
        self.token(ahead).is_some_and(|t| t.kind == Kind::PathSeparator)
    }

    fn push(&mut self, line: usize, form: Form, path: Vec<String>) {
        let module = self.root.iter().cloned().chain(self.scopes.iter().map(|(_, name)| name.clone())).collect();
        let test = !self.test_depths.is_empty() || self.armed == Armed::TestItem;
        self.names.all.push(Named { line, form, path, module, test });
    }

    fn step(&mut self) {
        let Some(token) = self.token(0).cloned() else { return };
        match &token.kind {
            Kind::Sign('{') => self.open(),
            Kind::Sign('}') => self.close(),
            Kind::Sign(';') => self.armed = Armed::No,
            Kind::Sign('#') if self.is_cfg_test() => self.armed = Armed::TestItem,
            Kind::Sign('.') => return self.after_dot(token.line),
            Kind::Word(word) if word == "use" && !self.sign(1, '<') => return self.import(),
            Kind::Word(word) if word == "mod" && self.word(1).is_some() => return self.declare(),
            Kind::Word(word) if word == "unsafe" => self.push(token.line, Form::Keyword, vec![word.clone()]),
            Kind::Word(_) => return self.path(token.line),
            Kind::PathSeparator | Kind::Sign(_) => {}
        }
        self.at += 1;
    }

    fn open(&mut self) {
        self.depth += 1;
        if self.armed == Armed::TestItem {
            self.test_depths.push(self.depth);
            self.armed = Armed::No;
        }
    }

    fn close(&mut self) {
        self.scopes.retain(|(depth, _)| *depth < self.depth);
        self.test_depths.retain(|depth| *depth < self.depth);
        self.depth = self.depth.saturating_sub(1);
    }

    fn is_cfg_test(&self) -> bool {
        self.sign(1, '[') && self.word(2) == Some("cfg") && self.sign(3, '(') && self.word(4) == Some("test")
    }

    fn after_dot(&mut self, line: usize) {
        if let Some(word) = self.word(1).filter(|_| self.sign(2, '(')) {
            let path = vec![word.to_owned()];
            self.push(line, Form::Method, path);
        }
        self.at += if self.word(1).is_some() { 2 } else { 1 };
    }

    fn declare(&mut self) {
        let name = self.word(1).unwrap_or_default().to_owned();
        if self.sign(2, '{') {
            self.scopes.push((self.depth + 1, name.clone()));
        }
        self.names.modules.insert(name);
        self.at += 2;
    }

    fn path(&mut self, line: usize) {
        let mut path = Vec::new();
        while let Some(word) = self.word(0).map(str::to_owned) {
            path.push(word);
            self.at += 1;
            if !(self.separator(0) && self.word(1).is_some()) {
                break;
            }
            self.at += 1;
        }
        let is_macro = self.sign(0, '!') && !self.sign(1, '=');
        if is_macro {
            self.push(line, Form::Macro, path);
        } else if path.len() > 1 {
            self.push(line, Form::Path, path);
        }
    }

    fn import(&mut self) {
        self.at += 1;
        if self.separator(0) {
            self.at += 1;
        }
        self.tree(&[]);
    }

    /// One tree of a `use`; ends before `,`, `}` or `;`.
    fn tree(&mut self, prefix: &[String]) {
        let mut path = prefix.to_vec();
        while let Some(token) = self.token(0).cloned() {
            match &token.kind {
                Kind::Word(word) if word == "as" => {
                    let alias = self.word(1).unwrap_or_default().to_owned();
                    self.at += 2;
                    return self.leaf(token.line, path, Some(alias));
                }
                Kind::Word(word) => {
                    path.push(word.clone());
                    self.at += 1;
                }
                Kind::PathSeparator => self.at += 1,
                Kind::Sign('*') => {
                    path.push("*".to_owned());
                    self.at += 1;
                }
                Kind::Sign('{') => {
                    self.at += 1;
                    while self.token(0).is_some() && !self.sign(0, '}') {
                        self.tree(&path);
                        self.at += usize::from(self.sign(0, ','));
                    }
                    self.at += 1;
                    return;
                }
                Kind::Sign(_) => {
                    if path.len() > prefix.len() {
                        self.leaf(token.line, path, None);
                    }
                    self.at += usize::from(!matches!(token.kind, Kind::Sign(',' | '}' | ';')));
                    return;
                }
            }
        }
    }

    fn leaf(&mut self, line: usize, mut path: Vec<String>, alias: Option<String>) {
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let name = alias.or_else(|| path.last().cloned()).unwrap_or_default();
        if path.len() > 1 && name != "_" && name != "*" {
            self.names.aliases.insert(name, path.clone());
        }
        self.push(line, Form::Import, path);
    }
}
