//! Rotation that nobody asks for: schedules, ends of values and leases, waiting after failures, and what a restart keeps.

use std::time::Duration;

use leasehold::{
    audit,
    base::{Clock, Home, TimeToLive},
    broker::NewValue,
    daemon::{self, Options, Running, Settings},
    store::{OnLeaseExpiry, RawReveal, RotationPlan, SecretChange, Store},
};
use tempfile::TempDir;

use crate::{
    house::SECRET,
    kit::{NEW, Script, clock, key, record, set, value},
    support::until,
};

/// A daemon without an upstream, on a clock that the test moves.
struct Shed {
    running: Running,
    clock: Clock,
    home: Home,
    folder: TempDir,
}

impl Shed {
    async fn new(hook: String, plan: RotationPlan) -> Self {
        let folder = crate::support::short_folder();
        let home = Home::at(folder.path().join("home"));
        let clock = clock();
        Store::create(&home, clock.clone()).unwrap();
        let running = Self::start(&home, &clock).await;
        let value = leasehold::base::SecretBytes::new(SECRET.as_bytes().to_vec());
        let new = NewValue { name: key(), value, rotate_via: Some(hook), binding: None, raw: RawReveal::Allow, plan };
        running.broker().add(new).unwrap();
        Self { running, clock, home, folder }
    }

    async fn start(home: &Home, clock: &Clock) -> Running {
        daemon::build(&Options::new(home, Settings::load(home, None).unwrap()), clock.clone()).await.unwrap()
    }

    async fn restart(self) -> Self {
        self.away(0).await
    }

    /// No daemon for so many seconds.
    async fn away(self, secs: u64) -> Self {
        let Self { running, clock, home, folder } = self;
        running.stop().await;
        clock.advance(Duration::from_secs(secs));
        let running = Self::start(&home, &clock).await;
        Self { running, clock, home, folder }
    }

    /// Nothing runs by itself now.
    async fn assert_nothing_due(&self) {
        let ran = self.running.broker().rotate_due().await;
        assert!(ran.is_empty(), "{ran:?}");
    }

    fn advance(&self, secs: u64) {
        self.clock.advance(Duration::from_secs(secs));
    }

    fn value(&self) -> String {
        value(self.running.broker())
    }
}

fn audit_of(shed: &Shed, action: &str) -> Vec<audit::Record> {
    shed.running.broker().audit().flush().unwrap();
    let lines = audit::tail(&shed.home.audit(), &audit::Filter::default(), 100_000).unwrap();
    let record = |line: audit::Line| match line.content {
        audit::Content::Record(record) => *record,
        audit::Content::Damaged(why) => panic!("a damaged line: {why}"),
    };
    lines.into_iter().map(record).filter(|record| record.action == action).collect()
}

fn every(text: &str) -> RotationPlan {
    RotationPlan { every: Some(text.parse().unwrap()), ..RotationPlan::default() }
}

#[tokio::test]
async fn a_schedule_rotates_when_its_time_has_come_and_not_before() {
    let script = Script::new();
    let shed = Shed::new(script.hook(&format!("echo {NEW}-$(wc -l < \"$D/runs\")")), every("3h")).await;
    shed.advance(3 * 3_600 - 1);
    shed.assert_nothing_due().await;
    assert_eq!((script.runs().len(), shed.value()), (0, SECRET.to_owned()));
    shed.advance(1);
    until("the first rotation", || shed.value() == format!("{NEW}-1")).await;
    assert_eq!(script.runs(), ["schedule"]);
    shed.advance(3 * 3_600);
    until("the second rotation", || shed.value() == format!("{NEW}-2")).await;
    set(shed.running.broker(), SecretChange::new().every(None));
    shed.advance(30 * 86_400);
    shed.assert_nothing_due().await;
    assert_eq!(script.runs().len(), 2);
}

#[tokio::test]
async fn the_end_of_a_value_that_its_hook_names_is_not_waited_for() {
    let script = Script::new();
    let json = format!("echo '{{\"data\":{{\"token\":\"{NEW}\",\"expires_in\":1000}}}}'");
    let plan = RotationPlan { format: "json:/data/token".parse().unwrap(), ..RotationPlan::default() };
    let shed = Shed::new(script.hook(&json), plan).await;
    shed.running.broker().rotate(&key(), leasehold::rotation::Trigger::Manual).await.outcome.unwrap();
    let ends = record(shed.running.broker()).expires_at.unwrap();
    assert_eq!(ends.since(shed.clock.now()), Duration::from_secs(1_000));
    assert!(!is_expiring(&shed), "its hook will see to it");
    set(shed.running.broker(), SecretChange::new().rotate_via(None));
    assert!(is_expiring(&shed), "nothing will replace it");
    let warnings = shed.running.broker().warnings(&std::collections::BTreeMap::new());
    let said = warnings.iter().find(|one| one.kind.as_str() == "value_expiring").unwrap().message.clone();
    assert!(said.contains("`secrets update "), "without a hook there is nothing to rotate: {said}");
    set(shed.running.broker(), SecretChange::new().rotate_via(Some(script.hook(&json))));
    shed.advance(899);
    shed.assert_nothing_due().await;
    assert_eq!(script.runs(), ["manual"]);
    shed.advance(1);
    until("it is rotated a tenth of its life before", || script.runs().len() == 2).await;
    until("the new end is known", || record(shed.running.broker()).expires_at.unwrap() > ends).await;
    assert_eq!(script.runs(), ["manual", "value_expiry"]);
}

fn is_expiring(shed: &Shed) -> bool {
    let warnings = shed.running.broker().warnings(&std::collections::BTreeMap::new());
    warnings.iter().any(|one| one.kind.as_str() == "value_expiring")
}

#[tokio::test]
async fn a_failed_hook_waits_longer_each_time_also_across_a_restart() {
    let script = Script::new();
    let shed = Shed::new(script.hook("exit 7"), every("1m")).await;
    shed.advance(60);
    let failures = |shed: &Shed, count: u32| record(shed.running.broker()).health.failures == count;
    until("the first failure", || failures(&shed, 1)).await;
    let health = record(shed.running.broker()).health.clone();
    assert_eq!(health.next_attempt.unwrap().since(shed.clock.now()), Duration::from_secs(30));
    assert!(health.error.unwrap().contains("exit status 7"));

    let shed = shed.restart().await;
    let warnings = shed.running.broker().warnings(&std::collections::BTreeMap::new());
    let failed: Vec<_> = warnings.iter().filter(|one| one.kind.as_str() == "hook_failed").collect();
    assert!(failed.len() == 1 && failed[0].message.contains("exit status 7"), "{warnings:?}");
    shed.advance(29);
    shed.assert_nothing_due().await;
    assert_eq!(script.runs(), ["schedule"]);
    shed.advance(1);
    until("the second failure", || failures(&shed, 2)).await;
    let next = record(shed.running.broker()).health.next_attempt.unwrap();
    assert_eq!(next.since(shed.clock.now()), Duration::from_mins(1));
    // Somebody who asks is not kept waiting.
    let asked = shed.running.broker().rotate(&key(), leasehold::rotation::Trigger::Manual).await;
    assert!(asked.outcome.is_err());
    assert_eq!(script.runs().len(), 3);
    assert_eq!(shed.value(), SECRET);
}

#[tokio::test]
async fn the_end_of_a_lease_rotates_when_asked_and_is_owed_until_it_does() {
    let script = Script::new();
    let plan = RotationPlan { on_lease_expiry: OnLeaseExpiry::Rotate, ..RotationPlan::default() };
    let shed = Shed::new(script.hook(&format!("test -e \"$D/works\" && echo {NEW}")), plan).await;
    let ttl: TimeToLive = "5m".parse().unwrap();
    let broker = shed.running.broker();
    broker.reveal(&key(), &"agent".parse().unwrap(), None, Some(ttl)).unwrap();
    shed.advance(299);
    assert_eq!(script.runs().len(), 0);
    shed.advance(1);
    until("the hook has failed", || record(broker).health.failures == 1).await;
    assert!(record(broker).health.owed);
    assert_eq!(script.runs(), ["lease_expiry"]);

    std::fs::write(script.path("works"), b"").unwrap();
    let shed = shed.restart().await;
    shed.advance(31);
    until("it was tried again", || record(shed.running.broker()).value.expose() == NEW.as_bytes()).await;
    assert_eq!(script.runs(), ["lease_expiry", "retry"]);
    assert!(!record(shed.running.broker()).health.owed);
}

#[tokio::test]
async fn leases_that_ended_while_no_daemon_ran_rotate_once() {
    let script = Script::new();
    let plan = RotationPlan { on_lease_expiry: OnLeaseExpiry::Rotate, ..RotationPlan::default() };
    let shed = Shed::new(script.hook(&format!("echo {NEW}-$(wc -l < \"$D/runs\")")), plan).await;
    for client in ["one", "two"] {
        let ttl: TimeToLive = "5m".parse().unwrap();
        shed.running.broker().reveal(&key(), &client.parse().unwrap(), None, Some(ttl)).unwrap();
    }
    let shed = shed.away(3_600).await;
    until("it was rotated", || shed.value() == format!("{NEW}-1")).await;
    assert_eq!(script.runs(), ["lease_expiry"]);
    let expired = || audit_of(&shed, "lease_expire").len();
    until("both ends are recorded", || expired() == 2).await;
    assert_eq!(audit_of(&shed, "rotation_begun").len(), 1);

    let shed = shed.away(60).await;
    shed.assert_nothing_due().await;
    assert_eq!((script.runs().len(), audit_of(&shed, "lease_expire").len()), (1, 2), "not once per start");
}

#[tokio::test]
async fn a_rotation_after_a_lease_is_owed_also_when_the_daemon_ends_before_it_may_begin() {
    let script = Script::new();
    let plan = RotationPlan { on_lease_expiry: OnLeaseExpiry::Rotate, ..RotationPlan::default() };
    let shed = Shed::new(script.hook(&format!("echo {NEW}-$(wc -l < \"$D/runs\")")), plan).await;
    let broker = shed.running.broker();
    broker.reveal(&key(), &"agent".parse().unwrap(), None, Some("5s".parse().unwrap())).unwrap();
    broker.rotate(&key(), leasehold::rotation::Trigger::Manual).await.outcome.unwrap();
    shed.advance(6); // the lease has ended, and the value is too new to be replaced again
    until("the end is recorded", || audit_of(&shed, "lease_expire").len() == 1).await;
    let shed = shed.away(60).await;
    until("it was rotated", || shed.value() == format!("{NEW}-2")).await;
    assert_eq!(script.runs(), ["manual", "retry"]);
}

#[tokio::test]
async fn a_value_that_has_come_since_a_lease_ended_is_not_replaced_for_it() {
    let script = Script::new();
    let plan = RotationPlan { on_lease_expiry: OnLeaseExpiry::Rotate, ..RotationPlan::default() };
    let shed = Shed::new(script.hook(&format!("echo {NEW}")), plan).await;
    let broker = shed.running.broker();
    broker.reveal(&key(), &"agent".parse().unwrap(), None, Some("5m".parse().unwrap())).unwrap();
    let leases = std::fs::read(shed.home.leases()).unwrap();
    shed.advance(300);
    until("it was rotated", || shed.value() == NEW).await;
    // As after a daemon that could not save the end of its leases.
    let Shed { running, clock, home, folder } = shed;
    running.stop().await;
    std::fs::write(home.leases(), leases).unwrap();
    clock.advance(Duration::from_mins(1));
    let shed = Shed { running: Shed::start(&home, &clock).await, clock, home, folder };
    until("the end is recorded", || audit_of(&shed, "lease_expire").len() == 2).await;
    shed.assert_nothing_due().await;
    assert_eq!(script.runs(), ["lease_expiry"]);
}

#[tokio::test]
async fn a_value_that_nobody_uses_is_taken_for_good_after_an_hour() {
    let script = Script::new();
    let shed = Shed::new(script.hook(&format!("echo {NEW}")), RotationPlan::default()).await;
    let broker = shed.running.broker();
    broker.rotate(&key(), leasehold::rotation::Trigger::Manual).await.outcome.unwrap();
    shed.advance(3_599);
    broker.rotate_due().await;
    assert_eq!(record(broker).former.as_ref().unwrap().value.expose(), SECRET.as_bytes());
    let shed = shed.restart().await;
    assert!(record(shed.running.broker()).former.is_some(), "a restart keeps both");
    shed.advance(1);
    until("the old value is dropped", || record(shed.running.broker()).former.is_none()).await;
    assert_eq!(shed.value(), NEW);
}

#[tokio::test]
async fn a_schedule_below_a_minute_is_refused() {
    let script = Script::new();
    let shed = Shed::new(script.hook("echo x"), RotationPlan::default()).await;
    let broker = shed.running.broker();
    let often = SecretChange::new().every(Some("59s".parse().unwrap()));
    let error = broker.update(&key(), often, None).unwrap_err();
    assert!(error.to_string().contains("at least 1m"), "{error}");
    assert_eq!(record(broker).plan.every, None);
}
