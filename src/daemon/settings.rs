//! `config.toml`: each part's section, with defaults that need no file.

use std::{
    collections::{BTreeMap, HashMap},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::Error;
use crate::{
    audit,
    base::{Home, Host, TimeToLive, position, read_bounded},
    broker::OnStray,
    lease::LeaseBounds,
    net::{AddressGuard, Dialer, Network},
};

/// All settings. Unknown keys are faults.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How long a lease lives when nobody says. Default `1h`.
    pub default_lease_ttl: TimeToLive,
    /// The longest a lease may live. Default `24h`; not below the default.
    pub max_lease_ttl: TimeToLive,
    /// What happens to a lease whose token is found out of place: `refuse` (default) or `revoke`.
    pub on_stray: OnStray,
    /// The data plane.
    pub proxy: ProxySection,
    /// Connections to upstreams.
    pub upstream: UpstreamSection,
    /// The record.
    pub audit: AuditSection,
}

/// `[proxy]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProxySection {
    /// Where the main listener is bound; loopback, any free port by default. `secrets status` shows it.
    pub listen: SocketAddr,
    /// Whether the main listener demands a session's proxy credentials. Default no: the lease token is the right.
    pub require_auth: bool,
}

/// `[upstream]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamSection {
    /// PEM files of roots that are trusted beside the system's.
    pub extra_roots: Vec<PathBuf>,
    /// Private ranges that may be dialled, such as `10.0.0.0/8`. None by default; metadata services never.
    pub allow_addresses: Vec<Network>,
    /// Hosts that are dialled at this address whatever DNS says: `"api.acme.test" = "127.0.0.1:8443"`.
    pub hosts: BTreeMap<Host, SocketAddr>,
}

/// `[audit]`
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditSection {
    /// What an accepted record has survived: `write` (default: our own end) or `fsync` (a power cut).
    pub durability: audit::Durability,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            default_lease_ttl: TimeToLive::HOUR,
            max_lease_ttl: TimeToLive::DAY,
            on_stray: OnStray::default(),
            proxy: ProxySection::default(),
            upstream: UpstreamSection::default(),
            audit: AuditSection::default(),
        }
    }
}

impl Default for ProxySection {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), require_auth: false }
    }
}

impl Settings {
    /// A settings file is small.
    const MAX: u64 = 1024 * 1024;

    /// Reads the home's `config.toml`, or this file; a missing file of the home means the defaults.
    pub fn load(home: &Home, file: Option<&Path>) -> Result<Self, Error> {
        let path = file.map_or_else(|| home.config(), Path::to_owned);
        let content = match read_bounded(&path, Self::MAX) {
            Ok((content, _)) => content,
            Err(error) if error.is_missing() && file.is_none() => return Ok(Self::default()),
            Err(error) => return Err(error.into()),
        };
        let whole = |why: String| Error::Settings { path: path.clone(), place: path.display().to_string(), why };
        let text = String::from_utf8(content).map_err(|_| whole("it is not UTF-8".into()))?;
        let settings: Self = toml::from_str(&text).map_err(|error| {
            let (line, column) = position(&text, error.span().map_or(0, |span| span.start));
            let place = format!("{}:{line}:{column}", path.display());
            Error::Settings { path: path.clone(), place, why: error.message().to_owned() }
        })?;
        settings.check().map_err(whole)?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), String> {
        if self.max_lease_ttl < self.default_lease_ttl {
            return Err(format!(
                "`max_lease_ttl` ({}) is below `default_lease_ttl` ({}); raise the one or lower the other",
                self.max_lease_ttl, self.default_lease_ttl
            ));
        }
        if !self.proxy.listen.ip().is_loopback() {
            return Err(format!(
                "`proxy.listen` is `{}`; the proxy listens on loopback only, such as `127.0.0.1:8019`",
                self.proxy.listen
            ));
        }
        Ok(())
    }

    pub(super) fn bounds(&self) -> Result<LeaseBounds, Error> {
        Ok(LeaseBounds::new(self.default_lease_ttl, self.max_lease_ttl)?)
    }

    pub(super) fn dialer(&self) -> Dialer {
        let pinned: HashMap<Host, SocketAddr> =
            self.upstream.hosts.iter().map(|(host, address)| (host.clone(), *address)).collect();
        Dialer::new(AddressGuard::new(self.upstream.allow_addresses.clone()), pinned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Settings, String> {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        std::fs::write(home.config(), text).unwrap();
        Settings::load(&home, None).map_err(|error| error.to_string())
    }

    #[test]
    fn without_a_file_the_defaults_hold() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::load(&Home::at(folder.path()), None).unwrap();
        assert_eq!(settings.max_lease_ttl, TimeToLive::DAY);
        assert!(Settings::load(&Home::at(folder.path()), Some(Path::new("/nowhere/config.toml"))).is_err());
    }

    #[test]
    fn every_section_is_read() {
        let settings = load(
            "default_lease_ttl = \"30m\"\non_stray = \"revoke\"\n[proxy]\nlisten = \"127.0.0.1:8019\"\n\
             [upstream]\nallow_addresses = [\"10.0.0.0/8\"]\n[upstream.hosts]\n\"api.acme.test\" = \"127.0.0.1:1\"\n\
             [audit]\ndurability = \"fsync\"\n",
        )
        .unwrap();
        assert_eq!(settings.on_stray, OnStray::Revoke);
        assert_eq!(settings.upstream.hosts.len(), 1);
        assert_eq!(settings.audit.durability, audit::Durability::Fsync);
    }

    #[test]
    fn a_fault_names_file_and_line() {
        let error = load("default_lease_ttl = \"30m\"\nmax_lease_tll = \"1h\"\n").unwrap_err();
        assert!(
            error.contains("config.toml") && error.contains("config.toml:2:1") && error.contains("max_lease_tll"),
            "{error}"
        );
        assert!(load("max_lease_ttl = \"10m\"").unwrap_err().contains("default_lease_ttl"));
        assert!(load("[proxy]\nlisten = \"0.0.0.0:80\"").unwrap_err().contains("loopback"));
        assert!(load("default_lease_ttl = \"soon\"").unwrap_err().contains("soon"));
    }
}
