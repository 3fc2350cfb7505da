//! `secrets policy new`: a service file that loads, passes its vectors and is never written over another.

use std::fs;

use crate::hand::Hand;

const DESCRIPTION: &str = r#"{
  "openapi": "3.1.0", "info": {"title": "Ledger", "version": "1"},
  "servers": [{"url": "https://ledger.corp.example/v2"}],
  "components": {"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Ledger-Key"}}},
  "paths": {
    "/entries": {"get": {"responses": {"200": {"description": "all"}}}, "post": {"responses": {"201": {"description": "one"}}}},
    "/tokens": {"post": {"responses": {"200": {"description": "t", "content": {"application/json": {"schema":
      {"type": "object", "properties": {"access_token": {"type": "string"}}}}}}}}}
  }
}"#;

#[test]
fn the_easy_case_is_one_line_and_its_file_is_ones_own() {
    let hand = Hand::with_home();
    let (code, made) =
        hand.envelope(&["policy", "new", "acme", "--host", "api.acme.example", "--header", "x-api-key"], b"");
    assert_eq!(code, 0, "{made}");
    let file = made["result"]["file"].as_str().unwrap();
    let text = fs::read_to_string(file).unwrap();
    assert!(
        text.contains("env  = [\"ACME_API_KEY\"]") && text.contains("{ header = \"x-api-key\", as = \"{}\" }"),
        "{text}"
    );
    assert!(!text.contains("# generated:"), "it does not go with a secret: {text}");
    assert_eq!(hand.envelope(&["policy", "test", "acme"], b"").1["result"]["vectors"], 3);
    assert_eq!(hand.envelope(&["policy", "lint", "acme"], b"").0, 0);

    let (code, again) = hand.envelope(&["policy", "new", "acme", "--host", "other.example"], b"");
    assert_eq!((code, &again["fix"]), (2, &"secrets policy show acme".into()), "{again}");
    fs::write(hand.home.join("policies/taken.toml"), text.replace("\"acme\"", "\"else\"")).unwrap();
    let (code, taken) = hand.envelope(&["policy", "new", "taken", "--host", "other.example"], b"");
    assert_eq!((code, taken["fix"].as_str().unwrap().ends_with("taken.toml")), (2, true), "{taken}");
    assert_eq!(fs::read_to_string(file).unwrap(), text, "nothing was written over it");
    let (code, shipped) = hand.envelope(&["policy", "new", "github", "--host", "git.corp.example"], b"");
    assert_eq!((code, &shipped["fix"]), (2, &"secrets policy show github".into()), "{shipped}");
    assert!(!hand.home.join("policies/github.toml").exists());

    let (code, printed) =
        hand.envelope(&["policy", "new", "b", "--host", "b.example", "--query", "key", "--print"], b"");
    assert_eq!(code, 0, "{printed}");
    assert!(
        printed["result"]["text"].as_str().unwrap().contains("{ query = \"key\" }")
            && !hand.home.join("policies/b.toml").exists()
    );
    for wrong in [
        &["policy", "new", "B!", "--host", "b.example"][..],
        &["policy", "new", "b"],
        &["policy", "new", "b", "--host", "b.example/x"],
    ] {
        let (code, refused) = hand.envelope(wrong, b"");
        assert_eq!((code, &refused["fix"]), (2, &"secrets policy new --help".into()), "{refused}");
    }
}

#[test]
fn an_openapi_description_becomes_a_service_that_agents_can_be_granted() {
    let hand = Hand::with_home();
    let description = hand.work.join("openapi.json");
    fs::write(&description, DESCRIPTION).unwrap();
    let path = description.to_str().unwrap();
    let (code, made) = hand.envelope(&["policy", "new", "ledger", "--openapi", path], b"");
    assert_eq!(code, 0, "{made}");
    let (_, shown) = hand.envelope(&["policy", "show", "ledger"], b"");
    let capabilities = shown["result"]["capabilities"].as_array().unwrap();
    let risks: Vec<&str> = capabilities.iter().map(|one| one["risk"].as_str().unwrap()).collect();
    assert_eq!(risks, ["read", "write", "secret"], "{shown}");
    assert_eq!(hand.envelope(&["policy", "test", "ledger"], b"").0, 0);
    let (code, added) = hand.envelope(&["add", "ledger-key", "--service", "ledger"], b"a value of some length");
    assert_eq!(code, 0, "{added}");
    let (_, proof) = hand.envelope(&["policy", "prove", "secret ledger-key never reaches path /v2/tokens"], b"");
    assert_eq!(
        proof["result"]["proof"]["outcome"], "holds",
        "what answers with tokens is not granted lightly: {proof}"
    );

    fs::write(&description, DESCRIPTION.replace("https://ledger.corp.example", "")).unwrap();
    let (code, nowhere) = hand.envelope(&["policy", "new", "other", "--openapi", path], b"");
    assert_eq!(code, 64, "{nowhere}");
    assert!(nowhere["fix"].as_str().unwrap().ends_with("--host api.example.com"), "{nowhere}");
    let (code, there) = hand.envelope(&["policy", "new", "other", "--openapi", path, "--host", "ledger.test"], b"");
    assert_eq!(code, 0, "{there}");
    assert!(fs::read_to_string(hand.home.join("policies/other.toml")).unwrap().contains("\"/v2/entries\""));
    hand.stop();
}
