//! A service in words, for `secrets policy show`: everything that its file says but the vectors.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::policy::{
    Risk,
    rules::Rule,
    services::{Capability, Carries, Service},
};

/// One service for people.
#[derive(Clone, Debug, Serialize)]
pub struct ServiceView {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Other words for it.
    pub aliases: Vec<String>,
    /// Its file.
    pub file: String,
    /// Its hosts.
    pub hosts: Vec<HostView>,
    /// What `only` can limit.
    pub params: Vec<String>,
    /// Its credentials.
    pub credentials: Vec<CredentialView>,
    /// What grants can list.
    pub capabilities: Vec<CapabilityText>,
    /// How many vectors its file has.
    pub vectors: usize,
}

/// A host block.
#[derive(Clone, Debug, Serialize)]
pub struct HostView {
    /// Its name in rules.
    pub name: String,
    /// Where: `https://*.example.com`.
    pub origins: Vec<String>,
    /// Whether it is ever sent a credential.
    pub takes_credential: bool,
}

/// A credential and where it goes.
#[derive(Clone, Debug, Serialize)]
pub struct CredentialView {
    /// Its name in grants.
    pub name: String,
    /// The variables that programs read it from.
    pub env: Vec<String>,
    /// The variables that go along, with their texts.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub beside: BTreeMap<String, String>,
    /// Where in a request.
    pub places: Vec<String>,
}

/// A capability with its rules.
#[derive(Clone, Debug, Serialize)]
pub struct CapabilityText {
    /// Its name in grants.
    pub name: String,
    /// What it may do to the world.
    pub risk: Risk,
    /// One sentence.
    pub about: String,
    /// What it gives, one rule a line.
    pub allow: Vec<String>,
    /// What it leaves out of that.
    pub deny: Vec<String>,
}

impl Service {
    /// Everything but the vectors, in the order of the file.
    pub fn view(&self) -> ServiceView {
        let hosts = self.hosts.iter().map(|block| HostView {
            name: block.name.to_string(),
            origins: block.origins.iter().map(ToString::to_string).collect(),
            takes_credential: block.carries == Carries::Lease,
        });
        let credentials = self.credentials.iter().map(|credential| {
            let mut places: Vec<String> = self.places_of(credential.name()).map(ToString::to_string).collect();
            places.dedup();
            let env = credential.env().map(str::to_owned).collect();
            CredentialView { name: credential.name().to_owned(), env, beside: credential.beside_owned(), places }
        });
        ServiceView {
            id: self.id.to_string(),
            name: self.name.to_string(),
            aliases: self.aliases().map(str::to_owned).collect(),
            file: self.file.to_string(),
            hosts: hosts.collect(),
            params: self.params.iter().map(|param| param.name.to_string()).collect(),
            credentials: credentials.collect(),
            capabilities: self.capabilities.iter().map(|capability| self.capability_text(capability)).collect(),
            vectors: self.vectors(),
        }
    }

    fn capability_text(&self, capability: &Capability) -> CapabilityText {
        let texts = |rules: &[Rule]| rules.iter().flat_map(|rule| self.rule_texts(rule)).collect();
        CapabilityText {
            name: capability.name().to_owned(),
            risk: capability.risk(),
            about: capability.about().to_owned(),
            allow: texts(&capability.allow),
            deny: texts(&capability.deny),
        }
    }

    /// One line for each path of a rule.
    fn rule_texts(&self, rule: &Rule) -> Vec<String> {
        let what = match &rule.matchers.git {
            Some(git) => git.describe(),
            None if rule.methods.is_empty() => "any method".to_owned(),
            None => rule.methods.join(", "),
        };
        let blocks = rule.blocks.iter().filter_map(|block| self.hosts.get(*block)).map(|block| &*block.name);
        let names = rule.names.iter().map(ToString::to_string);
        let hosts = if rule.names.is_empty() { blocks.map(str::to_owned).collect() } else { names.collect::<Vec<_>>() };
        let more = rule.matchers.words();
        let more = if more.is_empty() { String::new() } else { format!(" with {}", more.join(", ")) };
        let upgrade = if rule.protocol == crate::policy::Protocol::WebSocket { " (WebSocket)" } else { "" };
        let line = |path: &str| format!("{what} {}:{path}{upgrade}{more}", hosts.join("|"));
        if rule.paths.is_empty() {
            vec![line("/**")]
        } else {
            rule.paths.iter().map(|path| line(path.as_str())).collect()
        }
    }
}
