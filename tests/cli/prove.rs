//! `secrets policy prove`: without a daemon, with a counter-example whose fix shows it.

use crate::hand::Hand;

const GRANT: &str = "schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"github\"\nitem = \"gh\"\nallow = [\"read\"]\nask = [\"issues\"]\n";

#[test]
fn a_claim_is_proved_or_refuted_with_a_request_that_explain_agrees_with() {
    let hand = Hand::with_home();
    let policies = hand.home.join("policies");
    std::fs::create_dir_all(&policies).unwrap();
    std::fs::write(policies.join("grant.toml"), GRANT).unwrap();

    let prove = |claim: &str| {
        let mut words = vec!["policy", "prove"];
        words.extend(claim.split(' '));
        hand.envelope(&words, b"")
    };
    let (code, proof) = prove("secret gh never reaches path /orgs/** on host api.github.com");
    assert_eq!((code, &proof["result"]["proof"]["outcome"]), (0, &"holds".into()), "{proof}");
    let (code, unknown) = prove("secret other never reaches");
    assert_eq!((code, &unknown["fix"]), (2, &"secrets policy list".into()), "true of any name: {unknown}");
    let (code, mistyped) = prove("secret hg never reaches path /orgs/**");
    let message = mistyped["error"]["message"].as_str().unwrap();
    assert!(code == 2 && message.contains("no grant names a secret `hg`"), "{mistyped}");
    assert!(message.ends_with("did you mean `gh`?"), "{mistyped}");
    assert_eq!(mistyped["fix"], "secrets policy prove 'secret gh never reaches path /orgs/**'");

    let (code, proof) = prove("secret gh never reaches method POST on host api.github.com");
    assert_eq!((code, &proof["result"]["proof"]["outcome"]), (64, &"fails".into()), "{proof}");
    assert_eq!(proof["result"]["proof"]["verdict"], "ask");
    let message = proof["error"]["message"].as_str().unwrap();
    assert!(message.contains("is made once a person says yes: `issues` of the grant at"), "{message}");
    let fix = proof["fix"].as_str().unwrap();
    assert!(
        fix.starts_with("secrets policy explain POST https://api.github.com/repos/x/x/issues --secret gh"),
        "{fix}"
    );

    let (code, wrong) = prove("secret gh never ever");
    assert_eq!((code, &wrong["fix"]), (2, &"secrets policy prove --help".into()), "{wrong}");
}

#[test]
fn a_refutation_is_explained_in_a_folder_that_the_grant_takes() {
    let hand = Hand::with_home();
    let policies = hand.home.join("policies");
    std::fs::create_dir_all(&policies).unwrap();
    let fix = |projects: &str| {
        std::fs::write(policies.join("grant.toml"), format!("{GRANT}projects = [\"{projects}\"]\n")).unwrap();
        let (code, proof) = hand.envelope(&["policy", "prove", "secret gh never reaches method GET"], b"");
        assert_eq!(code, 64, "{proof}");
        proof["fix"].as_str().unwrap().to_owned()
    };
    let here = hand.home.display().to_string();
    assert!(fix(&format!("{here}/**")).ends_with(&format!(" --project {here}")));
    assert_eq!(fix(&format!("{here}/nowhere/**")), "secrets policy show github", "no such folder to explain it in");
}
