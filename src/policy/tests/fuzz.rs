//! Fuzz targets for policy files and for the matcher. `cargo test` tries some inputs by chance, more of them with
//! `BOLERO_RANDOM_ITERATIONS` and `BOLERO_RANDOM_TEST_TIME_MS`; `cargo bolero test policy::tests::fuzz::NAME` looks for worse ones
//! for as long as it is let. The README says how each is started.

use std::sync::LazyLock;

use http::{HeaderMap, HeaderValue};

use super::{
    super::{Body, Capability, Content, LeaseFacts, PolicySet, Protocol, RequestFacts, Verdict},
    ACME,
};
use crate::base::{Authority, ClientId, Scheme};
use crate::policy::grants::Grant;

/// Inputs that `cargo test` tries.
const TRIES: usize = 400;

const POLICY: &str = "schema = 1\nkind = \"policy\"\n[defaults]\nttl = \"1h\"\n[[grant]]\nservice = \"acme\"\nitem = \"k\"\n\
    agents = [\"claude-*\"]\nprojects = [\"~/src/**\"]\nenvironments = [\"dev\"]\nallow = [\"read\"]\nask = [\"stream\"]\n\
    only = { project = [\"acme/*\"] }\nunscoped = [\"stream\"]\nlimit = { requests = \"60/min\", at_once = 8, money = \"5.00/day\" }\n\
    approve = { within = \"5m\", remember = \"10m\" }\n";

const PRICES: &str = "schema = 1\nkind = \"prices\"\ncurrency = \"USD\"\n[[price]]\nservice = \"acme\"\n\
    model = [\"small-*\", \"tiny\"]\ntokens = \"2.50\"\ncached_tokens = 1.25\nrequest = \"0.01\"\n[[price]]\nservice = \"acme\"\n\
    tokens = \"3\"\n";

/// What a person mistypes: bytes changed, cut out, doubled, or taken from elsewhere; four bytes of input each.
fn edited(text: &str, script: &[u8]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for step in script.chunks_exact(4).take(16) {
        let at = usize::from(u16::from_le_bytes([step[1], step[2]])) % bytes.len().max(1);
        let end = (at + usize::from(step[3] % 32) + 1).min(bytes.len());
        match step[0] % 6 {
            0 => bytes[at] = step[3],
            1 => drop(bytes.drain(at..end)),
            2 => bytes.insert(at, b"\"'[]{}=#\n.,*/\\"[usize::from(step[3]) % 14]),
            3 => bytes.splice(at..at, text.as_bytes()[..end.min(text.len())].to_vec()).for_each(drop),
            4 => bytes.truncate(at.max(1)),
            _ => {
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy).for_each(drop);
            }
        }
        bytes.truncate(64 * 1024);
        if bytes.is_empty() {
            break;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Loads or says where it cannot, whatever the text is.
fn loads_or_says_why(service: &str, policy: &str, prices: &str) {
    let texts = [("acme.toml", service), ("mine.toml", policy), ("prices.toml", prices)];
    let Err(errors) = PolicySet::of_texts(&texts) else { return };
    assert!(!errors.faults().is_empty());
    for fault in errors.faults() {
        let (_, text) = texts.iter().find(|(file, _)| **file == *fault.file).expect("the fault is of one of the files");
        let lines = text.split('\n').count();
        assert!((1..=lines).contains(&fault.line) && fault.column >= 1 && !fault.message.is_empty(), "{fault}");
    }
}

#[test]
fn any_text_loads_or_says_where_it_cannot() {
    bolero::check!().with_iterations(TRIES).with_max_len(4096).for_each(|input: &[u8]| {
        let raw = String::from_utf8_lossy(input);
        loads_or_says_why(&raw, POLICY, PRICES);
        loads_or_says_why(ACME, &raw, PRICES);
        loads_or_says_why(ACME, POLICY, &raw);
        let (first, second) = input.split_at(input.len() / 2);
        loads_or_says_why(&edited(ACME, first), &edited(POLICY, second), PRICES);
        loads_or_says_why(ACME, &edited(POLICY, first), &edited(PRICES, second));
        if let Ok(set) = PolicySet::of_texts(&[("acme.toml", ACME)]) {
            let _ = set.parse_project(".secrets.toml", &raw); // a fault or a project; no panic
        }
    });
}

/// Everything of some shipped services that look into queries, fields and bodies.
static EVERYTHING: LazyLock<PolicySet> = LazyLock::new(|| {
    let catalogue = PolicySet::catalogue().unwrap();
    let folder = tempfile::tempdir().unwrap();
    for id in ["github", "linear", "openai", "slack", "stripe", "gitlab", "terraform-cloud", "flyio"] {
        let service = catalogue.services().find(|service| service.id().as_str() == id).unwrap();
        let all: Vec<&str> = service.capabilities().iter().map(Capability::name).collect();
        let items = service.credentials().iter().map(|credential| format!("{} = \"k\"", credential.name()));
        let items = items.collect::<Vec<_>>().join(", ");
        let grant = format!("[[grant]]\nservice = \"{id}\"\nitem = {{ {items} }}\nallow = {all:?}\n");
        let text = format!("schema = 1\nkind = \"policy\"\n{grant}");
        std::fs::write(folder.path().join(format!("{id}.toml")), text).unwrap();
    }
    PolicySet::load(folder.path()).unwrap()
});

const METHODS: [&str; 8] = ["GET", "POST", "PUT", "DELETE", "PATCH", "get", "HEAD", "PURGE"];

const PIECES: [&str; 24] = [
    "/",
    "//",
    "/repos",
    "/acme",
    "/web",
    "/..",
    "/%2e%2e",
    "%2f",
    "%5c",
    ";a=b",
    "/graphql",
    "/v1",
    "/v1/models",
    ".git",
    "/info/refs",
    "/git-receive-pack",
    "/api",
    "/chat.postMessage",
    "/keys",
    "?service=git-receive-pack",
    "%00",
    "/%C3%A9",
    "/settings",
    "/projects",
];

const BODIES: [&str; 12] = [
    "{\"query\":\"mutation { a: deleteIssue(input:{}) { x } }\"}",
    "{\"query\":\"query { ...f } fragment f on Query { ...f }\"}",
    "[{\"query\":\"{a}\"},{\"query\":\"{b}\"}]",
    "{\"model\":\"x\",\"model\":\"y\"}",
    "{\"a\":1e999999,\"b\":-0.0,\"c\":123456789012345678901234567890}",
    "{\"extensions\":{\"persistedQuery\":{\"sha256Hash\":\"x\"}}}",
    "channel=a&channel=b",
    "00820000000000000000000000000000000000000000 0000000000000000000000000000000000000001 refs/heads/x\0 report-status",
    "\u{feff}{}",
    "{\"query\":",
    "",
    "null",
];

/// One request out of input bytes.
fn judge(input: &[u8]) {
    let mut input = input.iter().copied();
    let mut byte = || usize::from(input.next().unwrap_or(0));
    let set = &*EVERYTHING;
    let grants: Vec<&Grant> = set.grants().collect();
    let grant = grants[byte() % grants.len()];
    let service = set.service(grant.service()).unwrap();
    let items: Vec<_> = grant.items().collect();
    let (credential, secret) = items[byte() % items.len()];
    let origins: Vec<String> = service.origins().collect();
    let origin = origins[byte() % origins.len()].replace(['*', '{', '}'], "x");
    let host = if byte() % 8 == 0 { "evil.example" } else { origin.split("://").nth(1).unwrap() };
    let Ok(authority) = Authority::parse(host, Some(443)) else { return };
    let method = METHODS[byte() % METHODS.len()];
    let mut target = String::new();
    for _ in 0..byte() % 8 {
        target.push_str(PIECES[byte() % PIECES.len()]);
    }
    let mut headers = HeaderMap::new();
    let kinds = [
        "application/json",
        "application/x-www-form-urlencoded",
        "application/x-git-receive-pack-request",
        "text/plain",
    ];
    headers.insert("content-type", HeaderValue::from_static(kinds[byte() % kinds.len()]));
    let mut body = BODIES[byte() % BODIES.len()].as_bytes().to_vec();
    if byte() % 4 == 0 {
        body = body.repeat(byte() % 16);
    }
    body.extend(input);
    let target = format!("/{}", target.trim_start_matches('/'));
    let (path, query) = target.split_once('?').map_or((&*target, None), |(path, query)| (path, Some(query)));
    let body = Body::read(body.into(), &headers);
    let client: ClientId = "fuzz".parse().unwrap();
    let narrow = &[];
    let (project, environment) = (None, None);
    let lease = LeaseFacts { service: service.id(), credential, secret, client: &client, project, environment, narrow };
    let content = Content { query, headers: &headers, body: &body };
    let (scheme, protocol) = (Scheme::Https, Protocol::Http);
    let request = RequestFacts { scheme, authority: &authority, method, path, protocol, content };
    let _ = set.peek(&lease, &request);
    let decision = set.decide(&lease, &request);
    let again = set.decide(&lease, &request);
    assert_eq!((decision.verdict, decision.code, &decision.reason), (again.verdict, again.code, &again.reason));
    let goes_up = path.split('/').any(|segment| matches!(segment, ".." | "%2e%2e"));
    let is_hostile = host == "evil.example" || goes_up || path.contains("%5c") || path.contains("%00");
    assert!(!is_hostile || decision.verdict == Verdict::Deny, "{method} {host}{target}");
    assert_eq!(decision.inject.is_some(), decision.verdict > Verdict::Deny);
}

#[test]
fn any_request_is_judged_and_always_the_same() {
    bolero::check!().with_iterations(TRIES * 10).with_max_len(512).for_each(judge);
}
