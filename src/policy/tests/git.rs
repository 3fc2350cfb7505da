//! Tests of rules about git over HTTPS. The bodies are what git 2.39 sent to `git http-backend`.

use std::cell::RefCell;

use http::HeaderMap;

use super::super::{
    Body, Content, Decision, LeaseFacts, Peek, PolicySet, Protocol, RequestFacts, Until, Verdict, catalogue::CATALOGUE,
};
use crate::base::{Authority, RefusalCode, Scheme};

const PUSH: &str = "application/x-git-receive-pack-request";

/// `git push origin main` into an empty repository.
const MAIN: &[u8] = b"00af0000000000000000000000000000000000000000 a4e229a511e52b0e2121e18f7540382dd4f71053 \
    refs/heads/main\0 report-status-v2 side-band-64k quiet object-format=sha1 agent=git/2.39.50000PACK\0\0\0\x02";
/// `git push origin agent/x v1 v2`.
const SEVERAL: &[u8] = b"00b20000000000000000000000000000000000000000 a4e229a511e52b0e2121e18f7540382dd4f71053 \
    refs/heads/agent/x\0 report-status-v2 side-band-64k quiet object-format=sha1 agent=git/2.39.5\
    00620000000000000000000000000000000000000000 a4e229a511e52b0e2121e18f7540382dd4f71053 refs/tags/v1\
    00620000000000000000000000000000000000000000 497103a451165f2a317a739b7a25303515914ca1 refs/tags/v20000PACK";
/// `git push --force origin main`.
const FORCE: &[u8] = b"00af4d388a0a16796c566e1dee1dabedc83f17771702 de9a2fcf306cba8cec03cb08efd88ea0aa5320a5 \
    refs/heads/main\0 report-status-v2 side-band-64k quiet object-format=sha1 agent=git/2.39.50000PACK";
/// `git push origin :agent/x main:main2`.
const DELETE_AND_MAKE: &[u8] =
    b"00b2a4e229a511e52b0e2121e18f7540382dd4f71053 0000000000000000000000000000000000000000 \
    refs/heads/agent/x\0 report-status-v2 side-band-64k quiet object-format=sha1 agent=git/2.39.5\
    00660000000000000000000000000000000000000000 de9a2fcf306cba8cec03cb08efd88ea0aa5320a5 refs/heads/main20000PACK";
/// `git push --delete origin v1`.
const DELETE: &[u8] = b"00aca4e229a511e52b0e2121e18f7540382dd4f71053 0000000000000000000000000000000000000000 \
    refs/tags/v1\0 report-status-v2 side-band-64k quiet object-format=sha1 agent=git/2.39.50000";
/// `git push -o merge=yes origin main`.
const OPTIONS: &[u8] = b"00bca4e229a511e52b0e2121e18f7540382dd4f71053 4d388a0a16796c566e1dee1dabedc83f17771702 \
    refs/heads/main\0 report-status-v2 side-band-64k quiet push-options object-format=sha1 agent=git/2.39.5\
    0000000dmerge=yes0000PACK";
/// `git push origin agent/y` out of a shallow clone.
const SHALLOW: &[u8] = b"0035shallow b8ad2f522f4ddadadc1c8caed0e0a475b0dc7677\n\
    00b20000000000000000000000000000000000000000 e8d8d07c902574890651913e577ffd328232dfe1 \
    refs/heads/agent/y\0 report-status-v2 side-band-64k quiet object-format=sha1 agent=git/2.39.50000PACK";
/// `git push URL main:x` and then `:x` in a repository with SHA-256.
const SHA256: &[u8] = b"00de0000000000000000000000000000000000000000000000000000000000000000 \
    3a526245750a7795a59ee2d44f6a3fcf1c64100f31d0f1b6f7177917dd0886d6 \
    refs/heads/x\0 report-status-v2 side-band-64k quiet object-format=sha256 agent=git/2.39.50000PACK";
const SHA256_DELETE: &[u8] = b"00de3a526245750a7795a59ee2d44f6a3fcf1c64100f31d0f1b6f7177917dd0886d6 \
    0000000000000000000000000000000000000000000000000000000000000000 \
    refs/heads/x\0 report-status-v2 side-band-64k quiet object-format=sha256 agent=git/2.39.50000";
/// What git asks before it sends a large pack in chunks.
const PROBE: &[u8] = b"0000";

const SERVICE: &str = r#"
schema = 1
kind   = "service"
id     = "forge"
name   = "Forge"
[host.git]
origin = "https://forge.example"
[param.repo]
about    = "owner/name"
segments = 2
[credential.key]
type = "token"
[[inject]]
host = "git"
use  = "key"
at   = [{ basic = "password" }]
[cap.fetch]
about = "Fetch"
risk  = "read"
allow = [{ git = "fetch", path = "/{repo}" }]
[cap.push]
about = "Push"
risk  = "write"
allow = [{ git = "push", path = "/{repo}" }]
[cap.agent]
about = "Push below agent/"
risk  = "write"
allow = [{ git = "push", path = "/{repo}", ref = ["refs/heads/agent/**", "refs/tags/v*"] }]
deny  = [{ git = "push", ref_delete = true }]
[cap.make]
about = "Push without deletion"
risk  = "write"
allow = [{ git = "push", path = "/{repo}", ref_delete = false }]
[cap.delete]
about = "Delete"
risk  = "destroy"
allow = [{ git = "push", path = "/{repo}", ref_delete = true }]
[cap.lfs]
about = "Large files"
risk  = "write"
allow = [{ git = "lfs", path = "/{repo}" }]
[cap.main]
about = "Anything to main"
risk  = "admin"
allow = [{ git = "push", ref = "refs/heads/main" }]
[cap.all]
about = "Everything"
risk  = "admin"
allow = [{ method = ["GET", "POST"], path = "/**" }]
"#;

fn set(lists: &str) -> PolicySet {
    of(SERVICE, "forge", lists)
}

fn of(service: &str, id: &str, lists: &str) -> PolicySet {
    let policy = format!("schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"{id}\"\nitem = \"k\"\n{lists}\n");
    PolicySet::of_texts(&[("s.toml", service), ("mine.toml", &policy)]).unwrap_or_else(|errors| panic!("{errors}"))
}

/// What is sent to a service.
struct Sent<'a> {
    service: (&'a str, &'a str, &'a str),
    call: &'a str,
    fields: RefCell<Vec<(&'static str, &'a str)>>,
    body: Option<&'a [u8]>,
}

const FORGE: (&str, &str, &str) = ("forge", "key", "forge.example");
const GITHUB: (&str, &str, &str) = ("github", "token", "github.com");

impl<'a> Sent<'a> {
    fn to(service: (&'a str, &'a str, &'a str), call: &'a str) -> Self {
        Self { service, call, fields: RefCell::default(), body: None }
    }

    fn field(self, name: &'static str, value: &'a str) -> Self {
        self.fields.borrow_mut().push((name, value));
        self
    }

    fn with<T>(&self, look: impl FnOnce(&LeaseFacts<'_>, &RequestFacts<'_>) -> T) -> T {
        let (id, credential, host) = self.service;
        let (method, target) = self.call.split_once(' ').unwrap();
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let mut headers = HeaderMap::new();
        for (name, value) in self.fields.borrow().iter() {
            headers.append(*name, value.parse().unwrap());
        }
        let body = self.body.map_or_else(Body::unread, |body| Body::front(body.to_vec().into(), &headers));
        let (service, secret, client) = (id.parse().unwrap(), "k".parse().unwrap(), "codex".parse().unwrap());
        let lease = LeaseFacts {
            service: &service,
            credential,
            secret: &secret,
            client: &client,
            project: None,
            environment: None,
            narrow: &[],
        };
        let authority = Authority::parse(host, Some(443)).unwrap();
        let content = Content { query, headers: &headers, body: &body };
        let (scheme, protocol) = (Scheme::Https, Protocol::Http);
        look(&lease, &RequestFacts { scheme, authority: &authority, method, path, protocol, content })
    }

    fn judge(&self, set: &PolicySet) -> Decision {
        self.with(|lease, request| set.decide(lease, request))
    }
}

fn push<'a>(service: (&'a str, &'a str, &'a str), body: &'a [u8]) -> Sent<'a> {
    let sent = Sent::to(service, "POST /acme/web.git/git-receive-pack").field("content-type", PUSH);
    Sent { body: Some(body), ..sent }
}

fn pushed(set: &PolicySet, body: &[u8]) -> Verdict {
    push(FORGE, body).judge(set).verdict
}

const REFS_OF_PUSH: &str = "GET /acme/web.git/info/refs?service=git-receive-pack";
const REFS_OF_FETCH: &str = "GET /acme/web/info/refs?service=git-upload-pack";

#[test]
fn each_service_has_its_requests_and_no_others() {
    let fetch = "application/x-git-upload-pack-request";
    let lfs = "application/vnd.git-lfs+json";
    for (capability, call, kind) in [
        ("fetch", REFS_OF_FETCH, ""),
        ("fetch", "POST /acme/web.git/git-upload-pack", fetch),
        ("push", REFS_OF_PUSH, ""),
        ("push", "POST /acme/web/git-receive-pack", PUSH),
        ("lfs", "POST /acme/web.git/info/lfs/objects/batch", lfs),
        ("lfs", "POST /acme/web.git/info/lfs/objects/batch", "application/vnd.git-lfs+json; charset=utf-8"),
        ("lfs", "GET /acme/web.git/info/lfs/locks?path=a", ""),
        ("lfs", "POST /acme/web/info/lfs/locks/verify", lfs),
        ("lfs", "POST /acme/web/info/lfs/locks/7/unlock", lfs),
        ("", "GET /acme/web.git/info/refs", ""),
        ("", "GET /acme/web.git/info/refs?service=git-upload-archive", ""),
        ("", "GET /acme/web.git/info/refs?service=git-upload-pack&service=git-receive-pack", ""),
        ("", "GET /acme/web.git/info/refs?x=1&service=git-upload-pack", ""),
        ("", "POST /acme/web.git/info/refs?service=git-upload-pack", ""),
        ("", "GET /acme/web.git/git-upload-pack", fetch),
        ("", "POST /acme/web.git/git-upload-pack", PUSH),
        ("", "POST /acme/web.git/git-upload-pack", "text/plain"),
        ("", "POST /acme/web.git/git-receive-pack", fetch),
        ("", "POST /acme/web.git/git-receive-pack/", PUSH),
        ("", "POST /acme/web.git/GIT-RECEIVE-PACK", PUSH),
        ("", "POST /acme/git-receive-pack", PUSH),
        ("", "POST /acme/.git/git-receive-pack", PUSH),
        ("", "POST /acme/web/x/git-receive-pack", PUSH),
        ("", "GET /acme/web.git/HEAD", ""),
        ("", "POST /acme/web.git/info/lfs/objects/batch", "application/json"),
        ("", "PUT /acme/web.git/info/lfs/locks", lfs),
        ("", "POST /acme/web.git/info/lfs/locks//unlock", lfs),
        ("", "POST /acme/web.git/info/lfs/other", lfs),
    ] {
        for name in ["fetch", "push", "lfs"] {
            let granted = set(&format!("allow = [\"{name}\"]"));
            let sent = Sent::to(FORGE, call);
            let sent = if kind.is_empty() { sent } else { sent.field("content-type", kind) };
            let allowed = sent.judge(&granted).verdict == Verdict::Allow;
            assert_eq!(allowed, name == capability, "{name}: {call} {kind}");
        }
    }
}

#[test]
fn a_push_gives_when_all_its_commands_fit() {
    let verdicts = |capability: &str| {
        let set = set(&format!("allow = [\"{capability}\"]"));
        [MAIN, SEVERAL, FORCE, DELETE_AND_MAKE, DELETE, OPTIONS, SHALLOW, SHA256, SHA256_DELETE, PROBE]
            .map(|body| pushed(&set, body) == Verdict::Allow)
    };
    //                  main  several force  mixed  delete options shallow sha256 deletes probe
    let (y, n) = (true, false);
    assert_eq!(verdicts("push"), [y, y, y, y, y, y, y, y, y, y]);
    assert_eq!(verdicts("agent"), [n, y, n, n, n, n, y, n, n, y]);
    assert_eq!(verdicts("make"), [y, y, y, n, n, n, y, y, n, y]);
    assert_eq!(verdicts("delete"), [n, n, n, n, y, n, n, n, y, y]);
    assert_eq!(verdicts("main"), [y, n, y, n, n, n, n, n, n, y]);
}

#[test]
fn what_cannot_be_read_as_commands_gives_nothing_to_a_rule_that_looks() {
    let (agent, whole) = (set("allow = [\"agent\"]"), set("allow = [\"push\"]"));
    let cut = &SEVERAL[..SEVERAL.len() - 8]; // without its flush
    for body in [&b""[..], b"PACK", cut, b"0000000", &MAIN[44..]] {
        let probe = body == b"0000000"; // a flush, and something after it that nobody looks at
        assert_eq!(pushed(&agent, body) == Verdict::Allow, probe, "{:?}", body.escape_ascii().to_string());
        assert_eq!(pushed(&whole, body), Verdict::Allow, "nothing is asked of the body");
    }
    let coded = push(FORGE, SEVERAL).field("content-encoding", "gzip");
    assert_eq!(coded.judge(&agent).verdict, Verdict::Deny);
    let cert = b"0014push-cert\0 atomic0000";
    assert_eq!(pushed(&agent, cert), Verdict::Deny);
}

#[test]
fn what_takes_a_push_away_sees_every_command() {
    let guarded = set("allow = [\"push\"]\ndeny = [\"main\"]");
    assert_eq!(pushed(&guarded, SEVERAL), Verdict::Allow);
    assert_eq!(pushed(&guarded, DELETE), Verdict::Allow);
    assert_eq!(pushed(&guarded, PROBE), Verdict::Allow);
    assert_eq!(Sent::to(FORGE, REFS_OF_PUSH).judge(&guarded).verdict, Verdict::Allow, "names no ref");
    for taken in [MAIN, FORCE, OPTIONS, b"", b"PACK", &MAIN[..40], b"0014push-cert\0 atomic0000"] {
        assert_eq!(pushed(&guarded, taken), Verdict::Deny, "{:?}", taken.escape_ascii().to_string());
    }
    let upper = String::from_utf8_lossy(MAIN).replace("refs/heads/main", "refs/heads/MAIN");
    assert_eq!(pushed(&guarded, upper.as_bytes()), Verdict::Deny);
    let odd = Sent { call: "POST /acme/web.git/GIT-receive-pack;x=1", ..push(FORGE, MAIN) };
    let anything = set("allow = [\"all\"]\ndeny = [\"main\"]");
    assert_eq!(odd.judge(&anything).verdict, Verdict::Deny, "however the path is written");
    let unread = Sent { body: None, ..push(FORGE, MAIN) };
    assert_eq!(unread.judge(&anything).verdict, Verdict::Deny);
    assert_eq!(Sent::to(FORGE, "GET /acme/web/info/refs").judge(&anything).verdict, Verdict::Allow);

    let no_push = set("allow = [\"all\"]\ndeny = [\"push\"]");
    for call in [
        REFS_OF_PUSH,
        "GET /acme/web/info/refs?SERVICE=git-receive-pack",
        "GET /acme/web/info/refs?service=git-upload-pack;service=Git-Receive-Pack",
        "GET /acme/web/info/refs?service=%zz",
        "POST /acme/web/Git-Receive-Pack",
    ] {
        assert_eq!(Sent::to(FORGE, call).judge(&no_push).verdict, Verdict::Deny, "{call}");
    }
    assert_eq!(Sent::to(FORGE, REFS_OF_FETCH).judge(&no_push).verdict, Verdict::Allow);
}

#[test]
fn the_requests_before_a_push_give_wherever_some_push_could() {
    for (lists, expected) in [
        ("allow = [\"agent\"]", Verdict::Allow),
        ("allow = [\"make\"]\nask = [\"delete\"]", Verdict::Allow),
        ("ask = [\"delete\"]", Verdict::Ask),
        ("allow = [\"make\"]\ndeny = [\"delete\", \"main\"]", Verdict::Allow),
        ("allow = [\"fetch\"]\ndeny = [\"delete\"]", Verdict::Deny),
        ("allow = [\"make\"]\ndeny = [\"push\"]", Verdict::Deny),
        ("allow = [\"make\"]\nonly = { repo = [\"acme/web\"] }", Verdict::Allow),
        ("allow = [\"make\"]\nonly = { repo = [\"acme/other\"] }", Verdict::Deny),
    ] {
        let set = set(lists);
        assert_eq!(Sent::to(FORGE, REFS_OF_PUSH).judge(&set).verdict, expected, "{lists}");
        assert_eq!(pushed(&set, PROBE), expected, "{lists}");
    }
    let asks = set("allow = [\"make\"]\nask = [\"delete\"]");
    assert_eq!(pushed(&asks, MAIN), Verdict::Allow);
    assert_eq!(pushed(&asks, DELETE), Verdict::Ask);
    assert_eq!(pushed(&asks, DELETE_AND_MAKE), Verdict::Deny, "no one rule gives both");
}

#[test]
fn only_a_push_whose_refs_matter_is_read_and_only_to_its_flush() {
    let front = Some(Peek { most: Peek::MOST, until: Until::Flush });
    let peek = |lists: &str, sent: Sent<'_>| sent.with(|lease, request| set(lists).peek(lease, request));
    let unread = || Sent { body: None, ..push(FORGE, b"") };
    assert_eq!(peek("allow = [\"agent\"]", unread()), front);
    assert_eq!(peek("allow = [\"push\"]\nask = [\"main\"]", unread()), front);
    assert_eq!(peek("allow = [\"push\"]", unread()), None);
    assert_eq!(peek("allow = [\"agent\"]", Sent::to(FORGE, REFS_OF_PUSH)), None);
    assert_eq!(peek("allow = [\"agent\"]", Sent::to(FORGE, REFS_OF_FETCH)), None);
    let told = unread().judge(&set("allow = [\"agent\"]"));
    assert!(told.reason.contains("only if its body fits"), "{}", told.reason);
    let untyped = Sent::to(FORGE, "POST /acme/web/git-upload-pack").judge(&set("allow = [\"fetch\"]"));
    assert!(untyped.reason.contains("only if its body fits"), "{}", untyped.reason);
    let refused = push(FORGE, MAIN).judge(&set("allow = [\"agent\"]"));
    assert_eq!(refused.nearest.as_deref(), Some("`git push /{repo}` (capability `agent`)"));
}

#[test]
fn github_tells_pushes_apart() {
    let file = CATALOGUE.iter().find(|(name, _)| *name == "github.toml").unwrap().1;
    let covering = |sent: &Sent<'_>| {
        let named = ["read", "push", "push-agent", "push-delete", "lfs"];
        let gives =
            |name: &&str| sent.judge(&of(file, "github", &format!("allow = [\"{name}\"]"))).verdict == Verdict::Allow;
        named.into_iter().filter(gives).collect::<Vec<_>>()
    };
    assert_eq!(covering(&push(GITHUB, MAIN)), ["push"]);
    assert_eq!(covering(&push(GITHUB, SHALLOW)), ["push", "push-agent"]);
    assert_eq!(covering(&push(GITHUB, DELETE)), ["push-delete"]);
    assert_eq!(covering(&push(GITHUB, DELETE_AND_MAKE)), [""; 0]);
    let batch = |body: &'static str| {
        let sent = Sent::to(GITHUB, "POST /acme/web.git/info/lfs/objects/batch");
        let sent = sent.field("content-type", "application/vnd.git-lfs+json");
        Sent { body: Some(body.as_bytes()), ..sent }
    };
    let whole = |body: &'static str, name: &str| {
        let granted = of(file, "github", &format!("allow = [\"{name}\"]"));
        let sent = batch(body);
        let headers = {
            let mut headers = HeaderMap::new();
            headers.append("content-type", "application/vnd.git-lfs+json".parse().unwrap());
            headers
        };
        let read = Body::read(body.into(), &headers);
        sent.with(|lease, request| {
            let content = Content { body: &read, ..request.content };
            granted.decide(lease, &RequestFacts { content, ..*request }).verdict
        })
    };
    let (down, up) = (r#"{"operation":"download","objects":[]}"#, r#"{"operation":"upload","objects":[]}"#);
    assert_eq!((whole(down, "read"), whole(down, "lfs")), (Verdict::Allow, Verdict::Deny));
    assert_eq!((whole(up, "read"), whole(up, "lfs")), (Verdict::Deny, Verdict::Allow));
    let default = of(file, "github", "allow = [\"read\", \"push\"]\nask = [\"push-delete\"]");
    assert_eq!(push(GITHUB, MAIN).judge(&default).verdict, Verdict::Allow);
    assert_eq!(push(GITHUB, DELETE).judge(&default).code, Some(RefusalCode::NeedsApproval));
}

#[test]
fn git_rules_that_can_match_nothing_are_faults() {
    for (rule, why) in [
        ("{ git = \"pull\" }", "`git` cannot be `pull`"),
        ("{ git = [] }", "lists nothing"),
        ("{ git = \"fetch\", ref = \"refs/heads/x\" }", "beside `git = \"push\"` alone"),
        ("{ git = [\"push\", \"lfs\"], ref_delete = false }", "beside `git = \"push\"` alone"),
        ("{ path = \"/x\", ref_delete = true }", "beside `git = \"push\"` alone"),
        ("{ git = \"push\", ref = [] }", "lists nothing"),
        ("{ git = \"push\", ref = \"main\" }", "refs begin with `refs/`"),
        ("{ git = \"push\", ref = \"refs/heads/{repo}\" }", "shows no parameter"),
        ("{ git = \"push\", ref_delete = \"yes\" }", "`ref_delete` is string"),
        ("{ git = \"push\", method = \"POST\" }", "`method` follows from `git`"),
        ("{ git = \"push\", path = \"/{repo}.git\" }", "leave `.git` out"),
        ("{ git = \"push\", path = \"/{repo}/git-receive-pack\" }", "leave `/git-receive-pack` out"),
    ] {
        let service = SERVICE.replace("[{ method = [\"GET\", \"POST\"], path = \"/**\" }]", &format!("[{rule}]"));
        let errors = PolicySet::of_texts(&[("forge.toml", &service)]).unwrap_err().to_string();
        assert!(errors.contains(why), "{rule}: {errors}");
    }
}
