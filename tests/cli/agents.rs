//! What a process inside a session may lease: tokens of what its grants name, for its session and no longer.

use crate::{
    hand::{Hand, SECRET},
    support::{Origin, Program, Speaks, TestCa, count, find_program, until_blocking},
};

const HOST: &str = "api.acme.test";
const OTHER: &str = "other-REAL-0123456789-abcdefghij";

/// A home with `acme_key`, and `other_key` that no session here is opened with.
fn world() -> (Origin, Hand) {
    let ca = TestCa::new();
    let hosts = [HOST, "other.acme.test"];
    let origin = Origin::builder(ca.leaf_for(&hosts)).speaks(Speaks::Both).start();
    let hand = Hand::in_front_of(&ca, &origin, &hosts);
    hand.acme(HOST);
    let (code, added) = hand.envelope(&["add", "other_key", "--host", hosts[1]], OTHER.as_bytes());
    assert_eq!(code, 0, "{added}");
    (origin, hand)
}

/// Runs a script under `exec` with `s` as the program at this home.
fn inside(hand: &Hand, flags: &[&str], script: &str) -> Program {
    let program = env!("CARGO_BIN_EXE_secrets");
    let script =
        format!("s() {{ '{program}' --timeout 60 --home '{}' --no-autostart \"$@\"; }}\n{script}", hand.home.display());
    let flags = [&["exec"], flags, &["--"]].concat();
    Program::start(hand.command(&flags).arg(find_program("sh").unwrap()).args(["-c", &script]))
}

const OPENED: [&str; 4] = ["--secret", "acme_key=ACME", "--client-id", "web"];

#[test]
fn an_agent_leases_a_token_that_works_through_its_session_and_ends_with_it() {
    let Some(_) = find_program("curl") else { return };
    let (origin, hand) = world();
    let ask = |host: &str, token: &str, more: &str| {
        format!(
            "curl {more} --silent -o /dev/null -w '%{{http_code}} ' -H \"Authorization: Bearer {token}\" https://{host}/echo"
        )
    };
    let script = format!(
        "T=$(s lease other_key --token --client-id somebody) && {}
         A=$(s lease acme_key --token 2>said) && {} && {}
         s lease other_key --token --json --client-id somebody > answer
         echo \"$A\" > token; touch up; until [ -e go ]; do sleep .01; done",
        ask("other.acme.test", "$T", ""),
        ask(HOST, "$A", ""),
        ask(HOST, "$ACME", ""),
    );
    let running = inside(&hand, &OPENED, &script);
    until_blocking("all was asked", || hand.work.join("up").exists());
    let session = hand.records_of("session_open")[0].session_id.clone();
    let leased = hand.records_of("lease_acquire");
    assert_eq!(leased.len(), 4, "{leased:?}");
    for lease in &leased {
        assert_eq!((lease.client_id.as_deref(), &lease.session_id), (Some("web"), &session), "{lease:?}");
    }
    assert_eq!(hand.records_of("lease_replace").len(), 1, "an agent's own one makes way, the program's stays");
    let answer: serde_json::Value = serde_json::from_slice(&std::fs::read(hand.work.join("answer")).unwrap()).unwrap();
    assert_eq!(answer["result"]["client_id"], "web", "{answer}");
    assert!(std::fs::read(hand.work.join("said")).unwrap().is_empty());
    // Outside of its session the token is worth nothing, also while the session lives.
    let token = std::fs::read_to_string(hand.work.join("token")).unwrap();
    let (_, status) = hand.envelope(&["status"], b"");
    let proxy = format!("--insecure --proxy http://{}", status["result"]["proxy_addr"].as_str().unwrap());
    let mut shell = std::process::Command::new("sh");
    let abroad = Program::start(shell.args(["-c", &ask(HOST, token.trim(), &proxy)])).finish().expect_success();
    assert_eq!(abroad.stdout, "403 ");
    assert_eq!(hand.records_of("request_refused")[0].code.as_deref(), Some("token_foreign_session"));

    std::fs::write(hand.work.join("go"), "").unwrap();
    assert_eq!(running.finish().expect_success().stdout, "200 200 200 ");
    assert_eq!(origin.requests().len(), 3);
    until_blocking("the session has ended", || hand.records_of("session_end").len() == 1);
    let (_, status) = hand.envelope(&["status"], b"");
    assert_eq!(status["result"]["active_leases"], 0, "{status}");
}

#[test]
fn an_agent_leases_nothing_that_its_grants_do_not_name() {
    let (_origin, hand) = world();
    let policies = hand.home.join("policies");
    let granted = |hand: &Hand| {
        let (_, listed) = hand.envelope(&["policy", "list"], b"");
        let all = listed["result"]["grants"].as_array().unwrap().clone();
        all.into_iter().find(|grant| grant["secret"] == "other_key").unwrap()
    };
    let service = granted(&hand)["service"].as_str().unwrap().to_owned();
    let file = std::fs::read_dir(&policies).unwrap().map(|entry| entry.unwrap().path());
    let file = file.filter(|path| !path.to_string_lossy().contains("service-"));
    let file = file.into_iter().find(|path| std::fs::read_to_string(path).unwrap().contains("other_key")).unwrap();
    let grant = std::fs::read_to_string(&file).unwrap();
    assert_eq!(hand.envelope(&["add", "unbound"], b"v").0, 0);

    // For others only: its client id is the session's, whatever it says.
    std::fs::write(&file, grant.replacen("[[grant]]\n", "[[grant]]\nagents = [\"ops\"]\n", 1)).unwrap();
    assert_eq!(hand.envelope(&["policy", "reload"], b"").0, 0);
    let script =
        "for name in other_key unbound nowhere; do s lease $name --token --client-id ops; echo \"code $?\"; done";
    let finished = inside(&hand, &OPENED, script).finish().expect_success();
    assert!(!finished.stdout.contains("lse_") && !finished.stdout.contains("code 0"), "{finished:?}");
    let refused = || hand.records_of("lease_acquire").into_iter().filter(|record| !record.success).collect::<Vec<_>>();
    let names: Vec<_> = refused().iter().map(|record| record.secret_name.clone().unwrap()).collect();
    assert_eq!(names, ["other_key", "unbound", "nowhere"]);
    assert!(refused().iter().all(|record| record.client_id.as_deref() == Some("web") && record.session_id.is_some()));

    // Given up by its project, as it was when the session began.
    std::fs::write(&file, &grant).unwrap();
    assert_eq!(hand.envelope(&["policy", "reload"], b"").0, 0);
    let caps: Vec<String> = ["allow", "ask"]
        .iter()
        .flat_map(|key| granted(&hand)[key].as_array().unwrap().clone())
        .map(|cap| cap.to_string())
        .collect();
    let narrow =
        format!("schema = 1\nkind = \"project\"\n[[narrow]]\nservice = \"{service}\"\ndeny = [{}]\n", caps.join(", "));
    std::fs::write(hand.work.join(".secrets.toml"), narrow).unwrap();
    let script = "rm .secrets.toml; s lease other_key --token; echo \"code $?\"; s lease acme_key --token";
    let finished = inside(&hand, &OPENED, script).finish().expect_success();
    assert!(finished.stderr.contains("gives up every use of `other_key`"), "{finished:?}");
    assert!(!finished.stdout.contains("code 0") && count(finished.stdout.as_bytes(), b"lse_") == 1, "{finished:?}");
    assert_eq!(refused().len(), 4);
}

#[test]
fn an_agent_gets_raw_values_of_what_its_session_was_opened_with_raw_and_of_nothing_else() {
    let (_origin, hand) = world();
    let script = "s lease acme_key; echo; s lease other_key; echo \"code $?\"";
    let finished = inside(&hand, &["--raw", "--secret", "acme_key=ACME"], script).finish().expect_success();
    assert!(finished.stdout.starts_with(&format!("{SECRET}\ncode ")), "{finished:?}");
    assert!(!finished.stdout.contains("code 0") && !finished.stdout.contains(OTHER), "{finished:?}");
    let revealed = hand.records_of("secret_reveal");
    assert_eq!(revealed.len(), 2, "{revealed:?}");
    assert!(
        revealed.iter().all(|record| record.session_id.is_some() && record.secret_name.as_deref() == Some("acme_key"))
    );
    let refused = hand.records_of("call_refused");
    assert_eq!((refused.len(), refused[0].secret_name.as_deref()), (1, Some("other_key")), "{refused:?}");
    assert_eq!((refused[0].success, refused[0].details.as_deref()), (false, Some("secrets.lease")));
}

#[test]
fn an_agent_ends_the_leases_of_its_session_and_no_others() {
    let (_origin, hand) = world();
    let (code, theirs) = hand.envelope(&["lease", "acme_key", "--token", "--json"], b"");
    assert_eq!(code, 0, "{theirs}");
    let theirs = theirs["result"]["lease_id"].as_str().unwrap().to_owned();
    let script = format!(
        "ID=$(s lease acme_key --token --json | sed -n 's/.*\"lease_id\": *\"\\([^\"]*\\)\".*/\\1/p'); \
         s revoke \"$ID\" >/dev/null; echo \"own $?\"; s revoke {theirs} >/dev/null; echo \"other $?\"; \
         s revoke --client web >/dev/null; echo \"client $?\""
    );
    let said = inside(&hand, &OPENED, &script).finish().expect_success().stdout;
    assert!(said.contains("own 0") && !said.contains("other 0") && !said.contains("client 0"), "{said}");
    let (_, status) = hand.envelope(&["status"], b"");
    assert_eq!(status["result"]["active_leases"], 1, "the operator's lives: {status}");
}
