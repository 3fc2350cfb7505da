//! Tests of `[[test]]`: vectors that hold, vectors that do not, and vectors that are none.

use super::super::PolicySet;

const SERVICE: &str = r#"
schema = 1
kind   = "service"
id     = "forge"
name   = "Forge"
[host.api]
origin = "https://api.forge.example"
[param.repo]
about    = "owner/name"
segments = 2
[credential.key]
type = "token"
env  = ["FORGE_TOKEN"]
[[inject]]
host = "api"
use  = "key"
at   = [{ header = "authorization", as = ["Bearer {}", "token {}"] }]
[cap.read]
about = "Read"
risk  = "read"
allow = [{ method = "GET", path = "/repos/{repo}/**" }]
[cap.run]
about = "Run"
risk  = "spend"
allow = [{ method = "POST", path = "/run", json = { "/size" = "small" } }]
"#;

fn failed(vectors: &str) -> Vec<String> {
    let text = format!("{SERVICE}{vectors}");
    let set = PolicySet::of_texts(&[("forge.toml", &text)]).unwrap_or_else(|errors| panic!("{errors}"));
    let service = set.service(&"forge".parse().unwrap()).unwrap();
    assert_eq!(service.vectors(), vectors.matches("[[test]]").count());
    service.try_vectors().iter().map(ToString::to_string).collect()
}

#[test]
fn vectors_that_hold_say_nothing() {
    let vectors = r#"
[[test]]
send  = "GET https://api.forge.example/repos/a/b/issues?x=y"
gives = "read"
[[test]]
send  = "GET https://api.forge.example/repos/a/b/issues"
at    = { header = "authorization", as = "token {}" }
gives = "read"
[[test]]
send  = "POST https://api.forge.example/run"
json  = '{"size":"small"}'
gives = "run"
[[test]]
send = "POST https://api.forge.example/run"
json = '{"size":"large"}'
code = "cap_denied"
[[test]]
send = "GET https://api.forge.example/repos/a/b/issues"
only = { repo = ["c/*"] }
code = "out_of_scope"
[[test]]
send = "GET https://api.forge.example/repos/a/b/issues"
at   = { query = "key" }
code = "stray_lease"
[[test]]
send = "GET https://api.forge.example.evil.example/repos/a/b/issues"
code = "stray_lease"
[[test]]
send = "GET https://api.forge.example/repos/a/../b"
code = "bad_request"
"#;
    assert_eq!(failed(vectors), [""; 0]);
}

#[test]
fn vectors_that_do_not_hold_say_where_and_what_was_found() {
    let all = failed(
        "[[test]]\nsend = \"GET https://api.forge.example/repos/a/b/c\"\ngives = \"run\"\n\
         [[test]]\nsend = \"GET https://api.forge.example/repos/a/b/c\"\ncode = \"cap_denied\"\n\
         [[test]]\nsend = \"DELETE https://api.forge.example/repos/a/b\"\ngives = \"read\"\n",
    );
    let lines = SERVICE.matches('\n').count();
    let place = |line: usize| format!("forge.toml:{}", lines + line);
    let call = "GET https://api.forge.example/repos/a/b/c";
    let expected = [
        format!("{}: {call}: expected `run` to give it, found `read` to give it", place(1)),
        format!("{}: {call}: expected `cap_denied`, found `read` to give it", place(4)),
        format!(
            "{}: DELETE https://api.forge.example/repos/a/b: expected `read` to give it, found no capability to give it",
            place(7)
        ),
    ];
    assert_eq!(all, expected);
}

#[test]
fn vectors_say_what_is_withheld_from_an_answer() {
    let rules = "[scrub]\njson = [\"/**/url\"]\n[[issue]]\non = { path = \"/run\" }\nthen = \"scrub\"\ntake = [{ json = \"/key\" }]\n";
    let vector = |send: &str, withheld: &str| {
        format!(
            "[[test]]\nsend = \"{send}\"\njson = '{{\"size\":\"small\"}}'\nanswer = '{{\"key\":\"k\",\"a\":[{{\"url\":\"u\"}},\
                 {{\"url\":null}}]}}'\nwithheld = [{withheld}]\n"
        )
    };
    let (run, read) = ("POST https://api.forge.example/run", "GET https://api.forge.example/repos/a/b/c");
    let good = format!(
        "{}gives = \"run\"\n{}gives = \"read\"\n",
        vector(run, "\"/key\", \"/a/0/url\""),
        vector(read, "\"/a/0/url\"")
    );
    assert_eq!(failed(&format!("{rules}{good}")), [""; 0]);
    let bad = format!(
        "{}gives = \"run\"\n{}gives = \"read\"\n",
        vector(run, "\"/key\""),
        vector(read, "\"/a/0/url\", \"/key\"")
    );
    let told: Vec<String> = failed(&format!("{rules}{bad}"));
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].ends_with("expected `/key` to be withheld, found `/a/0/url`, `/key`"), "{told:?}");
    assert!(told[1].ends_with("expected `/a/0/url`, `/key` to be withheld, found `/a/0/url`"), "{told:?}");
    let without = failed(&format!("{}gives = \"read\"\n", vector(read, "\"/key\"")));
    assert!(without[0].ends_with("expected `/key` to be withheld, found nothing"), "{without:?}");
}

#[test]
fn vectors_that_are_none_are_faults() {
    for (vector, why) in [
        ("gives = \"read\"", "no `send`"),
        ("send = \"https://api.forge.example/\"\ngives = \"read\"", "is no request"),
        ("send = \"GET /repos\"\ngives = \"read\"", "is not a URL"),
        ("send = \"GET https://api.forge.example/\"", "either `gives` or `code`"),
        ("send = \"GET https://api.forge.example/\"\ngives = \"read\"\ncode = \"limit\"", "either `gives` or `code`"),
        ("send = \"GET https://api.forge.example/\"\ngives = \"reed\"", "did you mean `read`"),
        ("send = \"GET https://api.forge.example/\"\ncode = \"denied\"", "no code of a refusal"),
        ("send = \"GET https://api.forge.example/\"\ncode = \"limit\"\njson = \"{}\"\nform = \"a\"", "one body"),
        ("send = \"GET https://api.forge.example/\"\ncode = \"limit\"\nuse = \"kee\"", "no `[credential.kee]`"),
        ("send = \"GET https://api.forge.example/\"\ncode = \"limit\"\nonly = { rep = [] }", "no parameter `rep`"),
        ("send = \"GET https://api.forge.example/\"\ncode = \"limit\"\nwhy = \"x\"", "unknown key `why`"),
        ("send = \"GET https://api.forge.example/\"\ngives = \"read\"\nanswer = \"{}\"", "go together"),
        ("send = \"GET https://api.forge.example/\"\ngives = \"read\"\nwithheld = []", "go together"),
        ("send = \"GET https://api.forge.example/\"\ngives = []\nanswer = \"{}\"\nwithheld = []", "has no answer"),
        (
            "send = \"GET https://api.forge.example/\"\ncode = \"limit\"\nanswer = \"{}\"\nwithheld = []",
            "has no answer",
        ),
        ("send = \"GET https://api.forge.example/\"\ngives = \"read\"\nanswer = \"{\"\nwithheld = []", "is no JSON"),
        (
            "send = \"GET https://api.forge.example/\"\ngives = \"read\"\nanswer = \"{}\"\nwithheld = \"/a\"",
            "`/a` is not in `answer`",
        ),
        ("send = \"POST https://api.forge.example/\"\ncode = \"limit\"\npush = []", "a push names refs"),
    ] {
        let text = format!("{SERVICE}[[test]]\n{vector}\n");
        let errors = PolicySet::of_texts(&[("forge.toml", &text)]).unwrap_err().to_string();
        assert!(errors.contains(why), "{vector}: {errors}");
    }
}
