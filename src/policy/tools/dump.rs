//! Where each service takes its credential, as flat records: for other programs, and for comparing with theirs.

use serde::Serialize;

use crate::policy::{PolicySet, rules::InjectRule, services::Service};
use crate::recipe::{BasicPart, Place};

/// One place of one service, in one wording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Taken {
    /// The service's id.
    pub service: String,
    /// The origins whose requests have it, as the file writes them and in its order.
    pub hosts: Vec<String>,
    /// How it is presented: `basic`; the first word of an `Authorization` in lower case, such as `bearer`; the word of
    /// `sign`; `certificate`; else `key`.
    pub scheme: String,
    /// `basic`, `cookie`, `form`, `header`, `json`, `path`, `query`, `tls` or `ws_json`; empty where nothing is listed.
    /// Where the credential goes; a lease that stands elsewhere is left out.
    pub place: String,
    /// The field, parameter, cookie or pointer, in lower case for header fields; of basic credentials `password` or
    /// `user`; of a path its form; `client_cert` of the handshake.
    pub name: String,
    /// The text with `{}` for the credential; of basic credentials both parts; of a signature its pieces.
    pub format: String,
    /// How the credential is made first, such as `refresh_token`; `null` where it is stored as it is.
    pub mint: Option<String>,
    /// How requests are signed, such as `sigv4`; `null` where they are not.
    pub sign: Option<String>,
}

impl PolicySet {
    /// Every place of every service, by id and then as the file lists them.
    pub fn dump(&self) -> Vec<Taken> {
        self.services().flat_map(|service| service.dump()).collect()
    }
}

impl Service {
    /// Its places, as its file lists them, each once: two injections can differ in their `when` alone.
    pub fn dump(&self) -> Vec<Taken> {
        let mut all = Vec::new();
        for one in self.injects.iter().flat_map(|rule| self.taken(rule)) {
            if !all.contains(&one) {
                all.push(one);
            }
        }
        all
    }

    fn taken(&self, rule: &InjectRule) -> Vec<Taken> {
        let blocks = rule.blocks.iter().filter_map(|block| self.hosts.get(*block));
        let hosts: Vec<String> = blocks.flat_map(|block| block.origins.iter().map(ToString::to_string)).collect();
        let record = |(place, name, format): (&str, String, String)| Taken {
            service: self.id.to_string(),
            hosts: hosts.clone(),
            scheme: rule.sign.map_or_else(|| scheme(place, &name, &format), str::to_owned),
            place: place.to_owned(),
            name,
            format,
            mint: rule.mint.map(str::to_owned),
            sign: rule.sign.map(str::to_owned),
        };
        let written = rule.written.iter().map(|one| (one.place, one.name.clone(), one.text.clone()));
        let listed: Vec<Taken> = rule.inject.places.iter().flat_map(shown).chain(written).map(record).collect();
        if listed.is_empty() {
            // A signer writes where its scheme says.
            return vec![record(("", String::new(), String::new()))];
        }
        listed
    }
}

/// The words of one place, once for each wording.
fn shown(place: &Place) -> Vec<(&'static str, String, String)> {
    let bare = || "{}".to_owned();
    match place {
        Place::Basic { part: BasicPart::Password, other } => {
            vec![("basic", "password".to_owned(), format!("{}:{{}}", other.as_deref().unwrap_or("*")))]
        }
        Place::Basic { part: BasicPart::User, other } => {
            vec![("basic", "user".to_owned(), format!("{{}}:{}", other.as_deref().unwrap_or("*")))]
        }
        Place::Cookie { name } => vec![("cookie", name.to_string(), bare())],
        Place::Form { name } => vec![("form", name.to_string(), bare())],
        Place::Handshake => vec![("tls", "client_cert".to_owned(), bare())],
        Place::Moved { to, .. } => shown(to),
        Place::Json { pointer } => vec![("json", pointer.to_string(), bare())],
        Place::Message { pointer } => vec![("ws_json", pointer.to_string(), bare())],
        Place::Path { hole } => vec![("path", hole.to_string(), bare())],
        Place::Query { name } => vec![("query", name.to_string(), bare())],
        Place::Header { name, wordings } => {
            wordings.iter().map(|wording| ("header", name.to_string(), wording.to_string())).collect()
        }
    }
}

fn scheme(place: &str, name: &str, format: &str) -> String {
    match (place, name) {
        ("basic", _) => "basic".to_owned(),
        ("tls", _) => "certificate".to_owned(),
        ("header", "authorization") => match format.split_once([' ', '=']) {
            Some((word, _)) if !word.contains('{') => word.to_ascii_lowercase(),
            _ => "key".to_owned(),
        },
        ("", _) => String::new(),
        _ => "key".to_owned(),
    }
}
