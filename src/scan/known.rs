//! The shapes of secrets that everybody knows by their beginning; those of shipped services come on top.
//!
//! As the vendors document them and public scanners look for them; the names that agent-secrets has keep theirs.

use super::{
    Severity::{self, Critical, High, Low, Medium},
    shape::{KnownShape, Lead},
};

/// Every known shape, by name.
#[rustfmt::skip]
pub(super) const KNOWN: &[KnownShape] = &[
    known("1Password Service Account Token", Critical, "ops_eyJ", "[A-Za-z0-9+/_=-]{200,}"),
    known("Age Identity", Critical, "AGE-SECRET-KEY-1", "[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}"),
    known("Age Post-Quantum Identity", Critical, "AGE-SECRET-KEY-PQ-1", "[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58,}"),
    known("Alibaba Access Key ID", High, "LTAI", "[A-Za-z0-9]{20}"),
    known("Anthropic Admin Key", Critical, "sk-ant-admin01-", "[A-Za-z0-9_-]{80,}"),
    known("Atlassian API Token", Critical, "ATATT3", "[A-Za-z0-9_=-]{60,}"),
    known("AWS Access Key ID", Critical, "AKIA", "[0-9A-Z]{16}"),
    known("AWS Temporary Access Key ID", High, "ASIA", "[0-9A-Z]{16}"),
    known("Azure Storage Account Key", Critical, "AccountKey=", "[A-Za-z0-9+/]{86}=="),
    known("Bitbucket App Password", Critical, "ATBB", "[A-Za-z0-9]{32}"),
    known("Cloudflare Origin CA Key", Critical, "v1.0-", "[a-f0-9]{24}-[a-f0-9]{146}"),
    known("Contentful Personal Access Token", Critical, "CFPAT-", "[A-Za-z0-9_-]{43}"),
    known("Crates.io Token", Critical, "cio", "[A-Za-z0-9]{32}"),
    known("Databricks Token", Critical, "dapi", "[a-f0-9]{32}"),
    known("DigitalOcean Refresh Token", Critical, "dor_v1_", "[a-f0-9]{64}"),
    known("Docker Organisation Token", Critical, "dckr_oat_", "[A-Za-z0-9_-]{32}"),
    known("Docker Personal Access Token", Critical, "dckr_pat_", "[A-Za-z0-9_-]{27}"),
    known("Doppler Personal Token", Critical, "dp.pt.", "[A-Za-z0-9]{40,44}"),
    known("Doppler Service Token", Critical, "dp.st.", "(?:[a-z0-9_-]{2,35}\\.)?[A-Za-z0-9]{40,44}"),
    known("Dropbox Access Token", High, "sl.", "[A-Za-z0-9_-]{130,}"),
    known("EasyPost API Key", Critical, "EZAK", "[A-Za-z0-9]{54}"),
    known("Encrypted Private Key", High, "-----BEGIN ENCRYPTED PRIVATE KEY", "-----"),
    known("Fly.io Access Token", Critical, "fo1_", "[A-Za-z0-9_-]{43}"),
    known("Fly.io Macaroon", Critical, "fm2_", "[A-Za-z0-9+/=]{100,}"),
    known("GitHub Fine-Grained Token", Critical, "github_pat_", "[A-Za-z0-9_]{36,255}"),
    known("GitHub OAuth Token", Critical, "gho_", "[A-Za-z0-9]{32,255}"),
    known("GitHub Personal Access Token", Critical, "ghp_", "[A-Za-z0-9]{32,255}"),
    known("GitHub Refresh Token", Critical, "ghr_", "[A-Za-z0-9]{32,255}"),
    known("GitHub Server-to-Server Token", Critical, "ghs_", "[A-Za-z0-9]{32,255}"),
    known("GitHub User-to-Server Token", Critical, "ghu_", "[A-Za-z0-9]{32,255}"),
    known("GitLab Runner Token", Critical, "glrt-", "[A-Za-z0-9_-]{20,}"),
    known("Google API Key", Critical, "AIza", "[A-Za-z0-9_-]{35}"),
    known("Google OAuth Access Token", High, "ya29.", "[A-Za-z0-9_-]{30,}"),
    known("Google OAuth Client Secret", Critical, "GOCSPX-", "[A-Za-z0-9_-]{28}"),
    known("Grafana Cloud Token", Critical, "glc_", "[A-Za-z0-9+/=]{32,}"),
    known("Grafana Service Account Token", Critical, "glsa_", "[A-Za-z0-9]{32}_[a-f0-9]{8}"),
    led("HashiCorp Terraform Token", Critical, Lead { set: u8::is_ascii_alphanumeric, least: 14, most: 14 },
        ".atlasv1.", "[A-Za-z0-9_=-]{60,70}"),
    known("HashiCorp Vault Batch Token", High, "hvb.", "[A-Za-z0-9_-]{100,}"),
    known("HashiCorp Vault Token", Critical, "hvs.", "[A-Za-z0-9_-]{24,}"),
    known("JSON Web Token", High, "eyJ", "[A-Za-z0-9_-]+\\.eyJ[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+"),
    known("LangSmith API Key", Critical, "lsv2_", "(?:pt|sk)_[a-f0-9]{32}_[a-f0-9]{10}"),
    led("Mailchimp API Key", Critical, Lead { set: is_hex, least: 32, most: 32 },
        "-us", "[0-9]{1,2}"),
    known("Mailgun API Key", Critical, "key-", "[a-f0-9]{32}"),
    known("New Relic Insert Key", High, "NRII-", "[A-Za-z0-9_-]{32}"),
    known("New Relic User Key", Critical, "NRAK-", "[A-Z0-9]{27}"),
    known("NuGet API Key", Critical, "oy2", "[a-z0-9]{43}"),
    known("OpenAI Admin Key", Critical, "sk-admin-", "[A-Za-z0-9_-]{40,}"),
    led("Password in URL", High, Lead { set: is_scheme, least: 2, most: 20 },
        "://", "[^\\s/:@\"'<>]{1,64}:[^\\s/:@\"'<>{}$]{6,128}@"),
    known("PGP Private Key", Critical, "-----BEGIN PGP PRIVATE KEY BLOCK", "-----"),
    known("PlanetScale Password", Critical, "pscale_pw_", "[A-Za-z0-9_.=-]{32,}"),
    known("PlanetScale Token", Critical, "pscale_tkn_", "[A-Za-z0-9_.=-]{32,}"),
    known("Postman API Key", Critical, "PMAK-", "[a-f0-9]{24}-[a-f0-9]{34}"),
    known("Prefect API Key", Critical, "pnu_", "[a-z0-9]{36}"),
    known("Private Key", Critical, "-----BEGIN", "(?: [A-Z0-9]{1,20}){0,3} PRIVATE KEY-----"),
    known("Pulumi Access Token", Critical, "pul-", "[a-f0-9]{40}"),
    known("PuTTY Private Key", Critical, "PuTTY-User-Key-File-", "[23]: [a-z0-9-]{7,40}"),
    known("PyPI Upload Token", Critical, "pypi-AgEIcHlwaS5vcmc", "[A-Za-z0-9_-]{50,}"),
    known("RubyGems API Key", Critical, "rubygems_", "[a-f0-9]{48}"),
    known("SendGrid API Key", Critical, "SG.", "[A-Za-z0-9_-]{22}\\.[A-Za-z0-9_-]{43}"),
    known("Shopify Access Token", Critical, "shpat_", "[a-fA-F0-9]{32}"),
    known("Shopify Custom App Token", Critical, "shpca_", "[a-fA-F0-9]{32}"),
    known("Shopify Private App Password", Critical, "shppa_", "[a-fA-F0-9]{32}"),
    known("Shopify Shared Secret", Critical, "shpss_", "[a-fA-F0-9]{32}"),
    known("Slack App Token", Critical, "xapp-", "[0-9]-[A-Z0-9]{8,15}-[0-9]{10,15}-[a-f0-9]{32,128}"),
    known("Slack Legacy Token", Critical, "xoxs-", "[A-Za-z0-9-]{24,}"),
    known("Slack Webhook URL", High, "hooks.slack.com/services/", "T[A-Z0-9]{8,12}/B[A-Z0-9]{8,12}/[A-Za-z0-9]{24}"),
    known("Square Access Token", Critical, "sq0atp-", "[A-Za-z0-9_-]{22}"),
    known("Square Application Secret", Critical, "sq0csp-", "[A-Za-z0-9_-]{43}"),
    known("Stripe Live Publishable Key", High, "pk_live_", "[A-Za-z0-9]{24,255}"),
    known("Stripe Live Restricted Key", Critical, "rk_live_", "[A-Za-z0-9]{24,255}"),
    known("Stripe Live Secret Key", Critical, "sk_live_", "[A-Za-z0-9]{24,255}"),
    known("Stripe Test Publishable Key", Low, "pk_test_", "[A-Za-z0-9]{24,255}"),
    known("Stripe Test Restricted Key", Medium, "rk_test_", "[A-Za-z0-9]{24,255}"),
    known("Stripe Test Secret Key", Medium, "sk_test_", "[A-Za-z0-9]{24,255}"),
    known("Stripe Webhook Secret", High, "whsec_", "[A-Za-z0-9+/=]{32,}"),
    known("Supabase Secret Key", Critical, "sb_secret_", "[A-Za-z0-9_-]{31,}"),
    known("Tailscale Key", Critical, "tskey-", "(?:api|auth|client|scim)-[A-Za-z0-9]{10,}-[A-Za-z0-9]{20,}"),
    led("Telegram Bot Token", Critical, Lead { set: u8::is_ascii_digit, least: 8, most: 10 },
        ":AA", "[A-Za-z0-9_-]{33}"),
    known("Twilio Account SID", Low, "AC", "[0-9a-f]{32}"),
    known("Twilio API Key SID", Medium, "SK", "[0-9a-f]{32}"),
    known("Typeform Personal Access Token", Critical, "tfp_", "[A-Za-z0-9_.=-]{40,}"),
];

const fn known(name: &'static str, severity: Severity, literal: &'static str, body: &'static str) -> KnownShape {
    KnownShape { name, severity, literal, body, lead: None }
}

const fn led(
    name: &'static str,
    severity: Severity,
    lead: Lead,
    literal: &'static str,
    body: &'static str,
) -> KnownShape {
    KnownShape { name, severity, literal, body, lead: Some(lead) }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form of the standard library's own")]
fn is_hex(byte: &u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'a'..=b'f')
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form of the standard library's own")]
fn is_scheme(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'.' | b'-')
}

/// A secret without a beginning of its own, told by the name that it is assigned to.
#[derive(Clone, Copy, Debug)]
pub(super) struct NamedShape {
    pub(super) name: &'static str,
    pub(super) severity: Severity,
    /// What the name holds, in lower case and without `_`, `-` and `.`.
    pub(super) word: &'static str,
    /// The whole value, as a regular expression over bytes.
    pub(super) value: &'static str,
}

/// Every shape that is told by a name.
#[rustfmt::skip]
pub(super) const NAMED: &[NamedShape] = &[
    named("Algolia Admin Key", High, "algolia", "[a-f0-9]{32}"),
    named("AWS Secret Access Key", Critical, "secretaccesskey", "[A-Za-z0-9/+]{40}"),
    named("AWS Session Token", High, "awssessiontoken", "[A-Za-z0-9/+=]{100,}"),
    named("Azure Client Secret", Critical, "azureclientsecret", "[A-Za-z0-9_~.-]{34,40}"),
    named("Cloudflare Global API Key", Critical, "cloudflareapikey", "[a-f0-9]{37}"),
    named("Discord Bot Token", Critical, "discord",
        "[MNO][A-Za-z0-9_-]{23,27}\\.[A-Za-z0-9_-]{6}\\.[A-Za-z0-9_-]{27,40}"),
    named("Facebook App Secret", High, "facebook", "[a-f0-9]{32}"),
    named("Heroku API Key", Critical, "heroku", "[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}"),
    named("Okta API Token", Critical, "okta", "00[A-Za-z0-9_-]{40}"),
    named("Square Production Token", Critical, "square", "EAAA[A-Za-z0-9_-]{60}"),
];

const fn named(name: &'static str, severity: Severity, word: &'static str, value: &'static str) -> NamedShape {
    NamedShape { name, severity, word, value }
}
