//! Limits in grants, narrowings and budgets: what is read, and which of them a request counts towards.

use super::super::{Narrow, PolicySet};
use super::{ACME, ASKER, Asker, ask, set_with};

const GRANT: &str =
    "[[grant]]\nservice = \"acme\"\nitem = \"k\"\nallow = [\"read\", \"run\"]\nonly = { project = [\"**\"] }\n";
const READ: &str = "GET https://api.acme.example/v1/projects/acme/web";

fn limits(set: &PolicySet, narrow: &[Narrow]) -> Vec<String> {
    let asker = Asker { project: Some("/src/web"), narrow, ..ASKER };
    let decision = ask(set, &asker, READ);
    assert_eq!(decision.reason, "");
    decision.limits.iter().map(ToString::to_string).collect()
}

#[test]
fn every_layer_s_limits_apply_and_only_those_that_count_the_request() {
    let grant = format!(
        "{GRANT}limit = {{ requests = [\"60/min\", \"1K/day\"], \"cap:read\" = \"9/hour\", \"cap:run\" = \"5/hour\", \
         \"risk:read\" = \"8/hour\", \"risk:spend\" = \"7/hour\", bytes = \"5MiB/hour\", at_once = 8 }}\n\
         [[budget]]\nsecret = \"k\"\nlimit = {{ requests = \"2K/day\" }}\n\
         [[budget]]\nsecret = \"other\"\nlimit = {{ requests = \"1/day\" }}\n"
    );
    let set = set_with(&grant).unwrap();
    let project = "schema = 1\nkind = \"project\"\n[[narrow]]\nservice = \"acme\"\nlimit = { requests = \"30/min\" }\n";
    let mut narrow = set.parse_project(".secrets.toml", project).unwrap().narrows;
    narrow.push(Narrow::of_lease("acme".parse().unwrap()).limited("at_once", "2").unwrap());
    let mut found = limits(&set, &narrow);
    found.sort();
    let mut expected = [
        "requests = 60/min of the grant at mine.toml:3",
        "requests = 1K/day of the grant at mine.toml:3",
        "cap:read = 9/hour of the grant at mine.toml:3",
        "risk:read = 8/hour of the grant at mine.toml:3",
        "bytes = 5MiB/hour of the grant at mine.toml:3",
        "at_once = 8 of the grant at mine.toml:3",
        "requests = 2K/day of the budget at mine.toml:9",
        "requests = 30/min of the project in /src/web",
        "at_once = 2 of the lease of codex",
    ];
    expected.sort_unstable();
    assert_eq!(found, expected);
    assert!(limits(&set_with(GRANT).unwrap(), &[]).is_empty());
}

#[test]
fn a_faulty_limit_is_told_with_its_place_and_what_was_meant() {
    for (limit, place, message, fix) in [
        ("limit = { request = \"60/min\" }", "8:11", "cannot count `request`", "did you mean `requests`?"),
        ("limit = { requests = \"60/mn\" }", "8:22", "no time", "did you mean `min`?"),
        ("limit = { requests = 60 }", "8:22", "`requests` cannot be `60`", "such as `60/min`"),
        ("limit = { at_once = 0 }", "8:21", "`at_once` cannot be `0`", "at least 1"),
        ("limit = { \"cap:raed\" = \"1/min\" }", "8:11", "no capability `raed`", "did you mean `read`?"),
        ("limit = { \"risk:wirte\" = \"1/min\" }", "8:11", "no risk `wirte`", "did you mean `write`?"),
        ("limit = { bytes = \"5MB\" }", "8:19", "`bytes` cannot be `5MB`", "50MiB/hour"),
        ("limit = \"60/min\"", "8:9", "`limit` is", "a table"),
        ("limits = { requests = \"60/min\" }", "8:1", "unknown key `limits`", "did you mean `limit`?"),
        ("limit = { tokns = \"1/min\" }", "8:11", "cannot count `tokns`", "did you mean `tokens`?"),
        ("[[budget]]\nsecret = \"k\"\nlimit = { tokens = \"1/min\" }", "10:11", "cannot count `tokens`", "requests"),
        ("[[budget]]\nsecret = \"k\"", "8:1", "no `limit`", "add `limit"),
        ("[[budget]]\nsecret = \"k\"\nlimit = {}", "8:1", "limits nothing", "add `limit"),
        ("limit = { bytes = \"50/hour\" }", "8:19", "`bytes` cannot be `50/hour`", "with its unit"),
        ("[[budget]]\nsecret = \"k\"\nlimit = { \"cap:read\" = \"1/min\" }", "10:11", "cannot count", "grant"),
    ] {
        let errors = set_with(&format!("{GRANT}{limit}\n")).unwrap_err();
        let fault = &errors.faults()[0];
        assert_eq!(format!("{}:{}", fault.line, fault.column), place, "{fault}");
        assert!(fault.message.contains(message) && fault.fix.contains(fix), "{fault}");
    }
}

#[test]
fn a_narrowing_that_limits_what_does_not_exist_is_a_refusal() {
    let set = set_with(GRANT).unwrap();
    let project =
        "schema = 1\nkind = \"project\"\n[[narrow]]\nservice = \"acme\"\nlimit = { \"cap:raed\" = \"1/min\" }\n";
    assert!(set.parse_project(".secrets.toml", project).unwrap_err().to_string().contains("did you mean `read`?"));
    let narrow = [Narrow::of_lease("acme".parse().unwrap()).limited("cap:raed", "1/min").unwrap()];
    let decision = ask(&set, &Asker { narrow: &narrow, ..ASKER }, READ);
    assert!(decision.reason.contains("`raed`"), "{}", decision.reason);
    assert!(decision.limits.is_empty());
    assert!(Narrow::of_lease("acme".parse().unwrap()).limited("requests", "lots").is_err());
    assert!(ACME.contains("[cap.read]"));
}

/// What a request's limits count, as names of meters.
fn metered(set: &PolicySet, asker: &Asker<'_>, call: &str) -> Vec<String> {
    let decision = ask(set, asker, call);
    assert_eq!(decision.reason, "", "{call}");
    decision.limits.iter().flat_map(|limit| limit.reads.iter().map(|meter| meter.name().to_owned())).collect()
}

#[test]
fn a_meter_counts_the_requests_that_it_is_for() {
    let set = set_with(&format!("{GRANT}limit = {{ tokens = \"3M/day\", requests = \"9/min\" }}\n")).unwrap();
    let narrow = [Narrow::of_lease("acme".parse().unwrap()).limited("tokens", "1K/day").unwrap()];
    assert!(metered(&set, &ASKER, READ).is_empty());
    let misnamed = [Narrow::of_lease("acme".parse().unwrap()).limited("tokns", "1K/day").unwrap()];
    let decision = ask(&set, &Asker { narrow: &misnamed, ..ASKER }, READ);
    assert!(decision.reason.contains("`tokns`") && decision.limits.is_empty(), "{}", decision.reason);
    assert_eq!(limits(&set, &narrow), ["requests = 9/min of the grant at mine.toml:3"]);

    for (file, text, calls) in [
        ("openai", include_str!("../../../policies/openai.toml"), &["https://api.openai.com/v1/responses"][..]),
        ("anthropic", include_str!("../../../policies/anthropic.toml"), &["https://api.anthropic.com/v1/messages"]),
        (
            "gemini",
            include_str!("../../../policies/gemini.toml"),
            &[
                "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-pro:streamGenerateContent",
                "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions",
            ],
        ),
    ] {
        let policy = format!(
            "schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"{file}\"\nitem = \"k\"\nallow = [\"infer\"]\n\
             limit = {{ tokens = \"3M/day\" }}\n"
        );
        let set = PolicySet::of_texts(&[("service.toml", text), ("mine.toml", &policy)]).unwrap();
        let narrow = [Narrow::of_lease(file.parse().unwrap()).limited("tokens", "1K/day").unwrap()];
        let asker = Asker { service: file, narrow: &narrow, ..ASKER };
        for call in calls {
            assert_eq!(metered(&set, &asker, &format!("POST {call}")), ["tokens", "tokens"], "grant and narrowing");
        }
    }
}

#[test]
fn a_faulty_meter_is_told_with_its_place() {
    let good = "[meter.tokens]                                 # what";
    for (from, to, message, fix) in [
        ("[meter.tokens] ", "[meter.requests] ", "without a meter", "another name"),
        ("\"/usage/extra\"]", "\"usage/extra\"]", "no JSON pointer", "/usage/total_tokens"),
        ("\"/usage/extra\"]", "\"/usage/*\"]", "no JSON pointer", "/usage/total_tokens"),
        ("sse  = \"last\"", "sse  = \"lats\"", "`sse` cannot be `lats`", "did you mean `last`?"),
        ("sse  = \"last\"", "ssse = \"last\"", "unknown key `ssse`", "did you mean `sse`?"),
        (
            "on   = { host = \"api\", method = \"POST\", path = \"/v1/run\" } # any rule; read",
            "# read",
            "has no `on`",
            "add `on",
        ),
        ("json = [\"/usage/total or", "jsno = [\"/usage/total or", "1 to 16 places", "add `json"),
    ] {
        let text = ACME.replacen(from, to, 1);
        assert!(ACME.contains(good) && text != ACME, "{from}");
        let errors = PolicySet::of_texts(&[("acme.toml", &text)]).unwrap_err();
        let found = errors.faults().iter().any(|fault| fault.message.contains(message) && fault.fix.contains(fix));
        assert!(found, "{to}: {errors}");
    }
}
