//! What `prove` proves, refutes and leaves open.

use super::{
    super::{Claim, EncodedSlash, NormalPath, PolicySet, Proof, Verdict},
    ASKER, ask_as,
    narrowing::{self, Dice},
};

const SERVICE: &str = "schema = 1\nkind = \"service\"\nid = \"x\"\nname = \"X\"\n[host.api]\norigin = \"https://api.x.example\"\n\
    [host.git]\norigin = \"https://git.x.example\"\n[host.all]\norigin = \"https://*.x.example\"\n\
    [host.files]\norigin = \"https://files.x.example\"\ncredential = \"never\"\n\
    [param.repo]\nsegments = 2\n[credential.key]\ntype = \"token\"\nenv = [\"X_KEY\"]\n\
    [[inject]]\nhost = [\"api\", \"git\", \"all\"]\nuse = \"key\"\nat = [{ header = \"authorization\", as = \"Bearer {}\" }]\n\
    [cap.read]\nabout = \"a\"\nrisk = \"read\"\nallow = [{ host = \"api\", method = \"GET\", path = [\"/repos/{repo}\", \"/repos/{repo}/**\"] }]\n\
    deny = [{ path = \"/repos/{repo}/keys/**\" }]\n\
    [cap.change]\nabout = \"a\"\nrisk = \"write\"\nallow = [{ host = \"api\", method = \"POST\", path = \"/repos/{repo}/**\" }]\n\
    [cap.fetch]\nabout = \"a\"\nrisk = \"read\"\nallow = [{ host = \"git\", git = \"fetch\", path = \"/{repo}\" }]\n\
    [cap.query]\nabout = \"a\"\nrisk = \"read\"\nallow = [{ host = \"api\", method = \"POST\", path = \"/graphql\", graphql = { operation = \"query\" } }]\n\
    [cap.tenant]\nabout = \"a\"\nrisk = \"read\"\nallow = [{ host = \"all\", method = \"GET\" }]\n\
    [cap.files]\nabout = \"a\"\nrisk = \"read\"\nallow = [{ host = \"files\" }]\n";

fn prove(grant: &str, claim: &str) -> Proof {
    let policy = format!("schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"x\"\nitem = \"k\"\n{grant}\n");
    let set = PolicySet::of_texts(&[("p.toml", &policy), ("x.toml", SERVICE)]).unwrap_or_else(|e| panic!("{e}"));
    set.prove(&Claim::parse(&[claim.to_owned()]).unwrap())
}

fn holds(grant: &str, claim: &str) -> bool {
    matches!(prove(grant, claim), Proof::Holds { .. })
}

fn counter(grant: &str, claim: &str) -> (String, Verdict) {
    match prove(grant, claim) {
        Proof::Fails(counter) => (counter.request, counter.verdict),
        other => panic!("{claim}: {other:?}"),
    }
}

#[test]
fn what_no_rule_gives_is_proved() {
    let read = "allow = [\"read\"]";
    for claim in [
        "secret k never reaches method DELETE on host api.x.example",
        "secret k never reaches method POST,PUT,PATCH,DELETE",
        "secret k never reaches on host git.x.example",
        "secret k never reaches path /v1/**",
        "secret k never reaches path /repos/*/*/keys/**",
        "secret k never reaches on host files.x.example",
        "secret k never reaches on host *.y.example",
        "secret other never reaches on host api.x.example",
    ] {
        assert!(holds(read, claim), "{claim}: {:?}", prove(read, claim));
    }
}

#[test]
fn what_a_rule_gives_is_refuted_with_a_request() {
    let read = "allow = [\"read\"]\nask = [\"change\"]";
    for (claim, request, verdict) in [
        ("secret k never reaches on host api.x.example", "GET https://api.x.example/repos/x/x", Verdict::Allow),
        ("secret k never reaches path /repos/*/*/ke*", "GET https://api.x.example/repos/x/x/ke", Verdict::Allow),
        ("secret k never reaches method POST", "POST https://api.x.example/repos/x/x", Verdict::Ask),
        ("secret k never reaches on host *.x.example", "GET https://api.x.example/repos/x/x", Verdict::Allow),
    ] {
        assert_eq!(counter(read, claim), (request.to_owned(), verdict), "{claim}");
    }
    assert_eq!(
        counter("allow = [\"tenant\"]", "secret k never reaches on host shop.x.example").0,
        "GET https://shop.x.example/"
    );
    assert!(
        holds("allow = [\"tenant\"]", "secret k never reaches on host api.x.example"),
        "`api` is a block of its own"
    );
    assert!(holds("allow = [\"files\"]", "secret k never reaches"), "that host never gets a credential");
}

#[test]
fn a_limit_is_part_of_the_proof() {
    let acme = "allow = [\"read\", \"query\"]\nonly = { repo = [\"acme/*\"] }";
    assert!(holds(acme, "secret k never reaches path /repos/evil/**"));
    assert!(holds(acme, "secret k never reaches path /graphql"), "it shows no repo, so `only` leaves nothing of it");
    assert_eq!(counter(acme, "secret k never reaches path /repos/acme/**").0, "GET https://api.x.example/repos/acme/x");
    assert!(holds("allow = [\"read\"]\nonly = { repo = [] }", "secret k never reaches"), "an empty list is nothing");
}

#[test]
fn a_denied_capability_takes_from_the_others() {
    let claim = "secret k never reaches method POST path /repos/**";
    assert!(holds("allow = [\"read\"]\ndeny = [\"change\"]", claim));
    assert!(!holds("allow = [\"change\"]", claim));
}

#[test]
fn endpoints_of_git_are_known() {
    let fetch = "allow = [\"fetch\"]\nonly = { repo = [\"acme/web\"] }";
    for claim in [
        "secret k never reaches path /**/git-receive-pack",
        "secret k never reaches path /evil/**",
        "secret k never reaches method PUT",
    ] {
        assert!(holds(fetch, claim), "{claim}");
    }
    let open = prove(fetch, "secret k never reaches path /acme/web.git/**");
    assert!(matches!(&open, Proof::Open { cases } if cases[0].capability == "fetch"), "{open:?}");
}

#[test]
fn what_a_body_decides_is_left_open() {
    let open = prove("allow = [\"query\"]", "secret k never reaches path /graphql");
    assert!(matches!(&open, Proof::Open { cases } if cases[0].request.ends_with("/graphql")), "{open:?}");
    assert!(holds("allow = [\"query\"]", "secret k never reaches method GET"));
}

#[test]
fn a_shipped_service_is_closed_to_hosts_and_paths_that_it_does_not_give() {
    let catalogue = PolicySet::catalogue().unwrap();
    let grant =
        catalogue.default_grant(&"github".parse().unwrap(), vec![("token".into(), "gh".parse().unwrap())]).unwrap();
    let allow = format!("{:?}", grant.allow);
    let folder = tempfile::tempdir().unwrap();
    let text =
        format!("schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"github\"\nitem = \"gh\"\nallow = {allow}\n");
    std::fs::write(folder.path().join("p.toml"), text).unwrap();
    let set = PolicySet::load(folder.path()).unwrap();
    let prove = |claim: &str| set.prove(&Claim::parse(&[claim.to_owned()]).unwrap());
    assert!(matches!(prove("secret gh never reaches on host evil.example"), Proof::Holds { .. }));
    assert!(matches!(
        prove("secret gh never reaches path /repos/*/*/actions/secrets/** on host api.github.com"),
        Proof::Holds { .. }
    ));
    assert!(matches!(prove("secret gh never reaches path /repos/** on host api.github.com"), Proof::Fails(_)));
}

#[test]
fn nothing_is_proved_that_a_decision_contradicts() {
    let service = narrowing::service();
    let mut dice = Dice(0x0be5_7e11_a710_4d5e);
    let (mut given, mut proved) = (0, 0);
    for _ in 0..60 {
        let policy = narrowing::a_grant(&mut dice);
        let set = PolicySet::of_texts(&[("acme.toml", &service), ("p.toml", &policy)]).unwrap();
        for _ in 0..20 {
            let (call, protocol) = narrowing::a_request(&mut dice);
            let (method, url) = call.split_once(' ').unwrap();
            let (host, path) = url.strip_prefix("https://").unwrap().split_once('/').unwrap();
            let raw = format!("/{path}");
            let Ok(path) = NormalPath::parse_with(&raw, EncodedSlash::Keep) else { continue };
            let text = format!("secret k never reaches method {method} path {} on host {host}", path.as_str());
            let Ok(claim) = Claim::parse(&[text]) else { continue };
            let holds = matches!(set.prove(&claim), Proof::Holds { .. });
            let verdict = ask_as(&set, &ASKER, &call, protocol).verdict;
            assert!(!holds || verdict == Verdict::Deny, "{claim} was proved, and {call} is {verdict}\n{policy}");
            given += usize::from(verdict > Verdict::Deny);
            proved += usize::from(holds);
        }
    }
    assert!(given > 50 && proved > 50, "the generator reaches what it should: {given} given, {proved} proved");
}

#[test]
fn what_hands_out_credentials_is_proved_to_go_nowhere_and_so_is_what_is_not_built_yet() {
    let claims = ["secret k never reaches path /repos/*/*/keys", "secret k never reaches method POST"];
    let proved = |service: &str, claim: &str| {
        let policy = "schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"x\"\nitem = \"k\"\nallow = [\"change\"]\n";
        let set = PolicySet::of_texts(&[("p.toml", policy), ("x.toml", service)]).unwrap_or_else(|e| panic!("{e}"));
        matches!(set.prove(&Claim::parse(&[claim.to_owned()]).unwrap()), Proof::Holds { .. })
    };
    let issue = "[[issue]]\non = { host = \"api\", path = \"/repos/*/*/keys\" }\nthen = \"capture\"\ntake = [{ json = \"/t\" }]\n";
    let oauth = SERVICE.replace("type = \"token\"", "type = \"oauth2\"");
    for (service, expected) in
        [(SERVICE, [false, false]), (&format!("{SERVICE}{issue}"), [true, false]), (&oauth, [true, true])]
    {
        assert_eq!(claims.map(|claim| proved(service, claim)), expected);
    }
}

#[test]
fn what_nobody_may_use_is_never_reached() {
    let claim = "secret k never reaches method GET";
    for nobody in ["agents = []", "projects = []", "environments = []"] {
        let grant = format!("allow = [\"read\"]\n{nobody}");
        assert!(holds(&grant, claim), "{nobody}: {:?}", prove(&grant, claim));
    }
}

#[test]
fn a_refutation_names_an_environment_that_the_grant_takes() {
    match prove("allow = [\"read\"]\nenvironments = [\"dev-*\"]", "secret k never reaches method GET") {
        Proof::Fails(counter) => assert_eq!(counter.environment.as_deref(), Some("dev-x")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_refutation_names_a_folder_that_the_grant_takes() {
    for (projects, folder) in [
        ("[\"/srv/*/web\", \"/srv/acme/**\"]", "/srv/acme"),
        ("[\"/srv/acme\"]", "/srv/acme"),
        ("[\"/srv/*\"]", "/srv/x"),
    ] {
        let grant = format!("allow = [\"read\"]\nprojects = {projects}");
        match prove(&grant, "secret k never reaches method GET") {
            Proof::Fails(counter) => assert_eq!(counter.project.as_deref(), Some(folder), "{projects}"),
            other => panic!("{other:?}"),
        }
    }
    match prove("allow = [\"read\"]", "secret k never reaches method GET") {
        Proof::Fails(counter) => assert_eq!(counter.project, None),
        other => panic!("{other:?}"),
    }
}
