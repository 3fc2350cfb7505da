//! Rust source to words and signs with line numbers; comments, strings and lifetimes are left out.

/// One word or sign of a source text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An identifier, a keyword or a number.
    Word(String),
    /// `::`
    PathSeparator,
    /// Any other sign; a string or character literal is one `"`.
    Sign(char),
}

/// A word or sign and the line (from 1) that it stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// Counted from 1.
    pub(crate) line: usize,
    /// What stands there.
    pub(crate) kind: Kind,
}

impl Token {
    /// The word, if it is one.
    pub(crate) fn word(&self) -> Option<&str> {
        match &self.kind {
            Kind::Word(word) => Some(word),
            _ => None,
        }
    }

    /// Whether it is this sign.
    pub(crate) fn is(&self, sign: char) -> bool {
        self.kind == Kind::Sign(sign)
    }
}

/// Splits a source text. Never fails: an unfinished literal ends with the text.
pub(crate) fn scan(text: &str) -> Vec<Token> {
    let mut scanner = Scanner { chars: text.chars().collect(), at: 0, line: 1, tokens: Vec::new() };
    while let Some(c) = scanner.peek(0) {
        scanner.step(c);
    }
    scanner.tokens
}

struct Scanner {
    chars: Vec<char>,
    at: usize,
    line: usize,
    tokens: Vec<Token>,
}

impl Scanner {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn skip(&mut self, count: usize) {
        for _ in 0..count {
            if self.peek(0) == Some('\n') {
                self.line += 1;
            }
            self.at += 1;
        }
    }

    fn push(&mut self, kind: Kind) {
        self.tokens.push(Token { line: self.line, kind });
    }

    fn step(&mut self, c: char) {
        match (c, self.peek(1)) {
            ('/', Some('/')) => {
                while self.peek(0).is_some_and(|c| c != '\n') {
                    self.skip(1);
                }
            }
            ('/', Some('*')) => self.block_comment(),
            ('"', _) => self.string(),
            ('\'', next) => self.quote(next),
            (':', Some(':')) => {
                self.push(Kind::PathSeparator);
                self.skip(2);
            }
            _ if c == '_' || c.is_alphanumeric() => self.word(),
            _ => {
                if !c.is_whitespace() {
                    self.push(Kind::Sign(c));
                }
                self.skip(1);
            }
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        while let Some(c) = self.peek(0) {
            match (c, self.peek(1)) {
                ('/', Some('*')) => {
                    depth += 1;
                    self.skip(2);
                }
                ('*', Some('/')) => {
                    depth -= 1;
                    self.skip(2);
                    if depth == 0 {
                        return;
                    }
                }
                _ => self.skip(1),
            }
        }
    }

    fn string(&mut self) {
        self.push(Kind::Sign('"'));
        self.skip(1);
        while let Some(c) = self.peek(0) {
            match c {
                '\\' => self.skip(2),
                '"' => return self.skip(1),
                _ => self.skip(1),
            }
        }
    }

    fn raw_string(&mut self, hashes: usize) {
        self.push(Kind::Sign('"'));
        self.skip(hashes + 1);
        while let Some(c) = self.peek(0) {
            let closes = c == '"' && (1..=hashes).all(|ahead| self.peek(ahead) == Some('#'));
            if closes {
                return self.skip(hashes + 1);
            }
            self.skip(1);
        }
    }

    /// A character literal, or a lifetime, which is left out.
    fn quote(&mut self, next: Option<char>) {
        let is_character = next == Some('\\') || self.peek(2) == Some('\'');
        if !is_character {
            return self.skip(1 + usize::from(next.is_some_and(char::is_alphanumeric)));
        }
        self.push(Kind::Sign('"'));
        self.skip(if next == Some('\\') { 3 } else { 2 });
        while self.peek(0).is_some_and(|c| c != '\'') {
            self.skip(1);
        }
        self.skip(1);
    }

    fn word(&mut self) {
        let start = self.at;
        let length = self.chars.iter().skip(start).take_while(|c| **c == '_' || c.is_alphanumeric()).count();
        let word: String = self.chars.iter().skip(start).take(length).collect();
        let is_prefix = matches!(word.as_str(), "r" | "b" | "c" | "br" | "cr");
        let hashes = self.chars.iter().skip(start + length).take_while(|c| **c == '#').count();
        let quote = self.peek(length + hashes) == Some('"');
        if is_prefix && quote && (hashes == 0 || word.ends_with('r')) {
            self.skip(length);
            return if word.ends_with('r') { self.raw_string(hashes) } else { self.string() };
        }
        if word == "r" && hashes == 1 && !quote {
            return self.skip(length + 1); // a raw identifier: the name follows as a word
        }
        if word == "b" && self.peek(length) == Some('\'') {
            return self.skip(length); // a byte: the character literal follows
        }
        self.push(Kind::Word(word));
        self.skip(length);
    }
}
