//! Property, over 10,000 requests with queries, fields and bodies: no project file, lease or session narrowing, alone or
//! together, in whatever order, ever raises a verdict or removes a limit; and a decision depends on nothing but what it is asked.

use http::HeaderMap;

use super::super::{Body, Content, Decision, LeaseFacts, Narrow, PolicySet, Protocol, RequestFacts, Verdict};
use super::{
    content::SERVICE,
    narrowing::{Dice, applied},
};
use crate::base::{Authority, ClientId, Scheme, SecretName, ServiceId};
use crate::policy::grants::{Keep, Layer};

const REQUESTS: usize = 10_000;

const METER: &str = "\n[meter.tokens]\non = { path = [\"/v1/run\", \"/v1/search\"] }\njson = [\"/usage\"]\n";

const PRICES: &str = "schema = 1\nkind = \"prices\"\n[[price]]\nservice = \"chat\"\ntokens = \"2\"\n";

const CAPABILITIES: [&str; 5] = ["cheap", "post", "search", "admin", "rest"];

/// One generated request.
struct Asked {
    method: &'static str,
    path: &'static str,
    query: Option<&'static str>,
    headers: HeaderMap,
    body: Body,
}

fn a_request(dice: &mut Dice) -> Asked {
    let (method, path) = match dice.below(8) {
        0 | 1 => ("POST", "/v1/run"),
        2 => ("POST", "/v1/post"),
        3 => ("POST", "/v1/form"),
        4 => ("GET", "/v1/search"),
        5 => ("POST", "/v1/rest"),
        _ => (
            dice.pick(&["POST", "GET", "get", "DELETE"]),
            dice.pick(&["/V1/Rest", "/v1/run;x=1", "/v1//run", "/v1/other", "/v1/run", "/v1/search"]),
        ),
    };
    let query =
        dice.pick(&["", "", "kind=public", "kind=mine&kind=mine", "kind=secret", "KIND=public", "kind=public&kind=x"]);
    let kind = match dice.below(10) {
        0 => dice.pick(&["text/plain", ""]),
        1 | 2 => "application/x-www-form-urlencoded",
        _ => "application/json",
    };
    let text = dice.pick(&[
        "{\"model\":\"small-1\"}",
        "{\"model\":\"big\"}",
        "{\"model\":\"tiny\",\"tools\":[{\"type\":\"shell\"}]}",
        "{\"model\":\"small-1\",\"model\":\"big\"}",
        "{\"channel\":\"a\"}",
        "{\"channel\":\"b\",\"admin\":true}",
        "{\"admin\":\"true\"}",
        "{\"admin\":",
        "channel=a",
        "channel=b&channel=a",
        "",
    ]);
    let mut headers = HeaderMap::new();
    if !kind.is_empty() {
        headers.insert("content-type", kind.parse().unwrap());
    }
    if dice.below(2) == 0 {
        headers.insert("x-version", dice.pick(&["2", "2.1", "3"]).parse().unwrap());
    }
    let body = if dice.below(5) == 0 { Body::unread() } else { Body::read(text.as_bytes().into(), &headers) };
    Asked { method, path, query: (!query.is_empty()).then_some(query), headers, body }
}

fn a_grant(dice: &mut Dice) -> String {
    let mut lists = [const { Vec::new() }; 4]; // allow, ask, deny, none
    for capability in CAPABILITIES {
        lists[[0, 0, 0, 1, 2, 3][dice.below(6)]].push(capability);
    }
    let only =
        dice.pick(&["", "", "only = { channel = [\"a\"] }", "only = { channel = [] }", "only = { channel = [\"*\"] }"]);
    let unscoped: Vec<&str> = CAPABILITIES.into_iter().filter(|_| dice.below(2) == 0).collect();
    let [allow, ask, deny, _] = lists;
    let limit = dice.pick(&[
        "",
        "limit = { requests = \"60/min\", money = \"5.00/day\" }",
        "limit = { \"cap:post\" = \"5/hour\", \"risk:admin\" = \"1/day\", \"cap:rest\" = \"3/min\" }",
        "limit = { tokens = \"9K/day\" }\n[[budget]]\nsecret = \"k\"\nlimit = { bytes = \"1MiB/day\", money = \"9/week\" }",
    ]);
    format!(
        "schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"chat\"\nitem = \"k\"\nallow = {allow:?}\nask = {ask:?}\n\
         deny = {deny:?}\n{only}\nunscoped = {unscoped:?}\n{limit}\n"
    )
}

/// What a project's file narrows, read as the file is.
fn a_project(dice: &mut Dice, set: &PolicySet) -> Vec<Narrow> {
    let named = |dice: &mut Dice| CAPABILITIES.into_iter().filter(|_| dice.below(5) == 0).collect::<Vec<_>>();
    let (ask, deny) = (named(dice), named(dice));
    let only = dice.pick(&[
        "",
        "",
        "only = { channel = [\"a\"] }",
        "only = { channel = [] }",
        "only = { channel = [\"**\"] }",
    ]);
    let limit = dice.pick(&[
        "",
        "limit = { requests = \"9/min\", \"cap:cheap\" = \"2/min\" }",
        "limit = { money = \"1/day\", tokens = \"5/min\", \"risk:read\" = \"3/min\" }",
    ]);
    let need = "[[need]]\nservice = \"chat\"\ncaps = [\"admin\", \"cheap\", \"rest\"]\nwhy = \"please\"\n";
    let text = format!(
        "schema = 1\nkind = \"project\"\n{need}[[narrow]]\nservice = \"chat\"\nask = {ask:?}\ndeny = {deny:?}\n{only}\n{limit}\n"
    );
    set.parse_project(".secrets.toml", &text).unwrap_or_else(|errors| panic!("{errors}")).narrows
}

/// What a lease or a session gives up.
fn a_narrow(dice: &mut Dice) -> Narrow {
    let mut narrow = Narrow::of_lease("chat".parse().unwrap());
    for capability in CAPABILITIES {
        narrow = match dice.below(8) {
            0 => narrow.asking(capability),
            1 => narrow.denying(capability),
            _ => narrow,
        };
    }
    if dice.below(3) == 0 {
        narrow = narrow.keeping(CAPABILITIES.into_iter().filter(|_| dice.below(3) > 0));
    }
    if dice.below(4) == 0 {
        narrow = narrow.limiting("channel", dice.pick(&[&["a"][..], &["b", "c"], &[]])).unwrap();
    }
    for (measure, amount) in [("requests", "7/min"), ("cap:post", "1/min"), ("money", "0.50/day"), ("at_once", "2")] {
        if dice.below(6) == 0 {
            narrow = narrow.limited(measure, amount).unwrap();
        }
    }
    narrow
}

/// Everything that decides.
struct Bench<'a> {
    set: &'a PolicySet,
    authority: Authority,
    service: ServiceId,
    secret: SecretName,
    client: ClientId,
}

impl Bench<'_> {
    fn decide(&self, asked: &Asked, narrow: &[Narrow]) -> Decision {
        let Self { service, secret, client, .. } = self;
        let lease = LeaseFacts { service, credential: "key", secret, client, project: None, environment: None, narrow };
        let request = RequestFacts {
            scheme: Scheme::Https,
            authority: &self.authority,
            method: asked.method,
            path: asked.path,
            protocol: Protocol::Http,
            content: Content { query: asked.query, headers: &asked.headers, body: &asked.body },
        };
        self.set.decide(&lease, &request)
    }
}

/// What can be compared of a decision.
fn words(decision: &Decision) -> String {
    let Decision { verdict, code, capability, reason, nearest, .. } = decision;
    format!("{verdict} {code:?} {capability:?} {reason} {nearest:?}")
}

#[test]
fn nothing_that_a_project_a_lease_or_a_session_says_widens_any_of_10_000_requests() {
    let mut dice = Dice(0x0001_0000_beef_cafe);
    let (mut allowed, mut asked_for, mut lowered, mut limited, mut made) = (0, 0, 0, 0, 0);
    let service = format!("{SERVICE}{METER}");
    while made < REQUESTS {
        let policy = a_grant(&mut dice);
        let set =
            PolicySet::of_texts(&[("chat.toml", &service), ("p.toml", &policy), ("prices.toml", PRICES)]).unwrap();
        let name = |text: &str| text.to_owned();
        let bench = Bench {
            set: &set,
            authority: Authority::parse("chat.example", Some(443)).unwrap(),
            service: name("chat").parse().unwrap(),
            secret: name("k").parse().unwrap(),
            client: name("codex").parse().unwrap(),
        };
        for _ in 0..100 {
            let asked = a_request(&mut dice);
            made += 1;
            let before = bench.decide(&asked, &[]);
            assert_eq!(words(&before), words(&bench.decide(&asked, &[])), "a decision is a function");
            let layers = [a_project(&mut dice, &set), vec![a_narrow(&mut dice)], vec![a_narrow(&mut dice)]];
            let all: Vec<Narrow> = layers.iter().flatten().cloned().collect();
            let together = bench.decide(&asked, &all);
            let reversed: Vec<Narrow> = all.iter().rev().cloned().collect();
            assert_eq!(together.verdict, bench.decide(&asked, &reversed).verdict, "layers have no order\n{policy}");
            for layer in &layers {
                let with_layer = bench.decide(&asked, layer);
                let alone = with_layer.verdict;
                let about = || format!("{} {} {:?}\n{policy}\n{layer:#?}", asked.method, asked.path, asked.body);
                assert!(alone <= before.verdict, "from {} to {alone}: {}", before.verdict, about());
                assert!(together.verdict <= alone, "from {alone} to {}: {}", together.verdict, about());
                // A limit that goes is a limit that is loosened, so each that applied applies as it was.
                let (fewest, some, all) = (applied(&before), applied(&with_layer), applied(&together));
                assert!(alone == Verdict::Deny || some.is_superset(&fewest), "{fewest:?} became {some:?}: {}", about());
                let denied = together.verdict == Verdict::Deny;
                assert!(denied || all.is_superset(&some), "{some:?} became {all:?}: {}", about());
                limited += usize::from(!denied && all.len() > fewest.len());
            }
            if together.verdict == Verdict::Allow {
                assert!(together.body_max.unwrap_or(usize::MAX) <= before.body_max.unwrap_or(usize::MAX));
            }
            allowed += usize::from(before.verdict == Verdict::Allow);
            asked_for += usize::from(before.verdict == Verdict::Ask);
            lowered += usize::from(together.verdict < before.verdict);
        }
    }
    assert!(
        allowed > 500 && asked_for > 200 && lowered > 500 && limited > 500,
        "the generator reaches what it should: {allowed} allowed, {asked_for} asked, {lowered} lowered, {limited} limited"
    );
}

#[test]
fn every_part_of_a_narrowing_is_one_that_the_property_tries() {
    // A part that is added to narrowings has to be added to the generators above, too.
    let Narrow { layer, service: _, keep, ask, deny, only, ttl, limits } = Narrow::of_lease("chat".parse().unwrap());
    assert!(matches!((layer, keep), (Layer::Lease, Keep::All)));
    assert!(limits.is_empty());
    assert!(ask.is_empty() && deny.is_empty() && only.is_empty() && ttl.is_none());
}
