//! Tests of what somebody lacks: the smallest capability that fits, and lines that give it and load as they are.

use super::super::{Asked, LeaseFacts, NoLack, PolicySet, Remedy, Risk};

const SERVICE: &str = r#"schema = 1
kind = "service"
id = "acme"
name = "Acme"
[host.api]
origin = "https://api.acme.example"
[param.repo]
about = "Which"
segments = 2
[credential.key]
type = "token"
env = ["ACME_KEY"]
[[inject]]
host = "api"
use = "key"
at = [{ header = "authorization", as = "Bearer {}" }]
[cap.all]
about = "Everything"
risk = "admin"
allow = [{ method = ["GET", "POST", "DELETE"] }]
[cap.many]
about = "Write much"
risk = "write"
allow = [{ method = "POST", path = "/repos/{repo}/issues" }, { method = "PUT" }]
[cap.issues]
about = "Write issues"
risk = "write"
allow = [{ method = "POST", path = "/repos/{repo}/issues" }]
[cap.mutate]
about = "Change through one path"
risk = "write"
allow = [{ method = "PATCH", path = "/rpc", json = { "/op" = ["set"] } }]
[cap.signed]
about = "What is signed in its head"
risk = "read"
allow = [{ method = "PUSH", path = "/signed", header = { x-op = "get" } }]
[cap.whoami]
about = "Who"
risk = "read"
allow = [{ method = "GET", path = "/me" }]
[[issue]]
on = { host = "api", method = "GET", path = "/token" }
then = "refuse"
"#;

fn set(grants: &str) -> PolicySet {
    let policy = format!("schema = 1\nkind = \"policy\"\n{grants}");
    PolicySet::of_texts(&[("acme.toml", SERVICE), ("mine.toml", &policy)]).unwrap_or_else(|errors| panic!("{errors}"))
}

fn smallest(set: &PolicySet, call: &str) -> Result<super::super::Lack, NoLack> {
    let (method, url) = call.split_once(' ').unwrap();
    set.smallest_lack(Asked::parse(method, url).unwrap(), |_| false)
}

fn with_lease<T>(look: impl FnOnce(&LeaseFacts<'_>) -> T) -> T {
    let (service, secret, client) = ("acme".parse().unwrap(), "k".parse().unwrap(), "exec-4711".parse().unwrap());
    look(&LeaseFacts {
        service: &service,
        credential: "key",
        secret: &secret,
        client: &client,
        project: Some(std::path::Path::new("/src/web")),
        environment: Some("dev"),
        narrow: &[],
    })
}

#[test]
fn the_lowest_risk_and_then_the_fewest_rules_fit() {
    let set = set("");
    let found = |call: &str| smallest(&set, call).map(|lack| (lack.capabilities[0].clone(), lack.hangs_on_body));
    let lack = smallest(&set, "POST https://api.acme.example/repos/a/b/issues?x=y").unwrap();
    assert_eq!(lack.capabilities, [("issues".into(), Risk::Write)]);
    assert_eq!(lack.params, [("repo".into(), "a/b".into())]);
    assert_eq!(lack.call().unwrap(), "POST https://api.acme.example/repos/a/b/issues");
    assert_eq!(found("GET https://api.acme.example/me").unwrap(), (("whoami".into(), Risk::Read), false));
    assert_eq!(found("DELETE https://api.acme.example/me").unwrap(), (("all".into(), Risk::Admin), false));
    assert_eq!(found("PATCH https://api.acme.example/rpc").unwrap(), (("mutate".into(), Risk::Write), true));
    for call in
        ["PATCH https://api.acme.example/me", "GET https://www.acme.example/me", "GET https://api.acme.example/token"]
    {
        assert!(matches!(found(call), Err(NoLack::Nothing(_))), "{call}");
    }
    assert!(matches!(found("TRACE https://api.acme.example/me"), Err(NoLack::Never(_))));
    let hidden = found("PUSH https://api.acme.example/signed").unwrap_err();
    assert_eq!(
        hidden.to_string(),
        "which capability of `acme` gives `PUSH https://api.acme.example/signed` is not told by its method and URL alone; name the capability"
    );
    let star = found("POST https://api.acme.example/repos/*/*/issues").unwrap_err();
    assert_eq!(star, NoLack::Wildcard("repo".to_owned()), "it would be written as a pattern");
}

/// The lines stand for themselves: a file with them loads, and gives what was lacked.
#[test]
fn what_would_give_it_loads_as_it_is_and_gives_it() {
    let grant = "[[grant]]\nservice = \"acme\"\nitem = \"k\"\n";
    for (call, before, expected) in [
        ("POST https://api.acme.example/repos/a/b/issues", "allow = [\"whoami\"]\n", "ask      = [\"issues\"]\n"),
        (
            "POST https://api.acme.example/repos/a/b/issues",
            "ask = [\"issues\"]\nonly = { repo = [\"c/*\"] }\n",
            "only     = { \"repo\" = [\"c/*\", \"a/b\"] }\n",
        ),
        (
            "GET https://api.acme.example/me",
            "ask = [\"issues\"]\nonly = { repo = [\"c/*\"] }\n",
            "allow    = [\"whoami\"]\nunscoped = [\"whoami\"]\n",
        ),
        (
            "POST https://api.acme.example/repos/a/b/issues",
            "ask = [\"all\"]\ndeny = [\"issues\", \"mutate\"]\n",
            "ask      = [\"all\", \"issues\"]\ndeny     = [\"mutate\"]\n",
        ),
    ] {
        let set = set(&format!("{grant}{before}"));
        let lack = smallest(&set, call).unwrap();
        let lines = with_lease(|lease| {
            assert!(!set.has(lease, &lack), "{before}");
            match set.remedy(lease, &lack) {
                Remedy::Edit { place, lines } => {
                    assert_eq!(place, "mine.toml:3");
                    lines
                }
                other => panic!("{other:?}"),
            }
        });
        assert_eq!(lines, expected);
        let keys: Vec<&str> = lines.lines().map(|line| line.split(' ').next().unwrap()).collect();
        let kept: String = before
            .lines()
            .filter(|line| !keys.contains(&line.split(' ').next().unwrap()))
            .fold(String::new(), |text, line| text + line + "\n");
        let mended = self::set(&format!("{grant}{kept}{lines}"));
        assert!(with_lease(|lease| mended.has(lease, &lack)), "{kept}{lines}");
    }
}

#[test]
fn a_new_grant_is_for_this_agent_here_and_for_what_it_has_shown() {
    let none = set("");
    let lack = smallest(&none, "POST https://api.acme.example/repos/a/b/issues").unwrap();
    let Remedy::Grant(lines) = with_lease(|lease| none.remedy(lease, &lack)) else { panic!("there is no grant") };
    let expected = "[[grant]]\nservice  = \"acme\"\nitem     = { \"key\" = \"k\" }\nagents   = [\"exec-*\"]\n\
                    projects = [\"/src/web\"]\nenvironments = [\"dev\"]\nask      = [\"issues\"]\n\
                    only     = { \"repo\" = [\"a/b\"] }\n";
    assert_eq!(lines, expected);
    let given = set(&lines);
    let other = smallest(&none, "POST https://api.acme.example/repos/a/c/issues").unwrap();
    assert!(with_lease(|lease| given.has(lease, &lack) && !given.has(lease, &other)));
}

#[test]
fn what_policy_gives_and_the_session_gave_up_no_line_of_policy_gives() {
    let set = set("[[grant]]\nservice = \"acme\"\nitem = \"k\"\nallow = [\"whoami\"]\n");
    let lack = set.lack_of("acme", &["whoami".to_owned(), "whoami".to_owned()]).unwrap();
    assert_eq!(lack.capabilities.len(), 1);
    let narrow = [super::Narrow::of_session("acme".parse().unwrap()).denying("whoami")];
    with_lease(|lease| {
        assert!(set.has(lease, &lack));
        let narrowed = LeaseFacts { narrow: &narrow, ..*lease };
        assert!(!set.has(&narrowed, &lack));
        assert_eq!(set.remedy(&narrowed, &lack), Remedy::GivenUp);
    });
    assert!(matches!(set.lack_of("nobody", &[]), Err(NoLack::Service(_))));
    let near = set.lack_of("acme", &["whoam".to_owned()]).unwrap_err().to_string();
    assert!(near.contains("did you mean `whoami`"), "{near}");
}
