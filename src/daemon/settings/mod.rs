//! Settings: each part's section, with defaults that need no file, read from `config.toml` or from what agent-secrets
//! wrote.

mod approvals_section;
mod audit_section;
mod effective;
mod file;
mod keys;
mod places;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

pub use self::{
    approvals_section::{ApprovalsSection, BodySize},
    audit_section::{AuditSection, FileSize, Interval, Keep},
    effective::{Effective, Setting, effective},
    keys::{KEYS, Key, commented_file},
    places::places,
};
use self::{file::SettingsFile, places::expanded};
use super::Error;
use crate::{
    base::{Home, Host, TimeToLive, empty_is_none},
    broker::OnStray,
    control::SocketAccess,
    killswitch::HeartbeatSection,
    lease::LeaseBounds,
    net::{AddressGuard, Dialer, Network},
};

/// All settings but where files are, which [`places`] reads. Unknown keys of `config.toml` are faults; the file's own
/// walk finds them, with a suggestion.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The mode of the control socket: `0600` (default), or `0660` for the members of a group.
    pub socket_mode: SocketMode,
    /// The group that may use the control socket when its mode is `0660`; empty is none, as agent-secrets writes it.
    #[serde(deserialize_with = "empty_is_none")]
    pub socket_group: Option<String>,
    /// How long a lease lives when nobody says. Default `1h`.
    pub default_lease_ttl: TimeToLive,
    /// The longest a lease may live. Default `24h`; not below the default.
    pub max_lease_ttl: TimeToLive,
    /// What happens to a lease whose token is found out of place: `refuse` (default) or `revoke`.
    pub on_stray: OnStray,
    /// How long a rotation hook may take. Default `30s`.
    pub rotation_timeout: TimeToLive,
    /// The data plane.
    pub proxy: ProxySection,
    /// Connections to upstreams.
    pub upstream: UpstreamSection,
    /// Requests that wait for a person.
    pub approvals: ApprovalsSection,
    /// The record.
    pub audit: AuditSection,
    /// Who has to go on answering.
    pub heartbeat: HeartbeatSection,
    /// The certificate authority.
    pub ca: CaSection,
}

/// `[proxy]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ProxySection {
    /// Where the main listener is bound; loopback, any free port by default, which the home remembers. `secrets status`
    /// shows it.
    pub listen: SocketAddr,
    /// Whether the main listener demands a session's proxy credentials. Default no: the lease token is the right.
    pub require_auth: bool,
    /// How long a client may take over a body that rules look into, before the request is refused. Default 30 s.
    pub body_time: TimeToLive,
    /// The longest body that a person can be asked to approve. Default 1 MiB.
    pub approval_body: BodySize,
}

/// `[upstream]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct UpstreamSection {
    /// PEM files of roots that are trusted beside the system's.
    pub extra_roots: Vec<PathBuf>,
    /// Private ranges that may be dialled, such as `10.0.0.0/8`. None by default; metadata services never.
    pub allow_addresses: Vec<Network>,
    /// Hosts that are dialled at this address whatever DNS says: `"api.acme.test" = "127.0.0.1:8443"`.
    pub hosts: BTreeMap<Host, SocketAddr>,
}

/// `[ca]`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct CaSection {
    /// Whether the root is held to the hosts of granted services, as they are when the daemon starts. Default no.
    pub name_constraints: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            socket_mode: SocketMode::default(),
            socket_group: None,
            default_lease_ttl: TimeToLive::HOUR,
            max_lease_ttl: TimeToLive::DAY,
            on_stray: OnStray::default(),
            rotation_timeout: TimeToLive::new(Duration::from_secs(30)),
            proxy: ProxySection::default(),
            upstream: UpstreamSection::default(),
            approvals: ApprovalsSection::default(),
            audit: AuditSection::default(),
            heartbeat: HeartbeatSection::default(),
            ca: CaSection::default(),
        }
    }
}

impl Default for ProxySection {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            require_auth: false,
            body_time: TimeToLive::new(Duration::from_secs(30)),
            approval_body: BodySize::default(),
        }
    }
}

impl Settings {
    /// Reads the home's `config.toml`, or else agent-secrets' `config.json`, or the file that was named.
    /// Without any the defaults hold; a file that was named must be there.
    pub fn load(home: &Home, named: Option<&Path>) -> Result<Self, Error> {
        let Some(file) = SettingsFile::find(home, named)? else { return Ok(Self::default()) };
        let mut settings = file.settings()?;
        for root in &mut settings.upstream.extra_roots {
            *root = expanded(home.root(), &root.to_string_lossy());
        }
        settings.check().map_err(|why| file.fault(None, why))?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), String> {
        match (self.socket_mode, &self.socket_group) {
            (SocketMode::Group, None) => return Err("`socket_mode` 0660 needs `socket_group`; name the group".into()),
            (SocketMode::Owner, Some(_)) => {
                return Err("`socket_group` without `socket_mode = \"0660\"` has no effect; set both or neither".into());
            }
            _ => {}
        }
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
        self.approvals.check()?;
        self.heartbeat.checked().map(drop).map_err(|error| error.to_string())
    }

    pub(super) fn bounds(&self) -> Result<LeaseBounds, Error> {
        Ok(LeaseBounds::new(self.default_lease_ttl, self.max_lease_ttl)?)
    }

    pub(super) fn socket_access(&self) -> SocketAccess {
        match (self.socket_mode, &self.socket_group) {
            (SocketMode::Group, Some(group)) => SocketAccess::Group(group.clone()),
            _ => SocketAccess::Owner,
        }
    }

    pub(super) fn dialer(&self) -> Dialer {
        let pinned: HashMap<Host, SocketAddr> =
            self.upstream.hosts.iter().map(|(host, address)| (host.clone(), *address)).collect();
        Dialer::new(AddressGuard::new(self.upstream.allow_addresses.clone()), pinned)
    }
}

/// Who may open the control socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Mode")]
pub enum SocketMode {
    /// Its owner.
    #[default]
    Owner,
    /// Its owner and a group.
    Group,
}

/// As people write it, or as Go and TOML's `0o600` put it into a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Mode {
    Number(i64),
    Text(String),
}

impl TryFrom<Mode> for SocketMode {
    type Error = String;

    fn try_from(mode: Mode) -> Result<Self, String> {
        let shown = match &mode {
            Mode::Number(0o600) => return Ok(Self::Owner),
            Mode::Number(0o660) => return Ok(Self::Group),
            Mode::Text(text) if matches!(text.as_str(), "0600" | "600") => return Ok(Self::Owner),
            Mode::Text(text) if matches!(text.as_str(), "0660" | "660") => return Ok(Self::Group),
            Mode::Number(number) => number.to_string(),
            Mode::Text(text) => text.chars().take(40).flat_map(char::escape_default).collect(),
        };
        Err(format!("`{shown}` is no mode of the control socket; write \"0600\", or \"0660\" with `socket_group`"))
    }
}
