//! Several at once: one hook per secret whoever asks, all secrets side by side, callers that go away.

use leasehold::{
    broker::{NewValue, Replaced},
    rotation::Trigger,
    store::{RawReveal, RotationPlan},
};

use crate::{
    house::{House, SECRET},
    kit::{NEW, Script, key, record, set_hook, value},
    support::until,
};

#[tokio::test]
async fn attack_126_whoever_asks_at_once_gets_one_run() {
    let (house, script) = (House::new().await, Script::new());
    set_hook(house.broker(), &script.hook(&format!("until test -e \"$D/go-on\"; do sleep 0.01; done; echo {NEW}")));
    let ask = |trigger| {
        let broker = house.broker().clone();
        tokio::spawn(async move { broker.rotate(&key(), trigger).await.outcome })
    };
    let asked = [Trigger::Manual, Trigger::KillSwitch, Trigger::Unauthorized, Trigger::Manual].map(ask);
    let broker = house.broker().clone();
    let all = tokio::spawn(async move { broker.rotate_all(Trigger::KillSwitch).await });
    until("the hook runs", || !script.runs().is_empty()).await;
    tokio::task::yield_now().await; // the others have joined: they came before the hook could start
    std::fs::write(script.path("go-on"), b"").unwrap();
    for one in asked {
        assert_eq!(one.await.unwrap().unwrap(), Replaced::Unproven);
    }
    assert_eq!(all.await.unwrap().len(), 1);
    assert_eq!(script.runs(), ["manual"]);
    assert_eq!((record(house.broker()).generation, house.records_of("secret_rotate").len()), (2, 1));
}

#[tokio::test]
async fn all_are_rotated_and_one_that_fails_stops_no_other() {
    let (house, script) = (House::new().await, Script::new());
    for at in 0..20 {
        let hook = script.hook(if at % 5 == 0 { "exit 1" } else { "echo new" });
        let new = NewValue {
            name: format!("k{at:02}").parse().unwrap(),
            value: leasehold::base::SecretBytes::new(b"old".to_vec()),
            rotate_via: Some(hook),
            binding: None,
            raw: RawReveal::Allow,
            plan: RotationPlan::default(),
        };
        house.broker().add(new).unwrap();
    }
    let rotations = house.broker().rotate_all(Trigger::KillSwitch).await;
    assert_eq!((rotations.len(), rotations.iter().filter(|one| one.outcome.is_ok()).count()), (20, 16));
    assert!(rotations.iter().all(|one| one.name != key()), "a secret without a hook is left alone");
    assert_eq!(script.runs(), vec!["kill_switch"; 20]);
    for one in &rotations {
        let record = house.broker().store().get(&one.name).unwrap();
        assert_eq!(record.value.expose(), if one.outcome.is_ok() { &b"new"[..] } else { b"old" });
        assert_eq!(record.health.owed, one.outcome.is_err(), "the kill switch is owed what failed");
    }
    assert_eq!(value(house.broker()), SECRET);
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_lose_the_value() {
    let (house, script) = (House::new().await, Script::new());
    set_hook(house.broker(), &script.hook(&format!("until test -e \"$D/go-on\"; do sleep 0.01; done; echo {NEW}")));
    let broker = house.broker().clone();
    let caller = tokio::spawn(async move { broker.rotate(&key(), Trigger::Manual).await });
    until("the hook runs", || !script.runs().is_empty()).await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    std::fs::write(script.path("go-on"), b"").unwrap();
    until("the value is in use", || value(house.broker()) == NEW).await;
}

#[tokio::test]
async fn a_stopping_daemon_lets_a_hook_finish() {
    let (house, script) = (House::new().await, Script::new());
    set_hook(house.broker(), &script.hook(&format!("until test -e \"$D/go-on\"; do sleep 0.01; done; echo {NEW}")));
    let broker = house.broker().clone();
    let rotating = tokio::spawn(async move { broker.rotate(&key(), Trigger::Manual).await.outcome });
    until("the hook runs", || !script.runs().is_empty()).await;
    let House { running, home, .. } = house;
    let stopping = tokio::spawn(running.stop());
    std::fs::write(script.path("go-on"), b"").unwrap();
    stopping.await.unwrap();
    rotating.await.unwrap().unwrap();
    let store = leasehold::store::Store::open(&home, leasehold::base::Clock::system()).unwrap();
    assert_eq!(store.get(&key()).unwrap().value.expose(), NEW.as_bytes());
}
