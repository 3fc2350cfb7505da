//! Tests of every shipped file: it parses, its names recognise, its capabilities hold what they promise.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path};

use super::super::{PolicySet, Risk, UnknownHost, catalogue::CATALOGUE, service::Carries};
use super::{ACME, ASKER, Asker, ask, ask_as};
use crate::policy::{Capability, Credential, Protocol, Verdict};

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")
}

#[test]
fn every_file_of_the_folder_is_embedded_and_bears_its_id() {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files: BTreeSet<String> = files.filter(|name| name != "README.md" && name != "TEMPLATE.toml").collect();
    let embedded: BTreeSet<String> = CATALOGUE.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(files, embedded);
    let set = PolicySet::catalogue().unwrap_or_else(|errors| panic!("{errors}"));
    let ids: BTreeSet<String> = set.services().map(|service| format!("{}.toml", service.id())).collect();
    assert_eq!(ids, embedded);
    assert!(ids.len() >= 28);
    assert_eq!(set.unknown_host(), UnknownHost::Tunnel);
    for (name, text) in CATALOGUE {
        assert!(text.starts_with("# ") && text.contains("# Checked: "), "{name} says what it is and what was checked");
        assert!(text.lines().all(|line| line.len() <= 180), "{name} has a line that nobody can read");
    }
}

#[test]
fn the_template_loads() {
    PolicySet::of_texts(&[("TEMPLATE.toml", ACME)]).unwrap_or_else(|errors| panic!("{errors}"));
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
    assert_eq!(service("k", &format!("sk-{}", "a".repeat(48))).as_deref(), Some("openai"));
    assert_eq!(service("k", &format!("sk-{}", "a".repeat(32))), None, "openai or deepseek: no guess");
    assert_eq!(service("deepseek-api-key", &format!("sk-{}", "a".repeat(32))).as_deref(), Some("deepseek"));
    assert_eq!(service("mistral_api_key", &"a".repeat(32)).as_deref(), Some("mistral"));
    assert_eq!(service("k", &"a".repeat(32)), None);
    assert_eq!(service("MISTRAL_API_KEY", "too short"), None, "the name alone is not enough when the shape is known");
    assert_eq!(service("k", "ghp_"), None, "a prefix alone is no value");
    assert_eq!(service("k", ""), None);
    let datadog = set.recognise("DD_APP_KEY", "0".repeat(40).as_bytes()).unwrap();
    assert_eq!((datadog.0.as_str(), &*datadog.1), ("datadog", "app_key"));
}

/// One call per line: service, the capabilities that cover it, method and URL.
const CALLS: &[(&str, &[&str], &str)] = &[
    ("openai", &["infer"], "POST https://api.openai.com/v1/responses"),
    ("openai", &["models"], "GET https://api.openai.com/v1/models/gpt-5"),
    ("openai", &["keys"], "POST https://api.openai.com/v1/organization/admin_api_keys"),
    ("openai", &["client-secrets"], "POST https://api.openai.com/v1/realtime/client_secrets"),
    ("openai", &["delete"], "DELETE https://api.openai.com/v1/files/file-1"),
    ("openai", &[], "GET https://api.openai.com/v1/unheard-of"),
    ("anthropic", &["infer"], "POST https://api.anthropic.com/v1/messages"),
    ("anthropic", &["models"], "POST https://api.anthropic.com/v1/messages/count_tokens"),
    ("anthropic", &["admin"], "GET https://api.anthropic.com/v1/organizations/api_keys"),
    (
        "gemini",
        &["infer"],
        "POST https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-pro:streamGenerateContent",
    ),
    ("gemini", &["models"], "POST https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-pro:countTokens"),
    ("github", &["read"], "GET https://api.github.com/repos/acme/web/issues"),
    ("github", &["read"], "GET https://github.com/acme/web.git/info/refs"),
    ("github", &["read"], "POST https://github.com/acme/web/git-upload-pack"),
    ("github", &["push"], "POST https://github.com/acme/web.git/git-receive-pack"),
    ("github", &["settings"], "GET https://api.github.com/repos/acme/web/hooks"),
    ("github", &["actions-secrets"], "GET https://api.github.com/repos/acme/web/actions/secrets"),
    ("github", &["merge"], "PUT https://api.github.com/repos/acme/web/pulls/7/merge"),
    ("github", &["delete"], "DELETE https://api.github.com/repos/acme/web"),
    ("github", &["runner-tokens"], "POST https://api.github.com/repos/acme/web/actions/runners/registration-token"),
    ("gitlab", &["read"], "GET https://gitlab.com/api/v4/projects/acme%2Fweb/issues"),
    ("gitlab", &["secrets"], "GET https://gitlab.com/api/v4/projects/acme%2Fweb/variables"),
    ("gitlab", &["push"], "POST https://gitlab.com/acme/team/web.git/git-receive-pack"),
    ("slack", &["post"], "POST https://slack.com/api/chat.postMessage"),
    ("slack", &["read"], "GET https://slack.com/api/conversations.history"),
    ("slack", &["tokens"], "POST https://slack.com/api/apps.connections.open"),
    ("stripe", &["money"], "POST https://api.stripe.com/v1/refunds"),
    ("stripe", &["money"], "POST https://api.stripe.com/v1/invoices/in_1/pay"),
    ("stripe", &["customers"], "POST https://api.stripe.com/v1/invoices"),
    ("stripe", &["secrets"], "POST https://api.stripe.com/v1/webhook_endpoints"),
    ("npm", &["read"], "GET https://registry.npmjs.org/@acme%2fweb"),
    ("npm", &["publish"], "PUT https://registry.npmjs.org/@acme%2fweb"),
    ("npm", &["tokens"], "GET https://registry.npmjs.org/-/npm/v1/tokens"),
    ("pypi", &["upload"], "POST https://upload.pypi.org/legacy/"),
    ("huggingface", &["read"], "GET https://huggingface.co/acme/model/resolve/main/config.json"),
    ("huggingface", &["infer"], "POST https://router.huggingface.co/v1/chat/completions"),
    ("openrouter", &["keys"], "POST https://openrouter.ai/api/v1/keys"),
    ("replicate", &["webhook-secret"], "GET https://api.replicate.com/v1/webhooks/default/secret"),
    ("notion", &["read"], "POST https://api.notion.com/v1/databases/x/query"),
    ("linear", &["graphql"], "POST https://api.linear.app/graphql"),
    ("sentry", &["read"], "GET https://us.sentry.io/api/0/organizations/acme/issues/"),
    ("sentry", &["keys"], "GET https://sentry.io/api/0/projects/acme/web/keys/"),
    ("datadog", &["read"], "POST https://api.datadoghq.eu/api/v2/logs/events/search"),
    ("datadog", &["keys"], "GET https://api.datadoghq.com/api/v2/api_keys"),
    ("cloudflare", &["dns"], "POST https://api.cloudflare.com/client/v4/zones/z/dns_records"),
    ("cloudflare", &["tokens"], "POST https://api.cloudflare.com/client/v4/user/tokens"),
    ("cloudflare", &["tokens"], "GET https://api.cloudflare.com/client/v4/accounts/a/cfd_tunnel/t/token"),
    ("vercel", &["env"], "GET https://api.vercel.com/v9/projects/p/env"),
    ("vercel", &["deploy"], "POST https://api.vercel.com/v13/deployments"),
    ("digitalocean", &["secrets"], "GET https://api.digitalocean.com/v2/kubernetes/clusters/c/kubeconfig"),
    ("digitalocean", &["delete"], "DELETE https://api.digitalocean.com/v2/droplets/1"),
    (
        "twilio",
        &["send"],
        "POST https://api.twilio.com/2010-04-01/Accounts/AC00000000000000000000000000000000/Messages.json",
    ),
    ("twilio", &["secrets"], "GET https://api.twilio.com/2010-04-01/Accounts/AC00000000000000000000000000000000.json"),
    ("sendgrid", &["send"], "POST https://api.sendgrid.com/v3/mail/send"),
    ("sendgrid", &["keys"], "POST https://api.sendgrid.com/v3/api_keys"),
    ("heroku", &["secrets"], "GET https://api.heroku.com/apps/a/config-vars"),
    ("netlify", &["env"], "GET https://api.netlify.com/api/v1/accounts/a/env"),
    ("supabase", &["keys"], "GET https://api.supabase.com/v1/projects/p/api-keys"),
    ("airtable", &["read"], "POST https://api.airtable.com/v0/app00000000000000/t/listRecords"),
];

#[test]
fn calls_fall_under_the_capabilities_that_the_files_promise() {
    let catalogue = PolicySet::catalogue().unwrap();
    for (id, expected, call) in CALLS {
        let service = catalogue.service(&id.parse().unwrap()).unwrap();
        let covering = service.capabilities().iter().filter(|capability| {
            let grant = format!("allow = [\"{}\"]", capability.name());
            allowed_under(id, &grant, call) == Verdict::Allow
        });
        let covering: Vec<&str> = covering.map(Capability::name).collect();
        assert_eq!(&covering, expected, "{id} {call}");
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
    let items = if id == "datadog" { "{ api_key = \"k\", app_key = \"k2\" }" } else { "\"k\"" };
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
    for (id, _, call) in CALLS.iter().filter(|(_, covering, _)| {
        covering.iter().any(|name| {
            ["keys", "tokens", "secrets", "env", "client-secrets", "runner-tokens", "webhook-secret"].contains(name)
        })
    }) {
        let grant = set.default_grant(&id.parse().unwrap(), Vec::new()).unwrap();
        let lists = format!("allow = {:?}\nask = {:?}", grant.allow, grant.ask);
        assert_eq!(allowed_under(id, &lists, call), Verdict::Deny, "{id} {call}");
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
    assert!(text.contains(&table), "the table of policies/README.md should be:\n\n{table}");
}
