//! Tests of who may use what: agents by level, environments, and what is given up when a lease is made.

use super::super::{Layer, Less, Narrow, PolicySet, Verdict};
use super::{ACME, ASKER, Asker, ask};
use crate::{base::ServiceId, lease::Terms};

const READ: &str = "GET https://api.acme.example/v1/projects/acme/web";

fn set(grants: &[&str]) -> Result<PolicySet, String> {
    let grants: Vec<String> = grants
        .iter()
        .map(|rest| format!("[[grant]]\nservice = \"acme\"\nitem = \"k\"\nallow = [\"read\"]\n{rest}\n"))
        .collect();
    let policy = format!("schema = 1\nkind = \"policy\"\n{}", grants.concat());
    PolicySet::of_texts(&[("acme.toml", ACME), ("mine.toml", &policy)]).map_err(|errors| errors.to_string())
}

#[test]
fn a_grant_for_environments_fits_in_these_only() {
    let verdict = |lists: &str, environment: Option<&str>| {
        ask(&set(&[lists]).unwrap(), &Asker { environment, ..ASKER }, READ).verdict
    };
    for (lists, environment, expected) in [
        ("", None, Verdict::Allow),
        ("", Some("prod"), Verdict::Allow),
        ("environments = [\"dev\", \"test-*\"]", Some("dev"), Verdict::Allow),
        ("environments = [\"dev\", \"test-*\"]", Some("test-7"), Verdict::Allow),
        ("environments = [\"dev\", \"test-*\"]", Some("prod"), Verdict::Deny),
        ("environments = [\"dev\"]", Some("Dev"), Verdict::Deny),
        ("environments = [\"dev\"]", None, Verdict::Deny),
        ("environments = [\"**\"]", None, Verdict::Deny),
        ("environments = []", Some("dev"), Verdict::Deny),
        ("environments = []", None, Verdict::Deny),
    ] {
        assert_eq!(verdict(lists, environment), expected, "{lists} {environment:?}");
    }
}

#[test]
fn without_an_environment_no_grant_with_environments_fits() {
    let lists = ["dev", "*", "**", "d*", "prod/eu", "prod/**"];
    for a in lists {
        for b in lists {
            let set = set(&[
                &format!("agents = [\"a\"]\nenvironments = [\"{a}\"]"),
                &format!("agents = [\"b\"]\nenvironments = [\"{b}\"]"),
            ]);
            let set = set.unwrap();
            for client in ["a", "b", "c"] {
                assert_eq!(ask(&set, &Asker { client, ..ASKER }, READ).verdict, Verdict::Deny, "{a} {b} {client}");
            }
        }
    }
}

#[test]
fn grants_whose_environments_have_nothing_in_common_do_not_overlap() {
    let apart = |a: &str, b: &str| set(&[a, b]);
    assert!(apart("environments = [\"dev\"]", "environments = [\"prod\", \"staging\"]").is_ok());
    for (a, b) in [("environments = [\"dev\"]", ""), ("environments = [\"d*\"]", "environments = [\"dev\"]")] {
        let why = apart(a, b).unwrap_err();
        assert!(why.contains("overlaps with the one at mine.toml:3"), "{a} {b}: {why}");
    }
    // Which one it is follows from where the work is done.
    let both = "environments = [\"prod\"]\nonly = { project = [\"acme/*\"] }";
    let set = apart("environments = [\"dev\"]", both).unwrap();
    let other = "GET https://api.acme.example/v1/projects/evil/web";
    let verdict = |environment, call| ask(&set, &Asker { environment: Some(environment), ..ASKER }, call).verdict;
    assert_eq!(
        (verdict("dev", other), verdict("prod", other), verdict("prod", READ)),
        (Verdict::Allow, Verdict::Deny, Verdict::Allow)
    );
}

#[test]
fn a_project_says_in_which_environment_it_is_worked_on_and_gives_nothing_by_it() {
    let set = set(&["environments = [\"dev\"]"]).unwrap();
    let project =
        set.parse_project(".secrets.toml", "schema = 1\nkind = \"project\"\nenvironment = \"dev\"\n").unwrap();
    assert_eq!(project.environment.unwrap().as_str(), "dev");
    assert_eq!(ask(&set, &Asker { narrow: &project.narrows, ..ASKER }, READ).verdict, Verdict::Deny);
    for bad in ["environment = \"\"", "environment = [\"dev\"]", "environment = 3"] {
        let text = format!("schema = 1\nkind = \"project\"\n{bad}\n");
        assert!(set.parse_project(".secrets.toml", &text).is_err(), "{bad}");
    }
}

fn less(caps: Option<&[&str]>, only: &[(&str, &[&str])]) -> Less {
    let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let only = only.iter().map(|(param, values)| ((*param).to_owned(), texts(values))).collect();
    Less { service: None, caps: caps.map(texts), only, ..Less::default() }
}

#[test]
fn what_is_given_up_is_kept_with_the_lease_and_comes_back_the_same() {
    let set = set(&[""]).unwrap();
    let acme: [ServiceId; 1] = ["acme".parse().unwrap()];
    for (given, own, other) in [
        (less(None, &[]), Verdict::Allow, Verdict::Allow),
        (less(Some(&["read"]), &[]), Verdict::Allow, Verdict::Allow),
        (less(Some(&["stream"]), &[]), Verdict::Deny, Verdict::Deny),
        (less(Some(&[]), &[]), Verdict::Deny, Verdict::Deny),
        (less(None, &[("project", &["acme/web"])]), Verdict::Allow, Verdict::Deny),
        (less(None, &[("project", &["acme/api", "acme/w*"])]), Verdict::Allow, Verdict::Deny),
        (less(None, &[("project", &[])]), Verdict::Deny, Verdict::Deny),
    ] {
        let narrows = set.narrows(Layer::Lease, std::slice::from_ref(&given), &acme).unwrap();
        let mut terms = Terms::default();
        for narrow in &narrows {
            narrow.add_to(&mut terms);
        }
        let kept: Terms = serde_json::from_str(&serde_json::to_string(&terms).unwrap()).unwrap();
        let back: Vec<Narrow> = Narrow::of_terms(&acme[0], &kept).unwrap().into_iter().collect();
        for narrow in [&narrows, &back] {
            let verdict = |call| ask(&set, &Asker { narrow, ..ASKER }, call).verdict;
            let found = (verdict(READ), verdict("GET https://api.acme.example/v1/projects/evil/web"));
            assert_eq!(found, (own, other), "{given:?}");
        }
    }
}

#[test]
fn how_much_is_used_is_given_up_and_kept_too() {
    let set = set(&[""]).unwrap();
    let acme: [ServiceId; 1] = ["acme".parse().unwrap()];
    let limited = |measure: &str, amounts: &[&str]| {
        let limit = [(measure.to_owned(), amounts.iter().map(|amount| (*amount).to_owned()).collect())].into();
        Less { limit, ..Less::default() }
    };
    let given = [limited("requests", &["50/min", "1K/day"]), limited("cap:read", &["5/hour"])];
    let narrows = set.narrows(Layer::Lease, &given, &acme).unwrap();
    let mut terms = Terms::default();
    for narrow in &narrows {
        narrow.add_to(&mut terms);
    }
    assert!(terms.narrows());
    let kept: Terms = serde_json::from_str(&serde_json::to_string(&terms).unwrap()).unwrap();
    let back = [Narrow::of_terms(&acme[0], &kept).unwrap().unwrap()];
    for narrow in [&narrows[..], &back[..]] {
        let limits = ask(&set, &Asker { narrow, ..ASKER }, READ).limits;
        let words: Vec<String> = limits.iter().map(ToString::to_string).collect();
        let of = |limit: &str| format!("{limit} of the lease of codex");
        assert_eq!(words, [of("requests = 50/min"), of("requests = 1K/day"), of("cap:read = 5/hour")]);
    }
    for (measure, amount, said) in [
        ("request", "1/min", "did you mean `requests`?"),
        ("requests", "1/mni", "did you mean `min`?"),
        ("cap:raed", "1/min", "`acme` has no capability `raed`; did you mean `read`?"),
        ("tokns", "1/min", "did you mean `tokens`?"),
        ("money", "1/day", "no price says what `acme` costs"),
    ] {
        let error = set.narrows(Layer::Lease, &[limited(measure, &[amount])], &acme).unwrap_err();
        assert!(error.to_string().contains(said), "{measure}: {error}");
    }
}

#[test]
fn names_that_no_service_has_are_told_with_what_was_meant() {
    let set = set(&[""]).unwrap();
    let acme: [ServiceId; 1] = ["acme".parse().unwrap()];
    let two: [ServiceId; 2] = ["acme".parse().unwrap(), "other".parse().unwrap()];
    let of = |service: &str, less: Less| Less { service: Some(service.to_owned()), ..less };
    for (given, services, message) in [
        (less(Some(&["raed"]), &[]), &acme[..], "`acme` has no capability `raed`; did you mean `read`?"),
        (less(None, &[("projekt", &["x"])]), &acme, "`acme` has no parameter `projekt`; did you mean `project`?"),
        (less(None, &[("project", &[""])]), &acme, "cannot be empty"),
        (less(Some(&["read"]), &[]), &two, "`read` could be of `acme`, `other`"),
        (less(Some(&["read"]), &[]), &[], "there is no service that could be narrowed"),
        (of("acmee", less(None, &[])), &two, "there is no service `acmee`; did you mean `acme`?"),
        (less(Some(&["a\u{1b}[31m"]), &[]), &acme, "\\u{1b}[31m"),
    ] {
        let error = set.narrows(Layer::Session, &[given], services).unwrap_err();
        assert!(error.to_string().contains(message), "{message}: {error}");
    }
    assert!(set.narrows(Layer::Session, &[of("acme", less(Some(&["read"]), &[]))], &two).is_ok());
}

#[test]
fn what_is_added_to_a_lease_only_takes_away() {
    let set = set(&[""]).unwrap();
    let acme: [ServiceId; 1] = ["acme".parse().unwrap()];
    let one = less(Some(&["read", "stream"]), &[("project", &["acme/*"])]);
    let two = less(Some(&["read", "write"][..1]), &[("project", &["*/web"])]);
    let mut terms = Terms::default();
    for narrow in set.narrows(Layer::Lease, &[one, two], &acme).unwrap() {
        narrow.add_to(&mut terms);
    }
    assert_eq!(terms.caps.as_deref(), Some(&["read".into()][..]));
    let back = [Narrow::of_terms(&acme[0], &terms).unwrap().unwrap()];
    let verdict = |project: &str| {
        ask(&set, &Asker { narrow: &back, ..ASKER }, &format!("GET https://api.acme.example/v1/projects/{project}"))
            .verdict
    };
    assert_eq!(
        (verdict("acme/web"), verdict("acme/api"), verdict("evil/web")),
        (Verdict::Allow, Verdict::Deny, Verdict::Deny)
    );
}

#[test]
fn the_example_of_access_levels_says_what_it_means() {
    const A: Verdict = Verdict::Allow;
    const Q: Verdict = Verdict::Ask;
    const D: Verdict = Verdict::Deny;
    let text = include_str!("../../../policies/EXAMPLE-levels.toml");
    let github = include_str!("../../../policies/github.toml");
    let set = PolicySet::of_texts(&[("github.toml", github), ("levels.toml", text)])
        .unwrap_or_else(|errors| panic!("{errors}"));
    let calls = [
        ("read", "GET https://api.github.com/repos/acme/web/pulls"),
        ("issues", "POST https://api.github.com/repos/acme/web/issues"),
        ("contents", "PUT https://api.github.com/repos/acme/web/contents/x"),
        ("settings", "PATCH https://api.github.com/repos/acme/web"),
    ];
    for (client, environment, secret, expected) in [
        ("reader/ci", Some("dev"), "dev/github", [A, D, D, D]),
        ("reader/ci", Some("prod"), "prod/github", [A, D, D, D]),
        ("reader/ci", Some("prod"), "dev/github", [D, D, D, D]),
        ("reader/ci", None, "dev/github", [D, D, D, D]),
        ("poster/bot", Some("dev"), "dev/github", [A, A, D, D]),
        ("poster/bot", Some("prod"), "prod/github", [D, D, D, D]),
        ("operator/deploy", Some("dev"), "dev/github", [A, A, A, D]),
        ("operator/deploy", Some("prod"), "prod/github", [A, A, Q, D]),
        ("operator/deploy", Some("staging"), "prod/github", [D, D, D, D]),
        ("operator", Some("dev"), "dev/github", [D, D, D, D]),
        ("admin/alice", Some("prod"), "prod/github", [A, Q, Q, Q]),
        ("admin/alice", Some("dev"), "dev/github", [D, D, D, D]),
        ("web", Some("dev"), "dev/github", [D, D, D, D]),
    ] {
        let asker = Asker { service: "github", credential: "token", secret, client, environment, ..ASKER };
        for ((capability, call), expected) in calls.iter().zip(expected) {
            let decision = ask(&set, &asker, call);
            assert_eq!(decision.verdict, expected, "{client} {environment:?} {secret} {capability}: {decision:?}");
        }
    }
}
