//! The flags that say on what a session or a lease works and what it gives up at once: `--cap`, `--only`, `--limit`.

use std::collections::BTreeMap;

use clap::Args;

use super::{report::Report, sanitize::shell_word};
use crate::{
    base::{Environment, ServiceId},
    policy::Less,
};

/// Flags of `exec`, `env` and `lease`.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct NarrowFlags {
    /// On what it works, such as dev; grants may be for some environments only, and those then need it
    #[arg(long, value_name = "NAME")]
    pub(super) environment: Option<Environment>,
    /// Leave only this capability of the grant; may be repeated. With several services, SERVICE:CAP
    #[arg(long = "cap", value_name = "[SERVICE:]CAP")]
    caps: Vec<String>,
    /// Leave only values of a parameter that the pattern matches, such as repo=acme/web; may be repeated for more values
    #[arg(long = "only", value_name = "[SERVICE:]PARAM=PATTERN")]
    only: Vec<String>,
    /// Leave only so much, such as requests=50/min or cap:push=5/hour, counted apart; may be repeated
    #[arg(long = "limit", value_name = "[SERVICE:]MEASURE=AMOUNT")]
    limits: Vec<String>,
}

impl NarrowFlags {
    /// Whether anything is given up.
    pub(super) const fn narrows(&self) -> bool {
        !self.caps.is_empty() || !self.only.is_empty() || !self.limits.is_empty()
    }

    /// The flags as they were written, each with a blank before it.
    pub(super) fn words(&self) -> String {
        let environment = self.environment.iter().map(|one| ("environment", one.as_str()));
        let caps = self.caps.iter().map(|cap| ("cap", cap.as_str()));
        let only = self.only.iter().map(|only| ("only", only.as_str()));
        let limits = self.limits.iter().map(|limit| ("limit", limit.as_str()));
        environment
            .chain(caps)
            .chain(only)
            .chain(limits)
            .flat_map(|(flag, value)| [" --".to_owned(), flag.to_owned(), " ".to_owned(), shell_word(value)])
            .collect()
    }

    /// The same without what narrows.
    pub(super) fn without(&self) -> Self {
        Self { environment: self.environment.clone(), ..Self::default() }
    }

    /// What they say, one for each service that is named, and one for what names none. `plain` is the command without
    /// these flags.
    pub(super) fn less(&self, plain: &str) -> Result<Vec<Less>, Report> {
        let mut all: BTreeMap<Option<String>, Less> = BTreeMap::new();
        for cap in &self.caps {
            let (service, name) = of_service(cap);
            if name.is_empty() || service == Some("") {
                return Err(Report::misuse("`--cap` takes the name of a capability, such as `--cap read`", plain));
            }
            entry(&mut all, service).caps.get_or_insert_default().push(name.to_owned());
        }
        for only in &self.only {
            let parts = only.split_once('=').map(|(name, pattern)| (of_service(name), pattern));
            match parts {
                Some(((service, param), pattern))
                    if !param.is_empty() && !pattern.is_empty() && service != Some("") =>
                {
                    entry(&mut all, service).only.entry(param.to_owned()).or_default().push(pattern.to_owned());
                }
                _ => {
                    let message = "`--only` takes a parameter and a pattern, such as `--only repo=acme/web`";
                    return Err(Report::misuse(message, plain));
                }
            }
        }
        for limit in &self.limits {
            let parts = limit.split_once('=').map(|(name, amount)| (of_measure(name), amount));
            match parts {
                Some(((service, measure), amount))
                    if !measure.is_empty() && !amount.is_empty() && service != Some("") =>
                {
                    entry(&mut all, service).limit.entry(measure.to_owned()).or_default().push(amount.to_owned());
                }
                _ => {
                    let message = "`--limit` takes what is counted and how much, such as `--limit requests=50/min`";
                    return Err(Report::misuse(message, plain));
                }
            }
        }
        Ok(all.into_values().collect())
    }
}

/// What of this concerns a token of one service, where the tokens asked for together are of all of these. What could
/// be of several services, or is of none of them, is the error: each token alone could not tell.
pub(super) fn less_of(less: &[Less], service: &ServiceId, all: &[ServiceId], plain: &str) -> Result<Vec<Less>, Report> {
    let of = all.iter().map(ServiceId::as_str).collect::<Vec<_>>().join("`, `");
    for one in less {
        match &one.service {
            None if all.len() > 1 => {
                let message = format!(
                    "the leases are for `{of}`; write capabilities, parameters and limits with their service, SERVICE:NAME"
                );
                return Err(Report::misuse(message, plain));
            }
            Some(named) if !all.iter().any(|id| id.as_str() == named) => {
                let named: String = named.chars().take(60).flat_map(char::escape_debug).collect();
                return Err(Report::misuse(format!("no lease is for `{named}`; they are for `{of}`"), plain));
            }
            _ => {}
        }
    }
    let ours = |one: &&Less| one.service.as_deref().is_none_or(|named| named == service.as_str());
    Ok(less.iter().filter(ours).cloned().collect())
}

fn of_service(text: &str) -> (Option<&str>, &str) {
    text.split_once(':').map_or((None, text), |(service, name)| (Some(service), name))
}

/// `cap:push` and `risk:write` are measures, and no service has such a name.
fn of_measure(text: &str) -> (Option<&str>, &str) {
    match text.split_once(':') {
        Some(("cap" | "risk", _)) => (None, text),
        _ => of_service(text),
    }
}

fn entry<'a>(all: &'a mut BTreeMap<Option<String>, Less>, service: Option<&str>) -> &'a mut Less {
    let service = service.map(str::to_owned);
    all.entry(service.clone()).or_insert_with(|| Less { service, ..Less::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(all: &[&str]) -> Vec<String> {
        all.iter().map(|text| (*text).to_owned()).collect()
    }

    fn flags(caps: &[&str], only: &[&str]) -> NarrowFlags {
        NarrowFlags { caps: texts(caps), only: texts(only), ..NarrowFlags::default() }
    }

    #[test]
    fn limits_are_gathered_by_service_too() {
        let of = |limits: &[&str]| NarrowFlags { limits: texts(limits), ..NarrowFlags::default() };
        let given = of(&["requests=50/min", "requests=1K/day", "cap:push=5/hour", "github:risk:write=9/day"]);
        let less = given.less("secrets exec").unwrap();
        assert_eq!(
            serde_json::to_string(&less).unwrap(),
            r#"[{"limit":{"cap:push":["5/hour"],"requests":["50/min","1K/day"]}},{"service":"github","limit":{"risk:write":["9/day"]}}]"#
        );
        assert!(given.narrows() && given.words().starts_with(" --limit requests=50/min --limit "), "{}", given.words());
        for wrong in ["requests", "requests=", "=5/min", ":requests=5/min", "github:=5/min"] {
            assert!(of(&[wrong]).less("secrets exec").is_err(), "{wrong}");
        }
    }

    #[test]
    fn flags_are_gathered_by_service() {
        let less = flags(&["read", "github:push", "write"], &["repo=acme/web", "repo=acme/api", "aws:bucket=a=b"]);
        let less = less.less("secrets exec").unwrap();
        let shown = serde_json::to_string(&less).unwrap();
        assert_eq!(
            shown,
            r#"[{"caps":["read","write"],"only":{"repo":["acme/web","acme/api"]}},{"service":"aws","only":{"bucket":["a=b"]}},{"service":"github","caps":["push"]}]"#
        );
    }

    #[test]
    fn what_says_nothing_is_refused() {
        for (caps, only) in [
            (&[""][..], &[][..]),
            (&[":read"], &[]),
            (&["github:"], &[]),
            (&[], &["repo"]),
            (&[], &["repo="]),
            (&[], &["=x"]),
        ] {
            assert!(flags(caps, only).less("secrets exec").is_err(), "{caps:?} {only:?}");
        }
    }

    #[test]
    fn several_leases_need_the_service_to_be_said() {
        let services: Vec<ServiceId> = ["github", "aws"].map(|id| id.parse().unwrap()).into();
        let of = |caps: &[&str]| less_of(&flags(caps, &[]).less("x").unwrap(), &services[0], &services, "x");
        assert_eq!(of(&["github:read", "aws:list"]).unwrap().len(), 1);
        assert!(of(&["read"]).is_err() && of(&["gitlab:read"]).is_err());
    }
}
