//! Tests of `decide`: host blocks, capabilities, scopes, refusals and what they say.

use super::super::{Missing, PolicySet, Reach, Verdict};
use super::{ASKER, Asker, ask, set_with};
use crate::base::{Authority, RefusalCode, Scheme};

const GRANT: &str = "[[grant]]\nservice = \"acme\"\nitem = \"k\"\nallow = [\"read\"]\n";

fn set(extra: &str) -> PolicySet {
    set_with(&format!("{GRANT}{extra}")).unwrap_or_else(|errors| panic!("{errors}"))
}

fn authority(text: &str) -> Authority {
    Authority::parse(text, Some(443)).unwrap()
}

#[test]
fn an_allowed_call_says_how_and_nothing_else() {
    let decision = ask(&set(""), &ASKER, "GET https://api.acme.example/v1/projects/a/b/items");
    assert_eq!((decision.verdict, decision.code), (Verdict::Allow, None));
    assert_eq!(decision.capability.as_deref(), Some("read"));
    assert!(decision.reason.is_empty() && decision.reason.capacity() == 0);
    let inject = decision.inject.unwrap();
    assert_eq!((&*inject.credential, inject.places.len(), inject.missing), ("key", 3, Missing::Refuse));
}

#[test]
fn nothing_hit_is_denied_and_the_nearest_call_is_named() {
    let decision = ask(&set(""), &ASKER, "DELETE https://api.acme.example/v1/projects/a/b");
    assert_eq!((decision.verdict, decision.code), (Verdict::Deny, Some(RefusalCode::CapDenied)));
    assert_eq!(decision.nearest.unwrap(), "`GET /v1/projects/{project}` (capability `read`)");
    assert!(decision.inject.is_none() && decision.capability.is_none());
    let stream = super::ask_as(&set(""), &ASKER, "GET https://api.acme.example/v1/events", super::Protocol::WebSocket);
    assert_eq!(stream.code, Some(RefusalCode::CapDenied));
    assert_eq!(stream.capability.as_deref(), Some("stream"), "the capability that would have matched");
    assert!(stream.reason.contains("`stream` would, and is not granted"), "{}", stream.reason);
}

#[test]
fn a_capability_s_own_deny_rules_subtract_and_lax_spellings_are_no_way_round_them() {
    for path in
        ["/a/b/keys", "/a/b/keys/1", "/a/b/KEYS", "/a/b/keys;v=1", "/a/b/keys/", "/a/b/k%65ys", "/a/b/keys%3Bx/1"]
    {
        let decision = ask(&set(""), &ASKER, &format!("GET https://api.acme.example/v1/projects{path}"));
        assert_eq!(decision.code, Some(RefusalCode::CapDenied), "{path}");
    }
    assert_eq!(ask(&set(""), &ASKER, "GET https://api.acme.example/v1/projects/a/b/keyring").verdict, Verdict::Allow);
}

#[test]
fn attack_82_undecidable_paths_are_bad_requests() {
    for path in [
        "/v1/projects/a/b/../keys",
        "/v1/projects/a/b/%2e%2e/x",
        "/v1/projects/a%2fb/c",
        "/v1//projects/a/b",
        "/v1/projects/a/b%00",
    ] {
        let decision = ask(&set(""), &ASKER, &format!("GET https://api.acme.example{path}"));
        assert_eq!((decision.verdict, decision.code), (Verdict::Deny, Some(RefusalCode::BadRequest)), "{path}");
    }
    // A host that takes encoded slashes takes them as part of a segment, never as a separator.
    let kept = ask(&set(""), &ASKER, "GET https://shop.acme.example/v1/a%2fb/items");
    assert_eq!(kept.code, Some(RefusalCode::StrayLease), "judged, and no injection on this path");
}

#[test]
fn attack_83_unknown_and_lower_case_methods_are_denied() {
    let policy = "[[grant]]\nservice = \"open\"\nitem = \"k\"\nallow = [\"all\"]\n";
    let service = "schema = 1\nkind = \"service\"\nid = \"open\"\nname = \"Open\"\n[host.api]\n\
        origin = \"https://open.example\"\n\
        [credential.key]\ntype = \"token\"\n[[inject]]\nhost = \"api\"\nuse = \"key\"\nat = [{ header = \"x-key\" }]\n\
        [cap.all]\nabout = \"All\"\nrisk = \"write\"\nallow = [{ path = \"/**\" }]\n";
    let policy = format!("schema = 1\nkind = \"policy\"\n{policy}");
    let set = PolicySet::of_texts(&[("open.toml", service), ("mine.toml", &policy)]).unwrap();
    let asker = Asker { service: "open", ..ASKER };
    assert_eq!(ask(&set, &asker, "PATCH https://open.example/x").verdict, Verdict::Allow);
    for method in ["get", "TRACE", "CONNECT", "PROPFIND", "G\u{c9}T"] {
        let decision = ask(&set, &asker, &format!("{method} https://open.example/x"));
        assert_eq!(decision.code, Some(RefusalCode::CapDenied), "{method}");
    }
}

#[test]
fn attack_32_another_port_scheme_or_host_is_no_place_for_the_lease() {
    for url in [
        "http://api.acme.example",
        "https://api.acme.example:8443",
        "https://www.acme.example",
        "https://acme.example",
        "https://a.b.acme.example",
        "https://api.acme.example.evil.com",
        "https://files.acme-cdn.example",
        "https://127.0.0.1",
    ] {
        let decision = ask(&set(""), &ASKER, &format!("GET {url}/v1/projects/a/b"));
        assert_eq!(decision.code, Some(RefusalCode::StrayLease), "{url}");
    }
}

#[test]
fn exact_hosts_beat_patterns_and_names_pick_hosts_inside_one() {
    // `api` also fits `{tenant}`; its own block is the one that counts, which has no `when`.
    assert_eq!(ask(&set(""), &ASKER, "GET https://api.acme.example/v1/projects/a/b").verdict, Verdict::Allow);
    let other = ask(&set(""), &ASKER, "GET https://other.acme.example/v1/a/items");
    assert_eq!(other.code, Some(RefusalCode::CapDenied), "`name` is another host");
}

#[test]
fn the_strictest_list_wins_among_hit_capabilities() {
    let service = super::ACME.to_owned()
        + "\n[cap.edge]\nabout = \"x\"\nrisk = \"admin\"\n\
        allow = [{ host = \"api\", path = \"/v1/projects/*/*/edge/**\" }]\n";
    let decide = |lists: &str, path: &str| {
        let policy = format!("schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"acme\"\nitem = \"k\"\n{lists}\n");
        let set = PolicySet::of_texts(&[("acme.toml", &service), ("mine.toml", &policy)]).unwrap();
        ask(&set, &ASKER, &format!("GET https://api.acme.example/v1/projects/a/b/{path}")).code
    };
    assert_eq!(decide("allow = [\"read\", \"edge\"]", "edge"), None);
    assert_eq!(decide("allow = [\"read\"]\nask = [\"edge\"]", "edge"), Some(RefusalCode::NeedsApproval));
    assert_eq!(decide("allow = [\"read\"]\ndeny = [\"edge\"]", "edge"), Some(RefusalCode::CapDenied));
    assert_eq!(decide("ask = [\"read\"]\ndeny = [\"edge\"]", "edge"), Some(RefusalCode::CapDenied));
    assert_eq!(decide("allow = [\"edge\"]\nask = [\"read\"]", "edge"), Some(RefusalCode::NeedsApproval));
    for lax in ["EDGE", "edge/", "edge;v=1", "%65dge"] {
        assert_eq!(decide("allow = [\"read\"]\ndeny = [\"edge\"]", lax), Some(RefusalCode::CapDenied), "{lax}");
    }
    assert_eq!(decide("allow = [\"read\"]\ndeny = [\"edge\"]", "else"), None);
    assert_eq!(decide("allow = []", "else"), Some(RefusalCode::CapDenied), "an empty list is nothing");
}

#[test]
fn only_limits_what_paths_and_hosts_show() {
    let scoped = set("only = { project = [\"acme/*\"] }\n");
    let code = |set: &PolicySet, url: &str| ask(set, &ASKER, &format!("GET https://{url}")).code;
    assert_eq!(code(&scoped, "api.acme.example/v1/projects/acme/web"), None);
    assert_eq!(code(&scoped, "api.acme.example/v1/projects/evil/web"), Some(RefusalCode::OutOfScope));
    assert_eq!(code(&scoped, "api.acme.example/v1/projects/acmeX/web"), Some(RefusalCode::OutOfScope));
    assert_eq!(
        code(&set("only = { project = [] }\n"), "api.acme.example/v1/projects/acme/web"),
        Some(RefusalCode::OutOfScope)
    );
    // A rule that shows no `tenant` is unusable unless its capability is unscoped.
    let tenant = "only = { tenant = [\"shop\"] }\n";
    assert_eq!(code(&set(tenant), "api.acme.example/v1/projects/a/b"), Some(RefusalCode::OutOfScope));
    assert_eq!(code(&set(&format!("{tenant}unscoped = [\"read\"]\n")), "api.acme.example/v1/projects/a/b"), None);
}

#[test]
fn grants_fit_by_agent_project_and_item() {
    let set = set_with(
        "[[grant]]\nservice = \"acme\"\nitem = \"k\"\nagents = [\"claude-*\"]\nallow = [\"read\"]\n\
         [[grant]]\nservice = \"acme\"\nitem = \"k\"\nagents = [\"codex\"]\nprojects = [\"/src/acme/**\"]\n\
         allow = [\"stream\"]\n\
         [[grant]]\nservice = \"acme\"\nitem = \"other\"\nagents = []\nallow = [\"read\"]\n",
    )
    .unwrap();
    let call = "GET https://api.acme.example/v1/projects/a/b";
    let code = |client: &str, secret: &str, project| ask(&set, &Asker { secret, client, project, ..ASKER }, call).code;
    assert_eq!(code("claude-code", "k", None), None);
    assert_eq!(code("claude-code", "k", Some("/anywhere")), None);
    assert_eq!(code("codex", "k", None), Some(RefusalCode::NoGrant), "a grant with projects needs a project");
    assert_eq!(
        code("codex", "k", Some("/src/acme/web")),
        Some(RefusalCode::CapDenied),
        "its own grant gives another capability"
    );
    assert_eq!(code("codex", "k", Some("/src/acmeweb")), Some(RefusalCode::NoGrant));
    assert_eq!(code("aider", "k", None), Some(RefusalCode::NoGrant));
    assert_eq!(code("codex", "other", None), Some(RefusalCode::NoGrant), "no agents is nobody");
    assert_eq!(code("claude-code", "none", None), Some(RefusalCode::NoGrant));
    assert_eq!(ask(&set, &Asker { service: "nope", ..ASKER }, call).code, Some(RefusalCode::NoGrant));
}

#[test]
fn when_picks_the_injection() {
    let git = ask(&set(""), &ASKER, "GET https://shop.acme.example/v1/x/items");
    assert_eq!(git.code, Some(RefusalCode::StrayLease), "the tenant host takes the credential for git paths only");
    assert!(git.reason.contains("takes no `key`"), "{}", git.reason);
}

#[test]
fn hosts_are_known_only_when_a_grant_names_their_service() {
    let none = set_with("").unwrap();
    assert!(none.host(Scheme::Https, &authority("api.acme.example")).is_none());
    let some = set("");
    let api = some.host(Scheme::Https, &authority("api.acme.example")).unwrap();
    assert_eq!((api.places().len(), api.missing()), (3, Missing::Refuse));
    let tenant = some.host(Scheme::Https, &authority("shop.acme.example")).unwrap();
    assert_eq!(tenant.places().len(), 1);
    let never = some.host(Scheme::Https, &authority("files.acme-cdn.example")).unwrap();
    assert!(never.carries_nothing() && never.missing() == Missing::Pass);
    for (scheme, other) in [
        (Scheme::Http, "api.acme.example:80"),
        (Scheme::Https, "api.acme.example:8443"),
        (Scheme::Https, "www.acme.example"),
        (Scheme::Https, "a.b.acme.example"),
        (Scheme::Https, "acme.example"),
        (Scheme::Https, "10.0.0.1"),
    ] {
        assert!(some.host(scheme, &authority(other)).is_none(), "{other}");
    }
}

#[test]
fn a_host_that_a_block_leaves_out_is_another_host() {
    let tunnel = set("");
    let deny = set("[defaults]\nunknown_host = \"deny\"\n");
    let asks = set("[defaults]\nunknown_host = \"ask\"\n");
    for out in ["www.acme.example", "a_b.acme.example"] {
        let here = authority(out);
        for scheme in [Scheme::Https, Scheme::Http] {
            assert_eq!(tunnel.reach(scheme, &here), Reach::Untouched, "{out}");
            assert_eq!(asks.reach(scheme, &here), Reach::Asked, "{out}");
        }
        assert!(tunnel.host(Scheme::Https, &here).is_none(), "{out}: nobody looks inside, so nothing is written there");
        let refused = deny.reach(Scheme::Https, &here);
        assert!(matches!(&refused, Reach::Refused { reason, .. } if reason == &format!("no grant names `{out}`")));
        let lease = ask(&tunnel, &ASKER, &format!("GET https://{out}/v1/x/items"));
        assert_eq!((lease.verdict, lease.inject.is_none()), (Verdict::Deny, true), "{out}");
    }
    let port = tunnel.reach(Scheme::Https, &Authority::parse("shop.acme.example:8443", None).unwrap());
    assert!(matches!(&port, Reach::Refused { reason, .. } if reason.ends_with("but not port 8443")), "{port:?}");
    assert!(matches!(tunnel.reach(Scheme::Http, &authority("shop.acme.example")), Reach::Refused { .. }));
}

#[test]
fn several_services_on_one_host_list_all_their_places_once() {
    let service = |id: &str, origin: &str, missing: &str| {
        format!(
            "schema = 1\nkind = \"service\"\nid = \"{id}\"\nname = \"{id}\"\n[host.api]\norigin = \"{origin}\"\n\
            [credential.key]\n\
            type = \"token\"\n[[inject]]\nhost = \"api\"\nuse = \"key\"\nat = [{{ header = \"x-{id}\" }}]\n\
            missing = \"{missing}\"\n\
            [cap.all]\nabout = \"All\"\nrisk = \"write\"\nallow = [{{ path = \"/**\" }}]\n"
        )
    };
    let (a, b) = (service("a", "https://api.x.example", "pass"), service("b", "https://*.x.example", "refuse"));
    let policy = "schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"a\"\nitem = \"ka\"\nallow = [\"all\"]\n\
        [[grant]]\nservice = \"b\"\nitem = \"kb\"\nallow = [\"all\"]\n";
    let set = PolicySet::of_texts(&[("a.toml", &a), ("b.toml", &b), ("p.toml", policy)]).unwrap();
    let both = set.host(Scheme::Https, &authority("api.x.example")).unwrap();
    assert_eq!((both.places().len(), both.services().len(), both.missing()), (2, 2, Missing::Refuse));
    assert_eq!(set.host(Scheme::Https, &authority("other.x.example")).unwrap().places().len(), 1);
}

#[test]
fn an_explanation_shows_every_layer_and_decides_nothing_itself() {
    let set = set("ttl = \"8h\"\n");
    let project = set
        .parse_project(
            "p",
            "schema = 1\nkind = \"project\"\n[[narrow]]\nservice = \"acme\"\nask = [\"read\"]\nttl = \"2h\"\n",
        )
        .unwrap();
    let asked = |url: &str| super::super::Asked::parse("GET", url).unwrap();
    let request = asked("https://api.acme.example/v1/projects/a/b");
    let all = set.explain_all(&"codex".parse().unwrap(), None, None, &project.narrows, &request);
    let [one] = &*all else { panic!("one grant, one explanation") };
    let layers: Vec<_> = one.layers.iter().map(|layer| (layer.layer, layer.verdict)).collect();
    assert_eq!(layers, [("policy", Verdict::Allow), ("project", Verdict::Ask)]);
    assert_eq!((one.verdict, one.code), (Verdict::Ask, Some(RefusalCode::NeedsApproval)));
    assert_eq!(one.ttl.unwrap().to_string(), "2h");
    assert_eq!(one.grant.as_deref(), Some("mine.toml:3"));
    assert_eq!(one.capabilities[0].matched, "gives");
    let json = serde_json::to_value(one).unwrap();
    assert_eq!(
        (&json["verdict"], &json["code"], &json["ttl"]),
        (&"ask".into(), &"needs_approval".into(), &"2h".into())
    );
    let elsewhere = asked("https://else.example/v1/projects/a/b");
    assert!(set.explain_all(&"codex".parse().unwrap(), None, None, &[], &elsewhere).is_empty());
}
