//! Tests of every shipped file: it parses, its names recognise, its capabilities hold what they promise.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path};

use super::super::{PolicySet, Risk, UnknownHost, catalogue::CATALOGUE};
use super::{ACME, ASKER, Asker, ask, ask_as};
use crate::policy::services::{Carries, Expected, Then, Vector};
use crate::{
    base::{RefusalCode, Scheme},
    policy::{Credential, Protocol, Verdict},
};

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")
}

#[test]
fn every_file_of_the_folder_is_embedded_and_bears_its_id() {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files: BTreeSet<String> =
        files.filter(|name| name != "README.md" && name != "TEMPLATE.toml" && !name.starts_with("EXAMPLE-")).collect();
    let embedded: BTreeSet<String> = CATALOGUE.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(files, embedded);
    let set = PolicySet::catalogue().unwrap_or_else(|errors| panic!("{errors}"));
    let ids: BTreeSet<String> = set.services().map(|service| format!("{}.toml", service.id())).collect();
    assert_eq!(ids, embedded);
    assert!(ids.len() >= 200, "{}", ids.len());
    assert_eq!(set.unknown_host(), UnknownHost::Tunnel);
    for (name, text) in CATALOGUE {
        assert!(text.starts_with("# ") && text.contains("# Checked: "), "{name} says what it is and what was checked");
        assert!(text.lines().all(|line| line.len() <= 180), "{name} has a line that nobody can read");
        let credentials = text.lines().filter(|line| line.starts_with("[credential.")).count();
        for key in ["env ", "accept ", "lease "] {
            let stated = text.lines().filter(|line| line.starts_with(key)).count();
            assert_eq!(stated, credentials, "{name} states `{key}` of each credential");
        }
    }
}

#[test]
fn the_template_loads() {
    let set = PolicySet::of_texts(&[("TEMPLATE.toml", ACME)]).unwrap_or_else(|errors| panic!("{errors}"));
    let failed: Vec<String> = set.services().flat_map(|s| s.try_vectors()).map(|failed| failed.to_string()).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn every_service_is_usable() {
    let set = PolicySet::catalogue().unwrap();
    let mut names = BTreeSet::new();
    for service in set.services() {
        let id = service.id();
        assert!(!service.credentials().is_empty() && !service.capabilities().is_empty(), "{id}");
        for word in std::iter::once(id.as_str()).chain(service.aliases()) {
            assert!(names.insert(word.to_owned()), "`{word}` names two services");
        }
        for credential in service.credentials() {
            assert!(credential.env().next().is_some(), "{id} {} has no variable", credential.name());
            assert!(
                service.injects.iter().any(|rule| *rule.inject.credential == *credential.name()),
                "{id} never uses it"
            );
            assert!(credential.shape().length() <= 31);
            let accept = credential.accept();
            assert!(!accept.fits(b"") && !accept.fits(b"two words"), "{id} {} takes anything", credential.name());
        }
        for capability in service.capabilities() {
            assert!(!capability.about().is_empty() && !capability.allow.is_empty(), "{id} {}", capability.name());
            for rule in capability.allow.iter().chain(&capability.deny) {
                let never = rule.blocks.iter().any(|block| service.hosts[*block].carries == Carries::Never);
                assert!(
                    !never && !rule.blocks.is_empty(),
                    "{id} {}: a rule for a host without a credential",
                    capability.name()
                );
            }
        }
    }
}

#[test]
fn no_two_services_share_a_host() {
    let set = PolicySet::catalogue().unwrap();
    let all: Vec<_> =
        set.services().flat_map(|s| s.hosts.iter().flat_map(move |b| b.origins.iter().map(move |o| (s, o)))).collect();
    for (at, (service, origin)) in all.iter().enumerate() {
        for (other, second) in all.iter().skip(at + 1).filter(|(other, _)| other.id() != service.id()) {
            assert!(!origin.overlaps(second), "{} {origin} and {} {second}", service.id(), other.id());
        }
    }
}

#[test]
fn values_are_recognised_by_every_prefix_unless_two_services_share_it() {
    let set = PolicySet::catalogue().unwrap();
    let credentials: Vec<_> = set.services().flat_map(|s| s.credentials().iter().map(move |c| (s, c))).collect();
    for (service, credential) in &credentials {
        for prefix in credential.accept().prefixes() {
            // Lengths and sets differ: try lengths and alphabets until the credential's own check is content.
            let fill = |length: usize, filler: &str| format!("{prefix}{}", filler.repeat(length));
            let lengths = (1..100_usize).flat_map(|length| ["a", "0", "A"].map(|filler| fill(length, filler)));
            let dotted = format!("{prefix}{}.{}", "a".repeat(14), "0".repeat(64));
            let value = lengths
                .chain([dotted])
                .filter(|value| value.len() > prefix.len() + 15)
                .find(|v| credential.accept().fits(v.as_bytes()));
            let value = value.unwrap_or_else(|| panic!("{} {prefix}: nothing fits", service.id()));
            let expected = Some((service.id().clone(), credential.name().into()));
            let shared = credentials.iter().any(|(other, c)| {
                other.id() != service.id()
                    && c.accept().prefixes().any(|p| p == prefix)
                    && c.accept().fits(value.as_bytes())
            });
            assert_eq!(
                set.recognise("some_name", value.as_bytes()),
                if shared { None } else { expected.clone() },
                "{value}"
            );
            let variable = credential.env().next().unwrap();
            assert_eq!(set.recognise(variable, value.as_bytes()), expected, "{variable} {value}");
        }
    }
}

#[test]
fn the_most_particular_shape_wins_and_nothing_is_guessed() {
    let set = PolicySet::catalogue().unwrap();
    let service = |name: &str, value: &str| set.recognise(name, value.as_bytes()).map(|(id, _)| id.to_string());
    let anthropic = format!("sk-ant-api03-{}", "x".repeat(95));
    assert_eq!(service("k", &anthropic).as_deref(), Some("anthropic"));
    assert_eq!(service("OPENAI_API_KEY", &anthropic).as_deref(), Some("anthropic"), "never sent to the wrong vendor");
    assert_eq!(service("OPENAI_API_KEY", &format!("sk-or-v1-{}", "0".repeat(64))).as_deref(), Some("openrouter"));
    assert_eq!(service("k", &format!("sk-proj-{}", "a".repeat(48))).as_deref(), Some("openai"));
    assert_eq!(service("k", &format!("sk-{}", "a".repeat(48))), None, "openai or stability: no guess");
    assert_eq!(service("STABILITY_API_KEY", &format!("sk-{}", "a".repeat(48))).as_deref(), Some("stability"));
    assert_eq!(service("k", &format!("sk-{}", "a".repeat(32))), None, "openai or deepseek: no guess");
    assert_eq!(
        service("MINIMAX_API_KEY", &format!("sk-{}", "a".repeat(40))).as_deref(),
        Some("minimax"),
        "a beginning that many vendors use does not beat the name"
    );
    assert_eq!(service("MINIMAX_API_KEY", &anthropic).as_deref(), Some("anthropic"));
    assert_eq!(service("deepseek-api-key", &format!("sk-{}", "a".repeat(32))).as_deref(), Some("deepseek"));
    assert_eq!(service("mistral_api_key", &"a".repeat(32)).as_deref(), Some("mistral"));
    assert_eq!(service("k", &"a".repeat(32)), None);
    assert_eq!(service("MISTRAL_API_KEY", "too short"), None, "the name alone is not enough when the shape is known");
    assert_eq!(service("k", "ghp_"), None, "a prefix alone is no value");
    assert_eq!(service("k", ""), None);
    let datadog = set.recognise("DD_APP_KEY", "0".repeat(40).as_bytes()).unwrap();
    assert_eq!((datadog.0.as_str(), &*datadog.1), ("datadog", "app_key"));
}

#[test]
fn every_vector_holds_and_every_service_has_each_kind() {
    let set = PolicySet::catalogue().unwrap_or_else(|errors| panic!("{errors}"));
    let failed: Vec<String> = set.services().flat_map(|s| s.try_vectors()).map(|failed| failed.to_string()).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    for service in set.services() {
        let has = |kind: &dyn Fn(&Vector) -> bool| service.vectors_read().iter().any(kind);
        let stray = Expected::Refused(RefusalCode::StrayLease);
        let denied = Expected::Refused(RefusalCode::CapDenied);
        let is_host = |vector: &Vector| service.block(Scheme::Https, &vector.asked.origin().authority).is_some();
        assert!(
            has(&|v| matches!(&v.expected, Expected::Gives(names) if !names.is_empty())),
            "{}: gives",
            service.id()
        );
        assert!(has(&|v| v.expected == denied), "{}: denied", service.id());
        assert!(has(&|v| v.expected == stray && v.place.is_some() && is_host(v)), "{}: stray", service.id());
        assert!(has(&|v| v.expected == stray && !is_host(v)), "{}: wrong host", service.id());
        let issued = has(&|v| v.expected == Expected::Refused(RefusalCode::IssueRefused));
        assert_eq!(
            issued,
            service.issues.iter().any(|issue| matches!(issue.then, Then::Refuse)),
            "{}: issue",
            service.id()
        );
        for capability in service.capabilities() {
            let given = |v: &Vector| matches!(&v.expected, Expected::Gives(names) if names.iter().any(|n| **n == *capability.name()));
            // What only makes credentials is refused whatever is granted.
            let only_issued = issued && capability.risk() == Risk::Secret;
            assert!(has(&given) || only_issued, "{}: no vector of `{}`", service.id(), capability.name());
        }
    }
}

fn allowed_under(id: &str, lists: &str, call: &str) -> Verdict {
    let set = catalogue_with(id, lists);
    let service = set.service(&id.parse().unwrap()).unwrap();
    let credential = service.credentials()[0].name().to_owned();
    ask(&set, &Asker { service: id, credential: &credential, ..ASKER }, call).verdict
}

fn catalogue_with(id: &str, lists: &str) -> PolicySet {
    let catalogue = CATALOGUE.iter().find(|(name, _)| *name == format!("{id}.toml")).unwrap();
    let credentials = PolicySet::of_texts(&[*catalogue]).unwrap().service(&id.parse().unwrap()).unwrap().clone();
    let items = credentials.credentials().iter().enumerate();
    let items = items
        .map(|(at, one)| format!("{} = \"{}\"", one.name(), if at == 0 { "k".to_owned() } else { format!("k{at}") }));
    let items = format!("{{ {} }}", items.collect::<Vec<_>>().join(", "));
    let policy = format!("schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"{id}\"\nitem = {items}\n{lists}\n");
    PolicySet::of_texts(&[(catalogue.0, catalogue.1), ("mine.toml", &policy)])
        .unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn secrets_of_services_are_never_in_a_default_grant() {
    let set = PolicySet::catalogue().unwrap();
    for service in set.services() {
        let grant = set.default_grant(service.id(), Vec::new()).unwrap();
        for capability in service.capabilities() {
            let listed =
                (grant.allow.iter().any(|n| n == capability.name()), grant.ask.iter().any(|n| n == capability.name()));
            let expected = match capability.risk() {
                Risk::Read | Risk::Write | Risk::Spend => (true, false),
                Risk::Destroy | Risk::Admin => (false, true),
                Risk::Secret => (false, false),
            };
            assert_eq!(listed, expected, "{} {}", service.id(), capability.name());
        }
    }
    for service in set.services() {
        let grant = set.default_grant(service.id(), Vec::new()).unwrap();
        let lists = format!("allow = {:?}\nask = {:?}", grant.allow, grant.ask);
        let is_secret =
            |name: &str| service.capabilities().iter().any(|c| c.name() == name && c.risk() == Risk::Secret);
        for vector in service.vectors_read().iter().filter(|vector| vector.body.is_none()) {
            if matches!(&vector.expected, Expected::Gives(names) if names.iter().any(|name| is_secret(name))) {
                let (id, call) = (service.id().as_str(), vector.asked.to_string());
                assert_eq!(allowed_under(id, &lists, &call), Verdict::Deny, "{id} {call}");
            }
        }
    }
}

#[test]
fn openai_realtime_is_a_websocket_and_nothing_else() {
    let set = catalogue_with("openai", "allow = [\"infer\"]");
    let asker = Asker { service: "openai", ..ASKER };
    let call = "GET https://api.openai.com/v1/realtime";
    assert_eq!(ask_as(&set, &asker, call, Protocol::WebSocket).verdict, Verdict::Allow);
    assert_eq!(ask_as(&set, &asker, call, Protocol::Http).verdict, Verdict::Deny);
    let post = "POST https://api.openai.com/v1/responses";
    assert_eq!(ask_as(&set, &asker, post, Protocol::WebSocket).verdict, Verdict::Deny);
}

#[test]
fn the_readme_lists_every_service() {
    let text = fs::read_to_string(folder().join("README.md")).unwrap();
    let set = PolicySet::catalogue().unwrap();
    let mut table = String::from("| id | service | variables | capabilities |\n|---|---|---|---|\n");
    for service in set.services() {
        let env: Vec<String> =
            service.credentials().iter().flat_map(Credential::env).map(|v| format!("`{v}`")).collect();
        let capabilities: Vec<String> =
            service.capabilities().iter().map(|c| format!("{} ({})", c.name(), c.risk())).collect();
        let (id, name) = (service.id(), service.name());
        let (env, capabilities) = (env.join(", "), capabilities.join(", "));
        writeln!(table, "| `{id}` | {name} | {env} | {capabilities} |").unwrap();
    }
    let open = set.services().filter(|s| s.credentials().iter().any(|c| c.accept().fits(b"!!!!!!!!")));
    let open = open.map(|service| format!("`{}`", service.id())).collect::<Vec<_>>().join(", ");
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains(&format!(": {open}.")), "policies/README.md should list those of any shape: {open}");
    assert!(text.contains(&table), "the table of policies/README.md should be:\n\n{table}");
}
