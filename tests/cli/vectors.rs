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
