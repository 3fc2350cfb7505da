//! A credential as a service file declares it: its variables, its looks, and how to tell whether a value works.

use std::{collections::BTreeMap, sync::Arc};

use http::Method;

use crate::policy::rules::ValuePattern;
use crate::{base::Authority, recipe::TokenShape};

/// A credential that the service takes.
#[derive(Debug)]
pub struct Credential {
    pub(in crate::policy) name: Arc<str>,
    pub(in crate::policy) env: Vec<Box<str>>,
    pub(in crate::policy) beside: Vec<(Box<str>, Box<str>)>,
    pub(in crate::policy) accept: Accept,
    pub(in crate::policy) shape: TokenShape,
    pub(in crate::policy) check: Option<Check>,
    pub(in crate::policy) on_unauthorized: OnUnauthorized,
    /// It is shown in the TLS handshake.
    pub(in crate::policy) is_certificate: bool,
    pub(in crate::policy) not_yet: Option<Arc<str>>,
}

/// What an upstream's 401 means for the credential of the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnUnauthorized {
    /// Nothing: the answer is passed on; the default.
    #[default]
    Pass,
    /// The value has ended: a secret with a hook is rotated, and the request is tried once more.
    Rotate,
}

/// A request that tells whether a value works: 2xx when it does, 401 or 403 when it does not.
#[derive(Clone, Debug)]
pub struct Check {
    pub(in crate::policy) method: Method,
    pub(in crate::policy) authority: Authority,
    pub(in crate::policy) target: Box<str>,
}

impl Check {
    /// `GET` or `HEAD`; a check changes nothing.
    pub const fn method(&self) -> &Method {
        &self.method
    }

    /// Where it goes, over TLS.
    pub const fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Path and query.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The path alone.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

impl Credential {
    /// Its name within the service.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The variables that agents' tools read it from, the usual one first.
    pub fn env(&self) -> impl Iterator<Item = &str> {
        self.env.iter().map(|variable| &**variable)
    }

    /// Variables that go along with those, each with the text that it always has: what a tool wants to find besides the
    /// credential, such as a second key that nothing looks at.
    pub fn beside(&self) -> impl Iterator<Item = (&str, &str)> {
        self.beside.iter().map(|(variable, text)| (&**variable, &**text))
    }

    /// The same as texts of their own.
    pub fn beside_owned(&self) -> BTreeMap<String, String> {
        self.beside().map(|(variable, text)| (variable.to_owned(), text.to_owned())).collect()
    }

    /// What the real value looks like.
    pub fn accept(&self) -> &Accept {
        &self.accept
    }

    /// What its lease tokens look like.
    pub fn shape(&self) -> &TokenShape {
        &self.shape
    }

    /// The request that tells whether a value works, if the service has one.
    pub fn check(&self) -> Option<&Check> {
        self.check.as_ref()
    }

    /// Why no lease of it can be used: something that it needs is not built yet.
    pub fn not_yet(&self) -> Option<&str> {
        self.not_yet.as_deref()
    }

    /// What a 401 means.
    pub const fn on_unauthorized(&self) -> OnUnauthorized {
        self.on_unauthorized
    }
}

/// What a real value looks like: a check against mix-ups, not a proof.
#[derive(Debug, Default)]
pub struct Accept {
    pub(in crate::policy) prefixes: Vec<Box<str>>,
    pub(in crate::policy) length: Option<usize>,
    pub(in crate::policy) charset: Option<ValuePattern>,
}

impl Accept {
    /// The prefixes, any of which a value must have; none when anything goes.
    pub fn prefixes(&self) -> impl Iterator<Item = &str> {
        self.prefixes.iter().map(|prefix| &**prefix)
    }

    /// The length that a value must have, in bytes, if there is one.
    pub const fn length(&self) -> Option<usize> {
        self.length
    }

    /// Whether a value looks right.
    pub fn fits(&self, value: &[u8]) -> bool {
        let prefix = self.prefixes.is_empty() || self.prefix_of(value).is_some();
        let length = self.length.is_none_or(|length| value.len() == length);
        let text = |pattern: &ValuePattern| std::str::from_utf8(value).is_ok_and(|text| pattern.matches(text));
        prefix && length && self.charset.as_ref().is_none_or(text)
    }

    /// The longest prefix that a value has; more must follow it.
    pub(in crate::policy) fn prefix_of(&self, value: &[u8]) -> Option<&str> {
        let fitting =
            self.prefixes().filter(|prefix| value.starts_with(prefix.as_bytes()) && value.len() > prefix.len());
        fitting.max_by_key(|prefix| prefix.len())
    }
}
