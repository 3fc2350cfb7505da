//! The text of the small files that `secrets add` makes: a service for the easy case, a grant for any.

use std::fmt::Write as _;

use crate::{
    base::{Generated, Origin, Scheme, SecretName, ServiceId},
    recipe::{BasicPart, Place, Wording},
};

use crate::policy::{Credential, Risk, services::Service, set::PolicySet};

/// A grant to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewGrant {
    /// The service.
    pub service: ServiceId,
    /// Which secret serves as which credential.
    pub items: Vec<(Box<str>, SecretName)>,
    /// Globs of client ids; empty for all.
    pub agents: Vec<String>,
    /// Globs of project folders; empty for all.
    pub projects: Vec<String>,
    /// Capabilities that are used without asking.
    pub allow: Vec<String>,
    /// Capabilities that a person is asked about.
    pub ask: Vec<String>,
}

/// Where the credential of an easy service stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EasyPlace {
    /// One part of basic credentials, and what the other is; as the client sends it when not said.
    Basic(BasicPart, Option<Box<str>>),
    /// A header in one wording.
    Header(http::HeaderName, Wording),
    /// A query parameter.
    Query(Box<str>),
}

impl From<&EasyPlace> for Place {
    fn from(place: &EasyPlace) -> Self {
        match place {
            EasyPlace::Basic(part, other) => Self::Basic { part: *part, other: other.clone() },
            EasyPlace::Header(name, wording) => Self::Header { name: name.clone(), wordings: vec![wording.clone()] },
            EasyPlace::Query(name) => Self::Query { name: name.clone() },
        }
    }
}

impl EasyPlace {
    fn is_in(&self, place: &Place) -> bool {
        match (self, place) {
            (Self::Basic(part, rest), Place::Basic { part: found, other }) => part == found && rest == other,
            (Self::Header(name, wording), Place::Header { name: other, wordings }) => {
                name == other && wordings.contains(wording)
            }
            (Self::Query(name), Place::Query { name: other }) => name == other,
            _ => false,
        }
    }
}

/// A service with one origin, one token and one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EasyService {
    /// Its id: lower-case letters, digits, `-` and `_`.
    pub id: ServiceId,
    /// Where it is; an exact host.
    pub origin: Origin,
    /// Where the credential stands.
    pub place: EasyPlace,
    /// The variables that agents read it from; may be empty.
    pub env: Vec<String>,
}

impl EasyService {
    /// The id for a host: `api.acme.test` becomes `api-acme-test`, with the port if it is not the usual one.
    pub fn id_for(origin: &Origin) -> Option<ServiceId> {
        let mut text = origin.authority.host.to_string().replace(['.', ':'], "-").replace(['[', ']'], "");
        if origin.authority.port != origin.scheme.default_port() {
            let _ = write!(text, "-{}", origin.authority.port); // a String takes everything
        }
        text.truncate(Self::MAX_ID);
        text.parse().ok()
    }

    const MAX_ID: usize = 64;

    /// The same service under another id; the first is its own.
    pub(in crate::policy) fn numbered(&self, number: usize) -> Option<Self> {
        if number <= 1 {
            return Some(self.clone());
        }
        let ending = format!("-{number}");
        let mut text = self.id.as_str().to_owned();
        text.truncate(Self::MAX_ID - ending.len());
        Some(Self { id: (text + &ending).parse().ok()?, ..self.clone() })
    }

    /// The credential of a service that is this one, whoever has edited it since: nowhere else, and in this place.
    pub(in crate::policy) fn credential_in<'a>(&self, service: &'a Service) -> Option<&'a str> {
        let origin = self.origin.to_string();
        if service.origins().collect::<Vec<_>>() != [origin] {
            return None;
        }
        let takes = |name: &str| service.places_of(name).any(|place| self.place.is_in(place));
        service.credentials().iter().map(Credential::name).find(|name| takes(name))
    }
}

impl PolicySet {
    /// A grant of everything of a service that can be given lightly: read, write and spend are allowed, destroy and
    /// admin ask, secret is left out. `None` for a service that is not known.
    pub fn default_grant(&self, service: &ServiceId, items: Vec<(Box<str>, SecretName)>) -> Option<NewGrant> {
        let known = self.service(service)?;
        let of = |risks: &[Risk]| {
            let fitting = known.capabilities().iter().filter(|capability| risks.contains(&capability.risk()));
            fitting.map(|capability| capability.name().to_owned()).collect()
        };
        Some(NewGrant {
            service: known.id().clone(),
            items,
            agents: Vec::new(),
            projects: Vec::new(),
            allow: of(&[Risk::Read, Risk::Write, Risk::Spend]),
            ask: of(&[Risk::Destroy, Risk::Admin]),
        })
    }
}

/// The kind of a generated grant, and the beginning of its file name.
pub(in crate::policy) const GRANT: &str = "grant";
/// The kind of a generated service, and the beginning of its file name.
pub(in crate::policy) const SERVICE: &str = "service";

pub(in crate::policy) fn grant_text(grant: &NewGrant) -> String {
    let list = |texts: &[String]| format!("[{}]", texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", "));
    let mut text = String::from("schema = 1\nkind   = \"policy\"\n\n[[grant]]\n");
    let mut line = |key: &str, value: String, why: &str| {
        let comment = if why.is_empty() { String::new() } else { format!(" # {why}") };
        let _ = writeln!(text, "{key:<8} = {value}{comment}"); // a String takes everything
    };
    line("service", quoted(grant.service.as_str()), "");
    let items: Vec<String> = grant
        .items
        .iter()
        .map(|(credential, secret)| format!("{} = {}", quoted(credential), quoted(secret.as_str())))
        .collect();
    line("item", format!("{{ {} }}", items.join(", ")), "credential = name of the stored secret");
    for (key, texts) in [("agents", &grant.agents), ("projects", &grant.projects)] {
        if !texts.is_empty() {
            line(key, list(texts), "");
        }
    }
    line("allow", list(&grant.allow), "used without asking");
    if !grant.ask.is_empty() {
        line("ask", list(&grant.ask), "a person is asked first");
    }
    let about =
        "# What agents may do with this secret; written by `secrets add`, yours to edit. Unedited, it goes with it.";
    Generated::write(GRANT, about, &text)
}

/// The text of a service that goes with its secret as long as nobody edits it.
pub(in crate::policy) fn service_text(service: &EasyService) -> String {
    let about = "# A service with one host and one token; written by `secrets add`, yours to edit.";
    Generated::write(SERVICE, about, &service.body(service.origin.authority.host.to_string().as_str()))
}

impl EasyService {
    /// The text of a service file of the user's own.
    pub fn text(&self, name: &str) -> String {
        let clear = self.origin.scheme == Scheme::Http;
        let send = |method: &str| quoted(&format!("{method} {}/x", self.origin));
        let vectors = [("GET", "read"), ("POST", "write"), ("DELETE", "delete")]
            .map(|(method, gives)| format!("\n[[test]]\nsend  = {}\ngives = {}\n", send(method), quoted(gives)));
        let about =
            "# A service with one host and one token. Split `read`, `write` and `delete` where methods say too little.";
        let warning = if clear { "\n# Over clear text whoever is on the way reads the credential." } else { "" };
        format!("{about}{warning}\n{}{}", self.body(name), vectors.concat())
    }

    fn body(&self, name: &str) -> String {
        let service = self;
        let origin = quoted(&service.origin.to_string());
        let id = quoted(service.id.as_str());
        let place = match &service.place {
            EasyPlace::Basic(part, other) => {
                let (part, rest) = match part {
                    BasicPart::Password => ("password", "user"),
                    BasicPart::User => ("user", "password"),
                };
                let other = other.as_ref().map_or_else(String::new, |text| format!(", {rest} = {}", quoted(text)));
                format!("{{ basic = \"{part}\"{other} }}")
            }
            EasyPlace::Header(name, wording) => {
                format!("{{ header = {}, as = {} }}", quoted(name.as_str()), quoted(&wording.to_string()))
            }
            EasyPlace::Query(name) => format!("{{ query = {} }}", quoted(name)),
        };
        let env: Vec<String> = service.env.iter().map(|variable| quoted(variable)).collect();
        let clear = if service.origin.scheme == Scheme::Http {
            "# Clear text: whoever is on the way reads the credential.\n"
        } else {
            ""
        };
        // A client of Basic asks without, is challenged, and asks again (RFC 7617, 2): git does.
        let missing = match &service.place {
            EasyPlace::Basic(..) => "missing = \"pass\" # without a lease it goes out without a credential\n",
            EasyPlace::Header(..) | EasyPlace::Query(_) => "",
        };
        format!(
            "schema = 1\nkind   = \"service\"\nid     = {id}\nname   = {name}\n\n\
         [host.api]\n{clear}origin = {origin}\n\n\
         [credential.key]\ntype = \"token\"\nenv  = [{env}]\n\n\
         [[inject]]\nhost = \"api\"\nuse  = \"key\"\nat   = [{place}]\n{missing}\n\
         [cap.read]\nabout = \"Look\"\nrisk  = \"read\"\nallow = [{{ method = [\"GET\", \"HEAD\", \"OPTIONS\"] }}]\n\n\
         [cap.write]\nabout = \"Create and change\"\nrisk  = \"write\"\n\
         allow = [{{ method = [\"POST\", \"PUT\", \"PATCH\"] }}]\n\n\
         [cap.delete]\nabout = \"Delete\"\nrisk  = \"destroy\"\nallow = [{{ method = \"DELETE\" }}]\n",
            name = quoted(name),
            env = env.join(", "),
        )
    }
}

/// A TOML basic string.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
