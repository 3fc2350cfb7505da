//! Property: no narrowing, of a project or of a lease, ever raises a verdict or removes a limit (section 4.4 of the
//! language).

use std::collections::BTreeSet;

use super::super::{Decision, Narrow, PolicySet, Verdict};
use super::{ACME, ASKER, Asker, Protocol, ask, ask_as};
use crate::policy::grants::Layer;

/// A small deterministic generator (xorshift), so that a failure repeats.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound).unwrap()).unwrap()
    }

    pub(super) fn pick<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }
}

const CAPABILITIES: [&str; 5] = ["read", "stream", "edge", "wide", "tenants"];

const LIMIT_TABLES: [&str; 4] = [
    "",
    "limit = { requests = \"60/min\" }",
    "limit = { \"cap:edge\" = \"5/hour\", \"cap:read\" = \"9/min\", \"risk:admin\" = \"1/day\" }",
    "limit = { at_once = 3, \"risk:read\" = \"9/day\" }\n[[budget]]\nsecret = \"k\"\nlimit = { bytes = \"1MiB/day\" }",
];

/// The limits that apply, in words; nothing where nothing may pass.
pub(super) fn applied(decision: &Decision) -> BTreeSet<String> {
    decision.limits.iter().map(ToString::to_string).collect()
}

/// The template plus overlapping capabilities, so that lists have something to disagree about.
pub(super) fn service() -> String {
    ACME.to_owned()
        + r#"
[cap.edge]
about = "x"
risk  = "admin"
allow = [{ host = "api", path = ["/v1/projects/{project}/edge/**", "/v1/edge"] }]
[cap.wide]
about = "x"
risk  = "write"
allow = [{ host = "api", method = ["GET", "POST"], path = "/**" }]
deny  = [{ host = "api", path = "/**/secret/**" }]
[cap.tenants]
about = "x"
risk  = "read"
allow = [{ host = "tenant", path = ["/{project}/info/refs", "/{project}/git-*-pack"] }]
"#
}

pub(super) fn a_request(dice: &mut Dice) -> (String, Protocol) {
    let method = dice.pick(&["GET", "GET", "HEAD", "POST", "DELETE", "get"]);
    let host = dice.pick(&[
        "api.acme.example",
        "api.acme.example",
        "api.acme.example",
        "shop.acme.example",
        "other.acme.example",
        "files.acme-cdn.example",
    ]);
    let mut path =
        dice.pick(&["", "/v1", "/v1/projects/acme/web", "/v1/projects/evil/web", "/acme/web", "/v1/edge"]).to_owned();
    for _ in 0..dice.below(3) {
        path.push('/');
        path.push_str(dice.pick(&[
            "edge",
            "EDGE",
            "keys",
            "secret",
            "info",
            "refs",
            "git-upload-pack",
            "edge;v=1",
            "%65dge",
            "a%2fb",
            "..",
            "items",
            "events",
        ]));
    }
    let protocol = if dice.below(8) == 0 { Protocol::WebSocket } else { Protocol::Http };
    (format!("{method} https://{host}{path}{}", if path.is_empty() || dice.below(8) == 0 { "/" } else { "" }), protocol)
}

pub(super) fn a_grant(dice: &mut Dice) -> String {
    let mut lists = [const { Vec::new() }; 4]; // allow, ask, deny, none
    for capability in CAPABILITIES {
        lists[[0, 0, 0, 1, 2, 3][dice.below(6)]].push(capability);
    }
    let only = dice.pick(&[
        "",
        "",
        "only = { project = [\"acme/*\"] }",
        "only = { project = [] }",
        "only = { tenant = [\"shop\"] }",
    ]);
    let unscoped: Vec<&str> = CAPABILITIES.into_iter().filter(|_| dice.below(2) == 0).collect();
    let limit = dice.pick(&LIMIT_TABLES);
    format!(
        "schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"acme\"\nitem = \"k\"\nallow = {:?}\nask = {:?}\n\
        deny = {:?}\n{only}\nunscoped = {unscoped:?}\n{limit}\n",
        lists[0], lists[1], lists[2]
    )
}

fn a_narrow(dice: &mut Dice) -> Narrow {
    let layer = if dice.below(2) == 0 { Layer::Project } else { Layer::Lease };
    let mut narrow = Narrow::new(layer, dice.pick(&["acme", "acme", "acme", "else"]).parse().unwrap());
    for capability in CAPABILITIES {
        narrow = match dice.below(6) {
            0 => narrow.asking(capability),
            1 => narrow.denying(capability),
            _ => narrow,
        };
    }
    if dice.below(4) == 0 {
        narrow = narrow.keeping(CAPABILITIES.into_iter().filter(|_| dice.below(2) == 0));
    }
    if dice.below(3) == 0 {
        let values = dice.pick(&[&["acme/*"][..], &["acme/web"], &[], &["**"]]);
        narrow = narrow.limiting("project", values).unwrap();
    }
    if dice.below(3) == 0 {
        let measure = dice.pick(&["requests", "at_once", "cap:read", "cap:edge", "risk:read", "risk:admin"]);
        narrow = narrow.limited(measure, if measure == "at_once" { "2" } else { "5/min" }).unwrap();
    }
    narrow
}

#[test]
fn narrowing_never_widens() {
    let service = service();
    let mut dice = Dice(0x5eed_1ea5_e401_d000);
    let (mut lowered, mut allowed, mut limited) = (0, 0, 0);
    for _ in 0..100 {
        let policy = a_grant(&mut dice);
        let set = PolicySet::of_texts(&[("acme.toml", &service), ("p.toml", &policy)]).unwrap();
        for _ in 0..40 {
            let (call, protocol) = a_request(&mut dice);
            let narrows: Vec<Narrow> = (0..3).map(|_| a_narrow(&mut dice)).collect();
            let decide = |narrow: &[Narrow]| ask_as(&set, &Asker { narrow, ..ASKER }, &call, protocol);
            let verdict = |narrow: &[Narrow]| decide(narrow).verdict;
            let mut before = verdict(&[]);
            let mut limits = applied(&decide(&[]));
            allowed += usize::from(before == Verdict::Allow);
            for count in 1..=narrows.len() {
                let after = verdict(&narrows[..count]);
                assert!(
                    after <= before,
                    "{call} went from {before} to {after} under {:#?}\n{policy}",
                    &narrows[..count]
                );
                lowered += usize::from(after < before);
                before = after;
                if after > Verdict::Deny {
                    let now = applied(&decide(&narrows[..count]));
                    assert!(
                        now.is_superset(&limits),
                        "{call}: {limits:?} became {now:?} under {:#?}",
                        &narrows[..count]
                    );
                    limited += usize::from(now.len() > limits.len());
                    limits = now;
                }
            }
            // The order of layers does not matter, and all of them together are at most each of them alone.
            let reversed: Vec<Narrow> = narrows.iter().rev().cloned().collect();
            assert_eq!(verdict(&reversed), before, "{call}");
            for narrow in &narrows {
                assert!(before <= verdict(std::slice::from_ref(narrow)), "{call}");
            }
        }
    }
    assert!(
        allowed > 100 && lowered > 100 && limited > 50,
        "the generator reaches what it should: {allowed} allowed, {lowered} lowered, {limited} limited"
    );
}

#[test]
fn a_capability_that_is_given_up_goes_on_counting_what_others_give() {
    let lists = "allow = [\"wide\", \"edge\"]\nunscoped = [\"wide\"]\nlimit = { \"cap:edge\" = \"5/hour\" }\n";
    let policy = format!("schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"acme\"\nitem = \"k\"\n{lists}");
    let set = PolicySet::of_texts(&[("acme.toml", &service()), ("p.toml", &policy)]).unwrap();
    let call = "GET https://api.acme.example/v1/projects/acme/web/edge";
    let of = || Narrow::of_lease("acme".parse().unwrap());
    for narrow in [of(), of().keeping(["wide"]), of().limiting("project", &["else/*"]).unwrap()] {
        let decision = ask(&set, &Asker { narrow: &[narrow], ..ASKER }, call);
        let limits: Vec<String> = applied(&decision).into_iter().collect();
        assert_eq!(
            (decision.verdict, limits),
            (Verdict::Allow, vec!["cap:edge = 5/hour of the grant at p.toml:3".to_owned()])
        );
    }
}

#[test]
fn a_limit_that_makes_an_asking_rule_unusable_does_not_remove_its_asking() {
    let lists = "allow = [\"wide\"]\nask = [\"edge\"]\nunscoped = [\"wide\"]\n";
    let policy = format!("schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"acme\"\nitem = \"k\"\n{lists}");
    let set = PolicySet::of_texts(&[("acme.toml", &service()), ("p.toml", &policy)]).unwrap();
    let call = "GET https://api.acme.example/v1/projects/evil/web/edge";
    let narrow = [Narrow::of_lease("acme".parse().unwrap()).limiting("project", &["acme/*"]).unwrap()];
    assert_eq!(ask(&set, &ASKER, call).verdict, Verdict::Ask);
    assert_eq!(ask(&set, &Asker { narrow: &narrow, ..ASKER }, call).verdict, Verdict::Ask);
    let plain = "GET https://api.acme.example/v1/projects/evil/web";
    assert_eq!(ask(&set, &Asker { narrow: &narrow, ..ASKER }, plain).verdict, Verdict::Allow, "`wide` is unscoped");
}

#[test]
fn a_narrowing_of_another_service_changes_nothing_and_a_misnamed_one_denies() {
    let policy = "schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"acme\"\nitem = \"k\"\n\
        allow = [\"read\"]\nttl = \"4h\"\n";
    let set = PolicySet::of_texts(&[("acme.toml", ACME), ("p.toml", policy)]).unwrap();
    let decide =
        |narrow: &[Narrow]| ask(&set, &Asker { narrow, ..ASKER }, "GET https://api.acme.example/v1/projects/a/b");
    let of = |service: &str| Narrow::of_lease(service.parse().unwrap());
    assert_eq!(decide(&[of("else").denying("read")]).verdict, Verdict::Allow);
    assert_eq!(decide(&[of("acme").keeping(["read"])]).verdict, Verdict::Allow);
    assert_eq!(decide(&[of("acme").keeping([""; 0])]).verdict, Verdict::Deny);
    for wrong in [of("acme").denying("raed"), of("acme").limiting("projekt", &["**"]).unwrap()] {
        assert!(set.check_narrow(&wrong).is_err());
        let decision = decide(&[wrong]);
        assert_eq!(decision.verdict, Verdict::Deny);
        assert!(decision.reason.contains("which `acme` does not have"), "{}", decision.reason);
    }
    let (short, long) =
        (of("acme").ending_within("1h".parse().unwrap()), of("acme").ending_within("9h".parse().unwrap()));
    assert_eq!(decide(&[]).ttl.unwrap().to_string(), "4h");
    assert_eq!(decide(std::slice::from_ref(&long)).ttl.unwrap().to_string(), "4h");
    assert_eq!(decide(&[long, short]).ttl.unwrap().to_string(), "1h");
}
