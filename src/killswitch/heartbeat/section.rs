//! `[heartbeat]` of the settings, and the heartbeat that it describes once it is checked.

use std::time::Duration;

use serde::Deserialize;

use super::target::Target;
use crate::{
    base::{Ed25519Key, Scheme, SecretName, Span, TimeToLive, empty_is_none},
    killswitch::{Error, Plan},
};

/// `[heartbeat]`. The keys of agent-secrets keep their names: `enabled`, `url`, `interval`, `timeout`, `fail_action`.
/// The settings file finds unknown keys.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct HeartbeatSection {
    /// Whether it beats. Default no.
    pub enabled: bool,
    /// The address that has to answer with a 2xx. `https://`; `http://` on this machine, and elsewhere only with
    /// `public_key` and without `bearer`. It may lie in a private network, because only the operator can write it here.
    #[serde(deserialize_with = "empty_is_none")]
    pub url: Option<String>,
    /// `GET` (default) or `POST`.
    pub method: HeartbeatMethod,
    /// How long from the end of one beat to the next; at least 10 ms. Default 1 min.
    pub interval: TimeToLive,
    /// How long a beat may take, from the look-up of the name to the head of the answer; at least 10 ms. Default 10 s.
    pub timeout: TimeToLive,
    /// How many beats in a row have to fail. Default 3.
    pub misses: u32,
    /// How long misses do not count after the daemon's start, after the machine slept, and after a reset. Default
    /// 1 min; zero is none.
    pub grace: Span,
    /// Up to this much is added to each interval, at random. Default 5 s; zero is none.
    pub jitter: Span,
    /// The secret that is sent as `Authorization: Bearer`.
    #[serde(deserialize_with = "empty_is_none")]
    pub bearer: Option<SecretName>,
    /// The Ed25519 key, in base64, whose signature makes an answer one: see [`super::Heart`].
    #[serde(deserialize_with = "empty_is_none")]
    pub public_key: Option<Ed25519Key>,
    /// What happens when it fails; nothing but a record by default.
    pub fail_action: FailAction,
}

impl Default for HeartbeatSection {
    fn default() -> Self {
        let seconds = |seconds| TimeToLive::new(Duration::from_secs(seconds));
        Self {
            enabled: false,
            url: None,
            method: HeartbeatMethod::default(),
            interval: seconds(60),
            timeout: seconds(10),
            misses: 3,
            grace: Span::new(Duration::from_mins(1)),
            jitter: Span::new(Duration::from_secs(5)),
            bearer: None,
            public_key: None,
            fail_action: FailAction::default(),
        }
    }
}

/// How the address is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum HeartbeatMethod {
    /// Without a body.
    #[default]
    Get,
    /// With the nonce as JSON.
    Post,
}

/// `heartbeat.fail_action`. Any of them trips the kill switch, which revokes, cuts and latches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct FailAction {
    /// Trip the kill switch.
    pub revoke_all: bool,
    /// Trip it and rotate every secret that has a hook.
    pub rotate_all: bool,
    /// Trip it and wipe the store.
    pub wipe_store: bool,
}

impl FailAction {
    /// What the switch is tripped with; `None` when a failure is only recorded.
    pub const fn plan(self) -> Option<Plan> {
        if self.revoke_all || self.rotate_all || self.wipe_store {
            Some(Plan { rotate: self.rotate_all, wipe: self.wipe_store })
        } else {
            None
        }
    }
}

/// A heartbeat that can beat.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    pub(super) target: Target,
    pub(super) method: HeartbeatMethod,
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
    pub(super) misses: u32,
    pub(super) grace: Duration,
    pub(super) jitter: Duration,
    pub(super) bearer: Option<SecretName>,
    pub(super) key: Option<Ed25519Key>,
    pub(super) plan: Option<Plan>,
}

impl Heartbeat {
    /// The host and port that it asks.
    pub const fn authority(&self) -> &crate::base::Authority {
        &self.target.origin.authority
    }
}

/// More would hide a failure for ever.
const MOST_MISSES: u32 = 1_000;
/// Less is a busy loop as an interval, and as a timeout a failure whatever the server does.
const SHORTEST: Duration = Duration::from_millis(10);

impl HeartbeatSection {
    /// The heartbeat, `None` when it is not enabled.
    ///
    /// # Errors
    /// It is enabled, and a key that it needs is missing or has a value that it cannot work with.
    pub fn checked(&self) -> Result<Option<Heartbeat>, Error> {
        if !self.enabled {
            return Ok(None);
        }
        let fault = |key, why: &str| Error::Heartbeat { key, why: why.to_owned() };
        let url = self.url.as_deref().ok_or_else(|| fault("url", "is missing, and an enabled heartbeat needs it"))?;
        let target: Target = url.parse().map_err(|why| Error::Heartbeat { key: "url", why })?;
        for (key, time) in [("interval", self.interval), ("timeout", self.timeout)] {
            if time.get() < SHORTEST {
                return Err(fault(key, "is shorter than 10ms"));
            }
        }
        if self.misses == 0 || self.misses > MOST_MISSES {
            return Err(fault("misses", "is not between 1 and 1000"));
        }
        let is_clear = target.origin.scheme == Scheme::Http && !target.is_loopback();
        if is_clear && self.bearer.is_some() {
            return Err(fault("bearer", "would be sent in clear text; use an `https://` address"));
        }
        if is_clear && self.public_key.is_none() {
            return Err(fault("url", "is `http://`, where anybody can answer; use `https://` or set `public_key`"));
        }
        Ok(Some(Heartbeat {
            target,
            method: self.method,
            interval: self.interval.get(),
            timeout: self.timeout.get(),
            misses: self.misses,
            grace: self.grace.get(),
            jitter: self.jitter.get(),
            bearer: self.bearer.clone(),
            key: self.public_key,
            plan: self.fail_action.plan(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(json: &str) -> Result<Option<Heartbeat>, String> {
        let section: HeartbeatSection = serde_json::from_str(json).map_err(|error| error.to_string())?;
        section.checked().map_err(|error| error.to_string())
    }

    const REST: &str = r#""enabled":true,"interval":"1m","timeout":"5s""#;

    #[test]
    fn nothing_beats_unless_it_is_enabled() {
        assert!(checked("{}").unwrap().is_none());
        assert!(checked(r#"{"enabled":false,"url":""}"#).unwrap().is_none());
    }

    #[test]
    fn the_keys_of_agent_secrets_are_enough() {
        let beat = checked(&format!(r#"{{{REST},"url":"https://a.test/x","fail_action":{{"wipe_store":true}}}}"#));
        let beat = beat.unwrap().unwrap();
        assert_eq!((beat.misses, beat.grace, beat.jitter), (3, Duration::from_mins(1), Duration::from_secs(5)));
        assert_eq!(beat.plan, Some(Plan { rotate: false, wipe: true }));
    }

    #[test]
    fn no_grace_and_no_jitter_are_zero() {
        let beat = checked(&format!(r#"{{{REST},"url":"https://a.test/","grace":"0s","jitter":"0s"}}"#));
        let beat = beat.unwrap().unwrap();
        assert_eq!((beat.grace, beat.jitter), (Duration::ZERO, Duration::ZERO));
    }

    #[test]
    fn what_an_enabled_heartbeat_lacks_is_named() {
        for (json, key) in [
            (r#"{"enabled":true}"#.to_owned(), "heartbeat.url"),
            (r#"{"enabled":true,"url":""}"#.to_owned(), "heartbeat.url"),
            (r#"{"enabled":true,"url":"https://a.test/","interval":"1ms","timeout":"5s"}"#.to_owned(), "interval"),
            (r#"{"enabled":true,"url":"https://a.test/","timeout":"9ms"}"#.to_owned(), "heartbeat.timeout"),
            (format!(r#"{{{REST},"url":"https://a.test/","misses":0}}"#), "heartbeat.misses"),
            (format!(r#"{{{REST},"url":"a.test"}}"#), "heartbeat.url"),
            (format!(r#"{{{REST},"url":"https://a.test/","method":"PUT"}}"#), "PUT"),
            (format!(r#"{{{REST},"url":"https://a.test/","public_key":"AAAA"}}"#), "32 bytes"),
            (r#"{"enabled":true,"url":"https://a.test/","timeout":"0s"}"#.to_owned(), "out of range"),
        ] {
            let why = checked(&json).err().unwrap_or_default();
            assert!(why.contains(key), "{json}: {why}");
        }
    }

    #[test]
    fn clear_text_is_for_this_machine_or_for_signed_answers() {
        let key = "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=";
        let with = |more: &str| checked(&format!("{{{REST},{more}}}"));
        assert!(with(r#""url":"http://127.0.0.1:1/","bearer":"beat""#).is_ok());
        assert!(with(r#""url":"http://a.test/""#).unwrap_err().contains("https://"));
        assert!(with(&format!(r#""url":"http://a.test/","public_key":"{key}""#)).is_ok());
        let both = with(&format!(r#""url":"http://a.test/","public_key":"{key}","bearer":"beat""#));
        assert!(both.unwrap_err().contains("heartbeat.bearer"));
    }
}
