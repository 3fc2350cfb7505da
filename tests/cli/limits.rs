//! `secrets limits` and `--limit`, by hand: what is used and left, and what a session or a token gives up of it.

use serde_json::{Value, json};

use crate::{
    hand::{Hand, SECRET},
    support::{Program, find_program},
    who::{ask, grant_file, inside, refused, world},
};

const POLICY: &str = "limit = { requests = \"5/day\", money = \"5.00/day\", \"cap:write\" = \"2/day\" }\n\
    [[budget]]\nsecret = \"acme_key\"\nlimit = { bytes = \"1MiB/day\", at_once = 4 }\n";
const PRICES: &str =
    "schema = 1\nkind = \"prices\"\ncurrency = \"USD\"\n[[price]]\nservice = \"api-acme-test\"\nrequest = \"0.75\"\n";

/// Limits for the grant and the secret, and a price.
fn limit(hand: &Hand) {
    let file = grant_file(hand);
    let grant = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{grant}\n{POLICY}")).unwrap();
    std::fs::write(hand.home.join("policies/prices.toml"), PRICES).unwrap();
    let (code, said) = hand.envelope(&["policy", "reload"], b"");
    assert_eq!(code, 0, "{said}");
}

/// What each limit says of itself: limit, used, left.
fn standing(hand: &Hand, more: &[&str]) -> Vec<(String, u64, u64)> {
    let (code, said) = hand.envelope(&[&["limits"], more].concat(), b"");
    assert_eq!(code, 0, "{said}");
    assert!(!said.to_string().contains(SECRET));
    let one = |limit: &Value| {
        assert_eq!(limit["secret"], "acme_key", "{limit}");
        let number = |name: &str| limit[name].as_u64().unwrap();
        let owner = limit["owner"].as_str().unwrap().split(' ').take(2).collect::<Vec<_>>().join(" ");
        (format!("{} of {owner}", limit["limit"].as_str().unwrap()), number("used"), number("left"))
    };
    said["result"]["limits"].as_array().unwrap().iter().map(one).collect()
}

fn of(standing: &[(String, u64, u64)], limit: &str) -> (u64, u64) {
    let found = standing.iter().find(|(name, ..)| name == limit);
    found.map_or_else(|| panic!("{limit}: {standing:?}"), |(_, used, left)| (*used, *left))
}

#[test]
fn limits_say_how_much_is_used_and_left_and_when_the_next_may_pass() {
    let Some(_) = find_program("curl") else { return };
    let (origin, hand) = world();
    assert!(standing(&hand, &[]).is_empty());
    let shown = hand.run(&["--output", "human", "limits"], b"");
    assert!(String::from_utf8_lossy(&shown.stdout).contains("no limits"), "{shown:?}");
    limit(&hand);
    let fresh = standing(&hand, &[]);
    assert_eq!(fresh.len(), 5, "{fresh:?}");
    assert!(fresh.iter().all(|(_, used, _)| *used == 0));

    let script = [ask("GET", "ACME"), ask("POST", "ACME"), ask("POST", "ACME"), ask("POST", "ACME"), "s limits".into()];
    let ran = inside(&hand, &[], &script.join("; ")).finish();
    assert_eq!(ran.stdout.split('{').next().unwrap(), "200 200 200 429 ", "{ran:?}");
    let calls = hand.records_of("call_refused");
    assert_eq!(
        calls.last().unwrap().details.as_deref(),
        Some("limits.list"),
        "whose limits there are is no agent's business"
    );
    assert_eq!(origin.requests().len(), 3);
    let used = standing(&hand, &["--secret", "acme_key"]);
    assert_eq!(of(&used, "requests = 5/day of the grant"), (3, 2));
    assert_eq!(of(&used, "cap:write = 2/day of the grant"), (2, 0));
    let (spent, left) = of(&used, "money = 5.00/day of the grant");
    assert!((2_200_000..=2_250_000).contains(&spent) && spent + left == 5_000_000, "it empties evenly: {spent} {left}");
    assert_eq!(of(&used, "at_once = 4 of the budget"), (0, 4));
    assert!(of(&used, "bytes = 1MiB/day of the budget").0 > 0);
    assert!(standing(&hand, &["--secret", "other"]).is_empty());

    let (_, said) = hand.envelope(&["limits"], b"");
    let all = said["result"]["limits"].as_array().unwrap();
    let entry = |measure: &str| all.iter().find(|limit| limit["measure"] == measure).unwrap();
    assert_eq!((&entry("money")["currency"], &entry("money")["most"]), (&"USD".into(), &5_000_000.into()));
    assert_eq!(entry("requests")["next_in_s"], 0);
    assert!((1..=43_200).contains(&entry("cap:write")["next_in_s"].as_u64().unwrap()), "{said}");
    let shown = hand.run(&["--output", "human", "limits"], b"");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    let money = shown.lines().find(|line| line.contains("money = 5.00/day")).unwrap();
    assert!(money.contains(" USD  2.7") && money.ends_with(" USD  now"), "{shown}");

    let (_, listed) = hand.envelope(&["policy", "list"], b"");
    let price = &listed["result"]["prices"][0];
    assert_eq!((&price["costs"], &price["currency"]), (&json!({"request": "0.75"}), &json!("USD")), "{listed}");
}

#[test]
fn a_session_and_a_token_that_is_handed_on_have_limits_of_their_own() {
    let Some(_) = find_program("curl") else { return };
    let (origin, hand) = world();
    limit(&hand);
    let me = "curl --silent --show-error http://leasehold.internal/v1/me";
    let script = format!(
        "T=$(s lease acme_key --token --limit requests=1/day); {}; {}; {}; {}
         s lease acme_key --token --limit request=1/day; s lease acme_key --token --limit cap:raed=1/day
         {me} > me.json",
        ask("GET", "T"),
        ask("GET", "T"),
        ask("GET", "ACME"),
        ask("GET", "ACME"),
    );
    let ran = inside(&hand, &["--limit", "requests=2/day", "--limit", "money=1.00/day"], &script).finish();
    assert_eq!(ran.stdout, "200 429 200 429 ", "{ran:?}");
    assert!(ran.stderr.contains("cannot count `request`; did you mean `requests`?"), "{ran:?}");
    assert!(ran.stderr.contains("has no capability `raed`; did you mean `read`?"), "{ran:?}");
    assert_eq!(origin.requests().len(), 2, "what is over a limit did not leave");
    let refused: Vec<_> = hand.records_of("request_refused").iter().map(|record| record.code.clone()).collect();
    assert_eq!(refused, [Some("limit".to_owned()), Some("limit".to_owned())]);
    let opened = hand.records_of("session_open").pop().unwrap();
    let said = opened.details.unwrap();
    assert!(said.ends_with(": limit money = 1.00/day; limit requests = 2/day"), "{said}");
    let leased = hand.records_of("lease_acquire");
    assert!(leased.iter().any(|record| record.details.as_deref() == Some("limit requests = 1/day")), "{leased:?}");

    let me = std::fs::read(hand.work.join("me.json")).unwrap();
    let me: Value = serde_json::from_slice(&me).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let own = me["services"].as_array().unwrap().iter().find(|one| one["limits"].as_array().unwrap().len() == 8);
    let left = own.unwrap_or_else(|| panic!("{me}"))["limits_left"].as_array().unwrap();
    let left_of = |limit: &str| {
        let one = left.iter().find(|one| one["limit"].as_str().unwrap().starts_with(limit)).unwrap();
        (one["left"].as_str().unwrap().to_owned(), one["next_in_s"].as_u64().unwrap() > 0)
    };
    assert_eq!(left_of("requests = 5/day of the grant"), ("3".to_owned(), false), "{me}");
    assert_eq!(left_of("requests = 2/day of the session"), ("0".to_owned(), true), "{me}");
    assert_eq!(left_of("requests = 1/day of the lease"), ("0".to_owned(), true), "{me}");
    assert!(me.to_string().contains("money = 1.00/day of the session"), "{me}");
}

#[test]
fn a_token_s_limit_is_in_the_list_and_no_wider_after_a_restart() {
    let Some(_) = find_program("curl") else { return };
    let (_origin, hand) = world();
    let flags = ["lease", "acme_key", "--token", "--limit", "requests=2/day", "--client-id", "ops"];
    let token = String::from_utf8(hand.run(&flags, b"").stdout).unwrap();
    let asked = || {
        let (_, status) = hand.envelope(&["status"], b"");
        let proxy = format!("--insecure --proxy http://{} -X", status["result"]["proxy_addr"].as_str().unwrap());
        let script = ask("GET", "T").replace("-X", &proxy);
        let mut shell = std::process::Command::new("sh");
        Program::start(shell.env("T", token.trim()).args(["-c", &script])).finish().expect_success().stdout
    };
    assert_eq!(asked(), "200 ");
    assert_eq!(of(&standing(&hand, &[]), "requests = 2/day of the lease"), (1, 1));
    hand.stop();
    assert_eq!(asked(), "200 ");
    assert_eq!(asked(), "429 ", "what was used before the restart is used");
    assert_eq!(of(&standing(&hand, &[]), "requests = 2/day of the lease"), (2, 0));

    // Asking for the same again forgives nothing.
    assert!(hand.run(&flags, b"").status.success());
    assert_eq!(of(&standing(&hand, &[]), "requests = 2/day of the lease"), (2, 0));
}

#[test]
fn a_limit_that_means_nothing_is_refused_with_what_would() {
    let (_origin, hand) = world();
    for (limit, said) in [
        ("requests=lots", "`requests` cannot be `lots`; expected a number and a time, such as `60/min`"),
        ("tokens=1K/day", "cannot count `tokens`"),
        ("money=1.00/day", "no price says what `api-acme-test` costs"),
        ("other:requests=1/day", "there is no service `other`"),
        ("requests", "`--limit` takes what is counted and how much"),
    ] {
        let (why, _) = refused(&hand, &["lease", "acme_key", "--token", "--limit", limit, "--json"]);
        assert!(why.contains(said), "{limit}: {why}");
    }
    let (why, fix) = refused(&hand, &["lease", "acme_key", "--limit", "requests=1/day", "--json"]);
    assert!(why.contains("cannot be narrowed"), "{why}");
    assert_eq!(fix, "\"secrets lease acme_key --token --limit requests=1/day\"");
    std::fs::write(hand.home.join("policies/prices.toml"), PRICES.replace("request", "requst")).unwrap();
    let (why, _) = refused(&hand, &["policy", "check"]);
    let fault = "prices.toml:6:1: `api-acme-test` has no meter `requst` to price; did you mean `request`?";
    assert!(why.contains(fault), "{why}");
    assert!(hand.records_of("secret_reveal").is_empty());
    let (_, status) = hand.envelope(&["status"], b"");
    assert_eq!(status["result"]["active_leases"], 0, "{status}");
}
