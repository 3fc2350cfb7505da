//! `secrets policy diff`: the requests of the audit log under another set of files.

use std::fs;

use crate::{
    hand::{Hand, SECRET},
    support::{Origin, Program, Speaks, TestCa, find_program},
};

const HOST: &str = "api.acme.test";

/// One grant of `acme_key` for one place, instead of whatever there is.
fn grant(hand: &Hand, folder: &std::path::Path, only: &str) {
    fs::create_dir_all(folder).unwrap();
    for entry in fs::read_dir(hand.home.join("policies")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let text = text.replacen("[[grant]]\n", &format!("[[grant]]\n{only}\n"), 1);
        fs::write(folder.join(path.file_name().unwrap()), text).unwrap();
    }
}

#[test]
fn a_past_request_is_judged_where_its_session_was_at_work() {
    let (Some(shell), Some(_)) = (find_program("sh"), find_program("curl")) else { return };
    let ca = TestCa::new();
    let origin = Origin::builder(ca.leaf_for(&[HOST])).speaks(Speaks::Both).start();
    let hand = Hand::in_front_of(&ca, &origin, &[HOST]);
    hand.acme(HOST);
    let (web, api) = (hand.work.join("web"), hand.work.join("api"));
    let get = |path: &str| {
        format!(
            "curl -sk -o /dev/null -H \"Authorization: Bearer $ACME_KEY\" https://{HOST}{path}; curl -sk -o /dev/null https://{HOST}/none"
        )
    };
    for (folder, environment) in [(&web, "dev"), (&api, "prod")] {
        fs::create_dir(folder).unwrap();
        let path = format!("/{environment}");
        let flags = ["exec", "--secret", "acme_key", "--environment", environment, "--", shell.to_str().unwrap(), "-c"];
        let _out = Program::start(hand.command(&flags).arg(get(&path)).current_dir(folder)).finish().expect_success();
    }
    let opened = hand.records_of("session_open");
    let told = |at: usize| (opened[at].project.as_deref().unwrap(), opened[at].environment.as_deref().unwrap());
    assert_eq!(told(0), (web.canonicalize().unwrap().to_str().unwrap(), "dev"));
    assert_eq!(told(1), (api.canonicalize().unwrap().to_str().unwrap(), "prod"));

    let diff = |only: &str, more: &[&str]| {
        let folder = hand.work.join("other");
        grant(&hand, &folder, only);
        let (code, diff) = hand.envelope(&[&["policy", "diff", folder.to_str().unwrap()], more].concat(), b"");
        assert_eq!(code, 0, "{diff}");
        let changes = diff["result"]["changes"].as_array().unwrap().clone();
        let paths = changes.iter().map(|change| change["path"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
        (paths, diff["result"].clone())
    };
    let of_web = format!("projects = [{:?}]", web.canonicalize().unwrap());
    let (paths, result) = diff(&of_web, &[]);
    assert_eq!(paths, ["/prod"], "{result}");
    assert_eq!(result["requests"], 2);
    assert_eq!(result["unjudged"], serde_json::json!([{"count": 2, "why": "they carried no lease"}]), "{result}");
    assert_eq!(result["changes"][0]["environment"], "prod");
    assert_eq!(diff("environments = [\"prod\"]", &[]).0, ["/dev"]);
    assert!(diff("environments = [\"dev\", \"prod\"]", &[]).0.is_empty());
    assert!(diff(&of_web, &["--project", web.canonicalize().unwrap().to_str().unwrap()]).0.is_empty());

    // Lines that an older version wrote say the environment in their details and no project.
    hand.stop();
    let log = hand.home.join("audit.log");
    let older = |line: &str| {
        let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
        let fields = line.as_object_mut().unwrap();
        fields.retain(|key, _| key != "project" && key != "environment");
        line.to_string() + "\n"
    };
    let lines: String = fs::read_to_string(&log).unwrap().lines().map(older).collect();
    fs::write(&log, lines).unwrap();
    let (paths, result) = diff(&of_web, &["--no-autostart"]);
    assert!(paths.is_empty() && result["requests"] == 0, "{result}");
    let unjudged = result["unjudged"].to_string();
    assert!(unjudged.contains("{\"count\":2,\"why\":\"the log does not say in which project"), "{result}");
    assert_eq!(diff("environments = [\"prod\"]", &["--no-autostart"]).0, ["/dev"]);
    let arguments = ["--no-autostart", "--output", "human", "policy", "diff", "other"];
    let human = String::from_utf8(hand.run(&arguments, b"").stdout).unwrap();
    assert!(human.contains("2 not judged: they carried no lease"), "{human}");
}

#[test]
fn past_requests_that_would_be_decided_otherwise_are_shown_and_nothing_is_sent() {
    let (Some(shell), Some(_)) = (find_program("sh"), find_program("curl")) else { return };
    let ca = TestCa::new();
    let origin = Origin::builder(ca.leaf_for(&[HOST])).speaks(Speaks::Both).start();
    let hand = Hand::in_front_of(&ca, &origin, &[HOST]);
    let (code, added) = hand.envelope(&["add", "acme_key", "--host", HOST], SECRET.as_bytes());
    assert_eq!(code, 0, "{added}");
    let get = "curl -sk -o /dev/null -H \"Authorization: Bearer $ACME_KEY\" https://api.acme.test/echo\n";
    let post = "curl -sk -o /dev/null -X POST -H \"Authorization: Bearer $ACME_KEY\" https://api.acme.test/things\n";
    let mut command = hand.command(&["exec", "--secret", "acme_key", "--", shell.to_str().unwrap(), "-c"]);
    let _out = Program::start(command.arg(format!("{get}{get}{post}"))).finish().expect_success();
    let made = origin.requests().len();
    assert_eq!(made, 3);

    // The same files, but for a grant that asks before it writes.
    let stricter = hand.work.join("stricter");
    fs::create_dir(&stricter).unwrap();
    for entry in fs::read_dir(hand.home.join("policies")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let text = text
            .replace("allow    = [\"read\", \"write\"]", "allow    = [\"read\"]")
            .replace("[\"delete\"]", "[\"delete\", \"write\"]");
        fs::write(stricter.join(path.file_name().unwrap()), text).unwrap();
    }
    let (code, diff) = hand.envelope(&["policy", "diff", stricter.to_str().unwrap()], b"");
    assert_eq!(code, 0, "{diff}");
    let result = &diff["result"];
    assert_eq!((&result["requests"], result["changes"].as_array().unwrap().len()), (&3.into(), 1), "{diff}");
    let change = &result["changes"][0];
    assert_eq!((&change["method"], &change["path"], &change["times"]), (&"POST".into(), &"/things".into(), &1.into()));
    assert_eq!((&change["before"]["verdict"], &change["after"]["verdict"]), (&"allow".into(), &"ask".into()));

    // Both named, the other way round; a folder without grants takes everything.
    let own = hand.home.join("policies");
    let (_, back) = hand.envelope(&["policy", "diff", stricter.to_str().unwrap(), own.to_str().unwrap()], b"");
    assert_eq!(back["result"]["changes"][0]["after"]["verdict"], "allow", "{back}");
    let empty = hand.work.join("empty");
    fs::create_dir(&empty).unwrap();
    let (_, none) = hand.envelope(&["policy", "diff", empty.to_str().unwrap()], b"");
    assert_eq!(none["result"]["changes"].as_array().unwrap().len(), 2, "each request once, however often made: {none}");
    assert_eq!(none["result"]["changes"][0]["times"], 2);
    assert_eq!(none["result"]["changes"][0]["after"]["code"], "no_grant");
    let (_, since) =
        hand.envelope(&["policy", "diff", empty.to_str().unwrap(), "--since", "2099-01-01T00:00:00Z"], b"");
    assert_eq!(since["result"]["requests"], 0);
    assert_eq!(origin.requests().len(), made, "nothing was sent again");

    // What is no record takes nothing away.
    let log = hand.home.join("audit.log");
    let whole = fs::read_to_string(&log).unwrap();
    let damaged = format!("{}\nno record\n{{\"action\":\"request_en", whole.trim_end());
    let apart = hand.work.join("apart");
    fs::create_dir_all(apart.join("policies")).unwrap();
    for entry in fs::read_dir(&own).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, apart.join("policies").join(path.file_name().unwrap())).unwrap();
    }
    fs::write(apart.join("audit.log"), damaged).unwrap();
    let elsewhere = ["--home", apart.to_str().unwrap(), "policy", "diff", stricter.to_str().unwrap()];
    let (code, torn) = hand.envelope(&elsewhere, b"");
    assert_eq!(
        (code, &torn["result"]["requests"], &torn["result"]["changes"]),
        (0, &3.into(), &result["changes"]),
        "{torn}"
    );

    // Requests in a file that was rolled over count like the others.
    let (first, rest) =
        whole.split_at(whole.rfind("\"request_ended\"").and_then(|at| whole[..at].rfind('\n')).unwrap() + 1);
    let last: serde_json::Value = serde_json::from_str(first.lines().last().unwrap()).unwrap();
    fs::write(apart.join(format!("audit.log.{:012}", last["seq"].as_u64().unwrap())), first).unwrap();
    fs::write(apart.join("audit.log"), rest).unwrap();
    let (code, rolled) = hand.envelope(&elsewhere, b"");
    let found = (&rolled["result"]["requests"], &rolled["result"]["changes"]);
    assert_eq!((code, found), (0, (&3.into(), &result["changes"])), "{rolled}");

    let (code, missing) = hand.envelope(&["policy", "diff", "nowhere"], b"");
    assert_ne!(code, 0, "{missing}");
    fs::write(empty.join("broken.toml"), "schema = 2").unwrap();
    let (code, broken) = hand.envelope(&["policy", "diff", empty.to_str().unwrap()], b"");
    assert_eq!(code, 64, "{broken}");
    assert!(broken["fix"].as_str().unwrap().starts_with("secrets policy check "), "{broken}");
    hand.stop();
}
