//! What `lint` finds: overlaps of different risk, what can never be used, what nobody tries.

use super::super::PolicySet;

const HEAD: &str = "schema = 1\nkind = \"service\"\nid = \"x\"\nname = \"X\"\n[host.api]\norigin = \"https://api.x.example\"\n\
    [param.project]\n[credential.key]\ntype = \"token\"\nenv = [\"X_KEY\"]\n\
    [[inject]]\nhost = \"api\"\nuse = \"key\"\nat = [{ header = \"authorization\", as = \"Bearer {}\" }]\n";

/// The findings for a service with these capabilities and vectors, and perhaps a grant.
fn lint(rest: &str, grant: &str) -> Vec<String> {
    let service = format!("{HEAD}{rest}");
    let policy = format!("schema = 1\nkind = \"policy\"\n{grant}");
    let set = PolicySet::of_texts(&[("p.toml", &policy), ("x.toml", &service)]).unwrap_or_else(|e| panic!("{e}"));
    set.services().flat_map(|service| set.lint(service)).map(|finding| finding.to_string()).collect()
}

/// A capability with a vector, so that nobody complains that there is none.
fn capability(name: &str, risk: &str, allow: &str, deny: &str) -> String {
    format!("[cap.{name}]\nabout = \"a\"\nrisk = \"{risk}\"\nallow = [{allow}]\ndeny = [{deny}]\n")
}

fn tried(names: &[&str]) -> String {
    // The names alone matter here: nobody runs these.
    format!("[[test]]\nsend = \"GET https://api.x.example/\"\ngives = {names:?}\n")
}

#[test]
fn capabilities_of_different_risk_that_meet_are_told_with_an_example() {
    let read = capability("read", "read", "{ method = \"GET\", path = \"/v1/**\" }", "{ path = \"/v1/keys/*\" }");
    let keys = capability("keys", "secret", "{ path = [\"/v1/keys\", \"/v1/keys/*\"] }", "");
    let all = format!("{read}{keys}{}", tried(&["read", "keys"]));
    assert_eq!(
        lint(&all, ""),
        ["x.toml [cap.read]: `read` (read) and `keys` (secret) both give GET https://api.x.example/v1/keys; take it \
          from one of them: `deny` in `[cap.read]`"]
    );
}

#[test]
fn what_is_apart_is_not_told() {
    let first = capability("read", "read", "{ method = \"GET\", path = \"/v1/**\" }", "{ path = \"/v1/keys/**\" }");
    for other in [
        capability("keys", "secret", "{ path = \"/v1/keys/**\" }", ""),
        capability("write", "write", "{ method = \"POST\", path = \"/v1/**\" }", ""),
        capability("also", "read", "{ method = \"GET\", path = \"/v1/a\" }", ""),
        capability("live", "spend", "{ method = \"GET\", path = \"/v1/live\", upgrade = \"websocket\" }", ""),
        capability("elsewhere", "write", "{ path = \"/v2/**\" }", ""),
    ] {
        let name = other.split(['.', ']']).nth(1).unwrap();
        assert_eq!(lint(&format!("{first}{other}{}", tried(&["read", name])), ""), [""; 0], "{other}");
    }
}

#[test]
fn rules_over_bodies_meet_plain_ones_but_not_each_other() {
    let query = "{ method = \"POST\", path = \"/graphql\", graphql = { operation = \"query\" } }";
    let change = "{ method = \"POST\", path = \"/graphql\", graphql = { operation = \"mutation\" } }";
    let both = |a: &str, b: &str| {
        format!("{}{}{}", capability("a", "read", a, ""), capability("b", "write", b, ""), tried(&["a", "b"]))
    };
    assert_eq!(lint(&both(query, change), ""), [""; 0]);
    let found = lint(&both(query, "{ method = \"POST\", path = \"/**\" }"), "");
    assert!(found[0].contains("both give POST https://api.x.example/graphql"), "{found:?}");
}

#[test]
fn what_can_never_be_used_is_told() {
    let dead = capability("dead", "read", "{ path = \"/a/*\" }, { path = \"/b\" }", "{ path = \"/a/**\" }");
    let spare = "[host.spare]\norigin = \"https://spare.x.example\"\n";
    let inject = "[[inject]]\nhost = \"spare\"\nuse = \"key\"\nat = [{ header = \"x-key\" }]\n";
    let dead = dead
        .replace("path = \"/a/*\"", "host = \"api\", path = \"/a/*\"")
        .replace("path = \"/b\"", "host = \"api\", path = \"/b\"");
    assert_eq!(
        lint(&format!("{spare}{inject}{dead}"), ""),
        [
            "x.toml [cap.dead]: rule 1 of `allow` gives nothing: `deny` takes all of it; narrow the `deny`, or remove the rule",
            "x.toml [cap.dead]: no vector tries it; add a `[[test]]` with `send = \"GET https://api.x.example/b\", gives = \"dead\"`",
            "x.toml [host.spare]: no capability reaches it; name it in a rule, or give it `credential = \"never\"`",
        ]
    );
}

#[test]
fn a_grant_whose_only_leaves_nothing_of_a_capability_is_told() {
    let one = capability("one", "read", "{ path = \"/p/{project}/**\" }", "");
    let all = capability("all", "read", "{ path = \"/all\" }", "");
    let service = format!("{one}{all}{}", tried(&["one", "all"]));
    let grant = "[[grant]]\nservice = \"x\"\nitem = \"k\"\nallow = [\"one\", \"all\"]\nonly = { project = [\"a\"] }\n";
    assert_eq!(
        lint(&service, grant),
        ["p.toml:3: `all` can never be used: none of its rules shows `project`, which `only` limits; add `unscoped = \
          [\"all\"]`, or leave it out of the grant"]
    );
    assert_eq!(lint(&service, &format!("{grant}unscoped = [\"all\"]\n")), [""; 0]);
}

#[test]
fn rules_that_can_never_match_as_they_are_written_are_told() {
    let wide =
        "[host.wide]\norigin = \"https://*.wide.example\"\nexcept = [\"www.wide.exmple\", \"www.wide.example\"]\n";
    let inject =
        "[[inject]]\nhost = \"wide\"\nuse = \"key\"\nwhen = { method = \"POTS\" }\nat = [{ header = \"x-key\" }]\n";
    let rules =
        "{ method = [\"GTE\", \"REPORT\", \"GET\"], host = \"wide\", name = [\"a.wide.example\", \"api.x.example\"] }";
    let read = capability("read", "read", rules, "{ method = \"DELET\", path = \"/a\" }");
    let all = capability("all", "read", "{ path = \"/all\" }", "");
    let found = lint(&format!("{wide}{inject}{read}{all}{}", tried(&["read", "all"])), "");
    assert_eq!(
        found,
        [
            "x.toml [cap.read]: rule 1 of `allow`: `GTE` is no method that is known; did you mean `GET`?; write what is meant, or leave it out",
            "x.toml [cap.read]: rule 1 of `allow`: `name` says `api.x.example`, which is no host of `[host.wide]`; write what is meant, or leave it out",
            "x.toml [cap.read]: rule 1 of `deny`: `DELET` is no method that is known; did you mean `DELETE`?; write what is meant, or leave it out",
            "x.toml [[inject]]: `when`: `POTS` is no method that is known; did you mean `POST`?; write what is meant, or leave it out",
            "x.toml [host.wide]: `except` names `www.wide.exmple`, which no `origin` of the block matches; leave it out, or write the host that is meant",
        ]
    );
}

#[test]
fn rules_whose_parts_are_at_odds_are_told() {
    for (rule, why) in [
        ("method = \"POST\", upgrade = \"websocket\"", "a handshake of a WebSocket is a `GET`"),
        ("json = { \"/a\" = \"b\" }, form = { a = \"b\" }", "a body is a form or JSON, and never both"),
        ("jsonrpc = { method = \"a\" }, graphql = { operation = \"query\" }", "GraphQL or of JSON-RPC, and never both"),
        ("method = \"PUT\", graphql = { operation = \"query\" }", "GraphQL comes by `POST`"),
        ("method = \"GET\", mcp = { tool = \"a\" }", "JSON-RPC comes by `POST`"),
        ("method = \"GET\", grpc = \"a.B/c\"", "gRPC comes by `POST`"),
    ] {
        let all = format!("{}{}", capability("all", "read", &format!("{{ {rule} }}"), ""), tried(&["all"]));
        let found = lint(&all, "");
        assert!(found.len() == 1 && found[0].contains("rule 1 of `allow`: "), "{rule}: {found:?}");
        assert!(found[0].contains(why), "{rule}: {found:?}");
    }
    let taken = capability("all", "read", "{}", "{ method = \"GET\", grpc = \"a.B/c\" }");
    assert_eq!(lint(&format!("{taken}{}", tried(&["all"])), ""), [""; 0], "what takes away is read widely");
}

#[test]
fn what_no_request_gets_or_reaches_is_told() {
    let read = format!("{}{}", capability("read", "read", "{ path = \"/all\" }", ""), tried(&["read"]));
    let found = lint(&format!("[credential.spare]\ntype = \"token\"\n{read}"), "");
    assert!(found.len() == 1 && found[0].contains("[credential.spare]: no `[[inject]]` writes it"), "{found:?}");
    let host = "[host.gone]\norigin = \"https://gone.x.example\"\nexcept = [\"gone.x.example\"]\n\
        [[inject]]\nhost = \"gone\"\nuse = \"key\"\nat = [{ header = \"x\" }]\n";
    let found = lint(&format!("{host}{read}"), "");
    assert!(found.len() == 1 && found[0].contains("[host.gone]: `except` leaves no host of it"), "{found:?}");
}

#[test]
fn a_host_that_has_lost_its_domain_is_told() {
    let inject = "[[inject]]\nhost = \"short\"\nuse = \"key\"\nat = [{ header = \"x-key\" }]\n";
    let read = format!("{}{}", capability("read", "read", "{ path = \"/all\" }", ""), tried(&["read"]));
    let with = |origin: &str| lint(&format!("[host.short]\norigin = \"{origin}\"\n{inject}{read}"), "");
    let found = with("https://acme");
    assert!(found.len() == 1 && found[0].contains("[host.short]: `https://acme` is a host of one label"), "{found:?}");
    assert_eq!(with("http://localhost:8080"), [""; 0]);
}

#[test]
fn grants_that_do_not_mean_what_they_look_like_are_told() {
    let read = format!("{}{}", capability("read", "read", "{ path = \"/all\" }", ""), tried(&["read"]));
    for (grant, found) in [
        ("item = \"k\"\ndeny = [\"read\"]", "the grant of `x` gives nothing: it has neither `allow` nor `ask`"),
        ("item = \"k\"", "gives nothing"),
        ("item = \"k/*\"\nallow = [\"read\"]", "`item` takes `k/*` as the whole name of one secret, not as a pattern"),
        (
            "item = \"k\"\nask = [\"read\"]\nagents = [\"claude-*\", \"code?\"]",
            "`agents` takes `code?` as it is written",
        ),
        (
            "item = \"k\"\nask = [\"read\"]\nenvironments = [\"[a-z]*\"]",
            "`environments` takes `[a-z]*` as it is written",
        ),
        ("item = \"k\"\nask = [\"read\"]\nprojects = [\"/src/[ab]\"]", "`projects` takes `/src/[ab]` as it is written"),
        (
            "item = \"k\"\nask = [\"read\"]\nunscoped = [\"read\"]\nonly = { project = [\"a?*\"] }",
            "`only` takes `a?*` as it is written",
        ),
        (
            "item = \"k\"\nask = [\"read\"]\nunscoped = [\"read\"]\nonly = { project = [\"a/b\"] }",
            "`only` lists `a/b`, which `project` can never be",
        ),
    ] {
        let all = lint(&read, &format!("[[grant]]\nservice = \"x\"\n{grant}\n"));
        assert!(all.len() == 1 && all[0].starts_with("p.toml:3: ") && all[0].contains(found), "{grant}: {all:?}");
    }
    let plain = "[[grant]]\nservice = \"x\"\nitem = \"k/y\"\nask = [\"read\"]\nagents = [\"claude-*\"]\n";
    assert_eq!(lint(&read, plain), [""; 0]);
}

#[test]
fn an_alias_that_is_a_word_for_another_service_is_told() {
    let read = format!("{}{}", capability("read", "read", "{ path = \"/all\" }", ""), tried(&["read"]));
    let folder = tempfile::tempdir().unwrap();
    let service =
        format!("{HEAD}{read}").replacen("name = \"X\"", "name = \"X\"\naliases = [\"ex\", \"GitHub\", \"gh\"]", 1);
    std::fs::write(folder.path().join("x.toml"), service).unwrap();
    let set = PolicySet::load(folder.path()).unwrap();
    let found: Vec<String> = set.lint(set.find_service("x").unwrap()).iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("its alias `GitHub` is a word for `github` too (catalogue:github.toml)"), "{found:?}");
    assert!(found[1].contains("its alias `gh` is a word for `github` too"), "{found:?}");
}

#[test]
fn the_catalogue_has_nothing_odd_in_it() {
    let set = PolicySet::catalogue().unwrap();
    let findings = set.services().flat_map(|service| set.lint(service)).map(|finding| finding.to_string());
    let findings: Vec<String> = findings.collect();
    assert!(findings.is_empty(), "{} findings\n{}", findings.len(), findings.join("\n"));
}
