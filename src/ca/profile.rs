//! What our certificates look like, as `certs/profile.toml` says it.

use std::{sync::LazyLock, time::Duration};

use rcgen::{ExtendedKeyUsagePurpose, KeyUsagePurpose, SignatureAlgorithm};
use serde::Deserialize;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Profile {
    pub(super) root: RootProfile,
    pub(super) leaf: LeafProfile,
    pub(super) tls: TlsProfile,
    pub(super) cache: CacheProfile,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RootProfile {
    common_name: String,
    pub(super) organization: String,
    pub(super) key: Key,
    pub(super) path_length: u8,
    usages: Vec<Usage>,
    backdated_hours: u32,
    lifetime_days: u32,
    renew_days_before_end: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LeafProfile {
    pub(super) key: Key,
    usages: Vec<Usage>,
    extended_usages: Vec<ExtendedUsage>,
    backdated_hours: u32,
    lifetime_days: u32,
    renew_hours_before_end: u32,
    pub(super) longest_common_name: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsProfile {
    alpn: Vec<String>,
    pub(super) session_tickets: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CacheProfile {
    pub(super) hosts: usize,
    pub(super) new_hosts_burst: u32,
    pub(super) new_hosts_per_second: u32,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) enum Key {
    #[serde(rename = "ecdsa-p256-sha256")]
    EcdsaP256Sha256,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Usage {
    CrlSign,
    DigitalSignature,
    KeyCertSign,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ExtendedUsage {
    ServerAuth,
}

/// The profile that is built in.
#[expect(clippy::expect_used, reason = "the text is part of the program; the tests of this file read it")]
pub(super) static PROFILE: LazyLock<Profile> =
    LazyLock::new(|| toml::from_str(include_str!("../../certs/profile.toml")).expect("certs/profile.toml is sound"));

const fn hours(hours: u32) -> Duration {
    Duration::from_secs(hours as u64 * 3_600)
}

impl RootProfile {
    pub(super) fn common_name(&self, id: &str) -> String {
        self.common_name.replace("{id}", id)
    }

    pub(super) fn usages(&self) -> Vec<KeyUsagePurpose> {
        self.usages.iter().map(|usage| usage.purpose()).collect()
    }

    pub(super) fn backdated(&self) -> Duration {
        hours(self.backdated_hours)
    }

    pub(super) fn lifetime(&self) -> Duration {
        hours(self.lifetime_days * 24)
    }

    pub(super) fn renew_before_end(&self) -> Duration {
        hours(self.renew_days_before_end * 24)
    }
}

impl LeafProfile {
    pub(super) fn usages(&self) -> Vec<KeyUsagePurpose> {
        self.usages.iter().map(|usage| usage.purpose()).collect()
    }

    pub(super) fn extended_usages(&self) -> Vec<ExtendedKeyUsagePurpose> {
        self.extended_usages.iter().map(|ExtendedUsage::ServerAuth| ExtendedKeyUsagePurpose::ServerAuth).collect()
    }

    pub(super) fn backdated(&self) -> Duration {
        hours(self.backdated_hours)
    }

    pub(super) fn lifetime(&self) -> Duration {
        hours(self.lifetime_days * 24)
    }

    pub(super) fn renew_before_end(&self) -> Duration {
        hours(self.renew_hours_before_end)
    }
}

impl TlsProfile {
    pub(super) fn alpn(&self) -> Vec<Vec<u8>> {
        self.alpn.iter().map(|name| name.as_bytes().to_vec()).collect()
    }
}

impl Key {
    pub(super) fn algorithm(self) -> &'static SignatureAlgorithm {
        match self {
            Self::EcdsaP256Sha256 => &rcgen::PKCS_ECDSA_P256_SHA256,
        }
    }
}

impl Usage {
    fn purpose(self) -> KeyUsagePurpose {
        match self {
            Self::CrlSign => KeyUsagePurpose::CrlSign,
            Self::DigitalSignature => KeyUsagePurpose::DigitalSignature,
            Self::KeyCertSign => KeyUsagePurpose::KeyCertSign,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_profile_is_read_and_its_periods_fit_each_other() {
        let Profile { root, leaf, cache, .. } = &*PROFILE;
        assert!(root.common_name.contains("{id}"), "two roots must never share a name");
        assert!(leaf.backdated() <= root.backdated(), "a leaf may not begin before its root");
        assert!(leaf.lifetime() <= root.renew_before_end(), "a root is replaced before its leaves would be cut short");
        assert!(leaf.renew_before_end() < leaf.lifetime());
        assert!(cache.hosts > 0 && cache.new_hosts_burst > 0 && cache.new_hosts_per_second > 0);
    }

    #[test]
    fn an_unknown_word_in_a_profile_is_refused() {
        let text = include_str!("../../certs/profile.toml");
        assert!(toml::from_str::<Profile>(text).is_ok());
        assert!(toml::from_str::<Profile>(&format!("{text}\nmore = 1")).is_err());
        assert!(toml::from_str::<Profile>(&text.replace("server_auth", "any")).is_err());
    }
}
