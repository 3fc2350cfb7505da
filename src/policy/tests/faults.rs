//! Tests of what does not load: every fault, at its place, with a way to mend it.

use std::fmt::Write as _;

use super::super::{LoadErrors, PolicySet, UnknownHost, Verdict};
use super::{ACME, ASKER, ask, set_with};

fn faults(texts: &[(&str, &str)]) -> Vec<String> {
    PolicySet::of_texts(texts)
        .err()
        .map(|errors| errors.faults().iter().map(ToString::to_string).collect())
        .unwrap_or_default()
}

fn policy_faults(policy: &str) -> Vec<String> {
    set_with(policy).err().map(|errors| errors.faults().iter().map(ToString::to_string).collect()).unwrap_or_default()
}

/// The template with one text replaced.
fn service_faults(from: &str, to: &str) -> Vec<String> {
    assert!(ACME.contains(from), "{from}");
    faults(&[("acme.toml", &ACME.replacen(from, to, 1))])
}

#[test]
fn all_faults_of_all_files_are_told_at_once_with_line_and_column() {
    let service = "schema = 1\nkind = \"service\"\nid = \"a\"\nname = \"A\"\ncolour = \"red\"\n[host.api]\n\
        origin = \"https://a.example\"\nport = 3\n";
    let policy = "schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"b\"\nitem = \"k\"\nalow = []\n";
    let all = faults(&[("a.toml", service), ("p.toml", policy)]);
    assert_eq!(
        all,
        [
            "a.toml:5:1: unknown key `colour` in the file; expected one of `schema`, `kind`, `id`, `name`, \
            `aliases`, `param`, `host`, `credential`, `inject`, `cap`, `issue`, `scrub`, `meter`, `emulate`, `test`",
            "a.toml:8:1: unknown key `port` in `[host.api]`; expected one of `origin`, `except`, `credential`, \
            `encoded_slash`, `raw`, `tls`",
            "p.toml:4:11: there is no service `b`; did you mean `a`?",
            "p.toml:6:1: unknown key `alow` in an entry of `grant`; did you mean `allow`?",
        ]
    );
}

#[test]
fn syntax_errors_have_their_place() {
    let all = faults(&[("p.toml", "schema = 1\nkind = \"policy\"\nx = [1\n")]);
    assert!(all[0].starts_with("p.toml:3:") || all[0].starts_with("p.toml:4:"), "{all:?}");
    let twice = faults(&[("p.toml", "schema = 1\nkind = \"policy\"\nschema = 1\n")]);
    assert!(twice.iter().any(|fault| fault.starts_with("p.toml:3:1:") && fault.contains("duplicate")), "{twice:?}");
}

#[test]
fn a_hostile_project_file_is_refused_in_bounded_time_and_words() {
    let set = set_with("").unwrap();
    let mut text = String::from("schema = 1\nkind = \"project\"\n");
    for count in 0..50_000 {
        writeln!(text, "k{count} = 1").unwrap();
    }
    let errors = set.parse_project("p.toml", &text).unwrap_err();
    assert_eq!(errors.faults().len(), 100);
    let long = format!("schema = 1\nkind = \"{}\"\n", "x".repeat(1_000_000));
    assert!(set.parse_project("p.toml", &long).unwrap_err().to_string().len() < 2_000);
    let deep = format!("schema = 1\nkind = \"project\"\nneed = {}{}\n", "[".repeat(10_000), "]".repeat(10_000));
    assert!(set.parse_project("p.toml", &deep).is_err());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("p.toml");
    std::fs::write(&file, vec![b'#'; 65 * 1024]).unwrap();
    assert!(set.read_project(&file).unwrap_err().to_string().contains("larger than"));
}

#[test]
fn every_file_says_what_it_is() {
    for (text, message) in [
        ("", "has no `schema`"),
        ("schema = 2\nkind = \"policy\"", "`schema` is not usable"),
        ("schema = 1", "has no `kind`"),
        ("schema = 1\nkind = \"polcy\"", "did you mean `policy`?"),
        ("schema = 1\nkind = \"project\"", "does not belong here"),
    ] {
        let all = faults(&[("p.toml", text)]);
        assert!(all.iter().any(|fault| fault.contains(message)), "{text}: {all:?}");
    }
}

#[test]
fn unusable_services_say_why() {
    for (from, to, message) in [
        ("schema  = 1", "schema = 1\nmetre = 1", "unknown key `metre`"),
        (
            "\"https://api.acme.example\"",
            "\"api.acme.example\"",
            "is no origin; did you mean `https://api.acme.example`?",
        ),
        ("\"https://api.acme.example\"", "\"https://*.example\"", "too wide"),
        ("\"https://api.acme.example\"", "\"https://api.acme.example:0\"", "no usable port"),
        ("\"https://api.acme.example\"", "\"https://10.0.0.1\"", "no address gets a credential"),
        ("\"https://api.acme.example\"", "\"https://{t}.acme.example\"", "ties with"),
        ("prefix = \"acme_\", length = 31", "prefix = \"acme_\", length = 32", "from 1 to 31"),
        ("prefix = \"acme_\", length = 31", "prefix = \"acme_acme_acme_acme_\"", "random bits"),
        ("type   = \"token\"", "type = \"oauth\"", "did you mean `oauth2`?"),
        ("use     = \"key\"", "use = \"kee\"", "did you mean `key`?"),
        ("host    = [\"api\"]", "host = [\"downloads\"]", "never gets a credential"),
        ("host    = [\"api\"]", "host = [\"apy\"]", "did you mean `api`?"),
        ("header = \"authorization\", as", "cokie = \"a\", as", "unknown key `cokie`"),
        ("header = \"x-api-key\"", "cookie = \"a b\"", "no name of a cookie"),
        ("header = \"x-api-key\"", "path = \"bot{}\"", "is no path"),
        ("header = \"x-api-key\"", "path = \"/bot\"", "exactly once"),
        ("header = \"x-api-key\"", "json = \"/a/*\"", "no JSON pointer to one string"),
        ("header = \"x-api-key\"", "form = \"\"", "needs a name"),
        ("header = \"x-api-key\"", "header = \"transfer-encoding\"", "cannot carry a credential"),
        ("header = \"x-api-key\"", "header = \"x api\"", "no header name"),
        ("header = \"x-api-key\"", "header = \"x-api-key\", query = \"q\"", "exactly one of"),
        ("\"Bearer {}\"", "\"Bearer\"", "exactly once"),
        ("missing = \"refuse\"", "missing = \"injekt\"", "did you mean `inject`?"),
        ("risk  = \"read\"     ", "risk = \"raed\"", "did you mean `read`?"),
        ("method = [\"GET\", \"HEAD\"]", "method = [\"get\"]", "no method"),
        ("method = [\"GET\", \"HEAD\"]", "method = []", "lists nothing"),
        ("\"/v1/*/items\"", "\"/v1/{shop}/items\"", "is not declared"),
        ("\"/v1/*/items\"", "\"/v1/../items\"", "dot segment"),
        ("upgrade = \"websocket\"", "upgrade = \"h2c\"", "expected one of `websocket`"),
        ("pattern = \"[a-z0-9-]{1,40}\"", "pattern = \"(a|b)+[c]\"", "no character pattern"),
        ("env    = [\"ACME_API_KEY\"]", "env = [\"A-B\"]", "no variable name"),
        ("host = \"tenant\"\nuse  = \"key\"", "host = [\"tenant\", \"api\"]\nuse = \"key\"", ""),
        ("when = {", "missing = \"pass\"\nwhem = {", "did you mean `when`?"),
        ("[cap.stream]", "[cap.Stream]", "no usable name"),
        ("[cap.stream]", "[cap.read]", "duplicate"),
    ] {
        let all = service_faults(from, to);
        if message.is_empty() {
            assert!(all.is_empty(), "{all:?}");
        } else {
            assert!(all.iter().any(|fault| fault.contains(message)), "{to}: {all:?}");
        }
    }
    let all = service_faults(
        "[[inject]]\nhost = \"tenant\"",
        "[[inject]]\nhost = \"api\"\nuse = \"key\"\nat = [{ query = \"k\" }]\n[[inject]]\nhost = \"tenant\"",
    );
    assert!(all.iter().any(|fault| fault.contains("two `[[inject]]`")), "{all:?}");
}

#[test]
fn unusable_grants_say_why() {
    let grant = |rest: &str| policy_faults(&format!("[[grant]]\nservice = \"acme\"\nitem = \"k\"\n{rest}\n"));
    for (rest, message) in [
        ("allow = [\"raed\"]", "`acme` has no capability `raed`; did you mean `read`?"),
        ("only = { projekt = [\"a\"] }", "`acme` has no parameter `projekt`; did you mean `project`?"),
        ("allow = [\"read\"]\nask = [\"read\"]", "listed twice"),
        ("unscoped = [\"x\"]", "no capability `x`"),
        ("agents = [\"\"]", "cannot be empty"),
        ("ttl = \"soon\"", "not a duration"),
        ("allow = \"read\"\nquota = {}", "unknown key `quota`"),
        ("allow = 3", "`allow` is integer; expected a text or a list of texts"),
    ] {
        let all = grant(rest);
        assert!(all.iter().any(|fault| fault.contains(message)), "{rest}: {all:?}");
    }
    for (policy, message) in [
        ("[[grant]]\nservice = \"acmee\"\nitem = \"k\"", "there is no service `acmee`; did you mean `acme`?"),
        ("[[grant]]\nservice = \"acme\"", "the grant has no `item`"),
        ("[[grant]]\nservice = \"acme\"\nitem = { kee = \"k\" }", "has no credential `kee`; did you mean `key`?"),
        ("[[grant]]\nservice = \"acme\"\nitem = { key = [\"a\", \"b\"] }", "exactly one secret"),
    ] {
        let all = policy_faults(policy);
        assert!(all.iter().any(|fault| fault.contains(message)), "{policy}: {all:?}");
    }
}

#[test]
fn overlapping_grants_are_refused_unless_they_are_provably_apart() {
    let two = |a: &str, b: &str| {
        policy_faults(&format!(
            "[[grant]]\nservice = \"acme\"\nitem = \"k\"\n{a}\n[[grant]]\nservice = \"acme\"\nitem = \"k\"\n{b}\n"
        ))
    };
    for (a, b) in [
        ("", ""),
        ("agents = [\"a*\"]", "agents = [\"ab*\"]"),
        ("agents = [\"x\"]", "projects = [\"/a/**\"]"),
        ("agents = [\"x\"]", ""),
    ] {
        let all = two(a, b);
        assert!(all.len() == 1 && all[0].contains("overlaps with the one at mine.toml:3"), "{a} {b}: {all:?}");
    }
    for (a, b) in [
        ("agents = [\"a\"]", "agents = [\"b\"]"),
        ("agents = [\"a-*\"]", "agents = [\"b-*\"]"),
        ("projects = [\"/a/**\"]", "projects = [\"/b/**\"]"),
        ("agents = []", ""),
    ] {
        assert!(two(a, b).is_empty(), "{a} {b}");
    }
    assert!(
        policy_faults("[[grant]]\nservice = \"acme\"\nitem = \"a\"\n[[grant]]\nservice = \"acme\"\nitem = \"b\"")
            .is_empty()
    );
}

#[test]
fn one_id_is_described_once_in_the_user_s_folder_and_beats_the_catalogue_whole() {
    let all = faults(&[("a.toml", ACME), ("b.toml", ACME)]);
    assert!(all.len() == 1 && all[0].contains("is described in `a.toml` already"), "{all:?}");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("own.toml"), ACME.replace("\"acme\"", "\"openai\"")).unwrap();
    let set = PolicySet::load(folder.path()).unwrap();
    let service = set.service(&"openai".parse().unwrap()).unwrap();
    let capabilities = ACME.matches("\n[cap.").count();
    assert_eq!((service.name(), service.capabilities().len()), ("Acme API", capabilities));
    assert!(service.file().ends_with("own.toml"));
}

#[test]
fn several_credentials_need_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let write = |item: &str| {
        let text = format!(
            "schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"datadog\"\nitem = {item}\nallow = [\"read\"]\n"
        );
        std::fs::write(folder.path().join("p.toml"), text).unwrap();
        PolicySet::load(folder.path()).map(|set| set.grants().next().unwrap().items().count())
    };
    assert_eq!(write("{ api_key = \"a\", app_key = \"b\" }").unwrap(), 2);
    let error = write("\"a\"").unwrap_err().to_string();
    assert!(error.contains("item = { api_key = \"SECRET\", app_key = \"SECRET\" }"), "{error}");
}

#[test]
fn defaults_of_several_files_meet() {
    let texts = [
        ("a.toml", "schema = 1\nkind = \"policy\"\n[defaults]\nunknown_host = \"deny\"\nttl = \"2h\"\n"),
        ("acme.toml", ACME),
        (
            "b.toml",
            "schema = 1\nkind = \"policy\"\n[defaults]\nunknown_host = \"tunnel\"\nttl = \"3h\"\n[[grant]]\n\
            service = \"acme\"\nitem = \"k\"\n",
        ),
    ];
    let set = PolicySet::of_texts(&texts).unwrap();
    assert_eq!(set.unknown_host(), UnknownHost::Deny);
    assert_eq!(set.grants().next().unwrap().ttl().unwrap().to_string(), "2h");
    assert_eq!(set_with("").unwrap().unknown_host(), UnknownHost::Tunnel);

    // The strictest of all files counts, whichever comes first.
    let with = |first: &str, second: &str| {
        let policy = |word: &str| format!("schema = 1\nkind = \"policy\"\n[defaults]\nunknown_host = \"{word}\"\n");
        PolicySet::of_texts(&[("a.toml", &policy(first)), ("b.toml", &policy(second))]).unwrap().unknown_host()
    };
    for (a, b, met) in [
        ("ask", "tunnel", UnknownHost::Ask),
        ("ask", "deny", UnknownHost::Deny),
        ("tunnel", "tunnel", UnknownHost::Tunnel),
    ] {
        assert_eq!((with(a, b), with(b, a)), (met, met), "{a}, {b}");
    }
}

#[test]
fn attack_87_a_project_can_ask_and_narrow_and_nothing_else() {
    let set = set_with("[[grant]]\nservice = \"acme\"\nitem = \"k\"\nallow = [\"read\"]\n").unwrap();
    let parse = |text: &str| set.parse_project("p.toml", &format!("schema = 1\nkind = \"project\"\n{text}\n"));
    let project = parse(
        "[[need]]\nservice = \"acme\"\ncaps = [\"read\"]\nwhy = \"tests\"\n[[narrow]]\n\
        service = \"acme\"\nonly = { project = [\"acme/web\"] }",
    )
    .unwrap();
    assert_eq!((project.needs.len(), project.narrows.len()), (1, 1));
    let asker = super::Asker { narrow: &project.narrows, ..ASKER };
    assert_eq!(ask(&set, &asker, "GET https://api.acme.example/v1/projects/acme/web").verdict, Verdict::Allow);
    assert_eq!(ask(&set, &asker, "GET https://api.acme.example/v1/projects/acme/api").verdict, Verdict::Deny);
    for text in [
        "[[grant]]\nservice = \"acme\"\nitem = \"k\"",
        "[host.api]\norigin = \"https://evil.example\"",
        "[[narrow]]\nservice = \"acme\"\nallow = [\"stream\"]",
        "[[narrow]]\nservice = \"acme\"\nunscoped = [\"read\"]",
        "[[narrow]]\nservice = \"acme\"\nitem = \"other\"",
        "[[narrow]]\nservice = \"acme\"\ndeny = [\"raed\"]",
        "[[narrow]]\nservice = \"acme\"\nonly = { projekt = [] }",
        "[[narrow]]\nservice = \"nope\"",
        "[defaults]\nttl = \"9h\"",
        "hook = \"rm\"",
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
    assert!(set.parse_project("p.toml", "schema = 1\nkind = \"policy\"\n").is_err());
}

#[test]
fn attack_88_links_pipes_and_large_files_are_no_policy() {
    let folder = tempfile::tempdir().unwrap();
    let real = folder.path().join("real.txt");
    std::fs::write(&real, "schema = 1\nkind = \"project\"\n").unwrap();
    let link = folder.path().join("link.toml");
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let set = set_with("").unwrap();
    let not_a_file = |errors: LoadErrors| errors.to_string().contains("not a regular file");
    assert!(not_a_file(set.read_project(&link).unwrap_err()));
    assert!(not_a_file(PolicySet::load(folder.path()).unwrap_err()));
    assert!(set.read_project(&real).is_ok());
    assert!(set.read_project(&folder.path().join("none")).is_err());
}

#[test]
fn a_check_goes_where_the_credential_goes_and_changes_nothing() {
    let check = r#"{ method = "GET", url = "https://api.acme.example/v1/me" }"#;
    for (to, words) in [
        (r#"{ method = "POST", url = "https://api.acme.example/v1/me" }"#, "`method` cannot be `POST`"),
        (r#"{ method = "GET" }"#, "has no `url`"),
        (r#"{ url = "http://api.acme.example/v1/me" }"#, "is no https URL"),
        (r#"{ url = "api.acme.example" }"#, "is no https URL"),
        (r#"{ url = "https:///v1/me" }"#, "is no https URL"),
        (r#"{ url = "https://u@api.acme.example/" }"#, "acme.example"),
        (r#"{ url = "https://evil.example/v1/me" }"#, "no `[[inject]]` writes `key`"),
        (r#"{ url = "https://api.acme.example:8443/v1/me" }"#, "no `[[inject]]` writes `key`"),
        (r#"{ url = "https://files.acme-cdn.example/v1/me" }"#, "no `[[inject]]` writes `key`"),
        (r#"{ url = "https://shop.acme.example/v1/me" }"#, "no `[[inject]]` writes `key`"),
        (r#"{ url = "https://api.acme.example/", body = "x" }"#, "unknown key `body`"),
        ("\"https://api.acme.example/\"", "`check` is"),
    ] {
        let all = service_faults(check, to);
        assert!(all.len() == 1 && all[0].contains(words), "{to}: {all:?}");
    }
    let all = service_faults("on_401 = \"rotate\"", "on_401 = \"retry\"");
    assert!(all.len() == 1 && all[0].contains("`on_401` cannot be `retry`"), "{all:?}");
}

#[test]
fn a_check_is_read_with_the_place_that_its_value_goes_to() {
    let set = PolicySet::of_texts(&[("acme.toml", ACME)]).unwrap();
    let service = set.services().find(|service| service.id().as_str() == "acme").unwrap();
    let (check, place) = service.check("key").unwrap();
    assert_eq!((check.method(), check.target(), check.authority().port), (&http::Method::GET, "/v1/me", 443));
    assert!(matches!(place, crate::recipe::Place::Header { name, .. } if name == "authorization"));
    assert_eq!(service.credential("key").unwrap().on_unauthorized(), crate::policy::OnUnauthorized::Rotate);
    assert!(service.check("no").is_none());
}

#[test]
fn a_file_full_of_overlaps_is_told_in_bounded_time_and_words() {
    let grant = "[[grant]]\nservice = \"acme\"\nitem = \"k\"\nallow = [\"read\"]\n";
    let policy = format!("schema = 1\nkind = \"policy\"\n{}", grant.repeat(10_000));
    let all = faults(&[("acme.toml", ACME), ("p.toml", &policy)]);
    assert!(
        all.len() == 100 && all[0].contains("overlaps with the one at p.toml:3;"),
        "{} {:?}",
        all.len(),
        all.first()
    );
}

#[test]
fn faults_of_prices_are_not_told_again_of_the_money_that_they_are_for() {
    let policy = "schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"acme\"\nitem = \"k\"\nallow = [\"read\"]\n\
        limit = { money = \"5.00/day\" }\n";
    let prices = "schema = 1\nkind = \"prices\"\n[[price]]\nservice = \"acme\"\ntokens = \"2.50\"\n";
    let of = |prices: &str| faults(&[("acme.toml", ACME), ("mine.toml", policy), ("prices.toml", prices)]);
    assert_eq!(of(prices), [""; 0]);
    let all = of(&prices.replace("kind", "kin"));
    assert_eq!(all, ["prices.toml:2:1: unknown key `kin` in the file; did you mean `kind`?"]);
    let all = of(&prices.replace("service", "servicce"));
    assert!(all.iter().all(|fault| fault.starts_with("prices.toml:4:1:")), "{all:?}");
}
