//! `secrets policy show` and `secrets policy lint`: what a service is, and what is odd in it, without a daemon.

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
env  = ["OWN_KEY"]
[[inject]]
host = "api"
use  = "key"
at   = [{ header = "x-api-key" }]
[cap.read]
about = "Read"
risk  = "read"
allow = [{ method = "GET", path = "/v1/**" }]
deny  = [{ path = "/v1/private/**" }]
[cap.keys]
about = "Keys"
risk  = "secret"
allow = [{ path = "/v1/keys" }]
[[test]]
send = "GET https://api.own.example/v1/things"
gives = "read"
[[test]]
send = "POST https://api.own.example/v1/keys"
gives = "keys"
"#;

const GRANT: &str =
    "schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"own\"\nitem = \"own-key\"\nallow = [\"read\"]\n";

fn with_own() -> Hand {
    let hand = Hand::with_home();
    let policies = hand.home.join("policies");
    std::fs::create_dir_all(&policies).unwrap();
    std::fs::write(policies.join("own.toml"), OWN).unwrap();
    std::fs::write(policies.join("grant.toml"), GRANT).unwrap();
    hand
}

#[test]
fn a_service_is_shown_whole_with_its_grants_or_as_its_file() {
    let hand = with_own();
    let (code, shown) = hand.envelope(&["policy", "show", "own"], b"");
    assert_eq!(code, 0, "{shown}");
    let result = &shown["result"];
    assert_eq!(result["hosts"][0]["origins"][0], "https://api.own.example");
    assert_eq!(result["credentials"][0]["env"][0], "OWN_KEY");
    assert_eq!(result["capabilities"][0]["allow"][0], "GET api:/v1/**");
    assert_eq!(result["capabilities"][0]["deny"][0], "any method api:/v1/private/**");
    assert_eq!(result["grants"][0]["allow"][0], "read");
    let (_, source) = hand.envelope(&["policy", "show", "own", "--source"], b"");
    assert_eq!(source["result"]["text"], OWN);
    let (code, shipped) = hand.envelope(&["policy", "show", "gh"], b"");
    assert_eq!((code, &shipped["result"]["id"]), (0, &"github".into()), "an alias finds a shipped one: {shipped}");
    let (_, source) = hand.envelope(&["policy", "show", "github", "--source"], b"");
    assert!(source["result"]["text"].as_str().unwrap().contains("id      = \"github\""), "{source}");
    let (code, unknown) = hand.envelope(&["policy", "show", "nowhere"], b"");
    assert_eq!((code, &unknown["fix"]), (2, &"secrets policy list".into()), "{unknown}");
}

#[test]
fn an_overlap_in_a_file_of_ones_own_is_found_and_said_where() {
    let hand = with_own();
    let (code, odd) = hand.envelope(&["policy", "lint"], b"");
    assert_eq!((code, odd["ok"].as_bool()), (64, Some(false)), "{odd}");
    let finding = &odd["result"]["findings"][0];
    assert!(finding["place"].as_str().unwrap().ends_with("own.toml [cap.read]"), "{odd}");
    assert!(finding["message"].as_str().unwrap().ends_with("both give GET https://api.own.example/v1/keys"), "{odd}");
    let fix = odd["fix"].as_str().unwrap();
    assert!(fix.contains("EDITOR") && fix.ends_with("own.toml"), "{fix}");

    let mended = OWN.replace("\"/v1/private/**\"", "[\"/v1/private/**\", \"/v1/keys\"]");
    std::fs::write(hand.home.join("policies/own.toml"), mended).unwrap();
    let (code, clean) = hand.envelope(&["policy", "lint"], b"");
    assert_eq!((code, &clean["result"]["services"]), (0, &1.into()), "{clean}");
}
