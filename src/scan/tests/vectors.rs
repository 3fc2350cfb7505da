//! One vector for each shape: what it finds, and the nearest text that it must not.

use super::{ALNUM, found, letters};
use crate::scan::{
    known::{KNOWN, NAMED},
    shape::compile,
};

const HEX: &str = "0123456789abcdef";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const LOWER: &str = "abcdefghijklmnopqrstuvwxyz0123456789";
const AGE: &str = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L";

/// Text in brackets: a letter for the alphabet and a count; all else stands for itself.
fn made(spec: &str) -> String {
    let mut text = String::new();
    for (at, part) in spec.split('[').enumerate() {
        let Some((set, rest)) = part.split_once(']').filter(|_| at > 0) else {
            text.push_str(part);
            continue;
        };
        let (kind, count) = set.split_at(1);
        let alphabet = match kind {
            "a" => ALNUM,
            "h" => HEX,
            "u" => UPPER,
            "l" => LOWER,
            "d" => "0123456789",
            "g" => AGE,
            other => panic!("no alphabet `{other}`"),
        };
        text.push_str(&letters(alphabet, count.parse().unwrap()));
        text.push_str(rest);
    }
    text
}

/// What follows the literal in the shortest match, and in the longest text that is none.
#[rustfmt::skip]
const VECTORS: &[(&str, &str, &str)] = &[
    ("1Password Service Account Token", "[a200]", "[a199]"),
    ("Age Identity", "[g58]", "[g57]"),
    ("Age Post-Quantum Identity", "[g58]", "[g57]"),
    ("Alibaba Access Key ID", "[a20]", "[a21]"),
    ("Anthropic Admin Key", "[a80]", "[a15]"),
    ("Atlassian API Token", "[a60]", "[a59]"),
    ("AWS Access Key ID", "[u16]", "[u17]"),
    ("AWS Temporary Access Key ID", "[u16]", "[u15]"),
    ("Azure Storage Account Key", "[a86]==", "[a85]=="),
    ("Bitbucket App Password", "[a32]", "[a31]"),
    ("Cloudflare Origin CA Key", "[h24]-[h146]", "[h24]-[h145]"),
    ("Contentful Personal Access Token", "[a43]", "[a42]"),
    ("Crates.io Token", "[a32]", "[a33]"),
    ("Databricks Token", "[h32]", "[h33]"),
    ("DigitalOcean Refresh Token", "[h64]", "[h63]"),
    ("Docker Organisation Token", "[a32]", "[a31]"),
    ("Docker Personal Access Token", "[a27]", "[a26]"),
    ("Doppler Personal Token", "[a40]", "[a39]"),
    ("Doppler Service Token", "dev.[a40]", "dev.[a39]"),
    ("Dropbox Access Token", "[a130]", "[a129]"),
    ("EasyPost API Key", "[a54]", "[a53]"),
    ("Encrypted Private Key", "-----", "----"),
    ("Fly.io Access Token", "[a43]", "[a42]"),
    ("Fly.io Macaroon", "[a100]", "[a99]"),
    ("GitHub Fine-Grained Token", "[a36]", "[a35]"),
    ("GitHub OAuth Token", "[a32]", "[a31]"),
    ("GitHub Personal Access Token", "[a32]", "[a31]"),
    ("GitHub Refresh Token", "[a32]", "[a31]"),
    ("GitHub Server-to-Server Token", "[a32]", "[a31]"),
    ("GitHub User-to-Server Token", "[a32]", "[a31]"),
    ("GitLab Runner Token", "[a20]", "[a19]"),
    ("Google API Key", "[a35]", "[a36]"),
    ("Google OAuth Access Token", "[a30]", "[a29]"),
    ("Google OAuth Client Secret", "[a28]", "[a27]"),
    ("Grafana Cloud Token", "[a32]", "[a31]"),
    ("Grafana Service Account Token", "[a32]_[h8]", "[a32]_[h7]"),
    ("HashiCorp Terraform Token", "[a60]", "[a59]"),
    ("HashiCorp Vault Batch Token", "[a100]", "[a99]"),
    ("HashiCorp Vault Token", "[a24]", "[a23]"),
    ("JSON Web Token", "[a20].eyJ[a20].[a20]", "[a20].eyI[a20].[a20]"),
    ("LangSmith API Key", "pt_[h32]_[h10]", "pt_[h32]_[h9]"),
    ("Mailchimp API Key", "12", "x2"),
    ("Mailgun API Key", "[h32]", "[h31]"),
    ("New Relic Insert Key", "[a32]", "[a31]"),
    ("New Relic User Key", "[u27]", "[u26]"),
    ("NuGet API Key", "[l43]", "[l42]"),
    ("OpenAI Admin Key", "[a40]", "[a15]"),
    ("Password in URL", "joe:[a6]@", "joe:[a5]@"),
    ("PGP Private Key", "-----", "----"),
    ("PlanetScale Password", "[a32]", "[a31]"),
    ("PlanetScale Token", "[a32]", "[a31]"),
    ("Postman API Key", "[h24]-[h34]", "[h24]-[h33]"),
    ("Prefect API Key", "[l36]", "[l35]"),
    ("Private Key", " RSA PRIVATE KEY-----", " RSA PUBLIC KEY-----"),
    ("Pulumi Access Token", "[h40]", "[h39]"),
    ("PuTTY Private Key", "3: ssh-ed25519", "4: ssh-ed25519"),
    ("PyPI Upload Token", "[a50]", "."),
    ("RubyGems API Key", "[h48]", "[h47]"),
    ("SendGrid API Key", "[a22].[a43]", "[a22].[a42]"),
    ("Shopify Access Token", "[h32]", "[h31]"),
    ("Shopify Custom App Token", "[h32]", "[h33]"),
    ("Shopify Private App Password", "[h32]", "[h31]"),
    ("Shopify Shared Secret", "[h32]", "[h33]"),
    ("Slack App Token", "1-[u10]-[d12]-[h32]", "1-[u10]-[d12]-[h31]"),
    ("Slack Legacy Token", "[a24]", "[a23]"),
    ("Slack Webhook URL", "T[u8]/B[u8]/[a24]", "T[u8]/B[u8]/[a23]"),
    ("Square Access Token", "[a22]", "[a21]"),
    ("Square Application Secret", "[a43]", "[a42]"),
    ("Stripe Live Publishable Key", "[a24]", "[a23]"),
    ("Stripe Live Restricted Key", "[a24]", "[a23]"),
    ("Stripe Live Secret Key", "[a24]", "[a23]"),
    ("Stripe Test Publishable Key", "[a24]", "[a23]"),
    ("Stripe Test Restricted Key", "[a24]", "[a23]"),
    ("Stripe Test Secret Key", "[a24]", "[a23]"),
    ("Stripe Webhook Secret", "[a32]", "[a31]"),
    ("Supabase Secret Key", "[a31]", "[a30]"),
    ("Tailscale Key", "auth-[a10]-[a20]", "auth-[a10]-[a19]"),
    ("Telegram Bot Token", "[a33]", "[a32]"),
    ("Twilio Account SID", "[h32]", "[h31]"),
    ("Twilio API Key SID", "[h32]", "[h33]"),
    ("Typeform Personal Access Token", "[a40]", "[a39]"),
];

fn lead(name: &str) -> String {
    match name {
        "HashiCorp Terraform Token" => letters(ALNUM, 14),
        "Mailchimp API Key" => letters(HEX, 32),
        "Password in URL" => "https".to_owned(),
        "Telegram Bot Token" => letters("123456789", 9),
        _ => String::new(),
    }
}

#[test]
fn every_known_shape_is_found_and_its_near_miss_is_not() {
    assert!(KNOWN.len() >= 60, "{}", KNOWN.len());
    let names: Vec<&str> = VECTORS.iter().map(|(name, ..)| *name).collect();
    assert_eq!(KNOWN.iter().map(|shape| shape.name).collect::<Vec<_>>(), names, "one vector for each, in its order");
    for (shape, (name, positive, negative)) in KNOWN.iter().zip(VECTORS) {
        let text = |tail: &str| format!("x = f({}{}{})", lead(name), shape.literal, made(tail));
        assert_eq!(found(&text(positive)), [*name], "{positive}");
        assert!(!found(&text(negative)).contains(&(*name).to_owned()), "{name} {negative}");
        let inside = format!("x = f(q{}{}{})", lead(name), shape.literal, made(positive));
        let anywhere = shape.literal.starts_with("-----") || *name == "Password in URL";
        assert_eq!(found(&inside).contains(&(*name).to_owned()), anywhere, "{name} in a word");
    }
}

#[test]
fn every_named_shape_needs_its_name_and_its_value() {
    let values = [
        "[h32]",
        "[a40]",
        "[a120]",
        "[a34]",
        "[h37]",
        "M[a24].[a6].[a30]",
        "[h32]",
        "[h8]-[h4]-[h4]-[h4]-[h12]",
        "00[a40]",
        "EAAA[a60]",
    ];
    assert_eq!(NAMED.len(), values.len());
    for (shape, value) in NAMED.iter().zip(values) {
        let value = made(value);
        assert!(compile(shape.value).is_some(), "{}", shape.name);
        assert_eq!(found(&format!("MY_{}_KEY: \"{value}\"", shape.word.to_uppercase())), [shape.name], "{value}");
        assert!(!found(&format!("MY_OTHER_KEY: \"{value}\"")).contains(&shape.name.to_owned()), "{}", shape.name);
        assert!(!found(&format!("MY_{}_KEY: \"{value}!\"", shape.word)).contains(&shape.name.to_owned()));
    }
    let spelled = format!("aws_secret_access_key = {}", made("[a40]"));
    assert_eq!(found(&spelled), ["AWS Secret Access Key"]);
}

#[test]
fn private_keys_of_every_kind_are_found() {
    for kind in ["", "RSA ", "EC ", "DSA ", "OPENSSH ", "ENCRYPTED ", "PGP "] {
        let end = if kind == "PGP " { " BLOCK" } else { "" };
        let text = format!("{}BEGIN {kind}PRIVATE KEY{end}{}\nMIIE", "-----", "-----");
        let names = found(&text);
        assert!(names.len() == 1 && names[0].ends_with("Private Key"), "{kind}: {names:?}");
    }
    for kind in ["PUBLIC KEY", "CERTIFICATE", "RSA PUBLIC KEY"] {
        assert!(found(&format!("{}BEGIN {kind}{}\nMIIE", "-----", "-----")).is_empty(), "{kind}");
    }
}

#[test]
fn services_bring_their_own_shapes() {
    let tail = letters(ALNUM, 24);
    assert_eq!(found(&format!("key: acme_{tail}")), ["Acme key"]);
    assert_eq!(found(&format!("curl -H 'x: acme_live_{tail}'")), ["Acme key"]);
    assert_eq!(found(&format!("BARE_ACCOUNT_ID={tail}")), ["Bare key"], "told by its variable");
    assert_eq!(found(&format!("bareAccountId: '{tail}'")), ["Bare key"], "however it is spelled");
    for text in ["acme_", "acme_short1", "acme_only-words-with-dashes-here", "xacme_q8Zt3LmX0vB7nR2kYw5P"] {
        assert!(found(text).is_empty(), "{text}");
    }
    assert!(found(&format!("SOME_ACCOUNT_ID={tail}")).is_empty());
    assert_eq!(found(&format!("a%3Dacme_{tail}%26")), ["Acme key"], "as forms write it");
    assert_eq!(found(&format!("\"a\\nacme_{tail}\\n\"")), ["Acme key"], "as JSON writes it");
}

#[test]
fn generic_names_need_random_values() {
    let value = letters(ALNUM, 24);
    for (line, name) in [
        (format!("MY_API_KEY={value}"), "Generic API Key"),
        (format!("{{\"clientSecret\": \"{value}\"}}"), "Generic Secret"),
        ("password: \"correct1horse\"".to_owned(), "Generic Password"),
        (format!("access_token={value}&x=1"), "Generic Token"),
    ] {
        assert_eq!(found(&line), [name], "{line}");
    }
    for line in
        ["API_KEY=your-key-goes-here-1234", "api_key = os.environ[\"X\"]", "secret: ${{ secrets.TOKEN_123456789 }}"]
    {
        assert!(found(line).is_empty(), "{line}");
    }
}

#[test]
fn our_own_tokens_are_leases_and_not_keys() {
    for (prefix, before, after) in [("sk-proj-", 8, 9), ("acme_", 10, 10), ("lse_", 10, 11)] {
        let token = format!("{prefix}{}000000{}", letters(ALNUM, before), letters(ALNUM, after));
        assert_eq!(token.len(), 31);
        assert_eq!(found(&format!("OPENAI_API_KEY={token}")), ["lease_token"], "{token}");
        assert_eq!(found(&format!("{{\"t\": \"{token}\"}}")), ["lease_token"], "{token}");
        assert_ne!(found(&format!("OPENAI_API_KEY={token}q8Zt3LmX0vB7nR2kYw5P")), ["lease_token"], "longer than any");
    }
}
