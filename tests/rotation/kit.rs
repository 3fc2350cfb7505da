//! What these tests share: a house whose secret has a hook, a clock of its own, and scripts that count their runs.

use std::{path::PathBuf, sync::Arc};

use leasehold::{
    audit::Record,
    base::{Clock, SecretName, Timestamp},
    broker::Broker,
    store::{SecretChange, SecretRecord},
};

use crate::{
    house::{HOST, House},
    support::{self, Answer},
};

/// What hooks print.
pub const NEW: &str = "acme-NEW-0123456789-abcdefghij-KEY";

/// A folder for a hook and what it leaves.
pub struct Script {
    folder: tempfile::TempDir,
}

impl Script {
    pub fn new() -> Self {
        Self { folder: crate::support::short_folder() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A hook that counts its runs, then does this with `$D` as its folder.
    pub fn hook(&self, then: &str) -> String {
        format!("D='{}'; echo \"$SECRETS_REASON\" >> \"$D/runs\"; {then}", self.folder.path().display())
    }

    /// The reasons of the runs so far.
    pub fn runs(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path("runs")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

pub fn clock() -> Clock {
    Clock::manual(Timestamp::from_millis(1_764_000_000_000))
}

pub fn key() -> SecretName {
    "acme_key".parse().unwrap()
}

pub fn set(broker: &Broker, change: SecretChange) {
    broker.update(&key(), change, None).unwrap();
}

pub fn set_hook(broker: &Broker, hook: &str) {
    set(broker, SecretChange::new().rotate_via(Some(hook.to_owned())));
}

pub fn record(broker: &Broker) -> Arc<SecretRecord> {
    broker.store().get(&key()).unwrap()
}

/// The value in use, as a person who leases it raw gets it.
pub fn value(broker: &Broker) -> String {
    let revealed = broker.reveal(&key(), &"reader".parse().unwrap(), None, None).unwrap();
    String::from_utf8(revealed.value.expose().to_vec()).unwrap()
}

/// Adds lines to `[credential.key]` of the service at [`HOST`].
pub fn set_credential(house: &House, lines: &str) {
    let file = house.home.policies().join("service-api-acme-test.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let kept: Vec<&str> =
        text.lines().filter(|line| !line.starts_with("check") && !line.starts_with("on_401")).collect();
    let with = kept.join("\n").replacen("[credential.key]\n", &format!("[credential.key]\n{lines}\n"), 1);
    assert!(with.contains(lines), "{text}");
    std::fs::write(&file, with).unwrap();
    house.broker().live_policy().reload().unwrap();
}

pub fn set_check(house: &House, path: &str) {
    set_credential(house, &format!("check = {{ method = \"GET\", url = \"https://{HOST}{path}\" }}"));
}

/// A request of an agent.
pub async fn get(house: &House, path: &str) -> Answer {
    let lease = house.lease();
    house.http1().await.get(HOST, path, &[("Authorization", &format!("Bearer {lease}"))]).await
}

pub async fn recorded(house: &House, action: &str, count: usize) -> Vec<Record> {
    support::until(action, || house.records_of(action).len() >= count).await;
    house.records_of(action)
}

/// No file that is not sealed holds this.
pub fn assert_nowhere(house: &House, text: &str) {
    for (path, content) in house.public_files() {
        assert_eq!(support::count(&content, text.as_bytes()), 0, "{} holds `{text}`", path.display());
    }
}
