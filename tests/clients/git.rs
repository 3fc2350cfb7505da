//! Git itself through the proxy, against `git http-backend`: what may be fetched and pushed, and what git says when not.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    SHOW,
    hand::{Hand, SECRET},
    support::{Finished, GitRepos, Origin, Program, Speaks, TestCa, count, find_program},
};

const GIT_HOST: &str = "git.acme.test";

/// A forge whose pushes are told apart; `secrets add` grants what reads and writes.
const SERVICE: &str = r#"
schema = 1
kind   = "service"
id     = "forge"
name   = "Forge"
[host.git]
origin = "https://git.acme.test"
[param.repo]
about    = "folder/name"
segments = 2
[credential.token]
type = "token"
env  = ["GIT_TOKEN"]
[[inject]]
host    = "git"
use     = "token"
at      = [{ basic = "password" }]
missing = "pass"
[cap.fetch]
about = "Fetch"
risk  = "read"
allow = [{ git = "fetch", path = "/{repo}" }]
[cap.push-agent]
about = "Push below agent/"
risk  = "write"
allow = [{ git = "push", path = "/{repo}", ref = "refs/heads/agent/**", ref_delete = false }]
[cap.push]
about = "Push anywhere"
risk  = "admin"
allow = [{ git = "push", path = "/{repo}", ref_delete = false }]
"#;

/// What lets an agent fetch, and push to its own branches.
const AGENT: &str = "\"fetch\", \"push-agent\"";

/// A forge behind the proxy, with a repository `house`, and git under `secrets exec`.
struct Forge {
    repositories: GitRepos,
    origin: Origin,
    hand: Hand,
}

impl Forge {
    fn new(speaks: Speaks) -> Self {
        let repositories = GitRepos::new("agent", SECRET);
        repositories.create("house", "an empty house\n");
        let ca = TestCa::new();
        let origin = Origin::builder(ca.leaf_for(&[GIT_HOST])).speaks(speaks).git(&repositories).start();
        let hand = Hand::in_front_of(&ca, &origin, &[GIT_HOST]);
        Self { repositories, origin, hand }
    }

    /// The same with pushes told apart.
    fn told_apart(speaks: Speaks, allow: &str) -> Self {
        let forge = Self::new(speaks);
        let policies = forge.hand.home.join("policies");
        std::fs::create_dir_all(&policies).unwrap();
        std::fs::write(policies.join("forge.toml"), SERVICE).unwrap();
        let grant = format!(
            "schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"forge\"\nitem = \"git_token\"\nallow = [{allow}]\n"
        );
        std::fs::write(policies.join("mine.toml"), grant).unwrap();
        let (code, added) = forge.hand.envelope(&["add", "git_token", "--service", "forge"], SECRET.as_bytes());
        assert_eq!(code, 0, "{added}");
        forge
    }

    /// Runs a script in a clone of `house`; `git` there knows its token.
    fn run(&self, script: &str) -> Finished {
        let sh = find_program("sh").unwrap();
        let script = format!(
            "set -e; {SHOW}
             helper='!f() {{ echo username=agent; echo \"password=$GIT_TOKEN\"; }}; f'
             git() {{ command git -c credential.helper= -c credential.helper=\"$helper\" \\
                 -c user.name=A -c user.email=a@example.test \"$@\"; }}
             git clone --quiet https://{GIT_HOST}/git/house.git clone
             cd clone
             {script}"
        );
        let mut command = self.hand.command(&["exec", "--secret", "git_token=GIT_TOKEN", "--"]);
        command.arg(sh).args(["-c", &script]).env("HOME", &self.hand.work).env("GIT_CONFIG_NOSYSTEM", "1");
        let finished = Program::start(command.env("GIT_TERMINAL_PROMPT", "0")).finish();
        for said in [&finished.stdout, &finished.stderr] {
            assert_eq!(count(said.as_bytes(), SECRET.as_bytes()), 0, "git saw the credential: {said}");
        }
        finished
    }

    /// The bodies of the pushes that arrived, from the first ref on.
    fn pushes(&self) -> Vec<Vec<u8>> {
        let requests = self.origin.requests().into_iter();
        let pushes =
            requests.filter(|request| request.method == "POST" && request.target.ends_with("/git-receive-pack"));
        pushes.map(|request| request.body).collect()
    }
}

#[test]
fn git_clone_and_push_over_https() {
    let (Some(_), Some(_)) = (find_program("sh"), find_program("git")) else { return };
    let forge = Forge::new(Speaks::Both);
    let adding = ["add", "git_token", "--host", GIT_HOST, "--basic=password"];
    let (code, added) = forge.hand.envelope(&adding, SECRET.as_bytes());
    assert_eq!(code, 0, "{added}");
    let script = "echo 'a door' >> README.md
         git commit --quiet --all --message=door
         git push --quiet origin main
         cat README.md .git/config";
    let finished = forge.run(script).expect_success();
    assert!(finished.stdout.contains("lse_") && finished.stdout.contains("an empty house\na door\n"), "{finished:?}");
    assert_eq!(forge.repositories.show("house", "README.md"), "an empty house\na door\n");
    let basic = format!("Basic {}", STANDARD.encode(format!("agent:{SECRET}")));
    let requests = forge.origin.requests();
    assert!(requests.iter().any(|request| request.method == "POST"), "{requests:?}");
    for request in &requests {
        let sent = request.header("authorization");
        assert!(sent.is_none() || sent.as_deref() == Some(&basic), "{sent:?}");
        assert_eq!(request.count(b"lse_"), 0);
    }
    assert!(requests.iter().filter(|request| request.header("authorization").is_some()).count() >= 4);
}

#[test]
fn git_pushes_to_the_refs_that_are_allowed_and_says_why_not_to_others() {
    let (Some(_), Some(_)) = (find_program("sh"), find_program("git")) else { return };
    for speaks in [Speaks::Http1, Speaks::Both] {
        let forge = Forge::told_apart(speaks, AGENT);
        let made = "git checkout --quiet -b agent/door
             echo 'a door' >> README.md
             git commit --quiet --all --message=door
             git push --quiet origin agent/door";
        let _ = forge.run(&format!("{made}\ngit ls-remote origin agent/door")).expect_success();
        assert_eq!(forge.repositories.list("house"), ["refs/heads/agent/door", "refs/heads/main"]);
        let pushes = forge.pushes();
        let [only] = pushes.as_slice() else { panic!("{} pushes", pushes.len()) };
        assert_eq!((count(only, b"refs/heads/agent/door"), count(only, b"PACK")), (1, 1));

        for (push, refused) in [
            ("HEAD:refs/heads/main", "HEAD -> main"),
            ("HEAD:refs/heads/other", "HEAD -> other"),
            ("HEAD:refs/tags/v1", "HEAD -> v1"),
            ("--delete agent/door", "agent/door"),
            ("HEAD:refs/heads/agent/two HEAD:refs/heads/main", "HEAD -> main"),
        ] {
            std::fs::remove_dir_all(forge.hand.work.join("clone")).unwrap();
            let finished = forge.run(&format!(
                "echo 'a window' >> README.md\ngit commit --quiet --all --message=w\ngit push origin {push}"
            ));
            assert!(!finished.status.success(), "{push}");
            let said = &finished.stderr;
            for part in
                ["remote: no granted capability of `forge` allows", "[remote rejected]", refused, "(cap_denied)"]
            {
                assert!(said.contains(part), "{push}: {part}: {said}");
            }
            assert!(said.contains("remote: to mend it: secrets policy explain"), "{said}");
        }
        assert_eq!(forge.pushes().len(), 1, "the origin received no other pack");
        assert_eq!(forge.repositories.list("house"), ["refs/heads/agent/door", "refs/heads/main"]);
        assert_eq!(forge.repositories.show("house", "README.md"), "an empty house\n");
        assert_eq!(forge.hand.records_of("request_refused").len(), 5);
    }
}

#[test]
fn git_pushes_a_pack_that_is_larger_than_what_is_read_ahead() {
    let (Some(_), Some(_)) = (find_program("sh"), find_program("git")) else { return };
    let forge = Forge::told_apart(Speaks::Both, AGENT);
    // Longer than git's own buffer, so that it asks first and sends in chunks; longer than rules read ahead.
    let mut script = "git checkout --quiet -b agent/big\n".to_owned();
    writeln!(script, "head -c 3000000 /dev/urandom > big; git add big; git commit --quiet --message=big").unwrap();
    writeln!(script, "git push --quiet origin agent/big").unwrap();
    let _ = forge.run(&script).expect_success();
    assert_eq!(forge.repositories.list("house"), ["refs/heads/agent/big", "refs/heads/main"]);
    let pushes = forge.pushes();
    let [probe, large] = pushes.as_slice() else { panic!("{} pushes", pushes.len()) };
    assert_eq!(probe, b"0000");
    assert!(large.len() > 2 << 20, "{} bytes", large.len());

    std::fs::remove_dir_all(forge.hand.work.join("clone")).unwrap();
    // While it sends in chunks, git hears a status at most; over HTTP/1.1 it may only notice that nobody listens.
    for version in ["HTTP/1.1", "HTTP/2"] {
        let push = format!("git -c http.version={version} push --quiet origin HEAD:main || exit 9");
        let elsewhere = forge.run(&script.replace("git push --quiet origin agent/big", &push));
        assert_eq!(elsewhere.status.code(), Some(9), "{version}: {elsewhere:?}");
        assert!(elsewhere.stderr.contains("RPC failed; "), "{version}: {}", elsewhere.stderr);
        std::fs::remove_dir_all(forge.hand.work.join("clone")).unwrap();
    }
    assert_eq!(forge.pushes().iter().filter(|push| push.len() > 4).count(), 1, "the other pack never left");
}

#[test]
fn git_is_told_in_plain_text_that_it_may_not_push_at_all() {
    let (Some(_), Some(_)) = (find_program("sh"), find_program("git")) else { return };
    let forge = Forge::told_apart(Speaks::Both, "\"fetch\"");
    let finished = forge.run("git push origin HEAD:refs/heads/agent/x");
    assert!(!finished.status.success());
    assert!(finished.stderr.contains("remote: no granted capability of `forge` allows"), "{}", finished.stderr);
    assert!(finished.stderr.contains("info/refs?service=git-receive-pack'"), "{}", finished.stderr);
}
