//! The easy case of a policy as flags: one host, one place for one static secret.

use clap::Args;

use crate::cli::{report::Report, sanitize::shell_word};
use crate::{
    base::{Origin, SecretName, ServiceId},
    control::{EasyBinding, EasyPlace, WireValue},
    inject,
    policy::{self, EasyService},
    recipe::{BasicPart, Place, Wording},
};

/// Flags of `add` and `update` that write a service and a grant for the secret.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Easy {
    /// Write a policy: the secret is for this host only
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// With --host: the header that carries it [default: Authorization as `Bearer {}`]
    #[arg(long, value_name = "NAME", requires = "host", conflicts_with_all = ["query", "basic"])]
    header: Option<String>,
    /// With --host: the words around the value in the header, such as `Token {}`
    #[arg(long = "as", value_name = "WORDING", requires = "host", conflicts_with_all = ["query", "basic"])]
    wording: Option<String>,
    /// With --host: the query parameter that carries it
    #[arg(long, value_name = "NAME", requires = "host", conflicts_with = "basic")]
    query: Option<String>,
    /// With --host: it is this part of basic credentials
    #[arg(long, value_name = "PART", requires = "host", value_parser = ["password", "user"],
        num_args = 0..=1, default_missing_value = "password", require_equals = true)]
    basic: Option<String>,
    /// With --basic: what the other part is [default: as the client sends it]
    #[arg(long, value_name = "TEXT", requires = "basic")]
    other: Option<String>,
}

impl Easy {
    /// Whether a policy is to be written.
    pub(super) fn is_given(&self) -> bool {
        self.host.is_some()
    }

    /// The host, if one is named.
    pub(super) fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// Refuses what could never be written, and a value that its place cannot carry, before anything is stored.
    /// `again` is the command that asks for another value.
    pub(super) fn check(
        &self,
        again: &str,
        command: &str,
        secret: &SecretName,
        value: &WireValue,
    ) -> Result<(), Report> {
        let Some(host) = &self.host else { return Ok(()) };
        self.check_host(host, command, secret)?;
        let misuse = |message: String| Report::misuse(message, format!("{command} --help"));
        let place = match self.place() {
            EasyPlace::Basic { part, .. } if part == "user" => Place::Basic { part: BasicPart::User, other: None },
            EasyPlace::Basic { .. } => Place::Basic { part: BasicPart::Password, other: None },
            EasyPlace::Header { name, wording } => {
                let wording = wording.parse::<Wording>().map_err(|error| misuse(error.to_string()))?;
                let name = name.parse().map_err(|_| misuse(format!("`{name}` is no header name")))?;
                Place::Header { name, wordings: vec![wording] }
            }
            EasyPlace::Query { name } => Place::Query { name: name.into() },
        };
        inject::check(&place, value.reveal()).map_err(|error| {
            Report::misuse(format!("the value of `{secret}` would never reach its service: {error}"), again)
        })
    }

    /// A host, or an origin; of an address out of a browser its origin is advised.
    fn check_host(&self, host: &str, command: &str, secret: &SecretName) -> Result<(), Report> {
        let (scheme, rest) = host.split_once("://").unwrap_or(("https", host));
        let read = |rest: &str| format!("{scheme}://{rest}").parse::<Origin>();
        let Err(error) = read(rest) else { return Ok(()) };
        let bare = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let fix = match read(bare) {
            Ok(origin) => {
                let advised = Self { host: Some(origin.to_string()), ..self.clone() };
                format!("{command} {}{}", shell_word(secret.as_str()), advised.words())
            }
            Err(_) => format!("{command} --help"),
        };
        Err(Report::misuse(error.to_string(), fix))
    }

    /// The flags as they were typed, each behind a blank.
    pub(super) fn words(&self) -> String {
        let apart =
            [("--host", &self.host), ("--header", &self.header), ("--as", &self.wording), ("--query", &self.query)];
        let apart =
            apart.into_iter().filter_map(|(flag, value)| Some(format!(" {flag} {}", shell_word(value.as_deref()?))));
        let basic = self.basic.iter().map(|part| format!(" --basic={}", shell_word(part)));
        let other = self.other.iter().map(|text| format!(" --other {}", shell_word(text)));
        apart.chain(basic).chain(other).collect()
    }

    fn place(&self) -> EasyPlace {
        if let Some(name) = &self.query {
            return EasyPlace::Query { name: name.clone() };
        }
        if let Some(part) = &self.basic {
            return EasyPlace::Basic { part: part.clone(), other: self.other.clone() };
        }
        let bare = "{}".to_owned();
        match (&self.header, &self.wording) {
            (Some(name), wording) => EasyPlace::Header { name: name.clone(), wording: wording.clone().unwrap_or(bare) },
            (None, wording) => EasyPlace::Header {
                name: "authorization".into(),
                wording: wording.clone().unwrap_or_else(|| "Bearer {}".into()),
            },
        }
    }

    /// The service that is asked for, without a secret; the error's fix is this command's help.
    pub(super) fn service(&self, id: ServiceId, env: Vec<String>, command: &str) -> Result<EasyService, Report> {
        let misuse = |message: String| Report::misuse(message, format!("{command} --help"));
        let host = self.host.as_deref().ok_or_else(|| misuse("`--host` is missing".to_owned()))?;
        let text = if host.contains("://") { host.to_owned() } else { format!("https://{host}") };
        let origin = text.parse::<Origin>().map_err(|error| misuse(error.to_string()))?;
        let place = match self.place() {
            EasyPlace::Basic { part, other } => {
                let part = if part == "user" { BasicPart::User } else { BasicPart::Password };
                policy::EasyPlace::Basic(part, other.map(String::into_boxed_str))
            }
            EasyPlace::Header { name, wording } => policy::EasyPlace::Header(
                name.parse().map_err(|_| misuse(format!("`{}` is no header name", name.escape_debug())))?,
                wording.parse::<Wording>().map_err(|error| misuse(error.to_string()))?,
            ),
            EasyPlace::Query { name } => policy::EasyPlace::Query(name.into()),
        };
        Ok(EasyService { id, origin, place, env })
    }

    /// What is to be written, when anything is.
    pub(super) fn binding(&self) -> Option<EasyBinding> {
        self.host.clone().map(|host| EasyBinding { host, place: self.place() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &str, wording: &str) -> EasyPlace {
        EasyPlace::Header { name: name.into(), wording: wording.into() }
    }

    #[test]
    fn flags_come_to_one_place() {
        let easy = |header: Option<&str>, wording: Option<&str>| Easy {
            header: header.map(str::to_owned),
            wording: wording.map(str::to_owned),
            ..Easy::default()
        };
        assert_eq!(easy(None, None).place(), header("authorization", "Bearer {}"));
        assert_eq!(easy(None, Some("Token {}")).place(), header("authorization", "Token {}"));
        assert_eq!(easy(Some("x-api-key"), None).place(), header("x-api-key", "{}"));
        let query = Easy { query: Some("key".into()), ..Easy::default() };
        assert_eq!(query.place(), EasyPlace::Query { name: "key".into() });
    }
}
