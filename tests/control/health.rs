//! `secrets.health`: each warning appears when it should and not before.

use std::time::Duration;

use serde_json::{Value, json};

use crate::line::{Desk, RawLine};

async fn warnings(line: &mut RawLine) -> Vec<(String, Option<String>)> {
    let health = line.ok("secrets.health", json!({})).await;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let all = health["warnings"].as_array().unwrap().iter();
    all.map(|warning| (text(&warning["type"]).unwrap(), text(&warning["secret_name"]))).collect()
}

fn has(found: &[(String, Option<String>)], kind: &str, secret: &str) -> bool {
    found.iter().any(|(k, s)| k == kind && s.as_deref() == Some(secret))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_warning_comes_when_it_should_and_not_before() {
    let desk = Desk::open().await;
    let mut line = desk.line().await;
    for (name, hook) in [("used", "true"), ("unused", ""), ("leased", "true")] {
        line.ok("secrets.add", json!({"name": name, "value": "v", "rotate_via": hook})).await;
    }
    let lease = |name: &str| json!({"secret_name": name, "client_id": "c", "ttl": "1h"});
    line.ok("secrets.lease", lease("used")).await;
    let fresh = warnings(&mut line).await;
    assert_eq!(fresh, [("no_rotation_hook".to_owned(), Some("unused".to_owned()))], "a new lease is no warning");

    desk.clock.advance(Duration::from_mins(55));
    let later = warnings(&mut line).await;
    assert!(has(&later, "expiring_soon", "used"), "{later:?}");

    desk.clock.advance(Duration::from_hours(31 * 24));
    line.ok("secrets.lease", lease("leased")).await;
    let stale = warnings(&mut line).await;
    assert!(has(&stale, "stale_secret", "used") && has(&stale, "never_accessed", "unused"), "{stale:?}");
    assert!(!has(&stale, "stale_secret", "leased") && !has(&stale, "never_accessed", "leased"), "{stale:?}");
    assert!(!has(&stale, "expiring_soon", "used"), "an ended lease is none: {stale:?}");
    let health = line.ok("secrets.health", json!({})).await;
    assert_eq!((&health["total_secrets"], &health["stale_secrets"]), (&3.into(), &1.into()), "{health}");
    assert_eq!(health["never_rotated"], 3);
}
