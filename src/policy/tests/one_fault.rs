//! Tests that one mistake is told once, where it stands, and with what to write instead; and that no list or table that
//! names nothing means everything.

use super::{
    super::{LoadErrors, PolicySet},
    ACME,
};

fn told(errors: &LoadErrors) -> Vec<String> {
    errors.faults().iter().map(ToString::to_string).collect()
}

/// The faults of the template after one text was replaced.
fn faults(from: &str, to: &str) -> Vec<String> {
    assert!(ACME.contains(from), "{from}");
    let text = ACME.replacen(from, to, 1);
    PolicySet::of_texts(&[("acme.toml", &text)]).err().as_ref().map(told).unwrap_or_default()
}

fn assert_one(from: &str, cases: &[(&str, &str)]) {
    for (to, message) in cases {
        let all = faults(from, to);
        assert!(all.len() == 1 && all[0].contains(message), "{to}: {all:?}");
    }
}

#[test]
fn a_list_or_a_table_that_names_nothing_is_never_everything() {
    assert_one(
        "upgrade = \"websocket\" }",
        &[
            ("name = [] }", "`name` lists nothing, so the rule matches nothing; leave `name` out to match all"),
            ("query = {} }", "`query` names nothing to look at"),
            ("header = {} }", "`header` names nothing to look at"),
            ("json = {} }", "`json` names nothing to look at"),
            ("form = {} }", "`form` names nothing to look at"),
            ("query = { a = [] } }", "`a` lists nothing, so the rule matches nothing"),
        ],
    );
    let events = "host = \"api\", method = \"GET\", path = \"/v1/events\"";
    assert_one(events, &[("host = []", "`host` lists nothing; add `host = ")]);
    assert_one(
        "path = \"/v1/events\"",
        &[("path = []", "`path` lists nothing"), ("path = \"/v1//x\"", "empty segment")],
    );
    assert_one("host = \"tenant\"\nuse", &[("host = []\nuse", "`host` lists nothing; add `host = ")]);
    assert_one(
        "when = { path = [\"/{project}/info/refs\", \"/{project}/git-*-pack\"] }",
        &[
            ("when = { method = \"GET\", name = [] }", "`name` lists nothing, so the rule never fits"),
            ("when = { path = [] }", "`path` lists nothing, so the rule never fits"),
            ("when = {}", "`when` says nothing"),
        ],
    );
}

#[test]
fn a_value_that_is_no_text_is_told_how_it_is_written_as_one() {
    assert_one(
        "form = { kind = \"draft\" }",
        &[
            ("form = { kind = 5 }", "`kind` is integer; expected a text or a list of texts, such as `\"5\"`"),
            (
                "json = { \"/live\" = true }",
                "`/live` is boolean; expected a text or a list of texts, such as `\"true\"`",
            ),
        ],
    );
}

#[test]
fn a_place_that_is_none_is_told_once() {
    assert_one(
        "at   = [{ header = \"x-acme-key\" }]",
        &[
            (
                "at = [{ headr = \"x\", as = \"Bearer {}\" }]",
                "unknown key `headr` in an entry of `at`; did you mean `header`?",
            ),
            (
                "at = [{ basik = \"password\", user = \"x\" }]",
                "unknown key `basik` in an entry of `at`; did you mean `basic`?",
            ),
            ("at = [{ basic = \"pass\" }]", "`basic` cannot be `pass`"),
            ("at = [{ header = \"x y\" }]", "`x y` is no header name"),
            ("at = [{ header = \"x\", as = \"Bearer\" }]", "must contain `{}` exactly once"),
            ("at = [{ header = \"x\", as = [] }]", "`as` lists no wording; leave `as` out"),
            ("at = [{ json = \"/a~2\" }]", "is no JSON pointer to one string"),
            ("at = [{ header = \"x\", query = \"y\" }]", "a place names exactly one of"),
            ("at = [{}]", "a place names exactly one of"),
            ("at = []", "this `[[inject]]` has no usable place; add `at = "),
            ("", "this `[[inject]]` has no usable place; add `at = "),
        ],
    );
}

#[test]
fn an_origin_that_is_none_is_told_as_it_would_be_one() {
    for (origin, message) in [
        ("https://API.acme.example", "did you mean `https://api.acme.example`?"),
        ("https://api.acme.example.", "did you mean `https://api.acme.example`?"),
        ("HTTPS://api.acme.example", "did you mean `https://api.acme.example`?"),
        ("wss://api.acme.example", "did you mean `https://api.acme.example`?"),
        ("api.acme.example", "did you mean `https://api.acme.example`?"),
        ("https://api.acme.example/v1", "did you mean `https://api.acme.example`?"),
        ("https://me@api.acme.example:8443/", "did you mean `https://api.acme.example:8443`?"),
        ("https://bücher.example", "did you mean `https://xn--bcher-kva.example`?"),
        ("https://api.acme.example:+443", "has no usable port"),
        (
            "https://[::1]:8443",
            "`[::1]:8443` is an address, and no address gets a credential; write the name of the host",
        ),
        ("https://10.0.0.1", "is an address, and no address gets a credential"),
        ("https://*.com", "is too wide"),
    ] {
        assert_one("\"https://api.acme.example\"            #", &[(&format!("\"{origin}\" #"), message)]);
    }
    for (except, message) in [
        ("WWW.acme.example", "did you mean `www.acme.example`?"),
        ("https://www.acme.example", "did you mean `www.acme.example`?"),
        ("10.0.0.1", "write it like `www.example.com`"),
    ] {
        assert_one("[\"www.acme.example\"]", &[(&format!("[\"{except}\"]"), message)]);
    }
}

#[test]
fn rules_that_could_not_do_what_they_say_are_faults() {
    let unseen = "nobody looks into the messages of a WebSocket";
    assert_one(
        "upgrade = \"websocket\" }",
        &[
            ("upgrade = \"websocket\", graphql = { operation = \"query\" } }", unseen),
            ("upgrade = \"websocket\", json = { \"/a\" = \"b\" } }", unseen),
            ("body_max = \"64\" }", "`64` is no size; write it with its unit"),
        ],
    );
    let deny = "deny = [{ host = \"api\", path = \"/v1/projects/*/*/keys/**\" }]";
    assert_one(
        deny,
        &[("deny = [{ path = \"/v1/keys\", body_max = \"1KiB\" }]", "takes away whatever the length; leave it out")],
    );
    assert_eq!(faults(deny, "deny = [{ json = { \"/a\" = \"b\" }, body_max = \"1KiB\" }]"), [""; 0]);
}

#[test]
fn a_default_that_is_none_is_told_with_what_was_meant() {
    let with = |defaults: &str| {
        let policy = format!("schema = 1\nkind = \"policy\"\n[defaults]\n{defaults}\n");
        PolicySet::of_texts(&[("acme.toml", ACME), ("p.toml", &policy)]).err().as_ref().map(told).unwrap_or_default()
    };
    for word in ["deny", "ask", "tunnel"] {
        assert_eq!(with(&format!("unknown_host = \"{word}\"\nttl = \"1h\"\nscrub = \"on\"")), [""; 0]);
    }
    for (defaults, message) in [
        ("scrub = \"off\"", "always scrubbed; write `scrub = \"on\"`"),
        ("unknown_host = \"sak\"", "did you mean `ask`?"),
        ("unknown_host = \"dney\"", "did you mean `deny`?"),
    ] {
        let all = with(defaults);
        assert!(all.len() == 1 && all[0].contains(message), "{defaults}: {all:?}");
    }
}

#[test]
fn a_file_that_cannot_be_read_makes_its_grants_no_fault() {
    let policy = "schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"acme\"\nitem = \"k\"\nallow = [\"read\"]\n";
    let need = "schema = 1\nkind = \"project\"\n[[need]]\nservice = \"acme\"\ncaps = []\n";
    let load = |name: &str, bytes: &[u8]| {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path(name), bytes).unwrap();
        std::fs::write(path("p.toml"), policy).unwrap();
        std::fs::write(path("project"), need).unwrap();
        let whole = told(&PolicySet::load(folder.path()).unwrap_err());
        (whole, told(&PolicySet::check_project(folder.path(), &path("project")).unwrap_err()))
    };
    let latin = [ACME.as_bytes(), b"# \xff\n"].concat();
    let broken = ACME.replace("id      = \"acme\"", "id      = acme");
    for (bytes, message) in [(&latin[..], "is not UTF-8"), (broken.as_bytes(), "must be quoted")] {
        for name in ["acme.toml", "mine.toml"] {
            let (all, with_project) = load(name, bytes);
            assert!(!all.is_empty() && all.iter().all(|fault| fault.contains(name)), "{all:?}");
            assert!(all.iter().any(|fault| fault.contains(message)), "{all:?}");
            assert_eq!(with_project, all, "nor the needs of a project");
        }
    }
    // Another kind of file is none of a service.
    let (all, _) = load("q.toml", b"schema = 1\nkind = \"policy\"\n[[grant]\n");
    assert!(all.iter().any(|fault| fault.contains("there is no service `acme`")), "{all:?}");
}
