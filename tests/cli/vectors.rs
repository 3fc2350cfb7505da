//! `secrets policy test`: the vectors of services, without a daemon.

use crate::hand::Hand;

const OWN: &str = r#"
schema = 1
kind   = "service"
id     = "own"
name   = "Our own"
[host.api]
origin = "https://api.own.example"
[credential.key]
type = "token"
[[inject]]
host = "api"
use  = "key"
at   = [{ header = "x-api-key" }]
[cap.read]
about = "Read"
risk  = "read"
allow = [{ method = "GET", path = "/v1/**" }]
[[test]]
send  = "GET https://api.own.example/v1/things"
gives = "read"
"#;

#[test]
fn vectors_of_every_service_hold_and_a_broken_one_is_shown_with_its_place() {
    let hand = Hand::with_home();
    let (code, all) = hand.envelope(&["policy", "test"], b"");
    assert_eq!((code, all["ok"].as_bool()), (0, Some(true)), "{all}");
    assert!(all["result"]["vectors"].as_u64().unwrap() > all["result"]["services"].as_u64().unwrap(), "{all}");

    let policies = hand.home.join("policies");
    std::fs::create_dir_all(&policies).unwrap();
    std::fs::write(policies.join("own.toml"), OWN).unwrap();
    let (code, own) = hand.envelope(&["policy", "test", "own"], b"");
    assert_eq!((code, &own["result"]["vectors"]), (0, &1.into()), "{own}");

    let broken = format!("{OWN}[[test]]\nsend = \"POST https://api.own.example/v1/x\"\ngives = \"read\"\n");
    std::fs::write(policies.join("own.toml"), broken).unwrap();
    let (code, failed) = hand.envelope(&["policy", "test", "own"], b"");
    assert_eq!((code, failed["ok"].as_bool()), (64, Some(false)), "{failed}");
    let one = &failed["result"]["failed"][0];
    assert!(one["place"].as_str().unwrap().ends_with("own.toml:21"), "{failed}");
    assert_eq!(one["why"], "expected `read` to give it, found no capability to give it");
    let fix = failed["fix"].as_str().unwrap();
    assert!(fix.contains("EDITOR") && fix.ends_with("own.toml"), "{fix}");

    let (code, unknown) = hand.envelope(&["policy", "test", "nowhere"], b"");
    assert_eq!((code, &unknown["fix"]), (2, &"secrets policy list".into()), "{unknown}");
}

#[test]
fn what_is_not_built_yet_is_listed_with_its_place_and_is_no_fault() {
    let hand = Hand::with_home();
    let policies = hand.home.join("policies");
    std::fs::create_dir_all(&policies).unwrap();
    std::fs::write(policies.join("own.toml"), OWN.replace("\"token\"", "\"oauth2\"")).unwrap();
    let (code, checked) = hand.envelope(&["policy", "check"], b"");
    assert_eq!((code, &checked["result"]["faults"]), (0, &serde_json::json!([])), "{checked}");
    let notes = checked["result"]["not_yet"].as_array().unwrap();
    assert!(notes.len() == 1 && notes[0]["place"].as_str().unwrap().ends_with("own.toml:9:8"), "{checked}");
    assert_eq!(notes[0]["message"], "`type = \"oauth2\"` of `[credential.key]` is not built yet");
    let human = Hand::feed(&mut hand.command(&["--output", "human", "policy", "check"]), b"");
    let text = String::from_utf8_lossy(&human.stdout).into_owned();
    assert!(text.contains("own.toml:9:8") && text.contains("is not built yet"), "{text}");
    let (code, linted) = hand.envelope(&["policy", "lint"], b"");
    assert_eq!(code, 64, "{linted}");
    assert!(linted["result"]["findings"][0]["place"].as_str().unwrap().ends_with("own.toml:9:8"), "{linted}");
    assert!(linted["fix"].as_str().unwrap().ends_with("own.toml"), "{linted}");
}

#[test]
fn places_are_dumped_without_a_daemon_as_records_or_as_a_table() {
    let hand = Hand::with_home();
    let (code, all) = hand.envelope(&["policy", "dump"], b"");
    assert_eq!(code, 0, "{all}");
    assert!(all["result"].as_array().unwrap().len() > 285);
    let (code, one) = hand.envelope(&["policy", "dump", "openai"], b"");
    let record = serde_json::json!({
        "service": "openai", "hosts": ["https://api.openai.com"], "scheme": "bearer", "place": "header",
        "name": "authorization", "format": "Bearer {}", "mint": null, "sign": null
    });
    assert_eq!((code, &one["result"]), (0, &serde_json::json!([record])), "{one}");
    let flag = Hand::feed(&mut hand.command(&["--output", "human", "policy", "dump", "openai", "--json"]), b"");
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&flag.stdout).unwrap(), one, "as the README says");
    let human = Hand::feed(&mut hand.command(&["--output", "human", "policy", "dump", "openai"]), b"");
    let text = String::from_utf8_lossy(&human.stdout).into_owned();
    assert!(text.contains("https://api.openai.com") && text.contains("Bearer {}"), "{text}");
    let (code, unknown) = hand.envelope(&["policy", "dump", "nowhere"], b"");
    assert_eq!((code, &unknown["fix"]), (2, &"secrets policy list".into()), "{unknown}");
}
