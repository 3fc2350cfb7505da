//! Real programs under `secrets exec`, against a local TLS origin: the origin gets the real credential, once and at its
//! place; the program's environment, command line and output hold lease tokens only.
//!
//! No name service knows the hosts, so an answer proves that the client went through the proxy. A program that this
//! machine does not have is passed over, with a line that says so, unless it is required.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod git;
#[path = "../hand/mod.rs"]
mod hand;
mod proof;
#[path = "../support/mod.rs"]
mod support;

use std::path::Path;

use hand::{Hand, SECRET};
use support::{Finished, Origin, Program, REQUIRED, Speaks, TestCa, count, find_program, skip};

const HOST: &str = "api.acme.test";

/// What every program is told to do before its request, so that its surroundings can be looked at.
const SHOW: &str = "tr '\\0' '\\n' < /proc/self/environ; env;";

struct World {
    origin: Origin,
    hand: Hand,
}

impl World {
    /// A world whose origin speaks this.
    fn new(speaks: Speaks) -> Self {
        let ca = TestCa::new();
        let origin = Origin::builder(ca.leaf_for(&[HOST])).speaks(speaks).start();
        let hand = Hand::in_front_of(&ca, &origin, &[HOST]);
        hand.acme(HOST);
        Self { origin, hand }
    }

    /// Runs a program that finds its token in `ACME_KEY`.
    fn exec(&self, program: &Path, arguments: &[&str]) -> Finished {
        let mut command = self.hand.command(&["exec", "--secret", "acme_key=ACME_KEY", "--"]);
        Program::start(command.arg(program).args(arguments)).finish().expect_success()
    }

    /// What must hold after every client: see the top of this file.
    fn check(&self, finished: &Finished, path: &str) {
        for said in [&finished.stdout, &finished.stderr] {
            assert_eq!(count(said.as_bytes(), SECRET.as_bytes()), 0, "the program saw the credential: {said}");
        }
        assert!(finished.stdout.contains("lse_"), "it shows its token: {}", finished.stdout);
        let requests = self.origin.requests();
        let ours: Vec<_> = requests.iter().filter(|request| request.target == path).collect();
        let [request] = ours.as_slice() else { panic!("{} requests to `{path}`", ours.len()) };
        assert_eq!(request.header("authorization").unwrap(), format!("Bearer {SECRET}"));
        assert_eq!((request.count(SECRET.as_bytes()), request.count(b"lse_")), (1, 0));
        // The proxy may hear of the end a moment after the client has it.
        support::until_blocking("the end is recorded", || {
            self.hand.records_of("request_ended").len() == requests.len()
        });
        for record in self.hand.records_of("request_ended") {
            assert_eq!((record.outcome.as_deref(), record.status), (Some("ok"), Some(200)), "{record:?}");
        }
        let log = self.hand.read("audit.log");
        assert_eq!((count(&log, SECRET.as_bytes()), count(&log, b"lse_")), (0, 0), "the record tells no secret");
    }
}

#[test]
fn curl_over_http1_and_http2() {
    let (Some(sh), Some(_)) = (find_program("sh"), find_program("curl")) else { return };
    for (speaks, flag, version, path) in [
        (Speaks::Http1, "--http1.1", "1.1", "/echo"),
        (Speaks::Http1, "--http2", "2", "/echo?two"),
        (Speaks::Http2, "--http1.1", "1.1", "/echo?three"),
        (Speaks::Http2, "--http2", "2", "/echo?four"),
    ] {
        let world = World::new(speaks);
        let script = format!(
            "{SHOW} curl --silent --show-error --fail {flag} -w 'over %{{http_version}}.' \\
                 -H \"Authorization: Bearer $ACME_KEY\" 'https://{HOST}{path}' &
             tr '\\0' ' ' < /proc/$!/cmdline; wait $!"
        );
        let finished = world.exec(&sh, &["-c", &script]);
        world.check(&finished, path);
        assert!(finished.stdout.contains("\"credential\":\"lse_"), "the echo names the token: {}", finished.stdout);
        assert!(finished.stdout.contains(&format!("over {version}.")), "{}", finished.stdout);
    }
}

#[test]
fn python_with_requests_and_httpx() {
    let Some(python) = find_program("python3") else { return };
    let world = World::new(Speaks::Both);
    let show = "import os, sys\nprint(dict(os.environ), open('/proc/self/cmdline').read())\n\
                key = {'Authorization': 'Bearer ' + os.environ['ACME_KEY']}\n";
    let clients = [
        ("requests", "/echo", "requests.get(url, headers=key)"),
        ("httpx", "/echo?httpx", "httpx.get(url, headers=key)"),
        ("httpx", "/echo?httpx2", "httpx.Client(http2=True).get(url, headers=key)"),
    ];
    for (module, path, call) in clients {
        let has = Program::start(std::process::Command::new(&python).args(["-c", &format!("import {module}")]));
        if !has.finish().status.success() {
            skip(module, &format!("python has no `{module}`"));
            continue;
        }
        let url = format!("https://{HOST}{path}");
        let script = format!(
            "{show}import {module}\nurl = '{url}'\nanswer = {call}\nanswer.raise_for_status()\n\
             print(answer.text, 'over', getattr(answer, 'http_version', ''))"
        );
        let finished = world.exec(&python, &["-c", &script]);
        world.check(&finished, path);
        assert_eq!(finished.stdout.contains("over HTTP/2"), path.ends_with('2'), "{}", finished.stdout);
    }
}

#[test]
fn what_is_required_is_not_passed_over() {
    let without_programs = |required: &str| {
        let mut this = std::process::Command::new(std::env::current_exe().unwrap());
        this.args(["--exact", "node_with_fetch"]).env("PATH", "/nowhere").env(REQUIRED, required);
        Program::start(&mut this).finish()
    };
    assert!(without_programs("").status.success() && without_programs("curl nodes").status.success());
    let refused = without_programs("curl node");
    assert!(!refused.status.success() && refused.stdout.contains("`node` is required"), "{refused:?}");
}

#[test]
fn node_with_fetch() {
    let Some(node) = find_program("node") else { return };
    let world = World::new(Speaks::Both);
    let script = format!(
        "console.log(process.env, require('fs').readFileSync('/proc/self/cmdline', 'utf8'));
         fetch('https://{HOST}/echo', {{headers: {{authorization: 'Bearer ' + process.env.ACME_KEY}}}})
           .then(async answer => {{ if (!answer.ok) throw new Error(answer.status); console.log(await answer.text()); }})
           .catch(error => {{ console.error(error); process.exit(1); }});"
    );
    world.check(&world.exec(&node, &["-e", &script]), "/echo");
}

#[test]
fn go_run() {
    let Some(go) = find_program("go") else { return };
    let world = World::new(Speaks::Both);
    let program = format!(
        r#"package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
)

func main() {{
	line, _ := os.ReadFile("/proc/self/cmdline")
	fmt.Println(os.Environ(), string(line))
	request, _ := http.NewRequest("GET", "https://{HOST}/echo", nil)
	if os.Getenv("BARE") == "" {{
		request.Header.Set("Authorization", "Bearer "+os.Getenv("ACME_KEY"))
	}}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {{
		panic(err)
	}}
	body, _ := io.ReadAll(answer.Body)
	fmt.Println(answer.StatusCode, string(body))
}}
"#
    );
    let folder = world.hand.work.join("program");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("main.go"), program).unwrap();
    std::fs::write(folder.join("go.mod"), "module agent\n\ngo 1.19\n").unwrap();
    let run = |world: &World, bare: &str| {
        let mut command = world.hand.command(&["exec", "--secret", "acme_key=ACME_KEY", "--"]);
        command.arg(&go).args(["run", "."]).current_dir(&folder).env("BARE", bare);
        // The compiler's own downloads are not the matter here; its cache outlives the test because filling it takes long.
        command.env("GOTOOLCHAIN", "local").env("GOPROXY", "off").env("GOFLAGS", "-mod=mod");
        command.env("GOCACHE", concat!(env!("CARGO_TARGET_TMPDIR"), "/go-cache"));
        world.check(&Program::start(&mut command).finish().expect_success(), "/echo");
    };
    run(&world, "");
    run(&proof::world(Speaks::Both), "without a token");
}
