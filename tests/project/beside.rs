//! Variables that a service wants beside its token: in a program's environment, in an env file, and never over either.

use super::*;

/// A home with `acme_key`, of a service whose `env` is this table.
fn with_env(table: &str) -> Hand {
    let hand = Hand::with_home();
    write_service(&hand, table);
    let (code, added) = hand.envelope(&["add", "acme_key", "--service", "acme"], SECRET.as_bytes());
    assert_eq!(code, 0, "{added}");
    hand
}

fn write_service(hand: &Hand, table: &str) {
    let service = format!(
        "schema = 1\nkind = \"service\"\nid = \"acme\"\nname = \"Acme\"\n[host.api]\norigin = \"https://api.acme.test\"\n\
         [credential.key]\ntype = \"token\"\nenv = {table}\n[[inject]]\nhost = \"api\"\nuse = \"key\"\n\
         at = [{{ header = \"authorization\", as = \"Bearer {{}}\" }}]\n[cap.all]\nabout = \"All\"\nrisk = \"write\"\n\
         allow = [{{ path = \"/**\" }}]\n"
    );
    let policies = hand.home.join("policies");
    std::fs::create_dir_all(&policies).unwrap();
    std::fs::write(policies.join("acme.toml"), service).unwrap();
}

const TABLE: &str = r#"{ ACME_KEY = "{lease}", ACME_SECRET = "unused", ACME_WHERE = "eu 'west' $1" }"#;

#[test]
fn a_program_finds_what_its_service_wants_beside_the_token() {
    let hand = with_env(TABLE);
    let print = "printf '%s|%s|%s' \"${#ACME_KEY}\" \"$ACME_SECRET\" \"$ACME_WHERE\"";
    let seen = |flags: &[&str]| {
        let mut command = hand.command(&[&["exec"], flags, &["--", "sh", "-c", print]].concat());
        let output = Hand::feed(command.env("ACME_SECRET", "the real one"), b"");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let length = hand.envelope(&["lease", "acme_key", "--token", "--json"], b"").1["result"].clone();
    assert_eq!(length["beside"], serde_json::json!({"ACME_SECRET": "unused", "ACME_WHERE": "eu 'west' $1"}));
    let length = length["token"].as_str().unwrap().len();
    assert_eq!(seen(&[]), format!("{length}|unused|eu 'west' $1"), "the text, and not what was inherited");
    // Whoever names the variable of the token has it there.
    let text = seen(&["--secret", "acme_key=ACME_SECRET"]);
    let [key, secret, place] = text.split('|').collect::<Vec<_>>()[..] else { panic!("{text}") };
    assert_eq!((key, secret.len(), place), ("0", length, "eu 'west' $1"));
    // A raw value is the whole of it.
    assert_eq!(seen(&["--raw", "--secret", "acme_key"]), format!("{}|the real one|", SECRET.len()));
    let (code, shown) = hand.envelope(&["policy", "show", "acme"], b"");
    assert_eq!((code, &shown["result"]["credentials"][0]["beside"]["ACME_SECRET"]), (0, &"unused".into()), "{shown}");
}

#[test]
fn an_env_file_holds_what_its_service_wants_beside_the_token() {
    let hand = with_env(TABLE);
    put(&hand, ".secrets.json", r#"{"secrets":[{"name":"acme_key","env_var":"ACME_SECRET"}]}"#);
    assert_eq!(hand.envelope(&["env"], b"").0, 0);
    let variables = sourced(&hand.work.join(".env"));
    assert_eq!(variables["ACME_WHERE"], b"eu 'west' $1");
    assert!(
        variables["ACME_SECRET"] != b"unused" && !variables.contains_key("ACME_KEY"),
        "the project's word is first"
    );
    assert_eq!(hand.envelope(&["env", "--force", "--raw"], b"").0, 0);
    let variables = sourced(&hand.work.join(".env"));
    assert_eq!(variables["ACME_SECRET"], SECRET.as_bytes());
    assert!(!variables.contains_key("ACME_WHERE"));
}

#[test]
fn attack_95_a_service_s_texts_do_not_lead_programs_elsewhere() {
    for variable in ["HTTPS_PROXY", "SSL_CERT_FILE", "LD_PRELOAD", "AGENT_SECRETS_HOME"] {
        let hand = Hand::with_home();
        write_service(&hand, &format!("{{ ACME_KEY = \"{{lease}}\", {variable} = \"/elsewhere\" }}"));
        let (code, refused) = hand.envelope(&["add", "acme_key", "--service", "acme"], SECRET.as_bytes());
        assert!(code != 0 && refused.to_string().contains(&format!("programs obey `{variable}`")), "{refused}");
    }
}
